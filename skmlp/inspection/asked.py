"""What is asked of a fitted network: numbers that its raw outputs say, with their slopes.

The law: whatever is asked for is a function of the raw outputs, row by row, with K numbers for
each row. Where it is made of NumPy functions that the engine knows, the engine differentiates it;
where it is not, such as a quantile of a mixture, it is differentiated numerically with respect to
the few raw outputs, and the slopes of those with respect to the inputs are the engine's all the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..engine import BATCH, Expression, Program, gradient, variable
from ..engine.words import shown
from ..estimators.availability import only_with
from ..heads.domains import as_levels, is_number

Numbers = Callable[[Any], Any]  # of raw outputs (n, n_raw): numbers (n, K)

_FIRST_STEP = 0.1  # of Ridders' method, for raw outputs up to 1; in proportion for larger ones
_STEPS = 14
_SHRINKS = 4.0
_OF_CLASSES = ("probability", "log_probability", "raw")


@dataclass(frozen=True, eq=False)
class Asked:
    """Numbers that raw outputs say.

    Parameters
    ----------
    n_raw : int
        How many raw outputs there are.
    numbers : callable
        Of raw outputs (n, n_raw), arrays or an Expression: K numbers for each row, (n, K).
    shape : tuple of int
        The shape of what is asked for of a row; () for one number.
    picked : callable, optional
        Of raw outputs: which of the K numbers is asked for of each row, (n,). None is all.
    """

    n_raw: int
    numbers: Numbers
    shape: tuple[int, ...] = ()
    picked: Callable[[np.ndarray], np.ndarray] | None = None

    def columns(self, raw: np.ndarray) -> np.ndarray:
        """Return which of the K numbers are asked for of each row, (n, how many)."""
        if self.picked is not None:
            return self.picked(raw)[:, None]
        wanted = int(np.prod(self.shape, dtype=int))
        return np.tile(np.arange(wanted), (len(raw), 1))

    def values(self, raw: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return one of the K numbers of each row, (n,)."""
        with np.errstate(all="ignore"):
            numbers = np.asarray(self.numbers(raw), np.float64)
        return np.take_along_axis(numbers, column[:, None], axis=1)[:, 0]

    def slopes(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Make what differentiates one of the K numbers of each row by the raw outputs.

        Returns
        -------
        callable
            Of raw outputs (n, n_raw) and which number is meant of each row (n,): (n, n_raw).
        """
        raw = variable("raw", (BATCH, self.n_raw))
        try:
            traced = self.numbers(raw)
        except Exception:  # whatever somebody's function says of what is no array
            traced = None
        if not isinstance(traced, Expression):
            return self._by_differences
        received, n_numbers = variable("received", traced.shape), int(traced.shape[1])
        program = Program(gradient(traced, [raw], received))

        def by_engine(at: np.ndarray, column: np.ndarray) -> np.ndarray:
            one_hot = np.zeros((len(at), n_numbers))
            np.put_along_axis(one_hot, column[:, None], 1.0, axis=1)
            return np.array(program.run({raw: at, received: one_hot})[0])

        return by_engine

    def _by_differences(self, raw: np.ndarray, column: np.ndarray) -> np.ndarray:
        found = np.empty_like(raw)
        for i, direction in enumerate(np.eye(self.n_raw)):

            def moved(h: np.ndarray, along: np.ndarray = direction) -> np.ndarray:
                return self.values(raw + h[:, None] * along, column)

            with np.errstate(all="ignore"):  # what is not finite is refused by its value
                found[:, i] = derivative(moved, np.maximum(1.0, np.abs(raw[:, i])))
        return found


def derivative(f: Callable[[np.ndarray], np.ndarray], size: np.ndarray) -> np.ndarray:
    r"""Differentiate functions of one number at 0, by central differences extrapolated to no step.

    .. math:: f'(0) = \frac{f(h) - f(-h)}{2 h} + c_2 h^2 + c_4 h^4 + \ldots

    for steps from large to very small, Richardson's extrapolation taking out one power of h after
    another; of all entries of the tableau the one that differs least from its neighbors is taken,
    but none is trusted beyond the rounding of f. It is right to about nine digits where f is
    smooth, whatever its scale. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances
    in Engineering Software 4 (1982).

    Parameters
    ----------
    f : callable
        Of numbers (n,): one function's value for each, (n,).
    size : ndarray of shape (n,)
        How large the steps may be: a tenth of it is the first one.

    Returns
    -------
    ndarray of shape (n,)
        The derivatives.

    Examples
    --------
    >>> derivative(lambda h: np.exp(np.array([0.0, 1.0]) + h), np.ones(2)).round(8)
    array([1.        , 2.71828183])
    """
    best, least = np.full(size.shape, np.nan), np.full(size.shape, np.inf)
    before: list[np.ndarray] = []
    for i in range(_STEPS):
        h = _FIRST_STEP * size / _SHRINKS**i
        ahead, behind = f(h), f(-h)
        rounding = np.finfo(np.float64).eps * np.maximum(np.abs(ahead), np.abs(behind)) / h
        row = [(ahead - behind) / (2 * h)]
        for j, above in enumerate(before):
            factor = _SHRINKS ** (2 * (j + 1))
            finer = row[j] + (row[j] - above) / (factor - 1)
            error = np.maximum(np.abs(finer - row[j]), np.abs(finer - above)) + rounding
            is_better = error < least
            best, least = np.where(is_better, finer, best), np.where(is_better, error, least)
            row.append(finer)
        before = row
    return best


# == what a target means ===========================================================================


def asked(target: Any, of: Any) -> Asked:
    """Return what a `target` of `input_gradients` means, or refuse it.

    Parameters
    ----------
    target : object
        As `input_gradients` takes it.
    of : Numbers or Classes of `skmlp.estimators.targets`
        What the raw outputs mean, with its head.
    """
    is_pair = isinstance(target, tuple) and len(target) == 2
    if is_pair and _is_word(target[0], "raw") and target[1] is None:
        return _all_raw(of)
    return _of_numbers(target, of) if of.usual == "numbers" else _of_classes(target, of)


def _is_word(value: Any, word: str) -> bool:
    return isinstance(value, str) and value == word


def _all_raw(of: Any) -> Asked:
    n_raw = of.head.n_raw(of.n_targets)
    return Asked(n_raw, lambda raw: raw, (n_raw,))


# -- numbers ---------------------------------------------------------------------------------------


def _of_numbers(target: Any, of: Any) -> Asked:
    head, n_targets = of.head, of.n_targets
    n_raw, outputs = head.n_raw(n_targets), () if n_targets == 1 else (n_targets,)
    if target is None:
        answered = head.predict(np.zeros((1, n_raw))).shape
        shape = outputs + answered[2:]
        return Asked(n_raw, lambda raw: _flat(head.predict(raw), answered), shape)
    if _is_word(target, "mean") or _is_word(target, "std"):
        if not head.has_distribution:
            raise ValueError(f"target={target!r}: {only_with('distribution', head)}")
        with np.errstate(all="ignore"):
            of_zeros = getattr(head.distribution(np.zeros((1, n_raw))), target)()
        if not np.isfinite(of_zeros).all():
            raise ValueError(
                f"target={target!r}: the distributions of {head!r} have none that is finite: give "
                "a level in (0, 1) of a quantile."
            )
        if target == "mean":
            return Asked(n_raw, head.predict, outputs)  # the law of a head with a distribution
        return Asked(n_raw, lambda raw: head.distribution(raw).std(), outputs)
    if is_number(target) and 0 < target < 1:
        return Asked(n_raw, _quantile(float(as_levels(target)), head, n_raw), outputs)
    raise ValueError(
        f"target={shown(target)} is nothing that a regressor says: give None for its prediction, "
        "'mean' or 'std' of its distribution, a level in (0, 1) of a quantile, or ('raw', None)."
    )


def _flat(answers: Any, shape: tuple[int, ...]) -> Any:
    """Return predictions (n, n_targets, levels) as (n, n_targets * levels)."""
    return answers.reshape(-1, int(np.prod(shape[1:]))) if len(shape) > 2 else answers


def _quantile(level: float, head: Any, n_raw: int) -> Numbers:
    if not head.has_quantiles:
        raise ValueError(f"target={level:g}: {only_with('quantiles', head)}")
    zeros = np.zeros((1, n_raw))
    if head.has_distribution and isinstance(
        getattr(head.distribution(zeros), "dist", None), stats.rv_discrete
    ):
        raise ValueError(
            f"target={level:g} asks for a quantile of {head!r}, which is a whole number and has no "
            "slope: give target='mean' or 'std'."
        )
    head.quantile(zeros, [level])  # that of a level which it does not know raises
    return lambda raw: head.quantile(raw, [level])[..., 0]


# -- classes ---------------------------------------------------------------------------------------


def _of_classes(target: Any, of: Any) -> Asked:
    head = of.head
    n_raw, what = head.n_raw(of.n_targets), "probability"
    if isinstance(target, tuple):
        if len(target) != 2 or target[0] not in _OF_CLASSES:
            raise ValueError(
                f"target={shown(target)} is nothing that a classifier says: give None, a class, or "
                "('probability', class), ('log_probability', class), ('raw', class), ('raw', None)."
            )
        what, target = target
        if not head.has_probabilities and what != "raw":
            raise ValueError(f"target={shown((what, target))}: {only_with('probabilities', head)}")
    numbers = {"raw": _raw_of_classes, "log_probability": _log_probabilities}.get(
        what, _probabilities
    )(of)
    if target is not None:
        code = _code(target, of)
        return Asked(n_raw, numbers, (), lambda raw: np.full(len(raw), code))
    if of.kind == "multilabel":
        return Asked(n_raw, numbers, (len(of.classes),))
    last = len(of.classes) - 1  # the only one, where a fit saw no other
    return Asked(n_raw, numbers, (), lambda raw: np.minimum(of.classify(raw), last))


def _code(label: Any, of: Any) -> int:
    """Return the number of a class, in the head's order."""
    classes = of.classes.tolist()
    if np.ndim(label) == 0 and label in classes:
        return classes.index(label)
    what = "labels" if of.kind == "multilabel" else "classes"
    raise ValueError(f"target={shown(label)} is none of the {what} {shown(classes)}: give one.")


def _beside_complement(of: Any, complement: Numbers, one: Numbers) -> Numbers:
    """Return the numbers of both classes where a head has a column for the second alone."""
    if of.kind != "binary" or of.head.is_one_hot:
        return one
    if len(of.classes) == 1:
        return lambda raw: complement(raw) * 0.0
    return lambda raw: np.concatenate([complement(raw), one(raw)], axis=1)


def _probabilities(of: Any) -> Numbers:
    """Return the probabilities of all classes; of a head without, their scores."""
    predict = of.head.predict
    if len(of.classes) == 1 and of.kind == "binary" and not of.head.is_one_hot:
        return lambda raw: predict(raw) * 0.0 + 1.0
    if not of.head.has_probabilities:
        return _beside_complement(of, lambda raw: -predict(raw), predict)
    return _beside_complement(of, lambda raw: 1.0 - predict(raw), predict)


def _log_probabilities(of: Any) -> Numbers:
    return _beside_complement(of, of.head.log_complement, of.head.log_probability)


def _raw_of_classes(of: Any) -> Numbers:
    head, n_raw = of.head, of.head.n_raw(of.n_targets)
    if head.is_ordered or n_raw != of.n_targets:
        raise ValueError(
            f"the raw outputs of {head!r} are those of no class: give target=('raw', None) for all "
            "of them, or ('log_probability', class)."
        )
    return _beside_complement(of, lambda raw: -raw, lambda raw: raw)
