"""
A raw table, as it comes
========================

Words, numbers, truth values, missing entries: ``TabularMLPClassifier`` takes the frame as
it is, without a column transformer, and needs no tuning. Beside it stands the pipeline
that one would write by hand for histogram gradient boosting.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import train_test_split

from skmlp.tabular import TabularMLPClassifier

# %%
# Customers of a telephone company, made up: who leaves depends on the tariff, on the
# months and on how the bill relates to what the tariff promises.

rng = np.random.default_rng(0)
n = 1200
table = pd.DataFrame(
    {
        "tariff": rng.choice(["S", "M", "L", "business"], n, p=[0.4, 0.3, 0.2, 0.1]),
        "city": rng.choice([f"city {i}" for i in range(30)], n),
        "months": rng.exponential(20, n).round(),
        "bill": rng.lognormal(3.3, 0.5, n).round(2),
        "complained": rng.random(n) < 0.15,
    }
)
promised = table["tariff"].map({"S": 15, "M": 25, "L": 40, "business": 80})
score = (
    1.5 * np.tanh((table["bill"] - promised) / 15)
    - 0.06 * table["months"]
    + 1.5 * table["complained"]
)
left = np.where(rng.random(n) < 1 / (1 + np.exp(-score)), "left", "stayed")
table.loc[rng.random(n) < 0.1, "bill"] = np.nan
table.loc[rng.random(n) < 0.05, "tariff"] = None
table.head()

# %%
X_train, X_test, y_train, y_test = train_test_split(table, left, random_state=0)
network = TabularMLPClassifier(random_state=0).fit(X_train, y_train)

words = X_train.astype({"tariff": "category", "city": "category"})
trees = HistGradientBoostingClassifier(random_state=0).fit(words, y_train)
X_words = X_test.astype({"tariff": words["tariff"].dtype, "city": words["city"].dtype})

figure, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
curve = {"pos_label": "left", "ax": axes}
RocCurveDisplay.from_estimator(
    network, X_test, y_test, name="network, raw table", plot_chance_level=True, **curve
)
RocCurveDisplay.from_estimator(
    trees, X_words, y_test, name="boosting", curve_kwargs={"linestyle": "--"}, **curve
)
plt.show()

# %%
# The model has judged itself: every member left rows out, and answered for them.

print(f"network: out of fold {network.oof_score_:.3f}")
print(f"network: held out    {network.score(X_test, y_test):.3f}")
print(f"boosting: held out   {trees.score(X_words, y_test):.3f}")
