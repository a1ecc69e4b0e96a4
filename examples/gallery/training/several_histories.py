"""
Histories of several fits, in one picture
=========================================

Three ways to stop a network from learning its training data by heart, and one that does
nothing about it. Solid lines are training rows, dashed ones held-out rows; the marker is
the best epoch.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmlp import MLPClassifier
from skmlp.inspection import TrainingHistoryDisplay

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(
    X / 16, y, train_size=300, stratify=y, random_state=0
)
settings = {
    "hidden_layer_sizes": (64, 64),
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "batch_size": 50,
    "max_iter": 60,
    "random_state": 0,
}
changes = {
    "as it is": {},
    "dropout": {"dropout": 0.3},
    "noise": {"input_noise": 0.2},
    "penalty": {"alpha": 1.0},
}
fits = {
    name: MLPClassifier(**settings, **change).fit(
        X_train, y_train, X_val=X_val, y_val=y_val
    )
    for name, change in changes.items()
}

# %%
figure = plt.figure(figsize=(8.5, 7), layout="constrained")
display = TrainingHistoryDisplay.from_estimator(fits, ax=figure.subplots())
display.axes_[0].set_yscale("log")
plt.show()

for name, fit in fits.items():
    print(f"{name:10}held-out accuracy {fit.score(X_val, y_val):.3f}")
