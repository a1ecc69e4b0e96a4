"""All that knows scikit-learn: the estimators, their settings, data, scores and answers."""

from .classifier import MLPClassifier
from .regressor import MLPRegressor
from .sensitivities import input_sensitivities

__all__ = ["MLPClassifier", "MLPRegressor", "input_sensitivities"]
