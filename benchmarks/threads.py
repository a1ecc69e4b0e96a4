"""Time fits and predictions by how many threads BLAS has, beside other programs and without.

Run it from the root of the checkout:

    python benchmarks/threads.py [--rounds N] [--busy N] [NAME ...]

    one    BLAS at one thread, as OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1 have it
    held   BLAS at as many threads as there are cores, which skmlp holds to one where it is better
    free   the same, but never held

They take turns, and a ratio is the median of the ratios to "one" within each round. "busy" is with
programs beside them that do nothing but count, one for each core if --busy does not say otherwise;
they are started and ended here. "quiet" is with nothing of ours beside them: run it where nothing
else runs either, since threads that wait for one another lose far more to others than one does.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
from contenders import CONTENDERS
from networks import JOBS, data
from sklearn.datasets import load_digits

from skmlp import MLPClassifier
from skmlp.engine import threads

DIGITS = {"digits, (100,)": (100,), "digits, 32 x 3": (32, 32, 32), "digits, (256,)": (256,)}
NETWORKS = ("256-256", "512-256", "1024-1024", "regression", "lbfgs")


def runs() -> dict[str, Callable[[], Any]]:
    """Return what is timed: fits of digits at defaults, of other networks, and predictions."""
    X, y = load_digits(return_X_y=True)
    found: dict[str, Callable[[], Any]] = {}
    for name, units in DIGITS.items():
        model = MLPClassifier(units, max_iter=20, random_state=0)
        found[name] = partial(model.fit, X, y)
    for name in NETWORKS:
        job = JOBS[name].shorter()
        found[name] = CONTENDERS["skmlp float64"](job, *data(job))
    fitted = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    for n, times in ((1, 200), (100, 200), (len(X), 20)):
        found[f"predict {n} of digits"] = contest.repeated(partial(fitted.predict, X[:n]), times)
    return found


@contextmanager
def at(number: int, most: int) -> Iterator[None]:
    """Give BLAS a number of threads, and hold it to one for products below `most`."""
    before, threads.MOST = threads.MOST, most
    try:
        with contest.threads_held(number):
            yield
    finally:
        threads.MOST = before


@contextmanager
def beside(programs: int) -> Iterator[None]:
    """Start programs that keep cores busy, and end them."""
    count = [sys.executable, "-c", "while True: sum(range(1000))"]
    started = [subprocess.Popen(count) for _ in range(programs)]
    try:
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def measured(run: Callable[[], Any], rounds: int) -> contest.Seconds:
    def with_threads(number: int, most: int) -> None:
        with at(number, most):
            run()

    ways = {
        "one": partial(with_threads, 1, threads.MOST),
        "held": partial(with_threads, contest.cores(), threads.MOST),
        "free": partial(with_threads, contest.cores(), 0),
    }
    ways["one"]()
    return contest.in_turn(ways, rounds)


def cells(seconds: contest.Seconds) -> list[str]:
    """Write the milliseconds of one thread, and the ratios with their quartiles."""
    found = [f"{statistics.median(seconds['one']) * 1e3:.3g}"]
    for way in ("held", "free"):
        ratios = [a / b for a, b in zip(seconds[way], seconds["one"], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        found.append(f"{median:.2f} ({low:.2f}-{high:.2f})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the start of a row's name")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--busy", type=int, default=contest.cores())
    options = parser.parse_args()
    print(contest.described(contest.machine()), "\n")
    parts = [f"{how}: {part}" for how in ("quiet", "busy") for part in ("one, ms", "held", "free")]
    print(contest.table(["", *parts], []))
    with contest.quiet():
        for name, run in runs().items():
            if not name.startswith(tuple(options.names or [""])):
                continue
            row = [name]
            for programs in (0, options.busy):
                with beside(programs):
                    row += cells(measured(run, options.rounds))
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
