"""The site: the reference lists every public name, and every example is a page with a title."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/**/*.py"))


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("reference")


def linked(index):
    """Return the pages that an index links to, by the names that it shows."""
    return dict(re.findall(r":doc:`([^`]+?) <([^`>]+)>`", index))


def missing_names(reference, pages):
    """Return the public names that the pages do not show, each with a page of its own."""
    shown = linked(pages["index"])
    names = [
        (module, name)
        for module in reference.MODULES
        for name in importlib.import_module(module).__all__
    ]
    return [f"{module}.{name}" for module, name in names if shown.get(name) not in pages]


def test_every_public_name_has_a_page(reference):
    assert missing_names(reference, reference.pages()) == []


def test_a_name_without_a_page_is_noticed(reference):
    pages = reference.pages()
    del pages["skmlp.heads.Quantile"]
    assert missing_names(reference, pages) == ["skmlp.heads.Quantile"]


def test_a_name_that_the_index_leaves_out_is_noticed(reference):
    pages = reference.pages()
    pages["index"] = pages["index"].replace(":doc:`Quantile <", ":doc:`Another <")
    assert missing_names(reference, pages) == ["skmlp.heads.Quantile"]


@pytest.mark.parametrize("word", ["fit", "predict_interval", "predict_quantiles", "score"])
def test_methods_are_listed(reference, word):
    text = reference.pages()["skmlp.MLPRegressor"]
    assert f".. automethod:: {word}\n" in text
    assert f":meth:`~skmlp.MLPRegressor.{word}`" in text


def test_decision_function_is_listed(reference):
    assert ".. automethod:: decision_function\n" in reference.pages()["skmlp.MLPClassifier"]


def test_nothing_internal_has_a_page(reference):
    names = [part for page in reference.pages() for part in page.split(".")]
    assert not [name for name in names if name.startswith("_")]


def test_every_name_of_a_registry_is_shown(reference):
    index = reference.pages()["index"]
    for path in reference.REGISTRIES:
        module, name = path.rsplit(".", 1)
        for word in getattr(importlib.import_module(module), name):
            assert f'``"{word}"``' in index, (path, word)


def test_what_is_no_longer_public_is_taken_away(reference, tmp_path):
    reference.write(tmp_path)
    gone = tmp_path / "reference" / "skmlp.Gone.rst"
    gone.write_text("Gone\n====\n")
    reference.write(tmp_path)
    assert not gone.exists()
    assert (tmp_path / "reference" / "skmlp.MLPClassifier.rst").exists()


def title_of(source):
    """Return the title of a script that becomes a page, or None."""
    text = ast.get_docstring(ast.parse(source)) or ""
    found = re.match(r"(\S.*)\n([=]+)\n", text)
    return found[1] if found and len(found[2]) >= len(found[1]) else None


def test_there_are_examples():
    assert len([path for path in EXAMPLES if "gallery" in path.parts]) >= 16


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_a_title(path):
    assert title_of(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_draws(path):
    assert "plt.show()" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "source", ['"""No title."""', "x = 1", '"""\nLong title\n===\n\nText\n"""']
)
def test_an_example_without_a_title_is_noticed(source):
    assert title_of(source) is None


def test_titles_are_different():
    titles = [title_of(path.read_text(encoding="utf-8")) for path in EXAMPLES]
    assert len(set(titles)) == len(titles)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def broken(page, text, reference):
    """Return the links of a page that lead to no file, nor to a page that the build makes."""
    wrong = []
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text):
        if "://" in link or (page.parent / link).exists():
            continue
        folder, _, rest = link.partition("/")
        name = rest.removesuffix(".rst")
        made = {
            "gallery": name == "index" or (ROOT / f"examples/gallery/{name}.py").exists(),
            "lecture": name == "index" or (ROOT / f"examples/lecture/{name}.py").exists(),
            "reference": name in reference.pages(),
        }
        if not made.get(folder):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_pages_lead_somewhere(page, reference):
    assert broken(page, page.read_text(encoding="utf-8"), reference) == []


@pytest.mark.parametrize("link", ["gone.md", "gallery/own/gone.rst", "reference/skmlp.Gone.rst"])
def test_a_link_that_leads_nowhere_is_noticed(link, reference):
    assert broken(ROOT / "docs" / "index.md", f"[text]({link}#part)", reference) == [link]


@pytest.fixture
def screenshots(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("screenshots")


def test_links_that_lead_nowhere_are_noticed(screenshots, tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a><a href="#here">')
    (tmp_path / "b.html").write_text('<a href="c.html">c</a><a href="https://example.org">')
    assert screenshots.broken_links(tmp_path) == [
        "a.html: no anchor b.html#there",
        "b.html: no file c.html",
    ]
