"""
Every activation, and its slope
===============================

Drawn from the registry: the function is solid, its slope dashed. No slope is written down
anywhere; the engine derives each from the NumPy expression.
"""

import matplotlib.pyplot as plt

from skmlp.activations import ACTIVATIONS
from skmlp.inspection import ActivationDisplay

names = {function: name for name, function in reversed(ACTIVATIONS.items())}

figure, axes = plt.subplots(
    5, 4, figsize=(10, 10), layout="constrained", sharex=True, sharey=True
)
for (function, name), place in zip(reversed(names.items()), axes.flat, strict=False):
    ActivationDisplay.from_activation(function, ax=place)
    place.get_legend().remove()
    place.set(title=name, xlabel="", ylabel="", ylim=(-1.6, 4.1))
for place in axes.flat[len(names) :]:
    place.remove()
figure.supxlabel("pre-activation z")
plt.show()
