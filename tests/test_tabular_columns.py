"""Tables on their way into networks: read, encoded, and compared with their nearest rows.

What comes out is held against plain formulas, written again here, and against the laws: order of
rows and columns, constant columns, rows of weight 0 and whatever else is in a table change nothing.
"""

import datetime
import itertools
import pickle
from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeRegressor

from skmlp.tabular import encoding as encodings
from skmlp.tabular.boosting import boosted, pays
from skmlp.tabular.columns import Columns, Table
from skmlp.tabular.encoding import Encoding
from skmlp.tabular.forest import Forest
from skmlp.tabular.neighbors import Neighbors
from skmlp.tabular.order import order_of

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NAN = np.nan


def table_of(n=400, seed=0):
    """A frame of all kinds of columns, in which some rows occur twice, and its targets."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "normal": rng.normal(size=n),
            "missing": np.where(rng.random(n) < 0.2, NAN, rng.lognormal(size=n)),
            "mostly zero": np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
            "huge": rng.normal(size=n) * 1e30,
            "tiny": rng.normal(size=n) * 1e-30,
            "whole": rng.integers(0, 7, n),
            "yes or no": rng.random(n) < 0.3,
            "two": rng.choice(["u", "v"], n, p=[0.3, 0.7]),
            "few": rng.choice(list("abcde"), n),
            "many": rng.integers(0, 40, n).astype(str),
        }
    )
    X.loc[::9, "few"] = None
    X.loc[n // 2 : n // 2 + 20] = X.loc[:20].to_numpy()
    X = X.astype({"normal": float, "missing": float, "mostly zero": float, "whole": int})
    X = X.astype({"huge": float, "tiny": float, "yes or no": bool})
    y = np.digitize(X["normal"] + X["whole"] / 3 + rng.normal(size=n), [0, 1.5])
    return X, np.eye(3)[y]


def encoding_of(table, levels, target, **options):
    """An encoding of rows as they come, as if that were an order drawn at random."""
    return Encoding.of(table, tuple(levels), target, **options)


def encoded_of(X, target, *, weights=None, rows=None, **options):
    """All that a network is shown of rows in fit, in their order, and of other rows afterwards."""
    columns, table = Columns.of(X, weights=weights)
    counted = np.arange(len(X)) if weights is None else np.flatnonzero(weights)
    order = order_of(table, [target], counted, 5)
    target = target[order.rows]
    levels = [columns.levels[j] for j in order.codes]
    encoding = encoding_of(order.of(table), levels, target, **options)
    plain = encoding.plain(order.of(table))[:, : encoding.n_plain]
    neighbors = Neighbors.of(plain, target)
    training = np.full((len(X), neighbors.columns(plain[:1]).shape[1]), NAN)
    training[order.rows] = neighbors.training_columns(plain)
    encoded = encoding.transform(order.of_columns(table))
    new = encoding.transform(order.of_columns(columns.read(X if rows is None else rows)))
    later = neighbors.columns(new.dense[:, : encoding.n_plain])
    return encoded, training, new, later


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        if isinstance(one, tuple):
            assert_same(one, other)
        else:
            np.testing.assert_array_equal(one, other)


# What each kind of column is: the container's column, and what it holds.
LETTERS = (["b", "a", None, "b", "c", "b"], [1, 2, 0, 1, 3, 1])
WHOLE = ([3, 1, None, 4, 1, 5], [3, 1, NAN, 4, 1, 5])
KINDS = {
    "int": (lambda: pd.Series([3, 1, 2]), [3, 1, 2]),
    "uint8": (lambda: pd.Series([3, 1, 2], dtype="uint8"), [3, 1, 2]),
    "float32": (lambda: pd.Series([0.5, None], dtype="float32"), [0.5, NAN]),
    "bool": (lambda: pd.Series([True, False]), [1, 0]),
    "Int64": (lambda: pd.Series(WHOLE[0], dtype="Int64"), WHOLE[1]),
    "Float64": (lambda: pd.Series(WHOLE[0], dtype="Float64"), WHOLE[1]),
    "boolean": (lambda: pd.Series([True, None, False], dtype="boolean"), [1, NAN, 0]),
    "sparse": (lambda: pd.Series(pd.arrays.SparseArray([0, 0, 2.0])), [0, 0, 2]),
    "sparse bool": (lambda: pd.Series(pd.arrays.SparseArray([True, False])), [1, 0]),
    "objects, numbers": (
        lambda: pd.Series([1, None, Decimal("2.5"), True, NAN, pd.NA, 2**70], dtype=object),
        [1, NAN, 2.5, 1, NAN, NAN, 2.0**70],
    ),
    "str": (lambda: pd.Series(LETTERS[0]), LETTERS[1]),
    "string": (lambda: pd.Series(LETTERS[0], dtype="string"), LETTERS[1]),
    "category": (lambda: pd.Series(LETTERS[0], dtype="category"), LETTERS[1]),
    "ordered": (
        lambda: pd.Series(pd.Categorical(LETTERS[0], ["z", "c", "b", "a"], ordered=True)),
        LETTERS[1],
    ),
    "category of numbers": (lambda: pd.Series([5, 3, 5], dtype="category"), [1, 2, 1]),
    "objects, text": (
        lambda: pd.Series(["a", pd.NA, NAN, None, "a"], dtype=object),
        [1, 0, 0, 0, 1],
    ),
    "objects, mixed": (
        lambda: pd.Series(["a", 2, 2.0, None, "a", 2], dtype=object),
        [2, 1, 1, 0, 2, 1],
    ),
    "objects, none": (lambda: pd.Series([None, NAN], dtype=object), [0, 0]),
    "intervals": (lambda: pd.cut(pd.Series([0, 5, 1]), 2), [1, 2, 1]),
    "polars Int64": (lambda: pl.Series(WHOLE[0]), WHOLE[1]),
    "polars Float32": (lambda: pl.Series([0.5, None, NAN], dtype=pl.Float32), [0.5, NAN, NAN]),
    "polars Boolean": (lambda: pl.Series([True, None, False]), [1, NAN, 0]),
    "polars Decimal": (lambda: pl.Series([Decimal("1.5"), None]), [1.5, NAN]),
    "polars String": (lambda: pl.Series(LETTERS[0]), LETTERS[1]),
    "polars Categorical": (lambda: pl.Series(LETTERS[0], dtype=pl.Categorical), LETTERS[1]),
    "polars Enum": (lambda: pl.Series(LETTERS[0], dtype=pl.Enum(["c", "b", "a"])), LETTERS[1]),
    "polars Null": (lambda: pl.Series([None, None]), [0, 0]),
    "polars Object": (lambda: pl.Series(["a", 1, None], dtype=pl.Object), [2, 1, 0]),
    "array of text": (lambda: np.array([["b"], ["a"], ["b"]]), [1, 2, 1]),
    "array of objects": (lambda: np.array([["b"], [None], [NAN]], dtype=object), [1, 0, 0]),
    "array of numbers as objects": (lambda: np.array([[1], [None]], dtype=object), [1, NAN]),
    "masked": (lambda: np.ma.masked_array([[1.0], [2.0]], [[False], [True]]), [1, NAN]),
    "lists": (lambda: [[1.5], [None]], [1.5, NAN]),
    "lists of text": (lambda: [["a"], [None]], [1, 0]),
}


def frame(column):
    if isinstance(column, pd.Series):
        return pd.DataFrame({"x": column})
    return pl.DataFrame({"x": column}) if isinstance(column, pl.Series) else column


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_column_is_read(name):
    make, expected = KINDS[name]
    columns, table = Columns.of(frame(make()))
    found = table.codes if columns.levels else table.numbers
    np.testing.assert_array_equal(found[:, 0], expected)
    assert (table.numbers.dtype, table.codes.dtype) == (np.float64, np.int32)
    assert_same(columns.read(frame(make())), table)
    assert_same(pickle.loads(pickle.dumps(columns)).read(frame(make())[:1]), [x[:1] for x in table])


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("int64", *WHOLE),
        ("float32", [0.5, None], [0.5, NAN]),
        ("bool_", [True, None, False], [1, NAN, 0]),
        ("string", *LETTERS),
        ("large_string", *LETTERS),
        ("binary", [b"b", b"a", None, b"b"], [1, 2, 0, 1]),
        ("null", [None, None], [0, 0]),
    ],
)
def test_arrow_columns_are_read(kind, values, expected):
    pa = pytest.importorskip("pyarrow")
    column = pd.Series(values, dtype=pd.ArrowDtype(getattr(pa, kind)()))
    columns, table = Columns.of(frame(column))
    np.testing.assert_array_equal(
        (table.codes if columns.levels else table.numbers)[:, 0], expected
    )
    assert_same(Columns.of(pa.table({"x": pa.array(values, getattr(pa, kind)())}))[1], table)


def test_levels_are_the_same_in_every_frame():
    words, numbers = ["b", None, "a", "b"], [3, 3, 5, 7]
    columns, table = Columns.of(pd.DataFrame({"w": words, "n": numbers}), ["w", "n"])
    for X in (
        pd.DataFrame({"w": pd.Series(words, dtype="category"), "n": np.float32(numbers)}),
        pd.DataFrame({"w": pd.Series(words, dtype=object), "n": pd.Series(numbers, dtype="Int64")}),
        pl.DataFrame({"w": words, "n": numbers}),
        pl.DataFrame({"w": pl.Series(words, dtype=pl.Categorical), "n": numbers}),
    ):
        assert_same(columns.read(X), table)


def test_levels_by_falling_frequency_then_in_sorted_order():
    values = ["d", "b", "c", "b", "a", "c", "e"]
    columns, _ = Columns.of(pd.DataFrame({"x": values}))
    assert columns.vocabularies == ({"b": 1, "c": 2, "a": 3, "d": 4, "e": 5},)
    weights = np.array([1, 0, 1, 0, 1, 1, 0])
    assert Columns.of(pd.DataFrame({"x": values}), weights=weights)[0].vocabularies == (
        {"c": 1, "a": 2, "d": 3},
    )


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ("from_dtype", "ncc"),
        (["a", "s", "c"], "ccc"),
        ([0, 1, 2], "ccc"),
        ([1, "c"], "ncc"),
        (np.array([False, True, True]), "ncc"),
    ],
)
def test_categorical_features(asked, kinds):
    X = pd.DataFrame({"a": [1, 2], "s": ["x", "y"], "c": pd.Categorical([1, 2])})
    assert "".join(kind[0] for kind in Columns.of(X, asked)[0].kinds) == kinds


def test_no_categorical_features():
    X = pd.DataFrame({"a": [1, 2], "c": pd.Categorical([4, 7])})
    np.testing.assert_array_equal(Columns.of(X, None)[1].numbers, [[1, 4], [2, 7]])
    assert Columns.of(X.to_numpy())[0].levels == ()


DAY = datetime.datetime(2024, 1, 31, 12)
DATES = {
    "datetime64": lambda: pd.Series([DAY, pd.NaT]),
    "with zone": lambda: pd.Series([DAY, pd.NaT]).dt.tz_localize("Asia/Tokyo"),
    "datetime": lambda: pd.Series([DAY, None], dtype=object),
    "Timestamp": lambda: pd.Series([pd.Timestamp(DAY), pd.NaT], dtype=object),
    "zone of its own": lambda: pd.Series([DAY.replace(tzinfo=datetime.UTC), None], dtype=object),
    "period": lambda: pd.Series([DAY, pd.NaT]).dt.to_period("h"),
    "polars": lambda: pl.Series([DAY, None]),
    "polars with zone": lambda: pl.Series([DAY, None]).dt.replace_time_zone("Asia/Tokyo"),
    "array": lambda: np.array([["2024-01-31T12"], ["NaT"]], dtype="M8[h]"),
    "array of objects": lambda: np.array([[DAY], [None]], dtype=object),
}
DURATIONS = {
    "timedelta64": lambda: pd.Series([pd.Timedelta(hours=12), pd.NaT]),
    "timedelta": lambda: pd.Series([datetime.timedelta(hours=12), None], dtype=object),
    "time of day": lambda: pd.Series([datetime.time(12), None], dtype=object),
    "polars": lambda: pl.Series([datetime.timedelta(hours=12), None]),
    "polars time of day": lambda: pl.Series([datetime.time(12), None]),
    "array": lambda: np.array([[12], ["NaT"]], dtype="m8[h]"),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_refused_or_taken_apart(name):
    X = frame(DATES[name]())
    with pytest.raises(ValueError, match=r"^Column ('x'|0) holds dates.*year, month.*parts"):
        Columns.of(X)
    columns, table = Columns.of(X, dates="parts")
    np.testing.assert_array_equal(table.numbers, [[2024, 1, 2, 19753.5], [NAN] * 4])
    assert_same(columns.read(X), table)


@pytest.mark.parametrize("name", DURATIONS)
def test_durations_are_refused_or_made_days(name):
    X = frame(DURATIONS[name]())
    with pytest.raises(ValueError, match=r"^Column ('x'|0) holds durations.*in days.*parts"):
        Columns.of(X)
    np.testing.assert_array_equal(Columns.of(X, dates="parts")[1].numbers, [[0.5], [NAN]])


def test_dates_are_one_of_two_words():
    with pytest.raises(ValueError, match='dates must be "refuse" or "parts", got \'keep\''):
        Columns.of(np.ones((2, 2)), dates="keep")


def test_parts_of_dates_stand_where_the_date_stood():
    X = pd.DataFrame({"a": [1, 2], "d": pd.Series([DAY, DAY]), "b": [3, 4]})
    numbers = Columns.of(X, dates="parts")[1].numbers
    np.testing.assert_array_equal(numbers[0], [1, 2024, 1, 2, 19753.5, 3])


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (sparse.csr_matrix(np.eye(3)), "Sparse data .*toarray"),
        (pl.DataFrame({"a": [1]}).lazy(), "LazyFrame.*collect"),
        ([[1, 2], [3]], "rows of different lengths"),
        ([1, 2], "Reshape your data"),
        (pd.Series([1, 2]), "Reshape your data"),
        (pl.Series([1, 2]), "Reshape your data"),
        (None, "Expected 2D array, got None"),
        (np.zeros((0, 2)), r"0 sample\(s\)"),
        (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
        (np.zeros((2, 0)), r"0 feature\(s\)"),
        (np.ones((2, 2)) * 1j, "Complex data not supported"),
        (pd.DataFrame({"a": [1j]}), "Complex data not supported: Column 'a'"),
        (
            pd.DataFrame({"a": [1.0, NAN, -np.inf]}),
            r"Column 'a' contains infinity \(-inf\) in row 2",
        ),
        (pd.DataFrame({2020: [np.inf]}), r"Column 2020 contains infinity \(inf\) in row 0"),
        (np.array([[1.0, np.inf]]), r"Column 1 contains infinity \(inf\) in row 0"),
        (np.array([[10**400, "a"]], dtype=object), "Column 0 contains infinity"),
        (pd.DataFrame({"a": [[1], [2]]}), "Column 'a' holds values that are neither"),
        (pl.DataFrame({"a": [[1], [2]]}), "Column 'a' holds values that are neither"),
        (pd.DataFrame([[1, 2]], columns=["a", 0]), "Feature names are only supported"),
    ],
)
def test_what_is_no_table_is_refused(X, match):
    with pytest.raises((ValueError, TypeError), match=match):
        Columns.of(X)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ("all", "categorical_features must be \"from_dtype\", .* got 'all'"),
        (["b"], r"names 'b', which is no column of X: X has \['a', 's'\]"),
        ([2], "names 2, which is no column of X"),
        ([-1], "names -1, which is no column"),
        ([True], "mask of 1 values, but X has 2 features"),
        ([1.5], "names 1.5"),
        (None, "Column 's' contains 'x', but it is a column of numbers"),
        (["a"], "Column 's' contains 'x', but it is a column of numbers"),
    ],
)
def test_categorical_features_that_are_none_are_refused(asked, match):
    with pytest.raises(ValueError, match=match):
        Columns.of(pd.DataFrame({"a": [1, 2], "s": ["x", "y"]}), asked)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X: X.rename(columns={"n": "m"}), "unseen at fit time:\n- m\n.*now missing:\n- n\n"),
        (lambda X: X[["s", "n", "d", "k"]], "must be in the same order"),
        (lambda X: X.assign(more=1), "unseen at fit time:\n- more"),
        (lambda X: X.drop(columns="s"), "now missing:\n- s"),
        (lambda X: X.assign(n="3"), "Column 'n' contains '3', but it is a column of numbers"),
        (lambda X: X.assign(n=X["d"]), "Column 'n' holds dates, but held numbers in fit"),
        (lambda X: X.assign(d=3), "Column 'd' holds numbers, but held dates in fit"),
        (lambda X: X.assign(d="2024"), "Column 'd' holds values, but held dates in fit"),
        (lambda X: X.assign(s=3), "Column 's' contains 3, but held values of another type"),
        (lambda X: X.assign(s=X["d"]), "Column 's' contains .* but held values of another type"),
        (lambda X: X.assign(k="3"), "Column 'k' contains '3', but held values of another type"),
        (lambda X: X.assign(k=pd.Series([1, "3"], dtype=object)), "Column 'k' contains '.', but"),
        (lambda X: X.assign(n=np.inf), "Column 'n' contains infinity"),
    ],
)
@pytest.mark.parametrize("polars", [False, True])
def test_other_columns_than_in_fit_are_refused_by_name(change, match, polars):
    X = pd.DataFrame({"n": [1.0, 2], "s": ["a", "b"], "d": pd.Series([DAY, DAY]), "k": [1, 2]})
    columns, table = Columns.of(X, ["s", "k"], dates="parts")
    other = change(X)
    convert = (lambda X: pl.DataFrame(X.to_dict("list"), strict=False)) if polars else lambda X: X
    assert_same(columns.read(convert(X)), table)
    with pytest.raises(ValueError, match=f"(?s){match}"):
        columns.read(convert(other))


def test_other_numbers_of_columns_and_names_are_told_as_scikit_learn_does():
    columns, _ = Columns.of(np.ones((2, 4)))
    with pytest.raises(
        ValueError, match="X has 1 features, but Net is expecting 4 features as inp"
    ):
        columns.read(np.ones((2, 1)), name="Net")
    with pytest.warns(UserWarning, match="X has feature names, but Net was fitted without"):
        columns.read(pd.DataFrame(np.ones((2, 4)), columns=list("abcd")), name="Net")
    columns, _ = Columns.of(pd.DataFrame({"a": [1]}))
    assert columns.names.tolist() == ["a"]
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Net was"):
        columns.read(np.ones((2, 1)), name="Net")


@pytest.mark.parametrize("value", [None, "never seen"])
def test_unknown_levels_are_missing(value):
    X, target = table_of()
    columns, table = Columns.of(X)
    encoding = encoding_of(table, columns.levels, target)
    other = X.astype(dict.fromkeys(["two", "few", "many"], object))
    missing = other.assign(two=None, few=None, many=None)
    unknown = other.assign(two=value, few=value, many=value).astype(missing.dtypes)
    assert_same(
        encoding.transform(columns.read(unknown)), encoding.transform(columns.read(missing))
    )
    assert not np.any(columns.read(missing).codes)


def reference(X, target, edges, n_bins=48, max_encoded=512, max_onehot=12):
    """The recipe's columns, by plain formulas, one after another."""
    numbers = [name for name in X if X[name].dtype.kind in "iufb" and X[name].nunique() > 1]
    plain, indicators, categories, steps, codes = [], [], [], [], []
    bins = min(n_bins, max_encoded // len(numbers))
    for name in numbers:
        x = X[name].to_numpy(dtype=float)
        missing, v = np.isnan(x), x[~np.isnan(x)]
        filled = np.where(missing, np.median(v), x)
        q25, q75 = np.quantile(filled, [0.25, 0.75])
        z = (filled - np.median(filled)) / (q75 - q25 if q75 > q25 else np.ptp(v) / 2)
        plain.append(z / np.sqrt(1 + (z / 3) ** 2))
        if missing.any():
            indicators.append(missing * 1.0)
        if len(np.unique(v)) <= bins + 1:
            e = np.unique(v)
        elif edges == "quantile":
            e = np.unique(np.quantile(v, np.linspace(0, 1, bins + 1)))
        else:
            leaves = bins if edges == "tree" else bins // 2
            unit = np.max(np.abs(v))  # trees compare float32
            tree = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=20, random_state=0)
            tree = tree.fit((v / unit)[:, None], target[~missing]).tree_
            e = np.append(tree.threshold[tree.feature >= 0] * unit, [v.min(), v.max()])
            if edges == "both":
                e = np.append(e, np.quantile(v, np.linspace(0, 1, bins // 2 + 1)))
            e = np.unique(e)
        for low, high in itertools.pairwise(e):
            if len(e) > 2:
                steps.append(np.where(missing, 0, np.clip((filled - low) / (high - low), 0, 1)))
    for name in [name for name in X if X[name].dtype.kind not in "iufb"]:
        counts = X[name].value_counts()
        levels = sorted(counts.index, key=lambda level, counts=counts: (-counts[level], level))
        if len(levels) == 2:
            categories.append((X[name] == levels[0]) * 1.0 - (X[name] == levels[1]))
        elif len(levels) <= max_onehot:
            categories += [(X[name] == level) * 1.0 for level in levels]
        else:
            codes.append([levels.index(v) + 1 if v in levels else 0 for v in X[name]])
    dense = np.column_stack(plain + indicators + categories + steps)
    return dense, len(plain + indicators + categories), np.array(codes).T


@pytest.mark.parametrize("edges", ["quantile", "tree", "both"])
@pytest.mark.parametrize("options", [{}, {"max_encoded": 60, "max_onehot": 4}, {"n_bins": 1}])
def test_encoding_is_the_recipe(edges, options):
    X, target = table_of()
    columns, table = Columns.of(X)
    encoding = encoding_of(table, columns.levels, target, edges=edges, **options)
    encoded = encoding.transform(table)
    if options == {"n_bins": 1}:
        assert encoded.dense.shape[1] == encoding.n_plain
        return
    dense, n_plain, codes = reference(X, target, edges, **options)
    assert (encoded.dense.dtype, encoding.n_plain) == (np.float32, n_plain)
    np.testing.assert_allclose(encoded.dense, dense, atol=2e-5)  # as its trees compare float32
    np.testing.assert_array_equal(encoded.codes, codes)
    assert encoding.embedded == tuple(np.max(codes, axis=0))


def reference_neighbors(rows, target, queries, own, groups=None, weights=None, counts=(1, 5, 20)):
    """The recipe's columns, one query and one distance after another."""
    found = []
    weights = np.ones(len(rows)) if weights is None else weights
    for i, q in enumerate(np.float64(queries)):
        d = np.sqrt(np.sum((rows - q) ** 2, axis=1))
        d[weights == 0] = np.inf
        if own:
            d[i if groups is None else groups == groups[i]] = np.inf
        near = np.argsort(d, kind="stable")[: min(max(counts), np.sum(np.isfinite(d)))]
        w, t, d = weights[near], target[near], d[near]
        parts = [np.average(t[:k], axis=0, weights=w[:k]) for k in counts]
        kernel = w * np.exp(-2 * (d / d[:5].mean()) ** 2)
        parts += [np.average(t, axis=0, weights=kernel), [np.log(d[0] + 1e-3) / 3]]
        found.append(np.concatenate(parts))
    return np.array(found)


def coordinates(rng, n, d):
    """Numbers that no unit rounds: in float32 it is 1/64 for 30 columns."""
    numbers = rng.normal(size=(n, d))
    return (numbers if d < 9 else np.rint(64 * numbers) / 64).astype(np.float32)


@pytest.mark.parametrize("d", [2, 30])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_neighbors_are_the_recipe(d, grouped, weighted):
    rng = np.random.default_rng(d)
    rows, target = coordinates(rng, 700, d), rng.normal(size=(700, 3))
    groups = rng.integers(0, 90, 700) if grouped else None
    weights = rng.integers(1, 4, 700) / 3 if weighted else None
    neighbors = Neighbors.of(rows, target, weights=weights)
    expected = reference_neighbors(rows, target, rows, True, groups, weights)
    np.testing.assert_allclose(neighbors.training_columns(rows, groups), expected, atol=2e-4)
    queries = coordinates(rng, 40, d)
    expected = reference_neighbors(rows, target, queries, False, None, weights)
    np.testing.assert_allclose(neighbors.columns(queries), expected, atol=2e-4)
    again = pickle.loads(pickle.dumps(neighbors))
    np.testing.assert_array_equal(again.columns(queries), neighbors.columns(queries))


@pytest.mark.parametrize("d", [3, 20])
@pytest.mark.parametrize("n", [1500, 50])
def test_a_row_is_never_its_own_neighbor_but_a_copy_of_it_is(d, n):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (n, d)).astype(np.float32)
    rows[-2:] = 2.5  # two alike, and unlike all others
    target = np.arange(n)[:, None] / n
    columns = Neighbors.of(rows, target, counts=(1,)).training_columns(rows)
    assert not np.any(columns[:-2, 0] == np.float32(target[:-2, 0]))
    np.testing.assert_array_equal(columns[-2:, 0], np.float32(target[[-1, -2], 0]))
    np.testing.assert_allclose(columns[-2:, -1], np.log(1e-3) / 3, rtol=1e-6)
    # the check can fail: for new rows, the row itself is nearest
    columns = Neighbors.of(rows, target, counts=(1,)).columns(rows)
    np.testing.assert_array_equal(columns[-2:, 0], [columns[-1, 0]] * 2)


@pytest.mark.parametrize("d", [3, 20])
def test_a_row_alone_is_the_row_among_many(d, monkeypatch):
    rng = np.random.default_rng(0)
    rows = np.round(rng.normal(size=(3000, d)), 1).astype(np.float32)
    neighbors = Neighbors.of(rows[:2500], rng.normal(size=(2500, 2)))
    many = neighbors.columns(rows[2300:])
    for block in (1, 7):
        parts = [neighbors.columns(rows[i : i + block]) for i in range(2300, 3000, block)]
        np.testing.assert_array_equal(np.concatenate(parts), many)
    monkeypatch.setattr("skmlp.tabular.neighbors._BYTES_AT_ONCE", 1 << 16)
    np.testing.assert_array_equal(neighbors.columns(rows[2300:]), many)


def test_an_encoded_row_alone_is_the_row_among_many():
    X, target = table_of()
    columns, table = Columns.of(X)
    encoding = encoding_of(table, columns.levels, target)
    alone = [encoding.transform(columns.read(X[i : i + 1])) for i in range(50)]
    whole = encoding.transform(columns.read(X))
    np.testing.assert_array_equal(np.concatenate([one.dense for one in alone]), whole.dense[:50])
    again = pickle.loads(pickle.dumps(encoding))
    assert_same(again.transform(table), whole)


SIZES = pytest.mark.parametrize("most", [20_000, 150])  # all rows, and a sample of them


def in_any_order(*arrays):
    """Rows of arrays side by side, sorted: what holds the same may change places."""
    rows = np.hstack([np.nan_to_num(array, nan=-99.0) for array in arrays])
    return rows[np.lexsort(rows.T)]


@SIZES
def test_the_order_of_rows_changes_nothing(most, monkeypatch):
    monkeypatch.setattr(encodings, "_MOST_SAMPLED", most)
    X, target = table_of()
    order = np.random.default_rng(1).permutation(len(X))
    encoded, training, new, later = encoded_of(X, target)
    moved = encoded_of(X.iloc[order], target[order], rows=X)
    assert_same(moved[0], [x[order] for x in encoded])
    one = in_any_order(encoded.dense, target, training)
    np.testing.assert_array_equal(in_any_order(moved[0].dense, target[order], moved[1]), one)
    assert_same(moved[2:], (new, later))
    # the check can fail: the first rows of another order are another sample
    unordered = [
        encoding_of(table, columns.levels, y, edges="quantile").transform(columns.read(X)).dense
        for (columns, table), y in ((Columns.of(X), target), (Columns.of(X[::-1]), target[::-1]))
    ]
    assert np.array_equal(*unordered) == (most > len(X))


@SIZES
def test_the_order_of_columns_changes_nothing(most, monkeypatch):
    monkeypatch.setattr(encodings, "_MOST_SAMPLED", most)
    X, target = table_of()
    assert_same(encoded_of(X[X.columns[::-1]], target), encoded_of(X, target))


@SIZES
@pytest.mark.parametrize("constant", [7.5, True, "word", NAN, None, pd.NaT, 1e30], ids=repr)
def test_a_constant_column_changes_nothing(constant, most, monkeypatch):
    monkeypatch.setattr(encodings, "_MOST_SAMPLED", most)
    X, target = table_of()
    if constant is pd.NaT:
        constant = pd.Series([pd.NA] * len(X), dtype="Int64")
    more = X.copy()
    more.insert(3, "constant", constant)
    assert_same(encoded_of(more, target), encoded_of(X, target))


@SIZES
def test_a_row_of_weight_0_is_no_row(most, monkeypatch):
    monkeypatch.setattr(encodings, "_MOST_SAMPLED", most)
    X, target = table_of()
    weights = np.ones(len(X))
    weights[::3] = 0
    X.loc[::3, "few"] = "new"
    X.loc[::3, "huge"] *= 1000
    X.loc[::3, "normal"] = NAN
    counted = weights > 0
    encoded, training, new, later = encoded_of(X, target, weights=weights)
    fewer = encoded_of(X[counted], target[counted], weights=weights[counted], rows=X)
    assert_same(fewer[0], [x[counted] for x in encoded])
    np.testing.assert_array_equal(fewer[1], training[counted])
    assert_same(fewer[2:], (new, later))
    # the check can fail: with weight 1 they are rows
    assert encoded_of(X, target)[0].dense.shape != encoded.dense.shape


@pytest.mark.parametrize("d", [7, 300])  # by tree, by products
def test_distances_are_exact(d):
    """Rows of the same coordinates in any order are equally far from equal coordinates."""
    rng = np.random.default_rng(0)
    rows = rng.permuted(np.tile(rng.normal(size=d), (500, 1)), axis=1).astype(np.float32)
    target, queries = rng.normal(size=(500, 1)), np.linspace(-3, 3, 50)[:, None] * np.ones(d)
    found = [Neighbors.of(x, target).columns(queries) for x in (rows, rows[:, ::-1])]
    np.testing.assert_array_equal(found[0][:, -1], found[1][:, -1])
    if d > 8:  # the first of 500 that are equally far: the same for every query
        np.testing.assert_array_equal(*found)
        np.testing.assert_array_equal(found[0][:, :-1], np.tile(found[0][0, :-1], (50, 1)))


def test_an_order_is_one_of_the_rows_as_if_drawn_at_random():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 3, (1000, 3)).astype(float), rng.normal(size=1000)
    rows, codes = np.flatnonzero(rng.random(1000) < 0.8), np.empty((1000, 0), np.int32)
    order = order_of(Table(X, codes), [y], rows, 5).rows
    np.testing.assert_array_equal(np.sort(order), rows)
    # as any random sample: of rows that occur often, the share that they have
    share = np.mean(np.all(X[order[:200], :2] == X[0, :2], axis=1))
    assert abs(share - np.mean(np.all(X[:, :2] == X[0, :2], axis=1))) < 0.08
    assert not np.array_equal(order_of(Table(X, codes), [y], rows, 6).rows, order)
    np.testing.assert_array_equal(order_of(Table(X, codes), [1e9 * y - 3], rows, 5).rows, order)
    assert len(order_of(Table(X, codes), [y], rows[:0], 5).rows) == 0


@pytest.mark.parametrize("scale", [1e300, 1e30, 1.0, 1e-30, 1e-300])
@pytest.mark.parametrize("edges", ["quantile", "both"])
def test_nothing_overflows_and_scale_changes_nothing(scale, edges):
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_cauchy((300, 1)) * 64)
    target = rng.normal(size=(300, 1))
    found = []
    for factor in (1.0, scale):
        columns, table = Columns.of(x * factor)
        encoding = encoding_of(table, columns.levels, target, edges=edges)
        largest = np.finfo(float).max
        new = np.concatenate([x * factor, [[largest], [-largest], [NAN], [0.0]]])
        dense = encoding.transform(columns.read(new)).dense
        assert np.all(np.abs(dense) <= 3)
        found.append(dense)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


def test_missing_where_none_was_in_fit_is_the_median():
    x = np.arange(101.0)[:, None]
    columns, table = Columns.of(x)
    encoding = encoding_of(table, columns.levels, x)
    dense = encoding.transform(columns.read([[NAN], [50.0]])).dense
    np.testing.assert_array_equal(dense[0], dense[1])


@pytest.mark.parametrize(
    ("X", "d", "embedded"),
    [
        (np.full((30, 2), NAN), 0, ()),
        (np.ones((30, 1)), 0, ()),
        (np.array([[None]] * 30), 0, ()),
        (np.array([["a"]] * 30, dtype=object), 0, ()),
        (np.array([["a"]] * 29 + [[None]], dtype=object), 1, ()),
        (np.array([[1.0]] * 29 + [[NAN]]), 1, ()),
        (np.array([["a"]] * 29 + [["b"]], dtype=object), 1, ()),
        (np.arange(2.0)[:, None], 1, ()),
        (np.arange(3.0)[:, None], 3, ()),
        (np.zeros((1, 3)), 0, ()),
        (np.arange(30.0)[:, None] * np.ones(2), 2 + 2 * 29, ()),
        (np.arange(10_000)[:, None].astype(str), 0, (10_000,)),
        (np.random.default_rng(0).normal(size=(40, 5000)), 5000, ()),
    ],
    ids=lambda value: str(getattr(value, "shape", value)),
)
def test_tables_at_the_edge(X, d, embedded):
    target = np.linspace(-1, 1, len(X))[:, None]
    columns, table = Columns.of(X)
    encoding = encoding_of(table, columns.levels, target)
    encoded = encoding.transform(table)
    assert (encoded.dense.shape, encoding.embedded) == ((len(X), d), embedded)
    neighbors = Neighbors.of(encoded.dense[:, : encoding.n_plain], target, max_candidates=500)
    plain = encoded.dense[:, : encoding.n_plain]
    training, later = neighbors.training_columns(plain), neighbors.columns(plain[:5])
    assert training.shape == (len(X), 5)
    assert np.all(np.isfinite(training))
    assert np.all(np.isfinite(later))


def test_rows_without_any_neighbor_have_columns():
    rows, target = np.eye(12, dtype=np.float32), np.ones((12, 1))
    found = Neighbors.of(rows, target).training_columns(rows, np.zeros(12, int))
    np.testing.assert_allclose(found, [[0, 0, 0, 0, np.log(1.001) / 3]] * 12)


def test_a_copy_of_a_table_is_not_changed():
    X, target = table_of()
    numbers = np.ascontiguousarray(X[["normal", "missing", "whole"]].to_numpy(dtype=float))
    before = numbers.copy()
    columns, table = Columns.of(numbers)
    encoding_of(table, columns.levels, target).transform(Table(*table))
    np.testing.assert_array_equal(numbers, before)


# -------------------- forests


def grown(n=500, d=6, t=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(n, d)), 1).astype(np.float32)
    target = np.eye(t)[rng.integers(0, t, n)] if t > 1 else rng.normal(size=(n, 1))
    given = {"weights": None, "folds": None, "n_trees": 60, "seed": 3} | options
    return rows, target, *Forest.of(rows, target, **given)


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_forest_answers_as_scikit_learns_does(t, weighted):
    weights = np.random.default_rng(1).uniform(0.5, 2, 500) if weighted else None
    rows, target, forest, training = grown(t=t, weights=weights)
    reference = ExtraTreesRegressor(
        60, max_features=3, bootstrap=True, oob_score=True, random_state=3
    )
    reference.fit(rows, target if t > 1 else target[:, 0], weights)
    new = np.random.default_rng(2).normal(size=(300, 6)).astype(np.float32)
    expected = reference.predict(new).reshape(300, t)
    np.testing.assert_allclose(forest.answers(new), expected, atol=1e-6)
    np.testing.assert_allclose(training, reference.oob_prediction_.reshape(500, t), atol=1e-6)
    again = pickle.loads(pickle.dumps(forest))
    np.testing.assert_array_equal(again.answers(new), forest.answers(new))


def test_a_forest_answers_a_row_alone_as_among_many(monkeypatch):
    _, _, forest, _ = grown()
    new = np.random.default_rng(2).normal(size=(60, 6)).astype(np.float32)
    many = forest.answers(new)
    for block in (1, 7):
        parts = [forest.answers(new[i : i + block]) for i in range(0, 60, block)]
        np.testing.assert_array_equal(np.concatenate(parts), many)
    monkeypatch.setattr("skmlp.tabular.forest._NUMBERS_AT_ONCE", 1)
    np.testing.assert_array_equal(forest.answers(new), many)


def test_no_training_row_is_answered_by_a_tree_that_has_seen_it():
    """Targets that are noise are known to trees that have seen them, and to no others."""
    rows, target, forest, training = grown(t=1)
    assert abs(np.corrcoef(training[:, 0], target[:, 0])[0, 1]) < 0.15
    # the check can fail: as new rows they are known
    assert np.corrcoef(forest.answers(rows)[:, 0], target[:, 0])[0, 1] > 0.6
    half = np.arange(250)
    folds = [(half, half + 250), (half + 250, half)]
    rows, target, _, by_folds = grown(t=1, folds=folds)
    assert abs(np.corrcoef(by_folds[:, 0], target[:, 0])[0, 1]) < 0.15


def test_a_row_that_is_in_every_bag_is_answered_by_the_mean():
    weights = np.r_[1e6, np.ones(499)]
    _, target, _, training = grown(weights=weights)
    expected = np.average(target, axis=0, weights=weights)
    is_mean = np.all(np.abs(training - expected) < 1e-6, axis=1)
    # releases of scikit-learn that draw bags without regard to weights leave it out of some
    assert is_mean[0] or np.isclose(training[0].sum(), 1)
    np.testing.assert_allclose(training.sum(axis=1), 1, rtol=1e-5)


def test_trees_are_made_of_the_first_rows_where_there_are_many(monkeypatch):
    monkeypatch.setattr("skmlp.tabular.forest.MOST_ROWS", 200)
    rows, target, forest, training = grown(t=1)
    fewer = Forest.of(rows[:200], target[:200], None, None, 60, 3)
    np.testing.assert_array_equal(training[:200], fewer[1])
    np.testing.assert_array_equal(training[200:], forest.answers(rows[200:]))


# -------------------- boosted trees


def classes_and_rows(k, n=600, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(n, 5)), 2).astype(np.float32)
    classes = (rows[:, 0] + 2 * (rows[:, 1] > 0.3) + rng.normal(size=n) * 0.3 > 1).astype(int)
    if k > 2:
        classes += np.where(rows[:, 2] > 0.8, 1, 0) * (k - 2)
        classes[:k] = np.arange(k)
    return rows, classes, rng.normal(size=(200, 5)).astype(np.float32)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_boosted_trees_answer_as_scikit_learns_do(k, weighted, monkeypatch):
    monkeypatch.setattr("skmlp.tabular.boosting._MOST_ROUNDS", 15)
    rows, classes, new = classes_and_rows(k)
    weights = np.random.default_rng(1).uniform(0.5, 2, 600) if weighted else None
    forest, training = boosted(rows, classes, weights, None, 0)

    def reference(learned, asked):
        model = HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=15,
            early_stopping=False,
            random_state=0,
        )
        given = None if weights is None else weights[learned]
        model.fit(rows[learned], classes[learned], given)
        return model.decision_function(asked).reshape(len(asked), -1)

    every = np.arange(600)
    np.testing.assert_allclose(forest.answers(new), reference(every, new), atol=1e-4)
    for fold in range(5):
        held_out = every % 5 == fold
        learned = np.flatnonzero(~held_out)
        if len(np.unique(classes[learned])) == k:
            expected = reference(learned, rows[held_out])
            np.testing.assert_allclose(training[held_out], expected, atol=1e-4)
    again = boosted(rows, classes, weights, None, 0, n_jobs=2)
    np.testing.assert_array_equal(again[1], training)  # whatever the number of threads


def test_no_training_row_is_answered_by_boosted_trees_that_have_seen_it():
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(400, 4)).astype(np.float32), rng.integers(0, 2, 400)
    half = np.arange(200)
    for folds in (None, [(half, half + 200), (half + 200, half)]):
        forest, training = boosted(rows, noise, None, folds, 0)
        assert abs(np.corrcoef(training[:, 0], noise)[0, 1]) < 0.15
    # the check can fail: as new rows they are known
    assert np.corrcoef(forest.answers(rows)[:, 0], noise)[0, 1] > 0.6


@pytest.mark.parametrize(("k", "kept"), [(2, (0,)), (2, (1,)), (3, (0, 2)), (3, (1,)), (4, (0, 3))])
def test_folds_without_a_class_answer_that_it_is_unlikely(k, kept):
    rows, _, _ = classes_and_rows(2)
    classes = np.arange(600) % k
    learned = np.flatnonzero(np.isin(classes, kept))
    _, training = boosted(rows, classes, None, [(learned, np.arange(600))], 0)
    assert np.all(np.isfinite(training))
    if k == 2:
        assert np.all((training > 0) == (kept == (1,)))
    else:
        absent = np.setdiff1d(np.arange(k), kept)
        assert np.all(training[:, absent].max(axis=1) < training[:, list(kept)].max(axis=1) - 2)


def test_boosting_is_for_many_rows_of_few_classes_and_columns():
    assert pays(1000, 20, 2)
    assert pays(1000, 50, 10)
    assert not pays(1000, 51, 10)
    assert not pays(1000, 5, 11)
    assert not pays(999, 20, 2)
