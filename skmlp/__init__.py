"""skmlp: a multilayer perceptron for scikit-learn users, over a backprop engine of its own.

>>> from sklearn.datasets import load_iris
>>> from skmlp import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier((16,), activation="tanh", solver="lbfgs", max_iter=500, random_state=0)
>>> model.fit(X, y).predict(X[:3])
array([0, 0, 0])
"""

from .activations import ACTIVATIONS, Learned
from .engine import (
    Expression,
    check_gradient,
    log_softmax,
    logsumexp,
    softmax,
    stop_gradient,
    straight_through,
)
from .estimators import MLPClassifier, MLPRegressor
from .heads import (
    HEADS,
    AbsoluteError,
    Brier,
    Focal,
    Gamma,
    Gaussian,
    GaussianMixture,
    Head,
    Hinge,
    Huber,
    Laplace,
    Linear,
    Logistic,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    Poisson,
    Quantile,
    Softmax,
    StudentT,
    Tweedie,
    check_head,
)
from .network import INITIALISERS, LAYERS, Layer, RadialBasis, VarianceScaling

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "HEADS",
    "INITIALISERS",
    "LAYERS",
    "AbsoluteError",
    "Brier",
    "Expression",
    "Focal",
    "Gamma",
    "Gaussian",
    "GaussianMixture",
    "Head",
    "Hinge",
    "Huber",
    "Laplace",
    "Layer",
    "Learned",
    "Linear",
    "LogNormal",
    "Logistic",
    "MLPClassifier",
    "MLPRegressor",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "Quantile",
    "RadialBasis",
    "Softmax",
    "StudentT",
    "Tweedie",
    "VarianceScaling",
    "check_gradient",
    "check_head",
    "log_softmax",
    "logsumexp",
    "softmax",
    "stop_gradient",
    "straight_through",
]
