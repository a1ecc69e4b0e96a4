"""What estimators are stored as: plain data, in pickles, copies and skops files.

The law: a state holds nothing but plain data, objects of users' classes and callbacks. All else is
a word of a table made of the registries, so that what is added to one can be stored; and a state
that is read is whole, or refused then and there.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from inspect import signature
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from ..engine.stored import Kind, Stored, Table, by_attributes, by_fields
from ..heads import HEADS, Head
from ..network import INITIALIZERS, LAYERS, Layer, Network, Noise, VarianceScaling
from ..network.layers import Dense
from ..training.objective import OutputScale
from ..training.schedules import SCHEDULES, Checked, WarmedUp
from ..training.solvers import SOLVERS, Average, Solver
from ..training.state import History, Marks, Progress, State
from .data import NAMES_OF_INPUTS, stand_in
from .targets import Classes, Numbers


def of_head(cls: type[Head]) -> Kind:
    """Return how a head is stored: by its fields, and by the unit that it answers in."""
    names = [field.name for field in fields(cls)]

    def take(head: Head) -> dict[str, Any]:
        unit = vars(head).get("_log_unit")
        return {name: getattr(head, name) for name in names} | {"_log_unit": unit}

    def make(_log_unit: Any, **parameters: Any) -> Head:
        head = cls(**parameters)
        if _log_unit is not None:
            object.__setattr__(head, "_log_unit", _log_unit)
        return head

    return Kind(frozenset([*names, "_log_unit"]), take, make)


def _example(cls: type[Any]) -> Solver:
    return cls(_PLAIN, 0.1, [], [], **dict.fromkeys(cls.options, 0.5))


_PLAIN = np.zeros(1)
_RECORDS = (
    *(Classes, Numbers),
    *(Network, Noise, VarianceScaling, Dense, *map(type, LAYERS.values())),
    *(State, Progress, Marks, OutputScale, Checked, WarmedUp),
)
TABLE = Layer._table.and_also(
    {
        **{cls: by_fields(cls) for cls in _RECORDS},
        **{cls: of_head(cls) for cls in HEADS.values()},
        **{cls: by_attributes(_example(cls)) for cls in SOLVERS.values()},
        Average: by_attributes(Average(_PLAIN, 0.5)),
        History: Kind(frozenset({"columns"}), lambda x: {"columns": x.columns()}, History),
    },
    {
        f"{noun} {name}": thing
        for noun, registry in (
            ("schedule", SCHEDULES),
            ("solver", SOLVERS),
            ("head", HEADS),
            ("initializer", INITIALIZERS),
        )
        for name, thing in registry.items()
        if not isinstance(thing, VarianceScaling)
    },
)

# Of a fit, a copy, or a callback that is at work: never in a file.
_PASSING = ("_spares", "_callback_fit_ctx", "_skl_callbacks_to_teardown")


@lru_cache(16)
def _parameters_of(cls: type[Any]) -> list[str]:
    known = signature(cls.__init__).parameters.values()
    return [p.name for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)][1:]


class StoredEstimator(Stored, BaseEstimator):
    """An estimator whose state is plain data, and whole.

    Attributes
    ----------
    _fitted : tuple of str
        What a fitted one has, all of it or nothing.
    """

    _table: ClassVar[Table] = TABLE
    _fitted: ClassVar[tuple[str, ...]] = ()

    def __copy__(self) -> Self:
        """Share everything, with programs that nobody uses: a copy is no file."""
        return stand_in(self)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: part for name, part in state.items() if name not in _PASSING}

    def __setstate__(self, state: Any) -> None:
        read = object.__new__(type(self))
        super(StoredEstimator, read).__setstate__(state)
        read._check_whole()
        self.__dict__.update(vars(read))

    def _check_whole(self) -> None:
        """Refuse a state without some parameter, or with a part of a fit; subclasses add to it."""
        needed = [name for name in _parameters_of(type(self)) if not hasattr(self, name)]  # type: ignore[arg-type]
        # A stand-in has the names of inputs before anything is fitted.
        if any(name in vars(self) for name in self._fitted if name not in NAMES_OF_INPUTS):
            needed += [name for name in self._fitted if name not in vars(self)]
        if needed:
            self._refuse(f"it lacks {', '.join(map(repr, needed))}")

    def _refuse(self, why: str) -> None:
        raise ValueError(f"this {type(self).__name__} cannot be read: {why}.")
