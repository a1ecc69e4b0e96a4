"""What theta means: layers, composed into one expression."""

from .initializers import INITIALIZERS, VarianceScaling
from .layers import LAYERS, Layer, RadialBasis
from .network import Network
from .normalization import NORMALIZATIONS
from .occasions import Noise

__all__ = [
    "INITIALIZERS",
    "LAYERS",
    "NORMALIZATIONS",
    "Layer",
    "Network",
    "Noise",
    "RadialBasis",
    "VarianceScaling",
]
