"""Layers: hidden layers that are more than an activation of x W + b.

`LAYERS` stands right under the definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from ..engine import stop_gradient


class Layer:
    """A hidden layer that is more than an activation of x W + b; subclass it to make your own.

    Like an activation, it is given as `activation=`, by its name in `LAYERS` or as an instance.
    Its matrix W of shape (inputs, units) and its vector b of shape (units,) are published in
    `coefs_` and `intercepts_` and learned like any other. They mean what the layer makes of them,
    so the L2 penalty leaves them alone. Make a subclass a frozen dataclass: its fields are its
    parameters, and `GridSearchCV` can compare and print it.
    """

    def outputs(self, x: Any, W: Any, b: Any) -> Any:
        """Compute the outputs of shape (n, units), with NumPy functions alone.

        Parameters
        ----------
        x : array or Expression of shape (n, inputs)
            The layer's input.
        W : array or Expression of shape (inputs, units)
            Its matrix.
        b : array or Expression of shape (units,)
            Its vector.

        Returns
        -------
        array or Expression of shape (n, units)
            The outputs.
        """
        raise NotImplementedError(f"{type(self).__name__} must define outputs(x, W, b)")

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the W and the b that training starts from.

        Parameters
        ----------
        rng : RandomState
            Where random numbers come from.
        x : ndarray of shape (rows, inputs)
            What the layer sees of some distinct rows of the training data, in random order.
        units : int
            The number of units.

        Returns
        -------
        ndarray of shape (inputs, units), ndarray of shape (units,)
            W and b.
        """
        raise NotImplementedError(f"{type(self).__name__} must define initial(rng, x, units)")


_LARGEST_LOG_WIDTH = 40.0  # exp(-+2 * 40) is a normal number, in float32 too
_FARTHEST = 80.0  # in half squared widths; exp(-80) as well
_CENTERS_COMPARED = 1000


@dataclass(frozen=True)
class RadialBasis(Layer):
    r"""A layer of bumps: each unit answers to inputs near its center, and learns where that is.

    .. math:: a_j = \exp\left(-\frac{\lVert x - c_j \rVert^2}{2 s_j^2}\right)

    The center c_j is column j of the layer's matrix in `coefs_`, the logarithm of the width s_j
    is entry j of its bias in `intercepts_`. Outputs are in (0, 1]. One such layer approximates any
    continuous function on a bounded set (Park and Sandberg, Neural Computation 1991). It is good
    for smooth targets and few inputs, dense and on one scale; use "lbfgs", or "adam" with a
    learning rate of 0.01 or so. Far from all data it answers with the output's bias. Broomhead
    and Lowe, Complex Systems 1988.

    Centers start on distinct random rows of the training data, or, above another hidden layer, on
    what the layer sees of them; if there are fewer than units, rows are used again. All widths
    start at `width` times the mean distance between the centers (between rows, for one unit).

    Parameters
    ----------
    width : float, default=0.5
        The widths that training starts from, in mean distances between centers.

    Raises
    ------
    ValueError
        If `width` is not positive and finite.

    Examples
    --------
    >>> centers, log_widths = np.array([[0.0, 3.0]]), np.zeros(2)
    >>> RadialBasis().outputs(np.array([[0.0], [1.0], [2.0]]), centers, log_widths).round(3)
    array([[1.   , 0.011],
           [0.607, 0.135],
           [0.135, 0.607]])
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not 0 < self.width < np.inf:
            raise ValueError(f"RadialBasis needs a width that is positive, got {self.width!r}")

    def outputs(self, x: Any, W: Any, b: Any) -> Any:
        """Compute the outputs; `Layer.outputs` says more."""
        # Squared distances as |x|^2 - 2 x c + |c|^2 lose digits far from 0, so 0 is moved.
        middle = stop_gradient(np.mean(W, axis=1))
        x, W = x - middle, W - middle[:, None]
        squares = np.sum(x * x, axis=1)[:, None] - 2 * (x @ W) + np.sum(W * W, axis=0)
        log_widths = np.clip(b, -_LARGEST_LOG_WIDTH, _LARGEST_LOG_WIDTH)
        return np.exp(-np.clip(squares * (0.5 * np.exp(-2 * log_widths)), 0, _FARTHEST))

    def initial(
        self,
        rng: np.random.RandomState,  # noqa: ARG002, the rows come in random order
        x: np.ndarray,
        units: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return centers and log-widths to start from; `Layer.initial` says more."""
        _, first = np.unique(x, axis=0, return_index=True)
        distinct = x[np.sort(first)]
        centers = np.resize(distinct, (units, x.shape[1]))
        compared = (centers if units > 1 else distinct)[:_CENTERS_COMPARED]
        distances = pdist(compared.astype(np.float64))
        mean = float(np.mean(distances)) if np.any(distances) else 1.0
        return centers.T, np.full(units, np.log(self.width * mean))


LAYERS: dict[str, Layer] = {
    "rbf": RadialBasis(),
}
