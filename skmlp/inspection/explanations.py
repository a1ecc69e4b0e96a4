"""Explanations: how an answer goes with the columns of X, by slopes that the engine derives.

The law: slopes are those of the very answer that the estimator gives, in float64 and in the user's
columns; attributions along a path add up to the answer less the baseline's, or say that they do
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.words import shown
from ..estimators.prediction import FittedNetwork
from ..estimators.scoring import NotFiniteError
from ..heads.domains import is_count, is_number
from ..tabular.estimators import TabularMLP
from ..training.warn import warn
from .explained import Explained, Inputs
from .networks import ExplainedNetwork
from .paths import Lines, mean_slopes
from .pipelines import unwrapped
from .tables import ExplainedTable

_ROUNDING = 1e-12  # of an answer, which float64 may lose on its way


def explained(estimator: Any, target: Any, name: str) -> Explained:
    """Look an estimator through; errors call what takes it by that name."""
    steps, last = unwrapped(estimator)
    if isinstance(last, FittedNetwork):
        return ExplainedNetwork(estimator, steps, last, target)
    if isinstance(last, TabularMLP):
        return ExplainedTable(steps, last, target, name)
    raise ValueError(
        f"{name} takes a fitted MLPClassifier or MLPRegressor, or a Pipeline or search that ends "
        "in one, or a TabularMLPClassifier or TabularMLPRegressor, got one of type "
        f"{type(last).__name__}."
    )


def _check_finite(numbers: np.ndarray, what: str, first_row: int) -> None:
    """Refuse numbers (n, ...) that are not finite, and name the row."""
    is_finite = np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
    if not is_finite.all():
        raise NotFiniteError(
            f"The network has no finite {what} in row {first_row + int(np.argmin(is_finite))} of "
            "X: check the unit of its columns, or ask for another target."
        )


def input_gradients(estimator: Any, X: Any, target: Any = None) -> np.ndarray:
    r"""Differentiate an answer by each column of X, in every row.

    .. math:: G_{ij} = \frac{\partial a(x_i)}{\partial x_{ij}}

    The engine derives it; there is no step to choose, and no error but rounding. It goes back
    through the linear steps of a `Pipeline` to the columns that the user has, in their units: a
    network that has learned something smooth becomes a function with a gradient, for
    `scipy.optimize.minimize(jac=True)` or a linear approximation around a row.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor, or Pipeline or search that ends in one
        A fitted one; or a `TabularMLPClassifier` or `TabularMLPRegressor` without neighbors.
    X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        Inputs, as the estimator's `predict` takes them.
    target : object, default=None
        What answer is meant. With L the number of outputs or labels, of a regressor:

        ================= ================================= ==================================
        target            a(x)                              shape of the result
        ================= ================================= ==================================
        None              `predict`                         (n, n_features), of several outputs
                                                            (n, n_features, L); with one more
                                                            axis for a `Quantile` of many levels
        "mean", "std"     mean, standard deviation of       (n, n_features), or
                          `predict_distribution`            (n, n_features, L)
        a level in (0, 1) `predict_quantiles`               the same
        ("raw", None)     every raw output of the network   (n, n_features, n_raw)
        ================= ================================= ==================================

        and of a classifier, where `class` is one of `classes_`, or the number of a label:

        ============================ ========================================= =================
        target                       a(x)                                      shape
        ============================ ========================================= =================
        None                         probability of the class that is          (n, n_features)
                                     predicted in that row;
                                     of labels that of each                    (n, n_features, L)
        class                        its probability                           (n, n_features)
        ("probability", class)       the same                                  (n, n_features)
        ("log_probability", class)   its logarithm                             (n, n_features)
        ("raw", class)               the raw output for it; of two classes     (n, n_features)
                                     with one raw output the log-odds
        ("raw", None)                every raw output of the network           (n, n_features,
                                                                               n_raw)
        ============================ ========================================= =================

        Of a head without probabilities (`Hinge`), a class and None mean scores.

    Returns
    -------
    ndarray of float64
        The slopes, of a shape as above. A column that the estimator is not given has 0. What has
        no slope has NaN: a category, since there is nothing between two of them, a date, a number
        that is missing.

    Raises
    ------
    ValueError
        If the estimator is no such one, a step of a pipeline is not linear, the estimator does not
        answer what `target` says, or what it says is not finite.

    See Also
    --------
    integrated_gradients : what each column adds to an answer.
    skmlp.input_sensitivities : one number for each column, without data.

    Notes
    -----
    At a kink, such as ReLU's at 0, the slope is one-sided, as in training; an activation with a
    slope for training alone (`hard_threshold`) has that one here, which is none of the answer's.
    A network of float32 is differentiated in float64.

    Standard deviations and quantiles of distributions are functions of SciPy that the engine does
    not trace. These are differentiated numerically, by Ridders' extrapolated central differences,
    with respect to the few raw outputs, and raw outputs by the engine: to about 1e-9. Those of
    counts are whole numbers, without slope, and refused.

    Of estimators for tables, slopes go through the encoding of numbers, the members and their
    blend. They are those of the bin that a number is in: several bins say more, by
    `integrated_gradients`. What nearest rows and trees say changes by jumps and has no slopes that
    would mean anything: `n_neighbors=None` and `n_trees=None` fit without them.

    References
    ----------
    Baehrens, Schroeter, Harmeling, Kawanabe, Hansen and Mueller, "How to explain individual
    classification decisions", JMLR 11 (2010). Ridders, Advances in Engineering Software 4 (1982).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import input_gradients
    >>> X = np.random.default_rng(0).uniform(-2, 2, size=(300, 2))
    >>> y = (X[:, 0] - 1) ** 2 + (X[:, 1] + 0.5) ** 2
    >>> network = MLPRegressor((30,), "tanh", solver="lbfgs", max_iter=3000, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
    >>> found = minimize(
    ...     lambda x: model.predict([x])[0],
    ...     x0=np.zeros(2),
    ...     jac=lambda x: input_gradients(model, [x])[0],
    ... )
    >>> found.x.round(1)
    array([ 1. , -0.5])
    """
    looked_at = explained(estimator, target, "input_gradients")
    found = [_gradients(looked_at, inputs, start) for start, inputs in looked_at.blocks(X)]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _gradients(looked_at: Explained, inputs: Inputs, start: int) -> np.ndarray:
    """Return the gradients at some rows, in the user's columns."""
    columns = looked_at.columns(inputs.z)
    found = np.empty((len(inputs.z), looked_at.n_columns, columns.shape[1]))
    for j, column in enumerate(columns.T):
        values, slopes = looked_at.function(inputs.z, column)
        _check_finite(values, "answer", start)
        _check_finite(slopes, "slopes", start)
        found[:, :, j] = looked_at.slopes_of_columns(slopes, inputs)
    return found.reshape(len(found), looked_at.n_columns, *looked_at.asked.shape)


# == attributions ==================================================================================


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each column adds to answers, as `integrated_gradients` finds it.

    Behind each shape are the axes of what is asked for, as for `input_gradients`.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_features)
        The attributions, in the unit of the answer. Those of a one-hot group are added up to the
        column that it encodes.
    feature_names : ndarray of shape (n_features,)
        The names of the columns.
    answer : ndarray of shape (n_samples,)
        The answers of the rows.
    baseline_answer : ndarray of shape (n_samples,)
        What each is compared with: the mean answer over the rows of the baseline.
    residual : ndarray of shape (n_samples,)
        How far the values are from adding up: their sum less answer less that of the baseline.
    """

    values: np.ndarray
    feature_names: np.ndarray
    answer: np.ndarray
    baseline_answer: np.ndarray
    residual: np.ndarray


def integrated_gradients(
    estimator: Any,
    X: Any,
    baseline: Any = "mean",
    target: Any = None,
    *,
    steps: Any = "auto",
    tolerance: float | None = None,
) -> Attributions:
    r"""Say what each column adds to an answer, between a baseline and a row.

    .. math:: \phi_{ij} = (x_{ij} - b_j) \int_0^1
              \frac{\partial a}{\partial x_j}\bigl(b + t (x_i - b)\bigr) \, dt,
              \qquad \sum_j \phi_{ij} = a(x_i) - a(b)

    so that the attributions of a row, in the unit of the answer, add up to its answer less that of
    the baseline. Sundararajan, Taly and Yan show that of all ways along a path this one is
    symmetric in the columns; a column that the network does not use has 0, and of a linear model
    it is coefficient times distance from the baseline.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor, or Pipeline or search that ends in one
        A fitted one; a pipeline's other steps are linear, selectors, or encode columns one by one
        (`OneHotEncoder`, `OrdinalEncoder`, `SimpleImputer`), side by side in a `ColumnTransformer`.
        Or a `TabularMLPClassifier` or `TabularMLPRegressor` without neighbors.
    X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        The rows to explain.
    baseline : {"mean", "zero"} or array-like, default="mean"
        What rows are compared with: the mean of the columns of X (of a category the share of each
        of its levels), 0 in every column, one row, or several rows, over which attributions are
        averaged (expected gradients). Rows are given as X is.
    target : object, default=None
        What answer is meant, as for `input_gradients`. With None, a classifier's is the
        probability of the class that is predicted in that row, at the baseline too.
    steps : "auto" or int, default="auto"
        "auto" cuts each path, at kinks where there are any, until attributions add up to
        `tolerance`, and two rules agree on every column. A whole number is that of the nodes of one
        rule of Gauss and Legendre for each path.
    tolerance : float, default=None
        How far the attributions may be from adding up: relative to the difference that they are to
        add up to, or to 1/1000 of the sum of their absolute values, if that is more. None is 1e-6,
        and 1e-3 of estimators for tables, whose encodings have a kink at the edge of every bin.

    Returns
    -------
    Attributions
        Their `values`, with the answers that they lie between.

    Raises
    ------
    ValueError
        If a parameter is anything else; as for `input_gradients`.

    Warns
    -----
    UserWarning
        If the attributions of a row do not add up to the tolerance: naming the row that is worst,
        and its residual.

    See Also
    --------
    input_gradients : the slopes themselves.
    feature_importances : attributions, averaged over rows.

    Notes
    -----
    What is explained is the network, not the world: an attribution says what the answer does along
    a straight path, which goes through points that no data are near, and columns that go together
    share what either would have alone. Which baseline is meant is a choice, and attributions are
    those of that choice.

    Each part of a path is integrated by two rules of Lobatto and Kronrod. Where it does not add
    up, or they disagree in the sum over the columns, it is cut where it bends most, which is at
    the kinks of a piecewise linear network. An answer with jumps (`hard_threshold`) is no integral
    of slopes, and warns.

    In tables a number goes straight in its own unit, a category straight from what stands for its
    one level to what stands for the other, and so does a number that is missing on one side.

    References
    ----------
    Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017,
    arXiv:1703.01365. Erion, Janizek, Sturmfels, Lundberg and Lee, "Improving performance of deep
    learning models with axiomatic attribution priors and expected gradients", Nature Machine
    Intelligence 3 (2021). Gander and Gautschi, "Adaptive quadrature - revisited", BIT 40 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import integrated_gradients
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = MLPRegressor((5,), "tanh", solver="lbfgs", max_iter=5000, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
    >>> found = integrated_gradients(model, X[:5])
    >>> found.values.shape
    (5, 10)
    >>> np.allclose(found.values.sum(axis=1), found.answer - found.baseline_answer)
    True
    """
    _check_rule(steps, tolerance)
    looked_at = explained(estimator, target, "integrated_gradients")
    tolerance = looked_at.tolerance if tolerance is None else float(tolerance)
    start = _baseline(looked_at, X, baseline)
    nodes = None if isinstance(steps, str) else int(steps)
    found = [
        _attributions(looked_at, inputs, start, nodes, tolerance)
        for _, inputs in looked_at.blocks(X)
    ]
    values, answer, baseline_answer, allowed = map(np.concatenate, zip(*found, strict=True))
    residual = np.sum(values, axis=1) - (answer - baseline_answer)
    _warn_of(residual, allowed, tolerance)
    shape = looked_at.asked.shape
    return Attributions(
        values=values.reshape(*values.shape[:2], *shape),
        feature_names=looked_at.names(X),
        answer=answer.reshape(-1, *shape),
        baseline_answer=baseline_answer.reshape(-1, *shape),
        residual=residual.reshape(-1, *shape),
    )


def _check_rule(steps: Any, tolerance: Any) -> None:
    if not (is_count(steps) or (isinstance(steps, str) and steps == "auto")):
        raise ValueError(f"steps must be 'auto' or a whole number >= 1, got {shown(steps)}.")
    if tolerance is not None and not (is_number(tolerance) and tolerance > 0):
        raise ValueError(f"tolerance must be None or a number > 0, got {shown(tolerance)}.")


def _baseline(looked_at: Explained, X: Any, baseline: Any) -> Inputs:
    """Return the rows that paths start from."""
    if not isinstance(baseline, str):
        return looked_at.read(looked_at.as_rows(baseline, X))
    if baseline not in ("mean", "zero"):
        raise ValueError(
            "baseline must be 'mean', 'zero', a row or rows of as many columns as X, got "
            f"{shown(baseline)}."
        )
    if baseline == "mean":
        return looked_at.mean(X)
    name = looked_at.without_zero(X)
    if name is not None:
        raise ValueError(
            f"baseline='zero' is none for column {name!r}, which is no number: give 'mean', or a "
            "row with a value of it."
        )
    return looked_at.zero(X)


def _attributions(
    looked_at: Explained, inputs: Inputs, start: Inputs, steps: int | None, tolerance: float
) -> tuple[np.ndarray, ...]:
    """Return attributions of some rows (n, n_columns, J), and for each of J numbers (n, J).

    They are the answers, those of the baseline, and how far attributions may be from adding up.
    """
    columns, n = looked_at.columns(inputs.z), len(inputs.z)
    values = np.zeros((n, looked_at.n_columns, columns.shape[1]))
    answer, compared, allowed = (np.zeros(columns.shape) for _ in range(3))
    for j, column in enumerate(columns.T):
        answer[:, j] = looked_at.values(inputs.z, column)
        for z, u in zip(start.z, start.u, strict=True):
            lines = Lines(np.broadcast_to(z, inputs.z.shape), inputs.z - z, column)
            slopes = mean_slopes(looked_at.function, looked_at.values, lines, steps, tolerance)
            added = looked_at.added(slopes, inputs, Inputs(z, u))
            before = looked_at.values(lines.starts, column)
            change = np.abs(answer[:, j] - before)
            values[:, :, j] += added / len(start.z)
            compared[:, j] += before / len(start.z)
            scale = np.maximum(change, 1e-3 * np.sum(np.abs(added), axis=1))
            rounding = _ROUNDING * np.maximum(np.abs(answer[:, j]), np.abs(before))
            allowed[:, j] += (tolerance * scale + rounding) / len(start.z)
    return values, answer, compared, allowed


def _warn_of(residual: np.ndarray, allowed: np.ndarray, tolerance: float) -> None:
    """Warn of rows whose attributions do not add up."""
    is_wrong = ~(np.abs(residual) <= allowed).all(axis=1)
    if is_wrong.any():
        away = np.nan_to_num(np.abs(residual).max(axis=1), nan=np.inf)
        row = int(np.argmax(np.where(is_wrong, away, -1.0)))
        others = f", and those of {is_wrong.sum() - 1} more rows" if is_wrong.sum() > 1 else ""
        warn(
            f"The attributions of row {row}{others} do not add up to answer less baseline's: they "
            f"are {away[row]:.3g} apart, more than tolerance={tolerance:g} allows; take "
            "steps='auto', or activations without jumps.",
            UserWarning,
        )
