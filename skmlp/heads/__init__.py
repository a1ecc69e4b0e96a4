"""Heads: what a network's last layer means.

A head turns raw outputs into a loss for each sample, and into an answer: numbers, distributions,
quantiles, classes. `head=` takes a name from `HEADS` or an instance: of one of these, or of your
own subclass of `Head`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from . import classes, counts, location_scale, mixture, numbers, quantiles, tweedie
from .check import check_head
from .classes import *  # noqa: F403, a family's heads are those of its rows
from .counts import *  # noqa: F403
from .domains import NUMBERS, POSITIVE, ZERO_OR_ONE, ZERO_OR_POSITIVE, Domain
from .frozen import Mixture, PoissonGamma, for_one_target
from .head import Head, Unit
from .location_scale import *  # noqa: F403
from .mixed import MixedDistribution
from .mixture import *  # noqa: F403
from .numbers import *  # noqa: F403
from .quantiles import *  # noqa: F403
from .tweedie import *  # noqa: F403

_FAMILIES = (numbers, quantiles, counts, tweedie, location_scale, mixture, classes)
HEADS: Mapping[str, type[Head]] = MappingProxyType(
    {name: kind for family in _FAMILIES for name, kind in family.ROWS.items()}
)
# What head="auto" means for each kind of target.
AUTOMATIC: Mapping[str, type[Head]] = MappingProxyType(
    {
        "numbers": HEADS["linear"],
        "binary": HEADS["logistic"],
        "multilabel": HEADS["logistic"],
        "multiclass": HEADS["softmax"],
    }
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
    "MixedDistribution",
    "Mixture",
    "PoissonGamma",
    "Unit",
    "check_head",
    "for_one_target",
]
__all__ += [kind.__name__ for kind in HEADS.values()]
