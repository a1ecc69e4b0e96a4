"""Seeing and explaining: pictures of what a network learned, and why it answers as it does."""

from .explanations import (
    Attributions,
    input_gradients,
    integrated_gradients,
)
from .importances import WithImportances, feature_importances, importances_on

__all__ = [
    "Attributions",
    "WithImportances",
    "feature_importances",
    "importances_on",
    "input_gradients",
    "integrated_gradients",
]
