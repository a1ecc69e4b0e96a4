"""Solvers: rules that move the flat vector theta, and schedules for their rates.

The law of a stochastic solver: `on(theta, g)` returns the step, a call without arguments that moves
theta in place by one gradient, which it uses up. The solver's attributes are its whole state, so
keeping the object is keeping the state.

`SOLVERS` and `SCHEDULES` stand right under their definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import optimize

from .objective import chunks

SMALLEST_RATE = 1e-6  # where the adaptive schedule gives up, as scikit-learn's


# == schedules =====================================================================================


@dataclass(frozen=True)
class Constant:
    """The rate stays what it is: rate = learning_rate_init."""

    rate_init: float
    power_t: float

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


SCHEDULES: dict[str, type[Constant]] = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
}


# == stochastic solvers ============================================================================


class Solver(Protocol):
    """What training asks of a stochastic solver."""

    rate: float
    schedule: Constant

    def on(self, theta: np.ndarray, g: np.ndarray) -> Callable[[], None]:
        """Return the step: it moves theta by what then stands in g, and uses it up."""


class SGD:
    r"""Stochastic gradient descent with momentum.

    .. math:: v \leftarrow \mu v - \eta g, \quad \theta \leftarrow \theta + v

    or, with Nesterov's momentum, :math:`\theta \leftarrow \theta + \mu v - \eta g` after the
    update of v (Sutskever et al., ICML 2013).

    Parameters
    ----------
    theta : ndarray
        The parameters to be moved, for their number and precision.
    schedule : Constant
        The schedule of the rate eta; it starts at `schedule.rate_init`.
    momentum : float
        The momentum mu, in [0, 1].
    nesterov : bool
        Whether to use Nesterov's form.
    """

    def __init__(
        self, theta: np.ndarray, schedule: Constant, momentum: float, nesterov: bool
    ) -> None:
        self.schedule = schedule
        self.rate = float(schedule.rate_init)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)
        self.velocity = np.zeros_like(theta)

    def on(self, theta: np.ndarray, g: np.ndarray) -> Callable[[], None]:
        """Return the step: it moves theta by what then stands in g, and uses it up."""
        parts = list(chunks(theta, g, self.velocity))
        rate, momentum = (np.array(number, theta.dtype) for number in (self.rate, self.momentum))

        def step() -> None:
            rate[...] = self.rate
            for theta_, g_, v in parts:
                np.multiply(g_, rate, g_)
                np.multiply(v, momentum, v)
                np.subtract(v, g_, v)
                if self.nesterov:
                    np.subtract(theta_, g_, theta_)
                    np.multiply(v, momentum, g_)
                    np.add(theta_, g_, theta_)
                else:
                    np.add(theta_, v, theta_)

        return step


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
    schedule : Constant
        The schedule of the rate eta; it starts at `schedule.rate_init`.
    beta_1, beta_2 : float
        The decay of the two moments, in [0, 1).
    epsilon : float
        Keeps the quotient finite.
    """

    def __init__(
        self,
        theta: np.ndarray,
        schedule: Constant,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        self.schedule = schedule
        self.rate = float(schedule.rate_init)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.steps = 0
        self.first_moment = np.zeros_like(theta)
        self.second_moment = np.zeros_like(theta)

    def on(self, theta: np.ndarray, g: np.ndarray) -> Callable[[], None]:
        """Return the step: it moves theta by what then stands in g, and uses it up."""
        parts = list(chunks(theta, g, self.first_moment, self.second_moment))
        one, two = 1 - self.beta_1, 1 - self.beta_2
        numbers = (self.beta_1, self.beta_2, self.epsilon / math.sqrt(two), 0.0)
        beta_1, beta_2, epsilon, rate = (np.array(number, theta.dtype) for number in numbers)

        def step() -> None:
            self.steps += 1
            corrections = math.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)
            rate[...] = self.rate * corrections * one / math.sqrt(two)
            for theta_, g_, m, v in parts:
                np.multiply(m, beta_1, m)
                np.add(m, g_, m)
                np.multiply(g_, g_, g_)
                np.multiply(v, beta_2, v)
                np.add(v, g_, v)
                np.sqrt(v, g_)
                np.add(g_, epsilon, g_)
                np.divide(m, g_, g_)
                np.multiply(g_, rate, g_)
                np.subtract(theta_, g_, theta_)

        return step


# What makes a solver for theta out of an estimator's parameters.
SOLVERS: dict[str, Callable[[np.ndarray, Any], Solver]] = {
    "sgd": lambda theta, p: SGD(
        theta,
        SCHEDULES[p.learning_rate](p.learning_rate_init, p.power_t),
        p.momentum,
        p.nesterovs_momentum,
    ),
    "adam": lambda theta, p: Adam(
        theta, Constant(p.learning_rate_init, p.power_t), p.beta_1, p.beta_2, p.epsilon
    ),
}


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
