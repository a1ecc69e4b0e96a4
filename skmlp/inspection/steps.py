"""The way from a user's columns to a network's inputs, through the linear steps of a pipeline.

The law: every input is a sum of multiples of atoms and a constant,

    z = u A + c

and each atom is a number of one column of the user's: the column itself, or one that an encoder or
imputer makes of it alone. So slopes go back by A, and what an atom contributes to z counts for the
column that owns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from ..engine.words import shown
from ..estimators.containers import read_matrix
from .explained import Inputs, columns

Pick = Callable[[Any], Any]  # what a step is given, of the user's table


class _Encoder(NamedTuple):
    """A step that encodes columns one by one: what it is given, and the atoms that it makes."""

    pick: Pick
    step: Any
    atoms: slice


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
    slope : ndarray of shape (atoms,)
        The slope of each atom by the column that owns it; NaN of categories.

    Raises
    ------
    ValueError
        If a step is not linear, or encodes a mixture of columns.
    """

    def __init__(self, steps: list[tuple[str, Any]], n_columns: int) -> None:
        self._steps, self._n_columns = steps, n_columns
        self._owner, self._slope = list(range(n_columns)), [1.0] * n_columns
        self._encoders: list[_Encoder] = []
        matrix = sparse.identity(n_columns, format="csr")
        pick: Pick = _itself
        for name, step in steps:
            matrix = self._through(name, step, pick, matrix)
            pick = _after(pick, step)
        self.matrix = self._padded(matrix)
        self.owner, self.slope = np.array(self._owner), np.array(self._slope)
        self._is_used = np.diff(self.matrix.tocsc().indptr) > 0

    @property
    def are_categories(self) -> np.ndarray:
        """Which columns are encoded as categories, of shape (n_columns,)."""
        return np.isin(np.arange(self._n_columns), self.owner[np.isnan(self.slope)])

    @property
    def is_affine(self) -> bool:
        """Whether every atom is a column itself."""
        return not self._encoders

    def read(self, X: Any, checked: Callable[[Any], Any]) -> Inputs:
        """Read rows of the user's table; `checked` makes a matrix of what the network is given."""
        given = X
        for _, step in self._steps:
            given = step.transform(given)
        z = _dense(checked(given))
        if not self._steps:
            return Inputs(z, z)
        u = np.zeros((len(z), len(self.owner)))
        numeric = np.flatnonzero(self._is_used[: self._n_columns])
        if len(numeric):
            u[:, numeric] = _dense(read_matrix(columns(X, numeric)))
        missing = np.zeros((len(z), self._n_columns), bool)
        for pick, step, atoms in self._encoders:
            if not self._is_used[atoms].any():
                continue  # it may have made text, which another has encoded
            given = pick(X)
            u[:, atoms] = _dense(step.transform(given))
            if type(step) is SimpleImputer:
                of, slopes = _imputed(step).T
                indicator = MissingIndicator(missing_values=step.missing_values, features="all")
                are_missing = indicator.fit_transform(given)[:, of[slopes > 0].astype(int)]
                missing[:, self.owner[atoms][slopes > 0]] |= are_missing
        return Inputs(z, u, missing)

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
        if type(step) in _COLUMN_BY_COLUMN:
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
        first = len(self._owner)
        for j, slope in _COLUMN_BY_COLUMN[type(step)](step):
            of_column = sparse.csr_matrix(matrix[[int(j)]])
            behind = {self._owner[atom] for atom in of_column.indices}
            if len(behind) != 1:
                raise ValueError(
                    f"step {name!r}, {shown(step)}, encodes a mixture of {len(behind)} columns: "
                    "encode columns as they are, before what mixes them."
                )
            by_atoms = np.array(self._slope)[of_column.indices]
            self._owner.append(behind.pop())
            self._slope.append(float(slope * (of_column.data @ by_atoms)))
        n = len(self._owner) - first
        self._encoders.append(_Encoder(pick, step, slice(first, first + n)))
        places = (np.arange(n), first + np.arange(n))
        return sparse.csr_matrix((np.ones(n), places), (n, first + n))


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


# -- steps that encode columns one by one: for each that they make, which it is of, and its slope --


def _one_hot(step: Any) -> np.ndarray:
    rare = getattr(step, "infrequent_categories_", None) or [None] * step.n_features_in_
    dropped = step.drop_idx_
    found = []
    for j, levels in enumerate(step.categories_):
        n = len(levels) - (0 if rare[j] is None else len(rare[j]) - 1)
        found += [(j, np.nan)] * (n - (dropped is not None and dropped[j] is not None))
    return np.array(found)


def _ordinal(step: Any) -> np.ndarray:
    return np.array([(j, np.nan) for j in range(step.n_features_in_)])


def _imputed(step: Any) -> np.ndarray:
    is_kept = [not (isinstance(x, float) and np.isnan(x)) for x in step.statistics_]
    if step.keep_empty_features:
        is_kept = [True] * len(is_kept)
    indicated = step.indicator_.features_ if step.add_indicator else ()
    return np.array([*((j, 1.0) for j in np.flatnonzero(is_kept)), *((j, 0.0) for j in indicated)])


_COLUMN_BY_COLUMN: Mapping[type, Callable[[Any], np.ndarray]] = {
    OneHotEncoder: _one_hot,
    OrdinalEncoder: _ordinal,
    SimpleImputer: _imputed,
}


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
    encoders = ", ".join(kind.__name__ for kind in _COLUMN_BY_COLUMN)
    return (
        f"step {name!r}, {shown(step)}, is not known to be linear, as {', '.join(known)}, "
        f"selectors and ColumnTransformer are, or to encode columns one by one, as {encoders} do: "
        "explain the last step on what the others make of X, model[-1] on model[:-1].transform(X)."
    )
