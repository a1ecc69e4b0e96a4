"""Whatever has a name is a row of a registry: read-only, described, taken by its name.

What a row computes is tested beside its subject, where laws go over all rows.
"""

import inspect
import re

import pytest

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.estimators.settings import Settings
from skmlp.heads import HEADS
from skmlp.network import INITIALIZERS, LAYERS
from skmlp.network.normalization import NORMALIZATIONS
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
