"""What each part of the estimators for tables is worth: out-of-fold loss without it.

Run it from the root of the checkout: python benchmarks/table_parts.py FOLDER [--sets NAME ...]
    [--parts PART ...] [--rows N]

FOLDER is as for benchmarks/tabular.py. Every variant learns from the same training rows (split 0)
and is judged by them alone, out of fold: no row of a test takes part. A figure is the geometric
mean over the tables of the loss without the part over the loss with everything (for numbers of the
root of the squared error); above 1 the part pays. In brackets, on how many tables that was so.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
import tabular

from skmlp.tabular import calibration, estimators, members, model, stage

NUMBERS = ("regression", "count", "multioutput")


def kinds(change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Any:
    changed = {name: change(those) for name, those in model.KINDS.items()}
    return patch.object(estimators, "KINDS", changed)


def without(**facts: Any) -> Any:
    return kinds(lambda those: tuple(kind._replace(**facts) for kind in those))


def untempered(head: Any, raw: np.ndarray, Y: np.ndarray, weights: Any) -> tuple[float, float]:
    return 1.0, calibration._loss(head, raw, Y, weights)


Variant = tuple[dict[str, Any], Callable[[], Any] | None]
PARTS: dict[str, Variant] = {
    "everything": ({}, None),
    "the forest": ({}, lambda: without(has_forest=False)),
    "the boosted trees": ({}, lambda: without(has_boosted=False)),
    "the nearest rows": ({}, lambda: without(has_neighbors=False)),
    "forest and nearest rows": ({}, lambda: without(has_forest=False, has_neighbors=False)),
    "the first kind of members": ({}, lambda: kinds(lambda those: those[-1:])),
    "the second kind of members": ({}, lambda: kinds(lambda those: those[:1])),
    "piecewise-linear columns": ({"max_encoded": 0}, None),
    "half of the bins": ({"n_bins": 24}, None),
    "high rates of columns' factors": ({}, lambda: patch.object(stage, "SCALE_RATE", 1.0)),
    "the second, shorter schedule": ({}, lambda: patch.object(members, "ANNEALED", 0.0)),
    "choice by calibrated loss": ({}, lambda: patch.object(members, "tempered", untempered)),
    "dropout": ({"dropout": 0.0}, None),
    "weight decay": ({"weight_decay": 0.0}, None),
    "half of the folds": ({"n_folds": 2}, None),
    "logarithms of targets": ({"target_transform": None}, None),
    "one-hot columns": ({"max_onehot": 2}, None),
    "a high rate": ({"learning_rate_init": 0.04}, None),
    "small batches": ({"batch_size": 256}, None),
}


def loss_of(part: str, task: str, X: Any, y: np.ndarray) -> float:
    settings, change = PARTS[part]
    fitted = tabular.ours(task)
    known = fitted.get_params()
    fitted.set_params(**{name: x for name, x in settings.items() if name in known})
    if change is None:
        loss = fitted.fit(X, y).oof_loss_
    else:
        with change():
            loss = fitted.fit(X, y).oof_loss_
    return float(np.sqrt(loss)) if task in NUMBERS else float(loss)


def cell(ratios: list[float]) -> str:
    if not ratios:
        return "-"
    worse = sum(ratio > 1 for ratio in ratios)
    return f"{np.exp(np.mean(np.log(ratios))):.3f} ({worse} of {len(ratios)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of tables; all by default")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    with contest.threads_held(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for table in tabular.tables(asked.folder, asked.sets):
            X, y, _, _ = tabular.split_of(table, 0, asked.rows)
            for part in dict.fromkeys(["everything", *asked.parts]):
                begun = time.process_time()
                loss = loss_of(part, table["task"], X, y)
                seconds = time.process_time() - begun
                about = {"set": table["name"], "task": table["task"], "part": part}
                found.append(about | {"loss": loss, "seconds": seconds})
                print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    whole = {r["set"]: r for r in found if r["part"] == "everything"}
    rows = []
    for part in dict.fromkeys(r["part"] for r in found if r["part"] != "everything"):
        mine = [r for r in found if r["part"] == part]
        ratios: dict[bool, list[float]] = {False: [], True: []}
        for r in mine:
            ratios[r["task"] in NUMBERS].append(r["loss"] / whole[r["set"]]["loss"])
        seconds = sum(r["seconds"] for r in mine) / sum(r["seconds"] for r in whole.values())
        rows.append([part, cell(ratios[False]), cell(ratios[True]), f"{seconds:.2f}"])
    print(contest.described(contest.machine()), "\n")
    heads = ["without", "classes: loss over that with it", "numbers: the same", "time"]
    print(contest.table(heads, rows))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
