"""Write the reference: an index, and a page for every public name.

What is public is what the modules in `MODULES` list in `__all__`, and what the registries hold: so
nothing is missing and nothing internal is shown. Sphinx calls `write` before it looks for pages.
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MODULES = {
    "skmlp": "Estimators, and what own parts are made of",
    "skmlp.tabular": "Estimators for raw tables",
    "skmlp.inspection": "Pictures and explanations",
    "skmlp.onnx": "Networks as ONNX models",
    "skmlp.dask": "Estimators for Dask clusters",
    "skmlp.activations": "Activations",
    "skmlp.heads": "Heads",
    "skmlp.callbacks": "Callbacks",
    "skmlp.engine": "Engine",
}
# What parameters take by name: where the names are, and the parameter.
REGISTRIES = {
    "skmlp.activations.ACTIVATIONS": "activation",
    "skmlp.network.LAYERS": "activation",
    "skmlp.heads.HEADS": "head",
    "skmlp.network.INITIALIZERS": "weight_init",
    "skmlp.network.NORMALIZATIONS": "normalization",
    "skmlp.training.schedules.SCHEDULES": "learning_rate",
    "skmlp.training.solvers.SOLVERS": "solver",
}
# What is no class, no function and no registry has no docstring of its own.
CONSTANTS = {
    "skmlp.heads.AUTOMATIC": 'What ``head="auto"`` means for each kind of target.',
    "skmlp.heads.NUMBERS": "The domain of all finite numbers.",
    "skmlp.heads.POSITIVE": "The domain of the numbers above zero.",
    "skmlp.heads.ZERO_OR_ONE": "The domain of two classes.",
    "skmlp.heads.ZERO_OR_POSITIVE": "The domain of zero and the numbers above it.",
    "skmlp.engine.BATCH": "The batch axis: a length that is known only when a program runs.",
    "skmlp.engine.FUNCTIONS": "NumPy's and SciPy's functions that can be traced.",
    "skmlp.engine.PRIMITIVES": "The primitives of graphs, by name.",
}


class Entry(NamedTuple):
    """A public name."""

    module: str
    name: str
    thing: Any

    @property
    def path(self) -> str:
        """The dotted name, which is also the name of the page."""
        return f"{self.module}.{self.name}"


def public_entries(module: str) -> list[Entry]:
    """Return the public names of a module, in the order of `__all__`."""
    found = importlib.import_module(module)
    return [Entry(module, name, getattr(found, name)) for name in found.__all__]


def _from_path(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def registered_entries(path: str) -> dict[str, Entry]:
    """Return what a registry holds, by the names it has there, where it is code with a name."""
    entries = {}
    for word, thing in _from_path(path).items():
        is_code = inspect.isroutine(thing) or inspect.isclass(thing)
        kind = thing if is_code else type(thing)
        entries[word] = Entry(kind.__module__, kind.__qualname__, kind)
    return entries


def documented() -> dict[int, Entry]:
    """Return every public thing once, under its first public name, by identity."""
    entries: dict[int, Entry] = {}
    for module in MODULES:
        for entry in public_entries(module):
            entries.setdefault(id(entry.thing), entry)
    for registry in REGISTRIES:
        for entry in registered_entries(registry).values():
            if not entry.name.startswith("_"):
                entries.setdefault(id(entry.thing), entry)
    return entries


def page_of(entry: Entry, entries: Mapping[int, Entry]) -> Entry:
    """Return the entry under which a thing has its page."""
    return entries[id(entry.thing)]


def summary(entry: Entry) -> str:
    """Return the first sentence of what there is to say."""
    if entry.path in CONSTANTS:
        return CONSTANTS[entry.path]
    if entry.path in REGISTRIES:
        return f"What ``{REGISTRIES[entry.path]}=`` takes by name."
    return _literal(inspect.getdoc(entry.thing).splitlines()[0])


def _literal(text: str) -> str:
    """Write Markdown's code as reStructuredText's, and keep the rest from being markup."""
    parts = text.replace("\\", "\\\\").replace("*", "\\*").split("`")
    return "``".join(parts) if len(parts) % 2 else "".join(parts)


def title(text: str, line: str = "=") -> str:
    """Return a heading."""
    return f"{text}\n{line * len(text)}\n"


def table(rows: list[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    head = ".. list-table::\n   :widths: 35 65\n   :class: longtable\n\n"
    return head + "".join(f"   * - {left}\n     - {right}\n" for left, right in rows)


def methods(
    kind: type, entries: Mapping[int, Entry]
) -> Iterator[tuple[str, Any, type]]:
    """Yield public methods and properties, each with the class whose page has it."""
    if issubclass(kind, (dict, float, tuple)):
        return  # theirs are Python's
    for name in dir(kind):
        thing = inspect.getattr_static(kind, name)
        is_method = isinstance(thing, property) or callable(getattr(kind, name))
        if is_method and not name.startswith("_"):
            owner = next((c for c in kind.__mro__ if name in vars(c)), kind)
            yield name, thing, owner if id(owner) in entries else kind


def _class_page(entry: Entry, entries: Mapping[int, Entry]) -> str:
    """Write a class: a table of its methods, what it is, and each of them."""
    own, inherited, of_others = [], [], []
    for name, thing, owner in methods(entry.thing, entries):
        found = getattr(entry.thing, name)
        is_property = isinstance(thing, property)
        if owner is not entry.thing:
            path = f"{entries[id(owner)].path}.{name}"
            inherited.append(f"``{name}``" if is_property else f":meth:`~{path}`")
        elif not is_property and not _module_of(found).startswith("skmlp"):
            of_others.append(f"``{name}``")
        elif not is_property and inspect.getdoc(found):
            own.append(name)
    path = entry.path
    rows = [(f":meth:`~{path}.{x}`", _first_line(getattr(entry.thing, x))) for x in own]
    lines = [f".. rubric:: Methods\n\n{table(rows)}"] if rows else []
    lines.append(f".. autoclass:: {path}{_arguments(entry.thing)}\n")
    own.sort(key=lambda name: name != "fit")
    lines += [f"   .. automethod:: {name}\n" for name in own]
    if inherited:
        lines.append(f"Inherited: {', '.join(inherited)}.\n")
    if of_others:
        lines.append(f"From the libraries below: {', '.join(of_others)}.\n")
    return "\n".join(lines)


def _module_of(thing: Any) -> str:
    return getattr(thing, "__module__", None) or "builtins"  # as methods of exceptions


def _arguments(kind: type) -> str:
    """Write the arguments of a class, which Sphinx would take from `__new__`."""
    try:
        found = inspect.signature(kind)
    except ValueError:  # a class written in C
        return ""
    bare = [
        x.replace(annotation=inspect.Parameter.empty) for x in found.parameters.values()
    ]
    text = str(
        found.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    )
    return "" if "<" in text else text


def _first_line(thing: Any) -> str:
    return _literal(inspect.getdoc(thing).splitlines()[0])


def _registry_rows(path: str, entries: Mapping[int, Entry]) -> list[tuple[str, str]]:
    """Return what each name of a registry stands for."""
    rows = []
    for word, entry in registered_entries(path).items():
        found = _from_path(path)[word]
        known = entries.get(id(entry.thing))
        made = inspect.isroutine(found) or inspect.isclass(found)
        what = f":obj:`~{known.path}`" if known else ""
        first = _first_line(entry.thing)
        rows.append((f'``"{word}"``', f"{what}{': ' if what else ''}{first}"))
        if not made:
            shown = repr(found) if " at 0x" not in repr(found) else first
            rows[-1] = (f'``"{word}"``', f"{what} ``{shown}``" if what else shown)
    return rows


def _constant_page(entry: Entry, entries: Mapping[int, Entry]) -> str:
    """Write a constant: what it is, and what is in it."""
    text = f".. py:data:: {entry.path}\n\n   {summary(entry)}\n\n"
    if entry.path in REGISTRIES:
        return text + table(_registry_rows(entry.path, entries))
    if isinstance(entry.thing, Mapping):
        names = ", ".join(f"``{getattr(x, '__name__', x)}``" for x in entry.thing)
        return f"{text}   Keys: {names}.\n"
    return f"{text}   Value: ``{entry.thing!r}``\n"


def page(entry: Entry, entries: Mapping[int, Entry]) -> str:
    """Write the page of a name."""
    text = f"{title(entry.name)}\n"
    if inspect.isclass(entry.thing):
        text += _class_page(entry, entries)
    elif inspect.isroutine(entry.thing):
        text += f".. autofunction:: {entry.path}\n"
    else:
        return text + _constant_page(entry, entries)
    return f"{text}\n.. minigallery:: {entry.path}\n   :add-heading: Examples\n"


def _section(entry: Entry) -> str:
    return entry.module if entry.module in MODULES else ""


def index(entries: Mapping[int, Entry]) -> str:
    """Write the page that leads to all others."""
    parts = [f"{title('Reference')}\nEvery public name has a page.\n"]
    for module, words in MODULES.items():
        rows = []
        for entry in public_entries(module):
            known = page_of(entry, entries)
            rows.append((f":doc:`{entry.name} <{known.path}>`", summary(entry)))
        parts.append(
            f".. _reference-{module}:\n\n{title(words, '-')}\n``{module}``\n\n{table(rows)}"
        )
    parts.append(f".. _reference-names:\n\n{title('What has a name', '-')}")
    for path, parameter in REGISTRIES.items():
        heading = f"``{parameter}=``: {path.rsplit('.', 1)[1]}"
        parts.append(f"{title(heading, '~')}\n{table(_registry_rows(path, entries))}")
    for module, words in {**MODULES, "": "What has a name"}.items():
        inside = [e for e in entries.values() if _section(e) == module]
        pages = "\n".join(f"   {entry.path}" for entry in inside)
        parts.append(f".. toctree::\n   :hidden:\n   :caption: {words}\n\n{pages}\n")
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Return all pages, by their names."""
    entries = documented()
    made = {entry.path: page(entry, entries) for entry in entries.values()}
    return {"index": index(entries)} | made


def write(docs: Path) -> None:
    """Write what has changed, and take away what is no longer public."""
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    texts = {folder / f"{name}.rst": text for name, text in pages().items()}
    for path in folder.glob("*.rst"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
