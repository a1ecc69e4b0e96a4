"""Checkpoints: the state of a fit in a file, for a fit that goes on elsewhere.

The law: a file is replaced as a whole, or not at all, and read without running any code from it.
It is a NumPy archive (`.npz`): arrays, one of bytes with all that is no array, as JSON, and a
digest of both. Nothing of it is used before its digest agrees and every entry is what the fit that
is resumed must have: names, types, shapes and ranges.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .objective import OutputScale
from .solvers import Average, Solver
from .state import History, Marks, Progress, State

FORMAT = "skmlp checkpoint 5"

_ARRAYS = ("order", "train", "held_out")  # of a State
_PLAIN = ("history", "earlier_losses", "earlier_scores", "rate", "generators", "identity")
_PARTS = ("marks", "solver", "average", "scale")


# == writing =======================================================================================


def write_checkpoint(path: str | os.PathLike[str], state: State) -> None:
    """Write the state of a fit, so that the file is the old one or the new one at any time.

    What is written to first has the file's name, the process, the thread and ".part"; what killed
    processes left of that kind is cleared away. A symbolic link stays one. An OSError, of a full
    disk say, leaves an older file as it was.
    """
    path = Path(path).resolve()
    arrays, about = _packed(state)
    text = np.frombuffer(json.dumps(about, default=_plain).encode(), np.uint8)
    arrays |= {"about": text}
    _clear_leftovers(path)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays, digest=_digest(arrays))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None  # zipfile makes an error of its own of it
        raise


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _packed(state: State) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Sort a state into arrays and all the rest."""
    arrays = {name: getattr(state, name) for name in _ARRAYS}
    about = {"format": FORMAT, "progress": asdict(state.progress)}
    about |= {name: getattr(state, name) for name in _PLAIN}
    about["history"] = state.history.columns()
    for part in _PARTS:
        values = _values(getattr(state, part))
        about[part] = {x: v for x, v in values.items() if isinstance(v, (bool, int, float))}
        arrays |= {f"{part}.{x}": v for x, v in values.items() if isinstance(v, np.ndarray)}
    return {name: array for name, array in arrays.items() if array is not None}, about


def _values(record: Any) -> dict[str, Any]:
    """Return the attributes of a solver, an average, a dataclass; nothing of None."""
    return {} if record is None else dict(vars(record))


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return np.frombuffer(found.digest(), np.uint8)


def _clear_leftovers(path: Path) -> None:
    """Remove what processes that no longer live have left beside a file."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d+)-\d+\.part")
    for left in path.parent.glob(f"{path.name.replace('[', '[[]')}.*.part"):
        found = pattern.fullmatch(left.name)
        if found and not _is_alive(int(found[1])):
            left.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's, or cannot be told
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Have the disk know the file's new name, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


# == reading =======================================================================================


class Expected(NamedTuple):
    """What the fit that is resumed must have.

    Attributes
    ----------
    solver : Solver or None
        A new solver of its parameters; None where it has none.
    theta : ndarray of shape (n_parameters,)
        An array of its length and precision.
    rows : ndarray of int
        The rows of the data that count.
    averaging : float or None
        The decay of its average.
    n_raw : int or None
        The number of raw outputs that have a scale; None where there is none.
    n_targets : int
        The number of columns of the target.
    is_split : bool
        Whether it sets rows aside to validate on.
    draws : bool
        Whether it draws noise.
    """

    solver: Solver | None
    theta: np.ndarray
    rows: np.ndarray
    averaging: float | None
    n_raw: int | None
    n_targets: int
    is_split: bool
    draws: bool


@dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint holds.

    Attributes
    ----------
    path : str
        The file.
    arrays : dict of str to ndarray
        Its arrays.
    about : dict of str to object
        All the rest.
    """

    path: str
    arrays: dict[str, np.ndarray]
    about: dict[str, Any]

    @property
    def identity(self) -> dict[str, str]:
        """What the fit was: its estimator, parameters and data, each in words."""
        return self.about["identity"]

    def generator(self) -> np.random.RandomState:
        """Return the random generator, where it was; of a file that `state` has checked."""
        rng = np.random.RandomState()
        rng.set_state(self.about["generators"]["order"])
        return rng

    def state(self, expected: Expected) -> State:
        """Return the state of the fit, or say in a ValueError which entry it cannot have."""
        try:
            _check(self.arrays, self.about, expected)
        except _Wrong as wrong:
            raise ValueError(
                f"{self.path!r} is damaged: {wrong} for the fit that is to be resumed; begin with "
                "fit."
            ) from None
        solver, average = expected.solver, None
        if solver is not None:
            vars(solver).update(self._part("solver"))
        if expected.averaging is not None:
            average = Average(np.empty(0), expected.averaging)
            vars(average).update(self._part("average"))
        scale = None if expected.n_raw is None else OutputScale(**self._part("scale"))
        rest: dict[str, Any] = {name: self.about[name] for name in _PLAIN}
        rest["history"] = History(rest["history"])
        return State(
            progress=Progress(**self.about["progress"]),
            solver=solver,
            average=average,
            marks=Marks(**self._part("marks")),
            scale=scale,
            **rest | {name: self.arrays.get(name) for name in _ARRAYS},
        )

    def _part(self, name: str) -> dict[str, Any]:
        start = f"{name}."
        arrays = {k.removeprefix(start): x for k, x in self.arrays.items() if k.startswith(start)}
        return {**self.about[name], **arrays}


def read_checkpoint(path: str | os.PathLike[str]) -> Saved:
    """Read a checkpoint: whole, of this format, and unchanged since it was written."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        digest = arrays.pop("digest", None)
        about = json.loads(arrays["about"].tobytes())
        is_known = about["format"] == FORMAT
        if is_known and (digest is None or not np.array_equal(digest, _digest(arrays))):
            raise ValueError("changed since it was written")
        identity = about["identity"]
        if is_known and not all(isinstance(x, str) for item in identity.items() for x in item):
            raise TypeError("identity")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no checkpoint {os.fspath(path)!r}: begin with fit."
        ) from None
    except Exception as error:  # whatever a strange file makes NumPy, zipfile, zlib and json say
        raise ValueError(
            f"{os.fspath(path)!r} is no checkpoint of skmlp, or is damaged "
            f"({type(error).__name__}): begin with fit."
        ) from None
    if not is_known:
        raise ValueError(f"{os.fspath(path)!r} has format {about['format']!r}, not {FORMAT!r}.")
    del arrays["about"]
    return Saved(os.fspath(path), arrays, about)


# == what every entry must be ======================================================================


class _Wrong(Exception):  # noqa: N818, it becomes a ValueError that names the file
    pass


def _need(is_right: bool, name: str, found: Any, words: str) -> None:
    if not is_right:
        raise _Wrong(f"its entry {name!r} is {_short(found)}, which must be {words}")


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], to_be: Expected) -> None:
    """Go through every entry of a file; nothing is used before all are right."""
    _need_names(about, {"format", "progress", *_PLAIN, *_PARTS}, "the file")
    names = _check_parts(arrays, about, to_be) | _check_rows(arrays, to_be)
    _need(names == set(arrays), "arrays", sorted(arrays), f"{sorted(names)}")
    _need_entries(about["progress"], _PROGRESS, "progress")
    _check_history(about, to_be)
    is_right, words = _exactly(None) if to_be.solver is None else _RATE
    _need(is_right(about["rate"]), "rate", about["rate"], words)
    generators = about["generators"]
    _need_names(generators, {"order"} | ({"noise"} if to_be.draws else set()), "generators")
    _check_twister(generators["order"])
    if to_be.draws:
        _check_pcg(generators["noise"])


def _need_names(found: Any, names: set[str], where: str) -> None:
    _need(isinstance(found, dict) and set(found) == names, where, found, f"{sorted(names)}")


class _Rule(NamedTuple):
    """Which values an entry may have, and the same in words."""

    is_right: Callable[[Any], bool]
    words: str


def _need_entries(found: Any, rules: Mapping[str, _Rule], where: str) -> None:
    _need_names(found, set(rules), where)
    for name, (is_right, words) in rules.items():
        _need(is_right(found[name]), f"{where}.{name}", found[name], words)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _exactly(value: Any) -> _Rule:
    words = "null" if value is None else repr(value)
    return _Rule(lambda found: type(found) is type(value) and found == value, words)


_NUMBER, _COUNT = _Rule(_is_number, "a number"), _Rule(_is_count, "a count")
_FINITE = _Rule(lambda value: _is_number(value) and math.isfinite(value), "a number")
_RATE = _Rule(lambda value: _is_number(value) and 0 <= value < math.inf, "a number >= 0")
_POSITIVE = _Rule(lambda value: _is_number(value) and 0 < value < math.inf, "a number > 0")
_MARKS = {"last_iter": _COUNT, "good_iter": _COUNT, "good_loss": _NUMBER, "merit": _NUMBER}
_PROGRESS = {
    **dict.fromkeys(("n_iter", "samples_seen", "best_iter", "no_improvement", "retreats"), _COUNT),
    **dict.fromkeys(("loss", "best_loss", "best_score"), _NUMBER),
    "score": _Rule(lambda value: value is None or _is_number(value), "a number or null"),
    "ending": _Rule(lambda value: value in ("", "converged", "stopped"), "a known ending"),
}


class _Vector(NamedTuple):
    """What a vector must be like, and which numbers it may have."""

    like: np.ndarray
    words: str = "finite"
    is_right: Callable[[np.ndarray], Any] = np.isfinite


def _squares(like: np.ndarray) -> _Vector:
    return _Vector(like, "finite, nonnegative", lambda x: np.isfinite(x) & (x >= 0))


def _sizes(like: np.ndarray) -> _Vector:
    return _Vector(like, "finite, positive", lambda x: np.isfinite(x) & (x > 0))


def _need_vector(found: Any, name: str, asked: _Vector) -> None:
    like = asked.like
    is_right = isinstance(found, np.ndarray) and found.shape == like.shape
    is_right = is_right and found.dtype == like.dtype and bool(np.all(asked.is_right(found)))
    _need(is_right, name, found, f"{asked.words} numbers of {like.dtype} of shape {like.shape}")


def _check_parts(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], to_be: Expected
) -> set[str]:
    """Check marks, solver, average and scale; return the names of their arrays."""
    theta, fresh = _Vector(to_be.theta), _values(to_be.solver)
    vectors = {f"marks.{name}": theta for name in ("last", "good", "kept")}
    for name, value in fresh.items():
        if isinstance(value, np.ndarray):
            is_square = to_be.solver is not None and name in to_be.solver.squares
            vectors[f"solver.{name}"] = _squares(value) if is_square else _Vector(value)
    plain = {x: _exactly(v) for x, v in fresh.items() if isinstance(v, (bool, int, float))}
    moving = {x: rule for x, rule in (("steps", _COUNT), ("rate", _RATE)) if x in plain}
    rules: dict[str, dict[str, _Rule]] = {"marks": _MARKS, "solver": plain | moving}
    rules |= {"average": {}, "scale": {}}
    if to_be.averaging is not None:
        rules["average"] = {"decay": _exactly(float(to_be.averaging)), "steps": _COUNT}
        vectors["average.values"] = theta
    if to_be.n_raw is not None:
        rules["scale"] = {"loss": _POSITIVE, "loss_scale": _POSITIVE, "loss_shift": _FINITE}
        rules["scale"] |= {"is_single": _exactly(to_be.theta.dtype == np.float32)}
        raw, targets = np.empty(to_be.n_raw), np.empty(to_be.n_targets)
        vectors |= {f"scale.{x}": _Vector(raw) for x in ("start", "raw_shift")}
        vectors |= {f"scale.{x}": _sizes(raw) for x in ("raw", "raw_scale")}
        vectors |= {"scale.shift": _Vector(targets), "scale.scale": _sizes(targets)}
    for part in _PARTS:
        _need_entries(about[part], rules[part], part)
    for name, like in vectors.items():
        _need_vector(arrays.get(name), name, like)
    return set(vectors)


def _check_rows(arrays: Mapping[str, np.ndarray], to_be: Expected) -> set[str]:
    """Check the numbers of the rows; return the names of their arrays."""
    names = {"train"} | ({"held_out"} if to_be.is_split else set())
    names |= {"order"} if to_be.solver is not None else set()
    for name in names:
        found: Any = arrays.get(name)
        is_right = isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype.kind == "i"
        is_right = is_right and found.dtype.isnative
        is_right = is_right and len(np.unique(found)) == len(found)
        is_right = is_right and bool(np.isin(found, to_be.rows).all())
        _need(is_right, name, found, "distinct numbers of rows of the data that count")
    together = np.sort(np.concatenate([arrays[x] for x in ("train", "held_out") if x in names]))
    is_whole = np.array_equal(together, np.sort(to_be.rows))
    _need(is_whole, "train", arrays["train"], "all rows that are not held out")
    if "order" in names:
        is_same = np.array_equal(np.sort(arrays["order"]), np.sort(arrays["train"]))
        _need(is_same, "order", arrays["order"], "the training rows in some order")
    return names


def _check_history(about: Mapping[str, Any], to_be: Expected) -> None:
    history, progress, marks = (about[name] for name in ("history", "progress", "marks"))
    names = {"loss"} if to_be.solver is None else {"loss", "learning_rate"}
    is_right = isinstance(history, dict) and names <= set(history)
    _need(is_right, "history", history, f"columns of numbers, {sorted(names)} among them")
    columns = [*history.items(), *((x, about[x]) for x in ("earlier_losses", "earlier_scores"))]
    for name, column in columns:
        are_numbers = isinstance(column, list) and all(map(_is_number, column))
        _need(are_numbers, f"history.{name}", column, "a list of numbers")
    lengths = {len(column) for column in history.values()}
    n_iter = progress["n_iter"]  # L-BFGS may end where it starts, with a loss and no iteration
    is_right = len(lengths) == 1 and lengths <= {n_iter, n_iter or 1}
    _need(is_right, "history", history, f"columns of {n_iter} numbers, one for each epoch")
    for where, entries in (("progress", progress), ("marks", marks)):
        for name in {"best_iter", "last_iter", "good_iter"} & set(entries):
            is_right = entries[name] <= n_iter
            _need(is_right, f"{where}.{name}", entries[name], f"at most {n_iter}, an epoch before")


def _check_twister(found: Any) -> None:
    """Check the state of a `RandomState`."""
    _need_names(found, {"bit_generator", "state", "has_gauss", "gauss"}, "generators.order")
    state, name = found["state"], "generators.order"
    is_right = found["bit_generator"] == "MT19937" and isinstance(state, dict)
    is_right = is_right and set(state) == {"key", "pos"} and _is_count(state["pos"])
    is_right = is_right and state["pos"] <= 624 and isinstance(state["key"], list)
    is_right = is_right and len(state["key"]) == 624
    is_right = is_right and all(_is_count(x) and x < 1 << 32 for x in state["key"])
    is_right = is_right and found["has_gauss"] in (0, 1) and _is_number(found["gauss"])
    _need(is_right and math.isfinite(found["gauss"]), name, found, "the state of a MT19937")


def _check_pcg(found: Any) -> None:
    """Check the state of a default generator."""
    names = {"bit_generator", "state", "has_uint32", "uinteger"}
    _need_names(found, names, "generators.noise")
    state = found["state"]
    is_right = found["bit_generator"] == "PCG64" and isinstance(state, dict)
    is_right = is_right and set(state) == {"state", "inc"}
    is_right = is_right and all(type(x) is int and 0 <= x < 1 << 128 for x in state.values())
    is_right = is_right and found["has_uint32"] in (0, 1)
    is_right = is_right and _is_count(found["uinteger"]) and found["uinteger"] < 1 << 32
    _need(is_right, "generators.noise", found, "the state of a PCG64")
