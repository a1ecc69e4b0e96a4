"""
Ten digits in two numbers
=========================

A network whose last hidden layer has two units must put all it knows of a digit into two
numbers, which can be drawn without any projection. Rays and corners appear by themselves:
the softmax above can only draw straight lines.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmlp import MLPClassifier
from skmlp.inspection import HiddenFeaturesDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
network = MLPClassifier(
    (64, 64, 2),
    ["relu", "relu", "identity"],
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    batch_size=50,
    alpha=0.3,
    max_iter=80,
    random_state=1,
).fit(X_train, y_train)
print(f"accuracy through two numbers: {network.score(X_test, y_test):.3f}")

# %%
h = network.hidden_layer_output(X_test, layer=-1)
figure, axes = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
for digit in range(10):
    rows = y_test == digit
    axes.scatter(*h[rows].T, s=8, alpha=0.3, color=f"C{digit}")
    for place in h[rows][:12]:
        axes.text(*place, str(digit), color=f"C{digit}", ha="center", va="center")
axes.set(xlabel="unit 1", ylabel="unit 2")
plt.show()

# %%
# And the first layer, as pictures of its weights:

HiddenFeaturesDisplay.from_estimator(
    network, X_test, y_test, layer=0, kind="units", image_shape=(8, 8), n_units=24
)
plt.show()
