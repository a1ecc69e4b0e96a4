"""Whatever holds networks is converted whole by skl2onnx, once `skmlp.onnx` is imported."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmlp import MLPClassifier, MLPRegressor
from skmlp.heads import Quantile

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
pd = pytest.importorskip("pandas")

import skmlp.onnx  # noqa: E402, F401, what is tested

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*no better than a constant:UserWarning"),
    # skl2onnx and its dependencies, of scikit-learn's and NumPy's newer releases
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
    pytest.mark.filterwarnings("ignore::FutureWarning:skl2onnx"),
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
]

PRECISIONS = [np.float32, np.float64]
TOLERANCES = {np.float32: 1e-5, np.float64: 1e-9}


def network(**parameters):
    return MLPClassifier((5,), max_iter=30, random_state=0, **parameters)


def regressor(**parameters):
    return MLPRegressor((5,), max_iter=30, random_state=0, **parameters)


def data(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4)).astype(dtype)
    return X, np.digitize(X[:, 0] + X[:, 1], [-0.6, 0.6])


def converted(model, X, options=None, **settings):
    """Convert a model; its input X is a frame's columns, or one array."""
    exported = skl2onnx.to_onnx(model, X[:1], options=options, **settings)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    if hasattr(X, "columns"):
        return session.run(None, {name: X[[name]].to_numpy() for name in X})
    return session.run(None, {"X": X})


CLASSIFIERS = {
    "alone": network,
    "pipeline": lambda: make_pipeline(StandardScaler(), network()),
    "calibrated": lambda: CalibratedClassifierCV(network(), cv=2),
    "calibrated pipeline": lambda: CalibratedClassifierCV(
        make_pipeline(StandardScaler(), network()), cv=2
    ),
    "calibrated scores": lambda: CalibratedClassifierCV(network(head="hinge"), cv=2),
    "voting": lambda: VotingClassifier(
        [("network", network()), ("linear", LogisticRegression())],
        voting="soft",
        flatten_transform=False,
    ),
    "stacking": lambda: StackingClassifier(
        [("network", network()), ("linear", LogisticRegression())], cv=2
    ),
    "bagging": lambda: BaggingClassifier(network(), n_estimators=2, random_state=0),
    "search": lambda: GridSearchCV(network(), {"alpha": [0.1, 1.0]}, cv=2),
    "searched pipeline": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), network()), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2
    ),
}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("labels", ["strings", "two"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_are_converted_whole(name, labels, dtype):
    X, codes = data(dtype)
    y = np.array(["a", "b", "c"])[codes] if labels == "strings" else (codes > 0) + 3
    model = CLASSIFIERS[name]().fit(X, y)
    label, probabilities = converted(model, X, {"zipmap": False})
    np.testing.assert_array_equal(label, model.predict(X))
    tolerance = TOLERANCES[dtype]
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=tolerance)


REGRESSORS = {
    "alone": regressor,
    "pipeline": lambda: make_pipeline(StandardScaler(), regressor(head="gaussian")),
    "quantiles": lambda: make_pipeline(StandardScaler(), regressor(head=Quantile([0.1, 0.9]))),
    "voting": lambda: VotingRegressor([("network", regressor()), ("linear", Ridge())]),
    "search": lambda: GridSearchCV(regressor(), {"alpha": [0.1, 1.0]}, cv=2),
}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_are_converted_whole(name, dtype):
    X, _ = data(dtype)
    model = REGRESSORS[name]().fit(X, X[:, 0] * 3)
    (variable,) = converted(model, X)
    want = model.predict(X)
    want = want[:, None] if want.ndim == 1 else want
    np.testing.assert_allclose(variable, want, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize("make", [regressor, lambda: MultiOutputRegressor(regressor())])
def test_several_outputs(make):
    X, _ = data(np.float64)
    model = make().fit(X, X[:, :2])
    np.testing.assert_allclose(converted(model, X)[0], model.predict(X), rtol=1e-9, atol=1e-12)


def test_labels_that_exclude_nothing():
    X, _ = data(np.float64)
    model = make_pipeline(StandardScaler(), network()).fit(X, (X[:, :3] > 0).astype(int))
    label, probabilities = converted(model, X, {"zipmap": False})
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_columns_of_a_frame(is_sparse):
    X, codes = data(np.float32)
    frame = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "color": np.array(["r", "g", "b"])[codes]})
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["u", "v"]),
            ("words", OneHotEncoder(sparse_output=is_sparse), ["color"]),
        ],
        sparse_threshold=1.0 if is_sparse else 0.0,
    )
    model = make_pipeline(columns, network()).fit(frame, codes)
    label, probabilities = converted(model, frame, {"zipmap": False})
    np.testing.assert_array_equal(label, model.predict(frame))
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), atol=1e-5)


def test_columns_of_a_frame_without_a_transformer():
    X, codes = data(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = network().fit(frame, codes)
    probabilities = converted(model, frame, {"zipmap": False})[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), atol=1e-5)


def test_whole_numbers_come_in():
    X, codes = data(np.float64)
    X = np.round(3 * X).astype(np.int64)
    model = network().fit(X, codes)
    probabilities = converted(model, X, {"zipmap": False})[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


def test_maps_of_probabilities_where_skl2onnx_makes_them():
    X, codes = data(np.float32)
    model = make_pipeline(StandardScaler(), network()).fit(X, np.array(["a", "b", "c"])[codes])
    maps = converted(model, X[:2])[1]
    np.testing.assert_allclose([list(m.values()) for m in maps], model.predict_proba(X[:2]), 1e-5)
    assert list(maps[0]) == ["a", "b", "c"]


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_operator_sets(opset):
    X, codes = data(np.float64)
    model = make_pipeline(StandardScaler(), network(head="ordinal")).fit(X, codes)
    probabilities = converted(model, X, {"zipmap": False}, target_opset=opset)[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=1e-9)
