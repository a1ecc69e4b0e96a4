"""Measure how time and memory grow, and what surrounds a fit: planning, tuning, importing.

Run it from the root of the checkout: python benchmarks/scaling.py [--json FILE] [PART ...]

Each PART is a question with a goal; all of them by default. BLAS has one thread, and but for tuning
the clock is the processor's, which stands still while other programs run.

growth      Time of a fit against rows, width and depth, over three decades of work. A line
            `fixed + rate * work` is fitted to the times, each weighted by its inverse, with neither
            term negative; what counts is the largest relative deviation of a time from it. Beside
            it stands the time per unit of work over that of the largest size, fixed part included.
backward    An epoch of a wide network without its forward pass, over the forward pass.
memory      Peaks above the loaded data, each in a process of its own (`memory.py`).
tuning      `GridSearchCV` over 24 small candidates, two processes against one.
planning    From a network's shape to the first gradient, and a whole fit of one batch.
importing   What `import skmlp` adds to `import sklearn.neural_network`, in fresh interpreters.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import memory
import numpy as np
from contest import Finding
from joblib import parallel_config
from scipy.optimize import nnls
from sklearn.model_selection import GridSearchCV

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.engine import Program
from skmlp.heads import HEADS
from skmlp.network.network import Network, values_of
from skmlp.training.objective import LossGraph, Objective

BATCH = 200
MS = 1e-3


def numbers(rows: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, inputs), np.float32)
    return X, np.sin(X[:, 0])


# == growth ========================================================================================


def sizes(least: int, decades: float) -> list[int]:
    """Return sizes in steps of a third of the decades' unit, ten of them."""
    return [round(least * 10 ** (k * decades / 9)) for k in range(10)]


def regressor(rows: int, hidden: tuple[int, ...], **settings: Any) -> Callable[[], Any]:
    X, y = numbers(rows, 20)
    model = MLPRegressor(
        hidden, "tanh", batch_size=BATCH, max_iter=1, n_iter_no_change=1, random_state=0, **settings
    )
    return partial(model.fit, X, y)


def deep(depth: int) -> Callable[[], Any]:
    """A fit of many layers; other weights let gradients vanish, and tiny numbers are slow."""
    return regressor(2000, (32,) * depth, weight_init="orthogonal")


class Axis(NamedTuple):
    """What grows: sizes, the work at a size, and a fit of it."""

    sizes: list[int]
    work: Callable[[int], float]
    fit: Callable[[int], Callable[[], Any]]


AXES = {
    "rows": Axis(sizes(1000, 3), float, lambda n: regressor(n, (100,))),
    "width, one layer": Axis(sizes(32, 3), float, lambda h: regressor(2000, (h,))),
    "width, two layers": Axis(
        sizes(64, 1.5), lambda h: h * (h + 21), lambda h: regressor(1000, (h, h))
    ),
    "depth": Axis(sizes(1, 3), float, deep),
}


def growth() -> Iterator[Finding]:
    for name, axis in AXES.items():
        points = axis.sizes
        fits = {str(size): axis.fit(size) for size in points}
        for fit in fits.values():
            fit()
        seconds = contest.in_turn(fits, 5, "processor")
        times = np.array([min(seconds[str(size)]) for size in points])
        work = np.array([axis.work(size) for size in points])
        fixed, rate = line(work, times)
        deviations = times / (fixed + rate * work) - 1
        worst = int(np.argmax(np.abs(deviations)))
        per_unit = times / work / (times[-1] / work[-1])
        note = (
            f"{points[0]:,} to {points[-1]:,}; fixed {fixed / MS:.2g} ms; worst at "
            f"{points[worst]:,} ({deviations[worst]:+.0%}); per unit of work over the largest's: "
            + ", ".join(f"{value:.2f}" for value in per_unit)
        )
        yield Finding(f"deviation from linear in {name}", abs(deviations[worst]), 0.15, note=note)


def line(work: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """Fit `fixed + rate * work` by relative least squares, neither term negative."""
    columns = np.stack([np.ones(len(work)), work], axis=1)
    scale = columns.max(axis=0)
    terms, _ = nnls(columns / scale / times[:, None], np.ones(len(work)))
    fixed, rate = terms / scale
    return float(fixed), float(rate)


# == one network ===================================================================================


def parts(units: tuple[int, ...]) -> tuple[Network, LossGraph]:
    network = Network(units, (ACTIVATIONS["relu"],) * (len(units) - 2))
    return network, LossGraph(network, HEADS["linear"](), units[-1])


def backward() -> Iterator[Finding]:
    for units, batch in (((50, 256, 256, 1), 256), ((100, 1024, 1024, 1), 1024)):
        X, y = numbers(10 * batch, units[0])
        model = MLPRegressor(units[1:-1], batch_size=batch, random_state=0, tol=0)
        runs = {
            "forward": contest.repeated(forward_pass(units, batch, X, y), 2),
            "1 epoch": partial(fit_epochs, model, X, y, 1),
            "3 epochs": partial(fit_epochs, model, X, y, 3),
        }
        for run in runs.values():
            run()
        seconds = contest.in_turn(runs, 9, "processor")
        times = zip(*seconds.values(), strict=True)
        value = statistics.median((three - one - both) / both for both, one, three in times)
        yield Finding(f"backward and update over forward, {units}", value, 2.5)


def forward_pass(
    units: tuple[int, ...], batch: int, X: np.ndarray, y: np.ndarray
) -> Callable[[], None]:
    """Make a function that computes the loss of every batch of shuffled rows."""
    network, graph = parts(units)
    theta = network.initial_theta(np.random.RandomState(0), "float32")
    variables = {graph.per_row: np.ones((), "float32")}
    variables |= values_of(graph.parameters, network.split(theta))
    program = Program([graph.objective], variables, dtype="float32")
    values = {graph.x: X, graph.y: y[:, None]}
    batches = np.random.default_rng(0).permutation(len(y)).reshape(-1, batch)

    def forward() -> None:
        for rows in batches:
            program.run(values, rows)

    return forward


def fit_epochs(model: Any, X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    model.set_params(max_iter=epochs).fit(X, y)


def planning() -> Iterator[Finding]:
    X, y = numbers(BATCH, 20)
    Y, rows = y[:, None], np.arange(BATCH)

    def plan() -> None:
        network, graph = parts((20, 100, 1))
        theta = network.initial_theta(np.random.RandomState(0), "float32")
        Objective(graph, theta, X, Y, None, 1e-4)(rows)

    model = MLPRegressor(batch_size=BATCH, max_iter=1, random_state=0)
    runs = {"plan": plan, "fit": partial(model.fit, X, y)}
    for run in runs.values():
        run()
    seconds = contest.in_turn(runs, 100, "processor")
    least = {name: min(values) / MS for name, values in seconds.items()}
    yield Finding(
        "graph, program and first gradient of a default network, ms",
        statistics.median(seconds["plan"]) / MS,
        3.0,
        note=f"least {least['plan']:.2g}; a whole fit of one batch {least['fit']:.2g}",
    )


# == around a fit ==================================================================================


def memory_of(case: str) -> dict[str, float]:
    command = [sys.executable, str(Path(memory.__file__)), case]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


FEW_BYTES = 16.0  # row numbers and labels; one row of inputs has 200, of hidden units 400


def memory_growth() -> Iterator[Finding]:
    for case in ("fit, float32", "fit, float64 as float32"):
        found = memory_of(case)
        note = f"{memory.MANY:,} x {memory.INPUTS}; arrays {found['arrays']:.0f} MB"
        yield Finding(f"{case}: peak above the data, MB", found["resident"], 64.0, note=note)
    more = memory.MANY - memory.FEW
    for case, answer in (("lbfgs", 0), ("predict", 8), ("predict_proba", 8)):
        few, many = (memory_of(f"{case}, {rows:,} rows") for rows in (memory.FEW, memory.MANY))
        grown = (many["arrays"] - few["arrays"]) * memory.MB / more - answer
        note = f"peaks {few['resident']:.0f} MB and {many['resident']:.0f} MB"
        yield Finding(f"{case}: bytes a row beside the answer", grown, FEW_BYTES, note=note)
    found = memory_of("fit after fit")
    note = f"resident {found['resident']:+.2f} MB"
    yield Finding("20 fits more: MB more in arrays", found["arrays"], 0.1, note=note)


def tuning() -> Iterator[Finding]:
    X, y = numbers(2000, 20)
    candidates = {
        "alpha": [1e-5, 1e-4, 1e-3, 1e-2],
        "learning_rate_init": [1e-3, 3e-3, 1e-2],
        "hidden_layer_sizes": [(50,), (100,)],
    }
    # No fit improves by so much, so each stops after its 80 epochs without a warning.
    model = MLPClassifier(tol=1e6, n_iter_no_change=79, random_state=0)
    searches = {
        n_jobs: GridSearchCV(model, candidates, n_jobs=n_jobs, cv=3, refit=False)
        for n_jobs in (1, 2)
    }
    runs = {f"{n} processes": partial(search.fit, X, y > 0) for n, search in searches.items()}
    with parallel_config("loky", inner_max_num_threads=1):
        for run in runs.values():
            run()
        seconds = contest.in_turn(runs, 5)
    value = contest.ratio(seconds, "1 processes", "2 processes")
    note = f"{contest.spread(seconds['1 processes'], 1)} s with one"
    yield Finding("24 candidates, n_jobs=2 over n_jobs=1", value, 1.8, True, note)


def importing() -> Iterator[Finding]:
    # As an installer leaves it: compiled, by the first of these imports if not before.
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def run(line: str) -> float:
        code = (
            f"import sys; sys.path = {sys.path!r}; {line}; import time; print(time.process_time())"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, capture_output=True, env=compiled)
        return float(done.stdout) / MS

    lines = ("import sklearn.neural_network", "import sklearn.neural_network, skmlp")
    pairs = [[run(line) for line in lines] for _ in range(15)][1:]
    added = statistics.median(both - one for one, both in pairs)
    note = f"{statistics.median(one for one, _ in pairs):.0f} ms without"
    yield Finding("import skmlp adds, ms", added, 30.0, note=note)


# == all of it =====================================================================================

PARTS: dict[str, Callable[[], Iterator[Finding]]] = {
    "growth": growth,
    "backward": backward,
    "memory": memory_growth,
    "tuning": tuning,
    "planning": planning,
    "importing": importing,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--json", metavar="FILE", help="write all findings")
    options = parser.parse_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    facts = contest.machine()
    print(contest.described(facts), "\n")
    findings = []
    with contest.threads_held(1), contest.quiet():
        for part in options.part or PARTS:
            findings += PARTS[part]()
            print(f"measured: {part}", file=sys.stderr, flush=True)
    print(contest.table(["what", "measured", "goal", "", "note"], [f.cells for f in findings]))
    if options.json:
        found = {"machine": facts, "findings": [finding._asdict() for finding in findings]}
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
