"""The imports of the package point one way, and scikit-learn stays at its edge."""

import ast
import sys
from pathlib import Path

import pytest

import skmlp

PACKAGE = Path(skmlp.__file__).parent
# Every module with the modules of the package that it may import, from the ground up.
ORDER = [
    "engine.memory",
    "engine.expression",
    "engine.primitives",
    "engine.composites",
    "engine.gradient",
    "engine.plan",
    "engine.program",
    "engine.check",
    "engine.graph",
    "engine",
    "activations",
    "heads.head",
    "heads.numbers",
    "heads.series",
    "heads.frozen",
    "heads.distributions",
    "heads.classes",
    "heads.check",
    "heads",
    "regularisers",
    "network",
    "vectors",
    "objective",
    "solvers",
    "state",
    "training",
    "checkpoints",
    "parameters",
    "data",
    "validation",
    "callbacks",
    "answers",
    "fitting",
    "perceptron",
    "estimators",
    "",
]
SCIKIT_LEARN = {"data", "validation", "callbacks", "answers", "perceptron", "estimators"}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(name, path):
    """What a module imports when it is loaded: other packages, and modules of this one."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nested = {
        node
        for parent in ast.walk(tree)
        if isinstance(parent, ast.FunctionDef)
        or (isinstance(parent, ast.If) and getattr(parent.test, "id", "") == "TYPE_CHECKING")
        for node in ast.walk(parent)
    }
    for node in ast.walk(tree):
        if node in nested:
            continue
        if isinstance(node, ast.Import):
            yield from (("package", alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield "package", node.module.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            yield "room", ".".join(part for part in [*above, node.module] if part)


def test_every_module_has_its_place():
    assert {name for name, _ in modules()} == set(ORDER)


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=str)
def test_imports_point_down(name, path):
    for kind, imported in imports(name, path):
        if kind == "room":
            assert ORDER.index(imported) < ORDER.index(name), f"{name} imports {imported}"
        else:
            allowed = {"numpy", "scipy", *sys.stdlib_module_names}
            assert imported in allowed | ({"sklearn"} if name in SCIKIT_LEARN else set())


def test_the_reader_of_imports_sees_them():
    found = set(imports("estimators", PACKAGE / "estimators.py"))
    assert {("package", "sklearn"), ("room", "heads"), ("room", "perceptron")} <= found
