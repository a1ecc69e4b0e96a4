"""Backpropagation by hand and by the engine: univariate logistic least squares.

One input x, one weight w, one bias b, one target t:

    z = w x + b,    y = 1 / (1 + exp(-z)),    L = (y - t)^2 / 2

How does the loss L change with w and b? The chain rule answers node by node, from the loss back.
"""

import math

import numpy as np
from scipy.special import expit

from skmlp.engine import ComputationGraph, variable

w, x, b, t = 0.6, 1.5, -0.4, 1.0

# By hand, in plain Python: the values forwards, then the derivatives backwards.
z = w * x + b
y = 1 / (1 + math.exp(-z))
L = (y - t) ** 2 / 2

dy = y - t  # dy stands for dL/dy, and so on
dt = -(y - t)
dz = dy * y * (1 - y)  # the derivative of the logistic function is y (1 - y)
dw = dz * x
dx = dz * w
db = dz

BY_HAND = {
    "w": ("", w, "dL/dz x", dw),
    "x": ("", x, "dL/dz w", dx),
    "b": ("", b, "dL/dz", db),
    "t": ("", t, "-(y - t)", dt),
    "z": ("w x + b", z, "dL/dy y (1 - y)", dz),
    "y": ("1 / (1 + exp(-z))", y, "y - t", dy),
    "L": ("(y - t)^2 / 2", L, "1", 1.0),
}

# By the engine: the same formulas, of variables instead of numbers.
W, X, B, T = (variable(name, ()) for name in "wxbt")
Z = (W * X + B).named("z")
Y = expit(Z).named("y")
LOSS = (np.square(Y - T) / 2).named("L")
graph = ComputationGraph(LOSS, {W: w, X: x, B: b, T: t}, gradients=True)
nodes = {node.name: node for node in graph.nodes}

print(f"{'node':27}{'by hand':>9}{'engine':>11}     {'derivative':25}{'by hand':>9}{'engine':>11}")
for name, (formula, value, rule, slope) in BY_HAND.items():
    node = nodes[name]
    forwards = f"{name} = {formula:23}{value:9.6f}{node.value:11.6f}"
    backwards = f"dL/d{name} = {rule:17}{slope:9.6f}{node.gradient:11.6f}"
    print(f"{forwards}     {backwards}")
    assert math.isclose(node.value, value, rel_tol=1e-12)
    assert math.isclose(node.gradient, slope, rel_tol=1e-12)

print("\nThe computation graph: every node, its value, and the derivative of L\n")
print(graph)
print("\nThe same for Mermaid, which Jupyter and Markdown pages draw\n")
print(graph.to_mermaid())
