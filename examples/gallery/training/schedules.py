"""
Schedules of the learning rate
==============================

Every schedule that has a name, drawn as a fit has used it, and the validation loss that it
ends with. ``warmup`` lets the rate of any of them rise from zero first.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X / 16, y, random_state=0)
schedules = [
    "cosine",
    "one_cycle",
    "linear",
    "coslog4",
    "flat_cos",
    "cosine, warmup=0.2",
]

figure, axes = plt.subplots(2, 3, figsize=(10, 5), layout="constrained", sharey=True)
for schedule, place in zip(schedules, axes.flat, strict=True):
    name, _, warmup = schedule.partition(", warmup=")
    fit = MLPClassifier(
        learning_rate=name,
        warmup=float(warmup or 0),
        learning_rate_init=0.01,
        max_iter=30,
        n_iter_no_change=30,
        random_state=0,
    ).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    place.plot(range(1, 31), fit.history_["learning_rate"], color="#0072B2")
    place.set_title(f"{schedule}: {fit.history_['validation_loss'][-1]:.3f}")
    place.set_xlabel("epoch")
for place in axes[:, 0]:
    place.set_ylabel("learning rate")
figure.suptitle("rates, and the validation loss at the end")
plt.show()
