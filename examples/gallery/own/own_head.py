"""
A head of your own: what a wrong answer costs
=============================================

Too few rolls of bread disappoint customers; too many are thrown away. If a missing one
costs three times as much as one too many, the best order is neither the mean nor the
median. A head says so in two lines: the loss, in NumPy. Its gradient is derived.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from skmlp import Head, MLPRegressor, check_head


@dataclass(frozen=True)
class Order(Head):
    """A loss that is `missing` a piece for too few and 1 a piece for too many."""

    missing: float = 3.0

    def loss(self, raw, y):
        short = y - raw
        return np.sum(np.maximum(self.missing * short, -short), axis=1)


passed = check_head(Order())  # finite, its gradient right, rows apart, pickled, ...
print(f"{len(passed)} checks passed, such as {passed[3]!r}")

# %%
rng = np.random.default_rng(0)
day = rng.uniform(0, 7, 4000)
demand = 100 + 30 * np.sin(day * 2 * np.pi / 7) + rng.normal(0, 5 + 4 * day, 4000)
inputs = np.stack(
    [np.sin(day * 2 * np.pi / 7), np.cos(day * 2 * np.pi / 7), day], axis=1
)
inputs[:, 2] = (inputs[:, 2] - 3.5) / 2
settings = {
    "hidden_layer_sizes": (32,),
    "initial_output": "data",
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 40,
    "random_state": 0,
}
networks = {
    "squared error": MLPRegressor(**settings),
    "Order(missing=3)": MLPRegressor(head=Order(), **settings),
    "Order(missing=19)": MLPRegressor(head=Order(missing=19.0), **settings),
}

# %%
# With a cost of m for a missing piece the best order is the quantile m / (m + 1).

order = np.argsort(day)
figure, axes = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
axes.plot(day, demand, ".", color="0.75", markersize=2)
colors = ("#009E73", "#0072B2", "#D55E00")
for (name, network), color in zip(networks.items(), colors, strict=True):
    ordered = network.fit(inputs, demand).predict(inputs)
    axes.plot(day[order], ordered[order], color=color, label=name)
    cost = np.mean(np.maximum(3 * (demand - ordered), ordered - demand))
    enough = np.mean(ordered >= demand)
    print(f"{name:20}enough on {enough:.3f} of the days; cost at 3 to 1: {cost:.1f}")
axes.set(xlabel="day of the week", ylabel="rolls")
axes.legend()
plt.show()

# %%
# Parameters of a head are parameters of the estimator, for searches too:

print(networks["Order(missing=3)"].set_params(head__missing=9.0).head)
