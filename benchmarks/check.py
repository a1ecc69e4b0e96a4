"""Fail where skmlp has become slower, in ratios to what it is measured against in the same run.

Run it from the root of the checkout: python benchmarks/check.py [--short] [--record] [NAME ...]

Seconds differ from machine to machine and from hour to hour; ratios within one run much less. Those
of `recorded.json` are what any build should reach on any common machine, measured on one and taken
down by a margin; a ratio more than 25 % below its recorded one is a failure. Before it counts, it
is measured up to twice more, and the best of the three decides: what else a machine does makes a
ratio worse by chance, a slower build makes it worse each time. All run in one thread and are timed
by the processor's clock, which stands still while other programs run.

NAMEs are those of some of the ratios. --record measures all, with all rounds, and writes what it
finds, less a margin, instead of checking it. NumPy, SciPy and scikit-learn are enough to run it.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import predict
from contenders import CONTENDERS
from networks import JOBS, RATIOS, data

RECORDED = Path(__file__).with_name("recorded.json")
TOLERATED = 0.75  # of the recorded ratio
ATTEMPTS = 3
MARGIN = 0.8  # of what is measured, when recording: machines differ

Measure = Callable[[int], float]  # rounds -> a ratio; the larger, the faster is skmlp


def fitting(network: str, kind: str, rounds: int) -> float:
    """Return how many times as fast as its rival, or as the bare products, skmlp fits a network."""
    over, under, direction = RATIOS[kind]
    job = JOBS[network]
    X, y = data(job)
    fits = {name: CONTENDERS[name](job, X, y) for name in (over, under)}
    with contest.threads_held(1), contest.quiet():
        for fit in fits.values():
            fit()
        seconds = contest.in_turn(fits, rounds, "processor")
    if direction == "at most":
        over, under = under, over
    return contest.ratio(seconds, over, under)


def predicting(name: str, rounds: int) -> float:
    """Return how many times as fast as scikit-learn skmlp predicts."""
    goal = next(goal for goal in predict.goals() if goal.name == name)
    return contest.ratio(predict.measure(rounds, (goal.over, goal.under)), goal.over, goal.under)


MEASURES: dict[str, Measure] = {
    "fit, default, float64": partial(fitting, "default", "float64"),
    "fit, default, float32": partial(fitting, "default", "float32"),
    "fit, regression, float32": partial(fitting, "regression", "float32"),
    "fit, 256-256, bare over skmlp": partial(fitting, "256-256", "bare"),
    "predict, one row": partial(predicting, "one row, predict, float64"),
    "predict, 100,000 rows": partial(predicting, "100,000 rows, predict, float64"),
}


def best_of(measure: Measure, floor: float, rounds: int) -> float:
    """Measure until the floor is reached, at most `ATTEMPTS` times, and return the best."""
    best = 0.0
    for _ in range(ATTEMPTS):
        best = max(best, measure(rounds))
        if best >= floor:
            break
    return best


def check(measures: dict[str, Measure], recorded: dict[str, float], rounds: int) -> list[str]:
    """Measure all that is recorded, print it, and return the names of what has fallen."""
    fallen = []
    print(f"{'ratio':32} recorded  floor  now")
    for name, value in recorded.items():
        floor = TOLERATED * value
        now = best_of(measures[name], floor, rounds)
        verdict = "" if now >= floor else f"FALLEN: the best of {ATTEMPTS}"
        print(f"{name:32} {value:8.2f} {floor:6.2f} {now:6.2f}  {verdict}", flush=True)
        if now < floor:
            fallen.append(name)
    return fallen


def record(measures: dict[str, Measure], rounds: int) -> None:
    """Write the ratios of now, less a margin and rounded down, to `recorded.json`."""
    found = {name: math.floor(MARGIN * f(rounds) * 20) / 20 for name, f in measures.items()}
    RECORDED.write_text(json.dumps(found, indent=2) + "\n")
    print(RECORDED.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"of {'; '.join(MEASURES)}")
    parser.add_argument("--short", action="store_true", help="5 rounds, not 15: for CI")
    parser.add_argument("--record", action="store_true", help="write recorded.json")
    options = parser.parse_args()
    if unknown := set(options.name) - set(MEASURES):
        parser.error(f"there is no ratio {'; '.join(unknown)}: {'; '.join(MEASURES)}")
    rounds = 5 if options.short else 15
    print(contest.described(contest.machine()), "\n")
    if options.record:
        record(MEASURES, rounds)
        return 0
    recorded = json.loads(RECORDED.read_text())
    fallen = check(MEASURES, {name: recorded[name] for name in options.name or recorded}, rounds)
    if fallen:
        print(f"\nMore than 25 % below the recorded ratio: {'; '.join(fallen)}", file=sys.stderr)
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
