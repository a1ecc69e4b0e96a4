"""One BLAS thread a test process: the matrices are small, and the processes share the cores."""

import os
from importlib.util import find_spec

import pytest

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items):
    """Leave out the examples of callbacks where scikit-learn has none yet."""
    if find_spec("sklearn.callback") is None:
        for item in items:
            if item.path.as_posix().endswith("skmlp/estimators/callbacks.py"):
                item.add_marker(pytest.mark.skip(reason="scikit-learn has callbacks since 1.9"))
