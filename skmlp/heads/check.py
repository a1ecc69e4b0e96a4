"""The laws of a head, checked on any head: ours in the tests, yours in your own.

Each law is a function of a head and of a case, targets and raw outputs to try it on. It raises an
AssertionError that says what is wrong; `LAWS` right under them names all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..engine import BATCH, Expression, Program, check_gradient, evaluate, gradient, variable
from .domains import is_count
from .head import Head, best_constant

_ROWS = 40
_EXTREMES = {np.float64: 1e4, np.float32: 1e3}  # the largest raw outputs in each precision
_EDGES = (0.0, 1e-30, 0.5, 1.0, 3.0, 1e6)  # targets, with either sign
_LEVELS = (0.05, 0.3, 0.5, 0.9)


class Case(NamedTuple):
    """What a head is tried on: a kind of target, encoded targets (n, k), raw outputs (n, n_raw)."""

    kind: str
    y: np.ndarray
    raw: np.ndarray


def check_head(head: Any, y: Any = None, *, random_state: int = 0) -> tuple[str, ...]:
    """Check that a head keeps the laws that an estimator, and its user, rely on.

    It compares and copies like a value; its losses, predictions and classes have their shapes,
    keep float32, and treat each row by itself; the gradient is that of the loss; loss and
    gradient are finite for raw outputs up to +-1e4 (+-1e3 in float32) and for all targets that
    `check_target` lets pass; `initial_raw` is the best constant, and a weight of 2 is two rows;
    quantiles are ordered; probabilities are such.

    Parameters
    ----------
    head : Head
        The head.
    y : array-like of shape (n,) or (n, n_targets), optional
        Targets for a head of numbers; by default they are drawn from what its `check_target`
        lets pass.
    random_state : int, default=0
        Seed of targets and raw outputs.

    Returns
    -------
    tuple of str
        The laws that were checked, for each kind of target.

    Raises
    ------
    AssertionError
        If a law is broken; the message says which, and where.
    TypeError
        If it is no instance of a `Head`, or its loss cannot be traced.

    Examples
    --------
    >>> from skmlp import check_head
    >>> from skmlp.heads import Head, Huber
    >>> len(check_head(Huber()))
    7
    >>> class Mean(Head):
    ...     def loss(self, raw, y):
    ...         return np.mean(np.square(raw - y))
    >>> check_head(Mean())
    Traceback (most recent call last):
    ...
    AssertionError: Mean(): loss must return one number for each row, of shape (40,), ...
    """
    if not isinstance(head, Head):
        what = f"the class {head.__name__}" if isinstance(head, type) else repr(head)
        raise TypeError(f"check_head needs an instance of a Head, got {what}")
    kinds = sorted(head.targets) if y is None else ["numbers"]
    checked = []
    for kind in kinds:
        with np.errstate(all="ignore"):  # a number that is not finite is told in a sentence
            case = _case(head, kind, y, np.random.default_rng(random_state))
            checked += [f"{kind}: {name}" for name, law in LAWS.items() if law(head, case)]
    return tuple(checked)


def _require(condition: Any, head: Head, sentence: str) -> None:
    if not condition:
        raise AssertionError(f"{head}: {sentence}")


# == what a head is tried on =======================================================================


def _case(head: Head, kind: str, y: Any, rng: np.random.Generator) -> Case:
    if y is not None:
        y = np.asarray(y, np.float64).reshape(len(y), -1)
    elif kind == "numbers":
        y = _numbers(head, rng)
    else:
        y = _classes(head, kind, rng)
    n_raw: Any = head.n_raw(y.shape[1])
    _require(
        is_count(n_raw), head, f"n_raw({y.shape[1]}) must be a whole number >= 1, got {n_raw!r}"
    )
    return Case(kind, y, rng.normal(size=(len(y), int(n_raw))))


def _numbers(head: Head, rng: np.random.Generator) -> np.ndarray:
    """Draw numbers of two targets from the head's domain, wherever that may be."""
    shape = (_ROWS, 2)
    normal = rng.normal(size=shape)
    for y in (2 * normal, np.exp(1.2 * normal), rng.uniform(size=shape), 1.0 * (normal > 0)):
        if _accepts(head, y):
            return y
    raise AssertionError(
        f"{head}: check_target lets neither normal numbers nor positive ones, numbers in (0, 1) "
        "nor 0 and 1 pass: give targets, check_head(head, y)"
    )


def _classes(head: Head, kind: str, rng: np.random.Generator) -> np.ndarray:
    wants = {"multiclass": True, "multilabel": False}.get(kind, head.is_one_hot)
    _require(
        kind in ("binary", "multiclass", "multilabel"),
        head,
        f"targets may hold 'numbers', 'binary', 'multiclass' and 'multilabel', got {kind!r}",
    )
    _require(
        head.is_one_hot == wants,
        head,
        f"{kind} targets come {'as one column each' if wants else 'as columns of 0 and 1'}, which "
        f"needs is_one_hot = {wants}",
    )
    n_classes = 2 if kind == "binary" else 4
    if head.is_one_hot:
        codes = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, _ROWS - 4)])
        return np.eye(n_classes)[codes]
    return 1.0 * (rng.uniform(size=(_ROWS, 1 if kind == "binary" else 3)) < 0.4)


def _accepts(head: Head, y: np.ndarray) -> bool:
    try:
        head.check_target(y)
    except ValueError:
        return False
    except Exception as error:
        raise AssertionError(
            f"{head}: check_target must raise a ValueError for targets that cannot be learned, "
            f"got {type(error).__name__}: {error}"
        ) from error
    return True


# == laws ==========================================================================================


def _is_a_value(head: Head, case: Case) -> bool:  # noqa: ARG001
    """Equal to its copies, hashable: what clone and GridSearchCV need."""
    try:
        is_same = copy.deepcopy(head) == head and hash(head) == hash(copy.deepcopy(head))
    except (TypeError, ValueError) as error:  # of lists, and of arrays
        raise AssertionError(
            f"{head}: its fields must be hashable, tuples instead of lists: {error}"
        ) from error
    _require(
        is_same, head, "it must equal its copies: make it a @dataclass(frozen=True) with fields"
    )
    return True


def _takes_its_targets(head: Head, case: Case) -> bool:
    _require(
        _accepts(head, case.y), head, f"check_target refuses {case.kind} targets it is meant for"
    )
    return True


def _has_shapes(head: Head, case: Case) -> bool:
    """Of losses, predictions and centers; the same traced as plain; in float32 too."""
    n, k = case.y.shape
    n_constant: Any = head.n_constant(k)
    _require(
        n_constant == 0 or (is_count(n_constant) and n_constant <= case.raw.shape[1]),
        head,
        f"n_constant({k}) must be a whole number from 0 to n_raw = {case.raw.shape[1]}, "
        f"got {n_constant!r}",
    )
    _check_output(head, case, "loss", head.loss, (n,))
    if case.kind != "numbers":
        _check_output(head, case, "predict", head.predict, (n, k))
        return True
    predicted = np.shape(head.predict(case.raw))
    _require(
        predicted[:2] == (n, k) and len(predicted) <= 3,
        head,
        f"predict must return shape (n, n_targets), here ({n}, {k}), or (n, n_targets, m), "
        f"got {predicted}",
    )
    _check_output(head, case, "predict", head.predict, predicted)
    _check_output(head, case, "center", head.center, (n, k))
    return True


def _check_output(
    head: Head, case: Case, name: str, function: Callable[..., Any], shape: tuple[int, ...]
) -> None:
    """Check shape and precision of an output, and that the traced function computes the same."""
    inputs = (case.raw, case.y) if name == "loss" else (case.raw,)
    values = function(*inputs)
    what = "one number for each row, of" if name == "loss" else "numbers of"
    _require(
        np.shape(values) == shape,
        head,
        f"{name} must return {what} shape {shape}, got shape {np.shape(values)}",
    )
    bad = np.ravel(values)[~np.isfinite(np.ravel(values))]
    _require(not len(bad), head, f"{name} must be finite, got {', '.join(map(str, bad[:1]))}")
    narrow = function(*(x.astype(np.float32) for x in inputs))
    _require(
        name == "loss" or narrow.dtype == np.float32,  # training computes losses in a program
        head,
        f"{name} must keep float32, got {narrow.dtype}: write numbers as Python's (math.pi, "
        "float(x)) instead of NumPy's",
    )
    variables = [
        variable("raw", (BATCH, case.raw.shape[1])),
        variable("y", (BATCH, *case.y.shape[1:])),
    ]
    traced = function(*variables[: len(inputs)])
    _require(
        isinstance(traced, Expression),
        head,
        f"{name} must be made of its arguments with NumPy functions, got {type(traced).__name__}",
    )
    found = evaluate(traced, dict(zip(variables, inputs, strict=False)))
    _require(
        np.shape(found) == shape and np.allclose(found, values, rtol=1e-6, atol=1e-9),
        head,
        f"{name} computes one thing of arrays and another when it is traced",
    )


def _rows_are_independent(head: Head, case: Case) -> bool:
    """The loss and the prediction of a row are those of the row alone."""
    half = slice(1, None, 2)
    parts = [
        ("loss", head.loss(case.raw, case.y), head.loss(case.raw[half], case.y[half])),
        ("predict", head.predict(case.raw), head.predict(case.raw[half])),
    ]
    for name, whole, part in parts:
        _require(
            np.shape(part) == np.shape(whole[half])
            and np.allclose(whole[half], part, rtol=1e-6, atol=1e-9),
            head,
            f"{name} of a row must not depend on the other rows: reduce over axis 1 alone",
        )
    return True


def _has_a_right_gradient(head: Head, case: Case) -> bool:
    try:
        check_gradient(lambda raw: head.loss(raw, case.y), case.raw)
    except AssertionError as error:
        raise AssertionError(f"{head}: of loss, {error}") from error
    return True


def _is_finite(head: Head, case: Case) -> bool:
    """At extreme raw outputs, for every target that passes, as a program computes it."""
    targets = [case.y]
    if case.kind == "numbers":
        edges = (np.full((1, case.y.shape[1]), sign * edge) for edge in _EDGES for sign in (1, -1))
        targets += [edge for edge in edges if _accepts(head, edge)]
    y = np.concatenate(targets)
    rng = np.random.default_rng(0)
    for dtype, extreme in _EXTREMES.items():
        steps = rng.choice([-extreme, -1.0, 0.0, 1.0, extreme], (20, len(y), case.raw.shape[1]))
        steps[0], steps[1] = extreme, -extreme
        raw = steps.reshape(-1, case.raw.shape[1])
        loss, slope = _loss_and_gradient(head, raw, np.tile(y, (len(steps), 1)), dtype)
        bad = np.flatnonzero(~np.isfinite(loss) | ~np.isfinite(slope).all(axis=1))
        if len(bad):
            row = int(bad[0])
            what = "gradient" if np.isfinite(loss[row]) else "loss"
            raise AssertionError(
                f"{head}: the {what} in {np.dtype(dtype)} is not finite for raw = "
                f"{raw[row].tolist()} and y = {np.tile(y, (len(steps), 1))[row].tolist()}, which "
                "check_target lets pass: bound what overflows (np.minimum, np.logaddexp), or "
                "refuse the target"
            )
    return True


def _loss_and_gradient(
    head: Head, raw: np.ndarray, y: np.ndarray, dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the loss of every row and its gradient as training does."""
    at, target = variable("raw", (BATCH, raw.shape[1])), variable("y", (BATCH, y.shape[1]))
    loss = head.loss(at, target)
    program = Program([loss, *gradient(np.sum(loss), [at])], dtype=dtype)
    values, slope = program.run({at: raw.astype(dtype), target: y.astype(dtype)})
    return values, slope


def _starts_at_the_best(head: Head, case: Case) -> bool:
    """No constant near `initial_raw` has a lower loss; a weight of 2 is two rows."""
    counts = 1 + np.arange(len(case.y)) % 3
    for y, weights in ((case.y, None), (case.y, counts)):
        start = np.asarray(head.initial_raw(y, weights))
        _require(
            start.shape == (case.raw.shape[1],) and np.isfinite(start).all(),
            head,
            f"initial_raw must return {case.raw.shape[1]} finite numbers, got {start}",
        )
        at_start = _constant_loss(head, start, y, weights)
        better = best_constant(head, y, weights, start)
        at_better = _constant_loss(head, better, y, weights)
        _require(
            at_start <= at_better + 1e-6 * (1 + abs(at_better)),
            head,
            f"initial_raw gives a mean loss of {at_start:.8g}, but raw = {better.tolist()} one of "
            f"{at_better:.8g}" + ("" if weights is None else ", with weights"),
        )
    repeated = np.asarray(head.initial_raw(np.repeat(case.y, counts, axis=0)))
    at_repeated = _constant_loss(head, repeated, case.y, counts)
    _require(
        abs(at_repeated - at_start) <= 1e-6 * (1 + abs(at_start)),
        head,
        "initial_raw must treat a weight of 2 as two rows: its mean loss is "
        f"{at_start:.8g} with weights, {at_repeated:.8g} with rows repeated",
    )
    return True


def _constant_loss(head: Head, raw: np.ndarray, y: np.ndarray, weights: Any) -> float:
    losses = head.loss(np.tile(raw, (len(y), 1)), y)
    return float(np.average(losses, weights=weights))


def _has_ordered_quantiles(head: Head, case: Case) -> bool:
    """Of the right shape; and the distribution, where there is one, has one row for each."""
    if case.kind != "numbers" or not head.has_quantiles:
        return False
    n, k = case.y.shape
    levels = tuple(getattr(head, "levels", _LEVELS))
    if head.has_distribution:
        levels = _LEVELS
        frozen = head.distribution(case.raw)
        for name in ("mean", "std"):
            shape = np.shape(getattr(frozen, name)())
            _require(
                shape == (n, k),
                head,
                f"distribution must have parameters of shape (n, n_targets), here ({n}, {k}), but "
                f"its {name} has shape {shape}",
            )
    quantiles = np.asarray(head.quantile(case.raw, levels))
    _require(
        quantiles.shape == (n, k, len(levels)),
        head,
        f"quantile must return shape (n, n_targets, levels), here {(n, k, len(levels))}, got "
        f"{quantiles.shape}",
    )
    _require(np.all(np.diff(quantiles, axis=2) >= 0), head, "quantiles must increase with levels")
    if head.has_distribution:
        reached = np.stack([frozen.cdf(quantiles[..., i]) for i in range(len(levels))], axis=2)
        _require(
            np.all(reached >= np.array(levels) - 1e-6),
            head,
            "distribution: cdf(ppf(q)) must reach q",
        )
    return True


def _tells_classes(head: Head, case: Case) -> bool:
    """Classes are numbers of columns; probabilities are in [0, 1], and sum to 1 over classes."""
    if case.kind == "numbers":
        return False
    n, k = case.y.shape
    codes = np.asarray(head.classify(case.raw))
    shape, largest = ((n,), k - 1) if head.is_one_hot else ((n, k), 1)
    _require(
        codes.shape == shape
        and codes.dtype.kind in "iu"
        and codes.min() >= 0
        and codes.max() <= largest,
        head,
        f"classify must return whole numbers from 0 to {largest}, of shape {shape}, got "
        f"{codes.dtype} of shape {codes.shape}",
    )
    if not head.has_probabilities:
        return True
    p = head.predict(case.raw)
    _require(np.all((p >= 0) & (p <= 1)), head, "predict must return probabilities, from 0 to 1")
    if head.is_one_hot:
        worst = float(np.max(np.abs(np.sum(p, axis=1) - 1)))
        _require(worst < 1e-9, head, f"probabilities must sum to 1, they are off by {worst:.2g}")
    logarithms = [("log_probability", head.log_probability, p)]
    if not head.is_one_hot:
        logarithms.append(("log_complement", head.log_complement, 1 - p))
    for name, function, probability in logarithms:
        _require(
            np.allclose(np.exp(function(case.raw)), probability, rtol=1e-9, atol=1e-12),
            head,
            f"{name} must be the logarithm of what predict says",
        )
        extreme = function(np.sign(case.raw) * 1e4)
        _require(
            not np.isnan(extreme).any(), head, f"{name} must be a number for raw outputs of +-1e4"
        )
    return True


LAWS: dict[str, Callable[[Head, Case], bool]] = {
    "a value": _is_a_value,
    "its targets": _takes_its_targets,
    "shapes": _has_shapes,
    "independent rows": _rows_are_independent,
    "gradient": _has_a_right_gradient,
    "finite": _is_finite,
    "initial_raw": _starts_at_the_best,
    "quantiles": _has_ordered_quantiles,
    "classes": _tells_classes,
}
