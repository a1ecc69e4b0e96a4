"""
The same numbers as scikit-learn
================================

With the parameters that both have, and the same ``random_state``, the fitted weights are
scikit-learn's. So the import can be changed first, and everything else after that, one
thing at a time.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from skmlp import MLPRegressor

X, y = load_diabetes(return_X_y=True)
X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
settings = {
    "hidden_layer_sizes": (30, 10),
    "activation": "tanh",
    "learning_rate_init": 0.01,
    "max_iter": 500,
    "tol": 1e-3,
    "random_state": 0,
}
ours = MLPRegressor(**settings).fit(X, y)
theirs = neural_network.MLPRegressor(**settings).fit(X, y)

# %%
# Every weight and every bias, one network's over the other's, and the loss curves.


def flat(network):
    return np.concatenate(
        [part.ravel() for part in network.coefs_ + network.intercepts_]
    )


figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
axes[0].plot(flat(theirs), flat(ours), ".", color="#0072B2", markersize=4)
axes[0].set(xlabel="sklearn.neural_network", ylabel="skmlp", title="weights, biases")
axes[0].set_aspect("equal")
axes[1].plot(theirs.loss_curve_, color="#E69F00", linewidth=5, label="sklearn")
axes[1].plot(ours.loss_curve_, color="black", linewidth=1, label="skmlp")
axes[1].set(xlabel="epoch", ylabel="loss", title="loss")
axes[1].legend()
plt.show()

difference = np.abs(flat(ours) - flat(theirs)).max() / np.abs(flat(theirs)).max()
print(f"the largest difference is {difference:.0e} of the largest weight")
assert difference < 1e-9
