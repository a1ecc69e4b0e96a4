"""
Finding the best point of an expensive function
===============================================

Each experiment costs a day, so forty of them are all there is. A network that has learned
them is a *surrogate*: ``scipy.optimize.minimize`` can ask it thousands of times, and
proposes where to make the next experiment.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from skmlp import MLPRegressor


def experiment(points):
    """Himmelblau's function, on a logarithmic scale: four hollows."""
    x, y = 5 * np.atleast_2d(points).T
    return np.log1p((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)


def surrogate(points, values, seed):
    return MLPRegressor(
        (48, 48),
        "tanh",
        solver="lbfgs",
        alpha=1e-3,
        initial_output="data",
        max_iter=5000,
        max_fun=10000,
        random_state=seed,
    ).fit(points, values)


# %%
# Spread the first forty, then twelve times: learn, minimize from several starts, try the
# proposal, and add what it was.

points = qmc.scale(qmc.Sobol(2, rng=0).random(64)[:40], -1, 1)
values = experiment(points)
best = [values.min()]
starts = qmc.scale(qmc.Sobol(2, rng=1).random(8), -1, 1)
for round_number in range(12):
    network = surrogate(points, values, round_number)
    found = [
        minimize(
            lambda x: network.predict(x[None])[0],  # noqa: B023, used within the round
            start,
            bounds=[(-1, 1)] * 2,
        )
        for start in starts
    ]
    proposal = min(found, key=lambda result: result.fun).x
    points = np.vstack([points, proposal])
    values = np.append(values, experiment(proposal))
    best.append(values.min())
print(
    f"best of 40: {best[0]:.4f}; after 12 proposals: {best[-1]:.6f}; the minimum is 0"
)

# %%
grid = np.linspace(-1, 1, 120)
xx, yy = np.meshgrid(grid, grid)
places = np.c_[xx.ravel(), yy.ravel()]
figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.8), layout="constrained")
for axis, heights, title in (
    (axes[0], experiment(places), "the truth"),
    (axes[1], network.predict(places), "what the network believes"),
):
    axis.contourf(xx, yy, heights.reshape(xx.shape), levels=20, cmap="cividis")
    axis.plot(*points[:40].T, "o", color="white", markersize=3)
    axis.plot(*points[40:].T, "*", color="#D55E00", markersize=9)
    axis.set(title=title, xticks=[], yticks=[])
axes[2].semilogy(best, "o-", color="#0072B2")
axes[2].set(xlabel="proposals", title="best so far")
plt.show()
