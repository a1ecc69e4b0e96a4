"""Predictions: a part at a time, beside other people's code, and what they leave behind."""

import copy
import gc
import os
import pickle
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skmlp import MLPClassifier, MLPRegressor
from skmlp.estimators import prediction
from skmlp.heads import HEADS, Linear

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
    head = kind(classes=names) if kind.is_ordered else name
    return MLPClassifier((4,), head=head, max_iter=2, random_state=0).fit(X, y), X


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

# -------------------- other people's code in the middle of a prediction


class Lazy:
    """Rows that another thread computes when they are asked for, as Dask's are."""

    ndim, dtype = 2, np.dtype(float)

    def __init__(self, compute, shape):
        self.compute, self.shape = compute, shape

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        return self.compute()


@unconverged
def test_predictions_of_rows_that_predictions_compute_do_not_wait_for_each_other():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(prediction._ANSWERED_ROWS + 1, 3))
    below, above = (
        MLPRegressor((4,), max_iter=1, random_state=0).fit(X[:50, :k], X[:50, 0]) for k in (3, 1)
    )
    expected = above.predict(below.predict(X)[:, None])
    threads = 2 * (os.cpu_count() or 1)
    all_are_there = threading.Barrier(threads)

    with ThreadPoolExecutor(threads) as inner, ThreadPoolExecutor(threads) as outer:

        def rows():
            all_are_there.wait(30)
            return inner.submit(lambda: below.predict(X)[:, None]).result(30)

        lazy = [Lazy(rows, (len(X), 1)) for _ in range(threads)]
        for answers in [outer.submit(above.predict, X) for X in lazy]:
            np.testing.assert_array_equal(answers.result(60), expected)


@unconverged
def test_a_head_may_ask_another_model_of_many_rows():
    X = np.random.default_rng(0).normal(size=(2 * prediction._ANSWERED_ROWS + 1, 2))
    other = MLPRegressor((3,), max_iter=1, random_state=0).fit(X[:50], X[:50, 0])

    @dataclass(frozen=True)
    class Asking(Linear):
        def predict(self, raw):
            return raw + other.predict(np.hstack([raw, raw]))[:, None]

    model = MLPRegressor((3,), head=Asking(), max_iter=1, random_state=1).fit(X[:50], X[:50, 0])
    answers = model.predict(X)
    np.testing.assert_allclose(answers[:3], model.predict(X[:3]), rtol=1e-12)


# -------------------- what stays behind


@unconverged
@pytest.mark.parametrize("rows", [1, 300, 20_000])
def test_an_idle_estimator_keeps_little_beside_its_parameters(rows):
    X = np.random.default_rng(0).normal(size=(rows, 20))
    models = [
        MLPClassifier((100,), max_iter=1, random_state=i).fit(X[:50], np.arange(50)[: len(X)] % 2)
        for i in range(12)
    ]
    models[0].predict_proba(X)  # what is made once, for all of them
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for model in models[1:]:
        model.predict(X)
        model.hidden_layer_output(X)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held / len(models[1:]) < 64_000


@unconverged
@pytest.mark.parametrize("batch_size", ["auto", 5000])
def test_a_stream_that_answers_keeps_little_beside_its_state(batch_size):
    X = np.random.default_rng(0).normal(size=(6000, 20))
    models = [MLPRegressor(batch_size=batch_size, random_state=i) for i in range(4)]
    models[0].partial_fit(X, X[:, 0]).predict(X)  # what is made once, for all of them
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for model in models[1:]:
        model.partial_fit(X, X[:, 0]).predict(X)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    of_state = 8 * 8 * sum(part.size for part in [*model.coefs_, *model.intercepts_])
    assert held / len(models[1:]) < 64_000 + of_state  # theta, its gradient, marks and moments
    again = MLPRegressor(batch_size=batch_size, random_state=3)
    for _ in range(2):  # and goes on as if it had not answered
        again.partial_fit(X, X[:, 0])
    model.partial_fit(X, X[:, 0])
    np.testing.assert_array_equal(model.coefs_[0], again.coefs_[0])


@unconverged
def test_a_pickle_and_a_copy_have_no_buffers():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MLPRegressor((5,), max_iter=1, random_state=0).fit(X, X[:, 0])
    before = len(pickle.dumps(model))
    expected = model.predict(X[:1])
    assert len(pickle.dumps(model)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X[:1]), expected)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X[:1]), expected)


# -------------------- edits


@unconverged
def test_edits_of_a_list_that_was_put_there_are_seen():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MLPRegressor((5,), max_iter=1, random_state=0).fit(X, X[:, 0])
    expected = model.predict(X)
    model.coefs_[1] = model.coefs_[1].tolist()
    np.testing.assert_array_equal(model.predict(X), expected)
    model.coefs_[1][0][0] += 1e3
    assert not np.array_equal(model.predict(X), expected)


@unconverged
@pytest.mark.parametrize("dtype", [np.float64, np.float32, int])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("attribute", ["coefs_", "intercepts_"])
def test_edits_in_place_are_seen_whatever_array_was_put_there(attribute, order, dtype):
    X = np.random.default_rng(0).normal(size=(9, 3))
    model = MLPRegressor((4,), "tanh", max_iter=1, random_state=0).fit(X, X[:, 0])
    array = np.array(10 * getattr(model, attribute)[0], dtype=dtype, order=order)
    getattr(model, attribute)[0] = array
    for _ in range(2):
        model.predict(X[:1])
        array += np.ones((), dtype)
        h = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
        expected = h @ model.coefs_[1][:, 0] + model.intercepts_[1][0]
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
        np.testing.assert_allclose(model.hidden_layer_output(X), h, rtol=1e-5)


# -------------------- subclasses


@unconverged
@pytest.mark.parametrize(
    "members",
    [
        {"__hash__": None},
        {"__eq__": lambda self, other: True},
        {"__eq__": lambda self, other: 1 / 0},
    ],
    ids=["unhashable", "all equal", "not comparable"],
)
def test_a_subclass_predicts_however_it_is_compared(members):
    X = np.random.default_rng(0).normal(size=(9, 3))
    kind = type("Own", (MLPRegressor,), members)
    model = kind((4,), max_iter=1, random_state=0).fit(X, X[:, 0])
    expected = MLPRegressor((4,), max_iter=1, random_state=0).fit(X, X[:, 0]).predict(X)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(model.predict(X), expected)


# -------------------- inputs that are too large


ASKED = {
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "predict_log_proba": lambda model, X: model.predict_log_proba(X),
    "decision_function": lambda model, X: model.decision_function(X),
    "predict_quantiles": lambda model, X: model.predict_quantiles(
        X, getattr(model.head_, "levels", (0.1, 0.5, 0.9))
    ),
    "predict_distribution": lambda model, X: model.predict(X, return_std=True)[0],
}
HUGE = [1e3, 1e8, 1e30, 1e150, 1e160, 1e300, 1e308]


def with_one_huge(X, row, size):
    X = X.copy()
    X[row] /= np.max(np.abs(X[row]))
    X[row] *= size
    return X


@unconverged
@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize("name", HEADS)
def test_an_answer_is_finite_or_refused_in_a_sentence_that_names_the_row(name, size):
    model, X = fitted(name)
    huge, column = with_one_huge(X, 7, size), int(np.argmax(np.abs(X[7])))
    for method, ask in ASKED.items():
        is_count = name in ("poisson", "negative_binomial")  # SciPy's quantiles of 1e150 never end
        if not hasattr(model, method) or (is_count and method == "predict_quantiles"):
            continue
        try:
            found = ask(model, huge)
        except ValueError as error:
            told = f"no finite answer in row 7 of X, whose largest number is {size:.3g} in column"
            assert f"{told} {column}: " in str(error)  # noqa: PT017
            assert size > 1e8 or method == "predict_quantiles"  # which a head may not have so far
        else:
            others = np.arange(len(X)) != 7
            np.testing.assert_array_equal(found[others], ask(model, X)[others])
            assert found.dtype.kind != "f" or np.isfinite(found).all()


@unconverged
@pytest.mark.parametrize("head", [name for name in HEADS if "numbers" not in HEADS[name].targets])
def test_a_class_is_that_of_the_direction_however_far_or_refused(head):
    """A linear network's class along a ray is settled long before 1e4."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    n = 3 if "multiclass" in HEADS[head].targets else 2
    y = np.argmax(X[:, :n], axis=1) if n == 3 else (X[:, 0] > 0).astype(int)
    model = MLPClassifier((), head=head, max_iter=50, random_state=0).fit(X, y)
    settled, refused = model.predict(1e4 * X), 0
    assert len(set(settled)) > 1
    for size in HUGE[1:]:
        for i in range(len(X)):
            try:
                assert model.predict(with_one_huge(X, i, size))[i] == settled[i]
            except ValueError:
                refused += size == 1e308
    assert refused <= len(X)


def test_without_the_check_a_row_that_overflows_is_the_first_class_in_silence(monkeypatch):
    X, y = np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array(["first", "second"])
    model = MLPClassifier((), head="softmax", solver="lbfgs", alpha=0, random_state=0).fit(X, y)
    model.coefs_[0][...] = [[-2, 2], [2, -2]]
    with pytest.raises(ValueError, match=r"row 1 of X, whose largest number is 1.7e\+308 in"):
        model.predict([[0.0, 1.0], [1.7e308, 1.7e308]])
    monkeypatch.setattr(prediction.Fitted, "_check_finite", lambda *arguments: None)
    assert list(model.predict([[0.0, 1.0], [1.7e308, 1.7e308]])) == ["first", "first"]


class Naive(type(HEADS["softmax"]())):
    """Probabilities that overflow where the raw outputs do not."""

    def predict(self, raw):
        return np.exp(raw) / np.sum(np.exp(raw), axis=1, keepdims=True)


@dataclass(frozen=True)
class Rooted(Linear):
    """A prediction that is not finite for some raw outputs."""

    def predict(self, raw):
        return np.sqrt(raw)


def test_a_head_of_ones_own_that_is_not_finite_is_named():
    X = np.linspace(-1, 1, 20)[:, None]
    classes = MLPClassifier((), head=Naive(), solver="lbfgs", random_state=0).fit(X, X[:, 0] > 0)
    with pytest.raises(
        ValueError, match=r"row 1 of X, and in 1 more, whose largest number is 1e\+05"
    ):
        classes.predict([[0.5], [1e5], [-1e5]])
    numbers = MLPRegressor((), head=Rooted(), solver="lbfgs", random_state=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"the head Rooted\(\), is not finite there"):
        numbers.predict(X)


@unconverged
def test_the_column_of_a_frame_is_named_and_sparse_rows_are_refused_too():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    model = MLPRegressor((4,), "identity", max_iter=2, random_state=0)
    frame = pd.DataFrame(X.copy(), columns=["rooms", "Lot Area", "age"])
    model.fit(frame, X[:, 0])
    frame.loc[3, "Lot Area"] = 1.7e308
    model.coefs_[0][...] = 9
    with pytest.raises(ValueError, match=r"row 3 of X, .* is 1.7e\+308 in column 'Lot Area'"):
        model.predict(frame)
    model = MLPRegressor((4,), "identity", max_iter=2, random_state=0).fit(X, X[:, 0])
    model.coefs_[0][...] = 9
    with pytest.raises(ValueError, match=r"row 3 of X, .* in column 1: check its unit"):
        model.predict(sparse.csr_array(frame.to_numpy()))
    model.coefs_[0][...] = 1e200
    model.coefs_[1][...] = 1e200
    with pytest.raises(ValueError, match=r"row 0 of X, and in 29 more.*parameters are as large as"):
        model.predict(X)


@unconverged
@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss", "accuracy"])
def test_answers_that_overflow_in_training_are_no_score(scoring):
    """Rows to validate on that are too large for the network: no epoch is the best by them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    model = MLPClassifier((9,), max_iter=3, random_state=0, scoring=scoring)
    model.fit(X, X[:, 0] > 0, X_val=np.full((4, 3), 1.7e308), y_val=[False, True, True, False])
    assert not np.isfinite(model.validation_scores_).any()
    assert np.isfinite(model.predict_proba(X)).all()
