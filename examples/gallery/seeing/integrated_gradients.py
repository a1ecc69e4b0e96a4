"""
Which pixels make it a three?
=============================

Integrated gradients say what each pixel adds to the probability of the class that a
network predicts, between an empty image and the one that it is shown. They add up:
their sum is the probability here less the probability there.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skmlp import MLPClassifier
from skmlp.inspection import integrated_gradients

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = MLPClassifier(
    (64,),
    "tanh",
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=30,
    random_state=0,
)
model = make_pipeline(MaxAbsScaler(), network).fit(X_train, y_train)
print(f"accuracy on new digits: {model.score(X_test, y_test):.3f}")

# %%
# One digit of each class. Red pixels speak for the class that is predicted, blue ones
# against it; what is white makes no difference.

rows = [int(np.flatnonzero(y_test == digit)[0]) for digit in range(10)]
found = integrated_gradients(model, X_test[rows], baseline="zero")
largest = np.abs(found.values).max()

figure, axes = plt.subplots(2, 10, figsize=(11, 2.6), layout="constrained")
for column, row in enumerate(rows):
    axes[0, column].imshow(X_test[row].reshape(8, 8), cmap="Greys")
    axes[0, column].set_title(f"{model.predict(X_test[[row]])[0]}")
    picture = axes[1, column].imshow(
        found.values[column].reshape(8, 8), cmap="RdBu_r", vmin=-largest, vmax=largest
    )
for one in axes.ravel():
    one.set(xticks=[], yticks=[])
figure.colorbar(picture, ax=axes[1, :], label="added to the\nprobability")
plt.show()

# %%
# That they add up is no accident but how they are computed: paths are cut at bends until
# they do.

residual = found.values.sum(axis=1) - (found.answer - found.baseline_answer)
print(f"probability of the predicted class: {found.answer.round(3)}")
print(f"how far the sums are from adding up: {np.abs(residual).max():.1e} at most")
