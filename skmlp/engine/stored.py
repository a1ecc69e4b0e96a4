"""Stored: objects as plain data, for files that are read without running what they say.

The law: a file holds numbers, text, arrays, lists and dicts, and what is none of these by a word of
a table. Reading looks words up in that table and calls nothing else, so a word that a file makes up
is refused; so is a part that lacks what this version needs, or has what it does not know, when the
file is read and not later. Objects of users' classes stay what they are, for pickle or skops to
store by their names.

    packed      object -> plain data
    unpacked    plain data -> object
    Stored      what states are kept so: pickles, copies and skops files
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

FORMAT = 4  # of what is stored; another one is refused

_WORD = "__kind__"  # of an entry that says what a dict stands for
_LONG = 16  # entries, from which a list of numbers or words is one array or one text
_PLAIN = (bool, int, float, str, type(None))


class Kind(NamedTuple):
    """How objects of one class are taken apart and made again.

    Attributes
    ----------
    names : frozenset of str
        The names of the parts, all of which a stored object must have.
    take : callable
        Returns the parts of an object by their names.
    make : callable
        Makes an object of its parts, given as keywords.
    """

    names: frozenset[str]
    take: Callable[[Any], Mapping[str, Any]]
    make: Callable[..., Any]


def by_fields(cls: type[Any]) -> Kind:
    """Return how a dataclass, or a named tuple, is stored: by what its constructor takes."""
    if not is_dataclass(cls):
        return Kind(frozenset(cls._fields), lambda value: value._asdict(), cls)
    names = [field.name for field in fields(cls) if field.init]
    return Kind(frozenset(names), lambda value: {x: getattr(value, x) for x in names}, cls)


def by_attributes(example: Any) -> Kind:
    """Return how a plain object is stored: by its attributes, which are those of an example."""
    cls = type(example)

    def made(**attributes: Any) -> Any:
        instance = object.__new__(cls)
        vars(instance).update(attributes)
        return instance

    return Kind(frozenset(vars(example)), vars, made)


class Table:
    """The words of what is stored.

    Parameters
    ----------
    kinds : dict of type to Kind
        Classes, whose names are the words of their objects.
    things : dict of str to object
        Functions and classes that are stored as themselves, by their words.

    Examples
    --------
    >>> class Point(NamedTuple):
    ...     x: float
    ...     y: float
    >>> table = Table({Point: by_fields(Point)}, {"sine": np.sin})
    >>> plain = packed({"at": Point(1.0, 2.0), "of": np.sin}, table)
    >>> plain["at"]
    {'__kind__': 'Point', 'x': 1.0, 'y': 2.0}
    >>> plain["of"]
    {'__kind__': 'named', 'name': 'sine'}
    >>> unpacked(plain, table)
    {'at': Point(x=1.0, y=2.0), 'of': <ufunc 'sin'>}
    """

    def __init__(self, kinds: Mapping[type, Kind], things: Mapping[str, Any]) -> None:
        self.kinds = {**_KINDS, **kinds}
        self.things = dict(things)
        self.by_word = {cls.__name__: kind for cls, kind in self.kinds.items()} | _SPECIAL
        self.words: dict[int, str] = {}
        for word, thing in self.things.items():
            self.words.setdefault(id(thing), word)

    def and_also(self, kinds: Mapping[type, Kind], things: Mapping[str, Any]) -> Table:
        """Return a table with further words."""
        return Table({**self.kinds, **kinds}, {**self.things, **things})


# -- what Python and NumPy bring -------------------------------------------------------------------


def _dtype_made(name: str) -> np.dtype[Any]:
    found = np.dtype(name)
    if found.hasobject or found.fields is not None:
        raise ValueError(f"{name!r} is no type of numbers or text")
    return found


_KINDS: dict[type, Kind] = {
    dict: Kind(
        frozenset({"keys", "values"}),
        lambda value: {"keys": list(value), "values": list(value.values())},
        lambda keys, values: dict(zip(keys, values, strict=True)),
    ),
    set: Kind(
        frozenset({"entries"}), lambda value: {"entries": list(value)}, lambda entries: {*entries}
    ),
    frozenset: Kind(
        frozenset({"entries"}),
        lambda value: {"entries": list(value)},
        lambda entries: frozenset({*entries}),
    ),
    partial: Kind(
        frozenset({"function", "arguments", "keywords"}),
        lambda value: {"function": value.func, "arguments": value.args, "keywords": value.keywords},
        lambda function, arguments, keywords: partial(function, *arguments, **keywords),
    ),
    np.dtype: Kind(frozenset({"name"}), lambda value: {"name": value.str}, _dtype_made),
}


# == objects into plain data =======================================================================


def packed(value: Any, table: Table, name: str = "") -> Any:
    """Return an object as plain data; `name` says in errors what it is."""
    return _Packing(table, name).of(value)


class _Packing:
    """One walk; what is met twice is one piece, there and back."""

    def __init__(self, table: Table, name: str) -> None:
        self._table, self._name = table, name
        self._met: dict[int, tuple[Any, Any]] = {}  # with what it is of, so that no id comes again

    def of(self, value: Any) -> Any:
        cls = type(value)
        if cls in _PLAIN:
            return value
        if id(value) in self._met:
            return self._met[id(value)][1]
        word = self._table.words.get(id(value))
        if word is not None:
            return {_WORD: "named", "name": word}
        found = self._container(value)
        if found is None:
            cls = np.dtype if isinstance(value, np.dtype) and value.fields is None else cls
            kind = self._table.kinds.get(cls)
            if kind is None or (cls is partial and vars(value)):
                return value if is_found_by_name(value) else Unnamed(value, self._name)
            found = self._parts(cls.__name__, kind.take(value))
        self._met[id(value)] = value, found
        return found

    def _parts(self, word: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        return {_WORD: word, **{name: self.of(part) for name, part in parts.items()}}

    def _container(self, value: Any) -> Any:
        cls = type(value)
        if (word := _special_word(value)) is not None:
            return self._parts(word, _SPECIAL[word].take(value))
        if cls in (list, tuple):
            return cls(self.of(entry) for entry in value)
        if cls is dict and _WORD not in value and all(type(key) is str for key in value):
            return {key: self.of(entry) for key, entry in value.items()}
        return None


def _special_word(value: Any) -> str | None:
    """Return the word of arrays of objects, and of many numbers, or plain things, in a row."""
    cls = type(value)
    if cls is np.ndarray and value.dtype == object:
        return "objects"
    if cls in (list, tuple) and len(value) >= _LONG:
        kinds = set(map(type, value))
        if kinds <= {*_PLAIN}:
            return f"{cls.__name__} of {'numbers' if kinds == {float} else 'words'}"
    return None


# == plain data into objects =======================================================================


class UnreadableError(ValueError):
    """What a file has instead of what this version needs."""


def unpacked(plain: Any, table: Table) -> Any:
    """Return the object that plain data stand for.

    Raises
    ------
    UnreadableError
        If they have a word that the table does not know, or other parts than it needs.
    """
    return _Unpacking(table).of(plain)


class _Unpacking:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._made: dict[int, Any] = {}

    def of(self, plain: Any) -> Any:
        cls = type(plain)
        if cls in _PLAIN or cls is np.ndarray:
            return plain
        if cls in (list, tuple):
            return cls(map(self.of, plain))
        if cls is not dict:
            return plain
        if _WORD not in plain:
            return {name: self.of(part) for name, part in plain.items()}
        if id(plain) not in self._made:
            self._made[id(plain)] = self._object(plain)
        return self._made[id(plain)]

    def _object(self, plain: dict[str, Any]) -> Any:
        word = plain[_WORD]
        if word == "named" and plain.keys() == {_WORD, "name"}:
            name = plain["name"]
            if not isinstance(name, str) or name not in self._table.things:
                raise UnreadableError(f"it names {name!r}, which this version does not know")
            return self._table.things[name]
        kind = self._table.by_word.get(word) if isinstance(word, str) else None
        if kind is None:
            raise UnreadableError(f"it holds a {word!r}, which this version does not know")
        if plain.keys() - {_WORD} != kind.names:
            raise UnreadableError(
                f"its {word} has {_listed(plain.keys() - {_WORD})}, and this version needs "
                f"{_listed(kind.names)}"
            )
        parts = {name: self.of(part) for name, part in plain.items() if name != _WORD}
        try:
            return kind.make(**parts)
        except UnreadableError:
            raise
        except Exception as error:  # whatever a strange part makes a constructor say
            raise UnreadableError(
                f"its {word} cannot be made ({type(error).__name__}: {str(error).rstrip('.')})"
            ) from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(map(str, names)))) or "nothing"


def _entries_of(text: Any) -> list[Any]:
    found = json.loads(text)
    if type(found) is not list or not set(map(type, found)) <= {*_PLAIN}:
        raise ValueError("it is no list of words")
    return found


def _objects_made(shape: tuple[int, ...], entries: list[Any]) -> np.ndarray:
    found = np.empty(len(entries), dtype=object)
    for i, entry in enumerate(entries):  # of lists NumPy would make more axes
        found[i] = entry
    return found.reshape(shape)


_NUMBERS = frozenset({"numbers"}), lambda value: {"numbers": np.array(value)}
_TEXT = frozenset({"text"}), lambda value: {"text": json.dumps(value)}
_SPECIAL: dict[str, Kind] = {
    "list of numbers": Kind(*_NUMBERS, lambda numbers: numbers.tolist()),
    "tuple of numbers": Kind(*_NUMBERS, lambda numbers: tuple(numbers.tolist())),
    "list of words": Kind(*_TEXT, _entries_of),
    "tuple of words": Kind(*_TEXT, lambda text: tuple(_entries_of(text))),
    "objects": Kind(
        frozenset({"shape", "entries"}),
        lambda value: {"shape": value.shape, "entries": value.ravel().tolist()},
        _objects_made,
    ),
}


# == what cannot be found by its name ==============================================================


def is_found_by_name(value: Any) -> bool:
    """Tell whether a function, or the class of an object, is what its module has by its name."""
    is_function = isinstance(value, FunctionType)
    thing = value if is_function or isinstance(value, type) else type(value)
    if not is_function and thing.__module__.partition(".")[0] in _WITH_WAYS_OF_THEIR_OWN:
        return True
    module = sys.modules.get(thing.__module__ or "")
    return getattr(module, thing.__name__, None) is thing


_WITH_WAYS_OF_THEIR_OWN = {"builtins", "numpy", "scipy"}  # which pickle and skops know


class Unnamed:
    """What stands for a function, or an object of a class, that no file can hold.

    Copies and cloudpickle, which sends code to other processes, take it as it is; pickle says that
    it cannot; skops asks for a state, and is told what to do.
    """

    def __init__(self, thing: Any, name: str) -> None:
        self._thing, self._name = thing, name

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _itself, (self._thing,)

    def _refuse(self) -> NoReturn:
        thing = self._thing
        found = thing if isinstance(thing, (FunctionType, type)) else type(thing)
        what = "function" if isinstance(thing, FunctionType) else "class"
        where = f"{self._name}={found.__qualname__}" if self._name else found.__qualname__
        raise ValueError(
            f"{where} cannot be stored, since a file holds a {what} by its name, and no module has "
            f"one of that name: define it at the top level of a module that can be imported, or "
            "take a registered name, such as activation='relu' or head='huber'."
        )

    __getstate__ = __reduce__ = _refuse


def _itself(thing: Any) -> Any:
    return thing


# == states ========================================================================================


def check_format(name: str, found: Any) -> None:
    """Refuse what another version has stored."""
    if found != FORMAT or isinstance(found, bool):
        told = "before formats had numbers" if found is None else f"in format {found!r}"
        raise ValueError(
            f"this {name} was stored {told}, and this version reads format {FORMAT}: make it "
            "again, or install the version that wrote it."
        )


class Stored:
    """An object whose state is plain data with the number of a format.

    Attributes
    ----------
    _table : Table
        The words that its attributes may be stored by.
    """

    _table: ClassVar[Table] = Table({}, {})

    def __getstate__(self) -> dict[str, Any]:
        in_slots = {x: getattr(self, x) for x in _names_of_fields(self) if hasattr(self, x)}
        attributes = {**in_slots, **getattr(self, "__dict__", {})}
        state = {name: packed(x, self._table, name) for name, x in attributes.items()}
        return {"_format": FORMAT, **state}

    def __setstate__(self, state: Any) -> None:
        name = type(self).__name__
        attributes = read_state(name, state, self._table)
        missing = set(_names_of_fields(self)) - attributes.keys()
        if missing:
            raise ValueError(f"this {name} cannot be read: it lacks {_listed(missing)}.")
        for attribute, value in attributes.items():
            object.__setattr__(self, attribute, value)


def _names_of_fields(value: Any) -> list[str]:
    return [field.name for field in fields(value)] if is_dataclass(value) else []


def read_state(name: str, state: Any, table: Table) -> dict[str, Any]:
    """Return the attributes that a state holds, or say in a sentence what is wrong with it."""
    if not isinstance(state, dict):
        raise ValueError(f"this {name} cannot be read: its state is a {type(state).__name__}.")
    check_format(name, state.get("_format"))
    plain = {key: value for key, value in state.items() if key != "_format"}
    try:
        found = unpacked(plain, table)
    except UnreadableError as error:
        raise ValueError(f"this {name} cannot be read: {error}.") from None
    if type(found) is not dict:
        raise ValueError(f"this {name} cannot be read: its state stands for something else.")
    return found
