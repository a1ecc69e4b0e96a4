"""
Can probabilities of classes be believed?
=========================================

scikit-learn's ``CalibrationDisplay`` works as with any classifier. A network that has
learned noisy labels by heart is too sure of itself; stopping early, or a stronger
penalty, makes its probabilities honest, and its log loss smaller.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split

from skmlp import MLPClassifier

X, y = make_classification(
    4000, n_features=12, n_informative=6, flip_y=0.25, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=500, random_state=0
)
settings = {
    "hidden_layer_sizes": (64, 64),
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 100,
    "random_state": 0,
}
models = {
    "by heart": MLPClassifier(**settings),
    "stopped early": MLPClassifier(early_stopping=True, scoring="loss", **settings),
    "penalty": MLPClassifier(alpha=10.0, **settings),
    "smoothed labels": MLPClassifier(label_smoothing=0.3, **settings),
}

# %%
figure, axes = plt.subplots(figsize=(6, 5.4), layout="constrained")
for (name, model), marker in zip(models.items(), "osD^", strict=True):
    model.fit(X_train, y_train)
    CalibrationDisplay.from_estimator(
        model, X_test, y_test, n_bins=10, name=name, ax=axes, marker=marker
    )
    p = model.predict_proba(X_test)[:, 1]
    print(
        f"{name:17}accuracy {model.score(X_test, y_test):.3f}   log loss "
        f"{log_loss(y_test, p):.3f}   Brier {brier_score_loss(y_test, p):.3f}"
    )
plt.show()
