"""The two estimators that fit on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import Parameter, signature
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if

from ..engine.words import shown
from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.availability import has, has_scores_alone
from ..estimators.callbacks import Checkpoint, GradientNorms, with_callbacks
from ..estimators.perceptron import ATTRIBUTES, Given, documented
from ..estimators.prediction import Fitted, Spares
from ..estimators.settings import DESCRIPTIONS
from ..heads.domains import is_count
from ..training.loops import Descent
from ..training.objective import Objective
from .fitting import SharedDescent, Spread, Summed, pose, started
from .partitions import mapped
from .session import Session, client_of, packages

_OWN = {"client": None, "sync_every": "epoch"}  # the parameters that local estimators do not have


class OnCluster(Given):
    """What `fit` is given, and the session that it has on a cluster."""

    session: Session


def _constructor(local: type) -> Callable[..., None]:
    """Make a constructor with the parameters of the local estimator, and those of its own."""
    known = list(signature(local.__init__).parameters.values())  # type: ignore[misc]
    own = [Parameter(name, Parameter.KEYWORD_ONLY, default=x) for name, x in _OWN.items()]
    whole = signature(local.__init__).replace(parameters=[*known, *own])  # type: ignore[misc]

    def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807
        bound = whole.bind(self, *given, **named)
        bound.apply_defaults()
        self._keep(dict(bound.arguments))

    __init__.__signature__ = whole  # type: ignore[attr-defined]
    return __init__


class Distributed(BaseEstimator):
    """What both estimators share: a fit in a session, and answers partition by partition."""

    _local: type

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
        """Fit the network to rows on a cluster."""
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
            self._fit(given)
            rounds = max(1, session.rounds)
            self.traffic_ = {
                "rounds": session.rounds,
                "sent": session.sent / rounds,
                "received": session.received / rounds,
            }
        return self

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

    def _pose(self, settings, given, target_of, earlier, spares=None):
        names = self._local_twin()
        if earlier is not None:
            earlier = Fitted(self.to_local())
        return pose(given.session, names, settings, given, target_of, earlier)

    def _begun(self, problem, begin):
        return started(problem.data)

    def _objective(self, problem, start) -> Objective:
        spread: Spread = problem.data
        alpha, scale = spread.begun.alpha, start.state.scale
        objective = Summed(spread, problem.graph, start.theta, alpha, scale)
        if start.is_fresh:
            rows: Any = start.state.train
            objective.observe(rows[: problem.settings.batch_rows(len(rows))])
        return objective

    def _descent(self, problem, start, objective) -> Descent:
        rows = start.state.training_rows
        stepping = problem.settings.stepping(
            start.theta, problem.network, start.random, len(rows)
        )
        return SharedDescent(problem.data, self.sync_every, objective, rows, start.state, stepping)

    def _scores(self, problem, start, *, is_part):
        spread = problem.data
        return None if spread.judge is None else partial(spread.scores, start.theta)

    def _why_worse(self, problem, objective, fitted, state):
        return problem.data.why_worse(objective.theta, state)

    # -- answers -----------------------------------------------------------------------------------

    def _mapped(self, method: str, X: Any, *given: Any, **named: Any) -> Any:
        answer = partial(answered, self.to_local(), method, given, named)
        sample = answer(np.zeros((1, self.n_features_in_)), is_sample=True)
        return mapped(answer, X, sample)

    def predict(self, X: Any) -> Any:
        """Predict, lazily."""
        return self._mapped("predict", X)


def answered(
    local: Any, method: str, given: Any, named: Any, part: Any, is_sample: bool = False
) -> np.ndarray:
    """Answer for a partition."""
    if is_sample:
        vars(local).pop("feature_names_in_", None)
    return getattr(local, method)(part, *given, **named)


class DaskMLPRegressor(Distributed, MLPRegressor):
    """Regressor."""

    _local = MLPRegressor
    __init__ = _constructor(MLPRegressor)


class DaskMLPClassifier(Distributed, MLPClassifier):
    """Classifier."""

    _local = MLPClassifier
    __init__ = _constructor(MLPClassifier)
