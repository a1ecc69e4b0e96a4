"""Files: which types a reader of skops files has to accept."""

from . import callbacks
from .estimators import MLPClassifier, MLPRegressor
from .heads import HEADS
from .network import LAYERS

__all__ = ["trusted_types"]


def trusted_types() -> list[str]:
    """Return the names of all types of skmlp that a skops file may hold, for its reader.

    They are the estimators, the heads, the layers and the callbacks, made of the registries. The
    state of each is plain data, and is checked when it is read: accepting them runs nothing that a
    file says. A file of one estimator without callbacks has the name of its class alone. Classes
    and functions of your own are not among them: `skops.io.get_untrusted_types` tells which of
    them a file has.

    Returns
    -------
    list of str
        The names, with their modules, in the order of the alphabet.

    Notes
    -----
    skops trusts the types of scikit-learn, NumPy and SciPy by itself, and has no way for another
    library to declare its own (https://skops.readthedocs.io/en/stable/persistence.html).

    Examples
    --------
    >>> from skmlp import trusted_types
    >>> [name for name in trusted_types() if "tabular" in name]  # doctest: +NORMALIZE_WHITESPACE
    ['skmlp.tabular.estimators.TabularMLPClassifier',
     'skmlp.tabular.estimators.TabularMLPRegressor']
    """
    from .tabular import TabularMLPClassifier, TabularMLPRegressor  # noqa: PLC0415, takes a while

    kinds = {
        *(MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor),
        *HEADS.values(),
        *map(type, LAYERS.values()),
        *(getattr(callbacks, name) for name in callbacks.__all__),
    }
    return sorted(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
