"""The networks that contenders train, with their data and the goals for their ratios."""

import argparse
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse

SEED = 0
ALPHA = 1e-4

# What a goal is about: a contender's time over another's, and whether less is better.
RATIOS = {
    "float64": ("scikit-learn float64", "skmlp float64", "at least"),
    "float32": ("scikit-learn float64", "skmlp float32", "at least"),
    "PyTorch": ("PyTorch eager", "skmlp float32", "at least"),
    "bare": ("skmlp float32", "bare", "at most"),
}


def _goals(*values: float | None) -> dict[str, float]:
    """Name goals in the order of `RATIOS`; those missing or None are no goals."""
    pairs = zip(RATIOS, values, strict=False)
    return {kind: value for kind, value in pairs if value is not None}


@dataclass(frozen=True)
class Job:
    """A network, how much of which data it is trained on, and the goals for its ratios.

    `epochs` is the number of iterations for lbfgs. Rows are whole batches, so every contender takes
    the same steps. `classes` is 1 for regression.
    """

    inputs: int
    hidden: tuple[int, ...]
    classes: int
    batch: int
    rows: int
    epochs: int
    activation: str = "relu"
    solver: str = "adam"
    filled: float = 1.0
    goals: dict[str, float] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """The number of raw outputs: one for two classes."""
        return 1 if self.classes == 2 else self.classes

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes of the weight matrices."""
        return list(pairwise((self.inputs, *self.hidden, self.outputs)))

    @property
    def steps(self) -> int:
        """The number of updates in a fit."""
        return self.epochs * (self.rows // self.batch)

    def shorter(self) -> "Job":
        """The same network, with a fifth of the steps where there are many."""
        if self.epochs >= 5:
            return replace(self, epochs=self.epochs // 5)
        return replace(self, epochs=1, rows=max(1, self.rows // self.batch // 5) * self.batch)


_DEFAULT = Job(20, (100,), 2, 200, 10_000, 10)

JOBS = {
    "default": replace(_DEFAULT, goals=_goals(4, 6, 5, 3.0)),
    "tanh": replace(_DEFAULT, activation="tanh", goals=_goals(3, 6, 4)),
    "logistic": replace(_DEFAULT, activation="logistic", goals=_goals(4, 7, 4)),
    "softplus": replace(_DEFAULT, activation="softplus", goals=_goals(None, None, 4)),
    "256-256": Job(50, (256, 256), 10, 256, 25_600, 2, goals=_goals(1.4, 2.8, 1.4, 1.2)),
    "512-256": Job(784, (512, 256), 10, 128, 12_800, 1, goals=_goals(1.15, 2.5, 1.1, 1.2)),
    "1024-1024": Job(100, (1024, 1024), 10, 1024, 10_240, 1, goals=_goals(1.05, 2.1, 1.05, 1.05)),
    "regression": Job(10, (32, 32, 32), 1, 32, 3_200, 5, goals=_goals(5, 6, 6)),
    "lbfgs": Job(20, (100,), 2, 10_000, 10_000, 30, solver="lbfgs", goals=_goals(2, 3)),
    "sparse": Job(20_000, (64,), 2, 200, 10_000, 1, filled=0.001, goals=_goals(2, 3)),
}


def asked_for(parser: argparse.ArgumentParser, names: list[str]) -> list[str]:
    """Return the names of networks that a command was given, all where it was given none."""
    if unknown := set(names) - set(JOBS):
        parser.error(f"no network is called {', '.join(unknown)}: choose from {', '.join(JOBS)}")
    return names or list(JOBS)


def written(job: Job) -> str:
    """Write a job as inputs-(hidden)-classes, batch, and what is not usual about it."""
    hidden = ",".join(map(str, job.hidden))
    unusual = [
        job.activation * (job.activation != "relu"),
        "regression" * (job.classes == 1),
        "lbfgs" * (job.solver == "lbfgs"),
        f"CSR, {job.filled:.1%} filled" * (job.filled < 1),
    ]
    size = f"{job.rows:,} rows" if job.solver == "lbfgs" else str(job.batch)
    return ", ".join([f"{job.inputs}-({hidden})-{job.classes}", size, *filter(None, unusual)])


def data(job: Job) -> tuple[Any, np.ndarray]:
    """Draw inputs in float64 and a target that depends on them: classes 0, 1, ... or numbers."""
    rng = np.random.RandomState(SEED)
    if job.filled < 1:
        X = scattered(rng, job.rows, job.inputs, round(job.filled * job.inputs))
    else:
        X = rng.standard_normal((job.rows, job.inputs))
    scores = np.asarray(X @ rng.standard_normal((job.inputs, job.classes)))
    scores = np.sin(scores) + 0.3 * rng.standard_normal(scores.shape)
    return X, scores[:, 0] if job.classes == 1 else np.argmax(scores, axis=1)


def scattered(
    rng: np.random.RandomState, rows: int, columns: int, numbers: int
) -> scipy.sparse.csr_matrix:
    """Draw a sparse matrix with some numbers in each row, now and then two in one place added."""
    places = rng.randint(columns, size=rows * numbers).astype(np.int32)
    starts = np.arange(0, len(places) + 1, numbers, dtype=np.int32)
    X = scipy.sparse.csr_matrix(
        (rng.standard_normal(len(places)), places, starts), shape=(rows, columns)
    )
    X.sum_duplicates()
    return X
