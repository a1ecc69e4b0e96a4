"""Values in sentences, as users write them."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np


def shown(value: Any, longest: int = 80) -> str:
    """Return what a user would write for a value, cut in the middle where that is long.

    Examples
    --------
    >>> shown([np.str_("wide"), np.int64(3)]), shown(10**400)
    ("['wide', 3]", 'a whole number of 1329 bits')
    """
    if isinstance(value, int) and value.bit_length() > 4 * longest:
        return f"a whole number of {value.bit_length()} bits"
    has_types = np.lib.NumpyVersion(np.__version__) >= "2.0.0"  # NumPy 2 shows a number's type
    with np.printoptions(legacy="1.25") if has_types else nullcontext():
        text = " ".join(repr(value).split())
    half = longest // 2
    return text if len(text) <= longest else f"{text[: half - 2]}...{text[1 - half :]}"
