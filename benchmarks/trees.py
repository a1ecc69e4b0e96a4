"""Time whole fits of this checkout over those of another one, an older commit say.

Run it from the root of the checkout:

    git worktree add ../older COMMIT
    python benchmarks/trees.py ../older [--threads N] [--rounds N] [--pairs N] [NETWORK ...]

Each checkout fits in a process of its own, the two in turn, by the processor's clock. A ratio is
the median over the rounds. Where memory lies differs from process to process, and is worth some 3 %
of a small fit, so there are several pairs of them: the table has their median, least and most.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
from contenders import estimator
from networks import JOBS, asked_for, data, written

import skmlp

HERE = Path(__file__).resolve().parent
DTYPES = ("float32", "float64")


def main() -> None:
    options = read_options()
    print(contest.described(contest.machine()), "\n")
    rows = []
    for name in options.network:
        found = [
            [ratio(options.older, name, dtype, options) for _ in range(options.pairs)]
            for dtype in DTYPES
        ]
        rows.append([written(JOBS[name]), *(contest.spread(ratios, 1) for ratios in found)])
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    print(f"Time of a fit over that of {options.older}, threads {options.threads}\n")
    print(contest.table(["network", *DTYPES], rows))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("older", type=Path, help="the other checkout")
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--pairs", type=int, default=4, help="of processes")
    options = parser.parse_intermixed_args()
    if not (options.older / "skmlp").is_dir():
        parser.error(f"{options.older} holds no skmlp: give the root of another checkout")
    options.network = asked_for(parser, options.network)
    return options


def ratio(older: Path, network: str, dtype: str, options: argparse.Namespace) -> float:
    """Fit in a pair of processes, in turn, and return this tree's time over the other's."""
    asked = network, dtype, str(options.threads)
    with fits_of(HERE.parent, *asked) as new, fits_of(older, *asked) as old:
        pairs = []
        for i in range(options.rounds):  # A B, B A, ...
            first, second = (new, old) if i % 2 else (old, new)
            seconds = {first: next(first), second: next(second)}
            pairs.append((seconds[new], seconds[old]))
    return statistics.median(a / b for a, b in pairs)


@contextmanager
def fits_of(tree: Path, *asked: str) -> Iterator[Iterator[float]]:
    """Start a process that fits with the package of a checkout, and yield the seconds of fits."""
    with subprocess.Popen(
        [sys.executable, "-c", "import trees; trees.answer()", str(tree.resolve()), *asked],
        cwd=HERE,
        env=os.environ | {"PYTHONPATH": str(tree.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def seconds() -> Iterator[float]:
            while True:
                print(file=process.stdin, flush=True)
                yield float(process.stdout.readline())

        yield seconds()


def answer() -> None:
    """Fit once for each line that is read, and print the processor's seconds."""
    tree, network, dtype, threads = sys.argv[1:]
    assert Path(skmlp.__file__).is_relative_to(tree), skmlp.__file__  # or it would be another's
    job = JOBS[network]
    with contest.threads_held(int(threads)), contest.quiet():
        fit = estimator(skmlp, dtype, job, *data(job))
        fit()  # the warm-up
        for _ in sys.stdin:
            print(*contest.in_turn({"": fit}, 1, "processor")[""], flush=True)


if __name__ == "__main__":
    main()
