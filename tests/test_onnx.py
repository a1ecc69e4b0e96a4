"""Fitted networks as ONNX models: ONNX Runtime answers what they do."""

import copy
import sys
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import special
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmlp import Head, Layer, Learned, MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import (
    HEADS,
    Gamma,
    GaussianMixture,
    NegativeBinomial,
    Ordinal,
    Quantile,
    StudentT,
    Tweedie,
)
from skmlp.heads.closed_forms import CLOSED_FORMS, closed_form
from skmlp.network.layers import LAYERS
from skmlp.network.normalization import NORMALIZATIONS

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from skmlp.onnx import Writer, to_onnx  # noqa: E402

pytestmark = [
    # One epoch is enough for a network that answers.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*no better than a constant:UserWarning"),
]

PRECISIONS = [np.float32, np.float64]
TOLERANCES = {np.float32: 1e-5, np.float64: 1e-9}
FAR = np.array([[1e3, -1e3, 1e3], [-1e3, -1e3, 1e3], [0.0, 1e3, 0.0]])


@dataclass(frozen=True)
class Bumps(Layer):
    """A layer of a user's own."""

    starts_on_data = False

    def parts(self, inputs, units):
        return {"centers": (inputs, units), "gains": (units,)}

    def initial(self, rng, x, units):
        return {"centers": rng.normal(size=(x.shape[1], units)), "gains": np.ones(units)}

    def outputs(self, x, centers, gains):
        squares = np.sum(np.square(x[:, :, None] - centers), axis=1)
        return gains / (1 + squares)


def bent(z, slope=Learned(0.1)):  # noqa: B008
    """An activation of a user's own."""
    return np.where(z > 0, np.log1p(np.abs(z)), slope * special.erf(np.clip(z, -3, None)))


@dataclass(frozen=True)
class LogCosh(Head):
    """A head of a user's own."""

    scale: float = 2.0
    targets = frozenset({"numbers"})

    def loss(self, raw, y):
        return np.sum(np.logaddexp(raw - y, y - raw), axis=1)

    def predict(self, raw):
        return self.scale * np.arcsinh(raw / self.scale)


@dataclass(frozen=True)
class Parzen(Head):
    """Another one, for classes, whose classes are named by hand."""

    targets = frozenset({"binary", "multiclass"})
    is_one_hot = True
    names: tuple[Any, ...] = field(default=())

    def loss(self, raw, y):
        return -np.sum(y * np.log(self.predict(raw)), axis=1)

    def predict(self, raw):
        shares = 1.0 / (1.0 + np.square(raw))
        return shares / np.sum(shares, axis=1, keepdims=True)


HIDDEN = {**ACTIVATIONS, **LAYERS, "bumps": Bumps(), "bent": bent}
ALL_HEADS = [
    *(kind() for kind in HEADS.values()),
    *(Tweedie(p, d) for p in (0, 1.5, 2, 3) for d in ("constant", "varying", 0.7, None)),
    *(Tweedie(1), Tweedie(2.5), Gamma("varying"), Gamma(2.5), StudentT(1.5), Ordinal("mode")),
    *(NegativeBinomial("varying"), NegativeBinomial(0.3), GaussianMixture(2), Quantile([0.1, 0.9])),
    *(LogCosh(), Parzen()),
]
FOR_NUMBERS = [head for head in ALL_HEADS if "numbers" in head.targets]


def data(dtype=np.float64, n=24):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X.astype(dtype), X[:, 0] + 0.3 * rng.normal(size=n)


def target_for(head, t, kind=None):
    if head == "auto":
        return (t > 0).astype(int)
    if "numbers" in head.targets:
        return np.round(np.exp(t) * 3) + 1
    kind = kind or max(head.targets)
    if kind == "multilabel":
        return np.stack([t > 0, t > 0.5], axis=1).astype(int)
    return np.digitize(t, [-0.5, 0.5]) if kind == "multiclass" else (t > 0).astype(int)


def network_for(head="auto", y=None, dtype=np.float64, **parameters):
    """A network of some size that answers differently for different inputs."""
    X, t = data(dtype)
    y = target_for(head, t) if y is None else y
    is_class = head == "auto" or "numbers" not in head.targets
    kind = MLPClassifier if is_class else MLPRegressor
    parameters = {"hidden_layer_sizes": (5, 5), "max_iter": 1, "random_state": 0} | parameters
    return kind(head=head, **parameters).fit(X, y), X


def answers(model, X, options=None):
    """Run a model on one thread."""
    options = onnxruntime.SessionOptions() if options is None else options
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def own_answers(model, X):
    if isinstance(model, MLPRegressor):
        predicted = model.predict(X)
        return {"variable": predicted[:, None] if predicted.ndim == 1 else predicted}
    if hasattr(model, "predict_proba"):
        return {"label": model.predict(X), "probabilities": model.predict_proba(X)}
    return {"label": model.predict(X), "scores": model.decision_function(X)}


def assert_same_answers(got, want, tolerance, error=0.0):
    assert list(got) == list(want)
    for name, answer in want.items():
        assert got[name].shape == answer.shape
        if name != "label":
            assert got[name].dtype == answer.dtype
            np.testing.assert_allclose(got[name], answer, rtol=tolerance, atol=tolerance + error)
        elif error == 0:
            np.testing.assert_array_equal(got[name], answer)


def assert_exported(model, X, dtype):
    exported = to_onnx(model)
    onnx.checker.check_model(exported, full_check=True)
    tolerance = TOLERANCES[dtype]
    want = own_answers(model, X)
    largest = max(float(np.max(np.abs(want[name]))) for name in want if name != "label")
    # e^r has the error of r relative to itself: near the end of float32 that is r times as large.
    is_steep = dtype == np.float32 and largest > np.e
    steep = np.log(largest) if is_steep else 1.0
    assert_same_answers(answers(exported, X), want, tolerance * steep)
    far = FAR.astype(dtype)
    want = own_answers(model, far)
    got = answers(exported, far)
    if dtype == np.float64:
        assert_same_answers(got, want, tolerance)
        return
    # What is lost in float32 so far away is lost by both: as far as the network loses it itself.
    exact = own_answers(widened(model), FAR)
    error = max(float(np.max(np.abs(want[name] - exact[name]))) for name in want if name != "label")
    assert_same_answers(got, exact_as(exact, dtype), tolerance, 10 * error)


def exact_as(exact, dtype):
    return {k: v if k == "label" else v.astype(dtype) for k, v in exact.items()}


def widened(model):
    """Return a copy whose parameters are float64."""
    wide = copy.deepcopy(model)
    for name, value in vars(wide).items():
        if name in ("coefs_", "intercepts_") or name.endswith(("parameters_", "statistics_")):
            setattr(wide, name, [_wide(x) for x in value])
    return wide


def _wide(x):
    if isinstance(x, dict):
        return {k: _wide(v) for k, v in x.items()}
    return None if x is None else np.asarray(x, np.float64)


# -- the law, over the registries ------------------------------------------------------------------

KINDS = [
    pytest.param(name, normalization, residual, id=f"{name}-{normalization}-{residual}")
    for name, normalization, residual in product(HIDDEN, [None, *NORMALIZATIONS], [False, True])
    if normalization is None or not isinstance(HIDDEN[name], Layer)
]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("name", "normalization", "residual"), KINDS)
def test_every_hidden_layer(name, normalization, residual, dtype):
    X, t = data(dtype)
    model, X = network_for(
        y=target_for(HEADS["softmax"](), t),
        dtype=dtype,
        activation=HIDDEN[name],
        normalization=normalization,
        residual=residual,
    )
    assert_exported(model, X, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("head", ALL_HEADS, ids=repr)
def test_every_head(head, dtype):
    for kind in sorted(head.targets):
        y = target_for(head, data(dtype)[1], kind)
        model, X = network_for(head, y, dtype=dtype, initial_output="data")
        assert_exported(model, X, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("head", ALL_HEADS, ids=repr)
@pytest.mark.parametrize(("name", "normalization", "residual"), KINDS)
def test_every_network(name, normalization, residual, head, dtype):
    parameters = {"normalization": normalization, "residual": residual}
    model, X = network_for(head, dtype=dtype, activation=HIDDEN[name], **parameters)
    assert_exported(model, X, dtype)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (1,), (4, 7, 3)])
def test_networks_of_other_shapes(hidden_layer_sizes):
    model, X = network_for(HEADS["gaussian"](), hidden_layer_sizes=hidden_layer_sizes)
    assert_exported(model, X, np.float64)


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_the_number_of_rows_is_free(rows):
    model, X = network_for(GaussianMixture(2))
    X = np.resize(X, (rows, 3))
    got = answers(to_onnx(model, outputs=["std"]), X)
    assert got["variable"].shape == got["std"].shape == (rows, 1)
    if rows:
        np.testing.assert_allclose(got["std"][:, 0], model.predict(X, return_std=True)[1])


@pytest.mark.parametrize("opset", [13, 15, 18, 20])
@pytest.mark.parametrize("head", [Ordinal(), GaussianMixture(2), HEADS["logistic"]()], ids=repr)
def test_operator_sets(head, opset):
    model, X = network_for(head, activation=Bumps())
    exported = to_onnx(model, opset=opset)
    assert exported.opset_import[0].version == opset
    assert_same_answers(answers(exported, X), own_answers(model, X), 1e-9)


def test_a_wrong_export_is_found():
    model, X = network_for()
    exported = to_onnx(model)
    model.intercepts_[0][0] += 0.1
    with pytest.raises(AssertionError):
        assert_same_answers(answers(exported, X), own_answers(model, X), 1e-9)


# -- labels, targets, precision --------------------------------------------------------------------

LABELS = {
    "strings": np.array(["c", "a", "b"]),
    "objects": np.array(["c", "a", "b"], object),
    "integers": np.array([7, -1, 3]),
    "from zero": np.array([0, 1, 2]),
    "unsigned": np.array([7, 1, 3], np.uint8),
    "whole floats": np.array([1.0, 2.0, 5.0]),
    "two strings": np.array(["no", "yes", "no"]),
    "two integers": np.array([3, 9, 3]),
    "truth values": np.array([False, True, True]),
    "one": np.array(["only", "only", "only"]),
    "one number": np.array([5, 5, 5]),
}


@pytest.mark.parametrize("labels", LABELS)
def test_labels(labels):
    model, X = network_for(y=LABELS[labels][np.arange(24) % 3])
    got = answers(to_onnx(model), X)
    np.testing.assert_array_equal(got["label"], model.predict(X))
    np.testing.assert_allclose(got["probabilities"], model.predict_proba(X), rtol=1e-9)
    kinds = {"U": object, "O": object, "b": bool}
    assert got["label"].dtype == kinds.get(LABELS[labels].dtype.kind, np.int64)


def test_labels_that_onnx_does_not_have_are_refused():
    model, _ = network_for(y=np.array([2**63 + 3, 2**63 + 5, 7], np.uint64)[np.arange(24) % 3])
    with pytest.raises(ValueError, match="is no label that ONNX has: train on strings"):
        to_onnx(model)


@pytest.mark.parametrize("head", FOR_NUMBERS, ids=repr)
def test_several_outputs(head):
    y = target_for(head, data()[1])
    model, X = network_for(head, np.stack([y, 2 * y], axis=1), initial_output="data")
    got = answers(to_onnx(model), X)
    np.testing.assert_allclose(got["variable"], model.predict(X), rtol=1e-9)


def test_precision_is_that_of_the_estimator_or_as_asked():
    model, X = network_for()
    assert answers(to_onnx(model), X)["probabilities"].dtype == np.float64
    single = answers(to_onnx(model, dtype="float32"), X.astype(np.float32))["probabilities"]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, model.predict_proba(X), rtol=1e-5)
    model, X = network_for(dtype=np.float32)
    assert answers(to_onnx(model), X)["probabilities"].dtype == np.float32


def test_parameters_are_those_that_are_published_now():
    model, X = network_for()
    model.coefs_[0][...] *= 2
    assert_same_answers(answers(to_onnx(model), X), own_answers(model, X), 1e-9)


def test_sparse_inputs_become_dense_ones():
    X, t = data()
    model = MLPClassifier((4,), max_iter=1, random_state=0).fit(csr_matrix(X), t > 0)
    assert_same_answers(answers(to_onnx(model), X), own_answers(model, X), 1e-9)


# -- how sure a regressor is -----------------------------------------------------------------------


def test_every_distribution_of_a_head_has_a_closed_form():
    of_heads = {kind.distribution for kind in HEADS.values()} - {Head.distribution}
    assert of_heads == set(CLOSED_FORMS)


@pytest.mark.parametrize("head", [h for h in FOR_NUMBERS if h.has_distribution], ids=repr)
def test_closed_forms_are_those_of_the_distribution(head):
    k, rng = 2, np.random.default_rng(0)
    raw, n = rng.uniform(-2, 2, (5, head.n_raw(k))), head.n_constant(k)
    raw[:, raw.shape[1] - n :] = raw[0, raw.shape[1] - n :]
    head = head.in_target_unit(np.array([2.0, 2.0]))
    form = closed_form(head, raw, raw[0, raw.shape[1] - n :])
    frozen = head.distribution(raw)
    np.testing.assert_allclose(form.mean, frozen.mean(), rtol=1e-12)
    np.testing.assert_allclose(form.std, frozen.std(), rtol=1e-12)
    for level in (0.05, 0.5, 0.9) if form.quantile is not None else ():
        np.testing.assert_allclose(form.quantile(level), frozen.ppf(level), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("head", FOR_NUMBERS, ids=repr)
def test_further_outputs(head, n_targets, dtype):
    """All that the head has in closed form, and a sentence for the rest."""
    y = target_for(head, data()[1])
    y = y if n_targets == 1 else np.stack([y, y + 1], axis=1)
    model, X = network_for(head, y, dtype=dtype)
    levels = list(head.levels) if isinstance(head, Quantile) else [0.1, 0.5, 0.9]
    coverage = None if isinstance(head, Quantile) else 0.8
    wanted = {
        "mean": (None, lambda: np.reshape(model.predict_distribution(X).mean(), (len(X), -1))),
        "std": (None, lambda: np.reshape(model.predict_distribution(X).std(), (len(X), -1))),
        "interval": (coverage, lambda: model.predict_interval(X, coverage)),
        "quantiles": (levels, lambda: model.predict_quantiles(X, levels)),
    }
    refused = {}
    for name, (level, want) in wanted.items():
        try:
            exported = to_onnx(model, outputs={name: level})
        except ValueError as error:
            refused[name] = str(error)
            continue
        tolerance = 1e-4 if dtype == np.float32 else 1e-9
        got = answers(exported, X)[name]
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want(), rtol=tolerance, atol=tolerance)
    for name, sentence in refused.items():
        assert not (head.has_distribution and name in ("mean", "std"))
        of_one_level = isinstance(head, Quantile) and len(head.levels) == 1
        known = f"has no closed form for head={head!r}, whose outputs are variable"
        assert ("knows one quantile" if of_one_level and name == "interval" else known) in sentence


@pytest.mark.parametrize(
    ("outputs", "error", "sentence"),
    [
        (["median"], ValueError, "'median' has no closed form .* variable, mean, std, interval"),
        ("quantiles", ValueError, "'quantiles' needs levels in \\(0, 1\\)"),
        ({"quantiles": [1.5]}, ValueError, "quantiles must be a number in \\(0, 1\\)"),
        ({"interval": 2}, ValueError, "coverage must be a number in \\(0, 1\\), got 2"),
        ({"std": 0.3}, ValueError, "'std' has no level, got 0.3"),
        (3, TypeError, "outputs is a list of names, or a dict"),
    ],
)
def test_outputs_that_cannot_be_are_refused(outputs, error, sentence):
    model, _ = network_for(HEADS["gaussian"]())
    with pytest.raises(error, match=sentence):
        to_onnx(model, outputs=outputs)


def test_names_alone_have_usual_levels():
    model, X = network_for(HEADS["gaussian"]())
    got = answers(to_onnx(model, outputs=["mean", "interval"]), X)
    assert list(got) == ["variable", "mean", "interval"]
    np.testing.assert_allclose(got["interval"], model.predict_interval(X))


def test_classifiers_have_no_further_outputs():
    model, _ = network_for()
    with pytest.raises(ValueError, match="whose outputs are label, probabilities"):
        to_onnx(model, outputs=["std"])


# -- what cannot be exported -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": "float16"}, "dtype='float16' is no precision that ONNX models of skmlp have"),
        ({"dtype": "words"}, "dtype='words' is no precision"),
        ({"dtype": int}, "is no precision"),
        (
            {"opset": 12},
            "opset=12 is no operator set that .* give a whole number from 13",
        ),
        ({"opset": 1000}, "opset=1000 is no operator set"),
        ({"opset": True}, "opset=True is no operator set"),
    ],
)
def test_options_that_cannot_be_are_refused(options, sentence):
    model, _ = network_for()
    with pytest.raises(ValueError, match=sentence):
        to_onnx(model, **options)


def test_a_primitive_without_operator_is_named_with_its_layer():
    def factorial(z):
        return special.gammaln(1 + np.square(z))

    model, _ = network_for(activation=factorial)
    sentence = "hidden layer 1, factorial: gammaln has no operator in ONNX: register the function"
    with pytest.raises(NotImplementedError, match=sentence):
        to_onnx(model)


def test_a_head_without_operator_is_named():
    class Factorial(Head):
        def loss(self, raw, y):
            return np.sum(np.square(raw - y), axis=1)

        def predict(self, raw):
            return special.gammaln(1 + np.square(raw))

    model, _ = network_for(Factorial())
    with pytest.raises(NotImplementedError, match=r"the head .*Factorial\(\): gammaln has no"):
        to_onnx(model)


def test_others_are_sent_to_skl2onnx():
    with pytest.raises(TypeError, match="got Pipeline: pipelines, ensembles and searches"):
        to_onnx(make_pipeline(MLPClassifier()))
    with pytest.raises(NotFittedError):
        to_onnx(MLPClassifier())


def test_without_onnx_the_extra_is_named(monkeypatch):
    model, _ = network_for()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'skmlp\[onnx\]'"):
        to_onnx(model)


# -- the writer ------------------------------------------------------------------------------------


def test_the_writer_takes_strings_and_further_operator_sets():
    """What tables need: strings in, numbers out, by an operator of another set."""
    w = Writer(np.float32)
    x = w.input("color", object, ("n",))
    codes = w.add(
        "LabelEncoder",
        x,
        dtype=np.int64,
        domain="ai.onnx.ml",
        version=2,
        keys_strings=["red", "blue"],
        values_int64s=[0, 1],
        default_int64=-1,
    )
    is_known = codes >= w.constant(np.int64(0))
    w.output("number", w.add("Where", is_known, w.cast(codes, np.float32) * 2.0, np.nan), ("n",))
    session = onnxruntime.InferenceSession(w.model().SerializeToString())
    (got,) = session.run(None, {"color": np.array(["blue", "red", "green"], object)})
    np.testing.assert_array_equal(got, np.array([2, 0, np.nan], np.float32))


def test_equal_constants_are_one():
    w = Writer(np.float64)
    assert w.constant(2.0).name == w.constant(2).name == w.constant(np.array(2.0)).name
    assert w.constant(np.int64(2)).dtype == np.int64
    assert w.constant(2.0).name != w.constant(np.array([2.0])).name
    assert w.constant(True).dtype == bool


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_constants_that_single_precision_rounds_away_are_kept(operator):
    is_sum = operator in ("Add", "Sub")
    x, c = (2e-60, 1e-60) if is_sum else (1.0, 1 + 1e-9)
    writer = Writer(np.float64)
    values = -writer.input("X", np.float64, ("n", 2))
    writer.output("y", -writer.add(operator, values, np.array([c])), ("n", 2))
    own = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[operator]
    got = answers(writer.model(), np.full((3, 2), x))["y"]
    np.testing.assert_allclose(got, np.full((3, 2), -own(-x, c)), rtol=1e-14, atol=0)


def test_rows_need_an_input():
    with pytest.raises(ValueError, match="the graph has no input with rows"):
        Writer(np.float64).lengths(("n", 2))
