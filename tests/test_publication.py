"""A fit is published at once: until then, and after any failure, all is as before."""

import threading
import warnings
from copy import copy
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
has_callbacks = pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks since 1.9"
)

X = np.random.default_rng(0).normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int)


def before_and_after(kind):
    """Fitted answers, and a refit that changes classes, inputs and head."""
    if kind is MLPClassifier:
        model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
        return model, (X[:, :2], 10 * (1 + y) + 10 * (X[:, 1] > 1))
    model = MLPRegressor((4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    return model.set_params(head="gaussian"), (X[:, :2], np.c_[X, X])


@has_callbacks
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_refit_answers_as_before_from_a_callback(kind):
    model, refit = before_and_after(kind)
    expected, attributes = model.predict(X), dict(vars(model))

    class Asking(Callback):
        def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
            self.ask(estimator)

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch":
                self.ask(estimator)

        def ask(self, estimator):
            np.testing.assert_array_equal(estimator.predict(X), expected)
            fitted = {name: x for name, x in attributes.items() if name.endswith("_")}
            assert all(vars(estimator)[name] is x for name, x in fitted.items())
            asked.append(estimator)

    asked = []
    model.set_callbacks(Asking()).fit(*refit)
    assert len(asked) == 1 + 2 * model.n_iter_
    assert model.n_features_in_ == 2


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_another_thread_sees_the_old_fit_or_the_new_one(kind):
    model, refit = before_and_after(kind)
    other = before_and_after(kind)[0].fit(*refit)
    wide = {3: model.predict(X), 2: other.predict(X[:, :2])}
    problems, is_over = [], threading.Event()

    def serve():
        while not is_over.is_set():
            for n, expected in wide.items():
                try:
                    answers = model.predict(X[:, :n])
                except ValueError as error:  # it has the other number of inputs now
                    if "features" not in str(error):
                        problems.append(error)
                    continue
                if not np.array_equal(answers, expected):
                    problems.append(answers)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    again = before_and_after(kind)[0].get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for i in range(40):
            if i % 2:
                params = again | ({} if kind is MLPClassifier else {"head": "auto"})
                model.set_params(**params).fit(X, y if kind is MLPClassifier else X[:, 0])
            else:
                model.set_params(**again).fit(*refit)
    is_over.set()
    for thread in threads:
        thread.join()
    assert problems == []


REFUSED = {
    "classes": ({}, {"y": np.linspace(0, 1, 60)}),
    "weights": ({}, {"y": y + 5, "sample_weight": np.zeros(60)}),
    "max_iter": ({"max_iter": 0}, {"y": y + 5}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_refused_refit_changes_nothing(fault):
    parameters, given = REFUSED[fault]
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    before = dict(vars(model))
    model.set_params(**parameters)
    with pytest.raises(ValueError, match=r"class|max_iter|weight"):
        model.fit(X[:, :2], **given)
    assert vars(model) | {"max_iter": 2} == before
    assert set(model.predict(X)) <= {0, 1}


def test_names_of_inputs_go_with_the_fit_that_had_them():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abc"))
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(frame, y)
    assert list(model.feature_names_in_) == list("abc")
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


# -------------------- other people's settings


@has_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_scorers_and_initializers_run_with_the_users_numpy_settings(solver):
    seen = []

    def look():
        seen.append((np.geterr(), np.getbufsize()))

    class Looking(Callback):
        def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
            look()

        def on_fit_task_end(self, estimator, context):  # noqa: ARG002
            look()

    def scorer(estimator, X, y):  # noqa: ARG001
        look()
        return estimator.predict(X).mean()

    def weight_init(rng, inputs, outputs):
        look()
        return rng.normal(size=(inputs, outputs))

    model = MLPRegressor(
        (4,), solver=solver, max_iter=2, scoring=scorer, weight_init=weight_init, random_state=0
    ).set_callbacks(Looking())
    with np.errstate(divide="raise", over="warn", under="call", invalid="print"):
        np.seterrcall(lambda *_: None)
        expected = np.geterr()
        model.fit(X, X[:, 0])
    assert len(seen) > 6
    assert all(one == (expected, np.getbufsize()) for one in seen)


# -------------------- streams


def test_a_history_that_is_followed_stays_what_it_was():
    model = MLPRegressor((4,), random_state=0)
    curves = []
    for _ in range(3):
        model.partial_fit(X, X[:, 0])
        curves.append((model.loss_curve_, model.history_))
    assert [len(curve) for curve, _ in curves] == [1, 2, 3]
    assert curves[2][0][:2] == curves[1][0]
    assert curves[2][1]["loss"] == curves[2][0]


def test_a_stream_traces_a_users_function_once():
    calls = []

    def activation(z):
        calls.append(z)
        return np.tanh(z)

    model = MLPRegressor((4,), activation, random_state=0)
    model.partial_fit(X, X[:, 0])
    traced = len(calls)
    for n in (60, 20, 33):
        model.partial_fit(X[:n], X[:n, 0])
    assert len(calls) == traced
    same = MLPRegressor((4,), "tanh", random_state=0)
    for n in (60, 60, 20, 33):
        same.partial_fit(X[:n], X[:n, 0])
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])


def test_two_copies_of_a_stream_share_nothing_that_matters():
    one = MLPRegressor((4,), random_state=0).partial_fit(X, X[:, 0])
    other = copy(one)
    one.partial_fit(X, X[:, 0])
    other.partial_fit(X[::-1], X[:, 1])
    again = MLPRegressor((4,), random_state=0).partial_fit(X, X[:, 0])
    again.partial_fit(X[::-1], X[:, 1])
    np.testing.assert_array_equal(other.coefs_[0], again.coefs_[0])
    assert other.loss_curve_ == again.loss_curve_ != one.loss_curve_
