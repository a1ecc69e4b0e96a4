"""The imports of the package point one way, floor by floor, and scikit-learn stays at the top."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import skmlp

PACKAGE = Path(skmlp.__file__).parent
# From the ground up; the folders of one floor do not know each other, what is not listed is above.
FLOORS = [
    {"engine"},
    {"heads", "network"},
    {"training"},
    {"estimators"},
    {"tabular"},
    {"inspection", "onnx", "dask"},
]
# Who knows more than NumPy and SciPy.
KNOW = {
    "estimators": {"sklearn"},
    "tabular": {"sklearn", "joblib", "threadpoolctl"},
    "inspection": {"sklearn", "matplotlib"},
    "onnx": {"sklearn", "onnx", "skl2onnx"},
    "dask": {"sklearn", "dask", "distributed"},
    "engine": {"threadpoolctl"},
    "training": {"joblib"},  # for processes
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


MODULES = dict(modules())


def folder_of(name):
    return name.partition(".")[0] if "." in name else ""


def floor_of(folder):
    return next((i for i, floor in enumerate(FLOORS) if folder in floor), len(FLOORS))


def imports(path):
    """What a module imports, wherever it does so, but for types: packages and rooms of this one."""
    package = path.relative_to(PACKAGE).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        node
        for parent in ast.walk(tree)
        if isinstance(parent, ast.If) and getattr(parent.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(parent)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (("package", alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield "package", node.module.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1]
            start = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield "room", room(f"{start}.{alias.name}" if start else alias.name) or room(start)


def room(name):
    """Return the module of that name, if it is one; a folder is its `__init__`."""
    start = f"{name}.__init__" if name else "__init__"
    return name if name in MODULES else start if start in MODULES else None


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    folder = folder_of(name)
    for kind, imported in imports(MODULES[name]):
        if kind == "package":
            allowed = {"numpy", "scipy", *sys.stdlib_module_names, *KNOW.get(folder, ())}
            assert imported in allowed, f"{name} imports {imported}"
        elif folder_of(imported) != folder:
            below = floor_of(folder_of(imported)) < floor_of(folder)
            assert below, f"{name} imports {imported}"


def test_no_imports_go_round_in_a_circle():
    graph = {
        name: {imported for kind, imported in imports(path) if kind == "room"}
        for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def test_the_reader_of_imports_sees_them():
    found = set(imports(PACKAGE / "estimators" / "perceptron.py"))
    assert {("package", "sklearn"), ("room", "estimators.data")} <= found
    assert ("room", "engine.__init__") in found
