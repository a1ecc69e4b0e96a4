"""Callbacks: scikit-learn's protocol, its own callbacks and ours, alone and within its tools."""

import os
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import Callback, EarlyStopping, GradientNorms, TimeLimit

try:
    import sklearn.callback
except ImportError:  # before scikit-learn 1.9
    has_callbacks = False
else:
    has_callbacks = True

KINDS = [MLPClassifier, MLPRegressor]
SOLVERS = ["adam", "sgd", "lbfgs"]
protocol = pytest.mark.skipif(not has_callbacks, reason="scikit-learn has callbacks since 1.9")
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(kind, n=80):
    if kind is MLPClassifier:
        X, y = make_classification(n, 5, n_informative=3, n_classes=3, random_state=0)
        return X, np.array(["a", "b", "c"])[y]
    X, y = make_regression(n, 5, noise=20.0, random_state=0)
    return X, y / 50


def quick(kind, *callbacks, **parameters):
    settings = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0, "batch_size": 30}
    model = kind(**(settings | {"learning_rate_init": 0.02, "n_iter_no_change": 1000} | parameters))
    return model.set_callbacks(*callbacks) if callbacks else model


def parameters_of(model):
    return [*model.coefs_, *model.intercepts_]


def same(a, b):
    return all(map(np.array_equal, parameters_of(a), parameters_of(b)))


class Log(Callback):
    """Writes down every hook that is called."""

    def __init__(self, stop_at=None):
        self.calls, self.models, self.stop_at = [], [], stop_at

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, type(estimator)))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        assert not hasattr(estimator, "coefs_") or estimator.warm_start
        self.calls.append(("begin", context.task_name, context.task_id))
        self.given = (X, y, metadata)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        assert fitted_estimator is not estimator
        self.calls.append(("end", context.task_name, context.task_id))
        self.models.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_at

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name, type(estimator)))


# -------------------- the protocol


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_is_a_task_and_every_epoch_one_below_it(solver, kind):
    X, y = data(kind)
    log, weights = Log(), np.ones(len(y))
    quick(kind, log, solver=solver).fit(X, y, weights)
    epochs = [(hook, "epoch", i) for i in range(6) for hook in ("begin", "end")]
    middle = [("begin", "fit", 0), *epochs, ("end", "fit", 0)]
    assert log.calls == [("setup", "fit", kind), *middle, ("teardown", "fit", kind)]
    assert log.given[0] is X
    assert log.given[1] is y
    assert log.given[2]["sample_weight"] is weights


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("extra", [{}, {"averaging": 0.9}, {"initial_output": "data"}])
def test_the_fitted_estimator_of_an_epoch_is_a_fit_that_ended_there(extra, solver, kind):
    X, y = data(kind)
    log = Log()
    model = quick(kind, log, solver=solver, **extra).fit(X, y)
    for epoch, seen in enumerate(log.models[:-1], 1):
        ended = quick(kind, solver=solver, **(extra | {"max_iter": epoch})).fit(X, y)
        assert same(seen, ended)
        np.testing.assert_array_equal(seen.predict(X), ended.predict(X))
        for name in (
            "n_iter_",
            "t_",
            "loss_",
            "loss_curve_",
            "history_",
            "best_iter_",
            "best_loss_",
        ):
            assert getattr(seen, name) == getattr(ended, name)
    assert same(log.models[-1], model)
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(model))


@protocol
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_training_stops_where_a_callback_asks_for_it(solver, kind):
    X, y = data(kind)
    model = quick(kind, Log(stop_at=3), solver=solver).fit(X, y)  # and that is no warning
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning):
        ended = quick(kind, solver=solver, max_iter=3).fit(X, y)
    assert same(model, ended)


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_watching_changes_no_number_and_no_callback_makes_no_context(kind):
    X, y = data(kind)
    plain = quick(kind).fit(X, y)
    watched = quick(kind, Log(), GradientNorms(), TimeLimit(1e9)).fit(X, y)
    assert same(plain, watched)
    assert plain.history_ == watched.history_
    asked = []

    class Asked(kind):
        def _init_callback_context(self, *arguments, **options):
            asked.append(arguments)
            return super()._init_callback_context(*arguments, **options)

    Asked(max_iter=2).fit(X, y)
    assert not asked
    Asked(max_iter=2).set_callbacks(Log()).fit(X, y)
    assert asked


@protocol
@unconverged
@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"])
@pytest.mark.parametrize("history", ["unfitted", "fitted"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_callback_that_raises_leaves_the_estimator_whole(error, history, hook):
    X, y = data(MLPRegressor)
    model = quick(MLPRegressor, warm_start=True)
    if history == "fitted":
        model.fit(X, y)
    before = dict(vars(model))

    class Broken(Callback):
        pass

    def fail(_self, _estimator, **_rest):
        raise error("broken on purpose")

    setattr(Broken, hook, lambda self, estimator, context: fail(self, estimator, context=context))
    broken = Broken()
    model.set_callbacks(broken)
    caught = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            model.fit(X, y)
        except BaseException as e:
            caught = e
    after = {name: value for name, value in vars(model).items() if name != "_skl_callbacks"}
    if hook == "teardown":  # all is done when it is called
        assert type(caught) is error
        assert model.n_iter_ == 6
    elif error is KeyboardInterrupt and hook == "on_fit_task_end":
        assert caught is None or after == before  # the first epoch was complete
        assert caught is not None or model.n_iter_ == 1
    else:
        assert type(caught) is error
        assert after == before
    model.set_callbacks().fit(X, y)
    assert model.n_iter_ == 6


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_that_raises_leaves_the_estimator_as_it_was(kind):
    def broken(estimator, X, y):
        if len(estimator.predict(X)) == len(y) and next(count) == 3:
            raise ZeroDivisionError("broken on purpose")
        return 0.0

    X, y = data(kind)
    model = quick(kind, warm_start=True).fit(X, y)
    before = dict(vars(model))
    count = iter(range(10))
    with pytest.raises(ValueError, match="raised ZeroDivisionError: broken on purpose"):
        model.set_params(scoring=broken).fit(X, y)
    assert {**vars(model), "scoring": None} == before


# -------------------- scikit-learn's callbacks


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learns_monitor_scores_every_epoch(kind):
    ScoringMonitor = sklearn.callback.ScoringMonitor

    X, y = data(kind)
    scoring = "accuracy" if kind is MLPClassifier else "r2"
    monitor = ScoringMonitor(scoring=scoring)
    model = quick(kind, monitor, scoring=scoring).fit(X, y, np.ones(len(y)))
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row[scoring] for row in rows] == pytest.approx(model.history_["score"])


@protocol
@unconverged
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_of_pipelines_hands_the_monitor_through(n_jobs):
    ScoringMonitor = sklearn.callback.ScoringMonitor

    X, y = data(MLPClassifier)
    monitor = ScoringMonitor(scoring="accuracy")
    network = quick(MLPClassifier, monitor, max_iter=3)
    pipeline = make_pipeline(StandardScaler(), network)
    grid = {"mlpclassifier__alpha": [0.01, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, y)
    rows = [
        row
        for log in monitor.get_logs(select="all")
        for row in log.data
        if row["task_name"] == "epoch"
    ]
    assert len(rows) == 3 * (2 * 2 + 1)
    assert search.best_estimator_[-1].n_iter_ == 3


@protocol
@unconverged
@pytest.mark.parametrize("where", ["network", "pipeline", "search"])
def test_scikit_learns_progress_bar_shows_the_epochs(where, capsys):
    pytest.importorskip("rich")
    ProgressBar = sklearn.callback.ProgressBar

    X, y = data(MLPClassifier)
    bar = ProgressBar(max_propagation_depth=None)
    network = quick(MLPClassifier, max_iter=3)
    pipeline = make_pipeline(StandardScaler(), network)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2)
    {"network": network, "pipeline": pipeline, "search": search}[where].set_callbacks(bar).fit(X, y)
    shown = capsys.readouterr().out
    assert "MLPClassifier - fit" in shown
    assert "100%" in shown


@protocol
def test_a_clone_keeps_its_callbacks():
    log = Log()
    assert clone(quick(MLPRegressor, log))._skl_callbacks == [log]


def python(script):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_without_scikit_learns_callbacks_a_sentence_names_the_version():
    """As on scikit-learn 1.6: the module is not there, and all else works."""
    shown = python(
        """
import sys
import warnings
import sklearn.model_selection, sklearn.utils.metaestimators  # which import it themselves
sys.modules["sklearn.callback"] = None
warnings.simplefilter("ignore")
from skmlp import MLPRegressor
from skmlp.callbacks import TimeLimit
print(MLPRegressor(max_iter=2).fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_)
try:
    MLPRegressor().set_callbacks(TimeLimit(1))
except ImportError as error:
    print(error)
"""
    )
    assert shown.startswith("2\n")
    assert re.search(
        r"^Callbacks need scikit-learn 1\.9 or later, and .* is installed", shown, re.M
    )


# -------------------- our own


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_waits_and_keeps_the_best(solver, kind):
    X, y = data(kind)
    settings = {
        "solver": solver,
        "max_iter": 300,
        "hidden_layer_sizes": (30,),
        "alpha": 0,
        "tol": 0,
    }
    given = {"X_val": X[50:], "y_val": y[50:]}
    model = quick(kind, EarlyStopping(patience=4), **settings).fit(X[:50], y[:50], **given)
    losses = model.history_["validation_loss"]
    best = int(np.argmin(losses))
    assert model.best_iter_ == best + 1
    assert model.n_iter_ == len(losses) == best + 1 + 5 or solver == "lbfgs"
    ended = quick(kind, **(settings | {"max_iter": best + 1})).fit(X[:50], y[:50], **given)
    assert same(model, ended)
    last = quick(kind, EarlyStopping(patience=4, restore_best=False), **settings)
    assert not same(last.fit(X[:50], y[:50], **given), model)


@protocol
@unconverged
def test_early_stopping_by_any_scorer_on_any_data():
    X, y = data(MLPClassifier)
    stopping = EarlyStopping("neg_log_loss", patience=2, tol=1.0, data=(X[50:], y[50:]))
    model = quick(MLPClassifier, stopping, max_iter=50).fit(X[:50], y[:50])
    assert model.n_iter_ == 4
    assert model.best_iter_ == 1
    scorer = get_scorer("neg_log_loss")
    ended = quick(MLPClassifier, max_iter=1).fit(X[:50], y[:50])
    assert scorer(model, X[50:], y[50:]) == scorer(ended, X[50:], y[50:])


@protocol
def test_early_stopping_says_what_it_lacks():
    X, y = data(MLPRegressor)
    with pytest.raises(ValueError, match="goes by 'validation_loss', which this fit does not have"):
        quick(MLPRegressor, EarlyStopping()).fit(X, y)


@protocol
def test_a_time_limit_ends_a_fit_after_a_whole_epoch():
    X, y = data(MLPRegressor)
    model = quick(MLPRegressor, TimeLimit(1e-9), max_iter=10**9).fit(X, y)
    assert model.n_iter_ == 1
    model = quick(MLPRegressor, TimeLimit(0.05), max_iter=10**9, tol=0).fit(X, y)
    assert 1 <= model.n_iter_ < 10**9


BAD_CALLBACKS = [
    (EarlyStopping, {"patience": 0}, "patience"),
    (EarlyStopping, {"tol": -1}, "tol"),
    (EarlyStopping, {"metric": "accuracies"}, "accuracies"),
    (TimeLimit, {"seconds": 0}, "seconds"),
    (TimeLimit, {"seconds": "1"}, "seconds"),
    (GradientNorms, {"vanishing": 0}, "vanishing"),
    (GradientNorms, {"exploding": np.nan}, "exploding"),
]


@pytest.mark.parametrize(("kind", "parameters", "name"), BAD_CALLBACKS, ids=str)
def test_callbacks_refuse_what_they_cannot_use(kind, parameters, name):
    with pytest.raises(ValueError, match=name) as caught:
        kind(**parameters)
    assert "\n" not in str(caught.value)


@protocol
@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_gradient_norms_are_those_of_the_mean_loss(solver, kind):
    X, y = data(kind)
    norms = GradientNorms()
    weights = np.random.RandomState(0).randint(0, 3, len(y)).astype(float)
    model = quick(kind, norms, solver=solver, hidden_layer_sizes=(8, 4)).fit(X, y, weights)
    frame = pd.DataFrame(norms.norms_)
    assert list(frame) == ["hidden layer 1", "hidden layer 2", "output layer"]
    assert len(frame) == model.n_iter_
    # One step of plain gradient descent, over all rows at once, is the gradient.
    step = {
        "solver": "sgd",
        "momentum": 0,
        "max_iter": 1,
        "batch_size": int(np.sum(weights > 0)),
        "alpha": 0,
    }
    step |= {"learning_rate_init": 1.0, "warm_start": True}
    before = [part.copy() for part in parameters_of(model)]
    model.set_callbacks().set_params(**step).fit(X, y, weights)
    moved = [a - b for a, b in zip(before, parameters_of(model), strict=True)]
    found = [np.hypot(np.linalg.norm(moved[i]), np.linalg.norm(moved[i + 3])) for i in range(3)]
    np.testing.assert_allclose(frame.iloc[-1], found, rtol=1e-6)


@protocol
@unconverged
def test_a_vanishing_and_an_exploding_gradient_are_named_once():
    X, y = data(MLPRegressor)
    with pytest.warns(RuntimeWarning) as caught:
        quick(
            MLPRegressor, GradientNorms(), hidden_layer_sizes=(5,) * 12, activation="logistic"
        ).fit(X, y)
    messages = [str(w.message) for w in caught if w.category is RuntimeWarning]
    assert any("hidden layer 1 vanishes" in message for message in messages)
    assert all("weight_init=" in message for message in messages)
    assert len(messages) == len(set(messages)) < 12
    with pytest.warns(RuntimeWarning) as caught:
        quick(MLPRegressor, GradientNorms(), max_iter=2).fit(X, 1e7 * y)
    messages = [str(w.message) for w in caught]
    assert any(re.search("output layer explodes: .*scale the inputs", m) for m in messages)
    quick(MLPRegressor, GradientNorms()).fit(X, y)  # a warning is an error


@protocol
@unconverged
def test_callbacks_go_through_processes():
    for callback in (EarlyStopping(), TimeLimit(9), GradientNorms(), Log()):
        assert type(pickle.loads(pickle.dumps(callback))) is type(callback)
    X, y = data(MLPClassifier)
    network = quick(MLPClassifier, EarlyStopping("loss", patience=1), max_iter=100)
    search = GridSearchCV(network, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_estimator_.n_iter_ <= 100


# -------------------- lines and warnings for whoever reads


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_one_line_an_epoch(solver, kind, capsys):
    X, y = data(kind)
    quick(kind, solver=solver).fit(X, y)
    assert capsys.readouterr().out == ""
    model = quick(kind, solver=solver, verbose=1, early_stopping=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    rate = "" if solver == "lbfgs" else r", rate = 0\.02"
    for i, line in enumerate(lines):
        number = r"-?[\d.]+(?:e[-+]\d+)?"
        form = (
            rf"Iteration {i + 1}, loss = ({number}), validation score = ({number}), "
            rf"best = {number} \(iteration \d+\){rate}, \d+ rows/s, at most \d+ s left"
        )
        found = re.fullmatch(form, line)
        assert found, line
        assert float(found[1]) == pytest.approx(model.loss_curve_[i], abs=1e-8)
        assert float(found[2]) == pytest.approx(model.validation_scores_[i], abs=1e-6)


def test_verbose_says_why_it_stops(capsys):
    X, y = data(MLPClassifier)
    quick(MLPClassifier, verbose=True, max_iter=500, n_iter_no_change=2, tol=0.1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("Training loss did not improve more than tol=0.100000 for 2 ")
    assert lines[-1].endswith("Stopping.")


def rising(t):
    return 0.1 + 10 * t * t


CAUSES = [
    ({"max_iter": 2}, "2 epochs are too few to tell more: raise max_iter"),
    (
        {"max_iter": 20},
        "the loss still improves: raise max_iter, or learning_rate_init, with early_stopping=True",
    ),
    (
        {"max_iter": 40, "learning_rate": rising, "learning_rate_init": 0.2},
        "the loss goes up and down: lower learning_rate_init",
    ),
    (
        {"max_iter": 8, "early_stopping": True},
        "the validation score still improves: raise max_iter, or learning_rate_init\\.",
    ),
    ({"max_iter": 3, "solver": "lbfgs"}, "raise max_iter \\(now 3\\).*, with early_stopping=True"),
    ({"max_fun": 4, "max_iter": 100, "solver": "lbfgs"}, "raise max_fun \\(now 4\\)"),
]


@pytest.mark.parametrize(("parameters", "cause"), CAUSES, ids=[cause for _, cause in CAUSES])
def test_a_convergence_warning_says_which_cause_it_was(parameters, cause):
    X, y = data(MLPRegressor)
    with pytest.warns(ConvergenceWarning, match=cause):
        quick(MLPRegressor, **parameters).fit(X, y)


NO_HOOKS = {
    "nothing": lambda: None,
    "too much": lambda estimator, context, X, y: None,
    "by keyword alone": lambda *, estimator, context: None,
}


@protocol
@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"])
@pytest.mark.parametrize("takes", NO_HOOKS)
def test_a_hook_that_cannot_be_called_is_told_before_any_is(takes, hook):
    log = Log()
    wrong = type("Wrong", (Callback,), {hook: staticmethod(NO_HOOKS[takes])})()
    X, y = data(MLPRegressor)
    with pytest.raises(TypeError, match=rf"^{hook} of the callback Wrong must take \(estimator, c"):
        quick(MLPRegressor, log, wrong).fit(X, y)
    assert log.calls == []


@protocol
def test_what_a_callback_raises_is_its_own():
    class PrunedError(Exception):
        pass

    class Prunes(Callback):
        def on_fit_task_end(self, estimator, context):  # noqa: ARG002
            raise PrunedError("now")

    with pytest.raises(PrunedError, match="now"):
        quick(MLPRegressor, Prunes()).fit(*data(MLPRegressor))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_convergence_warning_goes_by_the_validation_score_where_there_is_one(solver):
    X, y = data(MLPRegressor)
    noise = np.random.RandomState(0).normal(size=len(y))
    model = quick(MLPRegressor, solver=solver, max_iter=40, tol=0)
    with pytest.warns(ConvergenceWarning, match="and so does the validation score: raise max_iter"):
        model.fit(X, y, X_val=X, y_val=y)
    with pytest.warns(ConvergenceWarning, match="set early_stopping=True, which stops") as caught:
        model.fit(X, noise, X_val=X, y_val=-noise)
    assert f"was best in epoch {model.best_iter_}:" in str(caught[0].message)
    assert "raise max_iter" not in str(caught[0].message)


@protocol
@unconverged
def test_a_column_of_targets_is_warned_of_once_however_often_a_callback_looks_at_it():
    X, y = data(MLPRegressor)
    model = quick(MLPRegressor, GradientNorms())
    with pytest.warns(UserWarning, match="column-vector") as caught:
        model.fit(X, y[:, None])
    assert len([w for w in caught if "column-vector" in str(w.message)]) == 1
