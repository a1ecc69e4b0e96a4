"""A fitted network, differentiated, behind the linear steps of a pipeline."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..engine import BATCH, Expression, Plan, Program, gradient, variable
from ..engine.words import shown
from ..estimators.containers import is_table
from ..estimators.prediction import Fitted
from ..network.network import Network
from .asked import asked
from .explained import Explained, Inputs
from .steps import Route


class Differentiated:
    """A network in float64, whatever its own precision, with slopes of its raw outputs.

    Parameters
    ----------
    network : Network
        Its shape.
    parts : list of dict of str to ndarray
        Its parameters, by layer.
    """

    def __init__(self, network: Network, parts: list[dict[str, np.ndarray]]) -> None:
        traced = _kept if network.is_ours else _traced
        self._x, self._received, variables, plans = traced(network)
        arrays = [array for part in parts for array in part.values()]
        read = [np.ascontiguousarray(array, np.float64) for array in arrays]
        values = dict(zip(variables, read, strict=True))
        self._raw, self._slopes = (Program(plan, values) for plan in plans)

    def raw(self, z: np.ndarray) -> np.ndarray:
        """Compute raw outputs, (n, n_raw)."""
        return self._raw.run({self._x: z})[0]

    def slopes(self, z: np.ndarray, received: np.ndarray) -> np.ndarray:
        """Return slopes by inputs (n, inputs) of what has slopes `received` by raw outputs."""
        return self._slopes.run({self._x: z, self._received: received})[0]


def _traced(network: Network) -> tuple[Expression, Expression, list[Expression], list[Plan]]:
    """Trace raw outputs and their slopes: inputs, what is received, parameters, and both plans."""
    variables = network.variables()
    x = variable("x", (BATCH, network.layer_units[0]))
    raw = network.layers(x, variables)[-1]
    received = variable("received", raw.shape)
    plans = [Plan([raw]), Plan(gradient(raw, [x], received))]
    return x, received, [part for parts in variables for part in parts.values()], plans


_kept = lru_cache(16)(_traced)


class ExplainedNetwork(Explained):
    """An MLPClassifier or MLPRegressor, behind linear steps.

    Points are the inputs of the network, and atoms the numbers of columns that they are sums of.
    """

    def __init__(
        self, estimator: Any, steps: list[tuple[str, Any]], last: Any, target: Any
    ) -> None:
        fitted = Fitted(last)
        self.asked = asked(target, fitted.answering)
        self._by_raw = self.asked.slopes()
        self._network = Differentiated(fitted.network, fitted.parts)
        first = steps[0][1] if steps else last
        self.n_columns = int(first.n_features_in_)
        self._names = getattr(estimator, "feature_names_in_", None)
        self._route, self._checked = Route(steps, self.n_columns), fitted.checked
        inputs = fitted.network.layer_units[0]
        self._widest = max(self.n_columns, len(self._route.owner), inputs)

    def read(self, X: Any) -> Inputs:
        """Read rows, through the steps; they find columns by place, so all must be in order."""
        if self._names is not None and is_table(X):
            found, expected = self.names(X).tolist(), list(self._names)
            if found != expected:
                raise ValueError(
                    f"X has the columns {shown(found)}, but the estimator was fitted to "
                    f"{shown(expected)}: give those, in that order."
                )
        return self._route.read(X, self._checked)

    def zero(self, X: Any) -> Inputs:
        """Return the row of zeros: where atoms are columns, as far from a row as they say."""
        if not self._route.is_affine:
            return self.read(self.as_rows(np.zeros(self.n_columns), X))
        one = next(self.blocks(X))[1]
        z, u = one.z[:1], one.u[:1]
        return Inputs(z - u @ self._route.matrix.T, np.zeros_like(u))

    def is_number(self) -> np.ndarray:
        """Tell which columns are not encoded as categories."""
        return ~self._route.are_categories

    def columns(self, z: np.ndarray) -> np.ndarray:
        """Return which numbers are asked for at each point, (n, how many)."""
        return self.asked.columns(self._network.raw(z))

    def values(self, z: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return one of the numbers at each point, (n,)."""
        return self.asked.values(self._network.raw(z), column)

    def function(self, z: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return one of the numbers at each point, (n,), and its slopes, like z."""
        raw = self._network.raw(z)
        slopes = self._network.slopes(z, self._by_raw(raw, column))
        return self.asked.values(raw, column), slopes

    def slopes_of_columns(self, slopes: np.ndarray, inputs: Inputs) -> np.ndarray:
        """Return slopes by columns, (n, n_columns); NaN for categories and missing numbers."""
        route = self._route
        found = np.array(route.gathered((slopes @ route.matrix) * route.slope))
        if inputs.missing is not None:
            found[inputs.missing] = np.nan
        return found

    def added(self, slopes: np.ndarray, inputs: Inputs, start: Inputs) -> np.ndarray:
        """Return what columns add: what their atoms do."""
        return self._route.gathered((inputs.u - start.u) * (slopes @ self._route.matrix))
