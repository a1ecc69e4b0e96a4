"""Measure an estimator in use: streams, predictions of all sizes, at rest, validated fits.

Run it from the root of the checkout: python benchmarks/stream.py [--json FILE] [PART ...]

Each PART has goals; all of them by default. BLAS has one thread, and the clock is the processor's,
which stands still while other programs run. Both libraries have the default network.

stream   A call of `partial_fit` on 200 rows: late in a stream over early, and over scikit-learn's.
sizes    Predictions of six numbers of rows in turn, over scikit-learn's; of one row, too.
idle     What estimators hold, beyond their parameters, once they have answered for many rows.
early    A fit with early stopping over scikit-learn's, and over one without it.
"""

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
from contest import Finding
from sklearn import neural_network

import skmlp

INPUTS = 20
CHUNK = 200
EARLY, LATE = 10, 6_000  # calls
SIZES = (1, 7, 50, 333, 1_000, 2_500)
ESTIMATORS = 50
ANSWERED = 20_000  # rows
KB = 1024


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).standard_normal((rows, INPUTS))
    return X, (X[:, 0] + np.sin(3 * X[:, 1]) > 0).astype(int)


def swish(z: Any) -> Any:
    """An activation that neither library knows."""
    return z / (1 + np.exp(-z))


def classifier(package: Any = skmlp, **settings: Any) -> Any:
    return package.MLPClassifier(random_state=0, **settings)


# == streams =======================================================================================


def streamed(model: Any, calls: int) -> Callable[[], None]:
    """Feed a model so many parts, and return what feeds it ten more."""
    X, y = data(CHUNK)
    feed = partial(model.partial_fit, X, y, classes=[0, 1])
    contest.repeated(feed, calls)()
    return contest.repeated(feed, 10)


def early_calls(make: Callable[[], Any], rounds: int) -> Callable[[], None]:
    """Return what feeds ten parts to a model that has had as many: in each round another one."""
    feeds = [streamed(make(), EARLY) for _ in range(rounds)]

    def feed_the_next() -> None:
        feeds.pop()()

    return feed_the_next


def stream(rounds: int) -> Iterator[Finding]:
    theirs = "scikit-learn"
    runs = {theirs: streamed(classifier(neural_network), EARLY)}
    for name, settings in (("default", {}), ("own activation", {"activation": swish})):
        make = partial(classifier, **settings)
        runs[f"{name}, early"] = early_calls(make, rounds)
        runs[f"{name}, late"] = streamed(make(), LATE)
    seconds = contest.in_turn(runs, rounds, "processor")
    for name in ("default", "own activation"):
        early, late = f"{name}, early", f"{name}, late"
        note = f"{contest.spread(seconds[late], 1e-2)} ms a call"
        value = contest.ratio(seconds, late, early)
        yield Finding(f"{name}: call {LATE:,} over call {EARLY}", value, 1.25, note=note)
        value = contest.ratio(seconds, late, theirs)
        note = f"{contest.spread(seconds[theirs], 1e-2)} ms a call of scikit-learn's"
        yield Finding(f"{name}: call {LATE:,} over scikit-learn's", value, 0.5, note=note)


# == predictions ===================================================================================


def sizes(rounds: int) -> Iterator[Finding]:
    X, y = data(max(SIZES))
    fitted = {
        name: classifier(package, max_iter=1).fit(X, y)
        for name, package in (("skmlp", skmlp), ("scikit-learn", neural_network))
    }

    def changing(model: Any) -> None:
        for n in SIZES:
            model.predict(X[:n])

    rows = ", ".join(f"{n:,}" for n in SIZES)
    for what, goal, times, run in (
        (f"{rows} rows in turn", 1.0, 20, changing),
        ("one row", 0.5, 200, lambda model: model.predict(X[:1])),
    ):
        runs = {name: contest.repeated(partial(run, m), times) for name, m in fitted.items()}
        for repeated in runs.values():
            repeated()
        seconds = contest.in_turn(runs, rounds, "processor")
        value = contest.ratio(seconds, "skmlp", "scikit-learn")
        note = f"{contest.spread(seconds['skmlp'], 1e-3 * times)} ms"
        yield Finding(f"predict, {what}, over scikit-learn's", value, goal, note=note)


# == at rest =======================================================================================


def idle(rounds: int) -> Iterator[Finding]:  # noqa: ARG001, bytes do not vary
    X, y = data(ANSWERED)
    for answer in ("predict", "predict_proba"):
        held = bytes_held(answer, X, y)
        note = f"{held['fitted'] / KB:.1f} kB before the answer"
        name = f"{answer} of {ANSWERED:,} rows: kB an estimator holds beyond its parameters"
        yield Finding(name, held["answered"] / KB, 64.0, note=note)


def bytes_held(answer: str, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the bytes beyond its parameters of one estimator of many, fitted, then answered."""

    def fitted() -> Any:
        return classifier(max_iter=1).fit(X[:300], y[:300])

    getattr(fitted(), answer)(X)  # what is kept once, for all of them
    gc.collect()
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]

    def held(models: list[Any]) -> float:
        gc.collect()
        all_bytes = (tracemalloc.get_traced_memory()[0] - start) / len(models)
        return all_bytes - sum(part.nbytes for part in models[0].coefs_ + models[0].intercepts_)

    models = [fitted() for _ in range(ESTIMATORS)]
    found = {"fitted": held(models)}
    for model in models:
        getattr(model, answer)(X)
    found["answered"] = held(models)
    tracemalloc.stop()
    return found


# == validated fits ================================================================================


def early(rounds: int) -> Iterator[Finding]:
    X, y = data(20_000)
    ours, validated, theirs = "without", "early stopping", "scikit-learn"
    settings = {"max_iter": 20, "n_iter_no_change": 20}
    models = {
        ours: classifier(**settings),
        validated: classifier(early_stopping=True, **settings),
        theirs: classifier(neural_network, early_stopping=True, **settings),
    }
    runs = {name: partial(model.fit, X, y) for name, model in models.items()}
    for run in runs.values():
        run()
    seconds = contest.in_turn(runs, rounds, "processor")
    note = f"{contest.spread(seconds[validated])} ms"
    value = contest.ratio(seconds, validated, theirs)
    yield Finding("early stopping over scikit-learn's", value, 0.5, note=note)
    value = contest.ratio(seconds, validated, ours)
    # 0.9 of the steps, a split, and every epoch the answers and the score on the other rows
    yield Finding("early stopping over a fit without", value, 1.15)


# == all of it =====================================================================================

PARTS: dict[str, Callable[[int], Iterator[Finding]]] = {
    "stream": stream,
    "sizes": sizes,
    "idle": idle,
    "early": early,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write all findings")
    options = parser.parse_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    facts = contest.machine()
    print(contest.described(facts), "\n")
    findings = []
    with contest.threads_held(1), contest.quiet():
        for part in options.part or PARTS:
            findings += PARTS[part](options.rounds)
            print(f"measured: {part}", file=sys.stderr, flush=True)
    print(contest.table(["what", "measured", "goal", "", "note"], [f.cells for f in findings]))
    if options.json:
        found = {"machine": facts, "findings": [finding._asdict() for finding in findings]}
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
