"""Write the lists of what has a name into the pages that show them, from the docstrings.

`python docs/registries.py` rewrites them; the tests fail where they are out of date.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from skmlp import trusted_types
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS
from skmlp.training.schedules import SCHEDULES
from skmlp.training.solvers import SOLVERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(
    ROOT / "docs" / f"{name}.md"
    for name in ("activations", "files", "heads", "training")
)


def first_sentence(thing: Callable[..., object]) -> str:
    """Return the first line of a docstring, without its full stop."""
    return inspect.getdoc(thing).splitlines()[0].rstrip(".")


def table(title: str, registry: Mapping[str, Callable[..., object]]) -> str:
    """Write a registry as a table: the names of each entry, and what it is."""
    names: dict[Callable[..., object], list[str]] = {}
    for name, thing in registry.items():
        names.setdefault(thing, []).append(f'`"{name}"`')
    rows = [
        f"| {', '.join(some)} | {first_sentence(thing)} |"
        for thing, some in names.items()
    ]
    return "\n".join([f"| {title} | |", "| --- | --- |", *rows])


def tables() -> dict[str, str]:
    """Write all tables, by the names that stand in the comments around them."""
    of_progress = {
        name: found for name, found in SCHEDULES.items() if not isinstance(found, type)
    }
    return {
        "activations": table("activation", ACTIVATIONS),
        "heads": table("head", HEADS),
        "schedules": table("learning_rate", of_progress),
        "solvers": table("solver", SOLVERS),
        "trusted types": "\n".join(f"- `{name}`" for name in trusted_types()),
    }


def rewritten(text: str) -> str:
    """Return a page with its lists brought up to date."""
    for name, rows in tables().items():
        marks = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
        text = re.sub(
            pattern, lambda _, m=marks, r=rows: m[0] + r + m[1], text, flags=re.DOTALL
        )
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
