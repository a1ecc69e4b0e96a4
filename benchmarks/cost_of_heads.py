"""How long a fit takes with each head for numbers, as a ratio to one with `poisson`.

Both fits of a pair see the same data, one after the other in turn, with one thread and defaults
but for the number of epochs; the ratio is the median over the turns.

    python benchmarks/cost_of_heads.py [--rounds 5] [--check]

With `--check` it ends in an error where a limit is passed: tweedie 3, negative_binomial 2.
"""

import argparse
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from skmlp import MLPRegressor
from skmlp.heads import HEADS, NegativeBinomial, Tweedie

SHAPES = {"10,000 x 20": (10_000, 20, 3), "1,000 x 5": (1_000, 5, 30)}  # rows, columns, epochs
LIMITS = {"tweedie": 3.0, "negative_binomial": 2.0}
OTHERS = [Tweedie(1.5, dispersion=1.0), Tweedie(1.2), Tweedie(1.8), NegativeBinomial(0.5)]


def seconds(head, X, y, epochs):
    model = MLPRegressor(head=head, max_iter=epochs, random_state=0)
    start = time.process_time()
    model.fit(X, y)
    return time.process_time() - start


def ratios(head, X, y, epochs, rounds):
    seconds(head, X, y, 1), seconds("poisson", X, y, 1)  # traced, and tables made
    return [seconds(head, X, y, epochs) / seconds("poisson", X, y, epochs) for _ in range(rounds)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    names = [name for name, kind in HEADS.items() if "numbers" in kind.targets]
    passed = []
    print("| head | " + " | ".join(SHAPES) + " |\n| --- |" + " --- |" * len(SHAPES))
    for head in [*names, *OTHERS]:
        found = []
        for n, p, epochs in SHAPES.values():
            rng = np.random.default_rng(0)
            X = rng.normal(size=(n, p))
            y = 1.0 * rng.poisson(rng.gamma(2.0, np.exp(X[:, 0] / 2)))
            domain = (HEADS[head]() if isinstance(head, str) else head).domain
            y = y if domain.allows(0.0) else y + 1
            found.append(np.median(ratios(head, X, y, epochs, arguments.rounds)))
            passed += [f"{head}: {found[-1]:.1f}"] if found[-1] > LIMITS.get(head, np.inf) else []
        print(f"| {head} | " + " | ".join(f"{ratio:.2f}" for ratio in found) + " |", flush=True)
    if arguments.check and passed:
        raise SystemExit("above its limit: " + ", ".join(passed))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        main()
