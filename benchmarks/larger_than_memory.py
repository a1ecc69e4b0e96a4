"""Measure a fit of a mapped file and a stream beside a fit of the same rows in memory.

Run it from the root of the checkout: python benchmarks/larger_than_memory.py [--rows N]

Each way runs in a process of its own, which prints its rows a second (an epoch of the network of
(32,) with batches of 500) and its peak of anonymous memory (Linux) above what was there before the
rows were opened. All read the same file of 100 columns in float32; it is in the page cache. "in
memory" reads it whole first, and that time counts for none.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np

from skmlp import MLPClassifier

INPUTS, PART = 100, 20_000
WAYS = ("in memory", "mapped file", "mapped file, early stopping", "stream")


def anonymous() -> float:
    """Return the anonymous memory that is resident, in MB; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("RssAnon")), float("nan"))


def write(folder: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, INPUTS))
    for start in range(0, rows, PART):
        X[start : start + PART] = rng.standard_normal(X[start : start + PART].shape, np.float32)
    X.flush()
    np.save(folder / "y.npy", (X[:, 0] + np.sin(3 * X[:, 1]) > 0).astype(np.int64))


def run(way: str, folder: Path) -> dict[str, float]:
    options: dict[str, Any] = {"max_iter": 1, "batch_size": 500, "random_state": 0}
    few = np.random.default_rng(0).standard_normal((1000, INPUTS), np.float32)
    MLPClassifier((32,), **options).fit(few, np.arange(1000) % 2)  # what is loaded once
    model = MLPClassifier((32,), early_stopping="early" in way, **options)
    before = peak = anonymous()
    is_over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.002):
            peak = max(peak, anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "Xy")
    if way == "in memory":
        X, y = np.array(X), np.array(y)
    start = time.perf_counter()
    if way == "stream":
        for i in range(0, len(X), PART):
            model.partial_fit(X[i : i + PART], y[i : i + PART], classes=[0, 1])
    else:
        model.fit(X, y)
    seconds = time.perf_counter() - start
    is_over.set()
    watching.join()
    return {"rows/s": len(X) / seconds, "MB": peak - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="run one, in this process")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.way:
        with contest.threads_held(1), contest.quiet():
            print(json.dumps(run(options.way, options.folder)))
        return
    print(contest.described(contest.machine()), "\n")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.rows)
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, runs in found.items():
                command = [sys.executable, __file__, "--way", way, "--folder", folder]
                runs.append(json.loads(subprocess.check_output(command)))
    rates = {way: float(np.median([x["rows/s"] for x in runs])) for way, runs in found.items()}
    cells = [
        [way, f"{rates[way]:,.0f}", f"{rates[way] / rates['in memory']:.2f}", f"{peak:.0f}"]
        for way, peak in ((w, max(x["MB"] for x in runs)) for w, runs in found.items())
    ]
    print(f"{options.rows:,} rows, {options.rows * INPUTS * 4 / 2**20:.0f} MB")
    print(contest.table(["", "rows/s", "over in memory", "MB"], cells))


if __name__ == "__main__":
    main()
