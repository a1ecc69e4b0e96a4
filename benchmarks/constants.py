"""Print which fits end worse than a constant, and which are warned of, as one markdown table.

Run it from the root of the checkout: python benchmarks/constants.py [FOLDER] [--heads H ...]

FOLDER has CSV files and an index of them, datasets.json: a list of objects with name, file, task,
targets and categorical, the last two lists of columns. Without it, the data that come with
scikit-learn. Each table is fitted at defaults by each solver, with columns of numbers as they are
and scaled; categories are one-hot, missing numbers are medians. On a test quarter: R2 or accuracy,
and the log loss of classes, each of the network and of the best constant. A fit is "told" of, or
"silent", where one of these is worse than the constant's; "false" where it is told and none is.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmlp import MLPClassifier, MLPRegressor
from skmlp.heads import HEADS
from skmlp.training.solvers import SOLVERS

MOST_ROWS = 4000
NUMBERS = ("regression", "count", "multioutput")


def tables(folder: Path | None) -> Iterator[tuple[str, bool, pd.DataFrame, np.ndarray]]:
    """Name, whether y is numbers, X and y."""
    if folder is None:
        for load in (datasets.load_wine, datasets.load_diabetes, datasets.load_breast_cancer):
            X, y = load(return_X_y=True, as_frame=True)
            yield load.__name__[5:], load is datasets.load_diabetes, X, y.to_numpy()
        return
    for entry in json.loads((folder / "datasets.json").read_text()):
        X = pd.read_csv(folder / entry["file"])
        X = X.sample(min(MOST_ROWS, len(X)), random_state=0)
        y = X[entry["targets"]].to_numpy()
        X = X.drop(columns=entry["targets"]).astype(dict.fromkeys(entry["categorical"], "category"))
        yield entry["name"], entry["task"] in NUMBERS, X, y if y.shape[1] > 1 else y[:, 0]


def prepared(X: pd.DataFrame, are_scaled: bool):
    numbers = make_pipeline(SimpleImputer(strategy="median"))
    if are_scaled:
        numbers = make_pipeline(*[step for _, step in numbers.steps], StandardScaler())
    is_category = X.dtypes == "category"
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (encoder, list(X.columns[is_category])),
        (numbers, list(X.columns[~is_category])),
        verbose_feature_names_out=False,
    )
    return columns.set_output(transform="pandas")


def fit(model, X, y) -> str:
    """Fit, and return what was warned of, or raised."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except ValueError as error:
            return f"ValueError: {error}"
    return " / ".join(str(w.message) for w in caught)


def measured(model, X, y) -> np.ndarray:
    """R2, or accuracy and minus the log loss of classes; minus infinity where there is no model."""
    if not hasattr(model, "n_features_in_") and not hasattr(model, "n_outputs_"):
        return np.full(2, -np.inf)
    score = model.score(X, y)
    if not hasattr(model, "classes_"):
        return np.array([score])
    p = model.predict_proba(X)
    if np.ndim(y) == 2:
        p = np.stack([q[:, -1] for q in p], 1) if isinstance(p, list) else p
        p = np.clip(p, 1e-12, 1 - 1e-12)
        return np.array([score, np.mean(np.sum(y * np.log(p) + (1 - y) * np.log(1 - p), axis=1))])
    return np.array([score, -log_loss(y, p, labels=model.classes_)])


def row(name: str, are_scaled: bool, model, data: list, constant: np.ndarray) -> str:
    X, X_test, y, y_test = data
    words = fit(model, X, y)
    found = measured(model, X_test, y_test)
    is_told = "worse than a constant" in words or words.startswith("ValueError")
    is_worse = bool(np.any(found < constant))
    verdict = {(True, True): "told", (True, False): "silent", (False, True): "false"}
    cause = words.partition("of the best constant")[2] or words if is_told else ""
    numbers = [" ".join(f"{x:.3g}" for x in numbers) for numbers in (found, constant)]
    cells = [name, "scaled" if are_scaled else "as it is", model.solver, model.head, *numbers]
    return f"| {' | '.join([*cells, verdict.get((is_worse, is_told), ''), cause])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--heads", nargs="*", default=["auto"], choices=["auto", *HEADS])
    asked = parser.parse_args()
    print("| table | inputs | solver | head | score | constant | | cause |\n|" + " --- |" * 8)
    for name, are_numbers, X, y in tables(asked.folder):
        kind, dummy = MLPClassifier, DummyClassifier(strategy="prior")
        if are_numbers:
            kind, dummy = MLPRegressor, DummyRegressor()
        for are_scaled in (False, True):
            train, test, *targets = train_test_split(X, y, random_state=0)
            columns = prepared(X, are_scaled).fit(train)
            data = [columns.transform(train), columns.transform(test), *targets]
            dummy.fit(data[0], data[2])
            constant = measured(dummy, data[1], data[3])
            for head in asked.heads:
                if head != "auto" and ("numbers" in HEADS[head].targets) != are_numbers:
                    continue
                for solver in [*SOLVERS, "lbfgs"]:
                    model = kind(head=head, solver=solver, random_state=0)
                    print(row(name, are_scaled, model, data, constant), flush=True)


if __name__ == "__main__":
    main()
