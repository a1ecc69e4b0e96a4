"""The fitted numbers are scikit-learn's: both libraries fit the same cases, all is compared.

The cases are products of kinds of data, solvers, schedules, early stopping, activations, layers,
batches and ways to call. Whatever touches a documented difference (docs/differences.md) is left out
where a group of cases is built, and a comment there names the difference. `compare` fits one
case twice and returns the worst relative differences; `benchmarks/same_numbers.py` prints them. By
default every sixth case of a group is run, with `-m long` the others.
"""

import itertools
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn import neural_network

import skmlp

SKLEARN_VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
ROWS = 113  # in batches of 24 the last has 17 rows; beside a validation part of 0.2 it has 18
BATCH = 24
SAMPLED = 6  # of so many cases one is run by default

# ------------------------------------------------------------------------------------ the data


@dataclass(frozen=True)
class Problem:
    """One data set, with the estimator for it and scikit-learn's name of its loss."""

    estimator: str
    X: object
    y: np.ndarray
    loss: str | None = None


@cache
def problem(kind: str, dtype: str = "float64", rows: int = ROWS) -> Problem:
    """Make the data set of one kind."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(rows, 5))
    scores = X @ rng.normal(size=(5, 4)) + 0.5 * rng.normal(size=(rows, 4))
    labels = np.argmax(scores, axis=1)
    sparse = np.where(np.abs(X) > 0.8, X, 0.0)
    counts = rng.poisson(np.exp(0.4 * scores[:, :2]))
    kinds = {
        "binary": ("MLPClassifier", X, labels % 2),
        "binary_strings": ("MLPClassifier", X, np.array(["no", "yes"])[labels % 2]),
        "multiclass": ("MLPClassifier", X, labels),
        "strings": ("MLPClassifier", X, np.array(["oak", "ash", "elm", "fir"])[labels]),
        "multilabel": ("MLPClassifier", X, (scores[:, :3] > 0).astype(int)),
        "regression": ("MLPRegressor", X, scores[:, 0]),
        "two_outputs": ("MLPRegressor", X, scores[:, :2]),
        "counts": ("MLPRegressor", X, counts[:, 0], "poisson"),
        "two_counts": ("MLPRegressor", X, counts, "poisson"),
        "csr": ("MLPClassifier", scipy.sparse.csr_matrix(sparse), labels % 2),
        "csc": ("MLPRegressor", scipy.sparse.csc_matrix(sparse), scores[:, 0]),
        "integers": ("MLPClassifier", np.round(2 * X).astype(int), labels),
    }
    estimator, X, y, *loss = kinds[kind]
    if dtype == "float32":
        X, y = X.astype(dtype), y.astype(dtype) if estimator == "MLPRegressor" else y
    return Problem(estimator, X, y, *loss)


def sample_weight(weights: str, rows: int):
    """Make the weights of the rows; the tiled ones have the same mean in each whole batch."""
    rng = np.random.default_rng(11)
    return {
        "none": None,
        "varied": rng.uniform(0.1, 3.0, size=rows),
        "constant": np.full(rows, 2.5),
        "tiled": np.tile(rng.uniform(0.1, 3.0, size=BATCH), rows // BATCH),
    }[weights]


# ----------------------------------------------------------------------------------- the cases


@dataclass(frozen=True)
class Case:
    """One fit that both libraries do."""

    kind: str
    parameters: dict
    weights: str = "none"
    call: str = "fit"
    dtype: str = "float64"
    rows: int = ROWS

    @property
    def problem(self) -> Problem:
        """The data that it fits."""
        return problem(self.kind, self.dtype, self.rows)

    def __str__(self) -> str:
        told = [f"{name}={value}" for name, value in self.parameters.items()]
        return "-".join(
            [
                f"{self.rows} rows of {self.kind}",
                self.call,
                f"weights={self.weights}",
                self.dtype,
                *told,
            ]
        )


def cases(kinds, *options, **settings) -> list[Case]:
    """Combine each kind with one choice out of each list of options."""
    return [
        Case(kind, {name: value for part in parts for name, value in part.items()}, **settings)
        for kind, *parts in itertools.product(kinds, *options)
    ]


def vary(**choices) -> list[dict]:
    """Make the list of all combinations of the values of some parameters."""
    products = itertools.product(*choices.values())
    return [dict(zip(choices, values, strict=True)) for values in products]


COMMON = {
    "hidden_layer_sizes": (6,),
    "batch_size": BATCH,
    "validation_fraction": 0.2,
    "learning_rate_init": 0.02,
    "max_iter": 12,
    "random_state": 3,
}
PLAIN_SGD = {"solver": "sgd", "momentum": 0.0}
HEAVY_BALL = {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False}
NESTEROV = {"solver": "sgd", "momentum": 0.9}
ADAM = {"solver": "adam"}
LBFGS = {"solver": "lbfgs"}
MINIBATCH = [PLAIN_SGD, HEAVY_BALL, NESTEROV, ADAM]

# Difference 1: scikit-learn's squared error of several outputs is a mean over them, skmlp's a sum.
# The gradients of both are those of the sum, so with alpha=0 all is the same but for the factor 2
# of the losses, which `compare` takes out (a power of two: exactly). lbfgs minimizes the loss
# that it is told, so it has no such kind.
TWO_OUTPUTS = {"alpha": 0.0}

# Difference 4: the validation split is stratified for several classes too, in skmlp alone, so
# early stopping has no kind with several classes.
SPLITTABLE = ["binary", "binary_strings", "multilabel", "regression", "counts", "csr", "csc"]
ALL_KINDS = [*SPLITTABLE, "multiclass", "strings", "two_counts", "integers"]
EARLY = vary(early_stopping=[True], max_iter=[25], n_iter_no_change=[3])

# Differences 6 and 7: weights are normalized over the training set, by scikit-learn in each batch.
# So with varied weights there is one batch, or all batches have the same mean, and none is zero.
ONE_BATCH = [{"batch_size": ROWS}]

GROUPS = {
    "solvers": [
        *cases(ALL_KINDS, MINIBATCH),
        *cases(["two_outputs"], MINIBATCH, [TWO_OUTPUTS]),
    ],
    "early stopping": [
        *cases(SPLITTABLE, MINIBATCH, EARLY),
        *cases(["two_outputs"], MINIBATCH, EARLY, [TWO_OUTPUTS]),
        *cases(["regression"], [NESTEROV, ADAM], EARLY, vary(shuffle=[False])),
    ],
    "schedules and stopping": cases(
        ["binary", "multilabel", "regression"],
        [PLAIN_SGD, NESTEROV],
        vary(learning_rate=["constant", "invscaling", "adaptive"], early_stopping=[False, True]),
        vary(tol=[0.02], n_iter_no_change=[2], max_iter=[30]),
    ),
    "activations and layers": cases(
        ["binary", "multiclass", "regression", "counts"],
        [NESTEROV, ADAM],
        vary(activation=["identity", "relu", "logistic", "tanh"]),
        vary(hidden_layer_sizes=[(), 7, (6, 4), [5]], learning_rate_init=[0.005]),
    ),
    "short batches of every length": [
        case
        for rows in range(4 * BATCH + 1, 5 * BATCH + 1)
        for case in cases(
            ["binary", "multiclass", "multilabel", "regression", "counts", "csr"],
            [NESTEROV, ADAM],
            vary(alpha=[0.05]),
            rows=rows,
        )
    ],
    "batch sizes": [
        *cases(
            ["multiclass", "regression"],
            [NESTEROV, ADAM],
            vary(batch_size=[7, 50, 112, 113, 500, "auto"], shuffle=[True, False], alpha=[0.05]),
        ),
        *cases(
            ["regression"],
            [NESTEROV, ADAM],
            vary(batch_size=[1], max_iter=[2], learning_rate_init=[0.002]),
        ),
        *[
            case
            for rows in (201, 217, 250, 333, 399, 400, 401)
            for case in cases(
                ["regression", "multiclass"], [NESTEROV, ADAM], vary(batch_size=["auto"]), rows=rows
            )
        ],
        *cases(
            ["regression"],
            [NESTEROV, ADAM],
            EARLY,
            vary(batch_size=["auto"], validation_fraction=[0.37, 0.5]),
            rows=400,
        ),
    ],
    "parameters": [
        *cases(["binary", "regression"], [NESTEROV, ADAM], vary(alpha=[0.0, 0.1, 10.0])),
        *cases(["binary"], [ADAM], vary(beta_1=[0.0, 0.7], beta_2=[0.9], epsilon=[1e-4])),
        *cases(["regression"], [PLAIN_SGD], vary(learning_rate=["invscaling"], power_t=[0, 0.3])),
        *cases(["regression"], EARLY, vary(validation_fraction=[0.5], batch_size=[30])),
        *cases(["binary", "multilabel"], MINIBATCH, vary(n_iter_no_change=[np.inf])),
    ],
    "weights": [
        *cases(["binary", "multiclass"], MINIBATCH, ONE_BATCH, weights="varied"),
        *cases(
            ["multilabel", "regression", "counts"], [NESTEROV, ADAM], ONE_BATCH, weights="varied"
        ),
        *cases(["two_outputs"], [ADAM], ONE_BATCH, [TWO_OUTPUTS], weights="varied"),
        *cases(SPLITTABLE, [ADAM], ONE_BATCH, EARLY, weights="varied"),
        *cases(["binary", "regression"], [NESTEROV, ADAM], weights="constant"),
        *cases(["binary", "counts"], MINIBATCH, vary(shuffle=[False]), weights="tiled", rows=120),
    ],
    "streams": [
        *cases(ALL_KINDS, [NESTEROV, ADAM], ONE_BATCH, call="partial_fit"),
        *cases(["two_outputs"], [ADAM], ONE_BATCH, [TWO_OUTPUTS], call="partial_fit"),
        *cases(["multiclass", "counts"], [ADAM], ONE_BATCH, call="partial_fit", weights="varied"),
        *cases(
            ["binary", "regression"],
            [PLAIN_SGD, NESTEROV],
            vary(learning_rate=["invscaling", "adaptive"], tol=[0.05], n_iter_no_change=[1]),
            ONE_BATCH,
            call="partial_fit",
        ),
        *cases(["strings", "regression"], MINIBATCH, call="one generator"),
    ],
    # Difference 2: a warm-started fit counts, and looks for its best loss and score, anew in skmlp
    # alone, so these fits run their epochs, with falling losses, without stopping or adapting.
    "warm starts": cases(
        [kind for kind in ALL_KINDS if kind != "two_counts"],
        [PLAIN_SGD, ADAM],
        vary(max_iter=[4], n_iter_no_change=[np.inf], batch_size=[ROWS], warm_start=[True]),
        vary(learning_rate=["constant", "invscaling"]),
        call="warm fits",
    ),
    # Difference 11: scikit-learn's lbfgs has no early stopping, no loss curve, and no float32.
    # A few iterations are compared tightly, before rounding has grown to something.
    "lbfgs": [
        *cases(ALL_KINDS, [LBFGS], vary(max_iter=[6])),
        *cases(
            ["binary", "multiclass", "regression"],
            [LBFGS],
            vary(activation=["identity", "relu", "logistic", "tanh"]),
            vary(hidden_layer_sizes=[(), 7, (6, 4)], max_iter=[4]),
        ),
        *cases(["binary", "regression"], [LBFGS], vary(max_iter=[3], alpha=[0.0, 5.0])),
        *cases(["regression"], [LBFGS], vary(max_iter=[20], max_fun=[7])),
        *cases(["binary", "counts"], [LBFGS], vary(max_iter=[6]), weights="varied"),
        *cases(
            ["binary", "regression"],
            [LBFGS],
            vary(max_iter=[3], warm_start=[True]),
            call="warm fits",
        ),
    ],
    # A convex objective to its minimum: the same number of iterations is not asked for there.
    "lbfgs to the end": cases(
        ["binary", "multiclass", "multilabel", "regression", "counts", "csr"],
        [LBFGS],
        vary(hidden_layer_sizes=[()], alpha=[1.0], max_iter=[500]),
    ),
    "float32": [
        *cases(["binary", "multiclass", "multilabel"], [NESTEROV, ADAM], dtype="float32"),
        *cases(["regression", "counts", "csr", "csc"], [NESTEROV, ADAM], dtype="float32"),
        *cases(["binary", "regression"], [ADAM], EARLY, dtype="float32"),
    ],
}
GROUP_AND_CASE = [
    pytest.param(group, case, id=f"{group}-{case}", marks=[pytest.mark.long] * bool(i % SAMPLED))
    for group, members in GROUPS.items()
    for i, case in enumerate(members)
]

# ------------------------------------------------------------------------------- the comparison

LIMITS = {
    "coefs_": 1e-6,
    "intercepts_": 1e-6,
    "elements": 1e-6,
    "loss_curve_": 1e-8,
    "losses": 1e-8,
    "scores": 1e-8,
    "predictions": 1e-6,
}
LIMITS_OF = {
    "lbfgs to the end": {**LIMITS, **dict.fromkeys(["coefs_", "intercepts_", "elements"], 1e-2)}
    | {"losses": 1e-6, "predictions": 1e-2},
    "float32": dict.fromkeys(LIMITS, 1e-3),
}


@dataclass(frozen=True)
class Comparison:
    """The worst relative differences, and the facts that must be equal but are not."""

    worst: dict[str, float]
    unequal: dict[str, tuple]
    epochs: int


def build(library, case: Case, **changes):
    """Make the estimator of a case, from scikit-learn or from skmlp."""
    made = case.problem
    parameters = {**COMMON, **case.parameters, **changes}
    if made.loss is not None:
        parameters["loss" if library is neural_network else "head"] = made.loss
    if library is skmlp and loss_factor(case) != 1 and not parameters.get("early_stopping"):
        parameters["tol"] = loss_factor(case) * parameters.get("tol", 1e-4)
    if case.call == "one generator":
        parameters["random_state"] = np.random.RandomState(parameters["random_state"])
    return getattr(library, made.estimator)(**parameters)


def loss_factor(case: Case) -> int:
    """Say how many times scikit-learn's loss skmlp's is (difference 1)."""
    return 2 if case.kind == "two_outputs" else 1


STREAM = [("partial_fit", slice(*ends)) for ends in [(0, 71), (71, 113), (30, 79), (0, 97)]]
CALLS = {
    "fit": [("fit", slice(None))],
    "warm fits": [("fit", slice(None))] * 3,
    "partial_fit": STREAM,
    "one generator": STREAM,
}


def train(estimator, case: Case) -> list[str]:
    """Fit the estimator as the case says, and return the categories of the warnings."""
    made, weight = case.problem, sample_weight(case.weights, case.rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step, (method, rows) in enumerate(CALLS[case.call]):
            given = {} if weight is None else {"sample_weight": weight[rows]}
            if step == 0 and method == "partial_fit" and made.estimator == "MLPClassifier":
                given["classes"] = classes_of(made)
            getattr(estimator, method)(made.X[rows], made.y[rows], **given)
    if estimator.n_iter_ < estimator.max_iter:  # then ours alone may be told that it is no good
        caught = [w for w in caught if "worse than a constant" not in str(w.message)]
    return sorted({warning.category.__name__ for warning in caught})


def classes_of(made: Problem) -> np.ndarray:
    """List the classes: those of the labels, or the columns of an indicator matrix."""
    return np.unique(made.y) if made.y.ndim == 1 else np.arange(made.y.shape[1])


def facts(estimator, caught: list[str], case: Case) -> dict:
    """Collect what must be equal, not only close."""
    names = ["n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"]
    found = {name: getattr(estimator, name, "missing") for name in names}
    found["warnings"] = caught
    found["dtypes"] = [str(array.dtype) for array in estimator.coefs_ + estimator.intercepts_]
    found["shapes"] = [array.shape for array in estimator.coefs_ + estimator.intercepts_]
    found["predicted"] = str(estimator.predict(case.problem.X).dtype)
    if hasattr(estimator, "classes_"):
        found["classes_"] = estimator.classes_.tolist()
        found["classes"] = estimator.predict(case.problem.X).tolist()
    if estimator.solver != "lbfgs":
        found["epochs"] = len(estimator.loss_curve_)
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            found[f"{name} is None"] = getattr(estimator, name, None) is None
    if case.parameters.get("hidden_layer_sizes") == () and estimator.solver == "lbfgs":
        found.pop("n_iter_")  # a convex minimum may be found an iteration earlier or later
    return found


def numbers(estimator, case: Case, factor: int = 1) -> dict[str, list[np.ndarray]]:
    """Collect what must be close; the losses are multiplied by the factor."""
    made = case.problem
    found = {"coefs_": estimator.coefs_, "intercepts_": estimator.intercepts_}
    found["elements"] = estimator.coefs_ + estimator.intercepts_
    found["losses"] = [np.array([estimator.loss_]) * factor]
    if made.estimator == "MLPClassifier":
        found["predictions"] = [estimator.predict_proba(made.X)]
    else:
        found["predictions"] = [estimator.predict(made.X)]
    if estimator.solver == "lbfgs":
        return found
    found["loss_curve_"] = [np.array(estimator.loss_curve_) * factor]
    if estimator.early_stopping:
        found["scores"] = [np.array([*estimator.validation_scores_])]
        found["scores"].append(np.array([estimator.best_validation_score_]))
    else:
        found["losses"].append(np.array([estimator.best_loss_]) * factor)
    return found


def relative_difference(name: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Measure how far two arrays are apart: as vectors, or at the worst element."""
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return np.inf
    ours, theirs = ours.astype(float), theirs.astype(float)
    if name in ("coefs_", "intercepts_"):
        return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    # An element much smaller than the largest is measured against a thousandth of that one;
    # scores pass through zero, so they are measured against one.
    floor = {"elements": 1e-3 * np.abs(theirs).max(), "scores": 1.0}.get(name, 0.0)
    if name == "predictions":
        floor = 1e-2 * np.abs(theirs).max()
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), floor)))


def compare(case: Case, **changes) -> Comparison:
    """Fit one case with both libraries; changes are made to the parameters of skmlp's alone."""
    theirs, ours = build(neural_network, case), build(skmlp, case, **changes)
    their_facts = facts(theirs, train(theirs, case), case)
    our_facts = facts(ours, train(ours, case), case)
    unequal = {
        name: (our_facts.get(name), fact)
        for name, fact in their_facts.items()
        if our_facts.get(name) != fact
    }
    their_numbers, our_numbers = numbers(theirs, case, loss_factor(case)), numbers(ours, case)
    worst = {
        name: max(
            relative_difference(name, *pair) for pair in zip(our_numbers[name], arrays, strict=True)
        )
        for name, arrays in their_numbers.items()
    }
    return Comparison(worst, unequal, theirs.n_iter_)


def too_far(comparison: Comparison, group: str) -> dict[str, float]:
    """Pick the differences above the limits of a group."""
    limits = LIMITS_OF.get(group, LIMITS)
    return {name: value for name, value in comparison.worst.items() if not value <= limits[name]}


def missing_in_scikit_learn(case: Case) -> str:
    """Say what the installed scikit-learn lacks for a case, if it does."""
    if SKLEARN_VERSION >= (1, 7):
        return ""
    if case.weights != "none":
        return "scikit-learn's networks take sample_weight since 1.7"
    if case.problem.loss == "poisson":
        return "scikit-learn's networks have the Poisson loss since 1.7"
    if case.kind == "binary_strings" and case.parameters.get("early_stopping"):
        return "scikit-learn's early stopping takes labels that are strings since 1.7"
    return ""


# ------------------------------------------------------------------------------------- the tests


@pytest.mark.parametrize(("group", "case"), GROUP_AND_CASE)
def test_same_numbers(group, case):
    if reason := missing_in_scikit_learn(case):
        pytest.skip(reason)
    comparison = compare(case)
    assert comparison.unequal == {}
    assert too_far(comparison, group) == {}


def test_there_are_many_different_cases():
    told = [str(case) for members in GROUPS.values() for case in members]
    assert len(told) == len(set(told))
    assert len(told) >= 500


def test_short_batches_of_every_length_are_among_them():
    last = {case.rows % BATCH for case in GROUPS["short batches of every length"]}
    assert last == set(range(BATCH))


@pytest.mark.parametrize("activation", ["identity", "relu", "logistic", "tanh"])
@pytest.mark.parametrize("hidden_layer_sizes", [(), 7, (6, 4)])
@pytest.mark.parametrize(
    "kind", ["binary", "multiclass", "multilabel", "regression", "two_outputs"]
)
def test_initial_weights_are_the_same_bits(kind, hidden_layer_sizes, activation):
    # One step of 1e-300 times the gradient leaves every weight as it was drawn.
    case = Case(
        kind,
        {
            "solver": "sgd",
            "learning_rate_init": 1e-300,
            "max_iter": 1,
            "hidden_layer_sizes": hidden_layer_sizes,
            "activation": activation,
        },
    )
    theirs, ours = build(neural_network, case), build(skmlp, case)
    train(theirs, case)
    train(ours, case)
    expected = theirs.coefs_ + theirs.intercepts_
    for got, want in zip(ours.coefs_ + ours.intercepts_, expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_fits_stop_at_many_different_epochs():
    # Otherwise the same n_iter_ would say nothing about the same stopping rule.
    epochs = {}
    for case in GROUPS["schedules and stopping"] + GROUPS["early stopping"]:
        if not missing_in_scikit_learn(case):
            estimator = build(neural_network, case)
            train(estimator, case)
            epochs[str(case)] = estimator.n_iter_ < estimator.max_iter, estimator.n_iter_
    stopped = [n_iter for before_the_last, n_iter in epochs.values() if before_the_last]
    assert len(stopped) >= len(epochs) / 3
    assert len(set(stopped)) >= 8


@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 4},
        {"alpha": 0.0501},
        {"learning_rate_init": 0.02001},
        {"momentum": 0.8999},
        {"nesterovs_momentum": False},
        {"batch_size": 30},
        {"shuffle": False},
        {"activation": "tanh"},
        {"learning_rate": "invscaling"},
        {"max_iter": 11},
    ],
    ids="-".join,
)
def test_the_comparison_can_fail(change):
    (case,) = cases(["regression"], [NESTEROV], vary(alpha=[0.05]))
    comparison = compare(case)
    assert comparison.unequal == {}
    assert too_far(comparison, "solvers") == {}
    changed = compare(case, **change)
    assert {"coefs_", "elements"} <= too_far(changed, "solvers").keys()


@pytest.mark.parametrize(
    "change",
    [{"random_state": 4}, {"alpha": 1.0001}, {"max_fun": 3}, {"activation": "tanh"}],
    ids="-".join,
)
def test_the_comparison_of_lbfgs_can_fail(change):
    (case,) = cases(["binary"], [LBFGS], vary(max_iter=[4], alpha=[1.0]))
    assert too_far(compare(case), "lbfgs") == {}
    assert "coefs_" in too_far(compare(case, **change), "lbfgs")
