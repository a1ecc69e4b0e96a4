"""Sensitivities: how much the raw outputs of a fitted network change with each input.

The law: what is asked of a network here, its layers and parameters answer alone, without data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import ndtri

from ..engine import BATCH, Program, gradient, variable
from ..network.network import values_of
from .prediction import Fitted, FittedNetwork

_ROWS = 512


def input_sensitivities(estimator: Any) -> np.ndarray:
    r"""Tell how sensitive a fitted network is to each column of X: an importance getter.

    .. math:: s_j = \sqrt{\mathrm{E}_{x \sim N(0, I)} \sum_o
              \left(\frac{\partial raw_o}{\partial x_j}\right)^2}

    the root mean square of the slopes of all raw outputs, where inputs are what a `StandardScaler`
    makes of independent normal columns. Without hidden layers, and with linear ones, it is the
    absolute value of the coefficient. Of a column that the network does not use it is exactly 0,
    and for such inputs s_j^2 is at least the variance that outputs lose when column j is known no
    more (Sobol' and Kucherenko 2009).

    `SelectFromModel` and `RFE` take it as it stands, `importance_getter=skmlp.input_sensitivities`;
    of a pipeline's last step it is `lambda model: skmlp.input_sensitivities(model[-1])`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A fitted one, of any layers.

    Returns
    -------
    ndarray of shape (`n_features_in_`,)
        A number for each column, zero or positive.

    Raises
    ------
    ValueError
        If the estimator is no network, or not finite on inputs of mean 0 and variance 1.

    Notes
    -----
    It goes by the network alone, which is what an importance getter is given, and so cannot see

    - the scales of columns: as with `coef_`, put them on one, with a `StandardScaler`;
    - how they are distributed: a column that is constant in the data keeps the weights that were
      drawn for it, and counts (`VarianceThreshold` takes it out); of two equal columns each has a
      part of what either would have alone; slopes count where there are no data, too;
    - what is good: a column that an overfitted network uses counts like one that helps. For that,
      `sklearn.inspection.permutation_importance` takes held-out data.

    The mean is over 512 points of a Latin hypercube, always the same: right to a few per cent, or
    tens where few slopes are far larger than others, as in layers that are normalized. Raw outputs
    are those of the head: for classes logits, for a distribution all its parameters. A slope that
    is there for training alone, such as hard_threshold's, counts as if it were real.

    References
    ----------
    Dimopoulos, Bourret and Lek, "Use of some sensitivity criteria for choosing networks with good
    generalization ability", Neural Processing Letters 2 (1995). Sobol' and Kucherenko, "Derivative
    based global sensitivity measures and their link with global sensitivity indices", Mathematics
    and Computers in Simulation 79 (2009). McKay, Beckman and Conover, Technometrics 21 (1979).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_selection import SelectFromModel
    >>> from skmlp import MLPRegressor, input_sensitivities
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> y = X[:, 1] * X[:, 3]
    >>> network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=1, max_iter=500, random_state=0)
    >>> model = SelectFromModel(network, importance_getter=input_sensitivities).fit(X, y)
    >>> model.get_support()
    array([False,  True, False,  True])
    """
    if not isinstance(estimator, FittedNetwork):
        raise ValueError(
            "input_sensitivities takes a fitted MLPClassifier or MLPRegressor, got one of type "
            f"{type(estimator).__name__}: of a pipeline give the last step, model[-1]."
        )
    slopes_at, inputs = _slopes(Fitted(estimator)), estimator.n_features_in_
    with np.errstate(all="ignore"):
        # Which column is first makes no difference: they are drawn for in the order of slopes at 0.
        order = np.lexsort([slopes[0] for slopes in slopes_at(np.zeros((1, inputs)))])
        points = _points(inputs)[:, np.argsort(order)]
        squares = sum(np.mean(np.square(slopes), axis=0) for slopes in slopes_at(points))
        found = np.sqrt(squares)
    if not np.isfinite(found).all():
        raise ValueError(
            "input_sensitivities takes a network that is finite on inputs of mean 0 and variance "
            "1: fit it to inputs on that scale (StandardScaler)."
        )
    return found


def _slopes(fitted: Fitted) -> Callable[[np.ndarray], Iterator[np.ndarray]]:
    """Make what computes the slopes of each raw output at points, of shape (points, inputs)."""
    network, variables = fitted.network, fitted.network.variables()
    x = variable("x", (BATCH, network.layer_units[0]))
    raw = network.layers(x, variables)[-1]
    received = variable("received", raw.shape)
    values = values_of(variables, fitted.parts)
    read = {part: np.ascontiguousarray(array, np.float64) for part, array in values.items()}
    program = Program(gradient(raw, [x], received), read)

    def slopes(points: np.ndarray) -> Iterator[np.ndarray]:
        for one in np.eye(network.layer_units[-1]):
            yield program.run({x: points, received: np.tile(one, (len(points), 1))})[0]

    return slopes


def _points(inputs: int) -> np.ndarray:
    """Draw points of independent normal columns: each column has one in each of as many parts."""
    rng = np.random.default_rng(0)
    places = rng.permuted(np.tile(np.arange(_ROWS), (inputs, 1)), axis=1).T
    return ndtri((places + 0.5) / _ROWS)
