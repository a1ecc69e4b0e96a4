"""The two estimators that fit on the workers of a Dask cluster, by LightGBM's conventions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..engine.words import shown
from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.availability import has, has_scores_alone
from ..estimators.callbacks import Checkpoint, GradientNorms, with_callbacks
from ..estimators.perceptron import ATTRIBUTES, Given, documented
from ..estimators.prediction import Fitted, Spares
from ..estimators.settings import DESCRIPTIONS
from ..estimators.starts import Problem, Start
from ..heads.domains import is_count
from ..training.loops import Descent
from ..training.objective import Objective
from ..training.state import State
from .fitting import SharedDescent, Spread, Summed, pose, started
from .partitions import aligned_partitions, answered, mapped, partitions_of, scored
from .session import Session, client_of, packages

_OWN: dict[str, Any] = {"client": None, "sync_every": "epoch"}  # what local ones do not have
_OWN_DESCRIPTIONS = """client : distributed.Client or None, default=None
    The client of the cluster; None takes the one that the process has. It is neither copied by
    `clone` nor pickled.
sync_every : int or "epoch", default="epoch"
    After how many steps of the stochastic solvers the parameters, and the states of solvers, of
    all workers are averaged: a whole number, or "epoch" for once an epoch, which is the least.
"""
_OWN_ATTRIBUTES = """
    client_ : distributed.Client
        The client of the cluster.
    traffic_ : dict of str to float
        Of the last fit: how many "rounds" there were in which all workers were asked, and how many
        bytes were "sent" and "received" in a round, on average."""


class OnCluster(Given):
    """What `fit` is given, and the session that it has on a cluster."""

    session: Session


def _constructor(local: type) -> Callable[..., None]:
    """Make a constructor with the parameters of the local estimator, and those of its own."""
    known = signature(local.__init__)  # type: ignore[misc]
    own = [Parameter(name, Parameter.KEYWORD_ONLY, default=x) for name, x in _OWN.items()]
    whole = known.replace(parameters=[*known.parameters.values(), *own])

    def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807
        bound = whole.bind(self, *given, **named)
        bound.apply_defaults()
        self._keep(dict(bound.arguments))

    __init__.__signature__ = whole  # type: ignore[attr-defined]
    return __init__


class Distributed(BaseEstimator):
    """What both estimators share: a fit in a session, and answers partition by partition."""

    _local: type
    client: Any
    sync_every: int | str

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to rows on a cluster; they stay there.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs of n_samples rows and n_features columns. A partition is anything that the local
            estimator takes for X; one without rows is none. Chunks along columns are rechunked.
        y : dask array, series, data frame or bag, or list of delayed partitions
            Targets, in as many partitions. An array is cut as X is.
        sample_weight : as y, default=None
            Weights, zero or positive.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Rows to validate on after every epoch.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y or weights are no collections.
        ValueError
            As the local estimator; the partition is named. If there is no client, or no worker.
        RuntimeError
            If a partition cannot be computed, or the cluster is lost; where an epoch was complete,
            the estimator has the parameters of the last one then.
        KeyboardInterrupt
            If it comes before one epoch is complete; after that the last complete epoch is kept,
            with a warning.

        Warns
        -----
        ConvergenceWarning, RuntimeWarning
            As the local estimator.
        UserWarning
            If chunks along columns are rechunked.
        """
        client = client_of(self.client)
        sync_every = self.sync_every
        if not (is_count(sync_every) or (isinstance(sync_every, str) and sync_every == "epoch")):
            raise ValueError(
                "sync_every must be 'epoch' or a whole number of steps >= 1, got "
                f"{shown(sync_every)}."
            )
        for callback in getattr(self, "_skl_callbacks", None) or ():
            if isinstance(callback, (Checkpoint, GradientNorms)):
                raise ValueError(
                    f"{type(callback).__name__} needs the rows, which are on the cluster: fit the "
                    "local estimator with it, or take another callback."
                )
        with Session(client) as session:
            given = OnCluster(X, y, sample_weight, X_val, y_val, sample_weight_val)
            given.session = session
            try:
                self._fit(given)
            finally:
                if hasattr(self, "coefs_"):
                    self.traffic_ = session.traffic()
        return self

    def resume(self, path: Any, *given: Any, **named: Any) -> Self:
        """Refuse: a checkpoint knows the rows by their digest, and they are elsewhere.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not resume {shown(path)}: load it into the local "
            "estimator, or use warm_start=True."
        )

    @property
    def partial_fit(self) -> Any:
        """Refuse: a stream is of one process."""
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit: use to_local(), or warm_start=True."
        )

    @property
    def client_(self) -> Any:
        """The client of the cluster, of a fitted estimator."""
        check_is_fitted(self, "coefs_")
        return client_of(self.client)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self) -> Self:
        client, self.client = self.client, None  # which clone would copy
        try:
            twin = super().__sklearn_clone__()
        finally:
            self.client = client
        return twin.set_params(client=client)

    def _local_twin(self) -> Any:
        """Return the local estimator with the same parameters, not fitted."""
        given = self.get_params(deep=False)
        return self._local(**{name: x for name, x in given.items() if name not in _OWN})

    def to_local(self) -> Any:
        """Return the local estimator, fitted."""
        Fitted(self)  # or say that it is not
        local = self._local_twin()
        own = {*vars(local), *_OWN, "traffic_"}
        fitted = {name: x for name, x in vars(self).items() if name not in own}
        fitted = {name: x for name, x in fitted.items() if not name.startswith(("_skl", "_call"))}
        vars(local).update(fitted | {"_spares": Spares()})
        return local

    # -- where the rows are ------------------------------------------------------------------------

    def _pose(
        self,
        settings: Any,
        given: Any,
        target_of: Callable[[Any], Any],
        earlier: Fitted | None,
        spares: Spares | None = None,  # noqa: ARG002, of a stream
    ) -> Problem:
        earlier = None if earlier is None else Fitted(self.to_local())
        return pose(given.session, self._local_twin(), settings, given, target_of, earlier)

    def _begun(self, problem: Problem, begin: Any) -> Start:  # noqa: ARG002, done where rows are
        return started(_spread(problem))

    def _objective(self, problem: Problem, start: Start) -> Objective:
        objective = Summed(_spread(problem), problem.graph, start)
        if start.is_fresh:
            rows = start.state.training_rows
            objective.observe(rows[: problem.settings.batch_rows(len(rows))])
        return objective

    def _descent(self, problem: Problem, start: Start, objective: Objective) -> Descent:
        state, settings = start.state, problem.settings
        rows = state.training_rows
        stepping = settings.stepping(start.theta, problem.network, None, len(rows))
        return SharedDescent(_spread(problem), self.sync_every, objective, rows, state, stepping)

    def _scores(
        self,
        problem: Problem,
        start: Start,
        *,
        is_part: bool,  # noqa: ARG002
    ) -> Callable[[], dict[str, float]] | None:
        spread = _spread(problem)
        return None if spread.judge is None else partial(spread.scores, start.theta)

    def _why_worse(self, problem: Problem, theta: np.ndarray, state: State) -> str | None:
        return _spread(problem).why_worse(theta, state)

    # -- answers -----------------------------------------------------------------------------------

    def _mapped(self, method: str, X: Any, *given: Any, **named: Any) -> Any:
        """Return the answers of the local estimator, partition by partition, as a lazy array."""
        return mapped(self.to_local(), method, X, *given, **named)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of the local estimator: accuracy, or R2.

        Each partition is predicted where it is; predictions and targets are brought together on one
        worker.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.
        y : as X
            Targets.
        sample_weight : as X, default=None
            Weights.

        Returns
        -------
        float
            The score.
        """
        client = client_of(self.client)
        columns = {"X": X, "y": y, "sample_weight": sample_weight}
        rows, _ = aligned_partitions(columns)
        return client.compute(scored(self.to_local(), rows)).result()

    def hidden_layer_output(self, X: Any, layer: Any = -1) -> Any:
        """Compute the activations of a hidden layer, as the local estimator does.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.
        layer : int, default=-1
            Which hidden layer, 0 being the first; negative numbers count from the last.

        Returns
        -------
        dask array of shape (n_samples, units of the layer)
            Its outputs, computed when asked for.
        """
        return self._mapped("hidden_layer_output", X, layer)


def _spread(problem: Problem) -> Spread:
    assert isinstance(problem.data, Spread)
    return problem.data


_documented = partial(
    documented,
    descriptions=DESCRIPTIONS + _OWN_DESCRIPTIONS,
    attributes=ATTRIBUTES + _OWN_ATTRIBUTES,
)


@_documented
class DaskMLPClassifier(Distributed, MLPClassifier):
    """`MLPClassifier` on rows that are spread over the workers of a Dask cluster.

    With `solver="lbfgs"` the fit is that of `MLPClassifier` on the same rows, to rounding. The
    stochastic solvers take steps on every worker and average: on one worker that has one partition
    they are, bit for bit, those of the local estimator.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes of all partitions; for labels their numbers.
    {attributes}

    See Also
    --------
    MLPClassifier : The same in one process, on arrays; `to_local` returns one.

    References
    ----------
    Stich, "Local SGD converges fast and communicates little", ICLR 2019, arXiv:1805.09767.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.dask import DaskMLPClassifier
    >>> X, y = (da.from_array(x, chunks=50) for x in load_iris(return_X_y=True))
    >>> with Client(n_workers=2, processes=False, dashboard_address=":0"):
    ...     model = DaskMLPClassifier((10,), solver="lbfgs", max_iter=500, random_state=0)
    ...     answers = model.fit(X, y).predict(X)[:3].compute()
    >>> answers
    array([0, 0, 0])
    """

    _local = MLPClassifier
    __init__ = _constructor(MLPClassifier)

    def predict(self, X: Any) -> Any:
        """Predict the class of each sample, or its labels.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.

        Returns
        -------
        dask array of shape (n_samples,) or (n_samples, n_labels)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("predict", X)

    @available_if(has("probabilities"))
    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class, or of each label.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.

        Returns
        -------
        dask array of shape (n_samples, n_classes)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("predict_proba", X)

    @available_if(has("probabilities"))
    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithm of `predict_proba`.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.

        Returns
        -------
        dask array of shape (n_samples, n_classes)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("predict_log_proba", X)

    @available_if(has_scores_alone)
    def decision_function(self, X: Any) -> Any:
        """Return the scores of the classes, for heads without probabilities.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.

        Returns
        -------
        dask array of shape (n_samples,) or (n_samples, n_classes)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("decision_function", X)


@_documented
class DaskMLPRegressor(Distributed, MLPRegressor):
    """`MLPRegressor` on rows that are spread over the workers of a Dask cluster.

    With `solver="lbfgs"` the fit is that of `MLPRegressor` on the same rows, to rounding. The
    stochastic solvers take steps on every worker and average: on one worker that has one partition
    they are, bit for bit, those of the local estimator.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPRegressor : The same in one process, on arrays; `to_local` returns one.

    References
    ----------
    Stich, "Local SGD converges fast and communicates little", ICLR 2019, arXiv:1805.09767.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from skmlp.dask import DaskMLPRegressor
    >>> X, y = (da.from_array(x, chunks=100) for x in load_diabetes(return_X_y=True))
    >>> with Client(n_workers=2, processes=False, dashboard_address=":0"):
    ...     model = DaskMLPRegressor((), solver="lbfgs", initial_output="data", random_state=0)
    ...     score = model.fit(10 * X, y).score(10 * X, y)
    >>> score > 0.5
    True
    """

    _local = MLPRegressor
    __init__ = _constructor(MLPRegressor)

    def predict(self, X: Any, return_std: bool = False, **asked: Any) -> Any:
        """Predict the target of each sample, or how it is distributed.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.
        return_std : bool, default=False
            Whether to return standard deviations too.
        **asked
            `coverage`, `quantiles` or `return_distribution`, as of the local estimator.

        Returns
        -------
        dask array
            What the local estimator returns, computed when asked for; with `return_std` two of
            them, with `return_distribution` a list of delayed distributions, one a partition.
        """
        if asked.get("return_distribution"):
            return self._distributions("predict", X, return_std=return_std, **asked)
        if return_std:
            return tuple(self._mapped("predict", X, True, pick=i, **asked) for i in (0, 1))
        return self._mapped("predict", X, **asked)

    @available_if(has("distribution"))
    def predict_distribution(self, X: Any) -> list[Any]:
        """Predict the distribution of the target of each sample.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.

        Returns
        -------
        list of Delayed
            The distributions of the local estimator, one for each partition.
        """
        return self._distributions("predict_distribution", X)

    def _distributions(self, method: str, X: Any, **asked: Any) -> list[Any]:
        delayed = packages().dask.delayed(answered, pure=False)
        local, parts = self.to_local(), partitions_of(X, "X").parts
        return [delayed(local, method, part, (), asked) for part in parts]

    @available_if(has("quantiles"))
    def predict_quantiles(self, X: Any, q: Any) -> Any:
        """Predict quantiles of the target of each sample.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.
        q : float or sequence of float
            Levels in (0, 1).

        Returns
        -------
        dask array of shape (n_samples, levels) or (n_samples, n_outputs, levels)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("predict_quantiles", X, q)

    @available_if(has("quantiles"))
    def predict_interval(self, X: Any, coverage: Any = None) -> Any:
        """Predict an interval that holds the target of a sample with some probability.

        Parameters
        ----------
        X : dask array, data frame or bag, or list of delayed partitions
            Inputs.
        coverage : float, default=None
            The probability, in (0, 1); None as of the local estimator.

        Returns
        -------
        dask array of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Those of the local estimator, computed when asked for.
        """
        return self._mapped("predict_interval", X, coverage)
