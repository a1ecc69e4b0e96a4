"""
A fan of predictions, on real data
==================================

How a disease progresses in a year, by body mass index: a network with a ``"gaussian"``
head predicts a distribution for each patient, and the fan shows its quantiles. Where
patients differ more, the fan opens.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPRegressor
from skmlp.inspection import PredictiveDistributionDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(
    X[["bmi", "bp", "s5"]], y, random_state=0
)
network = MLPRegressor(
    (32,),
    "tanh",
    head="gaussian",
    initial_output="data",  # the target keeps its unit
    alpha=1.0,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=60,
    random_state=0,
)
model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)

# %%
# The other two columns are held at their medians, and the points are not: they scatter
# more than the fan.

PredictiveDistributionDisplay.from_estimator(
    model, X_test, y_test, feature="bmi", target_name="progression in one year"
)
plt.show()

# %%
# All of it can be asked for: an interval, or any probability.

low, high = model.predict(X_test[:3], coverage=0.9).T
above = model.predict(X_test[:3], return_distribution=True).sf(200)
for ends in zip(low, high, above, strict=True):
    print("90 % between {:.0f} and {:.0f}; above 200 with {:.2f}".format(*ends))
