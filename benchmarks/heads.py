"""Print held-out quality of the heads, each beside its natural peers, as one markdown table.

Run it from the root of the checkout: python benchmarks/heads.py [FOLDER [NAME ...]]

FOLDER has CSV files and an index of them, datasets.json: a list of objects with name, file, task
(regression, count, ordinal, multilabel; others are left out), targets and categorical, the last
two lists of columns. Without NAMEs, all of them. Without FOLDER, the data that come with
scikit-learn: diabetes, its target also cut into five grades, and digits with labels.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import datasets, metrics
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
)
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    cross_val_predict,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

from skmlp import MLPClassifier, MLPRegressor
from skmlp.heads import Quantile

MOST_TRAINING_ROWS = 6000
COVERAGE = 0.9
LEVELS = (0.05, 0.5, 0.95)
# Of all networks, ours and the peers'. Each of them, and each linear peer that has a penalty, is
# tuned over its grid by its own measure on the same held-out part of the training rows.
NETWORK = {
    "hidden_layer_sizes": (64, 64),
    "activation": "mish",
    "weight_init": "glorot_uniform",
    "max_iter": 200,
    "early_stopping": True,
    "n_iter_no_change": 20,
    "initial_output": "data",
    "dtype": "float32",
    "random_state": 0,
}
NETWORK_GRID = {"alpha": [0.1, 1.0, 10.0], "learning_rate_init": [1e-3, 3e-3]}
HELD_OUT = ShuffleSplit(1, test_size=0.25, random_state=0)


class Table(NamedTuple):
    """A data set: what its target is, and its columns."""

    name: str
    task: str
    X: pd.DataFrame
    y: np.ndarray
    categorical: list[str]


class Split(NamedTuple):
    """Training and test rows, numbers made normal by their ranks and categories one-hot."""

    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


class Row(NamedTuple):
    """A measure of the head and of its peers, on the data that they share."""

    head: str
    measure: str
    ours: float
    peers: dict[str, float]


# == data ==========================================================================================


def read_folder(folder: Path, names: list[str]) -> list[Table]:
    tables = []
    for entry in json.loads((folder / "datasets.json").read_text()):
        if entry["task"] not in COMPARISONS or (names and entry["name"] not in names):
            continue
        X = pd.read_csv(folder / entry["file"]).dropna(axis=1)
        y = X[entry["targets"]].to_numpy()
        X = X.drop(columns=entry["targets"])
        categorical = [column for column in entry["categorical"] if column in X]
        y = y if entry["task"] == "multilabel" else y[:, 0]
        tables.append(Table(entry["name"], entry["task"], X, y, categorical))
    return tables


def bundled() -> list[Table]:
    X, y = datasets.load_diabetes(return_X_y=True, as_frame=True)
    y = y.to_numpy()
    grades = np.digitize(y, np.quantile(y, [0.2, 0.4, 0.6, 0.8]))
    images, digits = datasets.load_digits(return_X_y=True, as_frame=True)
    digits = digits.to_numpy()
    labels = np.stack([digits % 2 == 0, digits > 4, np.isin(digits, [2, 3, 5, 7])], axis=1)
    return [
        Table("diabetes", "regression", X, y, []),
        Table("diabetes, five grades", "ordinal", X, grades, []),
        Table("digits: even, above 4, prime", "multilabel", images, labels.astype(int), []),
    ]


def split(table: Table) -> Split:
    X, X_test, y, y_test = train_test_split(table.X, table.y, test_size=0.25, random_state=0)
    X, y = X[:MOST_TRAINING_ROWS], y[:MOST_TRAINING_ROWS]  # the rows are shuffled
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), table.categorical),
        remainder=QuantileTransformer(
            n_quantiles=min(1000, len(y)), output_distribution="normal", random_state=0
        ),
    )
    return Split(encode.fit_transform(X), encode.transform(X_test), y, y_test)


# == comparisons ===================================================================================


def tuned(model, X, y, scoring, grid=NETWORK_GRID):
    """Return the model with the settings of its grid that are best on held-out training rows."""
    search = GridSearchCV(model, grid, scoring=scoring, cv=HELD_OUT, n_jobs=-1)
    return search.fit(X, y).best_estimator_


def compare_gaussian(data: Split) -> list[Row]:
    """Beside squared error with one scale for all rows, that of residuals in cross-validation."""
    center, unit = np.mean(data.y), np.std(data.y)
    y, y_test = (data.y - center) / unit, (data.y_test - center) / unit

    def with_constant_scale(model):
        residuals = y - cross_val_predict(model, data.X, y)
        scale = np.sqrt(np.mean(np.square(residuals)))
        return stats.norm(model.fit(data.X, y).predict(data.X_test), scale)

    def likelihood(model, X, y):
        return np.mean(model.predict_distribution(X).logpdf(y))

    model = tuned(MLPRegressor(head="gaussian", **NETWORK), data.X, y, likelihood)
    squared = MLPRegressor(head="linear", **NETWORK)
    squared = tuned(squared, data.X, y, "neg_mean_squared_error")
    predicted = {
        "ours": model.predict_distribution(data.X_test),
        "network, constant scale": with_constant_scale(squared),
        "linear, constant scale": with_constant_scale(LinearRegression()),
    }
    nll, covered = {}, {}
    for name, distribution in predicted.items():
        nll[name] = np.log(unit) - np.mean(distribution.logpdf(y_test))
        covered[name] = coverage(*distribution.interval(COVERAGE), y_test)
    return [row("gaussian", "NLL, nats", nll), row("gaussian", "coverage of 90 %", covered)]


def compare_quantile(data: Split) -> list[Row]:
    center, unit = np.mean(data.y), np.std(data.y)
    y = (data.y - center) / unit

    def one_by_one(make):
        models = [make(level).fit(data.X, y) for level in LEVELS]
        return np.stack([model.predict(data.X_test) for model in models], axis=1)

    def score(model, X, y):
        return -np.mean(pinball_losses(model.predict_quantiles(X, LEVELS), y))

    model = tuned(MLPRegressor(head=Quantile(LEVELS), **NETWORK), data.X, y, score)
    predicted = {
        "ours": model.predict_quantiles(data.X_test, LEVELS),
        "boosting": one_by_one(
            lambda q: HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0)
        ),
        "linear": one_by_one(lambda q: QuantileRegressor(quantile=q, alpha=0, solver="highs")),
    }
    pinball, covered = {}, {}
    for name, quantiles in predicted.items():
        quantiles = center + unit * quantiles
        pinball[name] = np.mean(pinball_losses(quantiles, data.y_test))
        covered[name] = coverage(quantiles[:, 0], quantiles[:, -1], data.y_test)
    return [
        row("quantile", "mean pinball loss", pinball),
        row("quantile", "coverage of 90 %", covered),
    ]


def pinball_losses(quantiles: np.ndarray, y: np.ndarray) -> list[float]:
    found = zip(quantiles.T, LEVELS, strict=True)
    return [metrics.mean_pinball_loss(y, quantile, alpha=level) for quantile, level in found]


def compare_poisson(data: Split) -> list[Row]:
    score = "neg_mean_poisson_deviance"
    network, linear = MLPRegressor(head="poisson", **NETWORK), PoissonRegressor(max_iter=1000)
    models = {
        "ours": tuned(network, data.X, data.y, score),
        "boosting": HistGradientBoostingRegressor(loss="poisson", random_state=0),
        "linear": tuned(linear, data.X, data.y, score, {"alpha": [1e-4, 1e-2, 1.0]}),
    }
    explained = {}
    for name, model in models.items():
        predicted = model.fit(data.X, data.y).predict(data.X_test)
        explained[name] = metrics.d2_tweedie_score(data.y_test, predicted, power=1)
    return [row("poisson", "D2", explained)]


def compare_ordinal(data: Split) -> list[Row]:
    models = {
        "ours": (MLPClassifier(head="ordinal", **NETWORK), NETWORK_GRID),
        "softmax network": (MLPClassifier(head="softmax", **NETWORK), NETWORK_GRID),
        "linear": (LogisticRegression(max_iter=2000), {"C": [0.01, 0.1, 1.0]}),
    }
    error, kappa = {}, {}
    for name, (model, grid) in models.items():
        model = tuned(model, data.X, data.y, "neg_mean_absolute_error", grid)
        predicted = model.predict(data.X_test)
        error[name] = metrics.mean_absolute_error(data.y_test, predicted)
        kappa[name] = metrics.cohen_kappa_score(data.y_test, predicted, weights="quadratic")
    return [row("ordinal", "absolute error", error), row("ordinal", "quadratic kappa", kappa)]


def compare_multilabel(data: Split) -> list[Row]:
    def likelihood(model, X, y):
        p = np.clip(model.predict_proba(X), 1e-7, 1 - 1e-7)
        return np.mean(np.where(y == 1, np.log(p), np.log1p(-p)))

    linear = OneVsRestClassifier(LogisticRegression(max_iter=2000))
    models = {
        "ours": (MLPClassifier(head="logistic", **NETWORK), NETWORK_GRID),
        "linear, one-vs-rest": (linear, {"estimator__C": [0.01, 0.1, 1.0]}),
    }
    error, loss = {}, {}
    for name, (model, grid) in models.items():
        model = tuned(model, data.X, data.y, likelihood, grid)
        error[name] = metrics.hamming_loss(data.y_test, model.predict(data.X_test))
        loss[name] = -likelihood(model, data.X_test, data.y_test)
    return [row("labels", "error per label", error), row("labels", "log loss per label", loss)]


COMPARISONS = {
    "regression": (compare_gaussian, compare_quantile),
    "count": (compare_poisson,),
    "ordinal": (compare_ordinal,),
    "multilabel": (compare_multilabel,),
}


def coverage(low: np.ndarray, high: np.ndarray, y: np.ndarray) -> float:
    return 100 * np.mean((low <= y) & (y <= high))


def row(head: str, measure: str, found: dict[str, float]) -> Row:
    peers = {name: value for name, value in found.items() if name != "ours"}
    return Row(head, measure, found["ours"], peers)


# == the table =====================================================================================


def main(arguments: list[str]) -> None:
    """Compare on every data set, and print a row for each measure."""
    warnings.filterwarnings("ignore", "(Stochastic Optimizer|Found unknown categories)")
    start = time.perf_counter()
    tables = read_folder(Path(arguments[0]), arguments[1:]) if arguments else bundled()
    print("| data | head | measure | ours | peers |\n| --- | --- | --- | ---: | --- |")
    for table in tables:
        data = split(table)
        for compare in COMPARISONS[table.task]:
            for head, measure, ours, peers in compare(data):
                others = ", ".join(f"{name} {value:.4g}" for name, value in peers.items())
                print(f"| {table.name} | {head} | {measure} | {ours:.4g} | {others} |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
