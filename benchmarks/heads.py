"""Print held-out quality of the heads, each beside its natural peers, as one markdown table.

Run it from the root of the checkout: python benchmarks/heads.py [FOLDER [NAME ...]] [--splits R]

FOLDER has CSV files and an index of them, datasets.json: a list of objects with name, file, task
(regression, count, ordinal, multilabel; others are left out), targets and categorical, the last
two lists of columns. Without NAMEs, all of them. Without FOLDER, the data that come with
scikit-learn: diabetes, its target also cut into five grades, and digits with labels.

The protocol: R splits into training rows and a test quarter, drawn with seeds 1 to R. Whatever a
contender has to choose, scaling included, is chosen within the training rows, on one held-out
quarter of them, by the first measure of the comparison; the best setting is fitted again to all
training rows. All contenders see the same rows, and networks the same number of settings. Tests
are looked at once, for the table. Columns with missing values and repeated rows are left out, so
that no row is on both sides of a split.
"""

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import joblib
import numpy as np
import pandas as pd
import scipy
import sklearn
from scipy import stats
from sklearn import datasets, metrics
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)

import skmlp
from skmlp import MLPClassifier, MLPRegressor
from skmlp.heads import HEADS, Quantile

MOST_TRAINING_ROWS = 10_000
TEST_SHARE = 0.25
COVERAGE = 0.9
LEVELS = (0.05, 0.5, 0.95)
NATS_AHEAD = {"california_housing": 0.1}  # the lead over a constant scale that is asked for
NETWORK = {  # all networks, ours and the peers'
    "hidden_layer_sizes": (64, 64),
    "activation": "leaky_relu",
    "weight_init": "glorot_uniform",
    "initial_output": "data",
    "learning_rate_init": 3e-3,
    "max_iter": 100,
    "early_stopping": True,
    "scoring": "loss",
    "n_iter_no_change": 15,
    "dtype": "float32",
}
RANKS = make_pipeline(  # clipped, since the outermost values of training rows become +-5.2
    QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=0),
    FunctionTransformer(np.clip, kw_args={"a_min": -3, "a_max": 3}),
)


class Table(NamedTuple):
    """A data set: what its target is, and its columns."""

    name: str
    task: str
    X: pd.DataFrame
    y: np.ndarray


class Contender(NamedTuple):
    """A head of ours or a peer: its model, and the settings that it is tuned over."""

    name: str
    model: Any
    grid: dict[str, list]


class Comparison(NamedTuple):
    """Ours, their peers, and measures of (model, X, y); the first, a loss, is what they tune by."""

    task: str
    ours: list[Contender]
    peers: list[Contender]
    measures: dict[str, Callable[[Any, pd.DataFrame, np.ndarray], float]]


# == data ==========================================================================================


def read_folder(folder: Path, names: list[str]) -> list[Table]:
    tables = []
    tasks = {comparison.task for comparison in COMPARISONS}
    for entry in json.loads((folder / "datasets.json").read_text()):
        if entry["task"] in tasks and (not names or entry["name"] in names):
            X = pd.read_csv(folder / entry["file"]).dropna(axis=1).drop_duplicates()
            y = X[entry["targets"]].to_numpy()
            X = X.drop(columns=entry["targets"])
            categorical = [column for column in entry["categorical"] if column in X]
            X = X.astype(dict.fromkeys(categorical, "category"))
            y = y if entry["task"] == "multilabel" else y[:, 0]
            tables.append(Table(entry["name"], entry["task"], X, y))
    return tables


def bundled() -> list[Table]:
    X, y = datasets.load_diabetes(return_X_y=True, as_frame=True)
    y = y.to_numpy()
    grades = np.digitize(y, np.quantile(y, [0.2, 0.4, 0.6, 0.8]))
    images, digits = datasets.load_digits(return_X_y=True, as_frame=True)
    digits = digits.to_numpy()
    labels = np.stack([digits % 2 == 0, digits > 4, np.isin(digits, [2, 3, 5, 7])], axis=1)
    return [
        Table("diabetes", "regression", X, y),
        Table("diabetes, as a count", "count", X, y),
        Table("diabetes, five grades", "ordinal", X, grades),
        Table("digits: even, above 4, prime", "multilabel", images, labels.astype(int)),
    ]


# == contenders ====================================================================================


class ConstantScale(RegressorMixin, BaseEstimator):
    """A model's predictions as normal distributions of one scale, that of held-out residuals."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):  # noqa: D102
        seen, held_out, y_seen, y_held_out = train_test_split(X, y, random_state=0)
        residuals = y_held_out - clone(self.model).fit(seen, y_seen).predict(held_out)
        self.scale_ = np.sqrt(np.mean(np.square(residuals)))
        self.model_ = clone(self.model).fit(X, y)
        return self

    def predict_distribution(self, X):  # noqa: D102
        return stats.norm(self.model_.predict(X), self.scale_)


class LevelByLevel(RegressorMixin, BaseEstimator):
    """A model of one quantile, fitted again for each level."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):  # noqa: D102
        self.models_ = [clone(self.model).set_params(quantile=q).fit(X, y) for q in LEVELS]
        return self

    def predict_quantiles(self, X, levels):  # noqa: ARG002, D102
        return np.stack([model.predict(X) for model in self.models_], axis=1)


def network(name: str, model: Any) -> Contender:
    return Contender(name, model, {"alpha": [0.1, 1.0, 3.0, 10.0]})


def boosting(name: str, model: Any) -> Contender:
    grid = {"learning_rate": [0.1, 0.2], "max_leaf_nodes": [15, 31]}
    return Contender(name, model, grid)


def linear(name: str, model: Any, **grid: list) -> Contender:
    """Make a linear peer, which has the better of two scalings."""
    return Contender(name, model, {**grid, "numbers": [StandardScaler(), RANKS]})


def tuned(contender: Contender, loss: Callable, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    """Return the pipeline with the settings that are best on held-out training rows."""
    one_hot = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    encode = ColumnTransformer(
        [
            ("numbers", RANKS, make_column_selector(dtype_include="number")),
            ("classes", one_hot, make_column_selector(dtype_include="category")),
        ]
    )
    model = clone(contender.model)
    names = {name.split("__")[-1]: name for name in model.get_params()}  # of wrapped models too
    if "random_state" in names:
        model.set_params(**{names["random_state"]: seed})
    grid = {
        "encode__numbers" if key == "numbers" else f"model__{names[key]}": values
        for key, values in contender.grid.items()
    }
    search = GridSearchCV(
        Pipeline([("encode", encode), ("model", model)]),
        grid,
        scoring=lambda fitted, X, y: -loss(fitted, X, y),
        cv=ShuffleSplit(1, test_size=TEST_SHARE, random_state=seed),
    )
    return search.fit(X, y).best_estimator_


# == measures ======================================================================================


def distribution(pipeline, X):
    return pipeline[-1].predict_distribution(pipeline[:-1].transform(X))


def negative_log_likelihood(pipeline, X, y):
    return -np.mean(distribution(pipeline, X).logpdf(y))


def interval_coverage(pipeline, X, y):
    low, high = distribution(pipeline, X).interval(COVERAGE)
    return 100 * np.mean((low <= y) & (y <= high))


def quantiles(pipeline, X):
    return pipeline[-1].predict_quantiles(pipeline[:-1].transform(X), LEVELS)


def pinball_loss(model, X, y):
    pairs = zip(quantiles(model, X).T, LEVELS, strict=True)
    return np.mean([metrics.mean_pinball_loss(y, found, alpha=q) for found, q in pairs])


def quantile_coverage(model, X, y):
    found = quantiles(model, X)
    return 100 * np.mean((found[:, 0] <= y) & (y <= found[:, -1]))


def poisson_deviance(model, X, y):
    return metrics.mean_poisson_deviance(y, model.predict(X))


def poisson_d2(model, X, y):
    return metrics.d2_tweedie_score(y, model.predict(X), power=1)


def median_class(model, X):
    """Return the class with the least expected absolute error, whatever the model's own choice."""
    reached = np.cumsum(model.predict_proba(X), axis=1) >= 0.5
    return model.classes_[np.argmax(reached, axis=1)]


def class_error(model, X, y):
    return metrics.mean_absolute_error(y, median_class(model, X))


def quadratic_kappa(model, X, y):
    return metrics.cohen_kappa_score(y, median_class(model, X), weights="quadratic")


def label_log_loss(model, X, y):
    p = np.clip(model.predict_proba(X), 1e-7, 1 - 1e-7)
    return -np.mean(np.where(y == 1, np.log(p), np.log1p(-p)))


def label_error(model, X, y):
    return metrics.hamming_loss(y, model.predict(X))


COVERED = f"coverage of {100 * COVERAGE:.0f} %"
HIGHER_IS_BETTER = ("D2", "quadratic kappa")
DISTRIBUTIONS = ("gaussian", "laplace", "student_t", "gaussian_mixture", "lognormal", "gamma")
QUANTILE_BOOSTING = HistGradientBoostingRegressor(loss="quantile", quantile=0.5)
LOGISTIC = LogisticRegression(max_iter=2000)
COMPARISONS = [
    Comparison(
        "regression",
        [network(head, MLPRegressor(head=head, **NETWORK)) for head in DISTRIBUTIONS],
        [
            network("squared error network", ConstantScale(MLPRegressor(head="linear", **NETWORK))),
            linear("linear", ConstantScale(Ridge(alpha=1.0)), alpha=[0.1, 10.0, 100.0]),
        ],
        {"NLL": negative_log_likelihood, COVERED: interval_coverage},
    ),
    Comparison(
        "regression",
        [network("quantile", MLPRegressor(head=Quantile(LEVELS), **NETWORK))],
        [
            boosting("boosting (quantile)", LevelByLevel(QUANTILE_BOOSTING)),
            linear("linear (quantile)", LevelByLevel(QuantileRegressor(alpha=0.0))),
        ],
        {"pinball loss": pinball_loss, COVERED: quantile_coverage},
    ),
    Comparison(
        "count",
        [network("poisson", MLPRegressor(head="poisson", **NETWORK))],
        [
            boosting("boosting (poisson)", HistGradientBoostingRegressor(loss="poisson")),
            linear("linear (poisson)", PoissonRegressor(max_iter=1000), alpha=[1e-4, 1e-2, 1.0]),
        ],
        {"deviance": poisson_deviance, "D2": poisson_d2},
    ),
    Comparison(
        "ordinal",
        [network("ordinal", MLPClassifier(head="ordinal", **NETWORK))],
        [
            network("softmax network", MLPClassifier(head="softmax", **NETWORK)),
            linear("linear (softmax)", LOGISTIC, C=[0.01, 0.1, 1.0]),
        ],
        {"absolute error": class_error, "quadratic kappa": quadratic_kappa},
    ),
    Comparison(
        "multilabel",
        [network("logistic", MLPClassifier(head="logistic", **NETWORK))],
        [linear("linear (one-vs-rest)", OneVsRestClassifier(LOGISTIC), C=[0.01, 0.1, 1.0])],
        {"log loss per label": label_log_loss, "error per label": label_error},
    ),
]


# == the run =======================================================================================


def comparisons(table: Table) -> list[Comparison]:
    """Return the comparisons of this task, of the heads that can learn its target."""

    def can_learn(contender: Contender) -> bool:
        head = HEADS.get(contender.model.head) if table.task == "regression" else None
        return head is None or head().domain.allows(table.y).all()

    return [
        comparison._replace(ours=[*filter(can_learn, comparison.ours)])
        for comparison in COMPARISONS
        if comparison.task == table.task
    ]


def one_split(table: Table, seed: int) -> list[tuple]:
    """Tune, fit and measure all contenders: (data, contender, measure, seed, value)."""
    warnings.filterwarnings("ignore", "(Stochastic Optimizer|Found unknown categories)")
    X, X_test, y, y_test = train_test_split(
        table.X, table.y, test_size=TEST_SHARE, random_state=seed
    )
    X, y = X[:MOST_TRAINING_ROWS], y[:MOST_TRAINING_ROWS]  # the rows are shuffled
    found = []
    for comparison in comparisons(table):
        loss = next(iter(comparison.measures.values()))
        for contender in comparison.ours + comparison.peers:
            model = tuned(contender, loss, X, y, seed)
            for name, measure in comparison.measures.items():
                value = measure(model, X_test, y_test)
                found.append((table.name, contender.name, name, seed, value))
    return found


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean over splits of the same rows.

    Wider than that of independent values, since training sets overlap: Nadeau and Bengio,
    "Inference for the generalization error", Machine Learning 52 (2003).
    """
    return np.std(values, ddof=1) * np.sqrt(1 / len(values) + TEST_SHARE / (1 - TEST_SHARE))


def print_rows(table: Table, found: pd.Series) -> None:
    """Print the mean and standard deviation over the splits, the heads of ours in bold."""
    for comparison in comparisons(table):
        for contender in comparison.ours + comparison.peers:
            name = f"**{contender.name}**" if contender in comparison.ours else contender.name
            cells = [table.name, name]
            for measure in comparison.measures:
                values = found[table.name, contender.name, measure]
                cells.append(f"{measure} {np.mean(values):.4g} ± {np.std(values, ddof=1):.2g}")
            print(f"| {' | '.join(cells)} |", flush=True)


def goals(table: Table, comparison: Comparison, found: pd.Series) -> Iterator[tuple]:
    """Yield each goal in words, what is measured of it on each split, and what it must exceed."""
    asked = table.name in NATS_AHEAD
    for ours, (measure, _) in product(comparison.ours, comparison.measures.items()):
        values = found[table.name, ours.name, measure].to_numpy()
        if measure == COVERED:
            if asked:
                yield f"{ours.name}: {measure} within 2 points", values, None
            continue
        for peer in comparison.peers:
            lead = values - found[table.name, peer.name, measure].to_numpy()
            lead = lead if measure in HIGHER_IS_BETTER else -lead
            goal = f"{ours.name}: {measure} ahead of {peer.name}"
            if peer.name.startswith("linear"):
                yield goal, lead, 0.0
            elif asked and measure == "NLL":
                yield f"{goal} by {NATS_AHEAD[table.name]}", lead, NATS_AHEAD[table.name]


def print_goals(tables: list[Table], found: pd.Series) -> None:
    """Print whether each goal is met by the mean, and by two standard errors more than that."""
    print("\n| data | goal | mean ± standard error | |\n| --- | --- | --- | --- |")
    for table in tables:
        for comparison in comparisons(table):
            for goal, values, needed in goals(table, comparison, found):
                mean, error = np.mean(values), standard_error(values)
                slack = 2 - abs(mean - 100 * COVERAGE) if needed is None else mean - needed
                verdict = "met" if slack > 2 * error else "met, by less than 2 standard errors"
                verdict = verdict if slack > 0 else "not met"
                print(f"| {table.name} | {goal} | {mean:.4g} ± {error:.2g} | {verdict} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--splits", type=int, default=5)
    arguments = parser.parse_args()
    start = time.perf_counter()
    tables = read_folder(arguments.folder, arguments.names) if arguments.folder else bundled()
    seeds = range(1, arguments.splits + 1)
    jobs = [joblib.delayed(one_split)(table, seed) for table in tables for seed in seeds]
    results = joblib.Parallel(n_jobs=-1, return_as="generator")(jobs)
    columns = ["data", "contender", "measure", "seed", "value"]
    print("| data | contender | mean ± standard deviation | |\n| --- | --- | --- | --- |")
    found = {}
    for table in tables:
        rows = pd.DataFrame([row for _ in seeds for row in next(results)], columns=columns)
        found[table.name] = rows.set_index(columns[:-1])["value"].sort_index()
        print_rows(table, found[table.name])
    print_goals(tables, pd.concat(found.values()).sort_index())
    versions = (f"{module.__name__} {module.__version__}" for module in (np, scipy, sklearn, skmlp))
    print(
        f"\n{len(seeds)} splits, {time.perf_counter() - start:.0f} seconds; "
        f"{joblib.cpu_count()} processes of one thread each; {platform.machine()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


if __name__ == "__main__":
    main()
