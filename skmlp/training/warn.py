"""stub."""

import warnings


def warn(message, category):
    warnings.warn(message, category, stacklevel=5)
