"""
Decision boundaries of every activation
=======================================

The same two-layer network on the same two moons, with each activation that has a name:
piecewise linear ones make corners, smooth ones curves, waves make waves.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay

from skmlp import MLPClassifier
from skmlp.activations import ACTIVATIONS

X, y = make_moons(250, noise=0.25, random_state=0)
names = [name for name in ACTIVATIONS if name != "linear"]  # "identity" by another name
names.append("rbf")

# %%
figure, axes = plt.subplots(3, 6, figsize=(11, 6.2), layout="constrained")
for name, place in zip(names, axes.flat, strict=True):
    network = MLPClassifier(
        (16, 16),
        activation=name,
        learning_rate="one_cycle",
        learning_rate_init=0.02,
        batch_size=25,
        max_iter=60,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)
    DecisionBoundaryDisplay.from_estimator(
        network,
        X,
        response_method="predict_proba",
        plot_method="pcolormesh",
        grid_resolution=80,
        cmap="cividis",
        vmin=0,
        vmax=1,
        ax=place,
    )
    place.scatter(
        *X.T, c=y, cmap=ListedColormap(["#56B4E9", "#E69F00"]), s=5, edgecolor="none"
    )
    place.set(xticks=[], yticks=[], title=name)
    place.title.set_fontsize(9)
plt.show()
