"""What theta means: layers, composed into one expression."""

from .initializers import INITIALIZERS, VarianceScaling
from .layers import LAYERS, Layer, RadialBasis

__all__ = ["INITIALIZERS", "LAYERS", "Layer", "RadialBasis", "VarianceScaling"]
