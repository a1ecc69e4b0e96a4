"""skmlp: a multilayer perceptron for scikit-learn users, over a backprop engine of its own.

>>> from sklearn.datasets import load_iris
>>> from skmlp import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier((16,), activation="tanh", solver="lbfgs", max_iter=500, random_state=0)
>>> model.fit(X, y).predict(X[:3])
array([0, 0, 0])
"""

from . import activations as activations
from . import callbacks as callbacks
from .engine import check_gradient
from .estimators import MLPClassifier, MLPRegressor, input_sensitivities
from .files import trusted_types
from .heads import Head, check_head
from .network import Layer
from .network.activations import Learned

__version__ = "0.1.0"

__all__ = [
    "Head",
    "Layer",
    "Learned",
    "MLPClassifier",
    "MLPRegressor",
    "check_gradient",
    "check_head",
    "input_sensitivities",
    "trusted_types",
]
