"""Heads: what a network's last layer means.

A head turns raw outputs into a loss for each sample, and into an answer: numbers, distributions,
quantiles, classes. `head=` takes a name from `HEADS` or an instance: of one of these, or of your
own subclass of `Head`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from .check import check_head
from .classes import Brier, Focal, Hinge, Logistic, Ordinal, Softmax
from .counts import NegativeBinomial, Poisson
from .domains import NUMBERS, POSITIVE, ZERO_OR_ONE, ZERO_OR_POSITIVE, Domain
from .frozen import Mixture, PoissonGamma, for_one_target
from .head import Head
from .location_scale import Gaussian, Laplace, LogNormal, StudentT
from .mixture import GaussianMixture
from .numbers import AbsoluteError, Huber, Linear
from .quantiles import Quantile
from .tweedie import Gamma, Tweedie

HEADS: Mapping[str, type[Head]] = MappingProxyType(
    {
        "linear": Linear,
        "absolute_error": AbsoluteError,
        "huber": Huber,
        "quantile": Quantile,
        "poisson": Poisson,
        "gamma": Gamma,
        "tweedie": Tweedie,
        "negative_binomial": NegativeBinomial,
        "gaussian": Gaussian,
        "laplace": Laplace,
        "student_t": StudentT,
        "lognormal": LogNormal,
        "gaussian_mixture": GaussianMixture,
        "logistic": Logistic,
        "softmax": Softmax,
        "ordinal": Ordinal,
        "brier": Brier,
        "focal": Focal,
        "hinge": Hinge,
    }
)
# What head="auto" means for each kind of target.
AUTOMATIC: Mapping[str, type[Head]] = MappingProxyType(
    {"numbers": Linear, "binary": Logistic, "multilabel": Logistic, "multiclass": Softmax}
)

__all__ = [
    "AUTOMATIC",
    "HEADS",
    "NUMBERS",
    "POSITIVE",
    "ZERO_OR_ONE",
    "ZERO_OR_POSITIVE",
    "Domain",
    "Head",
    "Mixture",
    "PoissonGamma",
    "check_head",
    "for_one_target",
]
__all__ += [kind.__name__ for kind in HEADS.values()]
