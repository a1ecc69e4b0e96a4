"""Solvers: rules that move the flat vector theta.

The law of a stochastic solver: `bind(theta, g)` returns the `Move`, which moves theta in place,
chunk by chunk, by one gradient, which it uses up, at the solver's `rate`, which a schedule sets.
The solver's attributes are its whole state, so keeping the object is keeping the state.

`SOLVERS` stands right under their definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from scipy import optimize

from ..engine import filled
from .vectors import CHUNK, blas, chunks_of, common, descending

NOWHERE = slice(0, 0)
CLEARED_AFTER = 64  # steps, the numbers of a solver that are too small to matter are made 0


# == stochastic solvers ============================================================================


@dataclass(frozen=True)
class Move:
    """A step of a solver on a vector.

    Attributes
    ----------
    begin : callable
        Called first: counts the step and sets its rate.
    chunks : list of callables
        Called next, in any order: each moves one of the `chunks_of` theta.
    """

    begin: Callable[[], None]
    chunks: list[Callable[[], None]]

    def __call__(self) -> None:
        """Take the whole step."""
        self.begin()
        for move_chunk in self.chunks:
            move_chunk()


class Solver:
    """What every stochastic solver has.

    A subclass is made with `(theta, rate, weights, factors, **options)`, theta for its length and
    precision, and names in `options` the parameters of the estimators that it takes as keywords.

    Attributes
    ----------
    steps : int
        The number of steps taken.
    weights : slice
        The stretch of theta that a decay of weights is for.
    factors : list of (slice, float)
        What the rate is multiplied by on some stretches of theta; elsewhere 1.
    by_epochs : bool
        Whether it goes by scikit-learn's three schedules.
    squares : tuple of str
        Which of its vectors are sums of squares, never negative.
    """

    options: ClassVar[tuple[str, ...]] = ()
    by_epochs: ClassVar[bool] = False
    squares: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rate: float, weights: slice, factors: Sequence[tuple[slice, float]]) -> None:
        self.rate, self.steps = float(rate), 0
        self.weights, self.factors = weights, list(factors)

    def bind(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        raise NotImplementedError


def clearing(dtype: Any) -> Callable[..., None]:
    """Make what turns numbers into 0 that would soon be denormal: below 1e-26 in float32.

    What never gets a gradient again, a dead unit's weights and moments, decays without end, and
    arithmetic on denormal numbers is many times slower than on any others.

    Examples
    --------
    >>> moments = np.array([1e-3, -1e-40, 1e-310])
    >>> clearing(np.float64)(np.empty(3), moments)
    >>> moments
    array([ 1.e-03, -1.e-40,  0.e+00])
    """
    least = np.array(np.finfo(dtype).tiny * 2.0**40, dtype)

    def clear(scratch: np.ndarray, *vectors: np.ndarray) -> None:
        for vector in vectors:
            np.absolute(vector, scratch)
            np.copyto(scratch, scratch >= least)
            np.multiply(vector, scratch, vector)

    return clear


def _by_chunk(
    move: Callable[..., None], descents: Sequence[Sequence[Any]], *vectors: np.ndarray
) -> list[Callable[[], None]]:
    """Bind a move to what descends on each chunk, and to that of some vectors of one length."""
    return [
        partial(move, *of_chunk, *(vector[chunk] for vector in vectors))
        for *of_chunk, chunk in zip(*descents, chunks_of(vectors[0]), strict=True)
    ]


class SGD(Solver):
    r"""Stochastic gradient descent with momentum.

    .. math:: v \leftarrow \mu v - \eta g, \quad \theta \leftarrow \theta + v

    or, with Nesterov's momentum, :math:`\theta \leftarrow \theta + \mu v - \eta g` after the
    update of v (Sutskever et al., ICML 2013).
    """

    options: ClassVar[tuple[str, ...]] = ("momentum", "nesterovs_momentum")
    by_epochs: ClassVar[bool] = True

    def __init__(
        self,
        theta: np.ndarray,
        rate: float,
        weights: slice = NOWHERE,
        factors: Sequence[tuple[slice, float]] = (),
        *,
        momentum: float,
        nesterovs_momentum: bool,
    ) -> None:
        super().__init__(rate, weights, factors)
        self.momentum = float(momentum)
        self.nesterovs_momentum = bool(nesterovs_momentum)
        self.velocity = filled(theta.shape, 0, theta.dtype)

    def bind(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        axpy, scal, _ = blas(theta.dtype)
        clear = clearing(theta.dtype)
        of_velocity = descending(g, self.velocity, self.factors)
        of_theta = descending(g, theta, self.factors)

        def begin() -> None:
            self.steps += 1

        def move(
            fall: Callable[[float], None],
            descend: Callable[[float], None],
            theta: np.ndarray,
            g: np.ndarray,
            v: np.ndarray,
        ) -> None:
            scal(self.momentum, v)
            fall(self.rate)
            if self.nesterovs_momentum:
                axpy(v, theta, a=self.momentum)
                descend(self.rate)
            else:
                axpy(v, theta)
            if self.steps % CLEARED_AFTER == 0:
                clear(g, theta, v)

        return Move(begin, _by_chunk(move, [of_velocity, of_theta], theta, g, self.velocity))


class Adam(Solver):
    r"""Adam, of Kingma and Ba (2014), arXiv:1412.6980, with the bias corrections in the rate.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
              \theta \leftarrow \theta - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
              \frac{m}{\sqrt{v} + \epsilon}

    Epsilon stands beside the uncorrected root, as in scikit-learn and in section 2 of the paper.
    The moments are kept as m / (1 - beta_1) and v / (1 - beta_2), sums instead of means, which
    saves two passes; epsilon and the rate make up for it.
    """

    options: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")
    squares: ClassVar[tuple[str, ...]] = ("second_moment",)

    def __init__(
        self,
        theta: np.ndarray,
        rate: float,
        weights: slice = NOWHERE,
        factors: Sequence[tuple[slice, float]] = (),
        *,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        super().__init__(rate, weights, factors)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.first_moment = filled(theta.shape, 0, theta.dtype)
        self.second_moment = filled(theta.shape, 0, theta.dtype)

    def bind(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        axpy, scal, _ = blas(theta.dtype)
        one, two = 1 - self.beta_1, math.sqrt(1 - self.beta_2)
        epsilon, rate = np.array(self.epsilon / two, theta.dtype), 0.0
        clear = clearing(theta.dtype)

        def begin() -> None:
            nonlocal rate
            self.steps = t = self.steps + 1
            corrections = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
            rate = self.rate * corrections * one / two

        def move(
            descend: Callable[[float], None],
            theta: np.ndarray,
            g: np.ndarray,
            m: np.ndarray,
            v: np.ndarray,
        ) -> None:
            scal(self.beta_1, m)
            axpy(g, m)
            np.square(g, g)
            scal(self.beta_2, v)
            axpy(g, v)
            np.sqrt(v, g)
            np.add(g, epsilon, g)
            np.divide(m, g, g)
            descend(rate)
            if self.steps % CLEARED_AFTER == 0:
                clear(g, theta, m, v)

        moments = self.first_moment, self.second_moment
        descents = [descending(g, theta, self.factors)]
        return Move(begin, _by_chunk(move, descents, theta, g, *moments))


class AdamW(Adam):
    r"""Adam with decoupled weight decay, of Loshchilov and Hutter (2017), arXiv:1711.05101.

    .. math:: W \leftarrow (1 - \eta \lambda) W

    before each step of Adam. Unlike an L2 penalty, the decay is not divided by the size of the
    gradient, so that all weights shrink alike.
    """

    options: ClassVar[tuple[str, ...]] = ("weight_decay", *Adam.options)

    def __init__(
        self,
        theta: np.ndarray,
        rate: float,
        weights: slice = NOWHERE,
        factors: Sequence[tuple[slice, float]] = (),
        *,
        weight_decay: float,
        **adam: float,
    ) -> None:
        super().__init__(theta, rate, weights, factors, **adam)
        self.weight_decay = float(weight_decay)

    def bind(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        adam, scal = super().bind(theta, g), blas(theta.dtype).scal

        def decayed(move: Callable[[], None], chunk: slice) -> Callable[[], None]:
            weights = theta[common(chunk, self.weights)]

            def decay_and_move() -> None:
                scal(1 - self.rate * self.weight_decay, weights)
                move()

            return decay_and_move if weights.size else move

        chunks = zip(adam.chunks, chunks_of(theta), strict=True)
        return Move(adam.begin, [decayed(move, chunk) for move, chunk in chunks])


SOLVERS: Mapping[str, type[Solver]] = MappingProxyType({"sgd": SGD, "adam": Adam, "adamw": AdamW})


# == what stands before and behind a step ==========================================================


def is_finite(g: np.ndarray) -> bool:
    """Tell whether all numbers of a gradient are finite, mostly from the sum of their squares.

    Examples
    --------
    >>> is_finite(np.array([1.0, 2.0])), is_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    return math.isfinite(np.dot(g, g)) or bool(np.isfinite(g).all())  # squares may overflow


def clip_norm(g: np.ndarray, largest: float) -> bool:
    """Scale a gradient down, in place, to a norm of at most `largest`.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, arXiv:1211.5063.

    Examples
    --------
    >>> g = np.array([3.0, 4.0])
    >>> clip_norm(g, 1.0), g
    (True, array([0.6, 0.8]))
    """
    with np.errstate(over="ignore"):
        norm = math.sqrt(float(np.dot(g, g)))
    if not math.isfinite(norm):  # the squares may be too large where the numbers are not
        peak = float(np.max(np.abs(g)))
        if not math.isfinite(peak):
            return False
        g /= peak
        norm = math.sqrt(float(np.dot(g, g)))
        largest = min(largest, norm * peak)
        g *= largest / norm
    elif norm > largest:
        g *= largest / norm
    return True


class Average:
    r"""An exponential moving average of parameters, corrected for its beginning.

    .. math:: a_t = \frac{1 - d}{1 - d^t} \sum_{s=1}^t d^{t-s} \theta_s

    with decay d: the weights sum to 1, so that early averages are of few parameters, and not drawn
    to where they began. Polyak and Juditsky, SIAM Journal on Control and Optimization 30 (1992);
    the correction is that of Adam's moments.

    Attributes
    ----------
    values : ndarray
        The average.

    Examples
    --------
    >>> average = Average(np.zeros(1), 0.5)
    >>> for theta in (1.0, 4.0):
    ...     average.update(np.array([theta]))
    >>> average.values
    array([3.])
    """

    def __init__(self, theta: np.ndarray, decay: float) -> None:
        self.decay = float(decay)
        self.steps = 0
        self.values = filled(theta.shape, 0, theta.dtype)

    def update(self, theta: np.ndarray) -> None:
        """Take in the parameters after one more step."""
        self.steps += 1
        share = (1 - self.decay) / (1 - self.decay**self.steps)
        axpy, scratch = blas(theta.dtype).axpy, np.empty(min(CHUNK, len(theta)), theta.dtype)
        for chunk in chunks_of(theta):
            a = self.values[chunk]
            axpy(np.subtract(theta[chunk], a, scratch[: len(a)]), a, a=share)


# == the full-batch solver =========================================================================


def minimize_lbfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    theta: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    max_fun: int,
    after_iteration: Callable[[np.ndarray, float], None],
) -> Any:
    """Minimize by L-BFGS (Liu and Nocedal 1989), as scipy.optimize has it."""
    last = {"value": math.nan}

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, g = objective(x)
        last["value"] = value
        return value, g.astype(np.float64)

    # float32 values cannot show progress below their rounding.
    precision = float(np.finfo(theta.dtype).eps)
    return optimize.minimize(
        evaluate,
        theta.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=lambda x: after_iteration(x, last["value"]),
        options={
            "maxfun": max_fun,
            "maxiter": max_iter,
            "gtol": tol,
            "ftol": max(2.220446049250313e-09, precision),
        },
    )
