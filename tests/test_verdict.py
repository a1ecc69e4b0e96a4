"""A fit that is worse than a constant says so; one that is fine does not."""

import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skmlp import MLPClassifier, MLPRegressor
from skmlp.estimators.verdict import worse_than_constant
from skmlp.heads import HEADS


def dollars():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    return X, 1e5 * (3 + X[:, 0] + 0.1 * rng.normal(size=300))


def said_of(model, X, y):
    """The warnings of a fit, and whether it really is worse than a constant."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    words = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    return [text for text in words if "worse than a constant" in text], words


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("is_scaled", [True, False])
@pytest.mark.parametrize("in_units", [True, False])
def test_a_fit_that_is_worse_than_a_constant_says_so_and_why(solver, is_scaled, in_units):
    X, y = dollars()
    X = X if is_scaled else 1e4 * X
    model = MLPRegressor(
        (5,),
        solver=solver,
        max_iter=20,
        learning_rate_init=1e-3 if in_units else 1e-6,
        max_grad_norm=1e6,
        initial_output="data" if in_units else None,
        random_state=0,
    )
    worse, words = said_of(model, X, y)
    score = model.score(X, y)
    assert abs(score) > 0.1 or abs(score) < 1e-3 or solver == "sgd"
    assert bool(worse) == (score < -0.1)
    assert len(words) <= 1
    for text in worse:
        assert ("X is not scaled (column" in text) == (not is_scaled)
        assert ('y has a root mean square of 3.05e+05: set initial_output="data"' in text) == (
            not in_units
        )


def test_the_verdict_names_the_column_and_changes_no_number():
    X, y = dollars()
    frame = pytest.importorskip("pandas").DataFrame(1e6 * X, columns=["a", "b", "c"])
    options = {"max_iter": 15, "random_state": 0}
    worse, words = said_of(MLPClassifier((20,), **options), frame, y > np.mean(y))
    assert re.search(r"X is not scaled \(column '[abc]' has a root mean square of", worse[0])
    assert worse == words


def test_a_fit_of_noise_is_no_worse_than_a_constant():
    rng = np.random.default_rng(1)
    for seed in range(5):
        X, y = rng.normal(size=(200, 3)), rng.integers(0, 2, 200)
        model = MLPClassifier((5,), solver="lbfgs", random_state=seed, max_iter=10)
        assert said_of(model, X, y)[0] == []


@pytest.mark.parametrize("name", HEADS)
def test_the_best_constant_is_no_worse_than_itself_and_a_bad_one_is(name):
    head = HEADS[name]()
    rng = np.random.default_rng(0)
    if "numbers" in head.targets:
        Y = 1.0 + rng.integers(0, 5, (200, 1))
    else:
        Y = np.eye(3)[rng.integers(0, 3, 200)] if head.is_one_hot else rng.integers(0, 2, (200, 1))
    best = np.tile(head.initial_raw(Y), (200, 1))
    assert worse_than_constant(head, best, Y, None) is None
    assert worse_than_constant(head, best + 5 + 5 * rng.normal(size=best.shape), Y, None)
