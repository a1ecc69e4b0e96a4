"""Processes: things that are held in several processes of Python, and told what to do there.

The law: what holds things is asked by `each`, which calls a function with every one of them and
returns the answers in their order, wherever they are. Things never travel, only functions,
arguments and answers do; numbers that all are to see are `Shared`, in a file that every process has
mapped. So a thing neither knows nor can tell in which process it is, and no bit depends on it.

Threads would be less to carry, but they do not pay: a step of a small network is a hundred short
calls of NumPy, and Python hands its lock over at each (`docs/scaling_out.md`).

A process starts with nothing but the paths that modules are looked for in: it does not run the
caller's script again, and does not inherit locks or threads. It ends when its input does, so that
none outlives the caller.
"""

from __future__ import annotations

import atexit
import math
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from threading import Timer
from typing import Any, ClassVar, Protocol

import joblib
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from ..engine.memory import aligned
from .loops import Broken

_IDLE_SECONDS = 300  # that a process waits for another fit, since it takes a second or two to start
_LENGTH = struct.Struct("<Q")
_START = (  # read as below, which is not there before the paths are
    "import pickle, sys; sys.stdin.buffer.read(8); sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from skmlp.training.processes import serve; serve()"
)


class Holder(Protocol):
    """What holds things.

    Attributes
    ----------
    folder : str or None
        Where `Shared` numbers have their files; None where nobody else has them mapped.
    """

    folder: str | None

    def hold(self, make: Callable[[Sequence[int]], list[Any]], n_things: int) -> None:
        """Have so many things made, by their numbers, and let go of those before."""

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each thing, and one of each of further arguments."""

    def let_go(self) -> None:
        """Let go of all things."""

    def close(self) -> None:
        """Let go of all things, and of what held them."""


class Here:
    """What holds things in this process.

    >>> here = Here()
    >>> here.hold(lambda numbers: [10 * i for i in numbers], 3)
    >>> here.each(max, [5, 15, 25])
    [5, 15, 25]
    """

    folder: str | None = None

    def __init__(self) -> None:
        self._things: list[Any] = []

    def hold(self, make: Callable[[Sequence[int]], list[Any]], n_things: int) -> None:
        """Have so many things made, by their numbers, and let go of those before."""
        self.let_go()
        self._things = make(range(n_things))

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each thing, and one of each of further arguments."""
        return list(map(function, self._things, *arguments))

    def let_go(self) -> None:
        """Let go of all things."""
        self._things = []

    def close(self) -> None:
        """Let go of all things."""
        self.let_go()


# == numbers that all see ==========================================================================


class Shared:
    """Numbers of one process, or of several: these then have the same file mapped.

    Parameters
    ----------
    shape : tuple of int
        The shape.
    dtype : dtype
        The precision.
    folder : str or None
        Where a file is made for them; None is memory of this process alone.

    Attributes
    ----------
    array : ndarray
        The numbers, unspecified at first.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, folder: str | None = None) -> None:
        self._file: str | None = None
        if folder is None:
            self.array = aligned(shape, dtype)
            return
        opened, self._file = tempfile.mkstemp(dir=folder)
        size = max(1, math.prod(shape)) * np.dtype(dtype).itemsize
        with os.fdopen(opened, "wb") as file:
            _reserve(file, size)
        self.array = _mapped(self._file, shape, dtype)

    def first(self, n: int) -> Shared:
        """View the first n rows."""
        return _view(self._file, self.array[:n])

    def __reduce__(self) -> Any:
        return _opened, (self._file, self.array.shape, self.array.dtype)


def _reserve(file: Any, size: int) -> None:
    """Have a file of so many bytes: what there is no room for is refused, and not killed later."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        raise OSError(
            f"There is no room in {tempfile.gettempdir()} for the {size / 2**20:.0f} MB that the "
            f"processes of n_jobs share ({error.strerror}): let TMPDIR name another folder, or set "
            "n_jobs=1."
        ) from error


def _view(file: str | None, array: np.ndarray) -> Shared:
    shared = Shared.__new__(Shared)
    shared._file, shared.array = file, array
    return shared


def _opened(file: str, shape: tuple[int, ...], dtype: Any) -> Shared:
    return _view(file, _mapped(file, shape, dtype))


def _mapped(file: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    size = math.prod(shape)
    flat = np.asarray(np.memmap(file, dtype, "r+", shape=(max(1, size),)))
    return flat[:size].reshape(shape)


# == this side =====================================================================================


def can_start() -> bool:
    """Whether there is a Python to start, and not a program that has one inside."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class Processes:
    """What holds things in other processes, dealt out one after another.

    Parameters
    ----------
    n : int
        How many processes there are.

    Attributes
    ----------
    folder : str
        Where `Shared` numbers have their files, until the end.
    """

    def __init__(self, n: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="skmlp-", ignore_cleanup_errors=True)
        self.folder: str | None = self._folder.name
        self._processes = [_Process.idle() or _Process() for _ in range(n)]
        self._n_things = 0

    def hold(self, make: Callable[[Sequence[int]], list[Any]], n_things: int) -> None:
        """Have so many things made, by their numbers, and let go of those before.

        `make` may have what the caller's script defines.
        """
        self._n_things, n_threads = n_things, _blas_threads()
        make = joblib.wrap_non_picklable_objects(make, keep_wrapper=False)
        self._all(
            [("hold", make, list(mine), n_threads) for mine in map(self._numbers, self._places)]
        )

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each thing, and one of each of further arguments."""
        rows = list(zip(*arguments, strict=True)) or [()] * self._n_things
        told = [
            ("each", function, [rows[j] for j in mine]) for mine in map(self._numbers, self._places)
        ]
        answers: list[Any] = [None] * self._n_things
        for i, found in enumerate(self._all(told)):
            answers[i :: len(told)] = found
        return answers

    def let_go(self) -> None:
        """Let go of all things."""
        self._all([("let_go",)] * len(self._processes))

    def close(self) -> None:
        """Let go of all things; the processes wait for a while to be given others."""
        with self._folder:
            for process in self._processes:
                process.rest()

    @property
    def _places(self) -> range:
        return range(len(self._processes))

    def _numbers(self, i: int) -> range:
        return range(i, self._n_things, len(self._processes))

    def _all(self, messages: Sequence[Any]) -> list[Any]:
        """Tell every process something; none is at work when this returns, or raises."""
        told = [p.tell(message) for p, message in zip(self._processes, messages, strict=True)]
        try:
            return [one.result() for one in told]
        finally:
            wait(told)  # after an interruption too: nobody writes into shared numbers any more


def _blas_threads() -> int:
    """Return how many threads BLAS has here, and is to have there: bits may depend on it."""
    return max((x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"), default=1)


class _Process:
    """A process, and the thread that speaks with it: a message is sent and answered as a whole."""

    waiting: ClassVar[list[_Process]] = []

    def __init__(self) -> None:
        self._timer = Timer(0, self._retire)
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that Ctrl-C interrupts the caller alone
        )
        self._to: Any = self._popen.stdin
        self._from: Any = self._popen.stdout
        self._thread = ThreadPoolExecutor(1)
        _write(self._to, sys.path)

    @classmethod
    def idle(cls) -> _Process | None:
        """Take one that waits, if one does."""
        while cls.waiting:
            process = cls.waiting.pop()
            process._timer.cancel()
            if process._popen.poll() is None:
                return process
            process.close()
        return None

    def tell(self, message: Any) -> Future[Any]:
        """Send a message; what comes of it is the answer."""
        return self._thread.submit(self._ask, message)

    def rest(self) -> None:
        """Let go of the things, and wait for others, where the next fit finds what this one did."""
        with suppress(Broken):
            if self.tell(("let_go",)).result():
                self._timer = Timer(_IDLE_SECONDS, self._retire)
                self._timer.daemon = True
                self._timer.start()
                self.waiting.append(self)
                return
        self.close()

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            _write(self._to, ("end",))
        self._popen.wait()
        self._thread.shutdown()
        with suppress(OSError):
            self._to.close()
        self._from.close()

    def _retire(self) -> None:
        with suppress(ValueError):
            self.waiting.remove(self)
            self.close()

    def _ask(self, message: Any) -> Any:
        try:
            _write(self._to, message)
            is_error, answer = _read(self._from)
        except (OSError, EOFError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(5)
            raise Broken(
                f"A process that n_jobs is for has ended (exit code {self._popen.poll()}), for "
                "example since there was no memory left; n_jobs=1 does the same without."
            ) from error
        if is_error:
            raise answer
        return answer


@atexit.register
def _close_all() -> None:
    while (process := _Process.idle()) is not None:
        process.close()


if hasattr(os, "register_at_fork"):  # a child of this process starts its own
    os.register_at_fork(after_in_child=_Process.waiting.clear)


# == the other side ================================================================================


def serve() -> None:
    """Do what is told, until that is to end or there is nobody any more who would tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed here is no answer
    served = _Served()
    with line, suppress(EOFError, BrokenPipeError):
        while True:
            try:
                kind, *told = _read(sys.stdin.buffer)
                if kind == "end":
                    return
                answer = False, getattr(served, kind)(*told)
                data = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
            except EOFError:
                raise
            except Exception as error:
                data = _error(error)
            _write_bytes(line, data)


class _Served:
    """What a process holds, and the messages that it knows."""

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._packages = _packages()

    def hold(self, make: Callable[[Sequence[int]], list[Any]], mine: list[int], n: int) -> None:
        """Make things, where BLAS has n threads."""
        self._things = []
        threadpool_limits(n, user_api="blas")
        self._things = make(mine)

    def each(self, function: Callable[..., Any], rows: list[tuple[Any, ...]]) -> list[Any]:
        """Call a function with each thing, and its row of arguments."""
        return [function(thing, *row) for thing, row in zip(self._things, rows, strict=True)]

    def let_go(self) -> bool:
        """Let go of the things; tell whether no package was imported for them.

        One of the user's may have changed by the next fit.
        """
        self._things = []
        return _packages() <= self._packages


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names


def _error(error: Exception) -> bytes:
    """Write what was raised, with where, so that it can be raised again."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        data = pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)
    except Exception:  # it cannot travel: its words can
        error = RuntimeError(f"{type(error).__name__}: {error}")
        data = pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
    return data


# == messages, on either side ======================================================================


def _write(file: Any, message: Any) -> None:
    _write_bytes(file, pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _write_bytes(file: Any, data: bytes) -> None:
    """Write a message whole, with its length: who cannot read it can still read the next."""
    file.write(_LENGTH.pack(len(data)))
    file.write(data)
    file.flush()


def _read(file: Any) -> Any:
    head = file.read(_LENGTH.size)
    data = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if not data:
        raise EOFError
    return pickle.loads(data)
