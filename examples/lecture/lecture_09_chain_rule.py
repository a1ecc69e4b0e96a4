r"""
9. The chain rule, on one weight
================================

The smallest network that has everything: one input, one weight, one bias, a logistic
output and the squared error,

.. math:: z = w x + b, \qquad y = \frac{1}{1 + e^{-z}}, \qquad
          L = \tfrac12 (y - t)^2 .

One can put it all into one formula and differentiate:

.. math:: \frac{\partial L}{\partial w}
          = \bigl(\sigma(w x + b) - t\bigr)\, \sigma'(w x + b)\, x, \qquad
          \frac{\partial L}{\partial b}
          = \bigl(\sigma(w x + b) - t\bigr)\, \sigma'(w x + b).

That repeats itself: nearly all of the second line is in the first, and with every layer
the repetition grows. The structured way keeps what it has, and goes from the loss back,
one factor a step:

.. math:: \frac{dL}{dy} = y - t, \qquad
          \frac{dL}{dz} = \frac{dL}{dy}\, \sigma'(z), \qquad
          \frac{\partial L}{\partial w} = \frac{dL}{dz}\, x, \qquad
          \frac{\partial L}{\partial b} = \frac{dL}{dz} .

The aim is no formula at all but a *program* that computes derivatives, and does so
without computing anything twice.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit

from skmlp import check_gradient
from skmlp.engine import ComputationGraph, gradient, variable
from skmlp.inspection import ComputationGraphDisplay

w, x, b, t = 0.6, 1.5, -0.4, 1.0

# %%
# By hand, in plain Python: values forwards, derivatives backwards. ``dy`` stands for
# dL/dy, and so on; the slope of the logistic function is y (1 - y).

z = w * x + b
y = 1 / (1 + math.exp(-z))
L = (y - t) ** 2 / 2

dy = y - t
dz = dy * y * (1 - y)
dw = dz * x
db = dz
dx = dz * w
dt = -dy

# %%
# By the engine: the same lines, of variables instead of numbers.

W, X, B, T = (variable(name, ()) for name in "wxbt")
Z = (W * X + B).named("z")
Y = expit(Z).named("y")
loss = (np.square(Y - T) / 2).named("L")
graph = ComputationGraph(loss, {W: w, X: x, B: b, T: t}, gradients=True)
nodes = {node.name: node for node in graph.nodes}

by_hand = {
    "w": (w, dw),
    "x": (x, dx),
    "b": (b, db),
    "t": (t, dt),
    "z": (z, dz),
    "y": (y, dy),
    "L": (L, 1.0),
}
print(f"{'':4}{'value':>10}{'engine':>10}{'dL/d.':>12}{'engine':>10}")
for name, (value, slope) in by_hand.items():
    node = nodes[name]
    print(f"{name:4}{value:10.5f}{node.value:10.5f}{slope:12.5f}{node.gradient:10.5f}")
    assert math.isclose(node.value, value, rel_tol=1e-12)
    assert math.isclose(node.gradient, slope, rel_tol=1e-12)

# %%
# The picture: each box has its value and, below, the derivative of L with respect to it.
# Follow the second lines from L downwards and you read the chain rule.

ComputationGraphDisplay.from_graph(graph, title="z = w x + b, y = logistic(z)")
plt.show()

# %%
# The derivative of an expression is an expression again. Here is dL/dw as the engine
# derives it, node by node; nothing in it is computed twice.

(slope,) = gradient(loss, [W])
print(ComputationGraph(slope, {W: w, X: x, B: b, T: t}))

# %%
# Derivatives are checked against finite differences, the engine's and those of your own
# functions alike. The result is the largest relative difference.

print(check_gradient(lambda z: np.square(expit(z) - t) / 2))
