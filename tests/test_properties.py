"""Whatever the parameters and the data: a fit that works, or one of the documented errors.

A short run is part of the suite; `pytest -m long tests/test_properties.py` tries some thousands.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS
from skmlp.training.schedules import SCHEDULES
from skmlp.training.solvers import SOLVERS

REGRESSION = [name for name, head in HEADS.items() if "numbers" in head.targets]
CLASSES = [name for name, head in HEADS.items() if "numbers" not in head.targets]

# -------------------- data


def ordinary(rng, n, k):
    return rng.normal(size=(n, k))


COLUMNS = {
    "ordinary": ordinary,
    "constant": lambda rng, n, k: np.full((n, k), 3.0),
    "zero": lambda rng, n, k: np.zeros((n, k)),
    "repeated rows": lambda rng, n, k: np.repeat(ordinary(rng, 1, k), n, axis=0),
    "one constant": lambda rng, n, k: np.column_stack([np.ones(n), ordinary(rng, n, k)]),
    "far from 0": lambda rng, n, k: ordinary(rng, n, k) + 1e6,
    "huge": lambda rng, n, k: 1e300 * ordinary(rng, n, k),
    "tiny": lambda rng, n, k: 1e-300 * ordinary(rng, n, k),
    "huge integers": lambda rng, n, k: rng.randint(-(2**62), 2**62, (n, k)),
    "NaN": lambda rng, n, k: np.where(ordinary(rng, n, k) > 1, np.nan, 1.0),
    "infinity": lambda rng, n, k: np.where(ordinary(rng, n, k) > 1, np.inf, 1.0),
    "0-d": lambda rng, n, k: np.float64(3.0),
    "1-d": lambda rng, n, k: ordinary(rng, n, k)[:, 0],
    "3-d": lambda rng, n, k: ordinary(rng, n, k)[:, :, None],
    "no columns": lambda rng, n, k: np.empty((n, 0)),
    "words": lambda rng, n, k: np.full((n, k), "tall"),
}


def read_only(X):
    X = np.array(X)
    X.flags.writeable = False
    return X


def every_second(X):
    X = np.asarray(X)
    if X.ndim != 2:
        return X
    wide = np.zeros((2 * X.shape[0], 2 * X.shape[1]), X.dtype)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def as_frame(X):
    return pd.DataFrame(X) if np.ndim(X) == 2 else X


def as_sparse(X):
    is_matrix = np.ndim(X) == 2 and np.asarray(X).dtype.kind in "fiub"
    is_matrix = is_matrix and np.asarray(X).dtype != np.float16
    return sparse.csr_array(X) if is_matrix else X


def swapped(X):
    X = np.asarray(X)
    return X.astype(X.dtype.newbyteorder()) if X.dtype.kind in "fiu" else X


CONTAINERS = [np.asarray, np.asfortranarray, read_only, every_second, swapped, as_frame, as_sparse]
CONTAINERS += [lambda X: np.asarray(X, object), lambda X: np.asarray(X).tolist()]
PRECISIONS = [None, np.float32, np.float16, np.int64, np.int8, np.uint8, bool]

NUMBERS = {
    "ordinary": lambda rng, n: rng.normal(size=n),
    "positive": lambda rng, n: np.exp(rng.normal(size=n)),
    "counts": lambda rng, n: rng.poisson(2.0, n),
    "constant": lambda rng, n: np.full(n, 2.0),
    "two columns": lambda rng, n: rng.normal(size=(n, 2)),
    "huge": lambda rng, n: 1e300 * rng.normal(size=n),
    "tiny": lambda rng, n: 1e-300 * rng.normal(size=n),
    "huge integers": lambda rng, n: rng.randint(-(2**62), 2**62, n),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "objects": lambda rng, n: rng.normal(size=n).astype(object),
    "words": lambda rng, n: np.full(n, "tall"),
    "0-d": lambda rng, n: np.float64(1.0),
    "short": lambda rng, n: np.zeros(max(0, n - 1)),
}
CLASS_TARGETS = {
    "two": lambda rng, n: rng.randint(0, 2, n),
    "several": lambda rng, n: rng.randint(0, 4, n),
    "one": lambda rng, n: np.zeros(n, int),
    "all different": lambda rng, n: np.arange(n),
    "words": lambda rng, n: rng.choice(["b", "a", "c"], n),
    "truth values": lambda rng, n: rng.rand(n) > 0.5,
    "huge integers": lambda rng, n: rng.choice([-(2**62), 2**62], n),
    "labels": lambda rng, n: rng.randint(0, 2, (n, 3)),
    "sparse labels": lambda rng, n: sparse.csr_array(rng.randint(0, 2, (n, 3))),
    "fractions": lambda rng, n: rng.normal(size=n),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "mixed objects": lambda rng, n: np.array(["a", 1.5] * n, object)[:n],
    "0-d": lambda rng, n: np.int64(1),
    "short": lambda rng, n: np.zeros(max(0, n - 1), int),
}
WEIGHTS = {
    "none": lambda rng, n: None,
    "whole": lambda rng, n: rng.randint(0, 3, n),
    "float32": lambda rng, n: rng.rand(n).astype(np.float32),
    "zero": lambda rng, n: np.zeros(n),
    "one row": lambda rng, n: np.eye(max(n, 1))[0][:n],
    "huge": lambda rng, n: np.full(n, 1e300),
    "tiny": lambda rng, n: np.full(n, 1e-300),
    "far apart": lambda rng, n: 10.0 ** rng.randint(-150, 150, n),
    "NaN": lambda rng, n: np.full(n, np.nan),
    "negative": lambda rng, n: -np.ones(n),
    "2-d": lambda rng, n: np.ones((n, 2)),
    "words": lambda rng, n: ["heavy"] * n,
}


def often(usual, *others):
    """The usual value in half of the examples."""
    return st.one_of(st.just(usual), st.sampled_from([usual, *others]))


parameters = st.fixed_dictionaries(
    {
        "hidden_layer_sizes": st.sampled_from([(), (1,), (7,), (4, 3)]),
        "activation": often("relu", *ACTIVATIONS, "rbf"),
        "solver": st.sampled_from([*SOLVERS, "lbfgs"]),
        "alpha": st.sampled_from([0.0, 1e-4, 1.0, 1e6]),
        "batch_size": often("auto", 1, 7, 1000),
        "learning_rate": often("constant", *SCHEDULES, np.cos),
        "learning_rate_init": often(1e-3, 1e-8, 0.1, 10.0, 1e6),
        "warmup": often(0.0, 0.5),
        "max_iter": st.integers(1, 4),
        "max_fun": often(15000, 1, 5),
        "shuffle": st.booleans(),
        "tol": st.sampled_from([0.0, 1e-4, 1e9]),
        "n_iter_no_change": st.sampled_from([1, 10, np.inf]),
        "early_stopping": st.booleans(),
        "validation_fraction": often(0.3, 0.0, 0.9),
        "restore_best": st.booleans(),
        "scoring": often(None, "loss", "max_error", "accuracy"),
        "max_grad_norm": often(None, 1.0, 1e-8),
        "averaging": often(None, 0.5, 0.999),
        "weight_decay": often(0.01, 0.0, 1e3),
        "momentum": often(0.9, 0.0, 1.0),
        "nesterovs_momentum": st.booleans(),
        "initial_output": st.sampled_from([None, "data"]),
        "weight_init": often("auto", "he_normal", "orthogonal"),
        "dropout": often(0.0, 0.5),
        "input_noise": often(0.0, 0.1, 1e300),
        "normalization": often(None, "layer", "batch"),
        "residual": st.booleans(),
        "dtype": st.sampled_from([None, "float32", "float64"]),
        "random_state": st.integers(0, 3),
    }
)

cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 99),
        "rows": st.one_of(st.integers(8, 40), st.integers(0, 7)),
        "columns": often("ordinary", *COLUMNS),
        "container": st.sampled_from(CONTAINERS),
        "precision": often(None, *PRECISIONS),
        "weights": often("none", *WEIGHTS),
        "is_validated": st.booleans(),
        "parameters": parameters,
    }
)
tasks = st.one_of(
    st.tuples(
        st.just(MLPRegressor), often("ordinary", *NUMBERS), often("auto", *REGRESSION, *CLASSES)
    ),
    st.tuples(
        st.just(MLPClassifier), often("several", *CLASS_TARGETS), often("auto", *CLASSES, "linear")
    ),
)

# -------------------- the law

KNOWN_WARNINGS = (ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning)
KNOWN_WORDS = ("no longer finite", "going to be clipped", "number of unique classes is greater")


def is_known(warning):
    return issubclass(warning.category, KNOWN_WARNINGS) or any(
        words in str(warning.message) for words in KNOWN_WORDS
    )


def outputs(model, X):
    has_probabilities = isinstance(model, MLPClassifier) and hasattr(model, "predict_proba")
    return np.asarray(model.predict_proba(X) if has_probabilities else raw_or(model, X), float)


def raw_or(model, X):
    if isinstance(model, MLPClassifier):
        return model.decision_function(X)
    return model.predict(X)


def made(case, kind, target):
    """The data of a case."""
    rng, n = np.random.RandomState(case["seed"]), case["rows"]
    X = COLUMNS[case["columns"]](rng, n, 3)
    if case["precision"] is not None and np.asarray(X).dtype.kind == "f":
        with np.errstate(all="ignore"):
            X = np.asarray(X).astype(case["precision"])
    y = (NUMBERS if kind is MLPRegressor else CLASS_TARGETS)[target](rng, n)
    return case["container"](X), y, WEIGHTS[case["weights"]](rng, n)


def check(case, task):
    """Fit; the fit works in every respect, or raises what is documented and changes nothing."""
    kind, target, head = task
    X, y, weights = made(case, kind, target)
    model = kind(head=head, **case["parameters"])
    before = dict(vars(model))
    given = {"X_val": X, "y_val": y} if case["is_validated"] else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y, weights, **given)
        except (ValueError, TypeError) as error:
            is_kept = "The best parameters so far are kept." in str(error)
            assert is_kept or vars(model) == before
            if not is_kept:
                return "refused"
    assert [w for w in caught if not is_known(w)] == []
    with np.errstate(all="ignore"):
        found = outputs(model, X)
    assert np.isfinite(found).all(), found
    assert all(np.isfinite(part).all() for part in [*model.coefs_, *model.intercepts_])
    check_far_from_the_data(model)
    lengths = {len(column) for column in model.history_.values()}
    assert lengths == {max(1, model.n_iter_)}
    assert len(model.loss_curve_) == max(1, model.n_iter_)
    assert clone(model).get_params() == model.get_params()
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(outputs(pickle.loads(pickle.dumps(model)), X), found)
    return "fitted"


def check_far_from_the_data(model):
    """Whatever the inputs, answers are finite, or refused in a sentence."""
    sizes = 10.0 ** np.arange(0, 309, 28)
    far = np.outer(sizes, np.random.RandomState(0).uniform(-1, 1, model.n_features_in_))
    try:
        with np.errstate(all="ignore"):
            found = outputs(model, far)
    except ValueError as error:
        words = ("The network has no finite answer in row", "a value too large for float32")
        assert any(some in str(error) for some in words)  # noqa: PT017
    else:
        assert np.isfinite(found).all()


quiet = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=120, derandomize=True, **quiet)
@given(cases, tasks)
def test_a_fit_works_or_says_what_is_wrong(case, task):
    check(case, task)


@pytest.mark.long
@settings(max_examples=3000, **quiet)
@given(cases, tasks)
def test_thousands_of_fits_work_or_say_what_is_wrong(case, task):
    check(case, task)


def test_the_law_is_tried_on_fits_that_work_and_on_fits_that_do_not():
    """The cases are no walk in the park, and no wall."""
    seen = []

    @settings(max_examples=100, derandomize=True, **quiet)
    @given(cases, tasks)
    def tried(case, task):
        seen.append(check(case, task))

    tried()
    assert 0.15 < np.mean([outcome == "fitted" for outcome in seen]) < 0.95
