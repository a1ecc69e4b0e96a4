"""Time and memory of the estimators for tables, by the number of rows.

Run it from the root of the checkout: python benchmarks/tables_at_scale.py [ROWS ...] [--columns N]
    [--learner skmlp|compact] [--task numbers|classes] [--jobs N]

Tables are made on the spot: numbers, some of them missing, and categories of 5 and of 50 levels;
the target depends on ten of the columns. Each fit is in a process of its own, on one thread. Memory
is what the process grows by in `fit`, at its peak, beyond the frame that it is given; a block is
the encoded rows that are in memory at a time, all of them where they fit.

With --jobs, fits with n_jobs=1 and n_jobs=N are timed in turn instead, by the clock on the wall:
the first one with N also starts the processes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
import pandas as pd

from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor
from skmlp.tabular import shown as rooms

NEW = 10_000


def table(rows: int, columns: int, task: str) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = {f"number {j}": rng.standard_normal(rows) for j in range(columns - 4)}
    X["number 0"][rng.random(rows) < 0.1] = np.nan
    X |= {
        f"few {j}": pd.Categorical.from_codes(rng.integers(0, 5, rows), list("abcde"))
        for j in (0, 1)
    }
    many = [f"level {j}" for j in range(50)]
    X |= {f"many {j}": pd.Categorical.from_codes(rng.integers(0, 50, rows), many) for j in (0, 1)}
    frame = pd.DataFrame(X)
    x = [np.nan_to_num(X[f"number {j}"]) for j in range(8)]
    y = x[0] * x[1] + np.sin(3 * x[2]) + np.abs(x[3]) + (x[4] > 0.5) * x[5] + 0.3 * x[6]
    y = y + 0.5 * X["few 0"].codes + 0.02 * X["many 0"].codes + 0.3 * rng.standard_normal(rows)
    return frame, (y > np.median(y)).astype(int) if task == "classes" else y


def learner_of(task: str, learner: str) -> Callable[..., Any]:
    kind = TabularMLPClassifier if task == "classes" else TabularMLPRegressor
    return partial(kind, **({"n_neighbors": None} if learner == "compact" else {}))


def measure(rows: int, columns: int, task: str, learner: str) -> dict[str, float]:
    X, y = table(rows + NEW, columns, task)
    train, new = slice(rows), slice(rows, None)
    kind = learner_of(task, learner)
    model = kind(random_state=0)
    small = slice(500)
    with contest.threads_held(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind(max_epochs=1, n_folds=2).fit(X[small], y[small])  # what is loaded once
        X_train, X_new = X[train], X[new]
        before, begun = _peak(reset=True), time.process_time()
        model.fit(X_train, y[train])
        fit, peak = time.process_time() - begun, _peak()
        begun = time.process_time()
        score = model.score(X_new, y[new])
        predict = time.process_time() - begun
        parts = model._model.parts
        width = max(part.trained.network.layer_units[0] for part in parts)
        block = min(4 * rows * width, rooms.BLOCK_BYTES)
        begun = time.perf_counter()
        for i in range(50):
            model.predict(X_new[i : i + 1])
        row = (time.perf_counter() - begun) / 50
    return {
        "rows": rows,
        "fit": fit,
        "memory": (peak - before) / 2**20,
        "block": block / 2**20,
        "score": score,
        "predict": 1000 * predict / NEW,
        "row": 1000 * row,
    }


def jobs(rows: int, columns: int, task: str, learner: str, n: int) -> list[str]:
    """Fit with one job and with n, in turn, twice, and check that they answer the same."""
    X, y = table(rows, columns, task)
    kind = learner_of(task, learner)
    seconds: dict[int, list[float]] = {1: [], n: []}
    answers = []
    for n_jobs in (1, n, 1, n):
        model = kind(random_state=0, n_jobs=n_jobs)
        begun = time.perf_counter()
        model.fit(X, y)
        seconds[n_jobs].append(time.perf_counter() - begun)
        answers.append(model.predict(X[:1000]))
    if not all(np.array_equal(answers[0], other) for other in answers):
        raise RuntimeError("n_jobs changed an answer")
    one, (first, again) = min(seconds[1]), seconds[n]
    return [f"{rows:,}", *(f"{x:.1f}" for x in (one, first, again)), f"{again / one:.2f}"]


def _peak(*, reset: bool = False) -> float:
    """Return the most memory that the process has had, in bytes, since the last reset."""
    if reset:
        try:
            Path("/proc/self/clear_refs").write_text("5")
            return _status("VmRSS")
        except OSError:
            pass
    try:
        return _status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1]) * 1024
    raise OSError(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", type=int, default=[6_000, 60_000, 1_000_000])
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--task", choices=["numbers", "classes"], default="numbers")
    parser.add_argument("--learner", choices=["skmlp", "compact"], default="skmlp")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, metavar="N", help="compare n_jobs=1 and n_jobs=N")
    asked = parser.parse_args()
    what = asked.columns, asked.task, asked.learner
    if asked.jobs is not None:
        with contest.threads_held(1):
            found = [jobs(rows, *what, asked.jobs) for rows in asked.rows]
        print(contest.described(contest.machine()), "\n")
        heads = ["rows", "n_jobs=1, s", f"n_jobs={asked.jobs}, first, s", "again, s", "ratio"]
        print(contest.table(heads, found))
        return
    if asked.alone:
        print(json.dumps(measure(asked.rows[0], *what)))
        return
    measured = []
    for rows in asked.rows:
        options = ["--columns", asked.columns, "--task", asked.task, "--learner", asked.learner]
        command = [sys.executable, __file__, str(rows), *map(str, options), "--alone"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
        measured.append(json.loads(output.stdout))
        print(measured[-1], file=sys.stderr, flush=True)
    print(contest.described(contest.machine()), "\n")
    print(f"{asked.columns} columns, {asked.task}, {asked.learner}\n")
    heads = ["rows", "fit, s", "memory, MB", "block, MB", "memory / block", "score"]
    heads += ["1,000 rows, ms", "one row, ms"]
    cells = [
        [
            f"{r['rows']:,}",
            f"{r['fit']:.0f}",
            f"{r['memory']:.0f}",
            f"{r['block']:.0f}",
            f"{r['memory'] / r['block']:.1f}",
            f"{r['score']:.4f}",
            f"{1000 * r['predict']:.0f}",
            f"{r['row']:.1f}",
        ]
        for r in measured
    ]
    print(contest.table(heads, cells))


if __name__ == "__main__":
    main()
