"""Starts: the three ways in which a fit begins, and a part of a stream, which continues.

The law: what a fit is to do is a `Problem`, checked and without a random number in it. A start
turns it into parameters, a state and a generator; it alone knows how the fit began, and all that
follows is the same.

    fresh       parameters are drawn, rows split, the scale measured
    continued   parameters are those published before (`warm_start`); counters begin anew
    streamed    parameters and state are those published before (`partial_fit`)
    resumed     parameters and state are those of a checkpoint
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from ..network.network import Network
from ..training.checkpoints import Expected, Saved
from ..training.objective import LossGraph, OutputScale, slopes_of
from ..training.state import State
from ..training.warn import warn
from .data import Data, FileData, inputs_of
from .identity import are_same, identity_of
from .prediction import Fitted
from .scoring import FileSplit, ValidationSplit
from .settings import Settings

_SMALL_LOSS = 1e-4  # of slopes, where they are not measured in units of the data
# Parameters that may differ where a fit is resumed.
FREE = ("max_iter", "max_fun", "verbose", "warm_start")


class Problem(NamedTuple):
    """What a fit is to do, checked; nothing random has been drawn yet.

    Attributes
    ----------
    settings : Settings
        What the parameters say.
    data : Data
        The rows.
    target : Classes or Numbers
        What y means.
    graph : LossGraph
        The data term of the objective.
    split : ValidationSplit, FileSplit or None
        What sets rows aside to validate on.
    validation : Data or None
        The rows that were given to validate on.
    names : estimator
        What has the parameters and the names of the inputs, to tell the fit from others.
    """

    settings: Settings
    data: Data
    target: Any
    graph: LossGraph
    split: ValidationSplit | FileSplit | None
    validation: Data | None
    names: BaseEstimator

    @property
    def network(self) -> Network:
        """The network."""
        return self.graph.network

    @property
    def inputs(self) -> dict[str, Any]:
        """The number, and the names, of the inputs, as they are published."""
        return inputs_of(self.names)

    @property
    def identity(self) -> dict[str, str]:
        """What the fit is, in words, so that it can be told from another."""
        if any(isinstance(data, FileData) for data in (self.data, self.validation)):
            raise ValueError(
                "A fit on a mapped file has no checkpoints, since these would hold what takes the "
                "memory of its rows: pickle the estimator after some epochs, and go on with "
                "warm_start=True or partial_fit."
            )
        given = self.names.get_params(deep=False)
        parameters = {name: x for name, x in given.items() if name not in FREE}
        data, validation = self.data, self.validation
        arrays = {"X": data.X, "y": data.Y, "sample_weight": data.weights}
        if validation is not None:
            arrays |= {"X_val": validation.X, "y_val": validation.Y}
            arrays["sample_weight_val"] = validation.weights
        classes = self.target.published.get("classes_")
        return identity_of(self.settings.estimator, parameters, classes, arrays)


class Start(NamedTuple):
    """Where training starts.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        The parameters.
    state : State
        Where training stands; its training rows are known.
    random : RandomState
        What shuffles.
    is_fresh : bool
        Whether the parameters are newly drawn, so that running statistics have seen no batch.
    """

    theta: np.ndarray
    state: State
    random: np.random.RandomState
    is_fresh: bool = False


def fresh(problem: Problem) -> Start:
    """Draw the parameters, in scikit-learn's order, then the validation rows."""
    settings, network, data = problem.settings, problem.network, problem.data
    random = check_random_state(settings.random_state)
    theta = network.initial_theta(
        random,
        data.precision,
        weight_init=settings.weight_init,
        activation=settings.output_activation,
        X=data.X,
        rows=data.shown(data.rows),
    )
    state = _with_rows(problem, State(settings=settings.stream), random)
    if settings.initial_output == "data" and len(data.rows):
        state = replace(state, scale=_scale(problem, state.train))
        network.last_layer(theta)[1][...] = 0
    return Start(theta, state, random, is_fresh=True)


def _scale(problem: Problem, rows: Any) -> OutputScale:
    """Measure the scale of the outputs on the training rows."""
    data, head = problem.data, problem.target.head
    rows = data.shown(rows)
    weights = data.normalized_weights(rows)[0]
    targets = head.smoothed(data.Y[rows], problem.settings.label_smoothing)
    weights = None if weights is None else weights[rows]
    scale = OutputScale.of(head, targets, weights, is_single=data.precision == np.float32)
    if problem.target.usual == "numbers" and scale.loss * scale.loss_scale == 1:
        slopes = slopes_of(head.of_target_unit(), scale.start, scale.targets(targets))
        size = scale.loss_scale * float(np.sqrt(np.mean(np.square(slopes))))
        if 0 < size < _SMALL_LOSS:
            warn(
                f"The loss of {head!r} is in units of y, its slopes here about {size:.1g}, beside "
                f"which alpha={problem.settings.alpha:g} and the solver's epsilon weigh too much: "
                "give y in a unit in which it is about 1.",
                UserWarning,
            )
    return scale


def _with_rows(problem: Problem, state: State, random: np.random.RandomState) -> State:
    """Return a state with its training rows, and those set aside to validate on."""
    train, held_out = problem.data.rows, None
    if problem.split is not None:
        train, held_out = problem.split.draw(random)
    return replace(state, train=train, held_out=held_out)


def continued(problem: Problem, earlier: Fitted) -> Start:
    """Start from the parameters fitted before, with a new solver and new counters."""
    random = check_random_state(problem.settings.random_state)
    state = replace(earlier.state.restarted(), settings=problem.settings.stream)
    theta = packed(problem, earlier)
    return Start(theta, _with_rows(problem, state, random), random)


def streamed(problem: Problem, earlier: Fitted) -> Start:
    """Go on where the stream was; where the solver's parameters have changed, with a new one.

    So it is where a layer has changed what is penalized, or its rates.
    """
    theta, state, settings = packed(problem, earlier), earlier.state, problem.settings
    was, network = earlier.network, problem.network
    is_laid_out_alike = was is network or (
        (was.places, was.rates) == (network.places, network.rates)
    )
    if (
        state.solver is None
        or not is_laid_out_alike
        or not are_same(state.settings, settings.stream)
    ):
        return continued(problem, earlier)
    if state.raw is not None and state.average is not None:
        # Who edits coefs_ edits the model; who does not goes on behind their average.
        is_edited = not np.allclose(theta, state.average.values)
        theta = theta if is_edited else state.raw.copy()
        state = replace(state, average=None) if is_edited else state
    random = check_random_state(settings.random_state)
    return Start(theta, _with_rows(problem, state, random), random)


def resumed(problem: Problem, saved: Saved) -> Start:
    """Go on with the fit of a checkpoint, if it is this very one."""
    identity = problem.identity
    for name in {**saved.identity, **identity}:
        was, is_now = saved.identity.get(name), identity.get(name)
        if was != is_now:
            raise ValueError(
                f"The checkpoint {saved.path!r} is of another fit: {name} was {was}, and is "
                f"{is_now} now; give what it was begun with, or begin with fit."
            )
    settings, network = problem.settings, problem.network
    theta = np.empty(network.n_parameters, problem.data.precision)
    stretches = network.penalized, network.rates
    solver = None if settings.solver is None else settings.new_solver(theta, *stretches)
    head, n_targets = problem.target.head, problem.target.n_targets
    state = saved.state(
        Expected(
            solver,
            theta,
            problem.data.rows,
            averaging=None if solver is None else settings.averaging,
            n_raw=head.n_raw(n_targets) if settings.initial_output == "data" else None,
            n_targets=n_targets,
            is_split=problem.split is not None,
            draws=problem.graph.draws,
        )
    )
    assert state.marks is not None
    return Start(state.marks.last.copy(), state, saved.generator())


def packed(problem: Problem, earlier: Fitted) -> np.ndarray:
    """Return the parameters fitted before as theta, where they fit the network."""
    network, known = problem.network, earlier.network
    if network.shapes != [{n: a.shape for n, a in part.items()} for part in earlier.parts]:
        has, asks = f"layers of {known.layer_units} units", f"{network.layer_units}"
        if known.layer_units == network.layer_units:
            has, asks = "activations that learn other arguments", "these"
            if known.normalization != network.normalization:
                has, asks = f"normalization={known.normalization!r}", repr(network.normalization)
        raise ValueError(
            f"the fitted network has {has}, but the parameters and data now ask for {asks}: "
            "set warm_start=False or fit a clone."
        )
    theta = network.packed(earlier.parts)
    if earlier.state.scale is not None:
        earlier.state.scale.unfold(*network.last_layer(theta))
    return theta.astype(problem.data.precision, copy=False)
