"""Heads, layers and estimators of the user's own: told apart by their fields, whatever == says."""

import copy
import pickle
from dataclasses import KW_ONLY, InitVar, dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import Head, Layer, MLPClassifier, MLPRegressor, check_head
from skmlp.callbacks import EarlyStopping, TimeLimit
from skmlp.estimators.identity import are_same, in_words
from skmlp.heads import (
    HEADS,
    Focal,
    Gamma,
    GaussianMixture,
    Huber,
    Linear,
    NegativeBinomial,
    Ordinal,
    Quantile,
    StudentT,
    Tweedie,
)
from skmlp.network.layers import LAYERS, RadialBasis

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]


def data(kind, n=40):
    X = np.random.RandomState(0).normal(size=(n, 3))
    return X, (X[:, 0] > 0).astype(int) if kind is MLPClassifier else X[:, 0]


def quick(kind, **parameters):
    return kind(**({"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0} | parameters))


# -------------------- parameters are fields


class Bent(Layer):
    """A layer that is a tanh of x W + b."""

    def parts(self, inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def initial(self, rng, x, units):
        return {"W": rng.normal(size=(x.shape[1], units)), "b": np.zeros(units)}

    def outputs(self, x, W, b):
        return np.tanh(x @ W + b)


def plain_init(base):
    class Pin(base):
        def __init__(self, q=0.5, *, name):
            self.q, self.name = q, name


def subclass_of_a_subclass(base):
    @dataclass(frozen=True)
    class Middle(base):
        q: float = 1.0

    class Pin(Middle):
        def __init__(self, q, name):
            super().__init__(q)
            self.name = name


def mixed_in(base):
    class Named:
        def __init__(self, name):
            self.name = name

    class Pin(Named, base):
        pass


def any_arguments(base):
    class Pin(base):
        def __init__(self, *names, **options):
            self.names, self.options = names, options


def in_slots(base):
    class Pin(base):
        __slots__ = ("name",)

        def __init__(self, name):
            object.__setattr__(self, "name", name)


def undecorated(base):
    class Pin(base):
        q: float
        name: str

        def __init__(self, q, name):
            self.q, self.name = q, name

    Pin(1.0, "a")


def of_the_class(base):
    @dataclass(frozen=True)
    class Pin(base):
        name: ClassVar[str] = "a"

        def __init__(self, name):
            object.__setattr__(self, "name", name)

    Pin("a")


def for_init_alone(base):
    @dataclass(frozen=True)
    class Pin(base):
        name: InitVar[str] = "a"

        def __post_init__(self, name):
            object.__setattr__(self, "hidden", name)

    Pin()


HIDING = [plain_init, subclass_of_a_subclass, mixed_in, any_arguments, in_slots]
HIDING += [undecorated, of_the_class, for_init_alone]


@pytest.mark.parametrize("base", [Head, Linear, Layer, Bent])
@pytest.mark.parametrize("define", HIDING, ids=lambda define: define.__name__)
def test_a_class_that_hides_its_parameters_is_refused_with_the_lines_to_add(define, base):
    with pytest.raises(
        TypeError, match=r"^Pin hides .*@dataclass\(frozen=True\).*name.*: "
    ) as told:
        define(base)
    assert ": str" in str(told.value) or ": float" in str(told.value)


@pytest.mark.parametrize("base", [Head, Layer])
def test_fields_without_their_dataclass_are_told_what_lacks(base):
    class Pin(base):
        q: float = 0.5

    Pin()  # q is the same for all of them
    with pytest.raises(TypeError, match=r'Pin names its parameters.*write "@dataclass'):
        Pin(0.3)


def right_classes(base):
    """Classes that are right, and how to make two objects of each that differ, or are the same."""

    class Nothing(base):
        pass

    class Attributes(base):
        targets: frozenset = frozenset({"numbers"})
        takes_sparse = False

    class Prepared(base):
        def __init__(self):
            self.table = np.arange(3)

    @dataclass(frozen=True)
    class Fields(base):
        q: float = 0.5
        _: KW_ONLY
        names: tuple = ()

    class Inherits(Fields):
        def __init__(self, q=0.5, **others):
            super().__init__(2 * q, **others)

    @dataclass(frozen=True)
    class Own(base):
        q: float

        def __init__(self, q):
            object.__setattr__(self, "q", float(q))

    @dataclass(frozen=True, slots=True)
    class Slotted(base):
        q: float = 0.5

    @dataclass(frozen=True)
    class Arrays(base):
        q: np.ndarray

    @dataclass(frozen=True)
    class Functions(base):
        q: object

    @dataclass(frozen=True, eq=False)
    class NotCompared(base):
        q: float

    return [
        (Nothing, None),
        (Attributes, None),
        (Prepared, None),
        *((kind, (1.0, 2.0)) for kind in (Fields, Inherits, Own, Slotted, NotCompared)),
        (Arrays, (np.arange(3), np.array([0, 1, 3]))),
        (Functions, (partial(np.clip, a_min=0), partial(np.clip, a_min=1))),
        (Functions, tuple(lambda z, at=at: z + at for at in (0, 1))),
    ]


@pytest.mark.parametrize("base", [Linear, Bent])
@pytest.mark.parametrize("i", range(len(right_classes(Linear))))
def test_a_class_that_is_right_is_compared_by_its_parameters(i, base):
    kind, values = right_classes(base)[i]
    make = kind if values is None else partial(kind, values[0])
    assert are_same(make(), make())
    assert are_same(make(), copy.deepcopy(make()))
    assert in_words(make()) == in_words(make())
    assert "0x" not in in_words(make())
    if values is not None:
        assert not are_same(make(), kind(values[1]))
        assert in_words(make()) != in_words(kind(values[1]))
    assert not are_same(make(), "linear")


def closed_over(scale):
    class Scaled(Linear):
        def loss(self, raw, y):
            return scale * super().loss(raw, y)

    return Scaled()


@dataclass(frozen=True)
class Cached(Linear):
    q: float = 1.0
    note: str = field(default="", compare=False)

    @cached_property
    def square(self):
        return self.q**2


def test_the_code_of_a_class_counts_but_caches_and_notes_do_not():
    assert in_words(closed_over(1.0)) == in_words(closed_over(1.0))
    assert in_words(closed_over(1.0)) != in_words(closed_over(2.0))
    used, other = Cached(note="used"), Cached(note="other")
    assert used.square == 1.0
    assert are_same(used, other)
    assert in_words(used) == in_words(other)
    assert not are_same(used, Cached(2.0))
    recursive = [1]
    recursive.append(recursive)
    assert in_words(recursive) == "[1.0, itself]"


@pytest.mark.parametrize("values", [(1.0, 2.0), (np.arange(3), np.arange(4))])
def test_a_warm_start_takes_no_notice_of_a_copy_and_refuses_another_head(values):
    @dataclass(frozen=True)
    class Weighed(Linear):
        w: object

    X, y = data(MLPRegressor)
    model = quick(MLPRegressor, warm_start=True, head=Weighed(values[0])).fit(X, y)
    model.set_params(head=Weighed(copy.copy(values[0]))).fit(X, y)
    with pytest.raises(ValueError, match=r"the fitted network has head .*Weighed"):
        model.set_params(head=Weighed(values[1])).fit(X, y)


def test_check_head_tells_of_arrays():
    @dataclass(frozen=True)
    class Weighed(Linear):
        w: object = field(default_factory=lambda: np.ones(2))

    with pytest.raises(AssertionError, match="its fields must be hashable"):
        check_head(Weighed())


# -------------------- whatever their equality says


class Raises:
    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("compared")

    def __bool__(self):
        raise AssertionError("asked whether it is true")


class GivesArrays(Raises):
    __hash__ = None

    def __eq__(self, other):
        return np.array([True, False])


class EqualToAll(Raises):
    __hash__ = None

    def __eq__(self, other):
        return True


class EqualToNone(Raises):
    __hash__ = object.__hash__

    def __eq__(self, other):
        return False


ODD = [Raises, GivesArrays, EqualToAll, EqualToNone]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_estimator_fits_streams_and_predicts_all_the_same(kind, odd):
    X, y = data(kind)
    made = type("Odd", (odd, kind), {"__init__": kind.__init__})
    classes = {"classes": [0, 1]} if kind is MLPClassifier else {}
    found = []
    for each in (kind, made):
        whole = quick(each, early_stopping=True, warm_start=True).fit(X, y).fit(X, y)
        stream = quick(each)
        for _ in range(3):
            stream.partial_fit(X, y, **classes)
        found.append([*whole.coefs_, *stream.coefs_, whole.predict(X), stream.predict(X)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("odd", ODD)
def test_callbacks_know_an_odd_estimator(odd):
    pytest.importorskip("sklearn.callback")
    X, y = data(MLPRegressor)
    made = type("Odd", (odd, MLPRegressor), {"__init__": MLPRegressor.__init__})
    callbacks = EarlyStopping("loss", patience=1, tol=10.0), TimeLimit(1e6)
    assert quick(made, max_iter=9).set_callbacks(*callbacks).fit(X, y).n_iter_ == 3


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("what", ["head", "activation"])
def test_an_odd_head_or_layer_predicts_all_the_same(what, odd):
    X, y = data(MLPRegressor)
    base = Linear if what == "head" else Bent
    made = type("Odd", (odd, base), {})
    found = []
    for kind in (base, made):
        settings = {what: kind(), "initial_output": "data", "warm_start": True}
        whole = quick(MLPRegressor, **settings).fit(X, y).fit(X, y)
        stream = quick(MLPRegressor, **settings)
        for _ in range(3):
            stream.partial_fit(X, y)
        assert not hasattr(whole, "predict_interval")
        with pytest.raises(ValueError, match="have a distribution"):
            whole.predict(X, return_std=True)
        repeated = pickle.loads(pickle.dumps(quick(MLPRegressor, **settings | {what: base()})))
        quick(MLPRegressor, **settings, loss="squared_error").fit(X, y)
        found.append([whole.predict(X), stream.predict(X), repeated.fit(X, y).predict(X)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_stream_with_an_odd_schedule_goes_on():
    X, y = data(MLPRegressor)
    odd = type("Odd", (GivesArrays,), {"__call__": lambda self, progress: 1.0})()
    found = []
    for schedule in (odd, lambda progress: 1.0):
        stream = quick(MLPRegressor, learning_rate=schedule)
        for _ in range(4):
            stream.partial_fit(X, y)
        found.append(stream.predict(X))
    np.testing.assert_array_equal(*found)


# -------------------- their parameters, by name

OF_HEADS = {
    "huber": {"delta": 0.5},
    "quantile": {"q": [0.1, 0.9]},
    "student_t": {"df": 3.0},
    "gamma": {"shape": 2.0},
    "tweedie": {"power": 1.2, "dispersion": 2.0},
    "negative_binomial": {"dispersion": 0.5},
    "gaussian_mixture": {"n_components": 2},
    "focal": {"gamma": 1.0},
    "ordinal": {"prediction": "mode", "classes": (1, 0)},
}


def kind_of(head):
    return MLPRegressor if "numbers" in HEADS[head].targets else MLPClassifier


def test_every_parameter_of_a_head_is_tried():
    parameters = {name: set(HEADS[name].__dataclass_fields__) for name in HEADS}
    shared = set(Head.__dataclass_fields__)
    assert {name: own - shared for name, own in parameters.items() if own - shared} == {
        name: set(values) for name, values in OF_HEADS.items()
    }


@pytest.mark.parametrize("head", OF_HEADS)
@pytest.mark.parametrize("by_name", [True, False])
def test_parameters_of_a_head_are_set_by_name_and_nobody_elses_head_changes(head, by_name):
    kind, values = kind_of(head), OF_HEADS[head]
    shared = HEADS[head]()
    before = copy.deepcopy(shared)
    estimator, other = (kind(head=head if by_name else shared) for _ in range(2))
    listed = {f"head__{name}": value for name, value in values.items()}
    assert set(estimator.get_params()) >= (set() if by_name else set(listed))
    assert not set(listed) & set(estimator.get_params(deep=False))
    assert estimator.set_params(**listed) is estimator
    expected = HEADS[head](**values)
    assert estimator.head == expected
    assert shared == before
    assert other.head == (head if by_name else before)
    assert {estimator.get_params()[name] for name in listed} == {
        getattr(expected, name) for name in values
    }
    assert clone(estimator).head == expected
    assert pickle.loads(pickle.dumps(estimator)).head == expected
    assert repr(expected) in repr(estimator)
    assert all(name in estimator._repr_html_() for name in values)


@pytest.mark.parametrize("head", ["huber", Huber(0.5), "auto", Linear()])
def test_parameters_given_back_change_nothing(head):
    estimator = MLPRegressor(head=head, activation="rbf")
    parameters = MLPRegressor(head=head, activation="rbf").get_params()
    estimator.set_params(**parameters)
    assert estimator.head is head
    assert estimator.activation == "rbf"


def test_a_head_and_its_parameters_are_set_together_in_any_order():
    estimator = MLPRegressor().set_params(head__delta=0.5, alpha=0.1, head="huber")
    assert (estimator.head, estimator.alpha) == (Huber(0.5), 0.1)


@pytest.mark.parametrize("activation", ["rbf", RadialBasis(1.0)])
def test_parameters_of_a_layer_are_set_by_name(activation):
    estimator = MLPRegressor(activation=activation)
    assert estimator.set_params(activation__width=2.0).activation == RadialBasis(2.0)
    assert estimator.get_params()["activation__width"] == 2.0
    assert LAYERS["rbf"] == RadialBasis()


@dataclass(frozen=True)
class Power:
    exponent: float = 1.0

    def __call__(self, progress):
        return (1 - progress) ** self.exponent


def test_any_dataclass_has_parameters():
    estimator = MLPRegressor(learning_rate=Power()).set_params(learning_rate__exponent=2.0)
    assert estimator.learning_rate == Power(2.0)


@pytest.mark.parametrize(
    ("head", "parameters", "told"),
    [
        (
            Huber(1.0),
            {"head__dleta": 0.5},
            r"head__dleta=0\.5 for head=Huber.*did you mean 'delta'",
        ),
        ("auto", {"head__delta": 0.5}, r"for head='auto', which has none.*such as head='huber'"),
        ("linear", {"head__q": 0.5}, r"for head='linear'.*such as head='quantile'"),
        ("huber", {"head__delta": -1.0}, r"Huber needs a delta that is a number > 0, got -1"),
        ("auto", {"activation__width": 1.0}, r"for activation='relu', which has none"),
        ("auto", {"tol__x": 1.0}, r"for tol=0\.0001, which has none"),
    ],
)
def test_what_cannot_be_set_is_told_and_nothing_is(head, parameters, told):
    estimator = MLPRegressor(head=head)
    before = estimator.get_params()
    with pytest.raises(ValueError, match=told):
        estimator.set_params(alpha=0.5, **parameters)
    assert estimator.get_params() == before


def test_a_search_over_levels_in_a_pipeline_finds_the_head_that_was_set():
    X, y = data(MLPRegressor)
    steps = [("scaled", StandardScaler()), ("mlp", quick(MLPRegressor, head=Quantile()))]
    grid = {"mlp__head__q": [0.1, 0.5, 0.9], "mlp__alpha": [0.1]}
    search = GridSearchCV(Pipeline(steps), grid, cv=2).fit(X, y)
    expected = [
        GridSearchCV(Pipeline(steps).set_params(mlp__head=Quantile(q)), {"mlp__alpha": [0.1]}, cv=2)
        .fit(X, y)
        .cv_results_["mean_test_score"][0]
        for q in grid["mlp__head__q"]
    ]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert len(set(expected)) == 3
    best = search.best_params_["mlp__head__q"]
    assert search.best_estimator_["mlp"].head_ == Quantile(best)


# -------------------- numbers of NumPy

NUMBERS = [np.int8, np.int16, np.uint8, np.float16, np.float32, np.float64, Fraction]
MADE_OF_TWO = [Huber, StudentT, Tweedie, NegativeBinomial, Gamma, Focal, RadialBasis]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("make", [*MADE_OF_TWO, GaussianMixture])
def test_numbers_become_pythons_own(make, number):
    if make is GaussianMixture and not issubclass(number, np.integer):
        pytest.skip("a count")
    made = make(number(2))
    (value,) = (x for x in vars(made).values() if x == 2)
    assert type(value) in (int, float)
    assert are_same(made, make(2))


@pytest.mark.parametrize("bad", [True, np.True_, "2", None, np.array(2.0), [2.0], 2j])
@pytest.mark.parametrize("make", [*MADE_OF_TWO, GaussianMixture])
def test_what_is_no_number_is_refused(make, bad):
    if make is Tweedie and bad is None:
        pytest.skip("its dispersion may be None")
    with pytest.raises(ValueError, match=f"{make.__name__} needs"):
        make(bad)


WHOLE = {"max_iter": 100, "batch_size": 100, "n_iter_no_change": 50, "random_state": 100}
SHARES = {"alpha": 1, "learning_rate_init": 2.0**-7, "momentum": 0.5, "beta_1": 0.5, "tol": 2.0**-9}
SHARES |= {"max_grad_norm": 1, "averaging": 0.5, "warmup": 0.25, "dropout": 0.25, "power_t": 0.5}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("schedule", ["cosine", "invscaling"])
def test_parameters_of_any_number_are_those_of_pythons(schedule, number):
    X, y = data(MLPRegressor, n=150)
    taken = WHOLE if issubclass(number, np.integer) else SHARES
    for name, value in taken.items():
        found = []
        for given in (number(value), value):
            settings = {"learning_rate": schedule, "solver": "sgd", name: given}
            model = quick(MLPRegressor, **settings).fit(X, y)
            found.append((model.history_, model.predict(X).tolist()))
        assert found[0] == found[1], name


def test_names_of_numpy_are_taken_and_shown_as_they_are_written():
    X, y = data(MLPRegressor)
    assert Ordinal(np.str_("mode")) == Ordinal("mode")
    quick(MLPRegressor, activation=np.str_("tanh"), solver=np.str_("lbfgs")).fit(X, y)
    with pytest.raises(ValueError) as told:
        quick(MLPRegressor, activation=np.str_("wide")).fit(X, y)
    assert "np.str_" not in str(told.value)
