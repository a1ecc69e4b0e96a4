"""Configuration of the documentation: `python -m sphinx -W docs docs/build`."""

import skmlp

project = "skmlp"
author = "skmlp developers"
copyright = author
release = version = skmlp.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
exclude_patterns = ["build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections say it in words
numpydoc_show_class_members = False
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"skmlp {release}"
