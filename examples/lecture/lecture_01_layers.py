r"""
1. Layers
=========

A neuron does two things: it adds up its inputs, each by a weight of its own, and passes
the sum through a function, its *activation*. A layer is M neurons that all look at the
same N inputs, so its weights are a matrix: with one row for each neuron, W is M x N,

.. math:: a = \phi(W x + b), \qquad a_i = \phi\Bigl(\sum_{j=1}^N W_{ij} x_j + b_i\Bigr).

A network is D such layers, one above the other: it is D layers deep. Inputs are not
counted, since nothing is computed there.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
network = MLPClassifier((5, 4), "tanh", solver="lbfgs", alpha=0.1, random_state=0)
network.fit(X, y)

# %%
# Four inputs, hidden layers of five and of four neurons, three classes: three layers.
# Samples are the rows of X, so the matrices stand on the other side, ``x W + b``, and
# ``coefs_`` holds the transposes, of shape N x M.

for depth, (W, b) in enumerate(
    zip(network.coefs_, network.intercepts_, strict=True), start=1
):
    inputs, neurons = W.shape
    print(f"layer {depth}: {inputs} inputs, {neurons} neurons, {b.size} biases")

# %%
# Neuron by neuron, as the sum is written, is what the layer computes at once:

x = X[0]
W, b = network.coefs_[0], network.intercepts_[0]
neurons = []
for i in range(5):
    total = b[i]
    for j in range(4):
        total += W[j, i] * x[j]
    neurons.append(np.tanh(total))
layer = network.hidden_layer_output(X[:1], layer=0)[0]
np.testing.assert_allclose(neurons, layer)
print(np.round(layer, 3))

# %%
# The network as it was fitted. Every neuron of a layer takes all that the layer below
# gives; lines are weights, orange above zero and blue below, and as wide as they are
# large.

COLORS = {True: "#E69F00", False: "#0072B2"}
figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
sizes = [4, *network.hidden_layer_sizes, 3]
places = [np.linspace(-n / 2, n / 2, n) for n in sizes]
for depth, W in enumerate(network.coefs_):
    for (j, i), weight in np.ndenumerate(W):
        axes.plot(
            [depth, depth + 1],
            [places[depth][j], places[depth + 1][i]],
            color=COLORS[bool(weight > 0)],
            linewidth=0.3 + 2.7 * abs(weight) / abs(W).max(),
            alpha=0.7,
            zorder=1,
        )
for depth, place in enumerate(places):
    axes.scatter(
        [depth] * len(place), place, s=420, color="white", edgecolor="black", zorder=2
    )
titles = ["inputs x", "layer 1\ntanh", "layer 2\ntanh", "layer 3\nsoftmax"]
axes.set_xticks(range(4), titles)
axes.set_yticks([])
axes.set_xlim(-0.4, 3.4)
axes.spines[:].set_visible(False)
axes.tick_params(length=0)
plt.show()

# %%
# The same in numbers is :meth:`skmlp.MLPClassifier.computation_graph`; the last page of
# this lecture draws it.
