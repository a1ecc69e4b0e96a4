"""Every ``python`` block of README.md and of docs/ runs: in order, one namespace for each page."""

import doctest
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
# A block for scikit-learn 1.9 has a comment above it that says so, and runs where that is there.
FENCE = re.compile(
    r"^(<!-- scikit-learn 1\.9 -->\n)?```python *\n(.*?)^``` *$", re.MULTILINE | re.DOTALL
)
HAS_CALLBACKS = importlib.util.find_spec("sklearn.callback") is not None
DOCTEST_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A code block and the number of lines above it in its page."""

    source: str
    lines_above: int


def python_blocks(page):
    """Return the page's blocks that are marked as Python, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(m[2], text.count("\n", 0, m.start(2)))
        for m in FENCE.finditer(text)
        if HAS_CALLBACKS or m[1] is None
    ]


def run(block, page, namespace):
    """Run a block; where it has doctest prompts, its output must be what the page shows."""
    if not re.search(r"^>>> ", block.source, re.MULTILINE):
        lines = "\n" * block.lines_above + block.source  # so that a traceback names the page's line
        exec(compile(lines, str(page), "exec"), namespace)
        return
    name = page.relative_to(ROOT).as_posix()
    example = doctest.DocTestParser().get_doctest(
        block.source, namespace, name, str(page), block.lines_above
    )
    report = []
    runner = doctest.DocTestRunner(optionflags=DOCTEST_OPTIONS)
    runner.run(example, out=report.append, clear_globs=False)
    namespace.update(example.globs)  # the parser works on a copy
    assert not runner.failures, "".join(report)


@pytest.fixture
def _figures_are_closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.usefixtures("_figures_are_closed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_code_on_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for block in python_blocks(page):
        run(block, page, namespace)


def test_the_readme_has_code_to_run():
    assert python_blocks(ROOT / "README.md")


@pytest.fixture
def registries(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("registries")


def test_the_lists_of_what_has_a_name_are_up_to_date(registries):
    shown = set()
    for page in registries.PAGES:
        text = page.read_text(encoding="utf-8")
        assert registries.rewritten(text) == text
        shown |= {name for name, rows in registries.tables().items() if rows in text}
    assert shown == set(registries.tables())


def test_a_list_without_one_of_its_rows_is_noticed(registries):
    for page in registries.PAGES:
        text = page.read_text(encoding="utf-8")
        outdated = re.sub(r"(<!-- end of)", r"| `\"more\"` | One that is gone |\n\1", text)
        assert outdated != text
        assert registries.rewritten(outdated) == text
