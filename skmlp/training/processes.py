"""Processes: things that are held in several processes of Python, and told what to do there.

Things are members in training, say, or trees to be grown. The law: what holds them is asked by
`each`, which calls a function with every one and returns the answers in their order, wherever they
are. Things never travel, only functions, arguments and answers do; numbers that all are to see are
`Shared`, in a file that every process has mapped. So no bit depends on the process that a thing is
in. An interruption ends the processes at once: when it is raised, nobody writes any more.

Threads would be less to carry, but they do not pay: a step of a small network is a hundred short
calls of NumPy, and Python hands its lock over at each (`docs/scaling_out.md`).

A process starts with nothing but the paths that modules are looked for in: it does not run the
caller's script again, and does not inherit locks or threads. It ends when its input does, so that
none outlives the caller.
"""

from __future__ import annotations

import atexit
import errno
import math
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, ClassVar, Protocol

import joblib
import numpy as np

from ..engine.memory import aligned
from ..engine.threads import number_of_threads, set_number_of_threads
from .loops import Broken
from .warn import warn

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

_SECONDS_TO_END = 5
_IDLE_SECONDS = 300  # that a process waits for another fit, since it takes a second or two to start
_PREFIX = "skmlp-shared-"
_LENGTH = struct.Struct("<Q")
_READY = b"\0skmlp is ready\0"  # before it stands what else is printed when Python starts
_START = """
import os, pickle, sys
asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what is read or printed from here on is no message
os.dup2(2, 1)
sys.path[:] = pickle.load(asked)
from skmlp.training.processes import serve
serve(asked, answers)
"""


class Holder(Protocol):
    """What holds things.

    Attributes
    ----------
    folder : str or None
        Where `Shared` numbers have their files; None where nobody else has them mapped.
    """

    folder: str | None

    def hold(self, make: Callable[[list[Any]], list[Any]], given: Iterable[Any]) -> None:
        """Have a thing made of each of what is given, and let go of those before.

        `make` is called with some of it, in every process with its own, and returns the things.
        """

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each thing, and one of each of further arguments."""

    def let_go(self) -> None:
        """Let go of all things."""

    def close(self) -> None:
        """Let go of all things, and of what held them."""


class Here:
    """What holds things in this process.

    >>> here = Here()
    >>> here.hold(lambda some: [10 * i for i in some], range(3))
    >>> here.each(max, [5, 15, 25])
    [5, 15, 25]
    """

    folder: str | None = None

    def __init__(self) -> None:
        self._things: list[Any] = []

    def hold(self, make: Callable[[list[Any]], list[Any]], given: Iterable[Any]) -> None:
        """Have a thing made of each of what is given, and let go of those before."""
        self.let_go()
        self._things = make(list(given))

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
        self._end = weakref.finalize(self, _removed, self._file, os.getpid())
        self._end.atexit = False

    def first(self, n: int) -> Shared:
        """View the first n rows, for as long as all are there."""
        return _view(self._file, self.array[:n])

    def __reduce__(self) -> Any:
        return _opened, (self._file, self.array.shape, self.array.dtype)


def _reserve(file: Any, size: int) -> None:
    """Have a file of so many bytes: what there is no room for is refused, and not killed later."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # not here
        file.truncate(size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # this file system cannot
            file.truncate(size)
            return
        raise OSError(
            f"There is no room in {tempfile.gettempdir()} for the {size / 2**20:.0f} MB that the "
            f"processes of n_jobs share ({error.strerror}): name another folder in TMPDIR before "
            "Python starts, or set n_jobs=1."
        ) from error


def _removed(file: str, owner: int) -> None:
    if os.getpid() == owner:  # and not a child of it
        with suppress(OSError):
            os.unlink(file)


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

    What cannot be sent to them or made there, since they do not find all that the caller's code
    has, is made in this process, with a warning; so is everything where none can be started.

    Parameters
    ----------
    n : int
        How many processes there are.

    Attributes
    ----------
    folder : str or None
        Where `Shared` numbers have their files, until the end; None where none was started.

    """

    def __init__(self, n: int) -> None:
        self._processes: list[_Process] = []
        self._here: Here | None = None
        self._folder: _Folder | None = None
        self._n_things = 0
        self.folder: str | None = None
        try:
            while len(self._processes) < n:
                self._processes.append(_Process.idle() or _Process())
            self._folder = _Folder()
            self.folder = self._folder.path
        except OSError as error:
            self._kill()
            self._processes = []
            self._here = _here_since(f"no other one can be started: {error}")
        except BaseException:
            self._kill()
            raise

    def hold(self, make: Callable[[list[Any]], list[Any]], given: Iterable[Any]) -> None:
        """Have a thing made of each of what is given, and let go of those before.

        `make` may have what the caller's script defines.
        """
        given = list(given)
        self._n_things = len(given)
        if self._here is None:
            try:
                made = pickle.dumps(joblib.wrap_non_picklable_objects(make, keep_wrapper=False))
                place = sys.path, _working_folder(), number_of_threads()
                self._all([("hold", made, given[mine], place) for mine in self._shares])
                return
            except Broken:
                raise
            except Exception as error:
                why = f"another one cannot do it: {type(error).__name__}: {error}"
                self._here = _here_since(why)
        self._here.hold(make, given)

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each thing, and one of each of further arguments."""
        if self._here is not None:
            return self._here.each(function, *arguments)
        rows = list(zip(*arguments, strict=True)) or [()] * self._n_things
        answers: list[Any] = [None] * self._n_things
        found = self._all([("each", function, rows[mine]) for mine in self._shares])
        for mine, some in zip(self._shares, found, strict=True):
            answers[mine] = some
        return answers

    def let_go(self) -> None:
        """Let go of all things."""
        if self._here is not None:
            self._here.let_go()
        self._all([("let_go",)] * len(self._processes))

    def close(self) -> None:
        """Let go of all things; the processes wait for a while to be given others."""
        try:
            if self._folder is not None:
                self._folder.close()
            for process in self._processes:
                process.wait_for_others()
        except BaseException:
            self._kill()
            raise

    @property
    def _shares(self) -> list[slice]:
        """Say which things are in each process."""
        return [slice(i, None, len(self._processes)) for i in range(len(self._processes))]

    def _all(self, messages: Sequence[Any]) -> list[Any]:
        """Tell every process something; none is at work when this returns, or raises."""
        told: list[Future[Any]] = []
        try:
            for process, message in zip(self._processes, messages, strict=True):
                told.append(process.tell(message))
            wait(told)
            return [one.result() for one in told]
        except BaseException as error:
            if isinstance(error, Broken) or not isinstance(error, Exception):
                self._kill()
            raise

    def _kill(self) -> None:
        """End all processes at once, however often that is interrupted."""
        for process in self._processes:
            while True:
                try:
                    process.kill()
                    break
                except KeyboardInterrupt:
                    continue


def _here_since(why: str) -> Here:
    """Warn that another process is of no use, and return what holds things instead."""
    warn(f"All is done in this process, in spite of n_jobs, since {why}.", RuntimeWarning)
    return Here()


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


class _Folder:
    """A folder for shared numbers, which nobody else takes for a leftover while it is locked.

    Whoever makes one removes those whose process was killed.
    """

    def __init__(self) -> None:
        self._remove_leftovers()
        self.path = tempfile.mkdtemp(prefix=_PREFIX)
        self._owner = os.getpid()
        unlocked = Path(self.path, "unlocked")
        self._lock = unlocked.open("wb")
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            unlocked.rename(unlocked.with_name("lock"))  # from here on others look

    def close(self) -> None:
        """Remove it."""
        self._lock.close()
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)

    @staticmethod
    def _remove_leftovers() -> None:
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*") if fcntl is not None else ():
            with suppress(OSError), open(folder / "lock", "rb") as lock:  # not there, or locked
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


class _Process:
    """A process, and the thread that speaks with it: a message is sent and answered as a whole."""

    alive: ClassVar[weakref.WeakSet[_Process]] = weakref.WeakSet()
    waiting: ClassVar[list[_Process]] = []

    def __init__(self) -> None:
        self._timer: Timer  # while it waits
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],  # -P: not to import what is in the working folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that Ctrl-C interrupts the caller alone
        )
        self._to: Any = self._popen.stdin
        self._from: Any = self._popen.stdout
        self._is_ready = False
        self._thread = ThreadPoolExecutor(1)
        self.alive.add(self)
        with suppress(BrokenPipeError):  # told with the first message
            _write(self._to, pickle.dumps(sys.path))

    @classmethod
    def idle(cls) -> _Process | None:
        """Take one that waits, if one does."""
        with suppress(IndexError):
            while True:
                process = cls.waiting.pop()
                process._timer.cancel()
                if process._popen.poll() is None:
                    return process
                process.kill()
        return None

    def tell(self, message: Any) -> Future[Any]:
        """Send a message; what comes of it is the answer."""
        try:
            return self._thread.submit(self._ask, message)
        except RuntimeError as error:  # this interpreter is ending
            raise Broken(
                f"A process that n_jobs is for is told nothing any more: {error}."
            ) from error

    def wait_for_others(self) -> None:
        """Let go of the things, and wait for others, where the next fit finds what this one did."""
        with suppress(Broken):
            is_as_new = self.tell(("let_go",)).result()
            if is_as_new and len(self.waiting) < (os.cpu_count() or 1):
                self._timer = Timer(_IDLE_SECONDS, self._retire)
                self._timer.daemon = True
                self._timer.start()
                self.waiting.append(self)
                return
        self.end()

    def end(self) -> None:
        """End the process when it has done what it was told."""
        with suppress(OSError, ValueError):  # ValueError: it has been ended
            _write_whole(self._to, pickle.dumps(("end",)))
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_SECONDS_TO_END)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._popen.kill()
        self._popen.wait()
        self._thread.shutdown()
        with suppress(OSError):  # what was not sent
            self._to.close()
        self._from.close()

    def forget(self) -> None:
        """Have nothing to do with it, as a child of the process that started it."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for file in (self._to, self._from):
            if not file.closed:
                os.dup2(nothing, file.fileno())
        os.close(nothing)

    def _retire(self) -> None:
        try:
            self.waiting.remove(self)
        except ValueError:  # it has just been taken
            return
        self.end()

    def _ask(self, message: Any) -> Any:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        try:
            _write_whole(self._to, data)
            if not self._is_ready:
                _skip_to(self._from, _READY)
                self._is_ready = True
            is_error, answer = _read(self._from)
        except (OSError, EOFError, ValueError) as error:  # ValueError: it was closed
            raise Broken(self._how_it_ended()) from error
        if is_error:
            raise answer
        return answer

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_SECONDS_TO_END)
        code = self._popen.poll()
        killed = hasattr(signal, "SIGKILL") and code == -signal.SIGKILL
        why = "killed, perhaps since there was no memory left" if killed else f"exit code {code}"
        return f"A process that n_jobs is for has ended ({why}): n_jobs=1 does the same without."


@atexit.register
def _end_all() -> None:
    while (process := _Process.idle()) is not None:
        process.end()


def _in_a_child() -> None:
    for process in _Process.alive:
        process.forget()
    _Process.waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


# == the other side ================================================================================


def serve(asked: Any, answers: Any) -> None:
    """Do what is asked, until that is to end or there is nobody any more who would ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        served = _Served()
        answers.write(_READY)
        while True:
            try:
                kind, *told = _read(asked)
                if kind == "end":
                    return
                answer = getattr(served, kind)(*told)
                data = pickle.dumps((False, answer), pickle.HIGHEST_PROTOCOL)
            except EOFError:
                return
            except Exception as error:
                data = _error(error)
            _write_whole(answers, data)
    except BrokenPipeError:
        pass
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads of other people's code would keep it


class _Served:
    """What a process holds, and the messages that it knows."""

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._packages = _packages()

    def hold(self, make: bytes, given: list[Any], place: tuple[list[str], str | None, int]) -> None:
        """Make things, where modules, files and threads of BLAS are as in the caller's process."""
        self._things = []
        sys.path[:], folder, n_threads = place
        if folder is not None:
            os.chdir(folder)
        set_number_of_threads(n_threads)  # bits may depend on it
        self._things = pickle.loads(make)(given)

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
    where = "".join(traceback.format_exception(error))
    error.add_note(where)
    try:
        data = pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)
    except Exception:  # it cannot travel: its words can
        error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(where)
        data = pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
    return data


# == messages, on either side ======================================================================


def _write(file: Any, data: bytes) -> None:
    file.write(data)
    file.flush()


def _write_whole(file: Any, data: bytes) -> None:
    """Write a message with its length: who cannot make sense of it can still read the next."""
    _write(file, _LENGTH.pack(len(data)) + data)


def _read(file: Any) -> Any:
    head = file.read(_LENGTH.size)
    data = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if not data:
        raise EOFError
    return pickle.loads(data)


def _skip_to(file: Any, mark: bytes) -> None:
    """Read past a mark."""
    seen = b""
    while seen != mark:
        byte = file.read(1)
        if not byte:
            raise EOFError
        seen = (seen + byte)[-len(mark) :]
