"""Answers of many rows: computed a part at a time, and the same."""

import os
import warnings
from contextlib import ExitStack

import numpy as np
import pytest
from scipy import sparse

from skmlp import MLPClassifier, MLPRegressor
from skmlp.estimators import prediction
from skmlp.heads import HEADS

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
METHODS = ("predict", "predict_proba", "predict_log_proba")


def fitted(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    kind = HEADS[name]
    if "numbers" in kind.targets:
        return MLPRegressor((4,), head=name, max_iter=2, random_state=0).fit(X, np.exp(X[:, :2])), X
    names = np.array(["no", "perhaps", "yes"] if "multiclass" in kind.targets else ["no", "yes"])
    y = names[rng.integers(0, len(names), 30)]
    return MLPClassifier((4,), head=name, max_iter=2, random_state=0).fit(X, y), X


@unconverged
@pytest.mark.parametrize("rows", [1, 7, 29])
@pytest.mark.parametrize("name", HEADS)
def test_answers_in_parts_are_those_of_the_whole(name, rows, monkeypatch):
    model, X = fitted(name)
    for method in (m for m in METHODS if hasattr(model, m)):
        whole = getattr(model, method)(X)
        with monkeypatch.context() as patch:
            patch.setattr(prediction, "_ANSWERED_ROWS", rows)
            in_parts = getattr(model, method)(X)
        assert in_parts.dtype == whole.dtype
        if whole.dtype.kind == "f":
            np.testing.assert_allclose(in_parts, whole, rtol=1e-12)
        else:
            np.testing.assert_array_equal(in_parts, whole)


@unconverged
def test_answers_of_sparse_rows_and_labels_come_in_parts_too(monkeypatch):
    X = sparse.random(20, 5, 0.5, "csr", random_state=0)
    Y = (X[:, :2].toarray() > 0).astype(int)
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    whole = model.predict(X)
    monkeypatch.setattr(prediction, "_ANSWERED_ROWS", 6)
    np.testing.assert_array_equal(model.predict(X), whole)


@unconverged
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_copy_of_the_process_takes_turns_of_its_own():
    X = np.zeros((prediction._ANSWERED_ROWS + 1, 2))
    model = MLPRegressor((2,), max_iter=1, random_state=0).fit(X[:5], np.arange(5.0))
    with ExitStack() as held, warnings.catch_warnings():
        for _ in range(prediction._TURNS._free._initial_value):
            held.enter_context(prediction._TURNS)
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of other threads of the test's process
        child = os.fork()
        if child == 0:
            os._exit(int(model.predict(X).shape != (len(X),)))
        assert os.waitpid(child, 0)[1] == 0
    assert model.predict(X).shape == (len(X),)
