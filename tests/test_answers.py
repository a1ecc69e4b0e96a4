"""What `predict` can be asked for, so that pipelines and searches hand it on."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler

from skmlp import MLPRegressor
from skmlp.heads import HEADS, Quantile

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
y = np.exp(X[:, 0] + 0.3 * RNG.normal(size=60))
COUNTS = 1 + np.round(y)  # every head can learn them
NUMBERS = [name for name, head in HEADS.items() if "numbers" in head.targets]


def network(head="gaussian"):
    return MLPRegressor((4,), head=head, max_iter=5, random_state=0)


@pytest.fixture(autouse=True)
def few_epochs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def asked(model, rows):
    """What `predict` may be asked for, each with the method that says the same."""
    return {
        "coverage": (0.8, model.predict_interval(rows, 0.8)),
        "quantiles": ([0.2, 0.7], model.predict_quantiles(rows, [0.2, 0.7])),
    }


@pytest.mark.parametrize("head", NUMBERS)
def test_predict_says_what_the_methods_say_or_that_the_head_cannot(head):
    model = network(head).fit(X, COUNTS)
    if not model.head_.has_quantiles:
        for option, value in {"coverage": 0.8, "quantiles": [0.5]}.items():
            with pytest.raises(ValueError, match=rf"^{option}: Only the heads .* have quantiles"):
                model.predict(X, **{option: value})
    elif model.head_.has_distribution:
        for option, (value, expected) in asked(model, X).items():
            np.testing.assert_array_equal(model.predict(X, **{option: value}), expected)
    if model.head_.has_distribution:
        frozen = model.predict(X, return_distribution=True)
        np.testing.assert_array_equal(frozen.mean(), model.predict_distribution(X).mean())
    else:
        with pytest.raises(ValueError, match=r"^return_distribution: Only the heads"):
            model.predict(X, return_distribution=True)


def test_answers_come_through_a_pipeline_and_a_search():
    pipeline = make_pipeline(StandardScaler(), network())
    search = GridSearchCV(pipeline, {"mlpregressor__alpha": [0.0, 0.1]}, cv=2)
    for model in (pipeline.fit(X, y), search.fit(X, y).best_estimator_):
        last = model[-1]
        for option, (value, expected) in asked(last, model[:-1].transform(X)).items():
            np.testing.assert_array_equal(model.predict(X, **{option: value}), expected)
        assert model.predict(X, return_distribution=True).std().shape == (60,)


def test_quantiles_come_through_a_monotone_transform_of_the_target():
    model = TransformedTargetRegressor(network(), func=np.log, inverse_func=np.exp).fit(X, y)
    plain = network().fit(X, np.log(y))
    found = model.predict(X, coverage=0.8)
    assert found.shape == (60, 2)
    np.testing.assert_allclose(found, np.exp(plain.predict_interval(X, 0.8)), rtol=1e-12)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), RobustScaler()], ids=str)
def test_scalers_of_the_target_take_each_end_back(scaler):
    model = TransformedTargetRegressor(network(), transformer=scaler).fit(X, y)
    found, last = model.predict(X, coverage=0.8), model.regressor_.predict_interval(X, 0.8)
    ends = [model.transformer_.inverse_transform(end[:, None])[:, 0] for end in last.T]
    np.testing.assert_allclose(found, np.stack(ends, axis=1), rtol=1e-12)
    one = model.predict(X, quantiles=0.9)
    np.testing.assert_allclose(one, found[:, 1], rtol=1e-12)


def test_what_a_transform_of_the_target_cannot_map_is_never_a_number():
    model = TransformedTargetRegressor(network(), func=np.log, inverse_func=np.exp).fit(X, y)
    for option in ("return_std", "return_distribution"):
        with pytest.raises(AttributeError, match="ndim"):
            model.predict(X, **{option: True})
    counts = TransformedTargetRegressor(network(), transformer=PowerTransformer()).fit(X, y)
    assert counts.predict(X, quantiles=0.5).shape == (60,)
    with pytest.raises(ValueError, match="has 2 features, but PowerTransformer is expecting 1"):
        counts.predict(X, coverage=0.9)


def test_a_decreasing_transform_of_the_target_swaps_the_ends():
    functions = {"func": np.negative, "inverse_func": np.negative}
    low, high = (
        TransformedTargetRegressor(network(), **functions).fit(X, y).predict(X, coverage=0.8).T
    )
    assert (low > high).all()


def test_several_targets_have_their_own_intervals():
    model = make_pipeline(StandardScaler(), network()).fit(X, np.stack([y, -y], axis=1))
    assert model.predict(X, coverage=0.8).shape == (60, 2, 2)
    assert model.predict(X, quantiles=[0.1, 0.5, 0.9]).shape == (60, 2, 3)
    assert model.predict(X, quantiles=0.5).shape == (60, 2)


def test_routing_hands_on_what_is_asked_for():
    with sklearn.config_context(enable_metadata_routing=True):
        last = network().set_predict_request(coverage=True)
        model = make_pipeline(StandardScaler(), last).fit(X, y)
        assert model.predict(X, coverage=0.8).shape == (60, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coverage": 0.9, "quantiles": [0.5]}, "got coverage=0.9 and quantiles="),
        ({"coverage": 0.9, "return_std": True}, "got coverage=0.9 and return_std=True"),
        ({"return_distribution": True, "return_std": True}, "got return_distribution=True and"),
        *(
            ({"coverage": value}, r"^coverage must be a number in \(0, 1\), got ")
            for value in (0, 1.0, -0.5, 90, np.nan, "wide", True, [0.9])
        ),
        *(
            (
                {"quantiles": value},
                r"^quantiles must be a number in \(0, 1\) or a list of them, got",
            )
            for value in (0, 1, [0.5, 2], [], [[0.5]], [np.nan], "median", [0.1, "b"])
        ),
    ],
)
def test_one_answer_at_a_time_within_its_range(options, words):
    with pytest.raises(ValueError, match=words):
        network().fit(X, y).predict(X, **options)


def test_an_interval_of_quantiles_is_between_the_outer_ones():
    model = network(Quantile([0.1, 0.5, 0.8])).fit(X, y)
    expected = model.predict(X)[:, [0, 2]]
    np.testing.assert_array_equal(model.predict_interval(X), expected)
    with pytest.raises(
        ValueError, match=r"^coverage=0.9 takes the quantile at 0.05, but Quantile\("
    ):
        model.predict(X, coverage=0.9)
    with pytest.raises(
        ValueError, match=r"^quantiles=\[0.2\] takes the quantile at 0.2, but Quant"
    ):
        model.predict(X, quantiles=[0.2])
    with pytest.raises(ValueError, match="an interval has two ends, and Quantile"):
        network(Quantile(0.5)).fit(X, y).predict_interval(X)
