r"""Means, standard deviations and quantiles that are expressions of raw outputs.

The law: what a row computes is what the head's `distribution` says, by NumPy functions alone, of
arrays as of Expressions. Special functions come in of numbers that are known: at stated levels, and
of parameters that are one number for all inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from ..engine import softmax
from .counts import NegativeBinomial, Poisson
from .head import Head, wide
from .location_scale import Gaussian, Laplace, LogNormal, StudentT
from .mixture import GaussianMixture
from .tweedie import Gamma, Tweedie


@dataclass(frozen=True)
class ClosedForm:
    """What raw outputs say of the distribution of the target.

    Attributes
    ----------
    mean, std : array or Expression of shape (n, n_targets)
        Its mean and its standard deviation; infinite or NaN where there is none.
    quantile : callable or None
        `quantile(level)`, of that shape; None where it has no closed form.
    """

    mean: Any
    std: Any
    quantile: Callable[[float], Any] | None = None


# What makes it of the head, the raw outputs, and the last of them that are the same for all inputs.
Form = Callable[[Any, Any, np.ndarray], ClosedForm]


def _located(location: Any, scale: Any, kind: Any) -> ClosedForm:
    """Return that of a SciPy distribution of location 0 and scale 1, moved and stretched."""
    mean, std = float(kind.mean()), float(kind.std())
    # A mean that does not exist makes NaN of all.
    return ClosedForm(
        location + mean * np.ones_like(location),
        scale * std,
        lambda level: location + scale * float(kind.ppf(level)),
    )


def _location_scale(kind: Callable[[Any], Any]) -> Form:
    def make(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:  # noqa: ARG001
        location, scale = head._location_scale(raw)
        return _located(location, scale, kind(head))

    return make


def _log_normal(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:  # noqa: ARG001
    location, scale = head._location_scale(raw)
    location = np.minimum(location, 80.0)  # as its distribution has it
    variance = np.square(scale)
    mean = np.exp(location + 0.5 * variance)
    return ClosedForm(
        mean,
        mean * np.sqrt(np.expm1(variance)),
        lambda level: np.exp(location + scale * float(special.ndtri(level))),
    )


def _mixture(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:  # noqa: ARG001
    logits, means, log_scales = head._parts(raw)
    shares = softmax(logits, axis=1)
    mean = np.sum(shares * means, axis=1)
    away = means - mean[:, None, :]
    variance = np.sum(shares * (np.exp(2.0 * log_scales) + np.square(away)), axis=1)
    return ClosedForm(mean, np.sqrt(variance))


def _poisson(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:  # noqa: ARG001
    mean = head.predict(raw)
    return ClosedForm(mean, np.sqrt(mean))


def _negative_binomial(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:  # noqa: ARG001
    """Return that of the number of failures; almost Poisson's counts as Poisson's."""
    log_mean, log_dispersion = head._logarithms(raw)
    mean = np.exp(log_mean)
    share = np.minimum(special.expit(-log_mean - log_dispersion), 1 - 1e-8)
    return ClosedForm(mean, np.sqrt(mean / share))


def _gamma(mean: Any, log_shape: Any, known: Any) -> ClosedForm:
    """Return that of a gamma distribution; `known` is the log of its shape where that is known."""
    std = mean * np.exp(-0.5 * log_shape)
    if known is None:
        return ClosedForm(mean, std)
    shape = np.exp(known)
    return ClosedForm(mean, std, lambda level: mean * (stats.gamma.ppf(level, shape) / shape))


def _of_gamma(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:
    log_mean, log_shape = head._logarithms(raw)
    return _gamma(np.exp(log_mean), log_shape, _second(head, raw, constant))


def _second(head: Any, raw: Any, constant: np.ndarray) -> Any:
    """Return the logarithm of the second parameter where it is a number for each target, or None.

    It is known, or learned once for all inputs, and then a constant among the raw outputs.
    """
    if not isinstance(head._second, str):
        return head._parts(raw)[1]
    if not len(constant):
        return None
    row = np.concatenate([np.zeros(len(constant)), constant])[None, :]
    return head._parts(wide(row))[1][0]


def _tweedie(head: Any, raw: Any, constant: np.ndarray) -> ClosedForm:
    location, log_dispersion = head._location_dispersion(raw)
    p = float(head.power)
    if p == 0:
        scale = np.exp(0.5 * log_dispersion) * np.ones_like(location)
        return _located(location, scale, stats.norm())
    mean = np.exp(location)
    if p == 2:
        known = _second(head, raw, constant)
        return _gamma(mean, -log_dispersion, None if known is None else -known)
    return ClosedForm(mean, np.exp(0.5 * (log_dispersion + p * location)))


CLOSED_FORMS: Mapping[Any, Form] = {
    Gaussian.distribution: _location_scale(lambda head: stats.norm()),
    Laplace.distribution: _location_scale(lambda head: stats.laplace()),
    StudentT.distribution: _location_scale(lambda head: stats.t(float(head.df))),
    LogNormal.distribution: _log_normal,
    GaussianMixture.distribution: _mixture,
    Poisson.distribution: _poisson,
    NegativeBinomial.distribution: _negative_binomial,
    Gamma.distribution: _of_gamma,
    Tweedie.distribution: _tweedie,
}


def closed_form(head: Head, raw: Any, constant: np.ndarray) -> ClosedForm | None:
    """Return what is known in closed form of the distribution that a head says.

    Parameters
    ----------
    head : Head
        The head; of a class that has a `distribution` of its own nothing is known.
    raw : array or Expression of shape (n, n_raw)
        Raw outputs.
    constant : ndarray
        The last raw outputs, which are the same for all inputs, see `Head.n_constant`.

    Returns
    -------
    ClosedForm or None
        The mean, the standard deviation and, where they have one, quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.heads import Gaussian
    >>> from skmlp.heads.closed_forms import closed_form
    >>> form = closed_form(Gaussian(), np.array([[3.0, 0.0]]), np.array([]))
    >>> form.mean, form.std, form.quantile(0.95).round(3)
    (array([[3.]]), array([[1.]]), array([[4.645]]))
    """
    make = CLOSED_FORMS.get(type(head).distribution)
    return make(head, raw, constant) if make is not None and head.has_distribution else None
