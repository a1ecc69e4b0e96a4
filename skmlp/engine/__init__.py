"""The backprop engine: NumPy code traced into a graph, differentiated, and run in place."""

from .check import check_gradient
from .composites import log_softmax, logsumexp, softmax
from .expression import FUNCTIONS, Expression, constant, variable
from .gradient import gradient
from .graph import ComputationGraph
from .memory import aligned, filled
from .plan import Plan
from .primitives import PRIMITIVES, stop_gradient, straight_through
from .program import Program, evaluate, running
from .shapes import BATCH

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
    "running",
    "softmax",
    "stop_gradient",
    "straight_through",
    "variable",
]
