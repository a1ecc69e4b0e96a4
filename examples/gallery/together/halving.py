"""
Halving: many candidates, few epochs
====================================

``HalvingGridSearchCV`` starts all candidates with a few epochs and gives more to the better
third. The resource is ``max_iter``; with a schedule, a short fit is a whole fit in little
time, so its score says something about the long one.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401, a switch
from sklearn.model_selection import HalvingGridSearchCV, train_test_split

from skmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
grid = {
    "hidden_layer_sizes": ["32", "64", "64-64"],
    "activation": ["relu", "tanh", "gelu"],
    "learning_rate_init": [0.003, 0.01, 0.03],
}
search = HalvingGridSearchCV(
    MLPClassifier(learning_rate="one_cycle", random_state=0),
    grid,
    resource="max_iter",
    min_resources=3,
    max_resources=27,
    factor=3,
    cv=3,
    random_state=0,
).fit(X_train, y_train)
print(search.best_params_, f"held out {search.score(X_test, y_test):.3f}")

# %%
results = pd.DataFrame(search.cv_results_)
chosen = [f"param_{name}" for name in grid]
results["candidate"] = results[chosen].astype(str).agg(" ".join, axis=1)
scores = results.pivot(index="iter", columns="candidate", values="mean_test_score")
figure, axes = plt.subplots(layout="constrained")
for candidate in scores:
    alive = scores[candidate].dropna()
    best = len(alive) == len(scores)
    axes.plot(
        3 * 3.0**alive.index,
        alive,
        "o-",
        color="#D55E00" if best else "0.7",
        zorder=2 + best,
        linewidth=1 + best,
    )
axes.set_xscale("log")
axes.set_xticks([3, 9, 27], ["3", "9", "27"])
axes.minorticks_off()
axes.set(xlabel="epochs", ylabel="accuracy, cross-validated")
plt.show()
