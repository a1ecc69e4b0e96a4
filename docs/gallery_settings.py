"""How the gallery and the lecture are built from the scripts in `examples/`."""

import warnings

import matplotlib as mpl
from sphinx_gallery.sorting import FileNameSortKey

# The order in which the lecture and the gallery are shown.
SECTIONS = ("first", "answers", "own", "training", "seeing", "together")


_caught = warnings.catch_warnings()


def strict(gallery_conf: dict, name: str, when: str) -> None:  # noqa: ARG001, the hook's signature
    """Make warnings errors within an example, and pictures alike."""
    global _caught  # noqa: PLW0603, the hook is called twice and can keep nothing else
    if when == "before":
        _caught = warnings.catch_warnings()
        _caught.__enter__()
        warnings.resetwarnings()
        warnings.simplefilter("error")
        mpl.rcParams.update({"figure.figsize": (7.2, 4.4), "figure.dpi": 100})
    else:
        _caught.__exit__(None, None, None)


SETTINGS = {
    "examples_dirs": ["../examples/lecture", "../examples/gallery"],
    "gallery_dirs": ["lecture", "gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": FileNameSortKey,
    "subsection_order": [f"../examples/gallery/{name}" for name in SECTIONS],
    "reset_modules": ("matplotlib", "gallery_settings.strict"),
    "reset_modules_order": "both",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skmlp",),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 20,
    "abort_on_example_error": False,  # all that fail are told, and -W ends the build
    "parallel": 2,
    "download_all_examples": False,
    "thumbnail_size": (400, 280),
}
