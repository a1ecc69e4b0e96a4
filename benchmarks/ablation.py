"""Measure what each special case for speed brings: whole fits without it over whole fits with it.

Run it from the root of the checkout:

    python benchmarks/ablation.py [--rounds N] [--without CASE] [NETWORK ...]

Each case is switched off by replacing one name in one place. Fits with all of them and without one
take turns, on one thread and by the processor's clock; a ratio is the median over the rounds, with
the lower and upper quartile. "nothing" switches off nothing: its row shows the noise. A case stays
where some network's fit takes 3 % longer without it.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
from contenders import estimator
from networks import JOBS, Job, data, written

import skmlp
from skmlp.engine import kernels, memory, rules
from skmlp.training import objective

NETWORKS = {name: JOBS[name] for name in ("default", "tanh", "256-256", "512-256", "regression")}
NETWORKS["ten classes"] = Job(20, (32,), 10, 200, 10_000, 10)
NEEDED = 1.03


def elementwise(ufunc: np.ufunc) -> Callable[..., Any]:
    return partial(kernels._bind_ufunc, ufunc)


def product(function: Callable[..., Any], out: np.ndarray, a: Any, b: Any) -> Callable[[], Any]:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return partial(function, a, b, out)
    return kernels.KERNELS["matmul"](out, a, b)


def reduced(ufunc: np.ufunc, out: np.ndarray, a: np.ndarray, axis: Any, keepdims: bool) -> Any:
    return partial(ufunc.reduce, a, axis, out.dtype, out, keepdims)


def other(**changed: Any) -> tuple[Any, str, Any]:
    """Put other kernels in the place of some: a case."""
    return kernels, "KERNELS", kernels.KERNELS | changed


# What is switched off -> whose name is replaced, and by what.
CASES: dict[str, tuple[Any, str, Any]] = {
    "nothing": other(),
    "stacked first layer": (rules, "PLANNED", (rules.factored,)),
    "factored products": (rules, "PLANNED", (rules.stacked,)),
    "aligned arrays": (memory, "LINE_BYTES", 1),
    "matmul for large products": other(matmul=partial(product, np.dot)),
    "dot for small products": other(matmul=partial(product, np.matmul)),
    "masks as a copy and a product": other(multiply=elementwise(np.multiply)),
    "repeated constants": other(maximum=elementwise(np.maximum), minimum=elementwise(np.minimum)),
    "sums as products": other(sum=partial(reduced, np.add)),
    "transposed maxima": other(max=partial(reduced, np.maximum), min=partial(reduced, np.minimum)),
}


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def without(case: str, fit: Callable[[], Any]) -> Callable[[], None]:
    """Return a fit without a case, which keeps the graphs that it planned to itself."""
    trace = objective._kept_graph.__wrapped__
    kept = lru_cache(4)(trace)

    def run() -> None:
        with replaced(*CASES[case]), replaced(objective, "_kept_graph", kept):
            fit()

    return run


def measure(name: str, dtype: str, cases: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the ratios of each case in every round."""
    job = NETWORKS[name]
    fit = estimator(skmlp, dtype, job, *data(job))
    runs = {"as is": fit} | {case: without(case, fit) for case in cases}
    for run in runs.values():
        run()
    seconds = contest.in_turn(runs, rounds, "processor")
    base = seconds.pop("as is")
    return {case: [a / b for a, b in zip(s, base, strict=True)] for case, s in seconds.items()}


def cell(ratios: list[float]) -> str:
    low, median, high = statistics.quantiles(ratios, n=4)
    mark = "**" if median >= NEEDED else ""
    return f"{mark}{median:.2f}{mark} ({low:.2f}-{high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--without", action="append", choices=CASES, help="all by default")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    cases = options.without or list(CASES)
    print(contest.described(contest.machine()), "\n")
    head, columns = ["a fit without"], []
    with contest.threads_held(1), contest.quiet():
        for name in options.network or NETWORKS:
            for dtype in ("float32", "float64"):
                columns.append(measure(name, dtype, cases, options.rounds))
                head.append(f"{written(NETWORKS[name])}, {dtype}")
                print(f"measured: {head[-1]}", file=sys.stderr, flush=True)
    rows = [[case, *(cell(column[case]) for column in columns)] for case in cases]
    print(contest.table(head, rows))


if __name__ == "__main__":
    main()
