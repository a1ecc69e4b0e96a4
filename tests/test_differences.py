"""Where skmlp differs from scikit-learn on purpose: one row of docs/differences.md, and its tests.

Each test demands what is right of skmlp, against a closed form or a fit that must be equal, and
shows that the scikit-learn versions known to have the defect have it. A later version may be right.
"""

import pickle
import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
from scipy.special import log_expit, log_softmax
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import skmlp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SKLEARN_VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
DEFECTS_KNOWN = SKLEARN_VERSION <= (1, 9)
DEFECTS_OF_WEIGHTS_KNOWN = (1, 7) <= SKLEARN_VERSION <= (1, 9)  # sample_weight came with 1.7

# One epoch of these leaves every weight as it was drawn, so that what is told is of known weights.
AT_THE_START = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
PLAIN_SGD = {"solver": "sgd", "momentum": 0.0, "shuffle": False}


def regression_data(rows=60, features=3, outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features))
    Y = X @ rng.normal(size=(features, outputs)) + 0.3 * rng.normal(size=(rows, outputs)) + 0.5
    return X, Y[:, 0] if outputs == 1 else Y


def class_data(rows=120, classes=2, seed=0):
    X, Y = regression_data(rows, 4, classes, seed)
    return X, np.argmax(Y, axis=1)


def weights_of(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def flat(estimator):
    return np.concatenate([array.ravel() for array in weights_of(estimator)])


def assert_same_weights(got, want, rtol=1e-9):
    for ours, theirs in zip(weights_of(got), weights_of(want), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


# ------------------------------------------------------- 1: the loss and the gradient agree


def fall_over_slope(estimator, X, Y):
    """Divide the fall of the loss in a short step by the one that the step's gradient promises."""
    rate = 1e-5
    estimator.set_params(**PLAIN_SGD, batch_size=len(X), learning_rate_init=rate)
    start = clone(estimator).set_params(**AT_THE_START).fit(X, Y)
    moved = flat(clone(estimator).set_params(max_iter=1).fit(X, Y)) - flat(start)
    losses = estimator.set_params(max_iter=2).fit(X, Y).loss_curve_
    return (losses[0] - losses[1]) / (moved @ moved / rate)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_gradient_is_that_of_the_loss(outputs):
    X, Y = regression_data(outputs=outputs)
    settings = {"hidden_layer_sizes": (5,), "activation": "tanh", "alpha": 0.0, "random_state": 0}
    ratio = fall_over_slope(skmlp.MLPRegressor(**settings), X, Y)
    assert ratio == pytest.approx(1.0, rel=1e-3)
    if DEFECTS_KNOWN:
        theirs = fall_over_slope(neural_network.MLPRegressor(**settings), X, Y)
        assert theirs == pytest.approx(1.0 / outputs, rel=1e-3)


def test_lbfgs_minimizes_the_loss_of_several_outputs():
    X, Y = regression_data(outputs=3)
    alpha = 20.0
    centerd = X - X.mean(axis=0)
    W = np.linalg.solve(centerd.T @ centerd + alpha * np.eye(3), centerd.T @ (Y - Y.mean(axis=0)))
    errors = centerd @ W - (Y - Y.mean(axis=0))
    minimum = (np.sum(errors**2) + alpha * np.sum(W**2)) / (2 * len(X))
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": alpha, "tol": 1e-8}
    ours = skmlp.MLPRegressor(**settings, random_state=0).fit(X, Y)
    assert ours.loss_ == pytest.approx(minimum, rel=1e-8)
    np.testing.assert_allclose(ours.coefs_[0], W, rtol=1e-3, atol=1e-4)
    if DEFECTS_KNOWN:
        theirs = neural_network.MLPRegressor(**settings, random_state=0).fit(X, Y)
        assert abs(theirs.loss_ / minimum - 1) > 0.1


# ------------------------------------------------------- 2: a warm-started fit counts anew


@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_started_fit_counts_anew(early_stopping):
    X, y = class_data()
    settings = {"warm_start": True, "learning_rate_init": 0.02, "max_iter": 400, "tol": 1e-3}
    settings |= {"early_stopping": early_stopping, "validation_fraction": 0.25, "random_state": 0}
    ours = skmlp.MLPClassifier(**settings).fit(X, y)
    first, first_epochs = ours.score(X, y), ours.n_iter_
    ours.fit(X, 1 - y)
    assert first_epochs < 400
    assert ours.n_iter_ > 11
    assert ours.score(X, 1 - y) > first - 0.1
    assert len(ours.loss_curve_) == first_epochs + ours.n_iter_
    if early_stopping:
        assert ours.best_validation_score_ == max(ours.validation_scores_[-ours.n_iter_ :])
    else:
        assert ours.best_loss_ == min(ours.loss_curve_[-ours.n_iter_ :])
    if DEFECTS_KNOWN:
        theirs = neural_network.MLPClassifier(**settings).fit(X, y).fit(X, 1 - y)
        assert theirs.score(X, 1 - y) < 0.5


def test_warm_started_fit_does_not_remember_a_better_loss():
    X, y = regression_data()
    settings = {"warm_start": True, "solver": "sgd", "max_iter": 30, "random_state": 0}
    ours = skmlp.MLPRegressor(**settings).fit(X, y).fit(X, 100 * y)
    assert ours.best_loss_ == min(ours.loss_curve_[-ours.n_iter_ :])
    if DEFECTS_KNOWN:
        theirs = neural_network.MLPRegressor(**settings).fit(X, y).fit(X, 100 * y)
        assert theirs.best_loss_ < min(theirs.loss_curve_[-theirs.n_iter_ :])


# ------------------------------------------------------- 3: published weights stay


def change_of_published_weights(estimator, call):
    X, y = class_data()
    method = partial(getattr(estimator, call))
    method(X, y)
    published = weights_of(estimator)
    before = [array.copy() for array in published]
    method(X[::2], 1 - y[::2])
    assert any((now != then).any() for now, then in zip(weights_of(estimator), before, strict=True))
    return max(np.abs(now - then).max() for now, then in zip(published, before, strict=True))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_published_weights_stay_in_a_warm_started_fit(solver, early_stopping):
    settings = {"solver": solver, "early_stopping": early_stopping, "learning_rate_init": 0.01}
    settings |= {"warm_start": True, "max_iter": 5, "random_state": 0, "validation_fraction": 0.2}
    assert change_of_published_weights(skmlp.MLPClassifier(**settings), "fit") == 0
    if DEFECTS_KNOWN and solver != "lbfgs":
        theirs = neural_network.MLPClassifier(**settings)
        assert change_of_published_weights(theirs, "fit") > 0


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_published_weights_stay_in_a_stream(solver):
    settings = {"solver": solver, "learning_rate_init": 0.01, "random_state": 0}
    ours, theirs = skmlp.MLPClassifier(**settings), neural_network.MLPClassifier(**settings)
    for estimator in (ours, theirs):
        estimator.partial_fit(*class_data(), classes=[0, 1])
    assert change_of_published_weights(ours, "partial_fit") == 0
    if DEFECTS_KNOWN:
        assert change_of_published_weights(theirs, "partial_fit") > 0


# ------------------------------------------------------- 4: the validation split


def validation_share(estimator, y):
    """Tell which class a model of mere intercepts predicts, and its share of the validation rows.

    All features are 0 and the weights are as drawn, so all rows get the same prediction and the
    validation score is the share of that class among the validation rows.
    """
    X = np.zeros((len(y), 2))
    estimator.set_params(**AT_THE_START, hidden_layer_sizes=(), early_stopping=True)
    estimator.set_params(validation_fraction=0.2).fit(X, y)
    return estimator.predict(X)[0], estimator.best_validation_score_


def test_validation_split_is_stratified_for_several_classes():
    y = np.repeat(["ash", "elm", "oak"], [60, 30, 10])
    shares = {"ash": 0.6, "elm": 0.3, "oak": 0.1}
    predicted = set()
    for seed in range(12):
        name, share = validation_share(skmlp.MLPClassifier(random_state=seed), y)
        assert share == pytest.approx(shares[name])
        predicted.add(name)
    assert predicted == set(shares)
    if (1, 7) <= SKLEARN_VERSION <= (1, 9):  # 1.6 could not stop early with labels of text
        theirs = [
            validation_share(neural_network.MLPClassifier(random_state=seed), y)
            for seed in range(12)
        ]
        assert any(abs(share - shares[name]) > 0.01 for name, share in theirs)


@pytest.mark.parametrize("others", [["ash"], ["ash", "elm"]], ids=["two", "three"])
def test_class_of_one_row_stays_in_training(others):
    y = np.array([*others * 20, "oak"])
    predicted = set()
    for seed in range(12):
        name, share = validation_share(skmlp.MLPClassifier(random_state=seed), y)
        assert share == (0.0 if name == "oak" else pytest.approx(1 / len(others)))
        predicted.add(name)
    assert predicted == {*others, "oak"}
    # It is learned from: another row in its place makes another model.
    X, _ = class_data(rows=len(y))
    trained = partial(skmlp.MLPClassifier, early_stopping=True, max_iter=2, random_state=0)
    here = trained().fit(X, y)
    X[-1] += 1
    assert (flat(here) != flat(trained().fit(X, y))).any()
    if DEFECTS_KNOWN and len(others) == 1:
        with pytest.raises(ValueError, match="least populated class"):
            validation_share(neural_network.MLPClassifier(random_state=0), y)


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_rows_of_zero_weight_take_no_part_in_the_validation_split(estimator):
    X, y = class_data()
    weight = np.tile([1.0, 2.0, 0.0], 40)
    settings = {"early_stopping": True, "max_iter": 5, "random_state": 0}
    with_them = getattr(skmlp, estimator)(**settings).fit(X, y, sample_weight=weight)
    there = weight > 0
    without = getattr(skmlp, estimator)(**settings).fit(X[there], y[there], weight[there])
    assert with_them.validation_scores_ == without.validation_scores_
    assert_same_weights(with_them, without)


# ------------------------------------------------------- 5: a NaN score is no improvement


def overflowing_validation_row():
    """Find a seed whose validation rows hold row 0, where the weights as drawn overflow."""
    X, y = regression_data(rows=50, features=2)
    X[0] = 1.7e308
    bound = np.sqrt(6 / 3)
    for seed in range(100):
        rng = np.random.RandomState(seed)
        w = rng.uniform(-bound, bound, size=(2, 1))
        rng.uniform(-bound, bound, size=1)
        _, held_out = train_test_split(np.arange(50), test_size=0.2, random_state=rng)
        if 0 in held_out and abs(w.sum()) > 1.5:
            return X, y, seed
    raise AssertionError("no seed puts row 0 into the validation part")


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_nan_score_is_no_improvement():
    X, y, seed = overflowing_validation_row()
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "learning_rate_init": 1e-6}
    settings |= {"early_stopping": True, "validation_fraction": 0.2, "random_state": seed}
    settings |= {"max_iter": 30, "n_iter_no_change": 4}
    ours = skmlp.MLPRegressor(**settings).fit(X, y)
    assert np.isnan(ours.validation_scores_).all()
    assert ours.n_iter_ == 5
    assert np.isfinite(flat(ours)).all()
    if DEFECTS_KNOWN:
        theirs = neural_network.MLPRegressor(**settings).fit(X, y)
        assert np.isnan(theirs.validation_scores_).all()
        assert theirs.n_iter_ == 30


# ------------------------------------------------------- 6: a row of zero weight is no row


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_row_of_zero_weight_is_no_row(estimator, solver):
    X, y = class_data(classes=3)
    weight = np.tile([0.5, 3.0], 60)
    weight[:40] = 0.0  # a whole batch
    weight[50:60] = 0.0
    settings = {"solver": solver, "max_iter": 5, "shuffle": False, "random_state": 0}
    settings |= {"batch_size": 40} if solver != "lbfgs" else {}
    ours = getattr(skmlp, estimator)(**settings)
    with_them = clone(ours).fit(X, y, sample_weight=weight)
    without = ours.fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    assert_same_weights(with_them, without)
    np.testing.assert_allclose(with_them.loss_curve_, without.loss_curve_, rtol=1e-12)
    assert with_them.t_ == without.t_
    if DEFECTS_OF_WEIGHTS_KNOWN and solver != "lbfgs":
        with pytest.raises(ZeroDivisionError):
            getattr(neural_network, estimator)(**settings).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_weights_that_are_all_zero_are_refused(estimator):
    X, y = class_data()
    ours = getattr(skmlp, estimator)(max_iter=2)
    with pytest.raises(ValueError, match=r"(?i)weights?\b.*zero"):
        ours.fit(X, y, sample_weight=np.zeros(len(y)))
    assert not hasattr(ours, "coefs_")


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_part_of_a_stream_that_weighs_nothing_changes_nothing(estimator, solver):
    X, y = class_data()
    first = {"classes": [0, 1]} if estimator == "MLPClassifier" else {}
    ours = getattr(skmlp, estimator)(solver=solver, learning_rate_init=0.01, random_state=0)
    ours.partial_fit(X[:60], y[:60], **first)
    without = clone(ours).partial_fit(X[:60], y[:60], **first).partial_fit(X[60:], y[60:])
    before = flat(ours)
    ours.partial_fit(X[:30], 1 - y[:30], sample_weight=np.zeros(30))
    np.testing.assert_array_equal(flat(ours), before)
    ours.partial_fit(X[60:], y[60:])
    np.testing.assert_array_equal(flat(ours), flat(without))


# ------------------------------------------------------- 7: weights, and the penalty


def steps_by_hand(W, b, X, y, weight, batch_size, alpha, rate):
    """Take one epoch of plain steps on half the squared error; return W, b, and the loss.

    Weights are divided by their mean over all rows, a batch's data loss is its sum over its rows,
    and its penalty is alpha / (2 * mean weight * its rows) * |W|^2.
    """
    share, total = weight / weight.mean(), 0.0
    for start in range(0, len(X), batch_size):
        rows = slice(start, min(start + batch_size, len(X)))
        count = rows.stop - rows.start
        strength = alpha / (count * weight.mean())
        error = X[rows] @ W[:, 0] + b[0] - y[rows]
        total += share[rows] @ error**2 / 2 + count * strength * np.sum(W**2) / 2
        pull = share[rows] * error / count
        W, b = W - rate * ((X[rows].T @ pull)[:, None] + strength * W), b - rate * pull.sum()
    return W, b, total / len(X)


def one_epoch(library, X, y, weight=None, **settings):
    """Train a linear model for one epoch; return it, and what it started from."""
    made = partial(library.MLPRegressor, hidden_layer_sizes=(), max_iter=1, random_state=0)
    given = {} if weight is None else {"sample_weight": weight}
    start = made(**{**PLAIN_SGD, **settings, **AT_THE_START}).fit(X, y, **given)
    return made(**{**PLAIN_SGD, **settings}).fit(X, y, **given), start


@pytest.mark.parametrize("batch_size", [60, 30, 20, 7])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_weights_are_normalized_over_the_training_set(batch_size, alpha):
    X, y = regression_data()
    weight = np.random.default_rng(1).uniform(0.2, 4.0, size=60)
    ours, start = one_epoch(
        skmlp, X, y, weight, batch_size=batch_size, alpha=alpha, learning_rate_init=0.1
    )
    W, b, loss = steps_by_hand(
        start.coefs_[0], start.intercepts_[0], X, y, weight, batch_size, alpha, 0.1
    )
    np.testing.assert_allclose(ours.coefs_[0], W, rtol=1e-10)
    np.testing.assert_allclose(ours.intercepts_[0], b, rtol=1e-10)
    assert ours.loss_ == pytest.approx(loss, rel=1e-10)


def test_loss_is_the_weighted_mean_whatever_the_batches():
    X, y = regression_data()
    weight = np.where(np.arange(60) < 30, 100.0, 0.01)
    y[:30] += 10
    ours, theirs = [], []
    for batch_size in (60, 30, 15, 7):
        settings = {**AT_THE_START, "batch_size": batch_size, "alpha": 0.0}
        model, start = one_epoch(skmlp, X, y, weight, **settings)
        ours.append(model.loss_)
        if DEFECTS_OF_WEIGHTS_KNOWN:
            theirs.append(one_epoch(neural_network, X, y, weight, **settings)[0].loss_)
    errors = X @ start.coefs_[0][:, 0] + start.intercepts_[0][0] - y
    np.testing.assert_allclose(ours, np.average(errors**2 / 2, weights=weight), rtol=1e-12)
    if DEFECTS_OF_WEIGHTS_KNOWN:
        assert max(theirs) > 1.5 * min(theirs)


@pytest.mark.parametrize("rows", [60, 61, 63, 79])
def test_each_batch_is_penalized_by_its_own_rows(rows):
    X, y = regression_data(rows)
    settings = {"batch_size": 20, "alpha": 3.0, "learning_rate_init": 0.05}
    ours, start = one_epoch(skmlp, X, y, **settings)
    theirs, _ = one_epoch(neural_network, X, y, **settings)
    W, b = start.coefs_[0], start.intercepts_[0]
    W, b, loss = steps_by_hand(W, b, X, y, np.ones(rows), 20, 3.0, 0.05)
    for model in (ours, theirs):
        np.testing.assert_allclose(model.coefs_[0], W, rtol=1e-10)
        np.testing.assert_allclose(model.intercepts_[0], b, rtol=1e-10)
        assert model.loss_ == pytest.approx(loss, rel=1e-10)


# ------------------------------------------------------- 9 and 10: the signature


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_has_no_partial_fit(estimator):
    made = getattr(skmlp, estimator)
    assert not hasattr(made(solver="lbfgs"), "partial_fit")
    assert hasattr(made(solver="sgd"), "partial_fit")
    assert hasattr(made(solver="adam"), "partial_fit")
    if DEFECTS_KNOWN and estimator == "MLPRegressor":
        assert hasattr(neural_network.MLPRegressor(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_first_argument_is_hidden_layer_sizes(estimator):
    ours = getattr(skmlp, estimator)((7, 5), "tanh")
    assert (ours.hidden_layer_sizes, ours.activation) == ((7, 5), "tanh")
    if (1, 7) <= SKLEARN_VERSION <= (1, 9):
        assert neural_network.MLPRegressor((7, 5)).loss == (7, 5)


# ------------------------------------------------------- 11: lbfgs is a solver like the others


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_keeps_float32(estimator):
    X, y = class_data()
    X = X.astype(np.float32)
    target = y if estimator == "MLPClassifier" else y.astype(np.float32)
    settings = {"solver": "lbfgs", "max_iter": 10, "random_state": 0, "hidden_layer_sizes": (6,)}
    ours = getattr(skmlp, estimator)(**settings).fit(X, target)
    predict = "predict_proba" if estimator == "MLPClassifier" else "predict"
    assert {array.dtype for array in weights_of(ours)} == {np.dtype("float32")}
    assert getattr(ours, predict)(X).dtype == np.float32
    double = getattr(skmlp, estimator)(**settings).fit(X.astype(float), target)
    np.testing.assert_allclose(getattr(ours, predict)(X), getattr(double, predict)(X), atol=1e-2)
    if DEFECTS_KNOWN:
        theirs = getattr(neural_network, estimator)(**settings).fit(X, target)
        assert {array.dtype for array in weights_of(theirs)} == {np.dtype("float64")}


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_has_a_loss_curve(estimator):
    X, y = class_data()
    settings = {"solver": "lbfgs", "max_iter": 15, "random_state": 0}
    ours = getattr(skmlp, estimator)(**settings).fit(X, y)
    assert len(ours.loss_curve_) == ours.n_iter_
    assert (np.diff(ours.loss_curve_) <= 0).all()
    assert ours.loss_curve_[-1] == pytest.approx(ours.loss_, rel=1e-12)
    # The loss after some iterations is that of a fit of so many.
    short = getattr(skmlp, estimator)(**settings).set_params(max_iter=4).fit(X, y)
    np.testing.assert_allclose(short.loss_curve_, ours.loss_curve_[:4], rtol=1e-6)
    if DEFECTS_KNOWN:
        theirs = getattr(neural_network, estimator)(**settings).fit(X, y)
        assert not hasattr(theirs, "loss_curve_")


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_lbfgs_honors_early_stopping(estimator):
    X, y = regression_data(rows=80, features=10)
    y = (y > 0).astype(int) if estimator == "MLPClassifier" else y
    settings = {"solver": "lbfgs", "alpha": 0.0, "n_iter_no_change": 5, "max_iter": 500}
    settings |= {"early_stopping": True, "validation_fraction": 0.5, "random_state": 0}
    ours = getattr(skmlp, estimator)(**settings, hidden_layer_sizes=(30,)).fit(X, y)
    assert ours.n_iter_ < 200
    assert len(ours.validation_scores_) == ours.n_iter_
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.best_validation_score_ > ours.validation_scores_[-1]
    # The published weights are those of the best score: they have it on the same validation rows.
    rng = np.random.RandomState(0)
    for fan_in, fan_out in [(10, 30), (30, 1)]:
        rng.uniform(size=(fan_in, fan_out))
        rng.uniform(size=fan_out)
    split = {"stratify": y} if estimator == "MLPClassifier" else {}
    _, X_val, _, y_val = train_test_split(X, y, test_size=0.5, random_state=rng, **split)
    assert ours.score(X_val, y_val) == pytest.approx(ours.best_validation_score_, abs=1e-12)
    if DEFECTS_KNOWN:
        theirs = getattr(neural_network, estimator)(**settings, hidden_layer_sizes=(30,))
        assert not hasattr(theirs.fit(X, y), "validation_scores_")


# ------------------------------------------------------- 12: the best weights, where asked for


def half_squared_error(estimator, X, y):
    return np.mean((estimator.predict(X) - y) ** 2) / 2


@pytest.mark.parametrize(("batch_size", "max_iter"), [(60, 14), (20, 5)])
def test_restore_best_publishes_the_weights_of_the_lowest_loss(batch_size, max_iter):
    X, y = regression_data()
    # So much momentum carries a linear model through its minimum and far up the other side.
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0.95, "alpha": 0.0}
    settings |= {"learning_rate_init": 0.05, "batch_size": batch_size, "max_iter": max_iter}
    last = skmlp.MLPRegressor(**settings, random_state=1).fit(X, y)
    best = skmlp.MLPRegressor(**settings, random_state=1, restore_best=True).fit(X, y)
    assert best.loss_curve_ == last.loss_curve_
    assert best.best_loss_ == last.best_loss_ == min(last.loss_curve_) < 0.5 * last.loss_
    # The loss of an epoch is seen on the way; what counts is the loss where an epoch ends.
    ends = [
        skmlp.MLPRegressor(**settings | {"max_iter": epochs}, random_state=1).fit(X, y)
        for epochs in range(1, max_iter + 1)
    ]
    lowest = min(half_squared_error(end, X, y) for end in ends)
    assert half_squared_error(best, X, y) == pytest.approx(lowest, rel=1e-9)
    assert lowest < 0.6 * half_squared_error(last, X, y)
    theirs = neural_network.MLPRegressor(**settings, random_state=1).fit(X, y)
    assert_same_weights(last, theirs)


def test_best_validation_score_wins_over_restore_best():
    X, y = class_data()
    settings = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.05}
    settings |= {"max_iter": 20, "random_state": 0}
    kept = skmlp.MLPClassifier(**settings).fit(X, y)
    best = skmlp.MLPClassifier(**settings, restore_best=True).fit(X, y)
    np.testing.assert_array_equal(flat(best), flat(kept))


# ------------------------------------------------------- 13: logarithms from raw outputs


def saturated(library, y):
    """Fit a linear model at weights as drawn to huge features; return it, X and its raw outputs."""
    X = 1e4 * np.random.default_rng(3).normal(size=(len(y), 2))
    made = library.MLPClassifier(hidden_layer_sizes=(), alpha=0.0, random_state=0, **AT_THE_START)
    made.fit(X, y)
    return made, X, X @ made.coefs_[0] + made.intercepts_[0]


def expected_log_proba(kind, raw):
    if kind == "binary":
        return np.hstack([log_expit(-raw), log_expit(raw)])
    return log_softmax(raw, axis=1) if kind == "multiclass" else log_expit(raw)


TARGETS = {
    "binary": np.arange(30) % 2,
    "multiclass": np.arange(30) % 3,
    "multilabel": np.array([[i % 2, i % 3 == 0, i % 5 < 2] for i in range(30)], dtype=int),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_log_proba_is_finite_and_that_of_the_raw_outputs(kind):
    ours, X, raw = saturated(skmlp, TARGETS[kind])
    got = ours.predict_log_proba(X)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, expected_log_proba(kind, raw), rtol=1e-9, atol=1e-300)
    if DEFECTS_KNOWN:
        theirs, X, _ = saturated(neural_network, TARGETS[kind])
        with np.errstate(divide="ignore"):
            assert np.isneginf(theirs.predict_log_proba(X)).any()


@pytest.mark.parametrize("kind", TARGETS)
def test_loss_is_not_clipped(kind):
    y = TARGETS[kind]
    ours, _, raw = saturated(skmlp, y)
    log_proba = expected_log_proba(kind, raw)
    if kind == "multilabel":
        expected = -np.mean(np.sum(np.where(y == 1, log_proba, log_expit(-raw)), axis=1))
    else:
        expected = -np.mean(log_proba[np.arange(len(y)), y])
    assert ours.loss_ == pytest.approx(expected, rel=1e-9)
    if DEFECTS_KNOWN:
        theirs, _, _ = saturated(neural_network, y)
        assert theirs.loss_ < expected / 10


# ------------------------------------------------------- 14: negative weights, Poisson's mean


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_negative_weights_are_refused(estimator, call):
    X, y = class_data()
    weight = np.ones(len(y))
    weight[5] = -0.5
    first = {"classes": [0, 1]} if (estimator, call) == ("MLPClassifier", "partial_fit") else {}
    ours = getattr(skmlp, estimator)(max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r"(?i)negative|-0\.5"):
        getattr(ours, call)(X, y, sample_weight=weight, **first)
    assert not hasattr(ours, "coefs_")
    if DEFECTS_OF_WEIGHTS_KNOWN:
        theirs = getattr(neural_network, estimator)(max_iter=2, random_state=0)
        getattr(theirs, call)(X, y, sample_weight=weight, **first)


def test_poisson_mean_goes_on_linearly_above_exp_30():
    X, y = regression_data(features=1)
    settings = {"hidden_layer_sizes": (), "random_state": 0, **AT_THE_START}
    ours = skmlp.MLPRegressor(head="poisson", **settings).fit(X, np.round(np.exp(y)))
    raw = np.array([-30.0, 0.0, 3.0, 29.999, 30.0, 30.001, 40.0, 50.0, 1e6])
    mean = ours.predict(((raw - ours.intercepts_[0]) / ours.coefs_[0][0])[:, None])
    np.testing.assert_allclose(mean[:5], np.exp(raw[:5]), rtol=1e-9)
    np.testing.assert_allclose(mean[5:], np.exp(30) * (1 + raw[5:] - 30), rtol=1e-9)
    if (1, 7) <= SKLEARN_VERSION <= (1, 9):
        theirs = neural_network.MLPRegressor(loss="poisson", **settings)
        theirs.fit(X, np.round(np.exp(y)))
        scaled = ((50.0 - theirs.intercepts_[0]) / theirs.coefs_[0][0]).reshape(1, 1)
        np.testing.assert_allclose(theirs.predict(scaled), np.exp(50), rtol=1e-9)


# ------------------------------------------------------- 15: what a pickle carries


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_pickle_of_a_stream_goes_on_where_it_was(estimator):
    X, y = class_data()
    first = {"classes": [0, 1]} if estimator == "MLPClassifier" else {}
    ours = getattr(skmlp, estimator)(learning_rate_init=0.01, random_state=0)
    ours.partial_fit(X[:40], y[:40], **first).partial_fit(X[40:80], y[40:80])
    copy = pickle.loads(pickle.dumps(ours))
    for model in (ours, copy):
        model.partial_fit(X[80:], y[80:])
    np.testing.assert_array_equal(flat(copy), flat(ours))


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_pickle_of_a_fit_has_no_solver_state(estimator):
    X, y = class_data()
    settings = {"hidden_layer_sizes": (300, 100), "max_iter": 2, "random_state": 0}
    ours = getattr(skmlp, estimator)(**settings).fit(X, y)
    n_bytes = flat(ours).nbytes
    assert n_bytes < len(pickle.dumps(ours)) < 1.1 * n_bytes
    copy = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(copy.predict(X), ours.predict(X))
    before = flat(ours)
    ours.partial_fit(X, y)  # by a new Adam, whose first step is the rate itself, or almost
    moved = np.abs(flat(ours) - before).max()
    assert moved == pytest.approx(ours.learning_rate_init, rel=1e-3)
    np.testing.assert_array_equal(flat(copy.partial_fit(X, y)), flat(ours))
    if DEFECTS_KNOWN:
        theirs = getattr(neural_network, estimator)(**settings).fit(X, y)
        assert len(pickle.dumps(theirs)) > 3 * n_bytes


# ------------------------------------------------------- the page


# 16: a fit that is no longer finite


def test_fit_that_diverges_goes_back_to_half_the_rate():
    X = np.random.RandomState(0).normal(size=(200, 5))
    y = 10 * X[:, 0]
    settings = {"hidden_layer_sizes": (20,), "solver": "sgd", "random_state": 0}
    ours = skmlp.MLPRegressor(learning_rate_init=0.5, **settings)
    with pytest.warns(RuntimeWarning, match="goes back to the best parameters so far"):
        ours.fit(X, y)
    assert ours.score(X, y) > 0.9
    theirs = neural_network.MLPRegressor(learning_rate_init=0.5, **settings)
    if DEFECTS_KNOWN:
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="non-finite"):
            theirs.fit(X, y)


# 17: a fit that is worse than a constant


def test_fit_that_is_worse_than_a_constant_is_told():
    X, y = load_wine(return_X_y=True)
    settings = {"solver": "sgd", "random_state": 0}
    ours = skmlp.MLPClassifier(**settings)
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        ours.fit(X, y)
    theirs = neural_network.MLPClassifier(**settings)
    if DEFECTS_KNOWN:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            theirs.fit(X, y)
        np.testing.assert_allclose(flat(ours), flat(theirs), rtol=1e-9)


PAGE = Path(__file__).resolve().parents[1] / "docs" / "differences.md"


def rows_of_the_page():
    """Read the table: the number of each difference, and the tests that its row names."""
    if not PAGE.exists():
        pytest.skip("docs/differences.md is in the checkout only")
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {int(number): re.findall(r"`(test_\w+)`", cells) for number, cells in rows}


def all_tests():
    return {name for name in globals() if name.startswith("test_")} - {
        "test_every_difference_names_its_tests",
        "test_every_test_is_named_by_a_difference",
        "test_each_batch_is_penalized_by_its_own_rows",  # where there is no difference
    }


def test_every_difference_names_its_tests():
    rows = rows_of_the_page()
    assert list(rows) == sorted(rows)
    for number, named in rows.items():
        assert named, f"difference {number} names no test"
        assert set(named) <= all_tests()


def test_every_test_is_named_by_a_difference():
    named = {name for names in rows_of_the_page().values() for name in names}
    assert all_tests() <= named
