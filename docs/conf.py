"""Configuration of the documentation: `python -m sphinx -W --keep-going docs docs/build`."""

import os
import re
import sys
from pathlib import Path

# Before NumPy is imported: several examples run at once, and their products are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import reference
from gallery_settings import SETTINGS

import skmlp

project = "skmlp"
author = "skmlp developers"
copyright = author
release = version = skmlp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a request to anybody else's server
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["build", "**/GALLERY_HEADER.rst", "gallery/backreferences"]
suppress_warnings = ["config.cache"]  # functions in the gallery's settings
templates_path: list[str] = []

# Links into the pages of NumPy and others need their inventories, which are fetched.
if os.environ.get("SKMLP_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }

default_role = "py:obj"  # a name in backticks is a link where there is a page for it
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections say it in words
maximum_signature_line_length = 80
numpydoc_show_class_members = False  # pages list the public ones themselves
numpydoc_class_members_toctree = False
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath", "deflist"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
sphinx_gallery_conf = SETTINGS

html_theme = "pydata_sphinx_theme"
html_title = f"skmlp {release}"
html_static_path = ["_static"]
html_css_files = ["skmlp.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_sidebars = {"index": [], "getting_started": [], "404": []}
html_theme_options = {
    "logo": {"text": "skmlp"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def link_pages(app, what, name, thing, options, lines):  # noqa: ARG001, Sphinx's hook
    """Make links of the pages that docstrings name, such as docs/tables.md."""
    lines[:] = [re.sub(r"`*docs/(\w+)\.md`*", r":doc:`/\1`", line) for line in lines]


def setup(app):
    """Write the reference before pages are looked for."""
    docs = Path(__file__).parent
    app.connect("autodoc-process-docstring", link_pages)
    app.connect("config-inited", lambda *_: reference.write(docs), priority=1)
