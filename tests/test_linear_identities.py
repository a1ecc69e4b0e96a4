"""A network without hidden layers is a linear model: it finds the weights of scikit-learn's own.

The objective is the (weighted) mean loss plus alpha / (2 * sum of weights) * |W|^2; intercepts are
not penalized. Times the sum of weights it is that of `Ridge(alpha)`, over alpha besides that of
`LogisticRegression(C=1 / alpha)`, and as it stands that of `PoissonRegressor(alpha / sum)`.
"""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import xlogy
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from skmlp import MLPClassifier, MLPRegressor

# Started once more at the minimum, lbfgs finds no way down, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROWS = 150
ALPHAS = [0.3, 5.0, 60.0]
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 4)) * [1.0, 0.5, 2.0, 1.0] + [0.0, 1.0, 0.0, -0.5]
SCORES = X @ RNG.normal(size=(4, 3)) + RNG.normal(size=(ROWS, 3)) + 0.3
WEIGHTS = {"unweighted": np.ones(ROWS), "weighted": RNG.uniform(0.2, 3.0, size=ROWS)}
COUNTS = RNG.poisson(np.exp(0.3 * SCORES[:, 0]))
EXACT = {"tol": 1e-10, "max_iter": 5000}


def fitted(estimator, y, alpha, weight, data=X):
    """Fit to the minimum: lbfgs stops on a small fall of the loss, so it is started a few times."""
    estimator.set_params(hidden_layer_sizes=(), solver="lbfgs", alpha=alpha, random_state=0)
    estimator.set_params(tol=1e-9, max_iter=1000, warm_start=True)
    for _ in range(4):
        estimator.fit(data, y, sample_weight=weight if np.ptp(weight) else None)
    return estimator


def assert_same_minimum(ours, coef, intercept, losses, alpha, weight):
    """Compare weights with a linear model's, and the loss with the objective at that model."""
    # One number added to all intercepts of several classes changes nothing: without their mean.
    among_classes = ours.out_activation_ == "softmax"
    shift = ours.intercepts_[0].mean() - np.mean(intercept) if among_classes else 0.0
    got = np.vstack([ours.coefs_[0], ours.intercepts_[0] - shift])
    want = np.vstack([np.atleast_2d(coef).T, np.atleast_1d(intercept)])
    assert np.linalg.norm(got - want) < 3e-4 * np.linalg.norm(want)
    penalty = alpha * np.sum(np.square(coef)) / (2 * weight.sum())
    assert ours.loss_ == pytest.approx(np.average(losses, weights=weight) + penalty, abs=2e-8)


over_alpha_and_weight = pytest.mark.parametrize(
    ("alpha", "weight"),
    [pytest.param(a, w, id=f"{a}-{name}") for a in ALPHAS for name, w in WEIGHTS.items()],
)


@over_alpha_and_weight
def test_binary_classifier_is_logistic_regression(alpha, weight):
    y = np.where(SCORES[:, 0] > 0, "yes", "no")
    ours = fitted(MLPClassifier(), y, alpha, weight)
    linear = LogisticRegression(C=1 / alpha, **EXACT).fit(X, y, weight)
    losses = -linear.predict_log_proba(X)[np.arange(ROWS), (y == "yes").astype(int)]
    assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, alpha, weight)
    np.testing.assert_allclose(ours.predict_proba(X), linear.predict_proba(X), atol=1e-3)


@over_alpha_and_weight
def test_multiclass_classifier_is_multinomial_regression(alpha, weight):
    y = np.argmax(SCORES, axis=1)
    ours = fitted(MLPClassifier(), y, alpha, weight)
    linear = LogisticRegression(C=1 / alpha, **EXACT).fit(X, y, weight)
    losses = -linear.predict_log_proba(X)[np.arange(ROWS), y]
    assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, alpha, weight)
    np.testing.assert_allclose(ours.predict_proba(X), linear.predict_proba(X), atol=1e-3)


@over_alpha_and_weight
def test_multilabel_classifier_is_one_logistic_regression_for_each_label(alpha, weight):
    Y = (SCORES > 0).astype(int)
    ours = fitted(MLPClassifier(), Y, alpha, weight)
    each = [LogisticRegression(C=1 / alpha, **EXACT).fit(X, labels, weight) for labels in Y.T]
    coef = np.vstack([linear.coef_ for linear in each])
    intercept = np.hstack([linear.intercept_ for linear in each])
    rows = np.arange(ROWS)
    parts = zip(each, Y.T, strict=True)
    losses = -sum(linear.predict_log_proba(X)[rows, labels] for linear, labels in parts)
    assert_same_minimum(ours, coef, intercept, losses, alpha, weight)


@over_alpha_and_weight
@pytest.mark.parametrize("outputs", [1, 3])
def test_regressor_is_ridge(outputs, alpha, weight):
    Y = SCORES[:, 0] if outputs == 1 else SCORES
    ours = fitted(MLPRegressor(), Y, alpha, weight)
    linear = Ridge(alpha=alpha, solver="cholesky").fit(X, Y, weight)
    losses = np.square(linear.predict(X) - Y).reshape(ROWS, -1).sum(axis=1) / 2
    assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, alpha, weight)
    np.testing.assert_allclose(ours.predict(X), linear.predict(X), atol=3e-3)


@over_alpha_and_weight
def test_poisson_head_is_poisson_regression(alpha, weight):
    ours = fitted(MLPRegressor(head="poisson"), COUNTS, alpha, weight)
    linear = PoissonRegressor(alpha=alpha / weight.sum(), **EXACT).fit(X, COUNTS, weight)
    mean = linear.predict(X)
    losses = xlogy(COUNTS, COUNTS / mean) - COUNTS + mean
    assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, alpha, weight)
    np.testing.assert_allclose(ours.predict(X), mean, rtol=3e-3)


def test_sparse_features_give_the_same_ridge():
    weight = WEIGHTS["unweighted"]
    dense = np.where(np.abs(X) > 0.7, X, 0.0)
    ours = fitted(MLPRegressor(), SCORES, 5.0, weight, scipy.sparse.csr_matrix(dense))
    linear = Ridge(alpha=5.0, solver="cholesky").fit(dense, SCORES)
    losses = np.square(linear.predict(dense) - SCORES).sum(axis=1) / 2
    assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, 5.0, weight)


@pytest.mark.parametrize("wrong", [0.98, 1.02])
def test_another_alpha_is_another_model(wrong):
    weight = WEIGHTS["unweighted"]
    ours = fitted(MLPRegressor(), SCORES, 5.0 * wrong, weight)
    linear = Ridge(alpha=5.0, solver="cholesky").fit(X, SCORES)
    losses = np.square(linear.predict(X) - SCORES).sum(axis=1) / 2
    with pytest.raises(AssertionError):
        assert_same_minimum(ours, linear.coef_, linear.intercept_, losses, 5.0, weight)
