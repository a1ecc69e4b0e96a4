"""
How much is luck? Many seeds
============================

Weights start at random, so every fit is one draw. Before two settings are compared, look
at how far seeds alone are apart. The mean of several networks' probabilities has a smaller
loss than the networks have on average, whatever the seeds: the log loss is convex.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
losses, ensembles = {}, {}
for alpha in (1e-4, 1.0, 10.0):
    probabilities = []
    for seed in range(20):
        network = MLPClassifier(
            (32,),
            alpha=alpha,
            learning_rate="one_cycle",
            learning_rate_init=0.01,
            max_iter=30,
            random_state=seed,
        )
        model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
        probabilities.append(model.predict_proba(X_test))
    losses[alpha] = [log_loss(y_test, p) for p in probabilities]
    ensembles[alpha] = log_loss(y_test, np.mean(probabilities, axis=0))

# %%
# Points are networks, the bar is their mean, and the star is the log loss of their mean
# probabilities.

figure, axes = plt.subplots(layout="constrained")
rng = np.random.default_rng(0)
for place, (alpha, found) in enumerate(losses.items()):
    axes.plot(
        place + rng.uniform(-0.12, 0.12, 20), found, "o", color="#0072B2", alpha=0.6
    )
    axes.hlines(np.mean(found), place - 0.25, place + 0.25, color="black")
    axes.plot(place, ensembles[alpha], "*", color="#D55E00", markersize=16)
    print(
        f"alpha {alpha:<8}mean {np.mean(found):.4f}, spread {np.std(found):.4f}, "
        f"mean of networks {ensembles[alpha]:.4f}"
    )
axes.set_xticks(range(3), [f"alpha={alpha:g}" for alpha in losses])
axes.set_ylabel("log loss, held out")
plt.show()
