"""Estimators for tables as ONNX models: ONNX Runtime answers what they do, of raw columns."""

import datetime
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import special
from sklearn.exceptions import NotFittedError

from skmlp import Head
from skmlp.heads import HEADS, Gamma, GaussianMixture, Ordinal, Quantile, Tweedie
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor, boosting
from skmlp.tabular import model as kinds_of

pd = pytest.importorskip("pandas")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from skmlp.onnx import Writer, to_onnx  # noqa: E402
from skmlp.onnx import tables as tables_of  # noqa: E402
from skmlp.onnx.trees import write_forest  # noqa: E402

PRECISIONS = ["float32", "float64"]
QUICK = {
    "n_neighbors": None,
    "n_trees": None,
    "max_epochs": 6,
    "n_folds": 2,
    "hidden_layer_sizes": (16, 16),
    "random_state": 0,
    "categorical_features": ["color", "is_new", "town", "floor", "rate", "is_old", "one", "never"],
}
TREES = {"none": {}, "forest": {"n_trees": 50}}
TYPES = {"FLOAT": np.float32, "DOUBLE": np.float64, "STRING": object, "INT64": np.int64}
TYPES |= {"BOOL": np.bool_}
ALL_HEADS = [
    *(kind() for kind in HEADS.values()),
    *(Tweedie(1.5, "constant"), Gamma("varying"), GaussianMixture(2), Ordinal("mode")),
    Quantile([0.1, 0.5, 0.9]),
]
FOR_NUMBERS = [head for head in ALL_HEADS if "numbers" in head.targets]
CASES = [(head, kind) for head in ALL_HEADS for kind in sorted(head.targets)]


def frame(n=240, seed=0):
    """Columns of each kind, whose numbers float32 can hold."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 2)).astype(np.float32).astype(float)
    return pd.DataFrame(
        {
            "size": 1024 * numbers[:, 0],
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 90, n)),
            "whole": rng.integers(-3, 3, n),
            "is_near": rng.random(n) < 0.5,
            "constant": 3.0,
            "never": None,
            "color": np.array(["red", "green", "blue", None])[rng.integers(0, 4, n)],
            "is_new": np.array(["yes", "no"])[rng.integers(0, 2, n)],
            "town": np.array([f"town {i}" for i in range(30)])[rng.integers(0, 30, n)],
            "floor": rng.integers(0, 5, n) * 10**12,
            "rate": np.array([0.25, 0.5, 7.0, np.nan])[rng.integers(0, 4, n)],
            "is_old": rng.random(n) < 0.5,
            "one": "only",
        }
    ).astype({"never": object})


def strange(n=40):
    """Rows that fit has not seen: other levels, missing ones, far numbers."""
    X = frame(n, seed=1)
    X.loc[0, "color"], X.loc[1, "town"], X.loc[2, "floor"] = "pink", "nowhere", -7
    X.loc[3, "rate"], X.loc[4, "size"], X.loc[5, "whole"] = 11.0, 1e30, 1_000_000
    X.loc[6, ["size", "age"]] = np.nan
    X.loc[7, "color"], X.loc[8, "one"], X.loc[9, "is_new"] = None, "another", None
    return X


def score(X):
    rng = np.random.default_rng(2)
    of_color = X["color"].map({"red": 1.0, "green": -1.0}).fillna(0.0)
    noise = 0.1 * rng.normal(size=len(X))
    return (X["size"] / 1024 + of_color + X["whole"] / 3 + noise).to_numpy()


def target_for(X, kind, n_targets=1):
    t = score(X)
    if kind == "numbers":
        y = np.round(np.exp(0.3 * t) * 5) + 1
        return y if n_targets == 1 else np.stack([y, 3 * y[::-1] + 2], axis=1)
    if kind == "multilabel":
        return np.stack([t > 0, t > 0.5, t > 1], axis=1).astype(int)
    if kind == "multiclass":
        return np.array(["high", "low", "mid"])[np.digitize(t, [-0.5, 0.5])]
    return np.array(["no", "yes"])[(t > 0).astype(int)]


def fitted(kind, X=None, n_targets=1, y=None, make=None, **parameters):
    X = frame() if X is None else X
    make = make or (TabularMLPRegressor if kind == "numbers" else TabularMLPClassifier)
    y = target_for(X, kind, n_targets) if y is None else y
    if isinstance(parameters.get("head"), Ordinal):
        y = np.unique(y, return_inverse=True)[1]
    return make(**(QUICK | parameters)).fit(X, y)


def feed(exported, X):
    """Give each input its column, missing text as the empty string."""
    given = {}
    for name, x in zip(X.columns, exported.graph.input, strict=True):
        kind = TYPES[onnx.TensorProto.DataType.Name(x.type.tensor_type.elem_type)]
        column = X[name]
        if kind is object:
            column = column.where(column.notna(), "")
        given[x.name] = column.to_numpy().astype(kind)[:, None]
    return given


def answers(exported, given):
    onnx.checker.check_model(exported, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


def columns_of(answer):
    return answer[:, None] if answer.ndim == 1 else answer


def own_answers(model, X):
    if isinstance(model, TabularMLPRegressor):
        predicted = model.predict(X)
        own_levels = isinstance(model.head_, Quantile) and len(model.head_.levels) > 1
        return {"variable": predicted if own_levels else columns_of(predicted)}
    if hasattr(model, "predict_proba"):
        return {"label": model.predict(X), "probabilities": model.predict_proba(X)}
    return {"label": model.predict(X), "scores": model.decision_function(X)}


def assert_same(got, want, dtype):
    assert list(got) == list(want)
    for name, answer in want.items():
        assert got[name].shape == answer.shape
        if name == "label":
            np.testing.assert_array_equal(got[name], answer)
            continue
        assert got[name].dtype == (np.float64 if "variable" in want else dtype)
        np.testing.assert_allclose(got[name], answer, rtol=1e-5, atol=1e-5)
        assert np.ptp(answer, axis=0).max() > 1e-3  # rows are told apart, or nothing is compared


def assert_exported(model, X, dtype="float32"):
    exported = to_onnx(model, dtype=dtype)
    assert_same(answers(exported, feed(exported, X)), own_answers(model, X), dtype)
    return exported


# -------------------- the law


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("trees", TREES)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "numbers"])
def test_every_kind_of_target(kind, trees, dtype):
    assert_exported(fitted(kind, **TREES[trees]), strange(), dtype)


@pytest.mark.parametrize(("head", "kind"), CASES, ids=repr)
def test_every_head(head, kind):
    assert_exported(fitted(kind, head=head), strange())


@pytest.mark.parametrize("head", ["linear", "gaussian", Quantile([0.1, 0.9])], ids=repr)
def test_several_outputs(head):
    assert_exported(fitted("numbers", head=head, n_targets=2, max_epochs=20), strange())


@pytest.mark.long
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("trees", TREES)
@pytest.mark.parametrize(("head", "kind"), CASES, ids=repr)
def test_every_head_with_every_kind_of_trees(head, kind, trees, dtype):
    n_targets = [1, 3] if kind == "numbers" else [1]
    for n in n_targets:
        model = fitted(kind, head=head, n_targets=n, n_folds=3, max_epochs=12, **TREES[trees])
        assert_exported(model, strange(), dtype)


def all_kinds(make):
    """Make an estimator of all kinds of members, without neighbors."""

    class Estimator(make):
        def _asked_kinds(self):
            name = self._kinds
            epochs = {"epochs": 20, "steps": (0, np.inf)}
            return [kind._replace(has_neighbors=False, **epochs) for kind in kinds_of.KINDS[name]]

    return Estimator


@pytest.mark.parametrize("kind", ["binary", "multiclass", "numbers"])
def test_kinds_are_blended_and_boosted_trees_are_trees(kind, monkeypatch):
    monkeypatch.setattr(boosting, "FEWEST_ROWS", 100)
    X = frame(300)
    make = all_kinds(TabularMLPRegressor if kind == "numbers" else TabularMLPClassifier)
    y = np.exp(score(X)) if kind == "numbers" else None  # a tail that is learned as a logarithm
    model = fitted(kind, X, y=y, make=make, n_trees=50)
    _, second = model._model.parts
    if kind == "numbers":
        assert second.transform.is_log.all()
    else:
        assert second.sight.boosted is not None
    for weights in ((0.5, 0.5), (0.3, 0.7), (1.0, 0.0), (0.0, 1.0)):
        blend = replace(model._model.blend, weights=weights)
        model._model = replace(model._model, blend=blend)
        assert_exported(model, strange())


def test_distributions_of_all_kinds_are_mixed():
    model = fitted("numbers", make=all_kinds(TabularMLPRegressor), head="gaussian", n_trees=50)
    assert len(model._model.parts) == 2
    assert_exported(model, strange())


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_what_members_are_shown_is_the_same_bit_for_bit(dtype):
    X = strange()
    model = fitted("multiclass", n_trees=50)
    (part,) = model._model.parts
    writer = Writer(np.float64)
    inputs = tables_of._Inputs(writer, model._model, list(X.columns), np.dtype(dtype))
    single = writer.of_precision(np.float32)
    writer.output("shown", tables_of._write_shown(writer, single, part.sight, inputs))
    exported = writer.model()
    table = model._model.order.of_columns(model._model.columns.read(X))
    got = answers(exported, feed(exported, X))["shown"]
    np.testing.assert_array_equal(got, part.sight.columns(table))


@pytest.mark.parametrize("width", [1, 3])
def test_a_forest_goes_the_same_ways_at_its_thresholds(width):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5, (200, 4)).astype(np.float32)
    forest = kinds_of.Forest.of(rows, rng.normal(size=(200, width)), None, None, 50, 0)[0]
    inner = forest.child != np.arange(len(forest.child))
    rows = rng.choice(forest.threshold[inner], (300, 4)).astype(np.float32)
    rows[::3] = np.nextafter(rows[::3], np.float32(np.inf))
    writer = Writer(np.float64)
    given = writer.input("rows", np.float64, ("n", 4))
    writer.output("said", write_forest(writer, forest, given))
    got = answers(writer.model(), {"rows": rows.astype(float)})["said"]
    np.testing.assert_allclose(got, forest.answers(rows), rtol=1e-7, atol=1e-7)


def test_a_wrong_export_is_found():
    model, X = fitted("binary", n_trees=50), strange()
    exported = to_onnx(model)
    got, want = answers(exported, feed(exported, X)), own_answers(model, X)
    assert_same(got, want, "float32")
    with pytest.raises(AssertionError):
        assert_same(got | {"probabilities": got["probabilities"] + 1e-4}, want, "float32")
    *own, last = model._model.blend.temperatures
    blend = replace(model._model.blend, temperatures=(own[0] * 1.1, last))
    model._model = replace(model._model, blend=blend)
    with pytest.raises(AssertionError):
        assert_same(got, own_answers(model, X), "float32")


# -------------------- inputs


def test_inputs_are_the_columns():
    exported = to_onnx(fitted("numbers"))
    name = onnx.TensorProto.DataType.Name
    found = {x.name: name(x.type.tensor_type.elem_type) for x in exported.graph.input}
    assert list(found) == list(frame().columns)
    numbers = dict.fromkeys(["size", "age", "whole", "is_near", "constant", "rate"], "FLOAT")
    texts = dict.fromkeys(["never", "color", "is_new", "town", "one"], "STRING")
    assert found == numbers | texts | {"floor": "INT64", "is_old": "BOOL"}
    for x in exported.graph.input:
        rows, width = x.type.tensor_type.shape.dim
        assert (rows.dim_value, width.dim_value) == (0, 1)


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_the_number_of_rows_is_free(rows):
    exported = to_onnx(fitted("multiclass", n_trees=50))
    got = answers(exported, feed(exported, frame(max(rows, 1), seed=3)[:rows]))
    assert got["label"].shape == (rows,)
    assert got["probabilities"].shape == (rows, 3)


def test_columns_without_names_are_numbered():
    X = frame()[["size", "age"]].to_numpy()
    model = fitted("numbers", X, y=X[:, 0], categorical_features=None)
    exported = to_onnx(model)
    given = {f"x{j}": X[:, [j]].astype(np.float32) for j in range(2)}
    assert_same(answers(exported, given), own_answers(model, X), "float32")


def test_constant_columns_alone_have_one_answer():
    X = pd.DataFrame({"a": np.full(50, 2.0), "b": ["x"] * 50})
    model = fitted("numbers", X, y=np.arange(50.0), categorical_features=["b"])
    exported = to_onnx(model)
    got = answers(exported, feed(exported, X))
    np.testing.assert_allclose(got["variable"][:, 0], model.predict(X), rtol=1e-5)


def test_the_frame_of_fit_may_be_of_polars():
    pl = pytest.importorskip("polars")
    X, Z = (one.drop(columns="never") for one in (frame(), strange()))
    own = [name for name in QUICK["categorical_features"] if name != "never"]
    model = fitted("numbers", pl.from_pandas(X), y=score(X), categorical_features=own)
    exported = to_onnx(model)
    want = own_answers(model, pl.from_pandas(Z))
    assert_same(answers(exported, feed(exported, Z)), want, "float32")


def test_whole_numbers_that_are_no_level_are_missing():
    X = frame()[["size", "floor"]]
    X["floor"] = X["floor"].astype("Int64").where(np.arange(len(X)) % 7 > 0)
    model = fitted("numbers", X, y=score(frame()), categorical_features=["floor"])
    exported = to_onnx(model)
    given = feed(exported, X.assign(floor=X["floor"].fillna(-1)))
    assert given["floor"].dtype == np.int64
    assert_same(answers(exported, given), own_answers(model, X), "float32")


def test_the_empty_string_may_be_a_level():
    X = pd.DataFrame({"a": np.tile(["", "x", "y"], 40)})
    model = fitted("numbers", X, y=np.tile([1.0, 2.0, 4.0], 40), categorical_features=["a"])
    assert_exported(model, X)


def test_names_of_operators_are_names_of_columns_too():
    X = frame()[["size", "age"]].set_axis(["concat", "constant"], axis=1)
    assert_exported(fitted("numbers", X, y=score(frame()), categorical_features=None), X)


def test_numbers_of_many_digits_take_double_inputs():
    X = frame()[["size"]] * 1e-6 + 1e3
    model = fitted("numbers", X, y=score(frame()), categorical_features=None)
    assert_exported(model, X, "float64")
    with pytest.raises(ValueError, match=r"column 'size' has numbers of about 1e\+03.*float64"):
        to_onnx(model)


@pytest.mark.parametrize("unit", [1e-60, 1e60, 1e250])
def test_targets_of_any_unit(unit):
    X = frame()
    model = fitted("numbers", y=score(X) * unit)
    exported = to_onnx(model)
    got = answers(exported, feed(exported, X))["variable"][:, 0]
    np.testing.assert_allclose(got / unit, model.predict(X) / unit, rtol=1e-5, atol=1e-5)


LABELS = [np.array([3, 7]), np.array([True, False]), np.array(["a", "é"]), np.array([0, 1])]


@pytest.mark.parametrize("labels", LABELS, ids=repr)
def test_labels(labels):
    X = frame()
    assert_exported(fitted("binary", y=labels[(score(X) > 0).astype(int)]), X)


# -------------------- further outputs


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("head", [h for h in FOR_NUMBERS if h.has_distribution], ids=repr)
def test_means_and_deviations_are_those_of_the_mixture(head, n_targets):
    model, X = fitted("numbers", head=head, n_targets=n_targets), strange()
    exported = to_onnx(model, outputs=["mean", "std"])
    got = answers(exported, feed(exported, X))
    assert list(got) == ["variable", "mean", "std"]
    mixture = model.predict_distribution(X)
    for name in ("mean", "std"):
        want = columns_of(getattr(mixture, name)())
        np.testing.assert_allclose(got[name], want, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="'quantiles' has no closed form for members mixed"):
        to_onnx(model, outputs={"quantiles": [0.5]})


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("head", [h for h in FOR_NUMBERS if not h.has_distribution], ids=repr)
def test_intervals(head, n_targets):
    model, X = fitted("numbers", head=head, n_targets=n_targets), strange()
    if isinstance(head, Quantile) and len(head.levels) == 1:
        return
    asked = None if isinstance(head, Quantile) else 0.8
    exported = to_onnx(model, outputs={"interval": asked})
    got = answers(exported, feed(exported, X))["interval"]
    want = model.predict_interval(X, asked)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_own_quantiles():
    model, X = fitted("numbers", head=Quantile([0.1, 0.5, 0.9])), strange()
    exported = to_onnx(model, outputs={"quantiles": [0.9, 0.1]})
    got = answers(exported, feed(exported, X))["quantiles"]
    np.testing.assert_allclose(got, model.predict_quantiles(X, [0.9, 0.1]), rtol=1e-5)


# -------------------- what is refused


def test_neighbors_are_refused():
    model = fitted("numbers", n_neighbors=(1, 5))
    with pytest.raises(ValueError, match="fit with n_neighbors=None"):
        to_onnx(model)


def test_dates_are_refused_unless_they_are_parts_already():
    X = frame()
    days = pd.Timestamp(2020, 1, 1) + pd.to_timedelta(X["whole"], "D")
    dated = X[["size"]].assign(day=days)
    of = {"y": score(X), "categorical_features": "from_dtype"}
    with pytest.raises(ValueError, match=r"column 'day' holds dates.*parts"):
        to_onnx(fitted("numbers", dated, dates="parts", **of))
    parts = X[["size"]].assign(month=days.dt.month, year=days.dt.year)
    assert_exported(fitted("numbers", parts, **of), parts)


LEVELS = {
    "mixed types": ([1, "a", "b"], "level 'a' of type str|level 1 of type int"),
    "other objects": ([datetime.date(2020, 1, d) for d in (1, 2, 3)], "of type date"),
    "too large": ([2**70, 1, 2], "64 bits"),
    "too near": ([0.1, 0.1 + 1e-12, 3.0], "dtype='float64'"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels_that_no_input_holds_are_refused(name):
    levels, sentence = LEVELS[name]
    X = pd.DataFrame({"a": pd.Series(levels * 40, dtype=object), "b": np.arange(120.0)})
    model = fitted("numbers", X, y=np.arange(120.0), categorical_features=["a"])
    with pytest.raises(ValueError, match=f"column 'a'.*({sentence})"):
        to_onnx(model)


def test_near_levels_are_told_apart_in_double_precision():
    X = pd.DataFrame({"a": np.tile([0.1, 0.1 + 1e-12, 3.0], 40)})
    model = fitted("numbers", X, y=np.tile([1.0, 2.0, 4.0], 40), categorical_features=["a"])
    assert_exported(model, X, "float64")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["variable", "b"], "column 'variable' has the name of an output"),
        (["b", "b"], "several columns have the name 'b'"),
        (["", "b"], "a column has the name ''"),
    ],
)
def test_names_that_inputs_cannot_have_are_refused(names, sentence):
    X = frame()[["size", "age"]].set_axis(names, axis=1)
    model = fitted("numbers", X, y=score(frame()), categorical_features=None)
    with pytest.raises(ValueError, match=sentence):
        to_onnx(model)


def test_options_are_checked():
    model = fitted("binary")
    with pytest.raises(ValueError, match="dtype='float16'"):
        to_onnx(model, dtype="float16")
    with pytest.raises(ValueError, match="opset=3"):
        to_onnx(model, opset=3)
    with pytest.raises(ValueError, match="'std' has no closed form"):
        to_onnx(model, outputs="std")
    with pytest.raises(NotFittedError):
        to_onnx(TabularMLPClassifier())


@pytest.mark.parametrize("opset", [13, 15, 20])
def test_operator_sets(opset):
    model, X = fitted("multiclass", n_trees=50), strange()
    exported = to_onnx(model, opset=opset)
    assert exported.opset_import[0].version == opset
    assert_same(answers(exported, feed(exported, X)), own_answers(model, X), "float32")


@dataclass(frozen=True)
class Factorial(Head):
    """A head that no model can write."""

    def loss(self, raw, y):
        return np.sum(np.square(raw - y), axis=1)

    def predict(self, raw):
        return special.gammaln(1 + np.square(raw))


def test_a_head_without_operator_is_named():
    model = fitted("numbers", head=Factorial())
    with pytest.raises(NotImplementedError, match=r"the head Factorial\(.*gammaln"):
        to_onnx(model)
