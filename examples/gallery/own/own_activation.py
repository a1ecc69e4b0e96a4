"""
An activation of your own
=========================

An activation is a NumPy expression: no class, no derivative. Arguments that are
``Learned`` are trained with the weights, one for each unit. Here a network learns a
periodic signal with *snake*, z + sin(a z)^2 / a (Ziyin, Hartwig and Ueda 2020), which
goes on beyond the data as no ReLU does.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmlp import Learned, MLPRegressor, check_gradient
from skmlp.inspection import ActivationDisplay


def snake(z, frequency=Learned(1.0)):  # noqa: B008, a mark for the library, not a value
    return z + np.square(np.sin(frequency * z)) / frequency


print("largest relative error of the gradient:", check_gradient(snake))

# %%
rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-6, 6, 300))[:, None]
y = np.sin(2 * x[:, 0]) + 0.3 * x[:, 0] + rng.normal(0, 0.1, 300)
settings = {
    "hidden_layer_sizes": (32,),
    "solver": "lbfgs",
    "alpha": 0.1,
    "max_iter": 20000,
    "max_fun": 40000,
    "random_state": 0,
}
networks = {
    "relu": MLPRegressor(activation="relu", **settings).fit(x, y),
    "snake": MLPRegressor(activation=snake, **settings).fit(x, y),
}

# %%
# Trained between -6 and 6; outside, each does what its activation does.

grid = np.linspace(-14, 14, 600)[:, None]
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.axvspan(-6, 6, color="0.93", label="range of the data")
axes.plot(x, y, ".", color="0.5", markersize=3)
for (name, network), color in zip(
    networks.items(), ("#E69F00", "#0072B2"), strict=True
):
    axes.plot(grid, network.predict(grid), color=color, label=name)
axes.set(ylim=(-8, 8), xlabel="x")
axes.legend()
plt.show()

# %%
# The activation as each unit has learned it:

ActivationDisplay.from_estimator(networks["snake"])
plt.show()
