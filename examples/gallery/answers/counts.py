"""
Counts that vary more than Poisson's
====================================

The variance of a Poisson count is its mean. Real counts vary more, because what makes the
mean is never all known; ``"negative_binomial"`` has one more parameter for it. Both are
distributions, so both can be asked for the probability of a full house.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmlp import MLPRegressor

rng = np.random.default_rng(0)
hour = rng.uniform(0, 24, 3000)
mean = np.exp(
    1.2 + 1.1 * np.sin((hour - 9) * np.pi / 12) + 0.5 * np.sin(hour * np.pi / 6)
)
guests = rng.poisson(mean * rng.gamma(3, 1 / 3, 3000))  # the unknown part
clock = np.stack([np.sin(hour * np.pi / 12), np.cos(hour * np.pi / 12)], axis=1)
A, B, a, b, _, at = train_test_split(clock, guests, hour, random_state=0)

heads = {}
for head in ("poisson", "negative_binomial"):
    network = MLPRegressor(
        (24,),
        "tanh",
        head=head,
        initial_output="data",
        learning_rate="one_cycle",
        learning_rate_init=0.02,
        max_iter=40,
        random_state=0,
    )
    heads[head] = network.fit(A, a)
    found = network.predict_distribution(B)
    low, high = network.predict_interval(B, coverage=0.9).T
    print(
        f"{head:18}mean log likelihood {found.logpmf(b).mean():.3f}, "
        f"90 % interval holds {np.mean((low <= b) & (b <= high)):.3f}"
    )

# %%
grid = np.linspace(0, 24, 200)
inputs = np.stack([np.sin(grid * np.pi / 12), np.cos(grid * np.pi / 12)], axis=1)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for place, (name, network) in zip(axes, heads.items(), strict=True):
    low, high = network.predict_interval(inputs, coverage=0.9).T
    place.plot(at, b, ".", color="0.6", markersize=4)
    place.fill_between(grid, low, high, color="#0072B2", alpha=0.3, step="mid")
    place.plot(grid, network.predict(inputs), color="#D55E00")
    place.set(title=name, xlabel="hour", xlim=(0, 24))
axes[0].set_ylabel("guests")
plt.show()

chance = heads["negative_binomial"].predict_distribution(inputs).sf(20)
print(f"more than 20 guests at {grid[chance.argmax()]:.1f} h: {chance.max():.3f}")
