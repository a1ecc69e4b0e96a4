"""Files: pickles, joblib and skops hold plain data, say their format, and are whole or refused."""

import copy
import io
import pickle
import zipfile
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import Head, Layer, Learned, MLPClassifier, MLPRegressor, callbacks, trusted_types
from skmlp import activations as ours
from skmlp.engine.stored import FORMAT
from skmlp.heads import HEADS
from skmlp.network import INITIALIZERS, LAYERS, NORMALIZATIONS, VarianceScaling
from skmlp.network.activations import ACTIVATIONS
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor
from skmlp.training.schedules import SCHEDULES
from skmlp.training.solvers import SOLVERS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # what skops 0.11 and its Python say of names that NumPy has moved
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skops"),
]
X, y = make_classification(60, 5, random_state=0)
X_SMALL = X[:7]


def by_pickle(thing):
    return pickle.loads(pickle.dumps(thing))


def by_joblib(thing):
    file = io.BytesIO()
    joblib.dump(thing, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(thing, also=()):
    data = skops.io.dumps(thing)
    asked = set(skops.io.get_untrusted_types(data=data))
    assert asked <= {*trusted_types(), *also}, asked - {*trusted_types(), *also}
    return skops.io.loads(data, trusted=sorted(asked))


WAYS = [by_pickle, by_joblib, by_skops, copy.deepcopy, copy.copy]


def answers(model, X=X_SMALL):
    """Everything that a model says, by name."""
    found = {}
    if hasattr(model, "predict_interval") and getattr(model.head_, "q", 1) != 0.5:
        found["predict_interval"] = model.predict_interval(X)
    for name in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, name):
            found[name] = getattr(model, name)(X)
    for name in ("loss_curve_", "history_", "classes_", "best_iter_"):
        if hasattr(model, name):
            found[name] = getattr(model, name)
    return found


def assert_same(a, b):
    found, expected = answers(a), answers(b)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_equal(found[name], expected[name])
    assert repr(a) == repr(b)
    assert "predict" not in expected or expected["predict"].shape[0] == len(X_SMALL)


def targets_for(head):
    kinds = head().targets
    if "numbers" in kinds:
        return MLPRegressor, np.clip(np.abs(X[:, 0]), 0.1, 3).round() + 1.0
    if head().is_ordered:
        return MLPClassifier, y
    if "binary" in kinds:
        return MLPClassifier, np.array(["no", "yes"], dtype=object)[y]
    return MLPClassifier, np.arange(len(X)) % 3


def of_activation(name):
    return MLPClassifier((4,), name, max_iter=2, random_state=0).fit(X, y)


def of(kind=MLPClassifier, **parameters):
    return kind(**{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0} | parameters)


def of_head(name):
    kind, target = targets_for(HEADS[name])
    return of(kind, head=HEADS[name]()).fit(X, target)


class Cubed(Head):
    """A head of the user's."""

    def loss(self, raw, y):
        return np.sum(np.abs(raw - y) ** 3, axis=1)


@dataclass(frozen=True)
class Scaled(Layer):
    """A layer of the user's, with a function."""

    function: object = ours.gelu

    def parts(self, inputs, units):
        return {"W": (inputs, units)}

    def initial(self, rng, x, units):
        return {"W": rng.normal(size=(x.shape[1], units))}

    def outputs(self, x, W):
        return self.function(x @ W)


def own_activation(z):
    return z / (1 + z * z)


def stream(**parameters):
    kind = MLPRegressor if "initial_output" in parameters else MLPClassifier
    model = of(kind, **parameters)
    more = {"classes": [0, 1]} if kind is MLPClassifier else {}
    return model.partial_fit(X, y, **more).partial_fit(X, y)


FITS = {
    **{f"activation {name}": partial(of_activation, name) for name in [*ACTIVATIONS, *LAYERS]},
    **{f"head {name}": partial(of_head, name) for name in HEADS},
    **{
        f"normalization {name}": lambda name=name: of(normalization=name).fit(X, y)
        for name in NORMALIZATIONS
    },
    **{f"solver {name}": lambda name=name: of(solver=name).fit(X, y) for name in SOLVERS},
    "solver lbfgs": lambda: of(solver="lbfgs").fit(X, y),
    **{
        f"schedule {name}": lambda name=name: of(learning_rate=name, solver="sgd").fit(X, y)
        for name in SCHEDULES
    },
    **{
        f"initial {name}": lambda name=name: of(weight_init=name).fit(X, y) for name in INITIALIZERS
    },
    "given activation": lambda: of(activation=ours.gelu).fit(X, y),
    "given partial": lambda: of(activation=partial(ours.prelu, slope=Learned(0.1))).fit(X, y),
    "given layers": lambda: of(hidden_layer_sizes=(4, 3), activation=["rbf", "tanh"]).fit(X, y),
    "given initializer": lambda: of(weight_init=VarianceScaling(1.0, "inputs", "normal")).fit(X, y),
    "given ufunc": lambda: of(activation=np.tanh).fit(X, y),
    "scaled, float32": lambda: of(MLPRegressor, initial_output="data", dtype="float32").fit(
        X, 1e6 * y
    ),
    "long names": lambda: of().fit(X, np.array([f"class {i}" for i in range(20)] * 3)),
    "weights": lambda: of(class_weight={False: 1.0, True: 2.0}).fit(X, y > 0),
    "labels": lambda: of().fit(X, np.stack([y, 1 - y], axis=1)),
    "validated": lambda: of(early_stopping=True, scoring="accuracy", max_iter=20).fit(X, y),
    "noise": lambda: of(dropout=0.1, max_iter=3).fit(X, y),
    "unfitted": lambda: of(MLPRegressor, head=HEADS["huber"]()),
    "stream": stream,
    **{f"stream {name}": lambda name=name: stream(solver=name) for name in SOLVERS},
    **{
        f"stream {name}": lambda name=name: stream(learning_rate=name, solver="sgd")
        for name in ("invscaling", "adaptive")
    },
    "stream, scaled": lambda: stream(initial_output="data", averaging=0.9, dropout=0.1),
    "stream, warm": lambda: stream(warmup=0.5),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_what_is_read_says_the_same_to_the_last_bit(fit):
    model = fit()
    for way in WAYS:
        again = way(model)
        if "predict" not in dir(model) or not hasattr(model, "coefs_"):
            assert repr(again) == repr(model)
            continue
        assert_same(again, model)


@pytest.mark.parametrize("fit", [stream, FITS["stream, scaled"], FITS["stream, warm"]])
@pytest.mark.parametrize("way", WAYS[:-1])
def test_a_stream_goes_on_where_it_was(fit, way):
    model = fit()
    again = way(model)
    assert_same(again.partial_fit(X, y), model.partial_fit(X, y))


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
def test_tables(kind):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    frame["f"] = [f"level {i % 20}" for i in range(len(X))]
    frame["g"] = np.where(X[:, 0] > 0, "u", "v")
    target = np.exp(3 * X[:, 1]) if kind is TabularMLPRegressor else np.array(["a", "b"])[y]
    heads = {"head": "gaussian"} if kind is TabularMLPRegressor else {}
    for parameters in ({}, heads, {"n_neighbors": None}):
        model = kind(n_folds=2, max_epochs=2, random_state=0, **parameters).fit(frame, target)
        for way in WAYS:
            again = way(model)
            np.testing.assert_equal(answers(again, frame), answers(model, frame))


@pytest.mark.parametrize("way", WAYS)
def test_pipelines_and_searches(way):
    model = make_pipeline(StandardScaler(), of()).fit(X, y)
    assert_same(way(model), model)
    for kind in (MLPClassifier, Theirs):
        search = GridSearchCV(kind((3,), max_iter=2, random_state=0), {"alpha": [0, 1]}, cv=2)
        search.fit(X, y)
        if kind is MLPClassifier:
            found = search
    also = skops.io.get_untrusted_types(data=skops.io.dumps(search))  # what theirs needs as well
    again = way(found, also) if way is by_skops else way(found)
    np.testing.assert_array_equal(again.predict_proba(X), found.predict_proba(X))


THINGS = [
    *(kind() for kind in HEADS.values()),
    *LAYERS.values(),
    callbacks.Callback(),
    callbacks.EarlyStopping("accuracy", data=(X, y)),
    callbacks.EarlyStopping(),
    callbacks.TimeLimit(3.0),
    callbacks.Checkpoint("a.npz"),
    callbacks.GradientNorms(),
    *(kind() for kind in (MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor)),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
@pytest.mark.parametrize("way", WAYS)
def test_heads_layers_and_callbacks(thing, way):
    again = way(thing)
    assert type(again) is type(thing)
    if isinstance(thing, callbacks.Callback):
        plain = {k: v for k, v in vars(thing).items() if k != "_scorer"}
        np.testing.assert_equal({k: v for k, v in vars(again).items() if k != "_scorer"}, plain)
    else:
        assert repr(again) == repr(thing)
    if isinstance(thing, (Head, Layer)):
        assert again == thing


def test_the_list_of_types_has_what_files_need_and_no_more():
    needed = set()
    for thing in THINGS:
        needed.update(skops.io.get_untrusted_types(data=skops.io.dumps(thing)))
    assert sorted(needed) == trusted_types()
    data = skops.io.dumps(of(MLPRegressor, head=HEADS["huber"](), activation=ours.gelu).fit(X, y))
    assert skops.io.get_untrusted_types(data=data) == ["skmlp.estimators.regressor.MLPRegressor"]


def test_a_watched_fit_is_stored_with_its_callbacks():
    norms = callbacks.GradientNorms()
    try:
        model = of().set_callbacks(norms)
    except ImportError:
        pytest.skip("scikit-learn has no callbacks yet")
    model.fit(X, y)
    for way in WAYS:
        again = way(model)
        assert again._skl_callbacks[0].norms_ == norms.norms_
        again.fit(X, y)


# -- what is the user's


def test_own_heads_layers_and_functions_by_their_names():
    model = of(
        MLPRegressor, head=Cubed(), activation=[Scaled(), own_activation], hidden_layer_sizes=(3, 2)
    )
    model.fit(X, y)
    for way in (by_pickle, by_joblib, copy.deepcopy):
        assert_same(way(model), model)
    also = [f"{__name__}.{name}" for name in ("Cubed", "Scaled", "own_activation")]
    assert_same(by_skops(model, also), model)
    assert by_skops(Scaled(), also) == Scaled()


def local():
    class Local(Cubed):
        pass

    return Local()


UNNAMED = {
    "lambda": lambda: of(activation=lambda z: z * z),
    "list": lambda: of(activation=[lambda z: z * z]),
    "partial": lambda: of(activation=partial(lambda z, a: a * z, a=2)),
    "rate": lambda: of(learning_rate=lambda progress: 1.0),
    "head": lambda: of(MLPRegressor, head=local()),
    "layer": lambda: of(activation=Scaled(lambda z: z)),
    "alone": lambda: Scaled(lambda z: z),
}


@pytest.mark.parametrize("make", UNNAMED.values(), ids=UNNAMED)
def test_what_has_no_name_is_refused_before_a_file_is_written(make):
    thing = make()
    with pytest.raises(ValueError, match="at the top level of a module that can be imported"):
        skops.io.dumps(thing)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(thing)
    copies = [copy.deepcopy(thing), copy.copy(thing)]
    copies += [clone(thing)] if hasattr(thing, "fit") else []
    assert [type(x) for x in copies] == [type(thing)] * len(copies)


def test_other_processes_get_code():
    cloudpickle = pytest.importorskip("cloudpickle")  # what parallel jobs use
    model = of(activation=lambda z: z / (1 + z * z)).fit(X, y)
    assert_array = np.testing.assert_array_equal
    assert_array(pickle.loads(cloudpickle.dumps(model)).predict(X), model.predict(X))


# -- formats, and what is missing

STORED = {
    "network": lambda: of().fit(X, y),
    "classes of a table": lambda: TabularMLPClassifier(n_folds=2, max_epochs=1, random_state=0).fit(
        X, y > np.median(y)
    ),
    "numbers": lambda: of(MLPRegressor).fit(X, y),
    "table": lambda: TabularMLPRegressor(n_folds=2, max_epochs=1, random_state=0).fit(X, y),
    "head": HEADS["huber"],
    "layer": lambda: LAYERS["rbf"],
    "callback": lambda: callbacks.TimeLimit(1.0),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize("number", [None, 0, FORMAT - 1, FORMAT + 1, "3", True])
def test_another_format_is_refused_in_a_sentence(stored, number):
    stored = stored()
    state = stored.__getstate__() | {"_format": number}
    if number is None:
        del state["_format"]
    with pytest.raises(ValueError, match=rf"and this version reads format {FORMAT}: make it again"):
        object.__new__(type(stored)).__setstate__(state)


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_a_state_that_lacks_a_piece_is_refused(stored):
    stored = stored()
    whole = stored.__getstate__()
    object.__new__(type(stored)).__setstate__(whole)
    for name in whole.keys() - {"_format", "feature_names_in_", "_skl_callbacks"}:
        state = {k: x for k, x in whole.items() if k != name}
        again = object.__new__(type(stored))
        with pytest.raises(ValueError, match="cannot be read: it lacks"):
            again.__setstate__(state)
        assert not vars(again)


def inner(plain, found=()):
    """All packed parts of a state, with the way to each."""
    if isinstance(plain, dict):
        if "__kind__" in plain:
            yield found
        for name, part in plain.items():
            yield from inner(part, (*found, name))
    elif isinstance(plain, (list, tuple)):
        for i, part in enumerate(plain):
            yield from inner(part, (*found, i))


@pytest.mark.parametrize("kind", ["network", "numbers", "table"])
def test_parts_that_are_not_whole_are_refused(kind):
    stored = STORED[kind]()
    ways = [way for way in inner(stored.__getstate__()) if way]
    assert len(ways) > 5
    for way in ways:
        state = copy.deepcopy(stored.__getstate__())
        part = state
        for name in way:
            part = part[name]
        word = part["__kind__"]
        part["__kind__"] = "Popen"
        with pytest.raises(ValueError, match="cannot be read: it holds a 'Popen'"):
            object.__new__(type(stored)).__setstate__(state)
        part["__kind__"] = word
        gone = next(name for name in part if name != "__kind__")
        del part[gone]
        with pytest.raises(ValueError, match="cannot be read: it"):
            object.__new__(type(stored)).__setstate__(state)


def test_weights_of_other_shapes_are_refused():
    state = STORED["network"]().__getstate__()
    state["coefs_"] = [state["coefs_"][0], state["coefs_"][1][1:]]
    with pytest.raises(ValueError, match="its network cannot be computed"):
        object.__new__(MLPClassifier).__setstate__(state)


# -- files made to do harm


def changed(data, change):
    """A skops file with another schema."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, change(text.decode()) if name == "schema.json" else text)
    return out.getvalue()


def test_a_file_names_no_code():
    data = skops.io.dumps(of(activation="gelu").fit(X, y))
    for word in ("os.system", "skmlp.training.checkpoints.write_checkpoint", "activation"):
        bad = changed(data, lambda text, word=word: text.replace("activation gelu", word))
        with pytest.raises(ValueError, match="which this version does not know"):
            skops.io.loads(bad, trusted=trusted_types())
    bad = changed(
        data,
        lambda text: text.replace('"MLPClassifier"', '"system"').replace(
            "skmlp.estimators.classifier", "os"
        ),
    )
    with pytest.raises(Exception, match=r"os\.system"):
        skops.io.loads(bad, trusted=trusted_types())


class Bomb:
    """What a pickle could do where it is loaded."""

    went_off = False

    def __reduce__(self):
        return _go_off, ()


def _go_off():
    Bomb.went_off = True
    return np.zeros(1)


def test_the_bomb_works_in_a_pickle():
    pickle.loads(pickle.dumps(Bomb()))
    assert Bomb.went_off
    Bomb.went_off = False


@pytest.mark.parametrize("where", ["about", "order", "digest", "marks.kept", "whole"])
def test_a_checkpoint_executes_nothing(where, tmp_path):
    path = tmp_path / "fit.npz"
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb()
    if where == "whole":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        with path.open("wb") as file:
            np.savez(file, **{where: bomb})
    with pytest.raises(ValueError, match="is no checkpoint of skmlp, or is damaged"):
        of().resume(path, X, y)
    assert not Bomb.went_off
