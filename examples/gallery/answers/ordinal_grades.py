"""
Grades: classes in an order
===========================

Poor, fair, good, excellent are classes, but not any four classes: to take "excellent" for
"poor" is worse than to take it for "good". The ``"ordinal"`` head learns one score and
the thresholds between grades, so it knows the order; a softmax has to learn it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.metrics import cohen_kappa_score, mean_absolute_error
from sklearn.model_selection import RepeatedKFold
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier
from skmlp.heads import Ordinal

X, severity = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
GRADES = ["mild", "moderate", "severe", "critical"]
number = np.digitize(severity, np.quantile(severity, [0.3, 0.6, 0.85]))
y = np.array(GRADES)[number]

# %%
# Words are sorted by the alphabet unless somebody says otherwise, so the head is given
# their order.

heads = {"ordinal": Ordinal(classes=GRADES), "softmax": "softmax"}
settings = {
    "hidden_layer_sizes": (16,),
    "alpha": 3.0,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 30,
    "random_state": 0,
}
rank = {grade: i for i, grade in enumerate(GRADES)}
errors = {name: [] for name in heads}
kappas = {name: [] for name in heads}
for train, test in RepeatedKFold(n_splits=5, n_repeats=3, random_state=0).split(X):
    for name, head in heads.items():
        network = MLPClassifier(head=head, **settings).fit(X[train], y[train])
        predicted = [rank[grade] for grade in network.predict(X[test])]
        errors[name].append(mean_absolute_error(number[test], predicted))
        kappas[name].append(
            cohen_kappa_score(number[test], predicted, weights="quadratic")
        )
for name in heads:
    print(
        f"{name:10}grades off by {np.mean(errors[name]):.3f} on average, "
        f"quadratic kappa {np.mean(kappas[name]):.3f}"
    )

# %%
# The probabilities along the score of one network. The thresholds are where two
# neighbors meet.

network = MLPClassifier(head=heads["ordinal"], **settings).fit(X, y)
probabilities = network.predict_proba(X)
expected = probabilities @ np.arange(4)
order = np.argsort(expected)
figure, axes = plt.subplots(figsize=(7.6, 4), layout="constrained")
axes.stackplot(
    np.arange(len(X)),
    probabilities[order].T,
    labels=list(network.classes_),
    colors=["#56B4E9", "#009E73", "#E69F00", "#D55E00"],
    alpha=0.85,
)
axes.plot(
    (number[order] + 0.5) / 4, ".", color="black", markersize=2, label="true grade"
)
axes.set(
    xlabel="patients, by expected grade", ylabel="probability", xlim=(0, len(X) - 1)
)
axes.legend(loc="upper left", fontsize=8)
plt.show()
