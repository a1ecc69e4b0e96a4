"""The way from a user's columns to a network's inputs, through the linear steps of a pipeline.

The law: every input is a sum of multiples of atoms and a constant,

    z = u A + c

and each atom is a number of one column of the user's: the column itself, or one of the columns
that a one-hot encoder makes of it. So slopes go back by A, and what an atom contributes to z counts
for the column that owns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from ..engine.words import shown
from ..estimators.containers import read_matrix
from .explained import Inputs, columns

Pick = Callable[[Any], Any]  # what a step is given, of the user's table


class Route:
    """The way from columns to inputs.

    Parameters
    ----------
    steps : list of (str, transformer)
        The fitted steps, in order.
    n_columns : int
        How many columns the user's table has.

    Attributes
    ----------
    matrix : sparse matrix of shape (inputs, atoms)
        How much of each atom is in each input: A, transposed.
    owner : ndarray of shape (atoms,)
        Which column each atom is a number of.
    are_categories : ndarray of bool, of shape (n_columns,)
        Which columns are encoded as categories, and so have no slope.

    Raises
    ------
    ValueError
        If a step is not linear, or encodes a mixture of columns.
    """

    def __init__(self, steps: list[tuple[str, Any]], n_columns: int) -> None:
        self._steps, self._n_columns = steps, n_columns
        self._owner = list(range(n_columns))
        self._encoders: list[tuple[Pick, Any]] = []
        self.are_categories = np.zeros(n_columns, bool)
        matrix = sparse.identity(n_columns, format="csr")
        pick: Pick = _itself
        for name, step in steps:
            matrix = self._through(name, step, pick, matrix)
            pick = _after(pick, step)
        self.matrix = self._padded(matrix)
        self.owner = np.array(self._owner)
        are_used = np.diff(self.matrix.tocsc().indptr[: n_columns + 1]) > 0
        self._numeric = np.flatnonzero(are_used)

    def read(self, X: Any, checked: Callable[[Any], Any]) -> Inputs:
        """Read rows of the user's table; `checked` makes a matrix of what the network is given."""
        given = X
        for _, step in self._steps:
            given = step.transform(given)
        z = _dense(checked(given))
        if not self._steps:
            return Inputs(z, z)
        u = np.zeros((len(z), len(self.owner)))
        if len(self._numeric):
            u[:, self._numeric] = _dense(read_matrix(columns(X, self._numeric)))
        encoded = [_dense(encoder.transform(pick(X))) for pick, encoder in self._encoders]
        if encoded:
            u[:, self._n_columns :] = np.hstack(encoded)
        return Inputs(z, u)

    def gathered(self, of_atoms: np.ndarray) -> np.ndarray:
        """Add up numbers of atoms (n, atoms) by the columns that own them, (n, n_columns)."""
        if len(self.owner) == self._n_columns:
            return of_atoms
        ones = np.ones(len(self.owner))
        places = (np.arange(len(self.owner)), self.owner)
        return of_atoms @ sparse.csr_matrix((ones, places), (len(self.owner), self._n_columns))

    # -- steps -------------------------------------------------------------------------------------

    def _padded(self, matrix: Any) -> Any:
        """Return a matrix with columns for all atoms that there are by now."""
        padded = sparse.csr_matrix(matrix)
        padded.resize((matrix.shape[0], len(self._owner)))
        return padded

    def _through(self, name: str, step: Any, pick: Pick, matrix: Any) -> Any:
        """Return what a step makes of columns, whose atoms are the rows of `matrix`."""
        if _is_none(step):
            return matrix
        if type(step) is Pipeline:
            for inner, each in step.steps:
                matrix = self._through(f"{name}__{inner}", each, pick, matrix)
                pick = _after(pick, each)
            return matrix
        if type(step) is ColumnTransformer:
            return self._side_by_side(name, step, pick, matrix)
        if type(step) is OneHotEncoder:
            return self._encoded(name, step, pick, matrix)
        if isinstance(step, SelectorMixin):
            return matrix[step.get_support(indices=True)]
        if type(step) not in _LINEAR:
            raise ValueError(_refusal(name, step))
        factor = _LINEAR[type(step)](name, step)
        if factor is None:
            return matrix
        if np.ndim(factor) == 1:
            return sparse.csr_matrix(matrix.multiply(np.asarray(factor)[:, None]))
        return sparse.csr_matrix(sparse.csr_matrix(np.asarray(factor)) @ matrix)

    def _side_by_side(self, name: str, step: Any, pick: Pick, matrix: Any) -> Any:
        parts = {}
        for inner, each, which in step.transformers_:
            where = step.output_indices_[inner]
            if (isinstance(each, str) and each == "drop") or where.stop == where.start:
                continue
            places = _places(which, step)
            given = _picked(pick, places)
            part = self._through(f"{name}__{inner}", each, given, self._padded(matrix)[places])
            parts[where.start] = part
        stacked = [self._padded(parts[start]) for start in sorted(parts)]
        if not stacked:
            return self._padded(matrix)[:0]
        return sparse.csr_matrix(sparse.vstack(stacked))

    def _encoded(self, name: str, step: Any, pick: Pick, matrix: Any) -> Any:
        """Make atoms of the columns of an encoder: each is a number of the column it encodes."""
        owners: list[int] = []
        for j, levels in enumerate(_levels(step)):
            behind = {self._owner[atom] for atom in sparse.csr_matrix(matrix[[j]]).indices}
            if len(behind) != 1:
                raise ValueError(
                    f"step {name!r}, a OneHotEncoder, encodes a mixture of {len(behind)} columns: "
                    "encode columns as they are, before what mixes them."
                )
            owners += [behind.pop()] * levels
        first = len(self._owner)
        self._owner += owners
        self._encoders.append((pick, step))
        self.are_categories[owners] = True
        places = (np.arange(len(owners)), first + np.arange(len(owners)))
        return sparse.csr_matrix((np.ones(len(owners)), places), (len(owners), len(self._owner)))


def _itself(X: Any) -> Any:
    return X


def _picked(pick: Pick, places: np.ndarray) -> Pick:
    """Return what some columns are of what a step is given."""
    return lambda X: columns(pick(X), places)


def _after(pick: Pick, step: Any) -> Pick:
    """Return what comes after a step."""
    return pick if _is_none(step) else lambda X: step.transform(pick(X))


def _is_none(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _levels(encoder: OneHotEncoder) -> list[int]:
    """Return how many columns an encoder makes of each."""
    rare = getattr(encoder, "infrequent_categories_", None) or [None] * encoder.n_features_in_
    dropped = encoder.drop_idx_
    found = []
    for j, levels in enumerate(encoder.categories_):
        n = len(levels) - (0 if rare[j] is None else len(rare[j]) - 1)
        found.append(n - (dropped is not None and dropped[j] is not None))
    return found


def _places(which: Any, step: Any) -> np.ndarray:
    """Return the numbers of the columns that a part of a ColumnTransformer takes."""
    names = list(getattr(step, "feature_names_in_", ()))
    if isinstance(which, slice):
        start, stop = (names.index(x) if isinstance(x, str) else x for x in _ends(which))
        if isinstance(which.stop, str):
            stop += 1  # a slice of names has its end in it
        return np.arange(step.n_features_in_)[slice(start, stop, which.step)]
    places = [names.index(x) if isinstance(x, str) else x for x in np.ravel(which).tolist()]
    return np.arange(step.n_features_in_)[places]


def _ends(which: slice) -> tuple[Any, Any]:
    return which.start, which.stop


def _dense(matrix: Any) -> np.ndarray:
    array = matrix.toarray() if sparse.issparse(matrix) else matrix
    return np.asarray(array, np.float64)


# -- linear steps: factors of columns, or a matrix (out, in), or None where nothing changes --------


def _by_scale(name: str, step: Any) -> Any:
    del name
    return None if getattr(step, "scale_", None) is None else 1 / np.asarray(step.scale_)


def _by_range(name: str, step: Any) -> Any:
    if step.clip:
        raise ValueError(
            f"step {name!r}, {shown(step)}, clips: fit it with clip=False, or explain the last "
            "step on what the others make of X."
        )
    return step.scale_


def _by_components(name: str, step: Any) -> Any:
    del name
    if not getattr(step, "whiten", False):
        return step.components_
    scale = np.sqrt(step.explained_variance_)
    return step.components_ / np.maximum(scale, np.finfo(scale.dtype).eps)[:, None]


def _by_nothing(name: str, step: Any) -> Any:
    if step.func is not None:
        raise ValueError(_refusal(name, step))


_LINEAR: Mapping[type, Callable[[str, Any], Any]] = {
    StandardScaler: _by_scale,
    MaxAbsScaler: _by_scale,
    RobustScaler: _by_scale,
    MinMaxScaler: _by_range,
    PCA: _by_components,
    TruncatedSVD: _by_components,
    FunctionTransformer: _by_nothing,
}


def _refusal(name: str, step: Any) -> str:
    known = [kind.__name__ for kind in _LINEAR]
    return (
        f"step {name!r}, {shown(step)}, is not known to be linear, as {', '.join(known)}, "
        "selectors, OneHotEncoder and ColumnTransformer are: explain the last step on what the "
        "others make of X, model[-1] on model[:-1].transform(X)."
    )
