"""The words by which what a table taught is stored, beside those of `estimators.stored`.

The law: everything that a `Model` is made of has one.
"""

from __future__ import annotations

from ..engine.stored import by_fields
from ..estimators.stored import TABLE as OF_ESTIMATORS
from ..estimators.stored import of_head
from ..training.loops import Outcome
from .calibration import Blend
from .columns import Columns
from .encoding import Encoding
from .forest import Forest
from .members import Trained
from .mixed import Mixed
from .model import Model, Part
from .neighbors import Neighbors
from .order import Order
from .shown import Sight
from .stage import Front, Tangent, TangentOutput
from .transform import Transform

_MODELS = (Model, Part, Blend, Sight, Trained, Transform, Outcome)
_COLUMNS = (Columns, Order, Encoding, *Encoding.parts, Neighbors, Forest)
_LAYERS = (Front, Tangent, TangentOutput)
TABLE = OF_ESTIMATORS.and_also(
    {**{cls: by_fields(cls) for cls in (*_MODELS, *_COLUMNS, *_LAYERS)}, Mixed: of_head(Mixed)},
    {},
)
