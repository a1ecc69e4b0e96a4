"""Contests: what is to be compared runs in one process, in turn, and is compared round by round.

Seconds drift with whatever else the machine does, and drift alike for neighbors in time. So a
ratio is the median of the ratios within each round, never a quotient of two runs.
"""

import gc
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

import skmlp

Seconds = dict[str, list[float]]  # contender -> seconds in each round

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")
# The processor's clock counts what this process was given, summed over its threads: with one thread
# it is the wall's, less what other programs took.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
BUSY = 0.5  # programs for each core, before any of ours has begun
PAUSE = 0.005  # s between contenders: threads that wait for more work stop spinning


class NotHere(Exception):  # noqa: N818, a contender that cannot take part is no error
    """Why a contender does not take part."""


# == running =======================================================================================


def in_turn(
    contenders: Mapping[str, Callable[[], Any]], rounds: int, clock: str = "wall"
) -> Seconds:
    """Time the contenders A B C, A B C, ...; whoever calls has warmed them up."""
    now = CLOCKS[clock]
    seconds: Seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            gc.collect()
            time.sleep(PAUSE)
            start = now()
            run()
            seconds[name].append(now() - start)
    return seconds


def repeated(run: Callable[[], Any], times: int) -> Callable[[], None]:
    """Make one contender of many short runs."""

    def run_all() -> None:
        for _ in range(times):
            run()

    return run_all


def ratio(seconds: Seconds, over: str, under: str) -> float | None:
    """Return the median over the rounds of one contender's time over another's, if both ran."""
    if over not in seconds or under not in seconds:
        return None
    pairs = zip(seconds[over], seconds[under], strict=True)
    return statistics.median(a / b for a, b in pairs)


def spread(values: list[float], unit: float = 1e-3) -> str:
    """Write the median and, in brackets, the least and the most."""
    median, least, most = (f(values) / unit for f in (statistics.median, min, max))
    return f"{median:.3g} ({least:.3g}-{most:.3g})"


@contextmanager
def threads_held(number: int) -> Iterator[None]:
    """Hold BLAS, OpenMP and PyTorch, where it is loaded, at a number of threads."""
    torch = sys.modules.get("torch")
    with threadpool_limits(number):
        before = torch and torch.get_num_threads()
        if torch:
            torch.set_num_threads(number)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warning that a fit of few epochs has not converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# == telling =======================================================================================


class Finding(NamedTuple):
    """A measured number beside its goal."""

    what: str
    value: float
    goal: float
    is_lower_limit: bool = False
    note: str = ""

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        met = self.value >= self.goal if self.is_lower_limit else self.value <= self.goal
        limit = f"{'at least' if self.is_lower_limit else 'at most'} {self.goal:g}"
        return [self.what, f"{self.value:.3g}", limit, "met" if met else "**not met**", self.note]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Describe what the figures depend on: processor, cores, BLAS, versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "skmlp": skmlp.__version__,
        **found,
        "libraries": [
            {
                key: pool.get(key)
                for key in ("user_api", "internal_api", "version", "architecture", "num_threads")
            }
            for pool in threadpool_info()
        ],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def described(facts: Mapping[str, Any]) -> str:
    """Write the machine as a few lines."""
    blas = {
        f"{pool['internal_api']} {pool['version']} {pool['architecture']}"
        for pool in facts["libraries"]
        if pool["user_api"] == "blas"
    }
    busy = ""
    if (facts["load"] or 0.0) > BUSY * facts["cores"]:
        busy = (
            f"; BUSY with {facts['load']:.1f} programs: trust one thread by the processor's clock "
            "only, since threads that wait for one another are slowed out of proportion"
        )
    packages = ", ".join(f"{name} {facts[name] or '(not installed)'}" for name in PACKAGES)
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}; "
        f"Python {facts['python']}, skmlp {facts['skmlp']}, {packages}; "
        f"BLAS {', '.join(sorted(blas))}{busy}"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a markdown table; the first column is words, the others numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
