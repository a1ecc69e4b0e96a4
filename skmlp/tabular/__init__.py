"""Tables: networks that learn from raw data frames, and answer better than one network does."""

from .estimators import TabularMLPClassifier, TabularMLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]
