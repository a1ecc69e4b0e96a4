"""Measure how long stored estimators take to be read, beside scikit-learn's of the same layers.

Run it from the root of the checkout: python benchmarks/files.py

Each line is a way and the layers: scikit-learn's time over skmlp's, of the best of several rounds
in turn, so that more than 1 is faster than scikit-learn's; then the bytes of both. It needs skops.
"""

import pickle
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import numpy as np
import skops.io
from sklearn import neural_network

import skmlp

ROUNDS = 60
LAYERS = ((100,), (100, 100), (500, 500))


def fitted(kind: type, layers: tuple[int, ...]) -> Any:
    X = np.random.default_rng(0).standard_normal((300, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(layers, max_iter=20, random_state=0).fit(X, X[:, 0] > 0)


def seconds(call: Callable[[], Any]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def main() -> None:
    for layers in LAYERS:
        ours, theirs = (fitted(x.MLPClassifier, layers) for x in (skmlp, neural_network))
        skops_loads = partial(skops.io.loads, trusted=skmlp.trusted_types())
        more = ["sklearn.neural_network._stochastic_optimizers.AdamOptimizer"]
        more += ["sklearn.preprocessing._label.LabelBinarizer"]
        skops_theirs = partial(skops.io.loads, trusted=more)
        for name, dumps, loads, loads_theirs in (
            ("pickle", pickle.dumps, pickle.loads, pickle.loads),
            ("skops", skops.io.dumps, skops_loads, skops_theirs),
        ):
            files = dumps(ours), dumps(theirs)
            calls = partial(loads, files[0]), partial(loads_theirs, files[1])
            best = np.min([[seconds(call) for call in calls] for _ in range(ROUNDS)], axis=0)
            sizes = " and ".join(f"{len(file):,}" for file in files)
            print(f"{name:7s} {layers!s:12s} {best[1] / best[0]:6.2f}   {sizes} bytes")


if __name__ == "__main__":
    main()
