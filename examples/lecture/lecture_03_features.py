r"""
3. Hidden layers are learned features
=====================================

A linear model needs columns in which its classes can be told apart by a weighted sum.
Where they cannot, people make features by hand. A hidden layer makes them from the data:
training shapes each layer so that what it gives, h = f(x), is useful to the layer above,

.. math:: \hat y = \operatorname{softmax}(W h(x) + b), \qquad
          W, b \text{ and } h \text{ learned together.}

The top layer is a plain logistic regression. Everything below it is the search for
columns in which a logistic regression is enough.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skmlp import MLPClassifier
from skmlp.inspection import HiddenFeaturesDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = make_pipeline(
    MinMaxScaler(),
    MLPClassifier(
        (64, 32),
        alpha=1.0,
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter=30,
        random_state=0,
    ),
).fit(X_train, y_train)

# %%
# Hand the columns of each layer to the simplest classifier there is, which never saw the
# network learn: it takes the class whose mean is nearest. It does better in hidden layers
# than in pixels, because samples of a class have moved together, and classes apart.

scale, network = model[0], model[-1]
levels = {"64 pixels": (X_train, X_test)}
for layer, width in enumerate(network.hidden_layer_sizes):
    levels[f"{width} units of layer {layer + 1}"] = tuple(
        network.hidden_layer_output(scale.transform(part), layer=layer)
        for part in (X_train, X_test)
    )
for name, (train, test) in levels.items():
    means = np.stack([train[y_train == digit].mean(axis=0) for digit in range(10)])
    nearest = cdist(test, means).argmin(axis=1)
    print(f"{name:24}{np.mean(nearest == y_test):.3f}")

# %%
# The first layer sees pixels, so its weights can be looked at as images: each unit is a
# stroke, or an edge, that it answers to. On the left are the held-out digits as the
# layer sees them.

HiddenFeaturesDisplay.from_estimator(model, X_test, y_test, layer=0, image_shape=(8, 8))
plt.show()

# %%
# The layer above looks at those units, and not at pixels. What it answers to is shown by
# the digits that drive each unit the most, and there the classes have come apart.

HiddenFeaturesDisplay.from_estimator(
    model, X_test, y_test, layer=1, image_shape=(8, 8), n_units=8
)
plt.show()
