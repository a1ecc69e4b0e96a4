r"""
5. Choosing an activation, and gradients that vanish
====================================================

In hidden layers take the ReLU unless something speaks against it. The logistic function
and the tangent *saturate*: far from zero they are flat. Backpropagation multiplies by the
slope once for every layer, so the gradient that arrives at the first of D layers holds
a product of D - 1 slopes,

.. math:: \frac{\partial L}{\partial z_1} = S_1 W_2^T \, S_2 W_3^T \cdots
          S_{D-1} W_D^T \, \frac{\partial L}{\partial z_D}, \qquad
          S_l = \operatorname{diag}\bigl(\phi'(z_l)\bigr).

The slope of the logistic function is 1/4 at most. Eight of them in a row are
:math:`4^{-8} \approx 1.5 \cdot 10^{-5}`, before any saturation. That of the ReLU is 1
wherever the unit is active.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier
from skmlp.callbacks import GradientNorms
from skmlp.inspection import GradientFlowDisplay

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# The same network twice, eight hidden layers deep. ``GradientNorms`` measures the
# gradient of each layer after every epoch.

DEEP = {
    "hidden_layer_sizes": "8x32",
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "batch_size": 50,
    "max_iter": 20,
    "random_state": 0,
}
flows = {}
for activation in ("logistic", "relu"):
    norms = GradientNorms(vanishing=1e-12)
    network = MLPClassifier(activation=activation, **DEEP).set_callbacks(norms)
    with warnings.catch_warnings():
        # The logistic network learns nothing, and the library says so.
        warnings.simplefilter("ignore")
        network.fit(X_train, y_train)
    flows[activation] = norms
    first, last = norms.norms_["hidden layer 1"][0], norms.norms_["output layer"][0]
    print(
        f"{activation:10}accuracy {network.score(X_test, y_test):.3f}   first gradient / "
        f"last gradient, after one epoch: {first / last:.0e}"
    )

# %%
# With logistic units the gradient loses a constant factor from layer to layer, and the
# first layers stand still. With ReLUs all layers learn at the same time.

figure, axes = plt.subplots(2, 1, figsize=(8, 8), layout="constrained", sharex=True)
for (activation, norms), place in zip(flows.items(), axes, strict=True):
    GradientFlowDisplay.from_callback(norms, ax=place)
    place.set_title(activation)
plt.show()

# %%
# What else helps a deep network is a matter of keeping those products near 1: weights
# drawn to scale (``weight_init="he_normal"``), ``normalization="batch"`` and
# ``residual=True``, which adds a path around each layer on which nothing is multiplied.

for change in ({"normalization": "batch"}, {"residual": True}):
    network = MLPClassifier(activation="logistic", **DEEP, **change)
    print(change, f"{network.fit(X_train, y_train).score(X_test, y_test):.3f}")
