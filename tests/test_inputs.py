"""Every kind of input gives what the same numbers give as a dense, C-ordered array."""

import re

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS, Linear, Logistic, Poisson, Softmax

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def integers(n=60, columns=5, seed=0):
    """Small integers, half of them zero, so that every kind of array holds them exactly."""
    rng = np.random.RandomState(seed)
    return np.where(rng.uniform(size=(n, columns)) < 0.5, 0.0, rng.randint(-4, 5, (n, columns)))


def three_classes(X):
    return np.digitize(X[:, 0] + X[:, 1], [-1.5, 1.5])


def two_numbers(X):
    return np.column_stack([X[:, 0] - X[:, 1], 0.5 * X[:, 2]])


def model(kind, **parameters):
    """A small classifier or regressor whose fits take a few milliseconds."""
    defaults = {"hidden_layer_sizes": (6, 4), "max_iter": 5, "batch_size": 16, "random_state": 0}
    return kind(**(defaults | parameters))


def outputs(estimator, X):
    """The raw material of all predictions: probabilities, or the predicted numbers."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def dense(Y):
    return Y.toarray() if sparse.issparse(Y) else np.asarray(Y)


SOLVERS = ["adam", "sgd", "lbfgs"]
KINDS = [(MLPClassifier, three_classes), (MLPRegressor, two_numbers)]


# -------------------- kinds of X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X, folder):
    joblib.dump(X, folder / "X.joblib")
    mapped = joblib.load(folder / "X.joblib", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    return mapped


ARRAYS = {
    "lists": lambda X: X.tolist(),
    "integers": lambda X: X.astype(np.int64),
    "small integers": lambda X: X.astype(np.int8),
    "objects": lambda X: X.astype(object),
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "read only": read_only,
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "matrix subclass": lambda X: X.view(type("Rows", (np.ndarray,), {})),
    "CSR matrix": sparse.csr_matrix,
    "CSR array": sparse.csr_array,
    "CSC matrix": sparse.csc_matrix,
    "CSC array": sparse.csc_array,
    "COO matrix": sparse.coo_matrix,
    "CSR of integers": lambda X: sparse.csr_array(X.astype(np.int32)),
    "CSR with unsorted indices": lambda X: unsorted(sparse.csr_array(X)),
    "CSR with stored zeros": lambda X: with_stored_zeros(sparse.csr_array(X)),
}


def unsorted(X):
    rows = [slice(start, stop) for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True)]
    for row in rows:
        X.indices[row] = X.indices[row][::-1].copy()
        X.data[row] = X.data[row][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_stored_zeros(X):
    X.data[::7] = 0
    return X


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("kind", "target"), KINDS)
@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array_is_the_same_numbers(name, kind, target, solver):
    X = integers()
    given = ARRAYS[name](X)
    plain = np.ascontiguousarray(dense(given), dtype=float)
    y = target(X)
    expected = model(kind, solver=solver).fit(plain, y)
    found = model(kind, solver=solver).fit(given, y)
    for left, right in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(outputs(found, given), outputs(expected, plain), rtol=1e-8)
    np.testing.assert_allclose(outputs(expected, given), outputs(expected, plain), rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_memory_mapped_data_are_fitted_and_left_alone(kind, target, solver, tmp_path):
    X = integers()
    y = target(X)
    mapped = memory_mapped(X, tmp_path)
    expected = model(kind, solver=solver).fit(X, y)
    found = model(kind, solver=solver).fit(mapped, y)
    np.testing.assert_array_equal(outputs(found, mapped), outputs(expected, X))
    np.testing.assert_array_equal(mapped, X)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize(("kind", "target"), KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_changes_neither_data_nor_weights(solver, kind, target, container, order):
    X = container(np.array(integers(), order=order))
    y = target(integers())
    weights = np.arange(len(y), dtype=float)
    before = dense(X).copy(), y.copy(), weights.copy()
    estimator = model(kind, solver=solver).fit(X, y, sample_weight=weights)
    outputs(estimator, X)
    for now, then in zip((dense(X), y, weights), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_partial_fit_takes_sparse_rows(kind, target, container):
    X = integers()
    y = target(X)
    classes = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    found, expected = model(kind), model(kind)
    for rows in (slice(0, 20), slice(20, 60)):
        found.partial_fit(container(X[rows]), y[rows], **classes)
        expected.partial_fit(X[rows], y[rows], **classes)
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), rtol=1e-9)


# -------------------- kinds of target

LABELS = {
    "strings": np.array(["low", "middle", "high"]),
    "objects": np.array(["low", "middle", "high"], dtype=object),
    "negative integers": np.array([-7, 0, 12]),
    "whole floats": np.array([0.0, 2.0, 4.0]),
    "unsigned": np.array([3, 200, 250], dtype=np.uint8),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", [*LABELS, "booleans"])
def test_labels_are_only_names(kind, n_classes, early_stopping):
    if kind == "booleans" and n_classes > 2:
        pytest.skip("there are two truth values")
    X = integers()
    codes = np.minimum(three_classes(X), n_classes - 1)
    names = np.array([False, True]) if kind == "booleans" else np.sort(LABELS[kind][:n_classes])
    labeled = model(MLPClassifier, early_stopping=early_stopping).fit(X, names[codes])
    coded = model(MLPClassifier, early_stopping=early_stopping).fit(X, codes)
    np.testing.assert_array_equal(labeled.classes_, names)
    np.testing.assert_array_equal(labeled.predict_proba(X), coded.predict_proba(X))
    np.testing.assert_array_equal(labeled.predict(X), names[coded.predict(X)])
    assert labeled.predict(X).dtype == labeled.classes_.dtype
    assert labeled.score(X, names[codes]) == coded.score(X, codes)


def test_two_classes_have_one_output_and_two_probabilities():
    X = integers()
    estimator = model(MLPClassifier).fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    assert (estimator.n_outputs_, estimator.out_activation_) == (1, "logistic")
    proba = estimator.predict_proba(X)
    assert proba.shape == (60, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(estimator.predict(X), np.array(["no", "yes"])[proba.argmax(1)])
    np.testing.assert_allclose(np.exp(estimator.predict_log_proba(X)), proba)


def test_several_classes_have_an_output_each():
    X = integers()
    estimator = model(MLPClassifier).fit(X, three_classes(X))
    assert (estimator.n_outputs_, estimator.out_activation_) == (3, "softmax")
    proba = estimator.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(estimator.predict(X), proba.argmax(axis=1))


def test_more_classes_than_validation_rows_can_be_validated():
    X = integers()
    y = np.arange(60) % 20
    estimator = model(MLPClassifier, early_stopping=True, validation_fraction=0.1).fit(X, y)
    assert len(estimator.validation_scores_) == estimator.n_iter_
    assert estimator.predict_proba(X).shape == (60, 20)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
def test_a_sparse_indicator_is_the_dense_one(container, solver, early_stopping):
    X, Y = make_multilabel_classification(n_samples=60, n_features=5, n_classes=4, random_state=0)
    settings = {"solver": solver, "early_stopping": early_stopping}
    plain = model(MLPClassifier, **settings).fit(X, Y)
    given = model(MLPClassifier, **settings).fit(X, container(Y))
    np.testing.assert_array_equal(given.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(dense(given.predict(X)), plain.predict(X))
    assert (plain.n_outputs_, plain.out_activation_) == (4, "logistic")
    np.testing.assert_array_equal(plain.predict(X), plain.predict_proba(X) > 0.5)
    assert plain.score(X, Y) == np.mean(np.all(plain.predict(X) == Y, axis=1))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_column_vector_is_raveled_with_a_warning(kind, solver):
    X = integers()
    y = three_classes(X)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        column = model(kind, solver=solver).fit(X, y[:, np.newaxis])
    flat = model(kind, solver=solver).fit(X, y)
    np.testing.assert_array_equal(column.predict(X), flat.predict(X))
    assert column.predict(X).shape == y.shape


@pytest.mark.parametrize("head", ["linear", "poisson"])
@pytest.mark.parametrize("outputs_", [1, 2, 3])
def test_a_regressor_predicts_in_the_shape_of_its_targets(outputs_, head):
    X = integers()
    Y = np.abs(X[:, :outputs_])
    Y = Y[:, 0] if outputs_ == 1 else Y
    estimator = model(MLPRegressor, head=head).fit(X, Y)
    assert estimator.n_outputs_ == outputs_
    assert estimator.predict(X).shape == Y.shape
    assert estimator.predict(X[:1]).shape == Y[:1].shape


@pytest.mark.parametrize("name", ["integers", "float32", "lists", "strided", "Fortran", "objects"])
def test_every_kind_of_numeric_target_is_the_same_numbers(name):
    X = integers()
    Y = np.round(2 * two_numbers(X))
    given = {
        "integers": Y.astype(int),
        "float32": Y.astype(np.float32),
        "lists": Y.tolist(),
        "strided": np.repeat(Y, 2, axis=1)[:, ::2],
        "Fortran": np.asfortranarray(Y),
        "objects": Y.astype(object),
    }[name]
    expected = model(MLPRegressor).fit(X, Y).predict(X)
    np.testing.assert_array_equal(model(MLPRegressor).fit(X, given).predict(X), expected)


@pytest.mark.parametrize(
    "weights",
    [
        np.arange(1, 61),
        np.arange(1, 61, dtype=np.float32),
        list(range(1, 61)),
        np.repeat(np.arange(1.0, 61), 2)[::2],
    ],
    ids=["integers", "float32", "list", "strided"],
)
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_every_kind_of_weights_is_the_same_numbers(kind, target, weights):
    X = integers()
    y = target(X)
    expected = model(kind).fit(X, y, sample_weight=np.arange(1.0, 61))
    found = model(kind).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(outputs(found, X), outputs(expected, X))
    unweighted = model(kind).fit(X, y)
    assert not np.allclose(outputs(unweighted, X), outputs(expected, X), rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_whole_weights_are_repeated_rows(kind, target, container, solver):
    X = integers()
    y = target(X)
    weights = np.arange(60) % 4
    settings = {"solver": solver, "alpha": 1.0, "batch_size": "auto"}
    weighted = model(kind, **settings).fit(container(X), y, sample_weight=weights)
    rows = np.repeat(np.arange(60), weights)
    repeated = model(kind, **settings).fit(container(X[rows]), y[rows])
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-8, atol=1e-10)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-10)


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e300, 1e308])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_without_a_penalty_only_the_shares_of_the_weights_count(
    kind, target, early_stopping, scale
):
    X = integers()
    y = target(X)
    weights = 1 + np.arange(60) % 2 / 2
    settings = {"alpha": 0, "early_stopping": early_stopping}
    expected = model(kind, **settings).fit(X, y, sample_weight=weights)
    found = model(kind, **settings).fit(X, y, sample_weight=scale * weights)
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), rtol=1e-8)
    assert found.loss_ == pytest.approx(expected.loss_, rel=1e-10)


# -------------------- layer sizes


@pytest.mark.parametrize(
    ("sizes", "same"),
    [
        (7, (7,)),
        (np.int64(7), (7,)),
        ([7], (7,)),
        ([7, 3], (7, 3)),
        (np.array([7, 3]), (7, 3)),
        (range(3, 5), (3, 4)),
        ([], ()),
        (np.array([], dtype=int), ()),
    ],
    ids=str,
)
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_hidden_layer_sizes_are_a_number_or_any_sequence(kind, target, sizes, same):
    X = integers()
    y = target(X)
    found = model(kind, hidden_layer_sizes=sizes).fit(X, y)
    expected = model(kind, hidden_layer_sizes=same).fit(X, y)
    assert found.n_layers_ == len(same) + 2
    assert [b.size for b in found.intercepts_[:-1]] == list(same)
    np.testing.assert_array_equal(outputs(found, X), outputs(expected, X))


# -------------------- precision


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("dtype", "given", "kept"),
    [
        (None, "float32", "float32"),
        (None, "float64", "float64"),
        (None, "int64", "float64"),
        (None, "float16", "float64"),
        ("float32", "float32", "float32"),
        ("float32", "float64", "float32"),
        ("float32", "int32", "float32"),
        ("float64", "float32", "float64"),
    ],
)
@pytest.mark.parametrize(("kind", "target"), KINDS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_precision_of_parameters_and_predictions(
    kind, target, dtype, given, kept, solver, early_stopping
):
    X = integers()
    settings = {"solver": solver, "dtype": dtype, "early_stopping": early_stopping}
    estimator = model(kind, **settings).fit(X.astype(given), target(X))
    published = [*estimator.coefs_, *estimator.intercepts_]
    assert {array.dtype for array in published} == {np.dtype(kept)}
    assert outputs(estimator, X.astype(given)).dtype == kept
    assert estimator.hidden_layer_output(X.astype(given)).dtype == kept


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("kind", "target"), KINDS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_forcing_a_precision_is_converting_the_data(container, kind, target, solver):
    X, y = integers() / 2, target(integers())
    forced = model(kind, solver=solver, dtype="float32").fit(container(X), y)
    converted = model(kind, solver=solver).fit(container(X.astype(np.float32)), y)
    for left, right in zip(forced.coefs_, converted.coefs_, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("kind", "target"), KINDS)
def test_both_precisions_have_the_same_losses(kind, target, solver):
    X, y = integers() / 4, target(integers())
    single = model(kind, solver=solver, dtype="float32").fit(X, y)
    double = model(kind, solver=solver, dtype="float64").fit(X, y)
    np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-4)
    assert single.loss_curve_ != double.loss_curve_
    assert single.loss_ == pytest.approx(double.loss_, rel=1e-4)


def test_single_precision_starts_at_the_double_precision_weights_rounded():
    X, y = integers(), three_classes(integers())
    settings = {"max_iter": 1, "learning_rate_init": 1e-12, "solver": "sgd"}
    single = model(MLPClassifier, dtype="float32", **settings).fit(X, y)
    double = model(MLPClassifier, dtype="float64", **settings).fit(X, y)
    for left, right in zip(single.coefs_, double.coefs_, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


# -------------------- activations and layers


def swish(z):
    return z / (1 + np.exp(-z))


ONE_EACH = [("relu", ACTIVATIONS["relu"]), ("tanh", np.tanh), (swish, swish)]


@pytest.mark.parametrize(("kind", "target"), KINDS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_hidden_layer_output_is_the_network_up_to_a_layer(kind, target, container):
    X = integers()
    names, functions = zip(*ONE_EACH, strict=True)
    estimator = model(kind, hidden_layer_sizes=(6, 5, 4), activation=list(names))
    estimator.fit(X, target(X))
    hidden = X
    layers = zip(functions, estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True)
    for index, (function, W, b) in enumerate(layers):
        hidden = function(hidden @ W + b)
        for layer in (index, index - 3, np.int64(index)):
            found = estimator.hidden_layer_output(container(X), layer=layer)
            np.testing.assert_allclose(found, hidden, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(estimator.hidden_layer_output(X), hidden, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "prelu"])
def test_predictions_are_the_network_written_out(activation):
    X = integers()
    estimator = model(MLPRegressor, activation=activation).fit(X, two_numbers(X))
    hidden = X
    for W, b in list(zip(estimator.coefs_, estimator.intercepts_, strict=True))[:-1]:
        hidden = ACTIVATIONS[activation](hidden @ W + b)
    raw = hidden @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    np.testing.assert_allclose(estimator.predict(X), raw, rtol=1e-10, atol=1e-12)


def test_predictions_read_the_published_parameters():
    X = integers()
    estimator = model(MLPRegressor).fit(X, two_numbers(X))
    before, hidden = estimator.predict(X), estimator.hidden_layer_output(X)
    estimator.coefs_ = [*estimator.coefs_[:-1], 2 * estimator.coefs_[-1]]
    estimator.intercepts_ = [*estimator.intercepts_[:-1], 2 * estimator.intercepts_[-1]]
    np.testing.assert_allclose(estimator.predict(X), 2 * before, rtol=1e-12)
    np.testing.assert_array_equal(estimator.hidden_layer_output(X), hidden)


@pytest.mark.parametrize("layer", [2, -3, 10, 0.5, "last", None])
def test_a_layer_that_is_not_there_is_named(layer):
    X = integers()
    estimator = model(MLPRegressor).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="layer") as caught:
        estimator.hidden_layer_output(X, layer=layer)
    assert str(layer) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", [0, -1])
def test_a_network_without_hidden_layers_has_no_hidden_output(layer):
    X = integers()
    estimator = model(MLPRegressor, hidden_layer_sizes=()).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="hidden layer"):
        estimator.hidden_layer_output(X, layer=layer)


def test_hidden_layer_output_needs_a_fit():
    with pytest.raises(NotFittedError):
        MLPRegressor().hidden_layer_output(integers())


@pytest.mark.parametrize(
    ("activation", "same"),
    [
        ("linear", "identity"),
        (["tanh", "tanh"], "tanh"),
        (("relu", "relu"), "relu"),
        (np.tanh, "tanh"),
        ([np.tanh, "tanh"], "tanh"),
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_one_activation_has_several_spellings(activation, same, solver):
    X = integers()
    found = model(MLPRegressor, activation=activation, solver=solver).fit(X, X[:, 0])
    expected = model(MLPRegressor, activation=same, solver=solver).fit(X, X[:, 0])
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9, atol=1e-12)


def error_of(estimator, X, y):
    with pytest.raises(ValueError) as caught:
        estimator.fit(X, y)
    message = str(caught.value)
    assert "\n" not in message
    assert len(re.sub(r"('\w+', )+", "", message)) <= 300  # lists of names may be long
    return message


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("sizes", "activation"),
    [((6, 4), ["relu"]), ((6,), ["relu", "tanh"]), ((), ["relu"]), ((6, 4), [])],
)
def test_a_list_of_activations_has_one_for_each_hidden_layer(kind, sizes, activation):
    X = integers()
    estimator = model(kind, hidden_layer_sizes=sizes, activation=activation)
    message = error_of(estimator, X, three_classes(X))
    assert "activation" in message
    assert str(len(activation)) in message
    assert str(len(sizes)) in message


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("activation", ["none of them", ["relu", "none of them"]])
def test_an_unknown_activation_gets_the_known_ones(kind, activation):
    X = integers()
    message = error_of(model(kind, activation=activation), X, three_classes(X))
    assert "'none of them'" in message
    assert all(name in message for name in ACTIVATIONS)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_unknown_head_gets_the_known_ones(kind):
    X = integers()
    message = error_of(model(kind, head="none of them"), X, three_classes(X))
    assert "'none of them'" in message
    fitting = {"logistic", "softmax"} if kind is MLPClassifier else {"linear", "poisson"}
    assert all(name in message for name in fitting)


@pytest.mark.parametrize("head", ["linear", "poisson", Linear(), Poisson()])
def test_a_classifier_refuses_a_head_for_numbers(head):
    X = integers()
    message = error_of(model(MLPClassifier, head=head), X, three_classes(X))
    assert "head" in message
    assert str(head) in message or type(head).__name__ in message


@pytest.mark.parametrize("head", ["logistic", "softmax", Logistic(), Softmax()])
def test_a_regressor_refuses_a_head_for_classes(head):
    X = integers()
    message = error_of(model(MLPRegressor, head=head), X, X[:, 0])
    assert "head" in message
    assert str(head) in message or type(head).__name__ in message


def test_logistic_is_not_for_several_classes_nor_softmax_for_several_labels():
    X = integers()
    message = error_of(model(MLPClassifier, head="logistic"), X, three_classes(X))
    assert "multiclass" in message
    assert "logistic" in message.lower()
    message = error_of(model(MLPClassifier, head="softmax"), X, (X[:, :3] > 0).astype(int))
    assert "softmax" in message.lower()
    assert "multilabel" in message


def test_two_classes_through_softmax_agree_with_logistic():
    X = integers(200)
    y = (X[:, 0] > X[:, 1]).astype(int)
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 2000, "tol": 1e-10}
    logistic = model(MLPClassifier, alpha=1.0, **settings).fit(X, y)
    softmax = model(MLPClassifier, alpha=2.0, head=Softmax(), **settings).fit(X, y)
    assert softmax.predict_proba(X).shape == (200, 2)
    np.testing.assert_allclose(softmax.predict_proba(X), logistic.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_a_name_or_an_instance(name):
    X = integers()
    head = HEADS[name]()
    if "numbers" in head.targets:
        kind, y = MLPRegressor, np.abs(X[:, 0]) + 1
    else:
        kind, y = MLPClassifier, np.minimum(three_classes(X), 2 if head.is_one_hot else 1)
    named = model(kind, head=name).fit(X, y)
    given = model(kind, head=head).fit(X, y)
    assert named.head_ == given.head_ == head
    np.testing.assert_array_equal(outputs(named, X), outputs(given, X))


@pytest.mark.parametrize(
    ("kind", "target", "head"),
    [
        (MLPClassifier, lambda X: X[:, 0] > 0, Logistic()),
        (MLPClassifier, lambda X: X[:, :2] > 0, Logistic()),
        (MLPClassifier, three_classes, Softmax()),
        (MLPRegressor, two_numbers, Linear()),
    ],
    ids=["binary", "multilabel", "multiclass", "numbers"],
)
def test_the_automatic_head_goes_by_the_target(kind, target, head):
    X = integers()
    assert model(kind).fit(X, target(X)).head_ == head


def test_a_batch_larger_than_the_data_is_clipped_with_a_warning():
    X = integers()
    with pytest.warns(UserWarning, match="batch_size"):
        clipped = model(MLPRegressor, batch_size=1000).fit(X, X[:, 0])
    whole = model(MLPRegressor, batch_size=60).fit(X, X[:, 0])
    np.testing.assert_array_equal(clipped.predict(X), whole.predict(X))


def test_too_few_iterations_are_said():
    X, y = make_classification(random_state=0)
    for solver in SOLVERS:
        with pytest.warns(ConvergenceWarning):
            model(MLPClassifier, solver=solver, max_iter=2).fit(X, y)
