"""
Quantiles that never cross
==========================

``Quantile`` learns the quantiles that are asked for, and nothing else: no distribution is
assumed. They share their hidden layers, and are built so that a higher one is never below
a lower one.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmlp import MLPRegressor
from skmlp.heads import Quantile

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 1500))
y = x + 3 * np.sin(x) + (0.4 + 0.25 * x) * (rng.gamma(1.5, 1, 1500) - 1.0)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

network = MLPRegressor(
    (32, 32),
    "tanh",
    head=Quantile(LEVELS),
    initial_output="data",
    learning_rate="one_cycle",
    learning_rate_init=0.02,
    max_iter=80,
    random_state=0,
)
network.fit((x[:, None] - 5) / 3, y)
quantiles = network.predict_quantiles((x[:, None] - 5) / 3, LEVELS)
assert (np.diff(quantiles, axis=1) >= 0).all()

# %%
# The noise is skewed, and so are the bands: the upper ones are wider.

figure, axes = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
axes.scatter(x, y, s=5, color="0.6", label="data")
axes.fill_between(
    x, quantiles[:, 0], quantiles[:, 4], color="#0072B2", alpha=0.2, label="5 % to 95 %"
)
axes.fill_between(
    x,
    quantiles[:, 1],
    quantiles[:, 3],
    color="#0072B2",
    alpha=0.4,
    label="25 % to 75 %",
)
axes.plot(x, quantiles[:, 2], color="#D55E00", label="median")
axes.set(xlabel="x", ylabel="y")
axes.legend(loc="upper left")
plt.show()

# %%
for level, q in zip(LEVELS, quantiles.T, strict=True):
    print(f"asked for {level:.2f}, below it are {np.mean(y <= q):.3f}")
