"""Values in sentences, as users write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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


@contextmanager
def of_extra(extra: str, lacking: str) -> Iterator[None]:
    """Import what an extra brings: where it is missing, a sentence names the extra.

    Examples
    --------
    >>> with of_extra("plot", "this draws with matplotlib, which is not installed"):
    ...     import no_such_module
    Traceback (most recent call last):
    ImportError: this draws with matplotlib, which is not installed: pip install 'skmlp[plot]'.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{lacking}: pip install 'skmlp[{extra}]'.") from error
