"""Measure fits on a Dask cluster: their time, what travels, and what local steps cost in quality.

Run it from the root of the checkout:

    python benchmarks/dask_scaling.py [--folder FOLDER] [--seeds N] [--epochs N]

The first table is of one machine: rows are drawn, workers are processes of one thread, and seconds
are the least of three fits, reading and placing the partitions included. The second is of the sets
in FOLDER, a CSV each with a column `target`: the mean held-out score (R2, or accuracy) over the
seeds, its standard deviation, and how far it is from the local fit's, in standard errors of that
difference.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

sys.path.append(str(Path(__file__).resolve().parents[1]))

from skmlp import MLPClassifier, MLPRegressor
from skmlp.dask import DaskMLPClassifier, DaskMLPRegressor

ROWS, COLUMNS = 60_000, 40
SETS = ("california_housing", "letter")
SPREAD = [(2, "epoch"), (2, 10), (2, 1), (4, "epoch"), (4, 10)]  # workers, sync_every


def cluster(n_workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
    )


def scaling() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=ROWS)
    jobs: dict[str, dict[str, Any]] = {
        "lbfgs": {"solver": "lbfgs", "max_iter": 40},
        "adam": {"max_iter": 10, "batch_size": 200},
        "adam, sync_every=10": {"max_iter": 10, "batch_size": 200, "sync_every": 10},
    }
    print("fit                    local s   1 process s   2 processes s   speed-up   bytes a round")
    for name, parameters in jobs.items():
        parameters = {"hidden_layer_sizes": (64, 64), "random_state": 0, **parameters}
        local = {x: v for x, v in parameters.items() if x != "sync_every"}
        alone = timed(lambda local=local: MLPRegressor(**local).fit(X, y))[0]
        found = []
        for n in (1, 2):
            with cluster(n) as processes, Client(processes) as client:
                cut = [da.from_array(a, chunks=(ROWS // 8, -1)[: a.ndim]) for a in (X, y)]
                lazy = client.persist(cut)
                client.rebalance(lazy)
                found.append(timed(lambda p=parameters, d=lazy: DaskMLPRegressor(**p).fit(*d)))
        (one, _), (two, fitted) = found
        traffic = fitted.traffic_
        print(
            f"{name:20s} {alone:9.2f} {one:13.2f} {two:15.2f} {one / two:10.2f}"
            f" {traffic['sent'] + traffic['received']:15.0f}",
            flush=True,
        )


def timed(fit: Any) -> tuple[float, Any]:
    seconds, fitted = [], None
    for _ in range(3):
        start = time.perf_counter()
        fitted = fit()
        seconds.append(time.perf_counter() - start)
    return min(seconds), fitted


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    frame = pd.read_csv(folder / f"{name}.csv.gz")
    return frame.drop(columns="target").to_numpy(np.float64), frame["target"].to_numpy()


def quality(folder: Path, names: list[str], seeds: int, epochs: int) -> None:
    print(
        "\nset                  workers  sync_every   score     sd    from local, standard errors"
    )
    clusters = {n: cluster(n) for n in {n for n, _ in SPREAD}}
    for name in names:
        X, y = read(folder, name)
        is_number = y.dtype.kind == "f"
        local, spread = (
            (MLPRegressor, DaskMLPRegressor) if is_number else (MLPClassifier, DaskMLPClassifier)
        )
        scores: dict[tuple[int, Any], list[float]] = {}
        for seed in range(seeds):
            parts = train_test_split(X, y, random_state=seed, test_size=0.25)
            scaler = StandardScaler().fit(parts[0])
            train, test = scaler.transform(parts[0]), scaler.transform(parts[1])
            given = {"max_iter": epochs, "learning_rate_init": 0.003, "random_state": seed}
            given |= {"learning_rate": "cosine", "tol": 0, "n_iter_no_change": np.inf}
            one = local(**given).fit(train, parts[2])
            scores.setdefault((1, "local"), []).append(one.score(test, parts[3]))
            for n, sync_every in SPREAD:
                chunk = -(-len(train) // n)
                lazy = da.from_array(train, chunks=(chunk, -1)), da.from_array(parts[2], chunk)
                with Client(clusters[n]) as client:
                    many = spread(client=client, sync_every=sync_every, **given).fit(*lazy)
                found = many.to_local().score(test, parts[3])
                scores.setdefault((n, sync_every), []).append(found)
        expected = np.array(scores[1, "local"])
        for (n, sync_every), values in scores.items():
            away = np.array(values) - expected
            error = np.sqrt((np.var(values, ddof=1) + np.var(expected, ddof=1)) / len(away))
            print(
                f"{name:20s} {n:7d} {sync_every!s:>11s} {np.mean(values):8.4f} "
                f"{np.std(values, ddof=1):7.4f} {np.mean(away) / error:10.1f}",
                flush=True,
            )
    for one in clusters.values():
        one.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where the sets are; none, no second table")
    parser.add_argument("--sets", nargs="*", default=SETS, help="which of them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    scaling()
    if arguments.folder is not None:
        quality(arguments.folder, arguments.sets, arguments.seeds, arguments.epochs)


if __name__ == "__main__":
    main()
