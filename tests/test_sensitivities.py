"""What `input_sensitivities` says of a fitted network, against slopes by differences."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import Layer, Learned, MLPClassifier, MLPRegressor, input_sensitivities
from skmlp.activations import ACTIVATIONS
from skmlp.heads import Quantile
from skmlp.network import LAYERS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
SIGNAL = np.abs(X[:, 1]) + X[:, 3] * X[:, 4]


@dataclass(frozen=True)
class Bumps(Layer):
    """A layer whose parts have names of their own."""

    def parts(self, inputs, units):
        return {"centers": (inputs, units), "gains": (units,)}

    def initial(self, rng, x, units):
        return {"centers": x[rng.randint(len(x), size=units)].T, "gains": np.ones(units)}

    def outputs(self, x, centers, gains):
        return gains * np.exp(-0.3 * np.sum(np.square(x[:, :, None] - centers), axis=1))


def bent(z, slope=Learned(0.3)):  # noqa: B008
    return np.where(z > 0, z, slope * z)


NETWORKS = {
    **{f"activation {name}": {"activation": name} for name in ACTIVATIONS},
    **{f"layer {name}": {"activation": name} for name in LAYERS},
    "a function that learns": {"activation": bent},
    "a layer of one's own": {"activation": Bumps()},
    "residual": {"hidden_layer_sizes": (6, 6, 6), "residual": True, "activation": "tanh"},
    "layer normalization": {"hidden_layer_sizes": (6, 6), "normalization": "layer"},
    "batch normalization": {"hidden_layer_sizes": (6, 6), "normalization": "batch"},
    "float32": {"dtype": "float32"},
    "several outputs": {"y": np.stack([SIGNAL, X[:, 0]], axis=1)},
    "several quantiles": {"head": Quantile([0.1, 0.5, 0.9])},
    "a distribution": {"head": "gaussian"},
    "classes": {"kind": MLPClassifier, "y": np.digitize(SIGNAL, [0.3, 1.0])},
    "sparse rows": {"X": csr_matrix(X)},
}


def fitted(X=X, y=SIGNAL, kind=MLPRegressor, **settings):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 20, "random_state": 0} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(**{"learning_rate_init": 0.02, **settings}).fit(X, y)


def by_differences(model, points, step=1e-4):
    """The root mean square slope of the raw outputs, by central differences at some points."""
    squares = []
    for move in step * np.eye(points.shape[1]):
        ahead, behind = model._raw(points + move)[1], model._raw(points - move)[1]
        slopes = (ahead.astype(float) - behind) / (2 * step)
        squares.append(np.mean(np.sum(np.square(slopes), axis=1)))
    return np.sqrt(squares)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "activation hard_threshold"])
def test_it_is_the_root_mean_square_slope_on_normal_inputs(name):
    model = fitted(**NETWORKS[name])
    found = input_sensitivities(model)
    assert found.shape == (5,)
    assert found.dtype == np.float64
    step = 1e-2 if name == "float32" else 1e-4
    expected = by_differences(model, RNG.normal(size=(4000, 5)), step)
    rtol = 0.5 if name == "layer normalization" else 0.15  # its slopes have a heavy tail
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0.02 * expected.max())


@pytest.mark.parametrize("name", NETWORKS)
def test_columns_in_another_order_have_theirs_in_that_order(name):
    model, order = fitted(**NETWORKS[name]), np.array([3, 0, 4, 1, 2])
    before = input_sensitivities(model)
    if model.coefs_[0] is None:
        model.layer_parameters_[0]["centers"] = model.layer_parameters_[0]["centers"][order]
    else:
        model.coefs_[0] = model.coefs_[0][order]
    np.testing.assert_allclose(input_sensitivities(model), before[order], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in NETWORKS if "layer " not in name[:6]])
def test_a_column_without_weights_has_none(name):
    model = fitted(**NETWORKS[name])
    if model.coefs_[0] is None:
        pytest.skip("a center of 0 is no weight of 0")
    model.coefs_[0][2] = 0
    found = input_sensitivities(model)
    assert found[2] == 0
    assert np.all(np.delete(found, 2) > 0)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("y", [SIGNAL, np.stack([SIGNAL, X[:, 0]], axis=1)])
def test_of_a_linear_network_it_is_the_size_of_the_coefficients(hidden, y):
    model = fitted(y=y, hidden_layer_sizes=hidden, activation="identity")
    coefficients = np.linalg.multi_dot([np.eye(5), *model.coefs_])
    expected = np.linalg.norm(coefficients, axis=1)
    np.testing.assert_allclose(input_sensitivities(model), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_its_square_bounds_the_variance_that_goes_with_a_column(name):
    """Sobol's total variance, by the mean square of what another value of the column changes."""
    model, squares = fitted(activation=name), []
    points = RNG.normal(size=(20_000, 5))
    for column in range(5):
        other = points.copy()
        other[:, column] = RNG.normal(size=len(points))
        squares.append(0.5 * np.mean(np.square(model.predict(points) - model.predict(other))))
    assert np.all(np.array(squares) <= 1.05 * input_sensitivities(model) ** 2)


@pytest.mark.parametrize("select", [SelectFromModel, RFE])
def test_it_finds_the_columns_that_matter(select):
    network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=0.3, max_iter=2000, random_state=0)
    chosen = select(network, importance_getter=input_sensitivities).fit(X[:, :4], X[:, 1] ** 2)

    assert chosen.get_support()[1]


def test_of_a_pipeline_it_takes_the_last_step():
    model = make_pipeline(StandardScaler(), MLPRegressor((8,), max_iter=500, random_state=0))
    chosen = RFE(
        model, n_features_to_select=2, importance_getter=lambda m: input_sensitivities(m[-1])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        chosen.fit(100 * X, X[:, 0] - X[:, 2])
    assert chosen.get_support().tolist() == [True, False, True, False, False]
    with pytest.raises(ValueError, match="type Pipeline: of a pipeline give the last step"):
        input_sensitivities(model)


def test_what_it_cannot_take_is_said():
    with pytest.raises(NotFittedError):
        input_sensitivities(MLPRegressor())
    with pytest.raises(
        ValueError, match="takes a fitted MLPClassifier or MLPRegressor, got one of type int"
    ):
        input_sensitivities(3)
    model = fitted()
    model.coefs_[0] = np.full_like(model.coefs_[0], 1e300)
    model.coefs_[1] = np.full_like(model.coefs_[1], 1e300)
    with pytest.raises(ValueError, match="finite on inputs of mean 0 and variance 1"):
        input_sensitivities(model)
