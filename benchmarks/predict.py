"""Time predictions against scikit-learn's: one row, many rows, and many threads at once.

Run it from the root of the checkout: python benchmarks/predict.py [--rounds N] [--json FILE]

Both libraries predict with the default network, fitted to the same data, with all their checks.
BLAS has one thread throughout, so the last lines show how a user's own threads share the cores.
With --onnx both networks are exported, in float32, and run by ONNX Runtime on one thread, beside
`predict_proba`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
import sklearn.neural_network
from networks import JOBS, SEED, data

import skmlp

ANSWERS = ("predict", "predict_proba")
MANY = 100_000
CALLS = 200  # of one row in a round
THREADS = 8
SHARE = 0.8  # of the cores that threads must keep busy to count as scaling


class Goal(NamedTuple):
    """A ratio of two contenders' times, and what it must be."""

    name: str
    over: str
    under: str
    at_least: float = 0.0  # no goal, a comparison


def goals() -> list[Goal]:
    found = []
    for size, rows in (("1", "one row"), ("many", f"{MANY:,} rows")):
        for what in ANSWERS:
            theirs = f"{size} {what} scikit-learn float64"
            for dtype in ("float64", "float32"):
                name = f"{rows}, {what}, {dtype}"
                found.append(Goal(name, theirs, f"{size} {what} skmlp {dtype}", 2.0))
    speed_up = SHARE * min(THREADS, contest.cores())
    name = f"{THREADS} threads over 1"
    return [
        *found,
        Goal(f"{name}, {MANY:,} rows each", "1 thread", "threads", speed_up),
        Goal(f"{name}, products of 1,000 x 1,000: what the machine gives", "1 bare", "bare"),
    ]


def models() -> dict[str, tuple[Any, np.ndarray]]:
    """Fit the default network with both libraries; each comes with rows of its precision."""
    X, y = data(JOBS["default"])
    rows = np.random.RandomState(SEED).standard_normal((MANY, X.shape[1]))
    found = {}
    for library, package, dtype in (
        ("scikit-learn", sklearn.neural_network, "float64"),
        ("skmlp", skmlp, "float64"),
        ("skmlp", skmlp, "float32"),
    ):
        model = package.MLPClassifier(max_iter=5, random_state=SEED).fit(X.astype(dtype), y)
        found[f"{library} {dtype}"] = model, rows.astype(dtype)
    return found


def in_one_thread(fitted: dict[str, tuple[Any, np.ndarray]]) -> dict[str, Callable[[], Any]]:
    runs: dict[str, Callable[[], Any]] = {}
    for what in ANSWERS:
        for name, (model, rows) in fitted.items():
            one = partial(getattr(model, what), rows[:1])
            runs[f"1 {what} {name}"] = contest.repeated(one, CALLS)
        for name, (model, rows) in fitted.items():
            runs[f"many {what} {name}"] = partial(getattr(model, what), rows)
    return runs


def in_many_threads(fitted: dict[str, tuple[Any, np.ndarray]]) -> dict[str, Callable[[], Any]]:
    """Return predictions in one thread and in many, and bare products likewise."""
    pool = ThreadPoolExecutor(THREADS)
    model, rows = fitted["skmlp float32"]
    square = np.random.default_rng(SEED).standard_normal((1000, 1000), np.float32)
    return {
        "1 thread": contest.repeated(partial(model.predict_proba, rows), THREADS),
        "threads": lambda: list(pool.map(model.predict_proba, [rows] * THREADS)),
        "1 bare": contest.repeated(partial(np.dot, square, square), THREADS),
        "bare": lambda: list(pool.map(square.dot, [square] * THREADS)),
    }


def measure(rounds: int, only: Collection[str] = ()) -> contest.Seconds:
    """Time predictions in turn, all or some of them, BLAS at one thread.

    Those in one thread go by the processor's clock, which stands still while other programs run.
    """
    seconds: contest.Seconds = {}
    with contest.threads_held(1), contest.quiet():
        fitted = models()
        for make, clock in ((in_one_thread, "processor"), (in_many_threads, "wall")):
            runs = make(fitted)
            runs = {name: run for name, run in runs.items() if name in only or not only}
            for run in runs.values():
                run()
            seconds |= contest.in_turn(runs, rounds, clock)
    return seconds


def exported() -> dict[str, Callable[[], Any]]:
    """Return predictions of exported networks, of scikit-learn's and ours, and ours by NumPy."""
    import skl2onnx  # noqa: PLC0415, an extra
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415

    from skmlp.onnx import to_onnx  # noqa: PLC0415

    fitted = models()
    (theirs, _), (ours, rows) = fitted["scikit-learn float64"], fitted["skmlp float32"]
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    written = {
        "scikit-learn in ONNX": skl2onnx.to_onnx(theirs, rows[:1], options={"zipmap": False}),
        "skmlp in ONNX": to_onnx(ours),
    }
    runs: dict[str, Callable[[], Any]] = {}
    for size, some, calls in (("1", rows[:1], CALLS), ("many", rows, 1)):
        for name, model in written.items():
            session = InferenceSession(model.SerializeToString(), options)
            run = partial(session.run, ["probabilities"], {"X": some})
            runs[f"{size} {name}"] = contest.repeated(run, calls)
        runs[f"{size} skmlp"] = contest.repeated(partial(ours.predict_proba, some), calls)
    return runs


def report_of_exported(rounds: int) -> str:
    """Time exported networks in turn, and say how they compare."""
    with contest.threads_held(1), contest.quiet():
        runs = exported()
        for run in runs.values():
            run()
        seconds = contest.in_turn(runs, rounds, "processor")
    rows = []
    for size, words, calls in (("1", "one row", CALLS), ("many", f"{MANY:,} rows", 1)):
        ours = f"{size} skmlp in ONNX"
        for other in (f"{size} scikit-learn in ONNX", f"{size} skmlp"):
            times = (contest.spread([s / calls for s in seconds[x]]) for x in (other, ours))
            value = contest.ratio(seconds, other, ours)
            rows.append([f"{words}, beside{other.removeprefix(size)}", *times, f"{value:.2f}"])
    return contest.table(["exported", "the other, ms", "exported by skmlp, ms", "ratio"], rows)


def report(seconds: contest.Seconds) -> str:
    rows = []
    for goal in goals():
        value = contest.ratio(seconds, goal.over, goal.under)
        calls = CALLS if goal.name.startswith("one row") else 1
        times = (contest.spread([s / calls for s in seconds[x]]) for x in (goal.over, goal.under))
        verdict = ["-", ""]
        if goal.at_least:
            met = value >= goal.at_least
            verdict = [f"{goal.at_least:g}", "met" if met else "**not met**"]
        rows.append([goal.name, *times, f"{value:.2f}", *verdict])
    head = ["predicting", "theirs, ms (or 1 thread)", "ours, ms (or threads)", "ratio", "goal", ""]
    return contest.table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write all seconds and ratios")
    parser.add_argument("--onnx", action="store_true", help="time exported networks instead")
    options = parser.parse_args()
    facts = contest.machine()
    print(contest.described(facts), "\n")
    if options.onnx:
        print(report_of_exported(options.rounds))
        return
    seconds = measure(options.rounds)
    print(report(seconds))
    if options.json:
        ratios = {goal.name: contest.ratio(seconds, goal.over, goal.under) for goal in goals()}
        found = {"machine": facts, "seconds": seconds, "ratios": ratios}
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
