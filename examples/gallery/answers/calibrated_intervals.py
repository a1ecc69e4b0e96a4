"""
Are the intervals right?
========================

An interval of 90 % should hold nine targets of ten, for every share and not for 90 %
alone. Two networks learn the same noisy data, whose noise grows: one predicts a scale
for every sample, the other's distribution is normal around its mean with one scale for
all.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from sklearn.model_selection import train_test_split

from skmlp import MLPRegressor
from skmlp.inspection import UncertaintyCalibrationDisplay

rng = np.random.default_rng(0)
x = rng.uniform(0, 1, (3000, 1))
y = np.sin(6 * x[:, 0]) + (0.05 + 0.6 * x[:, 0] ** 2) * rng.normal(size=3000)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
settings = {
    "hidden_layer_sizes": (32, 32),
    "activation": "tanh",
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 40,
    "random_state": 0,
}
scaled = MLPRegressor(head="gaussian", **settings).fit(x_train, y_train)
mean = MLPRegressor(**settings).fit(x_train, y_train)

residuals = y_train - mean.predict(x_train)
constant = stats.norm(mean.predict(x_test), residuals.std())

# %%
# Right for every row
# -------------------
# On the left is where targets fall within their own distribution: a flat histogram, where
# the distributions are right. On the right is the share of targets within the central
# interval of every level. Both stay in the gray band.

UncertaintyCalibrationDisplay.from_estimator(scaled, x_test, y_test)
plt.gcf().suptitle("a scale for every sample")
plt.show()

# %%
# One scale for all is too wide for the quiet half of the rows, whose targets pile up in
# the middle, and too narrow for the other, which fills the ends. At 90 % the two errors
# happen to cancel: that one number looks right says little.

UncertaintyCalibrationDisplay.from_predictions(y_test, constant)
plt.gcf().suptitle("one scale for all")
plt.show()

# %%
# In numbers: coverage of the 90 % interval where the noise is small, and where it is
# large.

quiet = x_test[:, 0] < 0.5
for name, ends in (
    ("a scale for every sample", scaled.predict_interval(x_test, coverage=0.9).T),
    ("one scale for all", constant.interval(0.9)),
):
    inside = (ends[0] <= y_test) & (y_test <= ends[1])
    print(f"{name:26}{inside[quiet].mean():.3f}  {inside[~quiet].mean():.3f}")
