"""
Which columns a network goes by
===============================

Three questions that are easily confused: how steeply does the answer change with a column
(``input_sensitivities``, from the weights alone); how much worse does the model get when
a column is shuffled (permutation importance, on held-out rows); and in which direction
does it push a single answer? Here the truth is known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

from skmlp import MLPRegressor, input_sensitivities
from skmlp.inspection import ImportanceDisplay

rng = np.random.default_rng(0)
names = ["product a", "product b", "kink", "line", "nothing 1", "nothing 2"]
X = rng.normal(size=(1500, 6))
y = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + 0.5 * X[:, 3] + rng.normal(0, 0.1, 1500)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = MLPRegressor(
    (64, 32),
    "tanh",
    alpha=0.1,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    batch_size=50,
    max_iter=80,
    random_state=0,
).fit(X_train, y_train)
print(f"R2 {network.score(X_test, y_test):.3f}")

# %%
slopes = input_sensitivities(network)
shuffled = permutation_importance(network, X_test, y_test, n_repeats=10, random_state=0)
for row in zip(names, slopes, shuffled.importances_mean, strict=True):
    print("{:12} slope {:6.3f}   loss of R2 when shuffled {:6.3f}".format(*row))

# %%
# By how much each column moves each answer: the difference to the answer with that
# column's value taken from another row, averaged over some rows.

moved = np.zeros_like(X_test)
for column in range(6):
    for other in X_train[:30, column]:
        changed = X_test.copy()
        changed[:, column] = other
        moved[:, column] += network.predict(X_test) - network.predict(changed)
ImportanceDisplay.from_attributions(
    moved / 30, names, X_test, value_name="moves the answer by"
)
plt.show()
