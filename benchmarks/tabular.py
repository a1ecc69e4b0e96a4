"""Measure learners on raw tables: error, log loss and seconds, split by split.

Run it from the root of the checkout: python benchmarks/tabular.py FOLDER [--json FILE] [OPTION ...]

FOLDER has tables as CSV files and an index, datasets.json: a list of objects with "name", "file",
"task" (binary, multiclass, ordinal, multilabel, regression, count, multioutput), "targets" and
"categorical", which are names of columns.

The protocol: a quarter of the rows is for the test (`train_test_split(random_state=split)`,
stratified for classes), of the rest at most --rows are learned from, nothing is tuned, one thread.
The error is 1 - accuracy, for labels the mean over them, or sqrt(1 - R2), that is RMSE over the
standard deviation. Means over sets are geometric ones of what is measured + 0.01, less 0.01.

Learners are skmlp's estimators for tables, the same without neighbor columns ("compact"), and,
where they are installed, HistGradientBoosting of scikit-learn, CatBoost, and RealMLP of pytabkit.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor

from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor

CLASSES = ("binary", "multiclass", "ordinal")
SHIFT = 0.01


# == tables ========================================================================================


def tables(folder: Path, names: list[str] | None) -> Iterator[dict[str, Any]]:
    for about in json.loads((folder / "datasets.json").read_text()):
        if names is None or about["name"] in names:
            frame = pd.read_csv(folder / about["file"], low_memory=False)
            for name in about["categorical"] or []:
                frame[name] = frame[name].astype("category")
            y = frame[about["targets"]].to_numpy()
            X = frame.drop(columns=about["targets"])
            yield about | {"X": X, "y": y[:, 0] if y.shape[1] == 1 else y}


def split_of(table: dict[str, Any], split: int, rows: int | None) -> list[Any]:
    is_classes = table["task"] in CLASSES
    options = {"random_state": split}

    def parted(X: Any, y: np.ndarray, **sizes: Any) -> list[Any]:
        return train_test_split(X, y, stratify=y if is_classes else None, **sizes, **options)

    X, X_test, y, y_test = parted(table["X"], table["y"], test_size=0.25)
    if rows is not None and len(X) > rows:
        X, _, y, _ = parted(X, y, train_size=rows)
    return [X, y, X_test, y_test]


# == learners ======================================================================================


def ours(task: str, **settings: Any) -> Any:
    are_labels = task in (*CLASSES, "multilabel")
    return (TabularMLPClassifier if are_labels else TabularMLPRegressor)(
        random_state=0, n_jobs=1, **settings
    )


def boosting(task: str) -> Any:
    if task in (*CLASSES, "multilabel"):
        model = HistGradientBoostingClassifier(random_state=0)
        return MultiOutputClassifier(model) if task == "multilabel" else model
    model = HistGradientBoostingRegressor(random_state=0)
    return MultiOutputRegressor(model) if task == "multioutput" else model


class CatBoost:
    """CatBoost at defaults, told which columns are categories; one model a column of y."""

    def __init__(self, task: str) -> None:
        try:
            import catboost  # noqa: PLC0415, it may not be there
        except ImportError:
            raise contest.NotHere("catboost is not installed") from None
        kinds = catboost.CatBoostClassifier, catboost.CatBoostRegressor
        kind = kinds[task not in (*CLASSES, "multilabel")]
        options = {"random_seed": 0, "thread_count": 1, "verbose": False}
        self._make = lambda: kind(allow_writing_files=False, **options)

    @staticmethod
    def _read(X: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        names = list(X.select_dtypes("category").columns)
        texts = {name: X[name].astype(object).where(X[name].notna(), "nan") for name in names}
        return X.assign(**{name: text.astype(str) for name, text in texts.items()}), names

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "CatBoost":
        """Fit to a frame."""
        X, names = self._read(X)
        columns = y.T if y.ndim == 2 else [y]
        self._models = [self._make().fit(X, column, cat_features=names) for column in columns]
        self._is_many = y.ndim == 2
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the target."""
        found = [np.ravel(model.predict(self._read(X)[0])) for model in self._models]
        return np.stack(found, axis=1) if self._is_many else found[0]

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the probabilities of the classes."""
        return self._models[0].predict_proba(self._read(X)[0])


class RealMLP:
    """RealMLP-TD of pytabkit at defaults; missing numbers are filled with medians."""

    def __init__(self, task: str) -> None:
        if task == "multilabel":
            raise contest.NotHere("RealMLP does not take labels")
        try:
            import torch  # noqa: PLC0415, it may not be there
            from pytabkit import (  # noqa: PLC0415
                RealMLP_TD_Classifier,
                RealMLP_TD_Regressor,
            )
        except ImportError:
            raise contest.NotHere("pytabkit is not installed") from None
        torch.set_num_threads(1)
        kind = RealMLP_TD_Classifier if task in CLASSES else RealMLP_TD_Regressor
        self._model = kind(random_state=0, device="cpu", n_threads=1)

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "RealMLP":
        """Fit to a frame."""
        self._medians = X.median(numeric_only=True)
        self._model.fit(X.fillna(self._medians), y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the target."""
        return self._model.predict(X.fillna(self._medians))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the probabilities of the classes."""
        return self._model.predict_proba(X.fillna(self._medians))


LEARNERS: dict[str, Callable[[str], Any]] = {
    "skmlp": ours,
    "compact": lambda task: ours(task, n_neighbors=None),
    "boosting": boosting,
    "catboost": CatBoost,
    "realmlp": RealMLP,
}


# == measuring =====================================================================================


def measured(learner: str, task: str, parts: list[Any]) -> dict[str, float]:
    X, y, X_test, y_test = parts
    model = LEARNERS[learner](task)
    begun = time.process_time()
    model.fit(X, y)
    fit = time.process_time() - begun
    begun = time.process_time()
    predicted = np.asarray(model.predict(X_test))
    found = {"fit": fit, "predict": (time.process_time() - begun) / len(X_test) * 1000}
    if task in CLASSES:
        p = model.predict_proba(X_test).astype(np.float64)
        p /= p.sum(axis=1, keepdims=True)
        found["loss"] = float(log_loss(y_test, p, labels=np.unique(y)))
    if task in (*CLASSES, "multilabel"):
        return found | {"error": float(np.mean(predicted != y_test))}
    return found | {"rmse": float(np.sqrt(1 - r2_score(y_test, predicted)))}


def mean(values: list[float]) -> float:
    """Return the shifted geometric mean."""
    return float(np.exp(np.mean(np.log(np.add(values, SHIFT)))) - SHIFT)


WHAT = {"error": "error", "loss": "log loss", "rmse": "RMSE / std"}


def summary(results: list[dict[str, Any]]) -> str:
    learners = list(dict.fromkeys(r["learner"] for r in results))
    rows = []
    for key, words in WHAT.items():
        cells = []
        for learner in learners:
            by_split: dict[int, list[float]] = {}
            for r in results:
                if r["learner"] == learner and key in r:
                    by_split.setdefault(r["split"], []).append(r[key])
            means = [mean(values) for values in by_split.values()]
            cells.append(contest.spread(means, 1) if means else "-")
        rows.append([words, *cells])
    for key, words in (("fit", "fit, s in all"), ("predict", "predict, s for 1,000 rows, most")):
        seconds = [[r[key] for r in results if r["learner"] == name] for name in learners]
        rows.append([words, *(f"{(sum if key == 'fit' else max)(s):.3g}" for s in seconds)])
    return contest.table(["mean over sets, spread over splits", *learners], rows)


def by_set(results: list[dict[str, Any]]) -> str:
    learners = list(dict.fromkeys(r["learner"] for r in results))
    found: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(r["set"] for r in results):
        for key, words in WHAT.items():
            cells = []
            for learner in learners:
                mine = [r for r in results if (r["set"], r["learner"]) == (name, learner)]
                values = [r[key] for r in mine if key in r]
                cells.append(f"{np.mean(values):.4f}" if values else "-")
            if set(cells) != {"-"}:
                found[name, words] = cells
    rows = [[f"{name}, {words}", *cells] for (name, words), cells in found.items()]
    return contest.table(["mean over splits", *learners], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of tables; all by default")
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=6000, help="0 for all")
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS), choices=list(LEARNERS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results, absent = [], set()
    with contest.threads_held(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for table in tables(asked.folder, asked.sets):
            for split in asked.splits:
                parts = split_of(table, split, asked.rows or None)
                for learner in asked.learners:
                    try:
                        found = measured(learner, table["task"], parts)
                    except contest.NotHere as reason:
                        absent.add(str(reason))
                        continue
                    except Exception as error:  # of a peer's, which is told beside the figures
                        absent.add(f"{learner} on {table['name']}: {type(error).__name__}: {error}")
                        continue
                    about = {"set": table["name"], "split": split, "learner": learner}
                    results.append(about | found)
                    print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    facts = contest.machine()
    print(
        contest.described(facts),
        *sorted(absent),
        "",
        summary(results),
        "",
        by_set(results),
        sep="\n",
    )
    if asked.json:
        asked.json.write_text(json.dumps({"machine": facts, "results": results}, indent=1))


if __name__ == "__main__":
    main()
