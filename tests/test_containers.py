"""The same values are read the same in every container, and what is no value is named in each."""

import datetime as dt
import warnings
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skmlp import Learned, MLPClassifier, MLPRegressor
from skmlp.callbacks import TimeLimit
from skmlp.engine.words import shown
from skmlp.heads import Huber, NegativeBinomial, Ordinal, Quantile, StudentT, Tweedie
from skmlp.network import RadialBasis

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.randint(-8, 9, (40, 3)) / 4.0  # exact in float32, and as decimal fractions
Y = X[:, 0] - X[:, 1]
WORDS = np.where(Y > 0, "wide", np.where(Y > -0.5, "long", "deep"))
NAMES = ["age", "size", "rate"]


def model(kind, **parameters):
    defaults = {"hidden_layer_sizes": (4,), "max_iter": 3, "batch_size": 20, "random_state": 0}
    return kind(**(defaults | parameters))


class Tensor:
    """What a tensor on a CPU shows of itself: an array, and a dtype that is not NumPy's."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, f"torch.{array.dtype}"

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


def elementwise(function):
    """A container of objects, each made of a number."""

    def build(array):
        found = np.empty(array.size, object)
        found[:] = [function(x) for x in array.ravel().tolist()]
        return found.reshape(array.shape)

    return build


def pandas_of(dtype):
    def build(array):
        if array.ndim == 1:
            return pd.Series(array).astype(dtype)
        return pd.DataFrame(array, columns=NAMES).astype(dtype)

    return build


def polars_of(dtype=None, cells=lambda array: array):
    def build(array):
        if array.ndim == 1:
            return pl.Series(cells(array), dtype=dtype)
        columns = {name: cells(column) for name, column in zip(NAMES, array.T, strict=True)}
        return pl.DataFrame(columns, schema=None if dtype is None else dict.fromkeys(NAMES, dtype))

    return build


def narwhals_of(array):
    return pytest.importorskip("narwhals").from_native(polars_of()(array), allow_series=True)


def arrow_of(array):
    pyarrow = pytest.importorskip("pyarrow")
    if array.ndim == 1:
        return pyarrow.array(array)
    return pyarrow.table(dict(zip(NAMES, array.T, strict=True)))


def text(array):
    return [str(x) for x in array]


NUMBERS = {
    "list": lambda array: array.tolist(),
    "tuples": lambda array: tuple(map(tuple, array)) if array.ndim == 2 else tuple(array),
    "text in lists": lambda array: array.astype("U").tolist(),
    "text": lambda array: array.astype("U"),
    "text in bytes": lambda array: array.astype("S"),
    "text with spaces and signs": elementwise(lambda x: f"  {x:+.3e} "),
    "some text": elementwise(lambda x: str(x) if x > 0 else x),
    "objects": lambda array: array.astype(object),
    "Decimals": elementwise(lambda x: Decimal(str(x))),
    "Fractions": elementwise(Fraction),
    "NumPy's numbers": elementwise(np.float64),
    "nothing masked": np.ma.array,
    "nothing masked in a list": lambda array: list(np.ma.array(array)),
    "a tensor": Tensor,
    "pandas": pandas_of(float),
    "pandas objects": pandas_of(object),
    "pandas text": pandas_of(str),
    "pandas string": lambda array: pandas_of("string")(pandas_of(str)(array)),
    "pandas Float64": pandas_of("Float64"),
    "pandas category": pandas_of("category"),
    "pandas category of text": lambda array: pandas_of(str)(array).astype("category"),
    "pandas sparse": pandas_of(pd.SparseDtype(float, 0.0)),
    "pandas sparse of NaN": pandas_of(pd.SparseDtype(float, np.nan)),
    "pandas sparse of another": pandas_of(pd.SparseDtype(float, 0.25)),
    "polars": polars_of(),
    "polars text": polars_of(cells=text),
    "polars Decimal": polars_of(
        pl.Decimal(10, 2), lambda array: [Decimal(f"{x:.2f}") for x in array]
    ),
    "narwhals": narwhals_of,
    "Arrow": arrow_of,
}
numbers = pytest.mark.parametrize("container", NUMBERS)


def assert_same(found, expected):
    for left, right in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)  # of sparse inputs, other sums


@numbers
def test_inputs_are_the_same_numbers_in_every_container(container):
    given = NUMBERS[container](X)
    expected = model(MLPRegressor).fit(X, Y)
    found = model(MLPRegressor).fit(given, Y)
    assert_same(found, expected)
    np.testing.assert_allclose(found.predict(given), expected.predict(X), rtol=1e-12)
    assert_same(model(MLPRegressor).partial_fit(given, Y), model(MLPRegressor).partial_fit(X, Y))
    has_names = container.startswith(("pandas", "polars", "Arrow"))
    assert getattr(found, "feature_names_in_", np.array([])).tolist() == NAMES * has_names


@numbers
@pytest.mark.parametrize("n_targets", [1, 3])
def test_targets_are_the_same_numbers_in_every_container(n_targets, container):
    target = Y if n_targets == 1 else X[:, ::-1]
    given = NUMBERS[container](target)
    expected = model(MLPRegressor).fit(X, target)
    found = model(MLPRegressor).fit(X, given, X_val=X, y_val=given)
    assert_same(found, expected)
    assert found.score(X, given) == pytest.approx(expected.score(X, target), rel=1e-12)
    assert_same(
        model(MLPRegressor).partial_fit(X, given), model(MLPRegressor).partial_fit(X, target)
    )


@numbers
def test_weights_are_the_same_numbers_in_every_container(container):
    weights = np.arange(40) / 4.0
    given = NUMBERS[container](weights)
    expected = model(MLPRegressor).fit(X, Y, sample_weight=weights)
    found = model(MLPRegressor).fit(X, Y, sample_weight=given)
    assert_same(found, expected)
    scores = found.score(X, Y, given), expected.score(X, Y, weights)
    assert scores[0] == pytest.approx(scores[1], rel=1e-12)


SINGLE = ["list", "pandas", "polars", "Arrow", "narwhals", "a tensor", "objects"]


@pytest.mark.parametrize("container", SINGLE)
def test_single_precision_stays_where_the_container_has_it(container):
    single = X.astype(np.float32)
    given = NUMBERS[container](single)
    if container == "pandas":
        given = pd.DataFrame(single, columns=NAMES)
    found = model(MLPRegressor).fit(given, Y).coefs_[0].dtype
    assert found == (np.float64 if container in ("list", "objects") else np.float32)


def test_dummies_are_the_same_dense_and_sparse():
    words = pd.DataFrame({"kind": WORDS, "size": Y > 0})
    dense = pd.get_dummies(words)
    expected = model(MLPRegressor).fit(dense.to_numpy(float), Y)
    for given in (
        dense,
        pd.get_dummies(words, sparse=True),
        pd.get_dummies(words[["kind"]], sparse=True),
    ):
        fitted = model(MLPRegressor).fit(given, Y)
        if given.shape == dense.shape:
            assert_same(fitted, expected)
        assert np.isfinite(fitted.predict(given)).all()


# -------------------- labels

LABELS = {
    "integers": (lambda codes: codes, int),
    "Int64": (lambda codes: pd.Series(codes, dtype="Int64"), int),
    "UInt8": (lambda codes: pd.Series(codes, dtype="UInt8"), int),
    "Int64 in a frame": (lambda codes: pd.DataFrame({"y": pd.Series(codes, dtype="Int64")}), int),
    "objects": (lambda codes: codes.astype(object), int),
    "polars": (pl.Series, int),
    "category": (lambda codes: pd.Series(codes, dtype="category"), int),
    "truth": (lambda codes: codes > 0, bool),
    "boolean": (lambda codes: pd.Series(codes > 0, dtype="boolean"), bool),
    "truth in objects": (lambda codes: (codes > 0).astype(object), bool),
    "truth in polars": (lambda codes: pl.Series(codes > 0), bool),
    "floats": (lambda codes: codes * 1.0, float),
    "Float64": (lambda codes: pd.Series(codes, dtype="Float64"), float),
    "Decimals": (lambda codes: [Decimal(int(code)) for code in codes], float),
    "string": (lambda codes: pd.Series(WORDS[codes], dtype="string"), str),
    "words": (lambda codes: WORDS[codes].tolist(), str),
    "words in polars": (lambda codes: pl.Series(WORDS[codes]), str),
    "digits": (lambda codes: pd.Series(codes).astype(str), str),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("kind", LABELS)
def test_classes_are_of_the_kind_that_went_in(kind):
    make, type_ = LABELS[kind]
    codes = (Y > 0).astype(int)
    y = make(codes)
    found = model(MLPClassifier).fit(X, y)
    assert {type(name) for name in found.classes_.tolist()} == {type_}
    stream = model(MLPClassifier).partial_fit(X, y, classes=make(np.array([1, 0])))
    assert stream.classes_.tolist() == found.classes_.tolist()
    assert found.predict(X).dtype == found.classes_.dtype
    assert found.score(X, y) == np.mean(found.predict(X) == found.classes_[codes[:40]])
    swapped = WORDS[0] > WORDS[1] and type_ is str and kind != "digits"
    coded = model(MLPClassifier).fit(X, 1 - codes if swapped else codes)
    assert_same(found, coded)


MATRICES = {
    "array": np.array,
    "list": lambda Y: Y.tolist(),
    "floats": lambda Y: Y * 1.0,
    "objects": lambda Y: Y.astype(object),
    "frame": lambda Y: pd.DataFrame(Y, columns=NAMES),
    "Int64": lambda Y: pd.DataFrame(Y, columns=NAMES).astype("Int64"),
    "polars": lambda Y: pl.DataFrame(Y, schema=NAMES),
    "CSR": sparse.csr_array,
    "CSC": sparse.csc_matrix,
    "COO": sparse.coo_array,
    "LIL": sparse.lil_array,
}


@pytest.mark.parametrize("container", MATRICES)
@pytest.mark.parametrize("values", [(0, 1), (-1, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
def test_labels_are_0_and_1_or_refused_with_the_value(values, container):
    Y = np.array(values)[np.digitize(X, [-0.3, 0.3]) % len(values)]
    given = MATRICES[container](Y)
    expected = model(MLPClassifier).fit(X, X > 0)
    if values == (0, 1):
        plain = model(MLPClassifier).fit(X, Y)
        assert_same(model(MLPClassifier).fit(X, given), plain)
        assert_same(
            model(MLPClassifier).partial_fit(X, given), model(MLPClassifier).partial_fit(X, Y)
        )
        assert plain.score(X, given) == plain.score(X, Y)
        return
    odd = [str(value) for value in values if value not in (0, 1)]
    for call in (
        lambda: model(MLPClassifier).fit(X, given),
        lambda: model(MLPClassifier).partial_fit(X, given),
        lambda: expected.fit(X, X > 0, X_val=X, y_val=given),
    ):
        message = refused(call)
        assert any(f"y has {value}{end}" in message for value in odd for end in (" ", ".0 "))
        assert ("column '" in message) == hasattr(given, "columns")


def test_a_matrix_of_words_is_no_matrix_of_labels():
    words = np.where(X > 0, "1", "0")
    for given in (words, words.astype(object), words.tolist(), pd.DataFrame(words)):
        message = refused(partial(model(MLPClassifier).fit, X, given))
        assert "Multioutput" in message
        assert f"y has '{words[0, 0]}' in row 0, column 0" in message


# -------------------- what is refused


def refused(call):
    """The one sentence that a call is refused with."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) <= 360
    assert "np." not in message.replace("np.timedelta64(1, 's')", "")
    assert ". " not in message.removesuffix(".").replace(". Reshape your data", "")  # looked for
    return message


DAYS = pd.date_range("2020-02-01", periods=40)
SPANS = DAYS - DAYS[0] + pd.Timedelta("1h")


def later(value, of=Y):
    """Numbers with another value in row 2."""
    found = of.astype(object)
    found[2] = value
    return found


DATES = {
    "datetime64": DAYS.to_numpy(),
    "days": DAYS.to_numpy().astype("datetime64[D]"),
    "dates": DAYS.date,
    "datetimes": DAYS.to_pydatetime().tolist(),
    "Timestamps": np.array(list(DAYS), object),
    "one date": later(dt.date(2020, 2, 1)),
    "one time": later(dt.time(20, 20)),
    "pandas": pd.Series(DAYS),
    "pandas, with a zone": pd.Series(DAYS.tz_localize("Europe/Berlin")),
    "Period": pd.Series(DAYS.to_period("M")),
    "DatetimeIndex": DAYS,
    "category": pd.Series(DAYS).astype("category"),
    "polars Date": pl.Series(DAYS.date.tolist()),
    "polars Datetime": pl.Series(DAYS.to_pydatetime().tolist()),
    "polars Time": pl.Series([dt.time(20, 20)] * 40),
}
TIMES = {
    "timedelta64": SPANS.to_numpy(),
    "timedeltas": SPANS.to_pytimedelta(),
    "Timedeltas": np.array(list(SPANS), object),
    "one span": later(dt.timedelta(hours=1)),
    "pandas": pd.Series(SPANS),
    "polars Duration": pl.Series(SPANS.to_pytimedelta().tolist()),
}
WHEN = [*(("dates", *x) for x in DATES.items()), *(("spans", *x) for x in TIMES.items())]


def as_column(values):
    """A matrix of that column and another, of the kind of the column."""
    if isinstance(values, pl.Series):
        return pl.DataFrame({"age": Y, "when": values})
    if isinstance(values, (pd.Series, pd.Index)):
        return pd.DataFrame({"age": Y, "when": pd.Series(values)})
    return [[a, b] for a, b in zip(Y.tolist(), list(values), strict=True)]


@pytest.mark.parametrize(
    ("what", "name", "values"), WHEN, ids=lambda x: x if isinstance(x, str) else ""
)
def test_dates_and_spans_of_time_are_refused_with_what_to_make_of_them(what, name, values):
    fitted = model(MLPRegressor).fit(X[:, :2], Y)
    classes = model(MLPClassifier).fit(X, Y > 0)
    matrix = as_column(values)
    column = "column 'when'" if hasattr(matrix, "columns") else "column 1"
    if name == "one date":
        assert "row 2" in refused(lambda: model(MLPRegressor).fit(matrix, Y))
    known = model(MLPRegressor).fit(pd.DataFrame({"age": Y, "when": Y}), Y)
    calls = [
        (column, lambda: model(MLPRegressor).fit(matrix, Y)),
        (column, lambda: model(MLPClassifier).fit(matrix, Y > 0)),
        (column, lambda: model(MLPRegressor).partial_fit(matrix, Y)),
        (column, lambda: (known if hasattr(matrix, "columns") else fitted).predict(matrix)),
        (column, lambda: (known if hasattr(matrix, "columns") else fitted).score(matrix, Y)),
        (column, lambda: model(MLPRegressor).fit(X[:, :2], Y, X_val=matrix, y_val=Y)),
        ("y has", lambda: model(MLPRegressor).fit(X, values)),
        ("y has", lambda: model(MLPClassifier).fit(X, values)),
        ("y has", lambda: model(MLPRegressor).partial_fit(X, values)),
        ("y has", lambda: fitted.score(X[:, :2], values)),
        ("y has", lambda: classes.score(X, values)),
        ("y has", lambda: model(MLPRegressor).fit(X, Y, X_val=X, y_val=values)),
        ("classes has", lambda: model(MLPClassifier).partial_fit(X, Y > 0, classes=values)),
        ("sample_weight has", lambda: model(MLPRegressor).fit(X, Y, sample_weight=values)),
        ("sample_weight has", lambda: fitted.score(X[:, :2], Y, values)),
    ]
    for place, call in calls:
        message = refused(call)
        assert place in message
        assert {"dates": "year, month", "spans": "seconds"}[what] in message
        assert (
            "2020" in message or "1:00:00" in message or "01:00:00" in message or "20:20" in message
        )
        if hasattr(values, "dt") and place != "classes has":
            assert ".dt.total_seconds()" in message


MISSING = [None, pd.NA, float("nan"), np.float64("nan"), pd.NaT]


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("container", [list, np.asarray, pd.Series, "frame"])
def test_what_is_missing_is_named_with_its_place(container, value):
    def given(of):
        cells = later(value, of=of)
        return (
            cells.tolist()
            if container is list
            else cells
            if container is np.asarray
            else pd.Series(cells)
        )

    if container == "frame":
        frame = pd.DataFrame({"age": Y, "size": later(value)})
        message = refused(lambda: model(MLPRegressor).fit(frame, Y))
        assert "X contains NaN" in message
        assert "row 2, column 'size'" in message
        assert "SimpleImputer" in message
        assert "row 2, column 'size'" in refused(lambda: model(MLPRegressor).fit(X, frame))
        return
    for of, kind in ((Y, MLPRegressor), (WORDS, MLPClassifier), (Y > 0, MLPClassifier)):
        message = refused(partial(model(kind).fit, X, given(of)))
        assert "y contains NaN" in message
        assert "row 2" in message
        assert f"({value!r})" in message or "(nan)" in message
    message = refused(lambda: model(MLPRegressor).fit(X, Y, sample_weight=given(np.abs(Y))))
    assert "sample_weight contains NaN" in message


NOT_NUMBERS = {
    "a word": ("wide", "'wide'"),
    "a NumPy word": (np.str_("wide"), "'wide'"),
    "nothing": ("", "''"),
    "a missing word": ("nan", "'nan'"),
    "a word of infinity": ("inf", "'inf'"),
    "a comma": ("1,5", "'1,5'"),
    "an underscore": ("1_000", "'1_000'"),
    "hexadecimal": ("0x10", "'0x10'"),
    "a percentage": ("5%", "'5%'"),
    "bytes": (b"wide", "b'wide'"),
    "a dict": ({"a": 1}, "{'a': 1}"),
    "a complex number": (1j, "1j"),
    "a large number": (10**400, "1329 bits"),
    "a NumPy infinity": (np.float64("inf"), "inf"),
    "an infinity": ("1e999", "inf"),
}


@pytest.mark.parametrize("what", NOT_NUMBERS)
def test_what_is_no_number_is_named_with_its_place(what):
    value, words = NOT_NUMBERS[what]
    frame = pd.DataFrame({"age": Y, "size": later(value)})
    fitted = model(MLPRegressor).fit(frame.assign(size=Y), Y)
    for kind, call in (
        ("column 'size'", lambda: model(MLPRegressor).fit(frame, Y)),
        ("column 1", lambda: model(MLPRegressor).fit(frame.to_numpy(), Y)),
        ("column 1", lambda: model(MLPRegressor).fit(frame.to_numpy().tolist(), Y)),
        ("column 'size'", lambda: fitted.predict(frame)),
        ("column 'size'", lambda: model(MLPRegressor).fit(X, frame)),
        ("y ", lambda: model(MLPRegressor).fit(X, frame["size"])),
        ("y ", lambda: model(MLPRegressor).fit(X, frame["size"].tolist())),
        ("sample_weight ", lambda: fitted.fit(X, Y, sample_weight=later(value, of=np.abs(Y)))),
    ):
        message = refused(call)
        if what != "a complex number":  # of a whole array then
            assert kind in message
            assert "row 2" in message
        assert words in message or "complex128" in message


def test_columns_of_words_are_listed_up_to_a_few():
    frame = pd.DataFrame({"age": Y} | {f"kind {i}": WORDS for i in range(5)})
    columns = {name: column.to_numpy() for name, column in frame.items()}
    for given in (frame, pl.DataFrame(columns), frame.astype({"kind 0": "category"})):
        message = refused(partial(model(MLPRegressor).fit, given, Y))
        assert "column 'kind 0' ('wide' in row 0)".replace("wide", WORDS[0]) in message
        assert "column 'kind 2'" in message
        assert "and 2 more" in message
        assert "OneHotEncoder" in message
        assert "kind 3" not in message
    message = refused(lambda: model(MLPRegressor).fit(frame[["age", "kind 4"]], Y))
    assert "column 'kind 4'" in message
    assert "more" not in message


@pytest.mark.parametrize("index", [range(40), range(100, 140)])
def test_the_target_is_blamed_for_its_own_faults(index):
    assert "y contains 'abc' in row 1" in refused(
        lambda: model(MLPRegressor).fit(X, pd.Series(["1", "abc"] * 20, index=index))
    )
    assert "y has rows of different lengths: row 0 has 2, row 1 has 1" in refused(
        lambda: model(MLPRegressor).fit(X[:2], [[1, 2], [3]])
    )
    assert "X has rows of different lengths: row 0 has 2, row 2 has 3" in refused(
        lambda: model(MLPRegressor).fit([[1, 2], [3, 4], [5, 6, 7]], [1, 2, 3])
    )
    assert "X has 40, y has 39" in refused(lambda: model(MLPClassifier).fit(X, (Y > 0)[:-1]))
    mixed = np.array([1, *WORDS[1:]], object)
    for given in (mixed, mixed.tolist(), pd.Series(mixed)):
        message = refused(partial(model(MLPClassifier).fit, X, given))
        assert f"y has '{WORDS[1]}' in row 1 beside 1 in row 0" in message
    assert "y has 1180591620717411303424 in row 0" in refused(
        lambda: model(MLPClassifier).fit(X, [2**70, *[1] * 39])
    )


@pytest.mark.parametrize("wrap", [lambda array: array, list], ids=["array", "list"])
def test_masked_entries_are_refused(wrap):
    masked = np.ma.masked_array(X, np.zeros_like(X, bool))
    masked[3, 1] = np.ma.masked
    column = np.ma.masked_array(np.abs(Y), np.arange(40) == 3)
    fitted = model(MLPRegressor).fit(X, Y)
    for name, call in (
        ("X is masked in row 3, column 1", lambda: model(MLPRegressor).fit(wrap(masked), Y)),
        ("X is masked in row 3, column 1", lambda: fitted.predict(wrap(masked))),
        ("X is masked in row 3, column 1", lambda: fitted.score(wrap(masked), Y)),
        ("y is masked in row 3, column 1", lambda: model(MLPRegressor).fit(X, wrap(masked))),
        ("y is masked in row 3", lambda: model(MLPRegressor).fit(X, wrap(column))),
        ("y is masked in row 3", lambda: fitted.score(X, wrap(column))),
        ("y is masked in row 3", lambda: model(MLPRegressor).partial_fit(X, wrap(column))),
        ("y is masked in row 3", lambda: model(MLPClassifier).fit(X, wrap(column > 1))),
        ("sample_weight is masked in row 3", lambda: fitted.fit(X, Y, wrap(column))),
    ):
        assert name in refused(call)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.coo_matrix])
def test_sparse_targets_that_are_no_labels_are_refused(make):
    assert "y.toarray()" in refused(lambda: model(MLPRegressor).fit(X, make(X)))
    assert "y.toarray()" in refused(lambda: model(MLPClassifier).fit(X, make(Y[:, None] > 0)))
    vector = sparse.coo_array(Y > 0)
    if vector.ndim == 1:  # since SciPy 1.13
        for kind in (MLPRegressor, MLPClassifier):
            assert "y.toarray()" in refused(partial(model(kind).fit, X, vector))


def test_what_is_no_matrix_is_said():
    lazy = refused(lambda: model(MLPRegressor).fit(pl.DataFrame(X).lazy(), Y))
    assert "a LazyFrame" in lazy
    assert "X.collect()" in lazy
    records = np.zeros(40, dtype=[("age", float), ("size", int)])
    assert "fields age, size" in refused(lambda: model(MLPRegressor).fit(records, Y))
    assert "X.to_frame()" in refused(lambda: model(MLPRegressor).fit(pd.Series(Y), Y))
    for wrong in (set(Y), (y for y in Y), None, 3.0):
        refused(partial(model(MLPRegressor).fit, wrong, Y))
        for kind in (MLPRegressor, MLPClassifier):
            refused(partial(model(kind).fit, X, wrong))


# -------------------- values in sentences

wide, three = np.str_("wide"), np.int64(-3)
SHOWN = {
    "solver": lambda: model(MLPRegressor, solver=wide).fit(X, Y),
    "activation": lambda: model(MLPRegressor, activation=[wide]).fit(X, Y),
    "sizes": lambda: model(MLPRegressor, hidden_layer_sizes=(three,)).fit(X, Y),
    "alpha": lambda: model(MLPRegressor, alpha=np.float32(-0.5)).fit(X, Y),
    "dropout": lambda: model(MLPRegressor, dropout=[np.float64(2)]).fit(X, Y),
    "dropouts": lambda: model(MLPRegressor, dropout=[np.float64(0.5)] * 5).fit(X, Y),
    "lbfgs": lambda: model(MLPRegressor, solver="lbfgs", dropout=np.float64(0.5)).fit(X, Y),
    "head": lambda: model(MLPRegressor, head=wide).fit(X, Y),
    "scoring": lambda: model(MLPRegressor, scoring=wide).fit(X, Y),
    "score": lambda: model(MLPRegressor, scoring=lambda e, X, y: wide).fit(X, Y),
    "schedule": lambda: model(MLPRegressor, learning_rate=lambda t: np.float64("nan")).fit(X, Y),
    "weights of classes": lambda: model(MLPClassifier, class_weight={wide: 1}).fit(X, Y > 0),
    "balanced labels": lambda: model(MLPClassifier, class_weight={wide: 1}).fit(X, X > 0),
    "smoothing": lambda: model(MLPClassifier, head="hinge", label_smoothing=np.float64(0.5)).fit(
        X, Y > 0
    ),
    "classes": lambda: model(MLPClassifier).partial_fit(X, Y > 0, classes=[wide, wide]),
    "other classes": lambda: (
        model(MLPClassifier)
        .partial_fit(X, WORDS, classes=np.unique(WORDS))
        .partial_fit(X, WORDS, classes=[wide])
    ),
    "order": lambda: model(MLPClassifier, head="ordinal").fit(X, list(WORDS)),
    "ordinal": lambda: Ordinal(wide),
    "ordinal classes": lambda: Ordinal(classes=[wide, wide]),
    "outside": lambda: model(MLPClassifier, head=Ordinal(classes=[wide])).fit(X, WORDS),
    "huber": lambda: Huber(np.float64(-1)),
    "student": lambda: StudentT(df=np.float64(-1)),
    "quantiles": lambda: Quantile([np.float64(0.5), np.float64(0.2)]),
    "tweedie": lambda: Tweedie(np.float64(0.5)),
    "dispersion": lambda: NegativeBinomial(np.float64(-1)),
    "learned": lambda: Learned(np.float64("inf")),
    "width": lambda: RadialBasis(np.float64(-1)),
    "seconds": lambda: TimeLimit(np.float64(-1)),
    "levels": lambda: model(MLPRegressor, head="gaussian").fit(X, Y).predict_quantiles(X, [three]),
    "coverage": lambda: (
        model(MLPRegressor, head="gaussian").fit(X, Y).predict_interval(X, np.float64(2))
    ),
    "layer": lambda: model(MLPRegressor).fit(X, Y).hidden_layer_output(X, np.int64(9)),
    "large": lambda: model(MLPRegressor, alpha=10**400).fit(X, Y),
    "large in a head": lambda: Huber(10**400),
    "large levels": lambda: Quantile([10**400]),
    "large weights": lambda: model(MLPRegressor).fit(X, Y, sample_weight=[10**400] * 40),
    "large weight of a class": lambda: model(MLPClassifier, class_weight={0: 10**400}).fit(
        X, Y > 0
    ),
    "large label": lambda: model(MLPClassifier).partial_fit(X, Y > 0, classes=[0, 10**400]),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_value_is_shown_as_it_is_written(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        message = refused(SHOWN[name])
    assert "np." not in message


def test_the_check_of_shown_values_can_fail():
    assert shown([wide, np.float64(2)]) == "['wide', 2.0]"
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        assert "np." in repr([wide])
