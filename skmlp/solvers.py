"""Solvers: rules that move the flat vector theta, and schedules for their rates.

The law of a stochastic solver: `on(theta, g)` returns the `Move`, which moves theta in place, chunk
by chunk, by one gradient, which it uses up, at the solver's `rate`, which a schedule sets. The
solver's attributes are its whole state, so keeping the object is keeping the state.

`SOLVERS` and `SCHEDULES` stand right under their definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy import optimize

from .engine import filled
from .vectors import CHUNK, blas, chunks_of, stretches_in

SMALLEST_RATE = 1e-6  # where the adaptive schedule gives up, as scikit-learn's
CLEARED_AFTER = 64  # steps, the numbers of a solver that are too small to matter are made 0


# == schedules =====================================================================================

Factor = Callable[[float], float]  # of progress in [0, 1]: what learning_rate_init is multiplied by


@dataclass(frozen=True)
class Constant:
    """The rate of an epoch stays what it is: rate = learning_rate_init.

    Parameters
    ----------
    rate_init : float
        The rate to begin with.
    power_t : float
        The exponent of `InverseScaling`.
    factor : callable, optional
        What the rate of an epoch is multiplied by for a step, as a function of progress.
    """

    rate_init: float
    power_t: float
    factor: Factor | None = None

    def after_epoch(self, rate: float, samples_seen: int) -> float:  # noqa: ARG002
        """Return the rate for the next epoch."""
        return rate

    def at_plateau(self, rate: float) -> float | None:  # noqa: ARG002
        """Return the rate to go on with where training no longer improves; None to stop."""
        return None


class InverseScaling(Constant):
    """The rate falls with the samples seen: rate = learning_rate_init / (t + 1)^power_t."""

    def after_epoch(self, rate: float, samples_seen: int) -> float:  # noqa: ARG002
        """Return the rate for the next epoch."""
        return self.rate_init / (samples_seen + 1) ** self.power_t


class Adaptive(Constant):
    """The rate is divided by 5 whenever training no longer improves, until it is below 1e-6."""

    def at_plateau(self, rate: float) -> float | None:
        """Return a fifth of the rate, or None where it is too small already."""
        return None if rate <= SMALLEST_RATE else rate / 5.0


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2016, arXiv:1608.03983).

    Examples
    --------
    >>> [round(cosine(p), 3) for p in (0, 0.25, 0.5, 1)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


def linear(progress: float) -> float:
    """Fall from 1 to 0 along a line.

    Examples
    --------
    >>> linear(0.25)
    0.75
    """
    return 1 - progress


_RISE, _LOW, _END = 0.3, 1 / 25, 1 / 25e4  # as PyTorch's OneCycleLR


def one_cycle(progress: float) -> float:
    """Rise from 1/25 to 1 in the first 30 %, then fall to 4e-6, along half cosines.

    Large rates in the middle regularise (Smith and Topin 2017, arXiv:1708.07120).

    Examples
    --------
    >>> [round(one_cycle(p), 3) for p in (0, 0.15, 0.3, 0.65, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < _RISE:
        return _LOW + (1 - _LOW) * (1 - cosine(progress / _RISE))
    return _END + (1 - _END) * cosine((progress - _RISE) / (1 - _RISE))


def coslog4(progress: float) -> float:
    """Go through four cycles from 0 to 1 and back, each twice as long as the one before.

    (1 - cos(2 pi log2(1 + 15 progress))) / 2, of RealMLP: Holzmueller, Grinsztajn and Steinwart,
    "Better by default", NeurIPS 2024. The first step has rate 0.

    Examples
    --------
    >>> [round(coslog4(p), 3) for p in (0, 1 / 15, 3 / 15, 7 / 15, 1)]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    >>> round(coslog4((2**1.5 - 1) / 15), 3)
    1.0
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * progress)))


def flat_cos(progress: float) -> float:
    """Stay at 1 for the first half, then fall to 0 along half a cosine.

    Examples
    --------
    >>> [round(flat_cos(p), 3) for p in (0, 0.5, 0.75, 1)]
    [1.0, 1.0, 0.5, 0.0]
    """
    return 1.0 if progress < 0.5 else cosine(2 * progress - 1)


# scikit-learn's three, which set the rate of an epoch, and functions of progress.
SCHEDULES: dict[str, type[Constant] | Factor] = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "linear": linear,
    "coslog4": coslog4,
    "flat_cos": flat_cos,
}


def schedule_of(parameters: Any, *, by_epochs: bool) -> Constant:
    """Make the schedule that an estimator's parameters ask for.

    Parameters
    ----------
    parameters : estimator
        Its `learning_rate`, `learning_rate_init`, `power_t` and `warmup` are read.
    by_epochs : bool
        Whether scikit-learn's three schedules apply; with adam they do not, as there.

    Returns
    -------
    Constant
        The schedule.
    """
    asked, warmup = parameters.learning_rate, float(parameters.warmup)
    found = SCHEDULES[asked] if isinstance(asked, str) else asked
    kind: type[Constant] = Constant
    factor: Factor | None = None
    if not isinstance(found, type):
        factor = found
    elif by_epochs:
        kind = found
    if warmup > 0:
        factor = _warmed_up(factor, warmup)
    return kind(float(parameters.learning_rate_init), float(parameters.power_t), factor)


def _warmed_up(factor: Factor | None, warmup: float) -> Factor:
    def warmed(progress: float) -> float:
        return min(1.0, progress / warmup) * (1.0 if factor is None else factor(progress))

    return warmed


def comes_to_rest(learning_rate: Any) -> bool:
    """Tell whether a schedule of that name ends, by itself, with a rate of nearly 0.

    Examples
    --------
    >>> comes_to_rest("cosine"), comes_to_rest("adaptive"), comes_to_rest(lambda progress: 0)
    (True, False, False)
    """
    found = SCHEDULES.get(learning_rate) if isinstance(learning_rate, str) else None
    return found is not None and not isinstance(found, type) and found(1.0) < 0.01


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


class Solver(Protocol):
    """What training asks of a stochastic solver.

    Attributes
    ----------
    rate : float
        The rate of the next step.
    steps : int
        How many have been taken.
    by_epochs : bool
        Whether it goes by scikit-learn's three schedules.
    """

    rate: float
    steps: int
    by_epochs: ClassVar[bool]

    def on(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""


def clearing(dtype: Any) -> Callable[..., None]:
    """Make what turns numbers into 0 that would soon be denormal: below 1e-26 in float32.

    What never gets a gradient again, a dead unit's weights and moments, decays without end, and
    arithmetic on denormal numbers is many times slower than on any others.

    Parameters
    ----------
    dtype : dtype
        The precision.

    Returns
    -------
    callable
        `(scratch, *vectors)`: clears the vectors, using up the scratch, of the same length.

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


def _on_chunks(move: Callable[..., None], *vectors: np.ndarray) -> list[Callable[[], None]]:
    """Bind a move to each chunk of some vectors of one length."""
    chunks = chunks_of(vectors[0])
    return [partial(move, *(vector[chunk] for vector in vectors)) for chunk in chunks]


class SGD:
    r"""Stochastic gradient descent with momentum.

    .. math:: v \leftarrow \mu v - \eta g, \quad \theta \leftarrow \theta + v

    or, with Nesterov's momentum, :math:`\theta \leftarrow \theta + \mu v - \eta g` after the
    update of v (Sutskever et al., ICML 2013).

    Parameters
    ----------
    theta : ndarray
        The parameters to be moved, for their number and precision.
    rate : float
        The rate eta to begin with.
    momentum : float
        The momentum mu, in [0, 1].
    nesterov : bool
        Whether to use Nesterov's form.
    """

    by_epochs: ClassVar[bool] = True

    def __init__(self, theta: np.ndarray, rate: float, momentum: float, nesterov: bool) -> None:
        self.rate = float(rate)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)
        self.steps = 0
        self.velocity = filled(theta.shape, 0, theta.dtype)

    def on(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        axpy, scal, _ = blas(theta.dtype)
        clear = clearing(theta.dtype)

        def begin() -> None:
            self.steps += 1

        def move(theta: np.ndarray, g: np.ndarray, v: np.ndarray) -> None:
            scal(self.momentum, v)
            axpy(g, v, a=-self.rate)
            if self.nesterov:
                axpy(v, theta, a=self.momentum)
                axpy(g, theta, a=-self.rate)
            else:
                axpy(v, theta)
            if self.steps % CLEARED_AFTER == 0:
                clear(g, theta, v)

        return Move(begin, _on_chunks(move, theta, g, self.velocity))


class Adam:
    r"""Adam, of Kingma and Ba (2014), arXiv:1412.6980, with the bias corrections in the rate.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
              \theta \leftarrow \theta - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
              \frac{m}{\sqrt{v} + \epsilon}

    Epsilon stands beside the uncorrected root, as in scikit-learn and in section 2 of the paper.
    The moments are kept as m / (1 - beta_1) and v / (1 - beta_2), sums instead of means, which
    saves two passes; epsilon and the rate make up for it.

    Parameters
    ----------
    theta : ndarray
        The parameters to be moved, for their number and precision.
    rate : float
        The rate eta to begin with.
    beta_1, beta_2 : float
        The decay of the two moments, in [0, 1).
    epsilon : float
        Keeps the quotient finite.
    """

    by_epochs: ClassVar[bool] = False

    def __init__(
        self, theta: np.ndarray, rate: float, beta_1: float, beta_2: float, epsilon: float
    ) -> None:
        self.rate = float(rate)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.steps = 0
        self.first_moment = filled(theta.shape, 0, theta.dtype)
        self.second_moment = filled(theta.shape, 0, theta.dtype)

    def on(self, theta: np.ndarray, g: np.ndarray) -> Move:
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

        def move(theta: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
            scal(self.beta_1, m)
            axpy(g, m)
            np.square(g, g)
            scal(self.beta_2, v)
            axpy(g, v)
            np.sqrt(v, g)
            np.add(g, epsilon, g)
            np.divide(m, g, g)
            axpy(g, theta, a=-rate)
            if self.steps % CLEARED_AFTER == 0:
                clear(g, theta, m, v)

        return Move(begin, _on_chunks(move, theta, g, self.first_moment, self.second_moment))


class AdamW(Adam):
    r"""Adam with decoupled weight decay, of Loshchilov and Hutter (2017), arXiv:1711.05101.

    .. math:: W \leftarrow (1 - \eta \lambda) W

    before each step of Adam. Unlike an L2 penalty, the decay is not divided by the size of the
    gradient, so that all weights shrink alike.

    Parameters
    ----------
    theta : ndarray
        The parameters to be moved, for their number and precision.
    rate : float
        The rate eta to begin with.
    beta_1, beta_2 : float
        The decay of the two moments, in [0, 1).
    epsilon : float
        Keeps the quotient finite.
    weight_decay : float
        The strength lambda of the decay.
    weights : sequence of slice
        The stretches of theta that decay: weights, no biases.
    """

    def __init__(
        self,
        theta: np.ndarray,
        rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
        weights: Sequence[slice],
    ) -> None:
        super().__init__(theta, rate, beta_1, beta_2, epsilon)
        self.weight_decay = float(weight_decay)
        self.weights = list(weights)

    def on(self, theta: np.ndarray, g: np.ndarray) -> Move:
        """Return the move: it steps by what then stands in g, and uses g up."""
        adam, scal = super().on(theta, g), blas(theta.dtype).scal

        def decayed(move: Callable[[], None], chunk: slice) -> Callable[[], None]:
            weights = [theta[stretch] for stretch in stretches_in(chunk, self.weights)]

            def decay_and_move() -> None:
                for W in weights:
                    scal(1 - self.rate * self.weight_decay, W)
                move()

            return decay_and_move

        chunks = zip(adam.chunks, chunks_of(theta), strict=True)
        return Move(adam.begin, [decayed(move, chunk) for move, chunk in chunks])


# What makes a solver for theta, some stretches of which are weights, of an estimator's parameters.
SOLVERS: dict[str, Callable[[np.ndarray, Sequence[slice], Any], Solver]] = {
    "sgd": lambda theta, weights, p: SGD(
        theta, p.learning_rate_init, p.momentum, p.nesterovs_momentum
    ),
    "adam": lambda theta, weights, p: Adam(
        theta, p.learning_rate_init, p.beta_1, p.beta_2, p.epsilon
    ),
    "adamw": lambda theta, weights, p: AdamW(
        theta, p.learning_rate_init, p.beta_1, p.beta_2, p.epsilon, p.weight_decay, weights
    ),
}


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

    Parameters
    ----------
    g : ndarray
        The gradient.
    largest : float
        The largest norm.

    Returns
    -------
    bool
        Whether it was finite.

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

    Parameters
    ----------
    theta : ndarray
        The parameters to be averaged, for their number and precision.
    decay : float
        The decay d, in (0, 1).

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
    """Minimise by L-BFGS (Liu and Nocedal 1989), as scipy.optimize has it.

    Parameters
    ----------
    objective : callable
        `theta -> (value, gradient)`.
    theta : ndarray
        Where to start; not changed.
    tol : float
        Stop where the largest entry of the gradient is below it.
    max_iter, max_fun : int
        The most iterations and evaluations.
    after_iteration : callable
        Called with theta and the value after every iteration; what it raises goes through.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With `x`, `fun`, `nit`, `status` and `message`.
    """
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
