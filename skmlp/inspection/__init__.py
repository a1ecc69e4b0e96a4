"""Seeing and explaining: pictures of what a network learned, and why it answers as it does."""

from .explanations import (
    Attributions,
    feature_importances,
    importances_on,
    input_gradients,
    integrated_gradients,
)

__all__ = [
    "Attributions",
    "feature_importances",
    "importances_on",
    "input_gradients",
    "integrated_gradients",
]
