"""
The computation graph of a fitted network
=========================================

Every number that is computed on the way from inputs to loss, with its value and the
derivative of the loss, for the samples that are given. What is used directly for what is
a line.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier
from skmlp.inspection import ComputationGraphDisplay

X, y = load_iris(return_X_y=True)
model = make_pipeline(
    StandardScaler(),
    MLPClassifier((4,), "tanh", solver="lbfgs", alpha=1.0, random_state=0),
).fit(X, y)

# %%
# Without targets: how two flowers become probabilities.

ComputationGraphDisplay.from_estimator(model, X[[0, 100]])
plt.show()

# %%
# With targets: the loss, and every derivative.

ComputationGraphDisplay.from_estimator(model, X[[0, 100]], y[[0, 100]])
plt.show()
