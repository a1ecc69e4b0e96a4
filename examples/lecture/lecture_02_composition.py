r"""
2. A network is a composition of functions
==========================================

Every layer is a function of the one below it,

.. math:: h_1 = f_1(x), \quad h_2 = f_2(h_1), \quad \dots, \quad y = f_D(h_{D-1}),

so that the whole network is one function, :math:`y = (f_D \circ \dots \circ f_1)(x)`.
Each f can be read, tested and replaced by itself: what it needs to know of the others is
how many numbers come in.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import make_circles

from skmlp import MLPClassifier

X, y = make_circles(300, noise=0.08, factor=0.45, random_state=0)
network = MLPClassifier(
    (8, 2), "tanh", solver="lbfgs", alpha=0.3, max_iter=500, random_state=1
)
network.fit(X, y)

# %%
# Three functions, made of what the fit has learned:

(W1, W2, W3), (b1, b2, b3) = network.coefs_, network.intercepts_


def f1(x):
    return np.tanh(x @ W1 + b1)


def f2(h):
    return np.tanh(h @ W2 + b2)


def f3(h):
    return expit(h @ W3 + b3)


h1 = f1(X)
h2 = f2(h1)
probability = f3(h2)

# %%
# Their composition is the network, and what lies between is what
# ``hidden_layer_output`` gives:

np.testing.assert_allclose(probability[:, 0], network.predict_proba(X)[:, 1])
np.testing.assert_allclose(h1, network.hidden_layer_output(X, layer=0))
np.testing.assert_allclose(h2, network.hidden_layer_output(X, layer=1))
print("accuracy", network.score(X, y))

# %%
# What the functions do to the data: two rings, which no straight line separates, are
# bent until one does. The last layer is a linear classifier, and needs no more than
# that.

COLORS = np.array(["#0072B2", "#E69F00"])
figure, axes = plt.subplots(1, 3, figsize=(10, 3.5), layout="constrained")
axes[0].scatter(*X.T, color=COLORS[y], s=12)
axes[0].set(title="x", xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
axes[1].scatter(*h2.T, color=COLORS[y], s=12)
line = np.linspace(-1, 1, 2)
axes[1].plot(line, -(W3[0] * line + b3) / W3[1], color="black", linestyle="--")
axes[1].set(
    title="$h_2 = f_2(f_1(x))$",
    xlabel="neuron 1",
    ylabel="neuron 2",
    xlim=(-1.1, 1.1),
    ylim=(-1.1, 1.1),
    aspect="equal",
)
for label in (0, 1):
    axes[2].hist(
        probability[y == label, 0], bins=np.linspace(0, 1, 21), color=COLORS[label]
    )
axes[2].set(title="$y = f_3(h_2)$", xlabel="probability of the inner ring")
plt.show()
