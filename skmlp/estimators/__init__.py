"""All that knows scikit-learn: the estimators, their settings, data, scores and answers."""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
