"""Activations: z -> a, plain NumPy functions; `ACTIVATIONS`, their names; `Learned` arguments."""

from .network.activations import *  # noqa: F403, the functions of all rows

globals()["__all__"] = sorted(name for name in dir() if not name.startswith("_"))
