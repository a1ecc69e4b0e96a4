"""
A layer of your own: waves of the inputs
========================================

A layer that is no activation of x W + b is a ``Layer``: it names its parts, says how they
start, and computes its outputs in NumPy. This one gives sines and cosines of a few
learned frequencies, after which a small network can follow a fine picture (Tancik et al.
2020).
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from skmlp import Layer, MLPRegressor


@dataclass(frozen=True)
class Waves(Layer):
    """cos(x W + b), W drawn wide, so that there are coarse and fine waves."""

    frequency: float = 3.0

    def parts(self, inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def initial(self, rng, x, units):
        return {
            "W": rng.normal(0, self.frequency, (x.shape[1], units)),
            "b": rng.uniform(0, 2 * np.pi, units),
        }

    def outputs(self, x, W, b):
        return np.cos(x @ W + b)


# %%
# A picture is a function of the place. Every fourth pixel is known; the rest is filled in.

side = 64
place = np.stack(np.meshgrid(*[np.linspace(-1, 1, side)] * 2), axis=-1).reshape(-1, 2)
r, angle = np.hypot(*place.T), np.arctan2(place[:, 1], place[:, 0])
picture = np.exp(-(r**2)) * np.cos(14 * r - 3 * angle)
known = np.random.default_rng(0).random(side**2) < 0.25

networks = {
    "relu, relu": ["relu", "relu"],
    "Waves, relu": [Waves(), "relu"],
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
show = {"cmap": "PuOr", "vmin": -1, "vmax": 1, "origin": "lower"}
axes[0].imshow(np.where(known, picture, np.nan).reshape(side, side), **show)
axes[0].set_title("what is known")
for axis, (name, activation) in zip(axes[1:], networks.items(), strict=True):
    network = MLPRegressor(
        (64, 64),
        activation,
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        batch_size=64,
        max_iter=150,
        random_state=0,
    ).fit(place[known], picture[known])
    score = network.score(place[~known], picture[~known])
    axis.imshow(network.predict(place).reshape(side, side), **show)
    axis.set_title(f"{name}: R2 {score:.3f}")
for axis in axes:
    axis.set(xticks=[], yticks=[])
plt.show()
