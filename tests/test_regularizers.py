"""Dropout, noise, normalization, residuals, smoothed labels, class weights, sizes as strings."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight

from skmlp import MLPClassifier, MLPRegressor, check_gradient
from skmlp.activations import ACTIVATIONS
from skmlp.engine import BATCH, Program, evaluate, variable
from skmlp.estimators.settings import Settings
from skmlp.heads import HEADS
from skmlp.heads.head import best_constant
from skmlp.network.network import Network, values_of
from skmlp.network.normalization import EPSILON, NORMALIZATIONS, moments, normalized
from skmlp.network.occasions import STATISTICS_RATE, Noise, Prediction, Training, dropped
from skmlp.training.objective import LossGraph, Objective

KINDS = [MLPClassifier, MLPRegressor]
PUBLISHED = ["coefs_", "intercepts_", "activation_parameters_"]
PUBLISHED += ["normalization_parameters_", "normalization_statistics_"]


def data(kind=MLPRegressor, rows=60, inputs=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, inputs)) + 0.5
    score = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=rows)
    return X, np.digitize(score, [-0.3, 0.8]) if kind is MLPClassifier else score


def fit(kind, X, y, sample_weight=None, **parameters):
    defaults = {"hidden_layer_sizes": (6, 6), "random_state": 0, "max_iter": 8, "batch_size": 16}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = () if sample_weight is None else (sample_weight,)
        return kind(**(defaults | parameters)).fit(X, y, *weights)


def answers(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


def assert_same_model(a, b):
    """All that predictions are made of is the same, to the bit."""
    for name in PUBLISHED:
        for one, other in zip(getattr(a, name), getattr(b, name), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other)


def differ(a, b):
    return any(np.any(x != y) for x, y in zip(a.coefs_, b.coefs_, strict=True))


# ------------------------------------------------------------------------- gradients, any mixture


def objective_of(network, noise, head="linear", *, weighted=False, smoothing=0.0, penalty=0.0):
    rng = np.random.default_rng(1)
    X, n_targets = rng.normal(size=(12, network.layer_units[0])), network.layer_units[-1]
    Y = rng.normal(size=(12, n_targets))
    if head != "linear":
        Y = np.eye(n_targets)[rng.integers(n_targets, size=12)]
    weights = rng.uniform(0.5, 2.0, size=12) if weighted else None
    theta = network.initial_theta(np.random.RandomState(0), np.float64, X=X)
    theta += 0.1 * rng.uniform(size=len(theta))
    graph = LossGraph(
        network,
        HEADS[head](),
        n_targets,
        is_weighted=weighted,
        label_smoothing=smoothing,
        noise=noise,
    )
    random = np.random.default_rng(2)
    return Objective(graph, theta, X, Y, weights, penalty, random=random), (X, Y, weights), random


def largest_difference(objective, random, *, same_draw=True):
    """Derived against central differences, the noise being drawn the same each time."""
    start, rows, theta = random.bit_generator.state, np.arange(12), objective.theta

    def value():
        if same_draw:
            random.bit_generator.state = start
        return objective(rows)

    value()
    derived, differences = objective.gradient.copy(), np.empty_like(theta)
    for i, at in enumerate(theta.copy()):
        values = []
        for h in (-1e-5, 1e-5):
            theta[i] = at + h
            values.append(value())
        theta[i] = at
        differences[i] = (values[1] - values[0]) / 2e-5
    return np.max(np.abs(derived - differences)) / np.max(np.abs(derived))


NOISES = [Noise(), Noise((0.2, 0.3, 0.4), 0.5)]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("noise", NOISES, ids=["quiet", "noisy"])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize(("head", "smoothing"), [("linear", 0.0), ("softmax", 0.2)])
def test_the_gradient_is_that_of_the_values(
    head, smoothing, normalization, noise, weighted, residual
):
    kinds = (ACTIVATIONS["tanh"], ACTIVATIONS["softplus"])
    network = Network((3, 4, 4, 2), kinds, 0, normalization, residual)
    options = {"weighted": weighted, "smoothing": smoothing, "penalty": 0.3}
    objective, _, random = objective_of(network, noise, head, **options)
    assert largest_difference(objective, random) < 1e-7


def test_the_law_of_the_gradient_can_fail():
    network = Network((3, 4, 4, 2), (ACTIVATIONS["tanh"],) * 2)
    objective, _, random = objective_of(network, Noise((0.0, 0.5, 0.5)))
    assert largest_difference(objective, random, same_draw=False) > 1e-2


def test_each_regularizer_is_a_differentiable_function():
    z, u = np.random.default_rng(0).normal(size=(2, 5, 4))
    assert check_gradient(lambda h: dropped(h, u, 0.3), z) < 1e-8
    for axis, w in ((0, None), (1, None), (0, np.arange(1.0, 6.0))):
        check_gradient(
            lambda z, gain, shift, axis=axis, w=w: normalized(z, *moments(z, axis, w), gain, shift),
            z,
            np.array([1.0, 2.0, -1.0, 0.5]),
            np.ones(4),
        )


def test_no_gradient_and_no_penalty_moves_what_is_learned_beside_the_weights():
    network = Network((3, 4, 4, 2), (ACTIVATIONS["prelu"],) * 2, 0, "batch")
    gradients = []
    for penalty in (0.0, 5.0):
        objective, *_ = objective_of(network, Noise(), penalty=penalty)
        objective(np.arange(12))
        gradients.append(network.split(objective.gradient))
    for free, penalized in zip(*gradients, strict=True):
        for name, g in free.items():
            if name == "W":
                assert np.all(g != penalized["W"])
            else:
                np.testing.assert_array_equal(g, penalized[name])
    for hidden in gradients[0][:-1]:
        np.testing.assert_array_equal(hidden["statistics"], 0)


# ------------------------------------------------------------------------------------------ dropout


@pytest.mark.parametrize("rates", [(0.0, 0.5), (0.5, 0.25), (0.75, 0.75)])
def test_dropout_has_the_prediction_as_its_exact_expectation(rates):
    network = Network((2, 2, 1), (ACTIVATIONS["identity"],))
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    training = LossGraph(network, HEADS["linear"](), 1, noise=Noise(rates))
    predicting = LossGraph(network, HEADS["linear"](), 1)
    x = np.array([[1.0, -2.0]])
    drawn = [u for u, _ in training.training.fills]
    parts = network.split(theta)
    program = Program([training.raw], values_of(training.parameters, parts))
    outcomes = []  # of all masks, each as likely as the others: u on a grid of 4 values
    for numbers in itertools.product([0.0, 0.25, 0.5, 0.75], repeat=2 * len(drawn)):
        masks = np.reshape(numbers, (len(drawn), 1, 2))
        outcomes.append(program.run({training.x: x, **dict(zip(drawn, masks, strict=True))})[0])
    values = {predicting.x: x, **values_of(predicting.parameters, parts)}
    expected = evaluate(predicting.raw, values)
    assert np.ptp(outcomes) > 0.1
    np.testing.assert_allclose(np.mean(outcomes, axis=0), expected, rtol=1e-12)


def test_dropout_in_training_has_the_prediction_as_its_mean():
    """The same by what training draws itself, over many masks."""
    network = Network((4, 30, 1), (ACTIVATIONS["identity"],))
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    graph = LossGraph(network, HEADS["linear"](), 1, noise=Noise((0.2, 0.5), 0.3))
    predicting = LossGraph(network, HEADS["linear"](), 1)
    X = np.tile(np.ones((1, 4)), (20_000, 1))
    values = {graph.x: X, **graph.training.drawn_from(np.random.default_rng(0))}
    parts = network.split(theta)
    program = Program([graph.raw], values_of(graph.parameters, parts))
    raw = program.run(values)[0]
    bound = values_of(predicting.parameters, parts)
    expected = evaluate(predicting.raw, {predicting.x: X[:1], **bound})[0, 0]
    assert abs(raw.mean() - expected) < 4 * raw.std() / np.sqrt(len(raw))
    assert abs(raw.mean() - 0.5 * expected) > 4 * raw.std() / np.sqrt(len(raw))


def drawn_for(**parameters):
    """The names of what is drawn for the network that an estimator composes."""
    noise = Settings.of(MLPRegressor((5, 3), **parameters)).noise
    network = Network((4, 5, 3, 1), (ACTIVATIONS["relu"],) * 2)
    graph = LossGraph(network, HEADS["linear"](), 1, noise=noise)
    return [u.name for u, _ in graph.training.fills]


def test_a_number_for_dropout_is_for_hidden_layers_and_a_sequence_for_all():
    assert drawn_for() == drawn_for(dropout=0) == drawn_for(dropout=[0, 0.0, 0]) == []
    assert drawn_for(dropout=0.5) == drawn_for(dropout=(0, 0.5, 0.5)) == ["u1", "u2"]
    assert drawn_for(dropout=np.array([0.1, 0.0, 0.5])) == ["u0", "u2"]
    assert drawn_for(dropout=(0.5, 0, 0), input_noise=1) == ["noise", "u0"]
    X, y = data()
    same = {"dropout": 0.5}, {"dropout": [0.0, 0.5, 0.5]}
    assert_same_model(*(fit(MLPRegressor, X, y, **parameters) for parameters in same))


@pytest.mark.parametrize("rates", [(), (0.1,), (0.1, 0.2), (0.1, 0.2, 0.3, 0.4)])
def test_as_many_rates_as_layers_are_asked_for(rates):
    X, y = data()
    with pytest.raises(ValueError, match=r"'dropout'.*give 3, or a single one") as error:
        fit(MLPRegressor, X, y, dropout=rates)
    assert repr(rates) in str(error.value)


def test_a_network_without_hidden_layers_can_drop_its_inputs_alone():
    X, y = data()
    plain = fit(MLPRegressor, X, y, hidden_layer_sizes=())
    assert_same_model(plain, fit(MLPRegressor, X, y, hidden_layer_sizes=(), dropout=0.5))
    assert differ(plain, fit(MLPRegressor, X, y, hidden_layer_sizes=(), dropout=[0.5]))


NOISY = [{"dropout": 0.3}, {"dropout": (0.2, 0.3, 0)}, {"input_noise": 0.1}]
NOISY += [{"dropout": 0.3, "input_noise": 0.1, "normalization": "batch", "residual": True}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", NOISY, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_is_reproducible(parameters, kind, dtype):
    X, y = data(kind)
    parameters = parameters | {"dtype": dtype}
    model = fit(kind, X, y, **parameters)
    np.random.seed(1)  # noqa: NPY002, the global generator is of no matter
    assert_same_model(model, fit(kind, X, y, **parameters))
    assert differ(model, fit(kind, X, y, **(parameters | {"random_state": 1})))
    assert differ(model, fit(kind, X, y, **(parameters | {"dropout": 0.31, "input_noise": 0.2})))
    np.testing.assert_array_equal(answers(model, X), answers(model, X))
    assert all(W.dtype == dtype for W in model.coefs_)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", NOISY, ids=str)
def test_a_stream_draws_on_where_it_was(parameters, kind):
    X, y = data(kind)
    steps = {"solver": "sgd", "shuffle": False, "learning_rate_init": 0.01, **parameters}
    whole = fit(kind, X, y, max_iter=6, **steps)
    stream = kind((6, 6), random_state=0, batch_size=16, **steps)
    first = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    for _ in range(6):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, y, **first)))
        first = {}
    assert_same_model(stream, whole)
    assert b"PCG64" in pickle.dumps(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert b"PCG64" not in pickle.dumps(stream.set_params(max_iter=1).fit(X, y))


def test_training_fills_normal_numbers_of_the_right_width():
    occasion = Training(Noise((), 0.5))
    graph = LossGraph(Network((3, 1), ()), HEADS["linear"](), 1, noise=occasion.noise)
    (x, fill), *_ = graph.training.drawn_from(np.random.default_rng(0)).items()
    for dtype in (np.float64, np.float32):
        numbers = np.empty((5000, 3), dtype)
        fill(numbers)
        assert abs(numbers.mean()) < 0.04
        assert abs(numbers.std() - 1) < 0.03
    disturbed = evaluate(
        graph.raw,
        {
            graph.x: np.zeros((5000, 3)),
            x: numbers,
            **values_of(graph.parameters, [{"W": np.ones((3, 1)), "b": np.zeros(1)}]),
        },
    )
    assert np.std(disturbed) == pytest.approx(0.5 * np.sqrt(3), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", NOISY, ids=str)
def test_lbfgs_refuses_what_changes_its_objective(parameters, kind):
    X, y = data(kind)
    random = np.random.RandomState(0)
    before = random.get_state()[1].copy()
    with pytest.raises(ValueError, match=r"'lbfgs' needs an objective.*'adam' or 'sgd'"):
        fit(kind, X, y, solver="lbfgs", random_state=random, **parameters)
    np.testing.assert_array_equal(random.get_state()[1], before)


@pytest.mark.parametrize("parameters", [{"input_noise": 0.1}, {"dropout": (0.1, 0, 0)}], ids=str)
def test_disturbed_inputs_are_dense(parameters):
    X, y = data()
    assert not get_tags(MLPRegressor((6, 6), **parameters)).input_tags.sparse
    with pytest.raises(ValueError, match=r"cannot take sparse inputs: give X.toarray\(\)"):
        fit(MLPRegressor, sparse.csr_matrix(X), y, **parameters)
    model = fit(MLPRegressor, X, y, **parameters)
    np.testing.assert_allclose(model.predict(sparse.csr_matrix(X)), model.predict(X))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_hidden_layers_are_regularized_on_sparse_inputs_too(normalization):
    X, y = data()
    X[X < 0.5] = 0
    parameters = {"normalization": normalization, "dropout": 0.2, "residual": True}
    dense = fit(MLPRegressor, X, y, **parameters)
    model = fit(MLPRegressor, sparse.csr_matrix(X), y, **parameters)
    np.testing.assert_allclose(model.predict(X), dense.predict(X), atol=1e-8)


# ------------------------------------------------------------------------ normalization, residuals


def running_of(normalization):
    return {} if normalization is None else NORMALIZATIONS[normalization].running


def moments_by_hand(normalization, z, running):
    """Mean and variance that scale z, by NumPy where a reference is written here."""
    references = {
        "layer": lambda z, running: (z.mean(axis=1)[:, None], z.var(axis=1)[:, None]),
        "batch": lambda z, running: running,
    }
    if normalization in references:
        return references[normalization](z, running)
    return NORMALIZATIONS[normalization].moments(z, lambda of_batch: running)


def by_hand(model, X, f, *, normalization=None, residual=False):
    """Compute the layers with NumPy alone, from what the estimator publishes."""
    outputs, h = [], X
    for i, (W, b) in enumerate(zip(model.coefs_[:-1], model.intercepts_, strict=False)):
        z = h @ W + b
        if normalization is not None:
            mean, variance = moments_by_hand(normalization, z, model.normalization_statistics_[i])
            gain, shift = model.normalization_parameters_[i]
            z = gain * (z - mean) / np.sqrt(variance + EPSILON) + shift
        is_added = residual and i > 0 and W.shape[0] == W.shape[1]
        h = h + f(z) if is_added else f(z)
        outputs.append(h)
    return [*outputs, h @ model.coefs_[-1] + model.intercepts_[-1]]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("sizes", [(5,), (4, 6, 6, 5, 5)])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_answers_are_those_composed_by_hand(normalization, residual, sizes, solver):
    X, y = data(inputs=5)  # as wide as the first layer of one of them, which adds nothing to it
    options = {"normalization": normalization, "residual": residual}
    model = fit(
        MLPRegressor, X, y, hidden_layer_sizes=sizes, activation="tanh", solver=solver, **options
    )
    outputs = by_hand(model, X, np.tanh, **options)
    for i in range(len(sizes)):
        np.testing.assert_allclose(model.hidden_layer_output(X, i), outputs[i], atol=1e-12)
    np.testing.assert_allclose(model.predict(X), outputs[-1][:, 0], atol=1e-12)
    for name, found in (
        ("normalization_parameters_", normalization is not None),
        ("normalization_statistics_", bool(running_of(normalization))),
    ):
        for part, units in zip(getattr(model, name), sizes, strict=True):
            assert (part is not None) == found
            rows = len(running_of(normalization)) if name.endswith("statistics_") else 2
            assert part is None or part.shape == (rows, units)


def test_a_residual_network_is_another_one():
    X, y = data()
    plain, added = (fit(MLPRegressor, X, y, residual=residual) for residual in (False, True))
    assert differ(plain, added)
    assert_same_model(
        *(fit(MLPRegressor, X, y, hidden_layer_sizes=(6, 5), residual=r) for r in (False, True))
    )


def test_residual_layers_let_a_deep_network_learn():
    X, y = data(rows=200)
    deep = {"hidden_layer_sizes": "20x16", "max_iter": 30, "learning_rate_init": 0.01}
    deep["activation"] = "tanh"
    plain, added = (fit(MLPRegressor, X, y, residual=r, **deep).score(X, y) for r in (False, True))
    assert plain < 0.1
    assert added > 0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_is_normalized_by_its_own_moments(weighted):
    network = Network((3, 4, 2), (ACTIVATIONS["tanh"],), 0, "batch")
    objective, (X, Y, weights), _ = objective_of(network, Noise(), weighted=weighted)
    hidden, output = network.split(objective.theta)
    rows = np.array([0, 2, 3, 7, 11])
    w = weights[rows] if weighted else np.ones(5)
    z = X[rows] @ hidden["W"] + hidden["b"]
    mean = np.average(z, axis=0, weights=w)
    variance = np.average((z - mean) ** 2, axis=0, weights=w)
    gain, shift = hidden["normalization"]
    h = np.tanh(gain * (z - mean) / np.sqrt(variance + EPSILON) + shift)
    losses = 0.5 * np.sum((h @ output["W"] + output["b"] - Y[rows]) ** 2, axis=1)
    assert objective(rows) == pytest.approx(np.sum(w * losses) / 5, rel=1e-12)
    running = hidden["statistics"]
    before = running.copy()
    objective.track()
    expected = (1 - STATISTICS_RATE) * before + STATISTICS_RATE * np.array([mean, variance])
    np.testing.assert_allclose(running, expected, rtol=1e-12)
    objective(rows[:1])
    objective.track()  # one row has no variance to tell of
    np.testing.assert_allclose(running, expected, rtol=1e-12)
    objective.observe(rows)
    np.testing.assert_allclose(running, [mean, variance], rtol=1e-12)


def test_running_statistics_are_an_exponential_average_over_the_batches():
    X, y = data(rows=49)
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "shuffle": False, "max_iter": 3}
    model = fit(MLPRegressor, X, y, normalization="batch", **still)
    z = X @ model.coefs_[0] + model.intercepts_[0]
    batches = [z[:16], z[16:32], z[32:48]]  # the last row alone does not count
    expected = np.array([z[:16].mean(axis=0), z[:16].var(axis=0)])
    for batch in batches * 3:
        expected = 0.9 * expected + 0.1 * np.array([batch.mean(axis=0), batch.var(axis=0)])
    np.testing.assert_allclose(model.normalization_statistics_[0], expected, rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_keeps_the_statistics_of_all_rows(kind, weighted):
    X, y = data(kind)
    weights = np.random.default_rng(0).integers(0, 4, size=len(y)) if weighted else None
    model = fit(kind, X, y, weights, normalization="batch", solver="lbfgs", max_iter=30)
    z = X @ model.coefs_[0] + model.intercepts_[0]
    mean = np.average(z, axis=0, weights=weights)
    variance = np.average((z - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(model.normalization_statistics_[0], [mean, variance], rtol=1e-10)
    if kind is MLPRegressor:  # so the objective is that of the predictions
        squares = np.average((model.predict(X) - y) ** 2, weights=weights)
        penalty = sum(np.sum(W**2) for W in model.coefs_)
        total = len(y) if weights is None else np.sum(weights)
        expected = 0.5 * squares + 0.5 * model.alpha / total * penalty
        assert model.loss_ == pytest.approx(expected, rel=1e-8)


def test_a_normalized_layer_learns_gain_and_shift():
    X, y = data()
    for normalization in NORMALIZATIONS:
        model = fit(MLPRegressor, X, y, normalization=normalization, activation="tanh")
        for gain, shift in model.normalization_parameters_:
            assert np.all(gain != 1)
            assert np.all(shift != 0)


def test_whoever_edits_gain_and_statistics_edits_the_model():
    X, y = data()
    model = fit(MLPRegressor, X, y, normalization="batch")
    before = model.predict(X)
    for name in ("normalization_parameters_", "normalization_statistics_"):
        edited = pickle.loads(pickle.dumps(model))
        getattr(edited, name)[1] = getattr(edited, name)[1] + 0.1
        assert np.all(edited.predict(X) != before)
        expected = by_hand(edited, X, lambda z: np.maximum(z, 0), normalization="batch")[-1]
        np.testing.assert_allclose(edited.predict(X), expected[:, 0])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_a_row_of_weight_two_is_two_rows_and_one_of_zero_is_none(solver, normalization):
    X, y = data()
    weights = np.random.default_rng(0).integers(0, 3, size=len(y)).astype(float)
    options = {"normalization": normalization, "solver": solver, "batch_size": 1000}
    options |= {"max_iter": 15, "residual": True}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got batch_size")
        weighted = fit(MLPRegressor, X, y, weights, **options)
        rows = np.repeat(np.arange(len(y)), weights.astype(int))
        repeated = fit(MLPRegressor, X[rows], y[rows], **options)
        kept = fit(MLPRegressor, X[weights > 0], y[weights > 0], weights[weights > 0], **options)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-8)
    assert_same_model(weighted, kept)


def test_a_batch_of_one_row_is_refused():
    X, y = data()
    for solver in ("adam", "sgd"):
        with pytest.raises(ValueError, match=r"'batch' needs 2 samples.*batch_size=1"):
            fit(MLPRegressor, X, y, normalization="batch", solver=solver, batch_size=1)
    for solver in ("adam", "lbfgs"):
        with pytest.raises(ValueError, match="got 1 sample"):
            fit(MLPRegressor, X[:1], y[:1], normalization="batch", solver=solver)
    stream = fit(MLPRegressor, X, y, normalization="batch")
    with pytest.raises(ValueError, match="got 1 sample"):
        stream.partial_fit(X[:1], y[:1])
    fit(MLPRegressor, X, y, normalization="batch", solver="lbfgs", batch_size=1)
    fit(MLPRegressor, X, y, normalization="layer", batch_size=1)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ["rbf", ["tanh", "rbf"]])
def test_a_layer_without_pre_activations_is_not_normalized(activation, normalization):
    X, y = data()
    with pytest.raises(ValueError, match=r"hidden layer \d, RadialBasis\(.*set normalization=None"):
        fit(MLPRegressor, X, y, activation=activation, normalization=normalization)
    model = fit(MLPRegressor, X, y, activation=activation, dropout=0.2, residual=True)
    h = model.hidden_layer_output(X, 0)
    bumps = by_hand_bumps(h, model.coefs_[1], model.intercepts_[1])
    np.testing.assert_allclose(model.hidden_layer_output(X, 1), h + bumps, atol=1e-10)


def by_hand_bumps(x, centers, log_widths):
    squares = np.sum((x[:, :, None] - centers) ** 2, axis=1)
    return np.exp(-squares / (2 * np.exp(2 * log_widths)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ["prelu", ["prelu", "tanh"]])
def test_an_activation_that_learns_is_normalized_too(activation, normalization):
    X, y = data()
    model = fit(MLPRegressor, X, y, activation=activation, normalization=normalization)
    assert model.activation_parameters_[0].shape == (1, 6)
    slope = model.activation_parameters_[0]
    outputs = by_hand(
        model, X, lambda z: np.where(z > 0, z, slope * z), normalization=normalization
    )
    np.testing.assert_allclose(model.hidden_layer_output(X, 0), outputs[0], atol=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_best_epoch_has_the_statistics_it_was_judged_with(solver, kind):
    X, y = data(kind, rows=100)
    options = {"normalization": "batch", "early_stopping": True, "n_iter_no_change": 5}
    options |= {"solver": solver, "learning_rate_init": 0.05, "validation_fraction": 0.3}
    model = fit(kind, X, y, max_iter=60, **options)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < model.n_iter_
    assert_same_model(model, fit(kind, X, y, max_iter=best, **options))


@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error", "loss"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_epoch_is_scored_as_the_network_predicts(solver, scoring):
    X, y = data(rows=100)
    options = {"normalization": "batch", "residual": True, "solver": solver, "scoring": scoring}
    if solver == "adam":
        options["dropout"] = 0.3
    model = MLPRegressor((6, 6), random_state=0, max_iter=5, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    error = np.mean((model.predict(X[60:]) - y[60:]) ** 2)
    expected = {
        None: model.score(X[60:], y[60:]),
        "loss": -0.5 * error,
        "neg_mean_squared_error": -error,
    }
    assert model.history_["validation_score"][-1] == pytest.approx(expected[scoring], rel=1e-10)


def test_restore_best_judges_the_network_as_it_predicts():
    X, y = data()
    options = {"normalization": "batch", "dropout": 0.3, "learning_rate_init": 0.5}
    options["random_state"] = 1
    model = fit(MLPRegressor, X, y, max_iter=12, restore_best=True, **options)
    epochs = [fit(MLPRegressor, X, y, max_iter=n, **options) for n in range(1, 13)]

    def objective(m):
        penalty = sum(np.sum(W**2) for W in m.coefs_) * m.alpha * 4 / 60  # of 4 batches
        return 0.5 * np.mean((m.predict(X) - y) ** 2) + 0.5 * penalty

    best = int(np.argmin([objective(m) for m in epochs]))
    assert best < 11
    assert_same_model(model, epochs[best])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_warm_start_goes_on_with_gain_and_statistics(normalization):
    X, y = data()
    steps = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "learning_rate_init": 0.01}
    steps |= {"normalization": normalization, "residual": True}
    whole = fit(MLPRegressor, X, y, max_iter=8, **steps)
    warm = fit(MLPRegressor, X, y, max_iter=3, warm_start=True, **steps)
    published = [part.copy() for part in warm.normalization_parameters_]
    kept = list(warm.normalization_parameters_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warm.set_params(max_iter=5).fit(X, y)
        assert_same_model(warm, whole)
        for a, b in zip(published, kept, strict=True):
            np.testing.assert_array_equal(a, b)
        rows = len(running_of(normalization))
        other = next(name for name in NORMALIZATIONS if len(running_of(name)) != rows)
        with pytest.raises(ValueError, match=f"has normalization='{normalization}'.*'{other}'"):
            warm.set_params(normalization=other).fit(X, y)
        with pytest.raises(ValueError, match=r"None: set warm_start=False or fit a clone\."):
            warm.set_params(normalization=None).fit(X, y)
    assert_same_model(warm, whole)


def test_parameters_set_after_the_fit_do_not_change_its_answers():
    X, y = data()
    model = fit(MLPRegressor, X, y, normalization="batch", residual=True)
    before, layer = model.predict(X), model.hidden_layer_output(X, 1)
    model.set_params(normalization=None, residual=False, dropout=0.5)
    np.testing.assert_array_equal(model.predict(X), before)
    np.testing.assert_array_equal(model.hidden_layer_output(X, 1), layer)
    assert not [name for name in vars(clone(model)) if name.endswith("_")]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_graph_shows_what_predicts(normalization):
    X, y = data()
    model = fit(MLPRegressor, X, y, normalization=normalization, residual=True, dropout=0.2)
    graph = model.computation_graph(X, y)
    nodes = {node.name: node for node in graph.nodes}
    np.testing.assert_allclose(nodes["raw"].value[:, 0], model.predict(X))
    assert nodes["objective"].value == pytest.approx(0.5 * np.mean((model.predict(X) - y) ** 2))
    for text in (str(graph), str(model.computation_graph())):
        assert "gain1, shift1" in text
        running = ", ".join(f"{name}1" for name in running_of(normalization))
        assert running in text
        assert running or "mean1" not in text
        assert "u1" not in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_everything_is_in_the_precision_asked_for(kind, normalization):
    X, y = data(kind)
    options = {"normalization": normalization, "dropout": 0.2, "residual": True}
    single = fit(kind, X.astype(np.float32), y, **options)
    for name in PUBLISHED:
        assert all(p is None or p.dtype == np.float32 for p in getattr(single, name))
    lbfgs = {"solver": "lbfgs", "normalization": normalization, "residual": True, "max_iter": 5}
    one, other = (fit(kind, X, y, dtype=dtype, **lbfgs) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(answers(one, X), answers(other, X), atol=1e-2)


# ----------------------------------------------------------------------------------------- targets

TAKE_SHARES = [name for name, head in HEADS.items() if head.takes_shares]


@pytest.mark.parametrize("name", TAKE_SHARES)
@pytest.mark.parametrize("smoothing", [0.1, 0.75])
def test_smoothed_labels_are_the_loss_on_smoothed_targets(name, smoothing):
    head, rng = HEADS[name](), np.random.default_rng(0)
    n_targets = 4 if head.is_one_hot else 3
    Y = np.eye(4)[rng.integers(4, size=20)] if head.is_one_hot else rng.integers(2, size=(20, 3))
    smooth = (1 - smoothing) * Y + smoothing / (4 if head.is_one_hot else 2)
    network = Network((5, head.n_raw(n_targets)), (), head.n_constant(n_targets))
    graph = LossGraph(network, head, n_targets, label_smoothing=smoothing)
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    parts = values_of(graph.parameters, network.split(theta))
    X = rng.normal(size=(20, 5))
    values = {graph.x: X, graph.y: Y, graph.per_row: 1 / 20, **parts}
    raw, objective = evaluate([graph.raw, graph.objective], values)
    assert objective == pytest.approx(np.mean(head.loss(raw, smooth)), rel=1e-12)
    assert objective != pytest.approx(np.mean(head.loss(raw, Y)), rel=1e-5)
    np.testing.assert_array_equal(head.smoothed(Y, 0.0), Y)


def constant_model(head, shares):
    """What the best constant model of shares of classes predicts."""
    n_raw = head.n_raw(shares.shape[1])
    return head.predict(best_constant(head, shares, None, np.zeros(n_raw))[None])[0]


@pytest.mark.parametrize("name", TAKE_SHARES)
def test_heads_that_take_shares_predict_them(name):
    shares = np.tile([0.6, 0.3, 0.1] if HEADS[name].is_one_hot else [0.7, 0.2], (4, 1))
    np.testing.assert_allclose(constant_model(HEADS[name](), shares), shares[0], atol=1e-4)


def test_a_head_that_takes_no_shares_is_told_apart():
    shares = np.tile([0.6, 0.3, 0.1], (4, 1))
    assert np.max(np.abs(constant_model(HEADS["focal"](), shares) - shares[0])) > 0.1


@pytest.mark.parametrize("initial_output", [None, "data"])
@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([0, 1, 2]), 1 - 0.3 + 0.3 / 3),
        (np.array(["b", "a", "b"]), 1 - 0.3 + 0.3 / 2),
        (np.array([[0, 1], [1, 1], [0, 0]]), 1 - 0.3 + 0.3 / 2),
    ],
    ids=["classes", "two classes", "labels"],
)
def test_smoothed_labels_bound_the_probabilities(y, expected, initial_output):
    options = {"solver": "lbfgs", "alpha": 0.0, "max_iter": 1000, "tol": 1e-8}
    options |= {"hidden_layer_sizes": (), "initial_output": initial_output}
    model = fit(MLPClassifier, np.eye(3), y, label_smoothing=0.3, **options)
    p = model.predict_proba(np.eye(3))
    largest = np.maximum(p, 1 - p) if y.ndim == 2 else p.max(axis=1)
    np.testing.assert_allclose(largest, expected, atol=1e-4)
    np.testing.assert_array_equal(model.predict(np.eye(3)), y)


def test_smoothed_labels_need_classes_and_a_head_that_takes_shares():
    with pytest.raises(TypeError, match="label_smoothing"):
        MLPRegressor(label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"label_smoothing=0.1 makes shares.*Linear\(\)"):
        HEADS["linear"]().smoothed(np.zeros((2, 1)), 0.1)
    X, y = data(MLPClassifier)
    for name in ("focal", "hinge"):
        with pytest.raises(ValueError, match="does not take: set label_smoothing=0"):
            fit(MLPClassifier, X, y, label_smoothing=0.1, head=name)


WEIGHTS = ["balanced", {0: 2.0, 1: 0.5, 2: 1.0}, {2: 10}, {0: 0, 1: np.float32(3)}]


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_class_weights_are_the_sample_weights_they_stand_for(options, weight):
    X, y = data(MLPClassifier, rows=100)
    weighted = fit(MLPClassifier, X, y, class_weight=weight, **options)
    stands_for = compute_sample_weight(weight, y)
    assert_same_model(weighted, fit(MLPClassifier, X, y, stands_for, **options))
    assert differ(weighted, fit(MLPClassifier, X, y, **options))
    assert weighted.loss_curve_ == fit(MLPClassifier, X, y, stands_for, **options).loss_curve_


def test_class_weights_of_words_multiply_the_weights_of_samples():
    X, codes = data(MLPClassifier)
    y = np.array(["red", "green", "blue"])[codes]
    weights = np.random.default_rng(0).integers(0, 4, size=len(y)).astype(float)
    model = fit(MLPClassifier, X, y, weights, class_weight={"red": 3.0, "blue": 0.5})
    factors = np.array([3.0, 1.0, 0.5])[codes]
    assert_same_model(model, fit(MLPClassifier, X, y, weights * factors))
    balanced = fit(MLPClassifier, X, y, weights, class_weight="balanced", solver="lbfgs")
    rows = np.repeat(np.arange(len(y)), weights.astype(int))
    repeated = fit(MLPClassifier, X[rows], y[rows], class_weight="balanced", solver="lbfgs")
    np.testing.assert_allclose(balanced.predict_proba(X), repeated.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("head", ["logistic", "softmax", "hinge", "ordinal"])
def test_class_weights_are_for_two_classes_too(head):
    X, y = data(MLPClassifier)
    y = (y > 1).astype(bool)
    for weight in ("balanced", {True: 5.0}):
        model = fit(MLPClassifier, X, y, class_weight=weight, head=head)
        stands_for = compute_sample_weight(weight, y.astype(int))
        assert_same_model(model, fit(MLPClassifier, X, y, stands_for, head=head))


def test_class_weights_in_a_stream():
    X, y = data(MLPClassifier)
    weight = {0: 5.0, 2: 0.5}
    stream = MLPClassifier((6,), random_state=0, class_weight=weight)
    weighted = MLPClassifier((6,), random_state=0)
    for part in (slice(0, 30), slice(30, 60)):
        stream.partial_fit(X[part], y[part], classes=[0, 1, 2])
        shares = np.array([5.0, 1.0, 0.5])[y[part]]
        weighted.partial_fit(X[part], y[part], shares, classes=[0, 1, 2])
    assert_same_model(stream, weighted)
    balanced = MLPClassifier(class_weight="balanced")
    assert not hasattr(balanced, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as error:
        balanced.partial_fit(X, y, classes=[0, 1, 2])
    assert "give a dict" in str(error.value.__cause__ or error.value)


def test_class_weights_are_not_for_rows_that_were_given_to_validate_on():
    X, y = data(MLPClassifier, rows=100)
    scores = []
    for options, weights in (
        ({"class_weight": {0: 9.0}}, None),
        ({}, np.where(y[:60] == 0, 9.0, 1.0)),
    ):
        model = MLPClassifier((6,), random_state=0, max_iter=5, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X[:60], y[:60], weights, X_val=X[60:], y_val=y[60:])
        scores.append(model.history_)
    assert scores[0] == scores[1]
    assert scores[0]["validation_score"][-1] == model.score(X[60:], y[60:])


def test_class_weights_that_fit_no_class_are_refused():
    X, y = data(MLPClassifier)
    with pytest.raises(ValueError, match=r"no weight for class 0, but one for '0', which is no"):
        fit(MLPClassifier, X, y, class_weight={"0": 2.0, 1: 1.0})
    fold = y != 2  # all the others have a weight
    fit(MLPClassifier, X[fold], y[fold], class_weight={0: 1.0, 1: 2.0, 2: 3.0})
    with pytest.raises(ValueError, match="at least one non-zero"):
        fit(MLPClassifier, X, y, class_weight={0: 0, 1: 0, 2: 0})
    with pytest.raises(ValueError, match="inf"):
        fit(MLPClassifier, X, y, np.full(len(y), 1e200), class_weight={0: 1e200})


def test_class_weights_are_for_classes_alone():
    X, y = data()
    with pytest.raises(TypeError, match="class_weight"):
        MLPRegressor(class_weight="balanced")
    labels = np.column_stack([y > 0, y > 1]).astype(int)
    with pytest.raises(ValueError, match=r"exclude each other, and y has labels.*sample_weight"):
        fit(MLPClassifier, X, labels, class_weight={0: 2.0})
    assert get_tags(MLPClassifier()).classifier_tags.multi_label
    assert not get_tags(MLPClassifier(class_weight="balanced")).classifier_tags.multi_label


# ------------------------------------------------------------------------------- sizes as strings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("7", (7,)),
        ("8-4", (8, 4)),
        ("3x5", (5, 5, 5)),
        ("2x6-3", (6, 6, 3)),
        ("4-1x3-2x2", (4, 3, 2, 2)),
        (np.str_("8-4"), [8, 4]),
    ],
)
def test_sizes_in_a_string_are_those_in_a_tuple(text, sizes, kind):
    X, y = data(kind)
    model = fit(kind, X, y, hidden_layer_sizes=text, max_iter=2)
    assert [len(b) for b in model.intercepts_[:-1]] == list(sizes)
    assert_same_model(model, fit(kind, X, y, hidden_layer_sizes=sizes, max_iter=2))
    assert model.get_params()["hidden_layer_sizes"] == text


WRONG = ["", "()", "-", "64-", "-64", "64--32", "0", "64-0", "0x64", "3x", "x64", "3x4x5"]
WRONG += ["64,32", "64 32", "6.5", "ten", "3X8", " 8", "8\n", "1e3", "²", "٣"]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_sizes_are_refused_in_a_sentence(text):
    X, y = data()
    with pytest.raises(ValueError, match=r"'64-32' or '3x256'") as error:
        fit(MLPRegressor, X, y, hidden_layer_sizes=text)
    assert str(error.value).endswith(f"got {text!r}.")


# -------------------------------------------------------------------------------------- off, and in


OFF = {"dropout": (0, 0.0, 0), "input_noise": 0, "normalization": None, "residual": False}


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_off_they_change_no_bit_and_draw_no_number(kind, solver):
    X, y = data(kind)
    options = {"solver": solver, "batch_size": 20, "max_iter": 5}
    model = fit(kind, X, y, **options)
    random = np.random.RandomState(0)
    off = {**OFF, **options}
    off |= {"label_smoothing": 0.0, "class_weight": None} if kind is MLPClassifier else {}
    assert_same_model(model, fit(kind, X, y, random_state=random, **off))
    theirs = getattr(sklearn.neural_network, kind.__name__)
    their_random = np.random.RandomState(0)
    original = fit(theirs, X, y, random_state=their_random, **options)
    for W, V in zip(model.coefs_, original.coefs_, strict=True):
        np.testing.assert_allclose(W, V, atol=1e-6)
    for ours, other in zip(random.get_state(), their_random.get_state(), strict=True):
        np.testing.assert_array_equal(ours, other)


def test_a_function_fills_its_input_for_every_block_of_rows():
    x, u = variable("x", (BATCH, 2)), variable("u", (BATCH, 2))
    blocks = []

    def fill(out):
        out[...] = len(blocks) + 1
        blocks.append(len(out))

    values = {x: np.zeros((25, 2)), u: fill}
    (total,) = Program([x + u], block_rows=10).run(values)
    assert blocks == [10, 10, 5]
    np.testing.assert_array_equal(total[:, 0], np.repeat([1, 2, 3], blocks))
    (chosen,) = Program([x + u]).run(values, np.array([3, 4]))
    np.testing.assert_array_equal(chosen, 4)


@pytest.mark.parametrize("wrong", [{"dropout": ["0.1"]}, {"input_noise": "0.1"}, {"dropout": "x"}])
def test_tags_do_not_trip_over_wrong_parameters(wrong):
    assert get_tags(MLPRegressor(**wrong)).input_tags.sparse


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_they_work_in_the_units_of_the_data(normalization, solver):
    X, y = data(rows=200)
    options = {"initial_output": "data", "normalization": normalization, "residual": True}
    options |= {"solver": solver, "activation": "tanh", "max_iter": 60}
    if solver != "lbfgs":
        options |= {"dropout": (0, 0.05, 0.05), "learning_rate_init": 0.01, "restore_best": True}
    model = fit(MLPRegressor, X, 1e6 + 1e4 * y, **options)
    assert model.score(X, 1e6 + 1e4 * y) > 0.5
    outputs = by_hand(model, X, np.tanh, normalization=normalization, residual=True)
    np.testing.assert_allclose(model.predict(X), outputs[-1][:, 0])


def test_the_occasion_alone_decides():
    x = np.array([[1.0, 2.0]])
    assert Prediction().disturbed(0, x) is x
    assert Training(Noise((0.0, 0.5))).disturbed(0, x) is x
    assert not Training(Noise()).differs


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_them_in_a_grid(kind):
    X, y = data(kind)
    grid = [
        {"hidden_layer_sizes": ["8-4", "2x6", (5,), ()], "normalization": [None, "batch"]},
        {"normalization": ["layer"], "dropout": [0.0, 0.2, (0.1, 0.2, 0.0)], "residual": [True]},
        {"input_noise": [0.1], "batch_size": [2]},
    ]
    if kind is MLPClassifier:
        grid.append({"class_weight": ["balanced", {0: 2.0}], "label_smoothing": [0.1]})
    base = kind((6, 6), random_state=0, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(base, grid, cv=2, error_score="raise").fit(X, y)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    best = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(best.predict(X), search.predict(X))


def test_each_is_described():
    for name in [*OFF, "label_smoothing", "class_weight"]:
        assert f"    {name} : " in MLPClassifier.__doc__
    assert all(f'"{name}"' in MLPClassifier.__doc__ for name in NORMALIZATIONS)
