"""
A pipeline for mixed columns, tuned
===================================

The plain estimators take numbers. A ``ColumnTransformer`` makes numbers of words, fills
what is missing and scales; the network is one more step, and its parameters are tuned by
their dotted names. A distribution comes out at the end of the search.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmlp import MLPRegressor
from skmlp.inspection import PredictiveDistributionDisplay

rng = np.random.default_rng(0)
n = 2500
flats = pd.DataFrame(
    {
        "area": rng.lognormal(4.1, 0.4, n),
        "floor": rng.integers(0, 9, n).astype(float),
        "district": rng.choice(["north", "east", "south", "west"], n),
    }
)
factor = flats["district"].map({"north": 1, "east": 0.8, "south": 1.3, "west": 1.7})
rent = 8 * flats["area"] ** 0.9 * factor * rng.lognormal(0.3, 0.15, n)
rent += 12 * flats["floor"]
flats.loc[rng.random(n) < 0.1, "floor"] = np.nan

# %%
columns = make_column_transformer(
    (
        make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    (OneHotEncoder(handle_unknown="ignore"), ["district"]),
)
network = MLPRegressor(
    (32,),
    head="lognormal",
    initial_output="data",
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=40,
    random_state=0,
)
pipeline = make_pipeline(columns, network)
grid = {
    "mlpregressor__alpha": [0.01, 0.3, 10],
    "mlpregressor__activation": ["relu", "tanh"],
}
X_train, X_test, y_train, y_test = train_test_split(flats, rent, random_state=0)
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
print(search.best_params_, f"R2 {search.score(X_test, y_test):.3f}")
search.best_estimator_

# %%
# Intervals through search and pipeline: ``predict`` hands its arguments to the last step.

low, high = search.best_estimator_.predict(X_test, coverage=0.9).T
print(f"90 % interval holds {np.mean((low <= y_test) & (y_test <= high)):.3f}")
PredictiveDistributionDisplay.from_estimator(search, X_test, y_test, target_name="rent")
plt.show()
