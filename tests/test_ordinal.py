"""The ordinal head goes by the declared order: words in that order are the numbers of their places.

Every law compares a fit of words, whose alphabetical order is another, with the fit of their codes.
"""

import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier
from skmlp.callbacks import Checkpoint
from skmlp.heads import HEADS, Ordinal

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.DataConversionWarning",
)

LEVELS = ["low", "medium", "high"]
SORTED = sorted(LEVELS)
rng = np.random.RandomState(0)
X = rng.normal(size=(150, 3))
CODES = np.digitize(X[:, 0] + 0.3 * rng.normal(size=150), [-0.5, 0.5])
WORDS = np.array(LEVELS)[CODES]
CATEGORICAL = pd.Series(pd.Categorical(WORDS, LEVELS, ordered=True))
ENUM = pl.Series("grade", WORDS, dtype=pl.Enum(LEVELS))
BY_HAND = Ordinal(classes=LEVELS)

WAYS = {
    "Categorical in a Series": ("ordinal", CATEGORICAL),
    "Categorical": ("ordinal", CATEGORICAL.array),
    "CategoricalIndex": ("ordinal", pd.CategoricalIndex(CATEGORICAL)),
    "Categorical in a frame": ("ordinal", CATEGORICAL.to_frame("grade")),
    "with unused levels": (
        "ordinal",
        CATEGORICAL.cat.set_categories(["lowest", *LEVELS[:2], "higher", "high"]),
    ),
    "Enum": ("ordinal", ENUM),
    "Enum in a frame": ("ordinal", ENUM.to_frame()),
    "by hand": (BY_HAND, WORDS),
    "by hand, of objects": (BY_HAND, WORDS.astype(object)),
    "by hand, of a list": (BY_HAND, WORDS.tolist()),
    "by hand, of an unordered Categorical": (BY_HAND, pd.Series(pd.Categorical(WORDS))),
    "by hand, against the Categorical's order": (
        BY_HAND,
        CATEGORICAL.cat.reorder_categories(LEVELS[::-1]),
    ),
    "by hand, some of which y lacks": (Ordinal(classes=["lowest", *LEVELS]), WORDS),
}
ways = pytest.mark.parametrize("way", WAYS)


def model(head, **parameters):
    defaults = {"hidden_layer_sizes": (4,), "max_iter": 6, "batch_size": 50, "random_state": 0}
    return MLPClassifier(head=head, **(defaults | parameters))


def assert_same(found, expected, inputs=X):
    """The fit of words is the fit of codes, whose classes are the places of the words."""
    names = found.classes_
    assert [names[code] for code in expected.classes_] == names.tolist()
    for left, right in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(found.predict_proba(inputs), expected.predict_proba(inputs))
    np.testing.assert_array_equal(
        found.predict_log_proba(inputs), expected.predict_log_proba(inputs)
    )
    np.testing.assert_array_equal(found.predict(inputs), names[expected.predict(inputs)])


def test_the_order_of_the_words_is_not_the_alphabet_and_matters():
    assert LEVELS != SORTED
    declared = model("ordinal").fit(X, CODES)
    alphabetical = model("ordinal").fit(X, np.searchsorted(SORTED, WORDS))
    assert not np.array_equal(declared.coefs_[0], alphabetical.coefs_[0])
    with pytest.raises(AssertionError):
        assert_same(model("ordinal").fit(X, CATEGORICAL), alphabetical)


@ways
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_declared_order_is_the_order_of_the_classes(solver, way):
    head, y = WAYS[way]
    found = model(head, solver=solver).fit(X, y)
    assert found.classes_.tolist() == LEVELS
    expected = model("ordinal", solver=solver).fit(X, CODES)
    assert_same(found, expected)
    assert found.score(X, y) == expected.score(X, CODES) == np.mean(found.predict(X) == WORDS)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (CODES > 1, [False, True]),
        (7 * CODES - 3, [-3, 4, 11]),
        (CODES / 1.0, [0.0, 1.0, 2.0]),
        (CODES.astype(object), [0, 1, 2]),
        (pd.Series(CODES, dtype="Int64"), [0, 1, 2]),
        (pd.Series(pd.Categorical(9 + CODES)), [9, 10, 11]),
        (pd.Series(pd.Categorical(CODES, [2, 1, 0], ordered=True)), [2, 1, 0]),
    ],
    ids=["truth values", "integers", "floats", "objects", "Int64", "unordered", "ordered"],
)
def test_numbers_are_in_their_order_unless_another_is_declared(y, classes):
    found = model("ordinal").fit(X, y)
    assert found.classes_.tolist() == classes
    assert_same(found, model("ordinal").fit(X, [classes.index(value) for value in y]))


@pytest.mark.parametrize(
    "y",
    [
        WORDS,
        WORDS.astype(object),
        WORDS.tolist(),
        np.array(["1", "2", "10"])[CODES],
        pd.Series(WORDS, dtype="string"),
        pd.Series(pd.Categorical(WORDS)),
        pl.Series(WORDS),
        pl.Series(WORDS, dtype=pl.Categorical),
    ],
    ids=["array", "objects", "list", "digits", "string", "Categorical", "polars", "pl.Categorical"],
)
def test_words_without_an_order_are_refused_with_the_way_to_give_one(y):
    with pytest.raises(ValueError, match=r"needs the order .*Ordinal\(classes=\[\.\.\.\]\)"):
        model("ordinal").fit(X, y)
    with pytest.raises(ValueError, match="needs the order"):
        model("ordinal").partial_fit(X, y, classes=pd.unique(np.asarray(y)))
    for head in set(HEADS) - {"ordinal"}:  # elsewhere they need none, and are sorted
        if "multiclass" in HEADS[head].targets:
            found = model(head).fit(X, y)
            assert found.classes_.tolist() == sorted(set(np.asarray(y).tolist()))


@pytest.mark.parametrize("head", [h for h in HEADS if "multiclass" in HEADS[h].targets])
def test_other_heads_sort_their_classes_whatever_is_declared(head):
    if head != "ordinal":
        for y in (CATEGORICAL, ENUM):
            assert model(head).fit(X, y).classes_.tolist() == SORTED


@pytest.mark.parametrize(
    ("classes", "value"),
    [
        ("low", "'low'"),
        ([], r"\[\]"),
        ({"low"}, "{"),
        ({"low": 0, "high": 1}, "{'low': 0"),
        (["low", "low"], r"\['low', 'low'\]"),
        ([["low"], ["high"]], r"\[\['low'\], \['high'\]\]"),
        ([1.0, float("nan")], "nan"),
        (["low", None], "None"),
        (3, "3"),
    ],
    ids=str,
)
def test_an_order_is_a_list_of_different_labels(classes, value):
    with pytest.raises(ValueError, match=f"classes that are a list of different labels.*{value}"):
        Ordinal(classes=classes)


@pytest.mark.parametrize(
    "classes", [tuple(LEVELS), np.array(LEVELS), np.array(LEVELS, object), pd.Index(LEVELS)]
)
def test_an_order_is_a_value(classes):
    assert Ordinal(classes=classes) == BY_HAND
    assert hash(Ordinal(classes=classes)) == hash(BY_HAND)
    assert repr(Ordinal(classes=classes)) == (
        "Ordinal(prediction='median', classes=('low', 'medium', 'high'))"
    )


@pytest.mark.parametrize("y", [WORDS, CATEGORICAL, ENUM])
def test_a_class_outside_the_order_is_named(y):
    with pytest.raises(ValueError, match=r"y has the class 'high', .*\['low', 'medium'\]"):
        model(Ordinal(classes=["low", "medium"])).fit(X, y)


def test_levels_that_never_occur_in_a_fit_are_left_out():
    few = CODES != 1
    y = CATEGORICAL[few]
    found = model("ordinal").fit(X[few], y)
    assert found.classes_.tolist() == ["low", "high"]
    assert_same(found, model("ordinal").fit(X[few], CODES[few] // 2))


# -------------------- what goes by the classes


@ways
def test_weights_of_classes_go_by_their_names(way):
    head, y = WAYS[way]
    weights = {"low": 5.0, "high": 0.5}
    found = model(head, class_weight=weights).fit(X, y)
    assert_same(found, model("ordinal", class_weight={0: 5.0, 2: 0.5}).fit(X, CODES))
    balanced = model(head, class_weight="balanced").fit(X, y)
    assert_same(balanced, model("ordinal", class_weight="balanced").fit(X, CODES))


def kappa(estimator, X, y):
    places = {name: i for i, name in enumerate([*LEVELS, 0, 1, 2])}
    found = [places[name] % 3 for name in estimator.predict(X)]
    return cohen_kappa_score(found, [places[name] % 3 for name in y], weights="quadratic")


SCORINGS = [None, "loss", "accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro", kappa]
NAMES = [getattr(scoring, "__name__", str(scoring)) for scoring in SCORINGS]


@ways
@pytest.mark.parametrize("scoring", SCORINGS, ids=NAMES)
def test_scores_in_training_are_those_of_the_codes(scoring, way):
    head, y = WAYS[way]
    settings = {"early_stopping": True, "scoring": scoring, "validation_fraction": 0.3}
    found = model(head, **settings).fit(X, y)
    expected = model("ordinal", **settings).fit(X, CODES)
    np.testing.assert_allclose(found.validation_scores_, expected.validation_scores_)
    assert_same(found, expected)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc"])
def test_scores_of_two_classes_in_training_are_of_the_right_one(scoring):
    words, codes = np.where(CODES > 1, "high", "low"), (CODES > 1).astype(int)
    head = Ordinal(classes=["low", "high"])
    settings = {"scoring": scoring, "max_iter": 30}
    found = model(head, **settings).fit(X, words, X_val=X[:50], y_val=words[:50])
    expected = model("ordinal", **settings).fit(X, codes, X_val=X[:50], y_val=codes[:50])
    np.testing.assert_allclose(found.validation_scores_, expected.validation_scores_)
    assert_same(found, expected)


@ways
def test_validation_sets_go_by_the_same_order(way):
    head, y = WAYS[way]
    settings = {"early_stopping": True, "scoring": "neg_log_loss"}
    found = model(head, **settings).fit(X, y, X_val=X[:40], y_val=y[:40])
    expected = model("ordinal", **settings).fit(X, CODES, X_val=X[:40], y_val=CODES[:40])
    np.testing.assert_allclose(found.validation_scores_, expected.validation_scores_)
    assert_same(found, expected)


# -------------------- streams, warm starts and copies

STREAMS = {
    "ordered classes": ("ordinal", WORDS, CATEGORICAL.unique()),
    "ordered y": ("ordinal", CATEGORICAL, SORTED),
    "Enum": ("ordinal", ENUM, ENUM.unique()),
    "by hand": (BY_HAND, WORDS, SORTED),
    "by hand alone": (BY_HAND, WORDS, None),
}


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_goes_by_the_declared_order(way):
    head, y, classes = STREAMS[way]
    found, expected = model(head, batch_size="auto"), model("ordinal", batch_size="auto")
    for rows in (slice(0, 30), slice(30, 90), slice(90, 150)):
        found.partial_fit(X[rows], y[rows], classes=classes)
        expected.partial_fit(X[rows], CODES[rows], classes=[0, 1, 2])
    assert_same(found, expected)


def test_a_stream_keeps_the_levels_that_it_has_not_seen():
    few = CODES != 1
    found = model(BY_HAND).partial_fit(X[few], WORDS[few])
    assert found.classes_.tolist() == LEVELS
    assert_same(found, model("ordinal").partial_fit(X[few], CODES[few], classes=[0, 1, 2]))


def test_classes_of_a_stream_that_are_numbers_in_another_order_are_refused():
    with pytest.raises(ValueError, match=r"classes=\[2, 1, 0\].*Ordinal\(classes=\[\.\.\.\]\)"):
        model("ordinal").partial_fit(X, CODES, classes=[2, 1, 0])
    found = model(Ordinal(classes=[2, 1, 0])).partial_fit(X, CODES)
    assert_same(found, model("ordinal").partial_fit(X, 2 - CODES, classes=[0, 1, 2]))


@pytest.mark.parametrize("other", [LEVELS[::-1], SORTED])
def test_another_declared_order_is_no_continuation(other):
    contrary = CATEGORICAL.cat.reorder_categories(other)
    stream = model("ordinal").partial_fit(X, CATEGORICAL, classes=LEVELS)
    with pytest.raises(ValueError, match=r"y declares the order .*'low', 'medium', 'high'\]"):
        stream.partial_fit(X, contrary)
    warm = model("ordinal", warm_start=True).fit(X, CATEGORICAL)
    with pytest.raises(ValueError, match="y declares the order"):
        warm.fit(X, contrary)
    by_hand = model(BY_HAND, warm_start=True).fit(X, contrary)
    assert_same(by_hand, model("ordinal").fit(X, CODES))


@ways
def test_a_warm_start_goes_on_in_the_declared_order(way):
    head, y = WAYS[way]
    found = model(head, warm_start=True).fit(X, y).fit(X, y)
    assert_same(found, model("ordinal", warm_start=True).fit(X, CODES).fit(X, CODES))


@ways
def test_copies_and_searches_keep_the_order(way):
    head, y = WAYS[way]
    expected = model("ordinal").fit(X, CODES)
    found = model(head).fit(X, y)
    assert_same(pickle.loads(pickle.dumps(found)), expected)
    assert_same(clone(found).fit(X, y), expected)
    search = make_pipeline(StandardScaler(), GridSearchCV(model(head), {"alpha": [0.1, 1.0]}, cv=3))
    codes = clone(search).fit(X, CODES) if head == "ordinal" else None
    if codes is not None:
        search.fit(X, y)
        np.testing.assert_array_equal(
            search[-1].cv_results_["mean_test_score"], codes[-1].cv_results_["mean_test_score"]
        )
        assert_same(search[-1].best_estimator_, codes[-1].best_estimator_)
    predicted = cross_val_predict(model(head), X, y, cv=3)
    expected_labels = cross_val_predict(model("ordinal"), X, CODES, cv=3)
    np.testing.assert_array_equal(predicted, np.array(LEVELS)[expected_labels])


@pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks since 1.9"
)
def test_a_checkpoint_is_of_one_order(tmp_path):
    path = tmp_path / "fit.npz"
    stopped = model("ordinal", max_iter=4).set_callbacks(Checkpoint(path))
    stopped.fit(X, CATEGORICAL)
    found = model("ordinal", max_iter=8).resume(path, X, CATEGORICAL)
    assert_same(found, model("ordinal", max_iter=8).fit(X, CODES))
    with pytest.raises(ValueError, match="of another fit: the classes was"):
        model("ordinal").resume(path, X, CATEGORICAL.cat.reorder_categories(SORTED))
