"""The backprop engine: NumPy code traced into a graph, differentiated, and run in place."""

from types import MappingProxyType

from . import arrangements as _arrangements  # noqa: F401, it fills FUNCTIONS
from .check import check_gradient
from .composites import log_softmax, logsumexp, softmax
from .expression import FUNCTIONS as _FUNCTIONS
from .expression import Expression, constant, variable
from .gradient import gradient
from .graph import ComputationGraph
from .memory import aligned, filled
from .plan import Plan
from .primitives import PRIMITIVES as _PRIMITIVES
from .primitives import register, row_numbers, stop_gradient, straight_through, take
from .program import Program, evaluate, running
from .shapes import BATCH

# To look at; `register` is the way in.
FUNCTIONS, PRIMITIVES = MappingProxyType(_FUNCTIONS), MappingProxyType(_PRIMITIVES)

__all__ = [
    "BATCH",
    "FUNCTIONS",
    "PRIMITIVES",
    "ComputationGraph",
    "Expression",
    "Plan",
    "Program",
    "aligned",
    "check_gradient",
    "constant",
    "evaluate",
    "filled",
    "gradient",
    "log_softmax",
    "logsumexp",
    "register",
    "row_numbers",
    "running",
    "softmax",
    "stop_gradient",
    "straight_through",
    "take",
    "variable",
]
