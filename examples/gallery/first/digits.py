"""
Handwritten digits: the first fit
=================================

A pipeline that scales, a network, a schedule, and early stopping: four lines that are a
good start for most classifications. What is confused with what is drawn by scikit-learn.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

model = make_pipeline(
    MinMaxScaler(),
    MLPClassifier(
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter=30,
        early_stopping=True,
        random_state=0,
    ),
)
model.fit(X_train, y_train)
print(f"accuracy on held-out digits: {model.score(X_test, y_test):.3f}")

# %%
display = ConfusionMatrixDisplay.from_estimator(
    model, X_test, y_test, cmap="cividis", colorbar=False
)
display.ax_.set_title("What is taken for what")
plt.show()
