r"""
10. The computation graph
=========================

What the last page did by hand works for any network once it is written as a *graph*. Its
nodes are all inputs and all quantities computed on the way; an edge from u to v says
that v is computed directly from u. With the nodes in an order in which everything comes
after what it needs, derivatives run through the same graph backwards:

.. math:: \bar u = \sum_{v \,:\, u \to v} \bar v \, \frac{\partial v}{\partial u},
          \qquad \bar u = \frac{\partial L}{\partial u},

a sum over all quantities that u was used for directly. Each edge is gone along once.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmlp import MLPClassifier, MLPRegressor
from skmlp.engine import ComputationGraph, variable
from skmlp.inspection import ComputationGraphDisplay

# %%
# A value that is used twice
# --------------------------
# In (x + y) y, the variable y is used by two nodes, and its derivative is a sum of two
# terms: x + 2 y.

x, y = variable("x", ()), variable("y", ())
graph = ComputationGraph((x + y) * y, {x: 2.0, y: 3.0}, gradients=True)
print(graph)
assert {n.name: float(n.gradient) for n in graph.nodes}["y"] == 2.0 + 2 * 3.0

# %%
# A network
# ---------
# The graph of a fitted network's loss, on five samples. Every shape is shown; n is the
# number of samples.

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
target = np.abs(X[:, 0]) + X[:, 1]
network = MLPRegressor((4,), solver="lbfgs", max_iter=500, random_state=0)
network.fit(X, target)
ComputationGraphDisplay.from_estimator(network, X[:5], target[:5])
plt.show()

# %%
# As text, or for other programs that draw: ``to_dot()`` is for Graphviz, ``to_mermaid()``
# for Markdown pages. In a notebook the graph draws itself.

loss = network.computation_graph(X[:5], target[:5])
print(loss)
print(loss.to_mermaid()[:200], "...")

# %%
# Activations of your own have no rule of their own in the engine. They are made of nodes
# that do:

mish = MLPClassifier(
    (4,), lambda z: z * np.tanh(np.logaddexp(0, z)), solver="lbfgs", random_state=0
)
mish.fit(X, target > 1)
operations = {node.operation for node in mish.computation_graph().nodes}
print(sorted(operations))
