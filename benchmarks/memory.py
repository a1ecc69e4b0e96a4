"""Measure the memory of one case in a process of its own: `scaling.py` runs it for each.

    python benchmarks/memory.py CASE

prints {"resident": MB, "arrays": MB} as JSON. Data are loaded and all is warmed up on a thousand
rows; what counts is the peak above that. `resident` is what the operating system saw, `arrays` what
NumPy and Python asked for in a second run (tracemalloc).
"""

import gc
import json
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np

from skmlp import MLPClassifier

MB = 2**20
INPUTS = 50
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(peak: bool) -> float:
    """Return the resident memory in MB: now (Linux only), or the peak."""
    if not STATUS.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB
    name = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / MB


def above(run: Callable[[], Any]) -> dict[str, float]:
    """Return the peak memory of a run above what there was before, in MB."""
    gc.collect()
    if RESET.exists():
        RESET.write_text("5")  # the peak starts again from what is resident now
    before = resident(peak=False)
    run()
    found = {"resident": resident(peak=True) - before}
    tracemalloc.start()
    run()
    found["arrays"] = tracemalloc.get_traced_memory()[1] / MB
    return found


def data(rows: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.empty((rows, INPUTS), dtype)
    rng.standard_normal(dtype=dtype, out=X)
    return X, (X[:, 0] > 0).astype(np.int64)


def fitting(rows: int, stored: str, **settings: Any) -> dict[str, float]:
    X, y = data(rows, stored)
    model = MLPClassifier(random_state=0, **{"max_iter": 1, **settings})
    model.fit(X[:1000], y[:1000])
    return above(lambda: model.fit(X, y))


def predicting(rows: int, answer: str) -> dict[str, float]:
    X, y = data(rows, "float32")
    model = MLPClassifier(random_state=0, max_iter=1).fit(X[:1000], y[:1000])
    getattr(model, answer)(X[:1000])
    return above(lambda: getattr(model, answer)(X))


def fit_after_fit(fits: int = 20) -> dict[str, float]:
    """Return by how much memory has grown from the fifth fit to the last, not its peak."""
    X, y = data(10_000, "float32")

    def fit(times: int) -> None:
        for _ in range(times):
            MLPClassifier(random_state=0, max_iter=1).fit(X, y)
        gc.collect()

    fit(5)
    before = resident(peak=False)
    fit(fits)
    grown = resident(peak=False) - before
    tracemalloc.start()
    fit(5)
    before = tracemalloc.get_traced_memory()[0]
    fit(fits)
    return {"resident": grown, "arrays": (tracemalloc.get_traced_memory()[0] - before) / MB}


FEW, MANY = 250_000, 1_000_000

CASES: dict[str, Callable[[], dict[str, float]]] = {
    "fit, float32": lambda: fitting(MANY, "float32"),
    "fit, float64 as float32": lambda: fitting(MANY, "float64", dtype="float32"),
    "fit after fit": fit_after_fit,
    **{
        f"lbfgs, {rows:,} rows": lambda rows=rows: fitting(
            rows, "float32", solver="lbfgs", max_iter=2
        )
        for rows in (FEW, MANY)
    },
    **{
        f"{answer}, {rows:,} rows": lambda answer=answer, rows=rows: predicting(rows, answer)
        for answer in ("predict", "predict_proba")
        for rows in (FEW, MANY)
    },
}

if __name__ == "__main__":
    with contest.quiet():
        print(json.dumps(CASES[sys.argv[1]]()))
