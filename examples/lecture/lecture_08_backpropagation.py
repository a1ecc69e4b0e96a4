r"""
8. Backpropagation
==================

When an output is wrong, which of thousands of weights is to blame, and by how much? The
answer is the gradient of the loss, and it is found from the top down. A *forward pass*
computes and keeps every layer; a *backward pass* starts with the error of the output and
turns the gradient of each layer into that of the one below:

.. math::

   \delta_D = \frac{\partial L}{\partial z_D}, \qquad
   \delta_l = (\delta_{l+1} W_{l+1}^T) \odot \phi'(z_l), \qquad
   \frac{\partial L}{\partial W_l} = h_{l-1}^T \delta_l, \qquad
   \frac{\partial L}{\partial b_l} = \textstyle\sum_{\text{rows}} \delta_l .

Then every weight goes a small step against its gradient. Both passes cost about the
same, however many weights there are (Rumelhart, Hinton and Williams 1986).
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from skmlp import MLPRegressor
from skmlp.engine import Program, gradient, variable

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 2))
y = np.sin(X[:, :1]) * X[:, 1:]
sizes = [2, 8, 8, 1]
weights = [rng.normal(0, 1 / np.sqrt(n), (n, m)) for n, m in itertools.pairwise(sizes)]
biases = [np.zeros(m) for m in sizes[1:]]

# %%
# By hand
# -------
# In NumPy, with the layers in lists. The loss is half the mean squared error.


def forward(weights, biases):
    layers = [X]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        layers.append(np.tanh(layers[-1] @ W + b))
    return layers, layers[-1] @ weights[-1] + biases[-1]


def backward(weights, biases):
    layers, output = forward(weights, biases)
    delta = (output - y) / len(X)
    gradients = []
    for depth in reversed(range(len(weights))):
        gradients.append((layers[depth].T @ delta, delta.sum(axis=0)))
        if depth:
            delta = (delta @ weights[depth].T) * (1 - layers[depth] ** 2)
    return gradients[::-1]


# %%
# By the engine
# -------------
# Nobody has to write ``backward``. Called with variables, the same NumPy code builds a
# graph, and :func:`skmlp.engine.gradient` derives the backward pass from it.

Ws = [variable(f"W{i}", W.shape) for i, W in enumerate(weights, start=1)]
bs = [variable(f"b{i}", b.shape) for i, b in enumerate(biases, start=1)]
_, output = forward(Ws, bs)
loss = np.sum(np.square(output - y)) / (2 * len(X))
program = Program([loss, *gradient(loss, [*Ws, *bs])])
value, *derived = program.run(dict(zip([*Ws, *bs], [*weights, *biases], strict=True)))
by_hand = backward(weights, biases)
for (dW, db), engine_W, engine_b in zip(by_hand, derived[:3], derived[3:], strict=True):
    np.testing.assert_allclose(engine_W, dW, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(engine_b, db, rtol=1e-10, atol=1e-14)
print("loss", float(value), "- the two agree on every gradient")

# %%
# Responsibility, layer by layer
# ------------------------------
# The size of each gradient says which weights the error is blamed on. Then a loop of
# "forward, backward, step" is gradient descent.

figure, axes = plt.subplots(
    1, 4, figsize=(11, 3), layout="constrained", width_ratios=[1, 1.6, 0.5, 2.4]
)
limit = max(np.abs(dW).max() for dW, _ in by_hand)
for depth, (dW, _) in enumerate(by_hand):
    image = axes[depth].imshow(dW, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes[depth].set(title=f"$dL/dW_{depth + 1}$", xticks=[], yticks=[])
figure.colorbar(image, ax=axes[:3], location="bottom", shrink=0.6)

losses = []
for _ in range(1000):
    _, output = forward(weights, biases)
    losses.append(np.mean((output - y) ** 2) / 2)
    for i, (dW, db) in enumerate(backward(weights, biases)):
        weights[i] = weights[i] - 0.1 * dW
        biases[i] = biases[i] - 0.1 * db
axes[3].semilogy(losses, color="#0072B2")
axes[3].set(title="1000 steps of gradient descent", xlabel="step", ylabel="loss")
plt.show()

# %%
# An estimator does the same in batches, with a solver that adapts its steps, and stops
# when the steps no longer help.

network = MLPRegressor(
    (8, 8),
    "tanh",
    learning_rate="one_cycle",
    learning_rate_init=0.03,
    max_iter=400,
    batch_size=16,
    random_state=0,
)
network.fit(X, y[:, 0])
print(f"gradient descent {losses[-1]:.5f}, Adam in batches {network.loss_:.5f}")
