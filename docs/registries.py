"""Write the lists of activations and heads into README.md, from the registries' docstrings.

`python docs/registries.py` rewrites them; the tests fail where they are out of date.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS

README = Path(__file__).resolve().parents[1] / "README.md"


def first_sentence(thing: Callable[..., object]) -> str:
    """Return the first line of a docstring, without its full stop."""
    return inspect.getdoc(thing).splitlines()[0].rstrip(".")


def table(title: str, registry: Mapping[str, Callable[..., object]]) -> str:
    """Write a registry as a table: the names of each entry, and what it is."""
    names: dict[Callable[..., object], list[str]] = {}
    for name, thing in registry.items():
        names.setdefault(thing, []).append(f'`"{name}"`')
    rows = [f"| {', '.join(some)} | {first_sentence(thing)} |" for thing, some in names.items()]
    return "\n".join([f"| {title} | |", "| --- | --- |", *rows])


def rewritten(text: str) -> str:
    """Return a page with its lists brought up to date."""
    tables = {"activations": table("activation", ACTIVATIONS), "heads": table("head", HEADS)}
    for name, rows in tables.items():
        marks = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
        text = re.sub(pattern, lambda _, m=marks, r=rows: m[0] + r + m[1], text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
