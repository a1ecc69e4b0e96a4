"""Pictures: laws of all of them, and that what each draws is what it says, by other ways."""

import re
import subprocess
import sys
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes, load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import Learned, MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.callbacks import GradientNorms
from skmlp.engine import ComputationGraph, variable
from skmlp.heads import Quantile
from skmlp.inspection import (
    ActivationDisplay,
    ComputationGraphDisplay,
    GradientFlowDisplay,
    HiddenFeaturesDisplay,
    ImportanceDisplay,
    PredictiveDistributionDisplay,
    TrainingHistoryDisplay,
    UncertaintyCalibrationDisplay,
    integrated_gradients,
)
from skmlp.inspection.graph_layout import crossings, increasing, layered, layers_of
from skmlp.inspection.importance import swarm
from skmlp.inspection.uncertainty import binomial_band, probability_integral_transform
from skmlp.tabular import TabularMLPRegressor

pytest.importorskip("matplotlib")
from matplotlib import colors as mcolors
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

X, y = load_diabetes(return_X_y=True)
X = X[:150] * 20
y = y[:150]
CLASSES = np.array(["low", "middle", "high"])[np.digitize(y, [100, 180])]
DIGITS, LABELS = (part[:300] for part in load_digits(return_X_y=True))
SHORT = {"learning_rate": "linear", "learning_rate_init": 0.02, "max_iter": 15, "random_state": 0}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def regressor():
    network = MLPRegressor((12, 6), "tanh", head="gaussian", initial_output="data", **SHORT)
    return network.fit(X, y)


@pytest.fixture(scope="module")
def classifier():
    return MLPClassifier((12, 6), "prelu", early_stopping=True, **SHORT).fit(X, CLASSES)


# == laws of all ===================================================================================


class Row(NamedTuple):
    """A picture: how it is made, what styles it, and what it has drawn."""

    make: Any  # of an estimator, if it needs one, and options
    style: tuple[str, dict]
    artists: Any
    numbers: Any
    is_of_estimator: bool = True


def colored(name):
    return (name, {"color": "#123456"})


ROWS = {
    "history": Row(
        lambda model, X=X, **options: TrainingHistoryDisplay.from_estimator(model, **options),
        colored("line_kw"),
        lambda d: d.lines_.values(),
        lambda d: [line.get_ydata() for line in d.lines_.values()],
    ),
    "flow": Row(
        lambda model, X=X, **options: GradientFlowDisplay(
            norms={"hidden layer 1": [1e-3, 1e-4, 0.0], "output layer": [1.0, 0.5, np.inf]}
        ).plot(**options),
        colored("line_kw"),
        lambda d: d.lines_.values(),
        lambda d: [line.get_ydata() for line in d.lines_.values()],
        is_of_estimator=False,
    ),
    "embedding": Row(
        lambda model, X=X, **options: HiddenFeaturesDisplay.from_estimator(
            model, X, y, kind="embedding", **options
        ),
        ("point_kw", {"color": "#123456"}),
        lambda d: d.points_,
        lambda d: [points.get_offsets() for points in d.points_],
    ),
    "units": Row(
        lambda model, X=X, **options: HiddenFeaturesDisplay.from_estimator(
            model, X, y, layer=0, n_units=4, **options
        ),
        colored("bar_kw"),
        lambda d: [bar for bars in d.bars_ for bar in bars],
        lambda d: [[bar.get_width() for bar in bars] for bars in d.bars_],
    ),
    "images": Row(
        lambda model, X=X, **options: HiddenFeaturesDisplay.from_estimator(
            model, X, y, layer=0, image_shape=(2, 5), n_units=5, **options
        ),
        ("image_kw", {"alpha": 0.25}),
        lambda d: d.images_,
        lambda d: [image.get_array() for image in d.images_],
    ),
    "fan": Row(
        lambda model, X=X, **options: PredictiveDistributionDisplay.from_estimator(
            model, X, y, feature=2, **options
        ),
        colored("line_kw"),
        lambda d: [d.line_],
        lambda d: [d.line_.get_ydata(), d.quantiles, d.points_.get_offsets()],
    ),
    "samples": Row(
        lambda model, X=X, **options: PredictiveDistributionDisplay.from_estimator(
            model, X, y, **options
        ),
        colored("band_kw"),
        lambda d: d.bands_,
        lambda d: [d.line_.get_ydata(), d.quantiles],
    ),
    "calibration": Row(
        lambda model, X=X, **options: UncertaintyCalibrationDisplay.from_estimator(
            model, X, y, **options
        ),
        colored("bar_kw"),
        lambda d: d.bars_,
        lambda d: [d.counts, d.line_.get_ydata()],
    ),
    "activation": Row(
        lambda model, X=X, **options: ActivationDisplay.from_activation("gelu", **options),
        colored("line_kw"),
        lambda d: [*d.value_lines_, *d.slope_lines_],
        lambda d: [line.get_ydata() for line in [*d.value_lines_, *d.slope_lines_]],
        is_of_estimator=False,
    ),
    "activation of a layer": Row(
        lambda model, X=X, **options: ActivationDisplay.from_estimator(model, layer=0, **options),
        colored("slope_kw"),
        lambda d: d.slope_lines_,
        lambda d: [line.get_ydata() for line in [*d.value_lines_, *d.slope_lines_]],
    ),
    "graph": Row(
        lambda model, X=X, **options: ComputationGraphDisplay.from_estimator(
            model, X, y, **options
        ),
        ("box_kw", {"facecolor": "#123456"}),
        lambda d: d.boxes_.values(),
        lambda d: [sorted(text.get_text() for text in d.texts_.values())],
    ),
    "graph, grouped": Row(
        lambda model, X=X, **options: ComputationGraphDisplay.from_estimator(
            model, X, y, max_nodes=5, **options
        ),
        ("text_kw", {"color": "#123456"}),
        lambda d: d.texts_.values(),
        lambda d: [sorted(text.get_text() for text in d.texts_.values())],
    ),
    "importance": Row(
        lambda model, X=X, **options: ImportanceDisplay.from_attributions(
            X * y[:, None], X=X, **options
        ),
        colored("point_kw"),
        lambda d: d.points_,
        lambda d: [points.get_offsets() for points in d.points_],
        is_of_estimator=False,
    ),
}
OF_ESTIMATORS = [name for name, row in ROWS.items() if row.is_of_estimator]


def axes_of(display):
    return list(display.axes_) if hasattr(display, "axes_") else [display.ax_]


def same(row, left, right):
    for a, b in zip(row.numbers(left), row.numbers(right), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ROWS)
def test_axes_that_are_given_are_used_and_no_figure_is_made(name, regressor):
    figure, (other, ax) = plt.subplots(1, 2, figsize=(14, 6), layout="constrained")
    before = plt.get_fignums()
    display = ROWS[name].make(regressor, ax=ax)
    assert plt.get_fignums() == before
    assert display.figure_ is figure
    assert all(axes.figure is figure and axes is not other for axes in axes_of(display))
    if hasattr(display, "ax_"):
        assert display.ax_ is ax
    assert not [*other.lines, *other.patches, *other.collections, *other.images]
    figure.draw_without_rendering()
    place = other.get_position()
    assert all(axes.get_position().x0 > place.x1 for axes in axes_of(display))


@pytest.mark.parametrize("name", ROWS)
def test_without_axes_one_figure_is_made(name, regressor):
    before = plt.get_fignums()
    display = ROWS[name].make(regressor)
    assert len(plt.get_fignums()) == len(before) + 1
    assert isinstance(display.figure_, Figure)
    assert all(axes in display.figure_.axes for axes in axes_of(display))


@pytest.mark.parametrize("name", ROWS)
def test_axes_placed_by_hand_are_divided_too(name, regressor):
    figure = plt.figure(figsize=(9, 7))
    display = ROWS[name].make(regressor, ax=figure.add_axes((0.1, 0.2, 0.7, 0.7)))
    assert display.figure_ is figure


@pytest.mark.parametrize("name", ROWS)
def test_several_axes_are_used_as_they_are(name, regressor):
    n = len(axes_of(ROWS[name].make(regressor)))
    if n > 1:
        _, given = plt.subplots(n, 1, figsize=(6, 4 * n), layout="constrained")
        assert axes_of(ROWS[name].make(regressor, ax=given)) == list(given)
        assert axes_of(ROWS[name].make(regressor, ax=list(given))) == list(given)


@pytest.mark.parametrize("name", ROWS)
def test_a_part_of_a_figure_can_be_drawn_in(name, regressor):
    left, _ = plt.figure(figsize=(16, 7), layout="constrained").subfigures(1, 2)
    display = ROWS[name].make(regressor, ax=left.subplots())
    assert all(axes in left.axes for axes in axes_of(display))
    display.figure_.canvas.draw()


@pytest.mark.parametrize("name", ROWS)
def test_keyword_arguments_reach_the_artists(name, regressor):
    row = ROWS[name]
    option, style = row.style
    artists = list(row.artists(row.make(regressor, **{option: style})))
    assert artists
    for artist in artists:
        for property_, value in style.items():
            if property_ == "alpha":
                assert artist.get_alpha() == value
            else:
                get = getattr(artist, f"get_{property_}", None) or artist.get_facecolor
                assert (
                    mcolors.to_hex(np.ravel(get())[:4] if not isinstance(get(), str) else get())
                    == value
                )


@pytest.mark.parametrize("name", ROWS)
def test_a_picture_is_drawn_again_with_the_same_numbers(name, regressor):
    row = ROWS[name]
    display = row.make(regressor)
    first = [np.array(numbers) for numbers in row.numbers(display)]
    figure = display.figure_
    display.plot()
    assert display.figure_ is not figure
    assert display.plot() is display
    for a, b in zip(first, row.numbers(display), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_pipelines_and_searches_are_looked_through(name, regressor):
    row = ROWS[name]
    pipeline = make_pipeline(StandardScaler(), MLPRegressor((5,), "tanh", head="gaussian", **SHORT))
    pipeline = pipeline.set_params(mlpregressor__initial_output="data").fit(X, y)
    search = GridSearchCV(pipeline, {"mlpregressor__alpha": [0.1]}, cv=2).fit(X, y)
    same(row, row.make(search), row.make(search.best_estimator_))
    alone = make_pipeline("passthrough", regressor)
    same(row, row.make(alone), row.make(regressor))


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_steps_of_a_pipeline_are_applied(name):
    scaler = StandardScaler().fit(X)
    network = MLPRegressor((5,), "tanh", head="gaussian", initial_output="data", **SHORT)
    network.fit(scaler.transform(X), y)
    whole = ROWS[name].make(make_pipeline(scaler, network))
    alone = ROWS[name].make(network, X=scaler.transform(X))
    if name == "fan":  # along a feature on the scale that it is given in
        np.testing.assert_allclose(whole.quantiles, alone.quantiles)
        np.testing.assert_allclose(whole.x, np.linspace(X[:, 2].min(), X[:, 2].max(), 200))
    else:
        same(ROWS[name], whole, alone)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda network: network,
        lambda network: make_pipeline(StandardScaler(), network),
        lambda network: GridSearchCV(network, {"alpha": [0.1]}),
    ],
)
@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_what_is_not_fitted_says_so(name, wrapped):
    with pytest.raises(NotFittedError):
        ROWS[name].make(wrapped(MLPRegressor(head="gaussian")))
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_an_estimator_of_another_kind_is_refused_in_a_sentence(name):
    with pytest.raises(ValueError, match=r"Display (takes|draws).*LinearRegression"):
        ROWS[name].make(LinearRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"takes a fitted estimator, got 3"):
        ROWS[name].make(3)
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", ROWS)
def test_without_matplotlib_one_sentence_names_the_extra(name, regressor, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"^\w+Display draws.*pip install 'skmlp\[plot\]'\.$"):
        ROWS[name].make(regressor)


def test_inspection_is_imported_without_matplotlib():
    code = "import sys, skmlp.inspection; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- what can be read ------------------------------------------------------------------------------


def overlapping(figure):
    """Pairs of texts that are drawn and whose boxes overlap by more than a point or two."""
    figure.canvas.draw()
    unseen = {id(text) for axes in figure.axes for text in unseen_labels(axes)}
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and id(text) not in unseen
    ]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1.5
    ]


def unseen_labels(axes):
    """Labels of ticks beyond the ends of an axis, or of one that is off, are not drawn."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not axes.axison or not low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)
        if not axes.axison:
            yield axis.label


@pytest.mark.parametrize("name", ROWS)
def test_no_text_lies_upon_another(name, regressor):
    assert not overlapping(ROWS[name].make(regressor).figure_)


def test_texts_upon_each_other_are_found():
    figure, ax = plt.subplots()
    ax.text(0.5, 0.5, "one")
    ax.text(0.51, 0.51, "other")
    assert ("one", "other") in overlapping(figure)


@pytest.mark.parametrize("name", ROWS)
def test_every_axis_says_what_it_is(name, regressor):
    display = ROWS[name].make(regressor)
    display.figure_.canvas.draw()
    for axes in axes_of(display):
        for axis in (axes.xaxis, axes.yaxis):
            labels = [tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible()]
            are_numbers = any(re.fullmatch(r"\W?[\d.]+", label.get_text()) for label in labels)
            shares = axes.get_shared_x_axes().get_siblings(axes)
            is_shared = axis is axes.xaxis and len(shares) > 1
            if axes.axison and are_numbers and not is_shared:
                assert axis.get_label_text(), (name, axis)


# == a fit, epoch by epoch =========================================================================


def test_lines_of_a_history_are_the_history(classifier):
    display = TrainingHistoryDisplay.from_estimator(classifier)
    assert {column for _, column in display.lines_} == set(classifier.history_)
    for (_, column), line in display.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), classifier.history_[column])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, classifier.n_iter_ + 1))
    best = classifier.best_iter_
    marked = display.best_lines_["", "validation_score"]
    assert marked.get_xdata()[0] == best
    assert marked.get_ydata()[0] == max(classifier.validation_scores_)
    assert [axes.get_ylabel() for axes in display.axes_] == [
        "Mean loss per sample",
        "Score",
        "Learning rate",
    ]


def test_epochs_before_a_warm_start_come_first():
    network = MLPRegressor((4,), warm_start=True, initial_output="data", **SHORT).fit(X, y)
    network.fit(X, y)
    display = TrainingHistoryDisplay.from_estimator(network)
    np.testing.assert_array_equal(display.lines_["", "loss"].get_ydata(), network.loss_curve_)
    rates = display.lines_["", "learning_rate"].get_ydata()
    assert len(rates) == 30
    assert np.isnan(rates[:15]).all()
    np.testing.assert_array_equal(rates[15:], network.history_["learning_rate"])
    (marker,) = display.best_lines_.values()
    assert marker.get_xdata()[0] == 15 + network.best_iter_


@pytest.mark.parametrize("several", [dict, list])
def test_several_fits_are_told_apart(several, regressor, classifier):
    given = {"numbers": regressor, "classes": classifier}
    given = given if several is dict else list(given.values())
    names = list(given) if several is dict else ["fit 1", "fit 2"]
    display = TrainingHistoryDisplay.from_estimator(given)
    assert list(display.histories) == names
    lines = [display.lines_[name, "loss"] for name in names]
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2
    words = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert words == [
        f"{names[0]} (best: epoch {regressor.best_iter_})",
        f"{names[1]} (best: epoch {classifier.best_iter_})",
        "training",
        "validation",
    ]


def test_members_of_a_kind_are_a_fit_of_their_own():
    model = TabularMLPRegressor(max_epochs=3, random_state=0).fit(X, y)
    display = TrainingHistoryDisplay.from_estimator(model)
    assert list(display.histories) == ["relu members", "mish members with neighbors"]
    for name, history, best in zip(
        display.histories, model.history_, model.best_epochs_, strict=True
    ):
        for column in ("loss", "validation_loss", "learning_rate"):
            line = display.lines_[name, column]
            np.testing.assert_array_equal(line.get_ydata(), history[column])
        assert display.best_lines_[name, "validation_loss"].get_xdata()[0] == best


def test_the_networks_of_scikit_learn_are_drawn_too():
    options = {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.02}
    model = TheirMLPClassifier((5,), random_state=0, **options).fit(X, y > 140)
    display = TrainingHistoryDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.lines_["", "loss"].get_ydata(), model.loss_curve_)
    scores = display.lines_["", "validation_score"].get_ydata()
    np.testing.assert_array_equal(scores, model.validation_scores_)
    assert scores[display.best_epochs[""] - 1] == model.best_validation_score_


@pytest.mark.parametrize("n", [2, 9, 40])
def test_any_number_of_fits_and_of_layers_can_be_read(n, regressor):
    display = TrainingHistoryDisplay.from_estimator({f"fit {i}": regressor for i in range(n)})
    assert len(display.lines_) == 2 * n
    assert not overlapping(display.figure_)
    flow = GradientFlowDisplay(norms={f"hidden layer {i}": [1.0, 2.0] for i in range(n)}).plot()
    assert not overlapping(flow.figure_)
    for figure, axes in ((display.figure_, display.axes_[0]), (flow.figure_, flow.ax_)):
        box = axes.get_legend().get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


@pytest.mark.skipif(find_spec("sklearn.callback") is None, reason="callbacks came with 1.9")
def test_the_flow_of_gradients_is_what_the_callback_saw():
    norms = GradientNorms(exploding=1e5)
    MLPRegressor((6, 6), "tanh", initial_output="data", **SHORT).set_callbacks(norms).fit(X, y)
    display = GradientFlowDisplay.from_callback(norms)
    assert list(display.lines_) == ["hidden layer 1", "hidden layer 2", "output layer"]
    for layer, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), norms.norms_[layer])
    assert display.ax_.get_yscale() == "log"
    assert display.exploding == 1e5


def test_bands_are_those_of_the_callback_and_norms_beyond_the_axis_are_at_its_ends():
    norms = {"a": [1e-3, 0.0, 1e-2], "b": [2.0, 4.0, np.inf]}
    display = GradientFlowDisplay(norms=norms, vanishing=1e-5, exploding=1e3).plot()
    low, high = display.ax_.get_ylim()
    np.testing.assert_array_equal(display.lines_["a"].get_ydata(), [1e-3, low, 1e-2])
    np.testing.assert_array_equal(display.lines_["b"].get_ydata(), [2.0, 4.0, high])
    upper = display.bands_["vanishing"].get_paths()[0].vertices
    assert {2e-5, 4e-5, 1e-7} & set(np.round(upper[:, 1], 12)) >= {2e-5, 4e-5, 1e-7}
    exploding = display.bands_["exploding"].get_paths()[0].vertices[:, 1]
    assert set(exploding) == {1e3, high}
    words = [text.get_text() for text in display.ax_.texts]
    assert words == ["vanishing", "exploding"]


# == activations ===================================================================================


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"hard_threshold"}))
def test_slopes_are_finite_differences(name):
    display = ActivationDisplay.from_activation(name, limits=(-3, 3.1))
    (values,), (slopes,) = display.value_lines_, display.slope_lines_
    z, step = values.get_xdata(), 1e-6
    function = ACTIVATIONS[name]
    np.testing.assert_allclose(values.get_ydata(), function(z), rtol=1e-12, atol=1e-15)
    expected = (function(z + step) - function(z - step)) / (2 * step)
    kinks = np.min(np.abs(z[:, None] - [-1.0, 0.0, 1.0]), axis=1) < 2 * step
    np.testing.assert_allclose(slopes.get_ydata()[~kinks], expected[~kinks], atol=1e-8)


def test_a_slope_that_is_there_for_training_is_the_one_that_is_drawn():
    display = ActivationDisplay.from_activation("hard_threshold")
    inside = np.abs(display.z) < 0.99
    assert np.all(display.slopes[inside] == 1)
    assert set(np.ravel(display.values)) == {0.0, 1.0}


def test_a_function_of_the_users_is_drawn_by_its_name():
    def two_slopes(z, left=Learned(0.5)):  # noqa: B008
        return np.where(z > 0, z, left * z)

    display = ActivationDisplay.from_activation(two_slopes)
    assert display.value_lines_[0].get_label().startswith("two_slopes")
    assert display.slopes[0, 0] == 0.5


def test_an_activation_whose_arguments_are_held_says_so():
    held = partial(ACTIVATIONS["leaky_relu"], slope=0.2)
    display = ActivationDisplay.from_activation(held)
    assert display.name == "leaky_relu(slope=0.2)"
    assert display.slopes[0, 0] == 0.2


def test_each_unit_has_its_own_line_where_something_is_learned(classifier):
    display = ActivationDisplay.from_estimator(classifier, layer=0)
    slopes = classifier.activation_parameters_[0][0]
    assert len(display.value_lines_) == len(display.slope_lines_) == 12
    for unit, line in enumerate(display.value_lines_):
        z = line.get_xdata()
        expected = np.where(z > 0, z, slopes[unit] * z)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-6, atol=1e-12)


def test_pictures_in_the_same_axes_have_colors_of_their_own():
    first = ActivationDisplay.from_activation("relu")
    second = ActivationDisplay.from_activation("gelu", ax=first.ax_)
    third = ActivationDisplay.from_activation("elu", ax=first.ax_)
    assert len({d.value_lines_[0].get_color() for d in (first, second, third)}) == 3
    assert len(first.ax_.get_legend().get_texts()) == 6


# == features ======================================================================================


def test_the_embedding_is_the_principal_components(regressor):
    display = HiddenFeaturesDisplay.from_estimator(regressor, X, y, kind="embedding")
    outputs = regressor.hidden_layer_output(X)
    _, sizes, directions = np.linalg.svd(outputs - outputs.mean(axis=0), full_matrices=False)
    expected = (outputs - outputs.mean(axis=0)) @ directions[:2].T
    found = display.points_[0].get_offsets()
    signs = np.sign(np.sum(expected * found, axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-8)
    share = sizes[0] ** 2 / np.sum(sizes**2)
    assert f"{100 * share:.3g}" in display.axes_[0].get_xlabel()


def test_any_transformer_makes_the_embedding(regressor):
    transformer = TruncatedSVD(3, random_state=0)
    display = HiddenFeaturesDisplay.from_estimator(
        regressor, X, kind="embedding", transformer=transformer
    )
    outputs = regressor.hidden_layer_output(X)
    expected = TruncatedSVD(3, random_state=0).fit_transform(outputs)[:, :2]
    np.testing.assert_allclose(display.points_[0].get_offsets(), expected, atol=1e-10)
    assert not hasattr(transformer, "components_")
    assert display.axes_[0].get_xlabel() == "TruncatedSVD, dimension 1"


def test_classes_are_told_apart_by_color_and_by_marker(classifier):
    display = HiddenFeaturesDisplay.from_estimator(classifier, X, CLASSES, kind="embedding")
    assert [len(p.get_offsets()) for p in display.points_] == [
        np.sum(label == CLASSES) for label in classifier.classes_
    ]
    assert len({mcolors.to_hex(p.get_facecolor()[0]) for p in display.points_}) == 3
    assert len({p.get_paths()[0].vertices.tobytes() for p in display.points_}) == 3
    legend = display.axes_[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(classifier.classes_)


def test_weights_are_those_of_the_units_that_vary_most(regressor):
    display = HiddenFeaturesDisplay.from_estimator(
        regressor, X, layer=0, kind="units", n_units=4, image_shape=(5, 2)
    )
    spread = np.std(regressor.hidden_layer_output(X, 0), axis=0)
    assert set(display.profiles.units) == set(np.argsort(spread)[-4:])
    for unit, image in zip(display.profiles.units, display.images_, strict=True):
        expected = regressor.coefs_[0][:, unit].reshape(5, 2)
        np.testing.assert_array_equal(image.get_array(), expected)
    low, high = display.images_[0].get_clim()
    assert low == -high


def test_the_most_activating_sample_is_shown_as_it_is_given():
    model = make_pipeline(StandardScaler(), MLPClassifier((16, 9), **SHORT)).fit(DIGITS, LABELS)
    display = HiddenFeaturesDisplay.from_estimator(
        model, DIGITS, LABELS, image_shape=(8, 8), n_units=3
    )
    outputs = model[-1].hidden_layer_output(model[0].transform(DIGITS))
    for unit, image in zip(display.profiles.units, display.images_, strict=True):
        expected = DIGITS[np.argmax(outputs[:, unit])].reshape(8, 8)
        np.testing.assert_array_equal(image.get_array(), expected)


def test_bars_are_the_weights_by_the_names_of_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:, :3], columns=["age", "sex", "bmi"])
    model = make_pipeline(StandardScaler(), MLPRegressor((9,), "tanh", **SHORT))
    model.set_params(mlpregressor__initial_output="data").fit(frame, y)
    display = HiddenFeaturesDisplay.from_estimator(model, frame, y, kind="units", n_units=2)
    unit = display.profiles.units[0]
    widths = [bar.get_width() for bar in display.bars_[0]]
    np.testing.assert_array_equal(widths, model[-1].coefs_[0][:, unit])
    labels = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert labels == ["age", "sex", "bmi"]


def test_long_names_of_many_classes_are_cut_and_stay_in_the_figure(classifier):
    names = np.array([f"class {k} with a name that is far too long" for k in range(12)])
    classes = names[np.arange(len(X)) % 12]
    display = HiddenFeaturesDisplay.from_estimator(classifier, X, classes, n_units=1)
    display.figure_.canvas.draw()
    legend = display.axes_[0].get_legend()
    assert all(len(text.get_text()) == 28 for text in legend.get_texts())
    box, whole = legend.get_window_extent(), display.figure_.bbox
    assert whole.x0 <= box.x0 <= box.x1 <= whole.x1
    assert whole.y0 <= box.y0 <= box.y1 <= whole.y1
    assert not overlapping(display.figure_)


# == distributions =================================================================================


def test_the_fan_is_the_quantiles_along_a_feature_with_others_at_their_medians(regressor):
    levels = [0.1, 0.5, 0.9]
    display = PredictiveDistributionDisplay.from_estimator(
        regressor, X, y, feature=2, levels=levels
    )
    rows = np.tile(np.median(X, axis=0), (len(display.x), 1))
    rows[:, 2] = np.linspace(X[:, 2].min(), X[:, 2].max(), len(display.x))
    frozen = regressor.predict_distribution(rows)
    expected = stats.norm(frozen.mean(), frozen.std())
    np.testing.assert_allclose(display.line_.get_ydata(), expected.ppf(0.5), rtol=1e-6)
    ends = display.bands_[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(ends.min(), expected.ppf(0.1).min(), rtol=1e-6)
    np.testing.assert_allclose(ends.max(), expected.ppf(0.9).max(), rtol=1e-6)
    np.testing.assert_array_equal(display.points_.get_offsets(), np.c_[X[:, 2], y])


def test_samples_stand_in_the_order_of_their_medians(regressor):
    display = PredictiveDistributionDisplay.from_estimator(regressor, X, y)
    medians = regressor.predict_quantiles(X, 0.5)
    np.testing.assert_allclose(display.line_.get_ydata(), np.sort(medians), rtol=1e-12)
    np.testing.assert_array_equal(display.points[1], y[np.argsort(medians, kind="stable")])


def test_predictions_are_drawn_where_they_stand():
    x = np.array([3.0, 1.0, 2.0])
    frozen = stats.gamma([2.0, 3.0, 4.0])
    display = PredictiveDistributionDisplay.from_predictions(
        [1.0, 5.0, 2.0], frozen, levels=[0.25, 0.5, 0.75], x=x, x_name="Hours"
    )
    order = [1, 2, 0]
    np.testing.assert_array_equal(display.line_.get_xdata(), x[order])
    np.testing.assert_array_equal(display.line_.get_ydata(), frozen.ppf(0.5)[order])
    np.testing.assert_array_equal(display.points_.get_offsets(), [[1, 5], [2, 2], [3, 1]])
    assert display.ax_.get_xlabel() == "Hours"
    quantiles = np.stack([frozen.ppf(level) for level in (0.25, 0.5, 0.75)], axis=1)
    again = PredictiveDistributionDisplay.from_predictions(
        None, quantiles, levels=[0.25, 0.5, 0.75], x=x
    )
    np.testing.assert_array_equal(again.quantiles, display.quantiles)
    assert again.points_ is None


def test_a_head_with_its_own_levels_is_drawn_at_those():
    head = Quantile([0.1, 0.5, 0.9])
    model = MLPRegressor((5,), head=head, initial_output="data", **SHORT).fit(X, y)
    display = PredictiveDistributionDisplay.from_estimator(model, X, y, feature=0)
    assert list(display.levels) == [0.1, 0.5, 0.9]
    calibration = UncertaintyCalibrationDisplay.from_estimator(model, X, y)
    quantiles = model.predict_quantiles(X, [0.1, 0.5, 0.9])
    below = np.mean(y[:, None] <= quantiles, axis=0)
    np.testing.assert_allclose(calibration.line_.get_ydata(), below)
    counts = np.diff([0, *np.sum(y[:, None] <= quantiles, axis=0), len(y)])
    np.testing.assert_array_equal(calibration.counts, counts)


def test_columns_of_a_frame_are_held_whatever_they_are():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"bmi": X[:, 2], "kind": pd.Categorical(np.where(X[:, 1] > 0, "a", "b"))})
    model = TabularMLPRegressor(head="gaussian", max_epochs=2, random_state=0).fit(frame, y)
    display = PredictiveDistributionDisplay.from_estimator(
        model, frame, y, feature="bmi", levels=[0.2, 0.8]
    )
    most = frame["kind"].mode()[0]
    held = pd.DataFrame({"bmi": display.x, "kind": most}).astype({"kind": frame["kind"].dtype})
    np.testing.assert_allclose(display.quantiles, model.predict_quantiles(held, [0.2, 0.8]))
    assert display.line_ is None
    assert display.ax_.get_xlabel() == "bmi"


def test_one_target_of_several_is_drawn():
    Y = np.c_[y, X[:, 2]]
    model = MLPRegressor((5,), head="gaussian", initial_output="data", **SHORT).fit(X, Y)
    display = PredictiveDistributionDisplay.from_estimator(model, X, Y, target=1)
    medians = model.predict_quantiles(X, 0.5)[:, 1]
    np.testing.assert_allclose(display.line_.get_ydata(), np.sort(medians))
    frozen = model.predict_distribution(X)
    u = stats.norm(frozen.mean()[:, 1], frozen.std()[:, 1]).cdf(Y[:, 1])
    calibration = UncertaintyCalibrationDisplay.from_estimator(model, X, Y, target=1)
    np.testing.assert_array_equal(calibration.counts, np.histogram(u, 10, (0, 1))[0])
    for picture in (PredictiveDistributionDisplay, UncertaintyCalibrationDisplay):
        with pytest.raises(ValueError, match=r"there are 2: set target to a number from 0 to 1"):
            picture.from_estimator(model, X, Y)


def test_calibration_is_counted_by_hand(regressor):
    display = UncertaintyCalibrationDisplay.from_estimator(regressor, X, y, n_bins=7)
    frozen = regressor.predict_distribution(X)
    mean, deviation = frozen.mean(), frozen.std()
    u = stats.norm.cdf((y - mean) / deviation)
    counts = [np.sum((u >= i / 7) & (u < (i + 1) / 7)) for i in range(7)]
    np.testing.assert_array_equal(display.counts, counts)
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(np.array(heights) * len(y) / 7, counts)
    for level, share in zip(display.nominal, display.line_.get_ydata(), strict=True):
        low, high = stats.norm(mean, deviation).interval(level)
        assert share == np.mean((y >= low) & (y <= high))


def test_the_transform_of_counts_is_drawn_within_the_jump_and_uniform():
    means = np.linspace(0.5, 8, 4000)
    frozen = stats.poisson(means)
    counts = frozen.rvs(random_state=1).astype(float)
    u = probability_integral_transform(frozen, counts, 0)
    assert np.all((u >= frozen.cdf(counts - 1) - 1e-12) & (u <= frozen.cdf(counts) + 1e-12))
    assert stats.kstest(u, "uniform").pvalue > 0.01
    wrong = probability_integral_transform(stats.poisson(1.3 * means), counts, 0)
    assert stats.kstest(wrong, "uniform").pvalue < 1e-6


@pytest.mark.parametrize("n", [10, 333])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_band_holds_a_share_with_its_confidence(n, share):
    low, high = binomial_band(n, share, 0.9)
    inside = stats.binom.cdf(round(high * n), n, share) - stats.binom.cdf(
        round(low * n) - 1, n, share
    )
    assert inside >= 0.9
    smaller = stats.binom.cdf(round(high * n) - 1, n, share) - stats.binom.cdf(
        round(low * n), n, share
    )
    assert smaller < 0.9


# == graphs ========================================================================================


GRAPHS = ["a number", "one node", "relu", "prelu", "mish"]


@lru_cache
def graph_of(name):
    w, x, b = (variable(letter, ()) for letter in "wxb")
    if name == "one node":
        return ComputationGraph(w)
    if name == "a number":
        return ComputationGraph(np.tanh(w * x + b) ** 2 + w, {w: 0.5, x: 2, b: 1}, True)
    model = MLPRegressor((6, 6), name, head="gaussian", residual=True, **SHORT)
    model.set_params(initial_output="data", normalization="batch", max_iter=60)
    return model.fit(X, y).computation_graph(X, y)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_node_is_drawn_once_and_every_edge_leads_down(name):
    graph = graph_of(name)
    display = ComputationGraphDisplay.from_graph(graph, max_nodes=1000)
    names = [node.name for node in graph.nodes]
    assert list(display.boxes_) == list(display.texts_) == names
    assert sum(patch in display.boxes_.values() for patch in display.ax_.patches) == len(names)
    assert set(display.arrows_) == set(graph.edges)
    layers, edges = display.layout_.layers, display.layout_.edges
    for source, target in graph.edges:
        assert layers[source] < layers[target]
        points = edges[source, target]
        assert np.all(np.diff(points[:, 1]) >= 0)
        (x, y_), (to_x, to_y) = (display.layout_.centers[end] for end in (source, target))
        assert points[0, 0] == x
        assert points[-1, 0] == to_x
        assert points[0, 1] > y_
        assert points[-1, 1] < to_y


@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_do_not_touch_and_hold_their_text(name):
    display = ComputationGraphDisplay.from_graph(graph_of(name), max_nodes=1000)
    display.figure_.canvas.draw()
    boxes = {name: patch.get_window_extent() for name, patch in display.boxes_.items()}
    for one, other in combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for node, text in display.texts_.items():
        inner, outer = text.get_window_extent(), boxes[node]
        assert outer.x0 <= inner.x0 <= inner.x1 <= outer.x1
        assert outer.y0 <= inner.y0 <= inner.y1 <= outer.y1


def test_nodes_show_values_and_gradients():
    w, x = variable("w", ()), variable("x", ())
    display = ComputationGraphDisplay.from_expression(w * x, {w: 2.0, x: 3.0}, gradients=True)
    assert display.texts_["w"].get_text() == "w ()\nvalue 2\ngradient 3"
    assert display.texts_["v1"].get_text() == "v1 = multiply ()\nvalue 6\ngradient 1"
    plain = ComputationGraphDisplay.from_expression(w * x)
    assert plain.texts_["v1"].get_text() == "v1 = multiply ()"


@pytest.mark.parametrize("name", GRAPHS)
def test_large_graphs_are_grouped_by_layer_and_say_so(name):
    graph = graph_of(name)
    if len(graph.nodes) == 1:
        return
    display = ComputationGraphDisplay.from_graph(graph, max_nodes=3)
    assert display.ax_.get_title().endswith(f"{len(graph.nodes)} nodes, grouped by layer")
    for source, target in display.arrows_:
        assert display.layout_.layers[source] < display.layout_.layers[target]
    if name != "a number":
        found = set(display.boxes_)
        assert {"x", "y", "hidden layer 1", "hidden layer 2", "output layer", "head"} <= found
        assert ("hidden layer 1", "hidden layer 2") in display.arrows_
        assert "W2 (6, 6)" in display.texts_["hidden layer 2"].get_text()
        assert "v" not in found


@pytest.mark.parametrize("name", ["a number", "relu"])
def test_the_svg_says_what_the_picture_says(name):
    display = ComputationGraphDisplay.from_graph(graph_of(name), max_nodes=1000)
    before = plt.get_fignums()
    svg = display.to_svg()
    assert plt.get_fignums() == before
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>|<tspan[^>]*>([^<]*)</tspan>", svg)
    words = {"".join(pair).replace("&gt;", ">").strip() for pair in texts}
    for text in display.texts_.values():
        assert set(text.get_text().split("\n")) <= words
    assert display.to_svg() == svg


def random_graph(seed):
    rng = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(25)]
    edges = [
        (names[source], names[target])
        for target in range(1, 25)
        for source in rng.choice(target, size=min(target, 2), replace=False)
    ]
    sizes = {name: tuple(rng.uniform(10, 60, size=2)) for name in names}
    return sizes, edges


@pytest.mark.parametrize("seed", range(5))
def test_a_layout_keeps_its_distances(seed):
    sizes, edges = random_graph(seed)
    found = layered(sizes, edges, across=10, between=20)
    for one, other in combinations(sizes, 2):
        if found.layers[one] == found.layers[other]:
            gap = abs(found.centers[one][0] - found.centers[other][0])
            assert gap >= (sizes[one][0] + sizes[other][0]) / 2 + 10 - 1e-6
    for name, (width, height) in sizes.items():
        x, y_ = found.centers[name]
        assert width / 2 - 1e-6 <= x <= found.width - width / 2 + 1e-6
        assert height / 2 - 1e-6 <= y_ <= found.height - height / 2 + 1e-6
    assert layered(sizes, edges, across=10, between=20).centers == found.centers


@pytest.mark.parametrize("seed", range(5))
def test_the_layer_of_a_node_is_its_longest_path_to_the_end(seed):
    sizes, edges = random_graph(seed)
    found, names = layers_of(list(sizes), edges), list(sizes)

    def longest(name):
        return max((1 + longest(target) for source, target in edges if source == name), default=0)

    top = max(map(longest, names))
    assert found == {name: top - longest(name) for name in names}
    with pytest.raises(ValueError, match=r"'n0' is computed from 'n3': it must stand after it\."):
        layers_of(names, [("n3", "n0")])


@pytest.mark.parametrize("seed", range(5))
def test_crossings_are_counted_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    upper, lower = list("abcdef"), list("uvwxyz")
    below = {a: list(rng.choice(lower, size=2, replace=False)) for a in upper}
    expected = sum(
        lower.index(s) > lower.index(t)
        for a, b in combinations(upper, 2)
        for s in below[a]
        for t in below[b]
    )
    assert crossings([upper, lower], below) == expected


@pytest.mark.parametrize("seed", range(5))
def test_places_within_a_layer_are_the_isotonic_regression(seed):
    rng = np.random.default_rng(seed)
    wanted, weights = rng.normal(size=30), rng.uniform(0.1, 8, size=30)
    expected = isotonic_regression(wanted, sample_weight=weights)
    np.testing.assert_allclose(increasing(wanted, weights), expected, rtol=1e-12, atol=1e-12)


# == attributions ==================================================================================


def test_importances_of_an_estimator_are_its_attributions():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
    model = MLPRegressor((4,), "tanh", solver="lbfgs", max_iter=200, random_state=0)
    model.fit(frame, X[:, 0] + X[:, 1] ** 2)
    found = integrated_gradients(model, frame[:20])
    display = ImportanceDisplay.from_estimator(model, frame[:20])
    np.testing.assert_array_equal(display.values, found.values)
    np.testing.assert_allclose(display.importances_, np.mean(np.abs(found.values), axis=0))
    assert display.feature_names == list(frame.columns)
    two = MLPRegressor((), solver="lbfgs", max_iter=200).fit(frame, X[:, :2])
    with pytest.raises(ValueError, match="means 2 answers, and a picture shows one"):
        ImportanceDisplay.from_estimator(two, frame[:5])


def test_bars_are_mean_absolute_attributions_in_their_order():
    values = np.array([[1.0, -8.0, 0.5], [-3.0, 4.0, 0.0]])
    names = ["width", "height", "depth"]
    display = ImportanceDisplay.from_attributions(values, names, max_features=2)
    assert [bar.get_width() for bar in display.bars_] == [6.0, 2.0]
    assert [label.get_text() for label in display.axes_[0].get_yticklabels()] == names[1::-1]
    np.testing.assert_array_equal(display.points_[0].get_offsets()[:, 0], [-8, 4])
    assert display.colorbar_ is None


def test_attributions_of_the_whole_are_bars_with_signs():
    display = ImportanceDisplay.from_attributions([0.5, -2.0])
    assert [bar.get_width() for bar in display.bars_] == [-2.0, 0.5]
    assert len(display.axes_) == 1


def test_points_are_colored_by_the_rank_of_the_value():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [10.0, 1.0, 1.0, np.nan], "b": list("xyxy")})
    display = ImportanceDisplay.from_attributions(np.eye(4)[:, :2] + [2, 1], X=frame)
    colors = display.points_[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(colors, np.nan), [1.0, 0.0, 0.0, np.nan])
    assert display.points_[1].get_array() is None
    assert mcolors.to_hex(display.points_[1].get_facecolor()[0]) == mcolors.to_hex("0.7")
    labels = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert labels == ["a", "b"]


@pytest.mark.parametrize("seed", range(3))
def test_points_of_a_swarm_do_not_hide_each_other(seed):
    x = np.random.default_rng(seed).normal(size=200)
    offsets = swarm(x, np.ptp(x), bins=20, height=0.4)
    cells = np.floor((x - x.min()) / np.ptp(x) * 20).astype(int)
    assert np.max(np.abs(offsets)) <= 0.4 + 1e-12
    for cell in np.unique(cells):
        inside = np.sort(offsets[cells == cell])
        assert len(np.unique(inside)) == len(inside)
        np.testing.assert_allclose(inside, -inside[::-1], atol=1e-12)


# == what is refused ===============================================================================


REFUSED = {
    "no activation": (
        lambda m: ActivationDisplay.from_activation("rely"),
        r"activation='rely' is none: give a function of z, or one of 'identity'",
    ),
    "no interval": (
        lambda m: ActivationDisplay.from_activation("relu", limits=(1, 1)),
        r"limits must be two numbers, the lower first, got \(1, 1\)\.",
    ),
    "no function of z": (
        lambda m: ActivationDisplay.from_activation(lambda z: 1.0),
        r"must return an array of the shape of z, made of z by NumPy functions, got 1\.0\.",
    ),
    "a layer without an activation": (
        lambda m: ActivationDisplay.from_estimator(
            MLPRegressor((12,), "rbf", initial_output="data", **SHORT).fit(X, y)
        ),
        r"layer=-1 is RadialBasis\(width=0\.5\), which has no activation of its own to draw",
    ),
    "a column without numbers": (
        lambda m: PredictiveDistributionDisplay.from_estimator(
            m, np.array([["a"], ["b"]], object), feature=0
        ),
        r"feature=0 holds no numbers to go along: choose another column\.",
    ),
    "no layer": (
        lambda m: ActivationDisplay.from_estimator(m, layer=2),
        r"layer=2 is not one of the 2 hidden layers: give a whole number from -2 to 1\.",
    ),
    "no layer of features": (
        lambda m: HiddenFeaturesDisplay.from_estimator(m, X, layer="last"),
        r"layer='last' is not one of the 2 hidden layers",
    ),
    "no kind of features": (
        lambda m: HiddenFeaturesDisplay.from_estimator(m, X, kind="tsne"),
        r"kind must be one of 'embedding', 'units', 'both', got 'tsne'\.",
    ),
    "no image": (
        lambda m: HiddenFeaturesDisplay.from_estimator(m, X, layer=0, image_shape=(3, 4)),
        r"image_shape must be .* of the 10 weights of a unit's picture, got \(3, 4\)\.",
    ),
    "no target for each": (
        lambda m: HiddenFeaturesDisplay.from_estimator(m, X, y[1:]),
        r"y must have one entry for each of the 150 rows of X",
    ),
    "one dimension": (
        lambda m: HiddenFeaturesDisplay.from_estimator(m, X, transformer=PCA(1)),
        r"transformer=PCA\(n_components=1\) must make two dimensions, got shape \(150, 1\)\.",
    ),
    "no column": (
        lambda m: PredictiveDistributionDisplay.from_estimator(m, X, y, feature=10),
        r"feature=10 is no column of X, which has 10\.",
    ),
    "no levels": (
        lambda m: PredictiveDistributionDisplay.from_estimator(m, X, y, levels=[0.9, 0.1]),
        r"levels must be numbers in \(0, 1\) in increasing order, got \[0\.9, 0\.1\]\.",
    ),
    "no quantiles at all": (
        lambda m: PredictiveDistributionDisplay.from_predictions(y, y),
        r"predicted must be a distribution with a ppf, or quantiles with their levels",
    ),
    "quantiles of other levels": (
        lambda m: PredictiveDistributionDisplay.from_predictions(y, np.c_[y, y], levels=[0.5]),
        r"predicted must have a column for each of the 1 levels, got .* shape \(150, 2\)\.",
    ),
    "targets of other rows": (
        lambda m: PredictiveDistributionDisplay.from_predictions(y[1:], np.c_[y], levels=[0.5]),
        r"y_true must have a number for each of the 150 rows .*, got shape \(149,\)\.",
    ),
    "no bins": (
        lambda m: UncertaintyCalibrationDisplay.from_estimator(m, X, y, n_bins=0),
        r"n_bins must be a whole number >= 1, got 0\.",
    ),
    "no confidence": (
        lambda m: UncertaintyCalibrationDisplay.from_estimator(m, X, y, confidence=95),
        r"confidence must be a number in \(0, 1\), got 95\.",
    ),
    "quantiles without levels": (
        lambda m: UncertaintyCalibrationDisplay.from_predictions(y, np.c_[y, y]),
        r"predicted must be a distribution with a cdf, or quantiles with their levels",
    ),
    "no quantiles": (
        lambda m: PredictiveDistributionDisplay.from_estimator(
            MLPRegressor((12,), "tanh", initial_output="data", **SHORT).fit(X, y), X, y
        ),
        r"PredictiveDistributionDisplay: Only the heads .* have quantiles, got head=Linear\(\)\.",
    ),
    "no expression": (
        lambda m: ComputationGraphDisplay.from_expression(3.0),
        r"takes an expression, got 3\.0: make one of variables",
    ),
    "no number of nodes": (
        lambda m: ComputationGraphDisplay.from_estimator(m, max_nodes=0),
        r"max_nodes must be a whole number >= 1, got 0\.",
    ),
    "no callback": (
        lambda m: GradientFlowDisplay.from_callback(m.history_),
        r"takes a skmlp\.callbacks\.GradientNorms, got",
    ),
    "a callback without a fit": (
        lambda m: GradientFlowDisplay.from_callback(GradientNorms()),
        r"got one without norms_: fit with estimator\.set_callbacks\(callback\) first\.",
    ),
    "no fits": (
        lambda m: TrainingHistoryDisplay.from_estimator([]),
        r"draws one fit or more, got none: give some\.",
    ),
    "attributions that are none": (
        lambda m: ImportanceDisplay.from_attributions([[np.nan, 1.0]]),
        r"values must be finite numbers of shape",
    ),
    "other rows": (
        lambda m: ImportanceDisplay.from_attributions(X[1:], X=X),
        r"X has shape \(150, 10\), but values have shape \(149, 10\)",
    ),
    "other names": (
        lambda m: ImportanceDisplay.from_attributions(X, ["one"]),
        r"feature_names has 1 names, but values have 10 features: give a name for each\.",
    ),
    "a swarm of the whole": (
        lambda m: ImportanceDisplay.from_attributions([1.0], kind="beeswarm"),
        r"kind='beeswarm' needs attributions of rows",
    ),
    "too few axes": (
        lambda m: UncertaintyCalibrationDisplay.from_estimator(
            m, X, y, ax=[Figure().add_subplot()] * 3
        ),
        r"UncertaintyCalibrationDisplay draws into 2 axes, but ax has 3: give 2 of them",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(name, regressor):
    call, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        call(regressor)
    assert not plt.get_fignums()
