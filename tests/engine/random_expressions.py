"""Random functions made of NumPy calls, for tests that compare a program with NumPy itself.

A function is a list of steps; each applies an operation to values made before. Because the
operations are NumPy's, the same list computes with arrays and traces with expressions.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from scipy import special

from skmlp.engine import BATCH, Expression, log_softmax, logsumexp, softmax, variable

ROWS = 5  # different from every other length, so that a batch axis cannot pass for another one
WIDTH = 3
SHAPES = {
    "x": (BATCH, WIDTH),
    "c": (BATCH, 1),
    "v": (BATCH,),
    "W": (WIDTH, WIDTH),
    "b": (WIDTH,),
    "s": (),
}

SMOOTH = {
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "negative": np.negative,
    "square": lambda a: np.square(0.5 * a),
    "cube": lambda a: (0.5 * a) ** 3,
    "expit": special.expit,
    "softplus": lambda a: np.logaddexp(a, 0.0),
    "log_expit": special.log_expit,
    "erf": special.erf,
    "log1p of square": lambda a: np.log1p(a * a),
    "root": lambda a: np.sqrt(1 + a * a),
    "double": lambda a: a + a,
    "times itself": lambda a: a * a,
    "sum": np.sum,
    "sum of rows": lambda a: np.sum(a, axis=0),
    "sum of rows, kept": lambda a: np.sum(a, axis=0, keepdims=True),
    "sum of columns": lambda a: np.sum(a, axis=-1),
    "sum of columns, kept": lambda a: np.sum(a, axis=-1, keepdims=True),
    "mean of rows": lambda a: np.mean(a, axis=0),
    "mean of columns": lambda a: np.mean(a, axis=-1),
    "variance of rows": lambda a: np.var(a, axis=0),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": logsumexp,
    "transpose": np.transpose,
    "first column": lambda a: a[..., 0] if a.ndim == 1 else a[:, 0],
    "other columns": lambda a: a[:, 1:],
    "columns reversed": lambda a: a[:, ::-1],
    "column": lambda a: a[:, None],
    "row": lambda a: a[None],
    "twice as wide": lambda a: np.concatenate([a, 0.5 * a], axis=1),
    "stacked": lambda a: np.stack([a, np.sin(a)], axis=-1)[..., 1],
    "reshaped": lambda a: np.reshape(a, (-1, 1, 3))[:, 0],
    "ones": np.ones_like,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "over a positive": lambda a, b: a / (1 + b * b),
    "logaddexp": np.logaddexp,
    "power": lambda a, b: (1 + a * a) ** np.tanh(b),
    "matmul": lambda a, b: 0.5 * (a @ b),
    "product with the transpose": lambda a, b: 0.2 * (a.T @ b),
}
KINKED = {
    "absolute": np.abs,
    "relu": lambda a: np.maximum(a, 0),
    "clip": lambda a: np.clip(a, -1, 1),
    "positive part": lambda a: a * (a > 0),
    "largest": lambda a: np.max(a, axis=-1),
    "smallest of rows": lambda a: np.min(a, axis=0),
    "how many are positive": lambda a: np.sum(a > 0, axis=-1),
    "neither large nor small": lambda a: ((a > -1) & ~(a > 1)) * 1.0,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": lambda a, b: np.where(a > b, a, 0.5 * b),
    "truth values added": lambda a, b: 1.0 * ((a > 0) + (b > 0) + (a > b)),
}
OPERATIONS = SMOOTH | KINKED
BINARY = {
    *("add", "subtract", "multiply", "over a positive", "logaddexp", "power", "matmul"),
    *("product with the transpose", "maximum", "minimum", "where", "truth values added"),
}
MISFITS = (ValueError, IndexError)  # what an expression raises where the shape does not fit


@dataclass(frozen=True)
class RandomFunction:
    """A list of steps: an operation and which of the earlier values it takes."""

    steps: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, *inputs):
        """Return every value: the inputs, then one for each step."""
        values = list(inputs)
        for name, operands in self.steps:
            values.append(OPERATIONS[name](*(values[i] for i in operands)))
        return values

    def __repr__(self):
        names = list(SHAPES)
        lines = [f"{name}{operands}" for name, operands in self.steps]
        return f"RandomFunction of {names}: " + ", ".join(lines)


def variables():
    return [variable(name, shape) for name, shape in SHAPES.items()]


def arrays(seed=0, rows=ROWS, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = [tuple(rows if d == BATCH else d for d in shape) for shape in SHAPES.values()]
    return [np.array(rng.standard_normal(shape), dtype) for shape in shapes]


@st.composite
def functions(draw, operations=tuple(OPERATIONS), attempts=24):
    """Draw a list of steps whose shapes fit and whose values stay moderate."""
    values, traced, steps = arrays(), variables(), []
    for _ in range(draw(st.integers(attempts // 2, attempts))):
        name = draw(st.sampled_from(operations))
        operands = tuple(draw(st.integers(0, len(traced) - 1)) for _ in range(1 + (name in BINARY)))
        try:
            expression = OPERATIONS[name](*(traced[i] for i in operands))
        except MISFITS:
            continue
        value = OPERATIONS[name](*(values[i] for i in operands))
        if isinstance(expression, Expression) and value.size and np.max(np.abs(value)) < 100:
            traced.append(expression)
            values.append(value)
            steps.append((name, operands))
    return RandomFunction(tuple(steps))
