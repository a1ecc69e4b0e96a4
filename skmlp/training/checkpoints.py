"""Checkpoints: the state of a fit in a file, for a fit that goes on elsewhere.

The law: a file is replaced as a whole, or not at all, and read without running any code from it.
It is a NumPy archive (`.npz`): arrays, and one of bytes with all that is no array, as JSON.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .objective import OutputScale
from .solvers import Average, Solver
from .state import History, Marks, Progress, State

FORMAT = "skmlp checkpoint 2"

_ARRAYS = ("order", "train", "held_out")  # of a State
_PLAIN = ("history", "earlier_losses", "earlier_scores", "rate", "generators", "identity")


def write_checkpoint(path: str | os.PathLike[str], state: State) -> None:
    """Write the state of a fit, so that the file is the old one or the new one at any time.

    Parameters
    ----------
    path : str or path
        The file. What is written to first has its name, the process, the thread and ".part".
    state : State
        Where training stands.

    Raises
    ------
    OSError
        If the disk is full or the file cannot be written; an older one is then as it was.
    """
    path = Path(path)
    arrays, about = _packed(state)
    text = json.dumps(about, default=_plain).encode()
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays, about=np.frombuffer(text, np.uint8))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
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
    parts = {
        "marks": {} if state.marks is None else _values(state.marks),
        "solver": {} if state.solver is None else vars(state.solver),
        "average": {} if state.average is None else vars(state.average),
        "scale": {} if state.scale is None else _values(state.scale),
    }
    for part, values in parts.items():
        about[part] = {
            name: value for name, value in values.items() if isinstance(value, (bool, int, float))
        }
        arrays |= {
            f"{part}.{name}": value
            for name, value in values.items()
            if isinstance(value, np.ndarray)
        }
    return {name: array for name, array in arrays.items() if array is not None}, about


def _values(record: Any) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


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
        """Return the random generator, where it was."""
        rng = np.random.RandomState()
        rng.set_state(self.about["generators"]["order"])
        return rng

    def state(self, solver: Solver | None, theta: np.ndarray, rows: np.ndarray) -> State:
        """Return the state of the fit.

        Parameters
        ----------
        new_solver : callable or None
            Makes a solver of the same parameters, whose attributes are then those of the file; None
            where the fit has none.
        """
        average = None
        if solver is not None:
            vars(solver).update(self._part("solver"))
        if self.about["average"]:
            average = Average(np.empty(0), self.about["average"]["decay"])
            vars(average).update(self._part("average"))
        scale = OutputScale(**self._part("scale")) if self.about["scale"] else None
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
        arrays = {
            key.partition(".")[2]: array
            for key, array in self.arrays.items()
            if key.startswith(f"{name}.")
        }
        return {**self.about[name], **arrays}


def read_checkpoint(path: str | os.PathLike[str]) -> Saved:
    """Read a checkpoint.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Saved
        What it holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no checkpoint, or damaged.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays.pop("about").tobytes())
        known = about["format"] == FORMAT
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no checkpoint {os.fspath(path)!r}: begin with fit."
        ) from None
    except Exception as error:  # whatever a strange file makes NumPy, zipfile, zlib and json say
        raise ValueError(
            f"{os.fspath(path)!r} is no checkpoint of skmlp, or is damaged "
            f"({type(error).__name__}): begin with fit."
        ) from None
    if not known:
        raise ValueError(f"{os.fspath(path)!r} has format {about['format']!r}, not {FORMAT!r}.")
    return Saved(os.fspath(path), arrays, about)
