"""Schedules and solvers: rates of every step, decay, clipping and averages, against references."""

import copy
import inspect
import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor as TheirRegressor

from skmlp import Layer, MLPClassifier, MLPRegressor
from skmlp.estimators.settings import Settings
from skmlp.training.schedules import SCHEDULES
from skmlp.training.solvers import (
    CLEARED_AFTER,
    NOWHERE,
    SOLVERS,
    Adam,
    AdamW,
    Average,
    clearing,
    clip_norm,
)

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]
OF_PROGRESS = [name for name, found in SCHEDULES.items() if not isinstance(found, type)]


def data(kind, n=60):
    if kind is MLPClassifier:
        return make_classification(n, 5, random_state=0)
    X, y = make_regression(n, 5, random_state=0)
    return X, y / 50


def quick(kind=MLPRegressor, **parameters):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0, "batch_size": 25}
    return kind(**(settings | {"learning_rate_init": 0.01} | parameters))


def parameters_of(model):
    return np.concatenate([part.ravel() for part in [*model.coefs_, *model.intercepts_]])


def same(a, b):
    return np.array_equal(parameters_of(a), parameters_of(b)) and a.loss_curve_ == b.loss_curve_


# -------------------- schedules

# Written out apart from the package, with t the share of training, for those whose values are
# known from elsewhere.
REFERENCE = {
    "cosine": lambda t: (1 + np.cos(np.pi * t)) / 2,
    "linear": lambda t: 1 - t,
    "one_cycle": lambda t: np.where(
        t < 0.3,
        1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * t / 0.3)) / 2,
        4e-6 + (1 - 4e-6) * (1 + np.cos(np.pi * (t - 0.3) / 0.7)) / 2,
    ),
    "coslog4": lambda t: (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t))) / 2,
    "flat_cos": lambda t: np.where(t < 0.5, 1, (1 + np.cos(np.pi * (2 * t - 1))) / 2),
}


def law_of_factors(schedule):
    """What the rate is multiplied by is a number in [0, 1], and 1 somewhere."""
    factors = [schedule(t) for t in np.linspace(0, 1, 1001)]
    assert all(isinstance(factor, float) for factor in factors)
    assert min(factors) >= 0
    assert 0.99 < max(factors) <= 1


@pytest.mark.parametrize("name", OF_PROGRESS)
def test_a_schedule_is_a_share_of_the_rate(name):
    law_of_factors(SCHEDULES[name])


@pytest.mark.parametrize(
    "bad", [lambda t: 1.0 - 1.1 * t, lambda t: 1.0 + t, lambda t: 0.5, lambda t: np.ones(1)]
)
def test_the_law_of_factors_can_fail(bad):
    with pytest.raises(AssertionError):
        law_of_factors(bad)


@pytest.mark.parametrize("name", REFERENCE)
def test_a_schedule_is_its_formula(name):
    t = np.linspace(0, 1, 301)
    np.testing.assert_allclose([SCHEDULES[name](x) for x in t], REFERENCE[name](t), atol=1e-12)


@unconverged
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("warmup", [0.0, 0.3])
@pytest.mark.parametrize(
    "schedule",
    [*OF_PROGRESS, "constant", lambda t: 0.3 + t],
    ids=lambda s: s if isinstance(s, str) else "own",
)
def test_the_rate_of_every_step_goes_by_the_share_of_training(schedule, warmup, solver):
    """A fit that is given every rate by hand, as the solver itself is stepped."""
    X, y = data(MLPRegressor)
    asked = []

    def factor(t):
        asked.append(t)
        warmed = min(1, t / warmup) if warmup else 1
        if schedule == "constant":
            return 1.0 * warmed
        f = schedule if callable(schedule) else REFERENCE.get(schedule, SCHEDULES[schedule])
        return float(f(t)) * warmed

    by_hand = quick(solver=solver, learning_rate=factor).fit(X, y)
    model = quick(solver=solver, learning_rate=schedule, warmup=warmup).fit(X, y)
    assert asked == pytest.approx(
        [(60 * epoch + start) / 300 for epoch in range(5) for start in (0, 25, 50)]
    )
    np.testing.assert_allclose(parameters_of(model), parameters_of(by_hand), rtol=1e-9)
    assert model.history_["learning_rate"] == pytest.approx(by_hand.history_["learning_rate"])
    last = [0.01 * by_hand.learning_rate(t) for t in asked[2:15:3]]
    assert by_hand.history_["learning_rate"] == pytest.approx(last)
    if schedule != "constant" or warmup:
        assert not same(model, quick(solver=solver).fit(X, y))


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_factor_of_one_is_the_constant_rate(solver, kind):
    X, y = data(kind)
    plain = quick(kind, solver=solver).fit(X, y)
    assert same(quick(kind, solver=solver, learning_rate=lambda t: 1).fit(X, y), plain)
    assert not same(quick(kind, solver=solver, learning_rate=lambda t: 2).fit(X, y), plain)


@unconverged
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_scikit_learns_schedules_are_for_sgd_alone_as_there(schedule, solver):
    X, y = data(MLPRegressor)
    settings = {"learning_rate": schedule, "solver": solver, "batch_size": 20, "max_iter": 12}
    settings |= {"n_iter_no_change": 2, "tol": 0.01, "alpha": 0}
    ours = quick(**settings).fit(X, y)
    theirs = TheirRegressor(
        hidden_layer_sizes=(6,), random_state=0, learning_rate_init=0.01, **settings
    ).fit(X, y)
    np.testing.assert_allclose(parameters_of(ours), parameters_of(theirs), rtol=1e-9)
    if solver == "adam":
        assert set(ours.history_["learning_rate"]) == {0.01}


NO_RATES = [None, "0.5", 1j, [0.5], np.array([0.5]), np.array([0.5, 1.0]), -1, math.nan]


@pytest.mark.parametrize("warmup", [0.0, 0.5])
@pytest.mark.parametrize("bad", NO_RATES, ids=repr)
def test_what_is_no_rate_is_told_before_the_first_step(bad, warmup):
    X, y = data(MLPRegressor)
    model = quick(learning_rate=lambda progress: bad, warmup=warmup)
    with pytest.raises(ValueError, match=r"^learning_rate must .* at progress 0 .*returned"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("rate", [0.5, np.float32(0.5), np.array(0.5), True, 1])
def test_a_rate_of_any_kind_of_number_is_taken(rate):
    X, y = data(MLPRegressor)
    found = [quick(learning_rate=lambda progress, r=r: r).fit(X, y) for r in (rate, float(rate))]
    for ours, theirs in zip(*map(parameters_of, found), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_a_schedule_raises_is_told_and_chained():
    X, y = data(MLPRegressor)
    with pytest.raises(ValueError, match=r"learning_rate must .*raised ZeroDivisionError") as told:
        quick(learning_rate=lambda progress: 1 / progress).fit(X, y)
    assert isinstance(told.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "schedule", [lambda: 1.0, lambda epoch, rate: rate, lambda *, progress: progress]
)
def test_a_schedule_that_does_not_take_progress_alone_is_refused_before_any_work(schedule):
    X, y = data(MLPRegressor)
    with pytest.raises(
        ValueError, match=r"'learning_rate' .* function of \(progress\), got <lambda>"
    ):
        quick(learning_rate=schedule).fit(X, y)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_schedule_that_returns_no_rate_is_refused(bad):
    X, y = data(MLPRegressor)
    model = quick(learning_rate=lambda t: 1.0 if t < 0.5 else bad)
    with pytest.raises(ValueError, match=r"at progress 0\.566667 it returned (-1|nan|inf)"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("schedule", [n for n in OF_PROGRESS if SCHEDULES[n](1.0) < 0.01])
def test_a_schedule_that_comes_to_rest_has_not_failed_to_converge(schedule):
    X, y = data(MLPRegressor)
    quick(learning_rate=schedule, n_iter_no_change=np.inf).fit(X, y)  # a warning is an error
    with pytest.warns(ConvergenceWarning):
        quick(n_iter_no_change=np.inf).fit(X, y)


@unconverged
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "extra",
    [{"learning_rate": lambda t: 1 - t / 2, "warmup": 0.5}, {"warmup": 0.5}, {"averaging": 0.8}],
)
def test_steps_of_a_stream_are_the_epochs_of_a_fit(extra, solver):
    X, y = data(MLPRegressor)
    settings = {"solver": solver, "shuffle": False, "max_iter": 4} | extra
    fitted, stream = quick(**settings).fit(X, y), quick(**settings)
    for _ in range(4):
        stream = stream.partial_fit(X, y)
        stream = stream if callable(stream.learning_rate) else pickle.loads(pickle.dumps(stream))
    np.testing.assert_allclose(parameters_of(stream), parameters_of(fitted), rtol=1e-12)
    assert stream.history_ == fitted.history_
    assert stream.best_iter_ == fitted.best_iter_ == 4


def test_another_rate_starts_a_streams_solver_anew():
    X, y = data(MLPRegressor)
    stream = quick().partial_fit(X, y)
    stream.set_params(learning_rate_init=0.5).partial_fit(X, y)
    assert stream.history_["learning_rate"] == [0.5]
    stream.partial_fit(X, y)
    assert stream.history_["learning_rate"] == [0.5, 0.5]
    assert len(stream.loss_curve_) == 3


@dataclass(frozen=True)
class Said(Layer):
    """A layer that says what is penalized, and at which rates."""

    penalized: tuple = ("W", "c")
    factors: tuple = ()

    def parts(self, inputs, units):
        return {"g": (units,), "W": (inputs, units), "c": (inputs,)}

    def rates(self, inputs, units):  # noqa: ARG002
        return dict(self.factors)

    def initial(self, rng, x, units):
        W = rng.standard_normal((x.shape[1], units))
        return {"g": np.ones(units), "W": W, "c": np.zeros(x.shape[1])}

    def outputs(self, x, W, g, c):
        return np.tanh((x - c) @ W) * g


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("changed", [Said(()), Said(("g",)), Said(factors=(("W", np.float64(0)),))])
def test_another_layout_starts_a_streams_solver_anew(changed, solver):
    X, y = data(MLPRegressor)
    stream = quick(activation=Said(), solver=solver, alpha=0.0)
    for _ in range(3):
        stream.partial_fit(X, y)
    before = copy.deepcopy(stream).set_params(warm_start=True, activation=changed, max_iter=1)
    stream.set_params(activation=changed).partial_fit(X, y)
    with pytest.warns(ConvergenceWarning):
        before.fit(X, y)
    np.testing.assert_array_equal(stream.predict(X), before.predict(X))


def spent(progress):
    return max(0.0, 0.5 - progress)


TO_REST = [*OF_PROGRESS, lambda t: 0.003 * (1 - t), spent, lambda t: 0]
WITHOUT_END = [name for name in SCHEDULES if name not in OF_PROGRESS]
WITHOUT_END += [lambda t: 1, np.cos, lambda t: 1e-3, lambda t: max(0.1, 1 - t)]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("schedule", TO_REST)
@pytest.mark.parametrize("before", ["nothing", "fit", "stream"])
def test_a_stream_refuses_a_schedule_that_comes_to_rest(before, schedule, solver):
    X, y = data(MLPRegressor)
    model = quick(solver=solver, n_iter_no_change=np.inf)
    if before == "fit":
        model.set_params(learning_rate="cosine").fit(X, y).set_params(learning_rate=schedule)
    elif before == "stream":
        model.partial_fit(X, y)
    model.set_params(learning_rate=schedule, warmup=0.2)
    kept = dict(vars(model))
    name = repr(schedule) if isinstance(schedule, str) else schedule.__name__
    with pytest.raises(ValueError, match=f"learning_rate={name} comes to rest after max_iter=5"):
        model.partial_fit(X, y)
    assert vars(model) == kept
    with pytest.raises(ValueError, match="'constant', 'invscaling', 'adaptive'"):
        model.partial_fit("no data, as the refusal comes first", y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("schedule", WITHOUT_END)
def test_a_stream_goes_on_learning_after_max_iter_calls(schedule, solver):
    X, y = data(MLPRegressor)
    stream = quick(solver=solver, learning_rate=schedule, warmup=0.5, max_iter=4)
    for _ in range(12):
        before = None if not hasattr(stream, "coefs_") else parameters_of(stream)
        stream.partial_fit(X, y)
        assert before is None or not np.array_equal(before, parameters_of(stream))
    assert all(rate > 0 for rate in stream.history_["learning_rate"])


# -------------------- solvers


def solver_of(name, theta, weights=NOWHERE, **parameters):
    """The solver of an estimator with these parameters."""
    return Settings.of(quick(solver=name, **parameters)).new_solver(theta, weights)


def test_adamw_is_adam_of_weights_that_shrink_first():
    rng = np.random.RandomState(0)
    theta = rng.normal(size=10)
    ours, theirs = theta.copy(), theta.copy()
    options = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    adamw = AdamW(ours, 0.1, slice(0, 6), weight_decay=0.5, **options)
    adam = Adam(theirs, 0.1, **options)
    g, h = np.empty(10), np.empty(10)
    decayed, plain = adamw.bind(ours, g), adam.bind(theirs, h)
    for _ in range(5):
        g[...] = h[...] = rng.normal(size=10)
        decayed()
        theirs[:6] *= 1 - 0.1 * 0.5
        plain()
        np.testing.assert_array_equal(ours, theirs)


def test_adamw_agrees_with_its_paper():
    """Algorithm 2 of Loshchilov and Hutter, with epsilon beside the uncorrected root, as here."""
    rng = np.random.RandomState(0)
    theta = rng.normal(size=4)
    options = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8, "weight_decay": 0.3}
    solver, moved = AdamW(theta, 0.02, slice(0, 4), **options), theta.copy()
    m = v = np.zeros(4)
    slope = np.empty(4)
    step = solver.bind(theta, slope)
    for t in range(1, 8):
        g = rng.normal(size=4)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        along = (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.99**t))
        moved = moved - 0.02 * 0.3 * moved - 0.02 * along
        slope[...] = g
        step()
        np.testing.assert_allclose(theta, moved, rtol=1e-5)


@unconverged
def test_weight_decay_is_for_weights_and_for_adamw_alone():
    X, y = data(MLPRegressor)
    settings = {"learning_rate": lambda t: 1.0, "max_iter": 1, "batch_size": 60, "alpha": 0}
    none, some = (quick(solver="adamw", weight_decay=w, **settings).fit(X, y) for w in (0, 10))
    for a, b in zip(none.intercepts_, some.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(none.coefs_, some.coefs_, strict=True):
        assert np.linalg.norm(b) < np.linalg.norm(a)
    adam = quick(**settings).fit(X, y)
    assert same(none, adam)
    assert same(quick(weight_decay=10, **settings).fit(X, y), adam)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e25])
def test_a_gradient_is_scaled_down_to_the_largest_norm(size, dtype):
    g = (size * np.random.RandomState(0).normal(size=50)).astype(dtype)
    norm = np.linalg.norm(g.astype(np.float64))
    clipped = g.copy()
    assert clip_norm(clipped, 1.0)
    np.testing.assert_allclose(clipped, g * min(1, 1 / norm), rtol=1e-5)
    for bad in (np.nan, np.inf):
        g[3] = bad
        assert not clip_norm(g, 1.0)


@unconverged
def test_a_long_gradient_makes_a_short_step():
    X, y = data(MLPRegressor)
    settings = {"solver": "sgd", "momentum": 0, "max_iter": 1, "batch_size": 60, "alpha": 0}
    start = quick(**settings, learning_rate=lambda t: 0).fit(X, 1e6 * y)
    clipped = quick(**settings, max_grad_norm=0.5).fit(X, 1e6 * y)
    assert np.linalg.norm(parameters_of(clipped) - parameters_of(start)) == pytest.approx(0.005)
    loose = quick(**settings, max_grad_norm=1e30).fit(X, y)
    assert same(loose, quick(**settings).fit(X, y))


@pytest.mark.parametrize("decay", [0.9, 0.999, 0.99999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_average_of_what_does_not_change_is_that(dtype, decay):
    theta = np.random.default_rng(0).normal(size=50).astype(dtype)
    average = Average(theta, decay)
    for _ in range(3000):
        average.update(theta)
    np.testing.assert_array_equal(average.values, theta)


def test_an_average_is_the_weighted_mean_of_all_steps():
    rng, decay = np.random.RandomState(0), 0.9
    steps = rng.normal(size=(30, 40_000))
    average = Average(steps[0], decay)
    for t, theta in enumerate(steps, 1):
        average.update(theta)
        weights = decay ** np.arange(t - 1, -1, -1)
        np.testing.assert_allclose(average.values, np.average(steps[:t], 0, weights), rtol=1e-9)


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_average_is_what_is_validated_and_kept(solver, kind):
    """One step an epoch, so that the parameters of every step can be fitted apart."""
    X, y = data(kind)
    settings = {"solver": solver, "batch_size": 60, "learning_rate_init": 0.05}
    ends = [parameters_of(quick(kind, max_iter=n, **settings).fit(X, y)) for n in range(1, 6)]
    model = quick(kind, averaging=0.7, **settings).fit(X, y, X_val=X, y_val=y)
    expected = np.average(ends, 0, 0.7 ** np.arange(4, -1, -1))
    np.testing.assert_allclose(parameters_of(model), expected, rtol=1e-9)
    assert model.validation_scores_[-1] == pytest.approx(model.score(X, y))
    np.testing.assert_allclose(model.loss_curve_, quick(kind, **settings).fit(X, y).loss_curve_)


@unconverged
@pytest.mark.parametrize("extra", [{"averaging": 0.9}, {"max_grad_norm": 1.0}, {"warmup": 0.5}])
def test_lbfgs_takes_no_notice_of_what_is_for_steps(extra):
    X, y = data(MLPRegressor)
    assert same(quick(solver="lbfgs", **extra).fit(X, y), quick(solver="lbfgs").fit(X, y))


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_moves_against_the_gradient(name):
    theta, g = np.array([1.0, -2.0]), np.empty(2)
    step = solver_of(name, theta, weight_decay=0).bind(theta, g)
    for _ in range(3):
        g[...] = [0.5, -0.5]
        step()
    assert theta[0] < 1
    assert theta[1] > -2


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_finds_a_minimum(name, dtype):
    theta, g = np.zeros(3, dtype), np.empty(3, dtype)
    lowest, curvature = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0, 10.0])
    step = solver_of(name, theta, slice(0, 3), weight_decay=0).bind(theta, g)
    for _ in range(3000):
        g[...] = curvature * (theta - lowest)
        step()
    np.testing.assert_allclose(theta, lowest, atol=1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_attributes_of_a_solver_are_its_whole_state(name):
    rng = np.random.RandomState(0)
    theta, g = rng.normal(size=7), np.empty(7)
    solver = solver_of(name, theta, slice(0, 4), weight_decay=0.1)
    slopes = rng.normal(size=(9, 7))
    step = solver.bind(theta, g)
    for number, slope in enumerate(slopes):
        if number == 5:
            copied, kept = pickle.loads(pickle.dumps(solver)), theta.copy()
        g[...] = slope
        step()
    h = np.empty(7)
    step = copied.bind(kept, h)
    for slope in slopes[5:]:
        h[...] = slope
        step()
    np.testing.assert_array_equal(kept, theta)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_takes_the_parameters_it_names(name):
    signature, theta = inspect.signature(MLPRegressor).parameters, np.zeros(2)
    usual = {option: signature[option].default for option in SOLVERS[name].options}
    given = {n: not value if value in (True, False) else value / 2 for n, value in usual.items()}
    solver = solver_of(name, theta, **given)
    assert {option: getattr(solver, option) for option in given} == given
    with pytest.raises(TypeError, match="unknown"):
        SOLVERS[name](theta, 0.1, unknown=1, **given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("name", SOLVERS)
def test_what_gets_no_gradient_any_more_does_not_become_denormal(name, dtype):
    theta, g = np.ones(3, dtype), np.zeros(3, dtype)
    solver = solver_of(name, theta, slice(0, 1), weight_decay=0.01)
    step = solver.bind(theta, g)
    theta[...] = [1.0, np.finfo(dtype).tiny / 8, 1e-20]
    smallest = np.inf
    for i in range(30_000):
        g[...] = [1e-3, 0, 1e-5] if i == 0 else 0
        step()
        if i % 97 == 0 and i > CLEARED_AFTER:
            vectors = [v for v in vars(solver).values() if isinstance(v, np.ndarray)]
            numbers = np.abs(np.concatenate([theta, *vectors]))
            smallest = min(smallest, np.min(numbers[numbers > 0]))
    assert smallest >= np.finfo(dtype).tiny
    assert np.all(theta[[0, 2]] != 0)


def test_clearing_touches_nothing_that_matters():
    numbers = np.array([1e-25, -1e-25, 1e-27, -1e-45, 0, 1, np.inf], np.float32)
    clearing(np.float32)(np.empty_like(numbers), numbers)
    np.testing.assert_array_equal(
        numbers, np.array([1e-25, -1e-25, 0, 0, 0, 1, np.inf], np.float32)
    )
