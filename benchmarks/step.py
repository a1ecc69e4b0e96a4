"""Show where the time of one training step goes: every call of the program, then the rest.

Run it from the root of the checkout:

    python benchmarks/step.py [--threads N] [NETWORK ...]

NETWORKs are those of fit.py. A call's time is the least of many repetitions with its arrays in the
cache; that of a batch is the least of some batches, gathered anew, so that the parts add up to a
little less. What is not a matrix product is what an implementation can save.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
from networks import ALPHA, JOBS, SEED, Job, data, written

from skmlp import MLPClassifier
from skmlp.activations import ACTIVATIONS
from skmlp.engine import running
from skmlp.estimators.settings import Settings
from skmlp.heads import HEADS
from skmlp.network.network import Network
from skmlp.training.objective import LossGraph, Objective

PRODUCTS = ("dot", "matmul", "_sparse_product")


def least(run: Callable[[], object], seconds: float = 0.05) -> float:
    """Return the shortest time of a run in microseconds, among as many as fit the seconds."""
    run()
    best, end = np.inf, time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        run()
        best = min(best, time.perf_counter() - start)
    return 1e6 * best


def objective_of(job: Job, dtype: type) -> tuple[Objective, Network]:
    X, y = data(job)
    head = {1: "linear", 2: "logistic"}.get(job.classes, "softmax")
    Y = y[:, None] == np.arange(job.classes) if head == "softmax" else y.reshape(-1, 1)
    network = Network(
        (job.inputs, *job.hidden, job.outputs), (ACTIVATIONS[job.activation],) * len(job.hidden)
    )
    theta = network.initial_theta(np.random.RandomState(SEED), dtype)
    graph = LossGraph(network, HEADS[head](), Y.shape[1], is_sparse=job.filled < 1)
    values = X.astype(dtype), np.ascontiguousarray(Y, dtype)
    return Objective(graph, theta, *values, None, ALPHA), network


def profile(job: Job, dtype: type) -> None:
    objective, network = objective_of(job, dtype)
    adam = Settings.of(MLPClassifier()).new_solver(objective.theta, network.penalized)
    move = adam.bind(objective.theta, objective.gradient)
    order = np.random.RandomState(SEED).permutation(job.rows)
    batches = [order[i : i + job.batch] for i in range(0, job.rows, job.batch)]
    objective(batches[0])
    calls = objective.program.step(job.batch).calls
    rows = []
    for call in calls:
        name = getattr(call.func, "__name__", str(call.func))
        shapes = [a.shape for a in call.args if hasattr(a, "shape")]
        rows.append((name, " ".join("x".join(map(str, s)) or "()" for s in shapes), least(call)))
    products = sum(us for name, _, us in rows if name in PRODUCTS)
    gradient = min(least(lambda b=b: objective(b), 0.01) for b in batches[:20])
    solver = least(move)
    print(
        f"\n{np.dtype(dtype)}: {len(calls)} calls\n\n| call | arrays | us |\n| --- | --- | ---: |"
    )
    for name, shapes, us in rows:
        print(f"| {name} | {shapes} | {us:.2f} |")
    others = sum(us for _, _, us in rows) - products
    print(
        f"\nMatrix products {products:.1f} us, other calls {others:.1f} us; objective and gradient "
        f"of a batch {gradient:.1f} us, step of the solver {solver:.1f} us; together "
        f"{(gradient + solver) / products:.2f} times the products."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", default=["default"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(contest.described(contest.machine()))
    for name in options.network:
        print(f"\n## {written(JOBS[name])}")
        for dtype in (np.float32, np.float64):
            with contest.threads_held(options.threads), running():
                profile(JOBS[name], dtype)


if __name__ == "__main__":
    main()
