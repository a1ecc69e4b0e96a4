"""Parameters: by their names, those of an estimator and, below them, of its head and layers.

The law: a head, or whatever else is a dataclass, is never changed; to set a parameter of it is to
put another one in its place, so that whoever shares it keeps what was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from inspect import signature
from typing import Any, Self

from sklearn.base import BaseEstimator

from ..engine.words import shown
from ..heads import HEADS
from ..network import LAYERS
from .identity import are_same
from .names import question


class Parameters(BaseEstimator):
    """An estimator whose parameters have parameters."""

    def __new__(cls, *_given: Any, **named: Any) -> Self:
        """Refuse a name that no parameter has, and ask what was meant."""
        known = _signature_of(cls.__init__)
        takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
        unknown = [name for name in named if name not in known and not takes_all]
        if unknown:
            asked = [(name, question("", name, known)) for name in unknown]
            told = ", ".join(
                f"{name!r} ({words})" if words else repr(name) for name, words in asked
            )
            raise TypeError(f"{cls.__name__}.__init__() got an unexpected keyword argument {told}")
        return super().__new__(cls)

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Set the parameters of the constructor, as they were given."""
        self.__dict__.update((name, x) for name, x in parameters.items() if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list those of a head, of a layer and of any other dataclass too, as
            `head__delta`, where it is given as an instance.

        Returns
        -------
        dict of str to object
            The parameters by name.
        """
        found = super().get_params(deep)
        if deep:
            for name in super().get_params(deep=False):
                below = _fields(found[name])
                found |= {f"{name}__{x}": value for x, value in below.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, `head__delta=0.5` among them: all that are given, or none.

        Parameters
        ----------
        **params : object
            Parameters by name. One of a head, or of a layer, makes another one, so that those who
            share the head keep theirs; `head="huber"` becomes `Huber(delta=0.5)`.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If there is no parameter of that name.

        Examples
        --------
        >>> from skmlp import MLPRegressor
        >>> MLPRegressor(head="huber").set_params(head__delta=0.5)
        MLPRegressor(head=Huber(delta=0.5))
        """
        known = super().get_params(deep=False)
        direct, nested = {}, dict[str, dict[str, Any]]()
        for key, value in params.items():
            name, below, rest = key.partition("__")
            if name not in known:
                asked = question("", name, known)
                end = f". Valid parameters are: {list(known)!r}."  # as scikit-learn has it
                end = f"; {asked} (get_params() lists all.)" if asked else end
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}{end}")
            if below and not hasattr(params.get(name, known[name]), "get_params"):
                nested.setdefault(name, {})[rest] = value
            else:
                direct[key] = value
        for name, changes in nested.items():
            direct[name] = _changed(name, direct.get(name, known[name]), changes)
        return super().set_params(**direct)


_signature_of = lru_cache(32)(lambda function: signature(function).parameters)


def _below(name: str, value: Any) -> Any:
    """Return what a parameter of an estimator stands for, where that may have parameters."""
    if not isinstance(value, str):
        return value
    if name == "head" and value in HEADS:
        return HEADS[value]()
    return LAYERS.get(value) if name == "activation" else None


def _fields(thing: Any) -> dict[str, Any]:
    if not is_dataclass(thing) or isinstance(thing, type):
        return {}
    return {x.name: getattr(thing, x.name) for x in fields(thing) if x.init}


def _changed(name: str, value: Any, changes: Mapping[str, Any]) -> Any:
    """Return another thing with these parameters; the same where they are what it has."""
    below = _below(name, value)
    known = _fields(below)
    for key, new in changes.items():
        if key in known:
            continue
        have = [x for x, kind in HEADS.items() if name == "head" and key in _fields(kind())]
        asked = question("", key, known)
        cure = f" Give one that has it first, such as head={have[0]!r}." if have else ""
        raise ValueError(
            f"Invalid parameter {name}__{key}={shown(new)} for {name}={shown(value)}, which has "
            f"{', '.join(known) or 'none'}{'; ' + asked if asked else '.'}{cure}"
        )
    if all(are_same(known[key], new) for key, new in changes.items()):
        return value
    return replace(below, **changes)
