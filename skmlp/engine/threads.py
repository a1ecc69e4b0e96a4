"""Threads of BLAS: held to one where products are too small to gain from more.

The law: whoever computes small products holds BLAS to one thread meanwhile, and the last one who
lets go puts back what was there, unless somebody has set another number since. Other people's code,
a callback or a scorer, runs outside (`let_go`).

BLAS cuts a product into as many parts as it has threads and waits for the last of them, which, on a
machine with other work, waits for its turn: a product of 20 us then takes milliseconds. NumPy and
SciPy often have a BLAS each, and both are held. Most have one number of threads for the whole
process, so that products in other Python threads have one too while a hold lasts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from threading import RLock, get_ident
from typing import Any

import threadpoolctl

# Multiplications in a product. OpenBLAS takes one thread for fewer than LEAST by itself; from MOST
# on two threads bring more than they may cost (docs/performance.md).
LEAST = 1 << 19
MOST = 1 << 25


class _Hold:
    """Who holds BLAS to one thread, and how many threads it had before."""

    def __init__(self) -> None:
        self.lock = RLock()  # that of a thread which is interrupted while it has it
        self.holders: set[int] = set()  # Python threads
        # By library, and by Python thread where each has a number of its own.
        self._before: dict[tuple[Any, int | None], int] = {}

    def put(self, thread: int, is_held: bool) -> None:
        """Let a Python thread hold, or not; twice is the same as once."""
        with self.lock:
            if is_held:
                if thread not in self.holders:
                    self._limit(thread)
                self.holders.add(thread)
            else:
                self.holders.discard(thread)
                self._restore(thread)

    def _limit(self, thread: int) -> None:
        """Set what has several threads to one, and note how many it had."""
        several = {x: number for x in _libraries() if (number := x.get_num_threads()) > 1}
        for library, number in several.items():
            has_own = getattr(library, "threading_layer", None) == "openmp"
            self._before[library, thread if has_own else None] = number
        _set(dict.fromkeys(several, 1))

    def _restore(self, thread: int) -> None:
        """Put back what nobody needs held any more, where it is still as it was set.

        Where that is refused, since another Python thread has limits, a later hold tries again.
        """
        owners = {thread} if self.holders else {thread, None}
        free = {key: number for key, number in self._before.items() if key[1] in owners}
        _set({key[0]: n for key, n in free.items() if key[0].get_num_threads() == 1})
        for library, owner in free:
            if library.get_num_threads() > 1:
                del self._before[library, owner]

    def forked(self) -> None:
        """Keep, in a child process, what its only thread holds."""
        self.holders &= {get_ident()}
        if not self.holders:
            self._restore(get_ident())
        self.lock.release()


_HOLD = _Hold()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_HOLD.lock.acquire,
        after_in_parent=_HOLD.lock.release,
        after_in_child=_HOLD.forked,
    )


@lru_cache(1)
def _libraries() -> list[Any]:
    """Find the BLAS libraries of this process, once: it takes milliseconds."""
    return threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers


def _set(numbers: dict[Any, int]) -> None:
    """Set libraries' numbers of threads."""
    for library, number in numbers.items():
        library.set_num_threads(number)
    if numbers and _LET_OTHERS_SET is not None:
        _LET_OTHERS_SET()


# From threadpoolctl 3.8 on, whoever sets OpenBLAS' number keeps other Python threads from doing so.
_LET_OTHERS_SET = getattr(
    getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", None
)


@contextmanager
def _while(is_held: bool) -> Iterator[None]:
    thread = get_ident()
    before = thread in _HOLD.holders
    try:
        _HOLD.put(thread, is_held)
        yield
    finally:
        try:
            _HOLD.put(thread, before)
        except BaseException:  # an interruption: what was there is put back first
            _HOLD.put(thread, before)
            raise


def number_of_threads() -> int:
    """Return how many threads BLAS has."""
    return max((library.get_num_threads() for library in _libraries()), default=1)


def set_number_of_threads(number: int) -> None:
    """Have BLAS take so many threads, for the whole of this process."""
    _set(dict.fromkeys(_libraries(), number))


def one_thread() -> AbstractContextManager[None]:
    """Hold BLAS to one thread."""
    return _while(is_held=True)


def let_go() -> AbstractContextManager[None]:
    """Let go of BLAS, for other people's code, if this Python thread holds it."""
    return _while(is_held=False)


def threads_for(multiplications: int) -> AbstractContextManager[None]:
    """Hold BLAS to one thread where the largest product has so many multiplications."""
    return one_thread() if LEAST <= multiplications < MOST else nullcontext()
