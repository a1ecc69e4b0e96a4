"""Whatever has a name is a row of a registry: read-only, described, taken by its name.

What a row computes is tested beside its subject, where laws go over all rows.
"""

import inspect
import re

import pytest
from sklearn.metrics import get_scorer_names

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.callbacks import EarlyStopping
from skmlp.estimators.names import WORDS, meant
from skmlp.estimators.settings import Settings
from skmlp.heads import HEADS
from skmlp.network import INITIALIZERS, LAYERS
from skmlp.network.normalization import NORMALIZATIONS
from skmlp.tabular import TabularMLPClassifier
from skmlp.training.schedules import SCHEDULES
from skmlp.training.solvers import SOLVERS

KINDS = [MLPClassifier, MLPRegressor]
REGISTRIES = {
    "activation": (ACTIVATIONS, LAYERS),
    "head": (HEADS,),
    "solver": (SOLVERS,),
    "learning_rate": (SCHEDULES,),
    "weight_init": (INITIALIZERS,),
    "normalization": (NORMALIZATIONS,),
}
ROWS = [(par, name) for par, several in REGISTRIES.items() for rows in several for name in rows]


@pytest.mark.parametrize("parameter", REGISTRIES)
def test_a_registry_is_read_only(parameter):
    for rows in REGISTRIES[parameter]:
        name, thing = next(iter(rows.items()))
        with pytest.raises(TypeError):
            rows["mine"] = thing
        with pytest.raises(TypeError):
            rows[name] = thing
        with pytest.raises(TypeError):
            del rows[name]


@pytest.mark.parametrize(("parameter", "name"), ROWS)
def test_a_row_is_taken_by_its_name_and_described(parameter, name):
    for kind in KINDS:
        Settings.of(kind(**{parameter: name}))
        described = re.search(
            rf"^ *{parameter} : .*?(?=^ *\w+ : )", inspect.getdoc(kind), re.M | re.S
        )
        assert f'"{name}"' in described[0]


@pytest.mark.parametrize("parameter", REGISTRIES)
def test_an_unknown_name_is_told_what_there_is(parameter):
    told = ""
    for kind in KINDS:  # each is told of the heads for its targets
        with pytest.raises(ValueError, match="unknown") as error:
            kind(**{parameter: "unknown"}).fit([[0.0], [1.0], [2.0]], [0, 1, 0])
        told += str(error.value)
    assert all(repr(name) in told for rows in REGISTRIES[parameter] for name in rows)


# -------------------- what was meant

ALL_NAMES = {
    par: [name for rows in several for name in rows] for par, several in REGISTRIES.items()
}
ALL_NAMES["solver"].append("lbfgs")
ALL_NAMES["weight_init"].append("auto")
ALL_NAMES["head"].append("auto")
ALL_NAMES["scoring"] = ["loss", "validation_loss", "validation_score", *get_scorer_names()]
ALL_NAMES[""] = list(
    dict.fromkeys(
        name
        for estimator in (MLPClassifier, TabularMLPClassifier)
        for name in inspect.signature(estimator).parameters
    )
)


def respelled(name):
    """A name in other libraries' conventions."""
    words = name.split("_")
    yield from {name.upper(), name.title(), "".join(words), "-".join(words), " ".join(words)}
    yield "".join(word.title() for word in words)


def misspelled(name):
    """A name with a letter left out, doubled, exchanged or added."""
    for i in range(1, len(name)):
        yield name[:i] + name[i + 1 :]
        yield name[:i] + name[i] + name[i:]
        yield name[: i - 1] + name[i] + name[i - 1] + name[i + 1 :]
    yield name + "s"


@pytest.mark.parametrize(
    ("parameter", "name"), [(par, name) for par, names in ALL_NAMES.items() for name in names]
)
def test_a_name_in_another_convention_or_a_letter_off_is_asked_about(parameter, name):
    names = ALL_NAMES[parameter]
    for other in respelled(name):
        assert name in meant(parameter, other, names), other
    if len(name) > 5:
        asked = [other for other in misspelled(name) if other not in names]
        found = [meant(parameter, other, names) for other in asked]
        assert all(found)
        assert sum(name in some for some in found) >= 0.8 * len(found)  # others are as near


def test_what_is_like_no_name_is_not_asked_about():
    for parameter, names in ALL_NAMES.items():
        for odd in ("qqqqqq", "", "_", 3, 0.5, b"zz", object()):
            assert meant(parameter, odd, names) == []


def test_words_of_other_libraries_stand_beside_names_that_there_are():
    known = {"loss": ["squared_error", "poisson"], "batch_size": ["auto"]}
    known |= {"class_weight": ["balanced"], "initial_output": ["data"]}
    for parameter, rows in WORDS.items():
        names = (ALL_NAMES | known)[parameter]
        assert set(rows) <= set(names)
        for name, words in rows.items():
            for word in words.split():
                assert word not in names, "a name is itself"
                others = [other for other, row in rows.items() if word in row.split()]
                assert name in others[:2], f"{word!r} would ask for {others[:2]} alone"
                others += [other for other in names if other.replace("_", "") == word]
                assert set(meant(parameter, word, names)) <= {*others, name}


ELSEWHERE = {  # as people write it, and what is asked
    "activation": {"sigmoid": "logistic", "swish": "silu", "LeakyReLU": "leaky_relu"}
    | {"leakyrelu": "leaky_relu", None: "identity"},
    "head": {"mse": "linear", "MAE": "absolute_error", "rmse": "linear", "HuberLoss": "huber"}
    | {"gaussian_nll": "gaussian", "crossentropy": "softmax", "BCEWithLogitsLoss": "logistic"}
    | {"sparse_categorical_crossentropy": "softmax", "l2": "linear", None: "auto"},
    "solver": {"AdamW": "adamw", "ADAM": "adam", "L-BFGS": "lbfgs", "optim.SGD": "sgd"},
    "learning_rate": {"onecycle": "one_cycle", "OneCycleLR": "one_cycle", "1cycle": "one_cycle"}
    | {"CosineAnnealingLR": "cosine", "plateau": "adaptive", "exponential": "invscaling"}
    | {"step": "invscaling", 0.01: "learning_rate_init=0.01"},
    "weight_init": {"xavier": "glorot_uniform", "kaiming_normal_": "he_normal", "he": "he_normal"},
    "normalization": {"batchnorm": "batch", "LayerNorm": "layer", "BatchNorm1d": "batch"},
    "scoring": {"auc": "roc_auc", "mse": "neg_mean_squared_error", "f1_score": "f1"},
    "initial_output": {True: "data"},
    "batch_size": {"Auto": "auto"},
}
CASES = [(par, value, name) for par, some in ELSEWHERE.items() for value, name in some.items()]


@pytest.mark.parametrize(("parameter", "value", "name"), CASES)
def test_a_fit_asks_what_was_meant_and_says_what_there_is(parameter, value, name):
    told = []
    for kind in KINDS:
        with pytest.raises(ValueError, match=re.escape(f"{value!r}")) as error:
            kind(**{parameter: value}, early_stopping=True).fit([[0.0], [1.0], [2.0]], [0, 1, 0])
        told.append(str(error.value))
    asked = [x.partition("; did you mean ")[2].partition("?")[0] for x in told]
    assert any(f"'{name}'" in x or name == x for x in asked)
    for kind, message in zip(KINDS, told, strict=True):
        assert len(message) <= 300
        assert any(x in message for x in ("must be", "give", f"help({kind.__name__}) lists all"))


PARAMETERS = {
    "lr": "learning_rate_init",
    "epochs": "max_iter",
    "hidden_layers": "hidden_layer_sizes",
}
PARAMETERS |= {"n_iter": "max_iter", "optimizer": "solver", "batchsize": "batch_size"}
PARAMETERS |= {"seed": "random_state", "patience": "n_iter_no_change", "alpa": "alpha"}
PARAMETERS |= {"loss_function": "head", "lr_scheduler": "learning_rate", "dropout_rate": "dropout"}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_parameter_is_asked_about_wherever_it_is_given(kind, name):
    asked = f"did you mean '{PARAMETERS[name]}'"
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}' .{asked}"):
        kind(**{name: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter '{name}' .*{asked}.*get_params"):
        kind().set_params(**{name: 1})


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_parameters_that_are_like_none_and_subclasses(kind):
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'device', 'lr' .did you mean"
    ):
        kind(device="cpu", lr=1)

    class Renamed(kind):
        def __init__(self, lr=0.1, **others):
            super().__init__(learning_rate_init=lr, **others)

    assert Renamed(lr=0.5, alpha=1.0).learning_rate_init == 0.5
    assert list(inspect.signature(kind).parameters)[:2] == ["hidden_layer_sizes", "activation"]


def test_a_metric_is_asked_about():
    for metric, name in {"val_loss": "validation_loss", "Loss": "loss", "auc": "roc_auc"}.items():
        with pytest.raises(ValueError, match=rf"metric='{metric}' .*did you mean '{name}'.*\?$"):
            EarlyStopping(metric)
    with pytest.raises(ValueError, match=r"EarlyStopping needs metric to be .* got 3"):
        EarlyStopping(3)
