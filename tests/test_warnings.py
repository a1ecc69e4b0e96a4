"""Warnings point at the user's line, however deep the fit was called."""

import inspect
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPRegressor
from skmlp.callbacks import Callback, Checkpoint, GradientNorms

X = np.random.default_rng(0).normal(size=(40, 3))
y = X[:, 0]


class Interrupting(Callback):
    def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
        if context.task_name == "epoch" and context.task_id == 1:
            raise KeyboardInterrupt


def broken_checkpoint(path):
    return Checkpoint(path / "folder" / "fit.npz")


WARNED = {
    "not converged": ({"max_iter": 2}, None, ConvergenceWarning),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 1}, None, ConvergenceWarning),
    "clipped batches": ({"batch_size": 1000, "max_iter": 300, "tol": 1.0}, None, UserWarning),
    "gone back": (
        {"solver": "sgd", "learning_rate_init": 1e200, "max_iter": 300, "tol": 1e9},
        None,
        RuntimeWarning,
    ),
    "vanishing": (
        {"learning_rate": "cosine", "max_iter": 2},
        lambda: GradientNorms(vanishing=1e6),
        RuntimeWarning,
    ),
    "interrupted": ({"max_iter": 9}, Interrupting, UserWarning),
}
WAYS = {
    "alone": lambda model: model,
    "in a pipeline": lambda model: make_pipeline(StandardScaler(), model),
    "in a search": lambda model: GridSearchCV(model, {"alpha": [0.1]}, cv=2, error_score="raise"),
}


def lines_of(found, category):
    return {(w.filename, w.lineno) for w in found if issubclass(w.category, category)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", WARNED)
def test_a_warning_points_at_the_call_of_fit(kind, way):
    parameters, callback, category = WARNED[kind]
    model = MLPRegressor((4,), random_state=0, **parameters)
    if callback is not None:
        if find_spec("sklearn.callback") is None:
            pytest.skip("scikit-learn has callbacks since 1.9")
        model.set_callbacks(callback())
    model = WAYS[way](model)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            line = inspect.currentframe().f_lineno + 1
            model.fit(X, y)
        except ValueError as error:
            assert "non-finite" in str(error)  # noqa: PT017, some fits are warned of and then fail
    ours = [w for w in found if "skmlp" not in w.filename]
    assert lines_of(ours, category) == {(__file__, line)}
    assert len(ours) == len(found)


def test_a_checkpoint_that_cannot_be_written_points_there_too(tmp_path):
    if find_spec("sklearn.callback") is None:
        pytest.skip("scikit-learn has callbacks since 1.9")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "fit.npz").mkdir()  # a folder is in the way
    model = MLPRegressor((4,), learning_rate="cosine", max_iter=2, random_state=0)
    model.set_callbacks(broken_checkpoint(tmp_path))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1
        model.fit(X, y)
    assert lines_of(found, RuntimeWarning) == {(__file__, line)}
