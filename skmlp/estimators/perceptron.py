"""The multilayer perceptron that both estimators are: one fit, walked.

    settings    the parameters, read once                               Settings.of
    problem     data, target, network, objective: checked, nothing drawn        _pose
    start       fresh, continued, streamed or resumed                       starts
    training    theta moves                                              training.loops
    published   every fitted attribute, in one statement                _publish

Until that statement, and after any failure, the estimator is what it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from ..engine import running
from ..engine.words import shown
from ..network.network import Network
from ..training.checkpoints import read_checkpoint
from ..training.loops import Course, Descent, Outcome, train_full_batch, train_minibatches
from ..training.objective import LossGraph, Objective, loss_graph
from ..training.schedules import SMALLEST_RATE, Adaptive
from ..training.state import State
from ..training.warn import warn
from .baseline import why_worse_than_constant
from .callbacks import CallbackSupportMixin, Watcher, with_callbacks
from .data import (
    NAMES_OF_INPUTS,
    Data,
    FileData,
    are_given,
    largest,
    read_first_rows,
    read_rows,
    stand_in,
    warn_of_column,
)
from .identity import are_same
from .parameters import Parameters
from .prediction import ORDINARY, PARAMETERS, Fitted, FittedNetwork, Spares, published_parameters
from .scoring import (
    SCORED_ROWS,
    Score,
    check_enough,
    check_scores,
    mean_loss,
    sample_of,
    scored_by,
    scores_of,
    split_of,
    to_validate,
)
from .settings import DESCRIPTIONS, Settings, descriptions_of
from .starts import Problem, Start, continued, fresh, resumed, streamed
from .stored import StoredEstimator

_ENOUGH_ROWS = 20  # their standard deviation is right to 16 %

ATTRIBUTES = """coefs_ : list of ndarray of shape (inputs, outputs)
        The weight matrix of each layer. Predictions read `coefs_` and `intercepts_`; no later
        fit changes these arrays.
    intercepts_ : list of ndarray of shape (outputs,)
        The bias of each layer.
    activation_parameters_ : list of ndarray of shape (arguments, units), or None
        What the activation of each hidden layer has learned, a row for each `Learned` argument;
        None where it learns nothing.
    normalization_parameters_ : list of ndarray of shape (2, units), or None
        Gain (first row) and shift of each hidden layer; None without `normalization`.
    normalization_statistics_ : list of ndarray of shape (2, units), or None
        Running mean (first row) and variance of the pre-activations of each hidden layer, which
        predictions are normalized by; None where normalization is not "batch".
    layer_parameters_ : list of dict of str to ndarray, or None
        Of each hidden layer that is a `skmlp.Layer`, the parts of other names than W and b, which
        are in `coefs_` and `intercepts_` (there None where it has no such part).
    head_ : Head
        The head that was used.
    loss_ : float
        The objective in the last epoch.
    best_loss_ : float or None
        The smallest objective of an epoch; None with early stopping.
    loss_curve_ : list of float
        The objective of every epoch, those of earlier calls of `partial_fit` or of warm-started
        fits first.
    history_ : dict of str to list of float
        What is known of every epoch of the last fit, for `pandas.DataFrame(history_)`: its
        objective, "loss", penalty included; with `scoring` the "score" on training samples; with
        validation the "validation_loss", without penalty, and the
        "validation_score"; for stochastic solvers the "learning_rate". Of a stream, every call.
    best_iter_ : int
        The best epoch of `history_`, counted from 1: of the largest validation score, where there
        is validation, or else of the smallest objective.
    validation_scores_ : list of float or None
        The validation score of every epoch, where there is validation.
    best_validation_score_ : float or None
        The largest validation score.
    n_iter_ : int
        The number of epochs (iterations of lbfgs) of the last fit.
    t_ : int
        The number of training samples seen by stochastic solvers.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of str
        The names of the inputs, where X has string column names.
    n_layers_ : int
        The number of layers, inputs and outputs included.
    n_outputs_ : int
        The number of raw outputs.
    out_activation_ : str
        The name of the output activation."""


def documented(
    estimator: type, descriptions: str = DESCRIPTIONS, attributes: str = ATTRIBUTES
) -> type:
    """Put what estimators share into a docstring: descriptions of parameters, and attributes."""
    shared = descriptions_of(signature(estimator).parameters, descriptions)
    shared = shared.replace("\n", "\n    ")
    lines = (estimator.__doc__ or "").replace("{attributes}", attributes)
    estimator.__doc__ = lines.replace("{parameters}", shared)
    return estimator


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Put an estimator back to what it was if anything is raised."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


class Given(NamedTuple):
    """What `fit` is given."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


class MultilayerPerceptron(CallbackSupportMixin, StoredEstimator, Parameters, FittedNetwork):
    """What classifier and regressor share: everything but their targets and answers.

    A subclass has a constructor, and says in `_kind` what its targets are.
    """

    _kind: ClassVar[Any]  # Classes or Numbers
    _fitted: ClassVar[tuple[str, ...]] = (
        *PARAMETERS,
        *("n_layers_", "n_outputs_", "n_features_in_", "out_activation_", "head_"),
        *("n_iter_", "t_", "loss_", "best_iter_", "best_loss_", "best_validation_score_"),
        *("_network", "_target", "_state"),
    )

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
        """Fit the network to data.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs; float32 and float64 are used as they are, other numbers, and text that is one,
            become float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels, a 0/1 matrix of labels, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; a weight of 2 counts as two rows, one of 0 as none.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Inputs to validate on after every epoch. None is set aside from X then. In a `Pipeline`,
            `transform_input=["X_val"]` has them transformed as X is.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the estimator is then as it was before. If
            training diverges: where the loss of some epoch was below the first one's, the best
            parameters so far are in the estimator, which can be used, else it is as it was before.
        KeyboardInterrupt
            If it comes before one epoch is complete; after that the last complete epoch is kept,
            with a warning.
        Exception
            Whatever a callback raises; the estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If training ended before it converged, or with a larger loss on training rows than the
            best constant has, with the cause and what to change.
        RuntimeWarning
            If the loss, a gradient or the parameters were no longer finite. The step is then not
            taken: training goes back to the best parameters so far with a new solver and half the
            rate, 5 times at most.
        """
        return self._fit(Given(X, y, sample_weight, X_val, y_val, sample_weight_val))

    @with_callbacks
    def resume(
        self,
        path: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Go on with the fit whose state a `skmlp.callbacks.Checkpoint` saved in a file.

        With a stochastic solver the result is, bit for bit, that of the fit that was not
        interrupted. `max_iter` may be larger than before; callbacks begin anew.

        Parameters
        ----------
        path : str or path
            The file.
        X, y, sample_weight, X_val, y_val, sample_weight_val
            What `fit` was given.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no checkpoint, or damaged, or of a fit with other data or parameters, which
            are named; and as `fit`.
        """
        saved = read_checkpoint(path)
        given = Given(X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self._fit(given, lambda problem: resumed(problem, saved))

    def _fit(self, given: Given, begin: Callable[[Problem], Start] | None = None) -> Self:
        """Fit, tell the callbacks of it, and say how it ended."""
        settings = Settings.of(self)
        earlier, target_of = None, partial(self._kind.of, settings)
        if begin is None and settings.warm_start and hasattr(self, "coefs_"):
            earlier = Fitted(self)
            target_of = partial(earlier.target.continued, settings)
            begin = partial(continued, earlier=earlier)
        watcher = Watcher.of(self, settings.max_iter, given.X, given.y, given.sample_weight)
        with unchanged_on_failure(self):
            if watcher is not None:
                watcher.start()
            problem = self._pose(settings, given, target_of, earlier)
            problem.data.check_rows()
            start = self._begun(problem, begin)
            objective = self._objective(problem, start)
            outcome, state = self._train(problem, start, objective, watcher)
            self._publish(problem, start.theta, state, state.finished(), Spares())
            if watcher is not None:
                watcher.finish()
            if outcome.kind == "interrupted":
                warn(str(outcome.problem), UserWarning)
            elif outcome.kind not in ("diverged", "broken"):
                why = self._why_worse(problem, start.theta, state) or outcome.problem
                if why is not None:
                    warn(why, ConvergenceWarning)
        if outcome.kind == "diverged":
            raise ValueError(outcome.problem)
        if outcome.kind == "broken":
            raise RuntimeError(outcome.problem)
        return self

    @with_callbacks
    def _stream(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Go through one part of a stream, once."""
        settings, earlier = Settings.of(self), None
        settings.check_stream()
        target_of = partial(self._kind.of_stream, settings, classes)
        if hasattr(self, "coefs_"):
            earlier = Fitted(self)
            target_of = partial(earlier.target.streamed, settings, classes)
            is_to_start = settings.initial_output == "data" and earlier.state.scale is None
            if is_to_start and not earlier.state.progress.samples_seen:
                earlier = None  # no row has been seen that the start could be taken from
        spares = Spares() if earlier is None else earlier.spares
        watcher = Watcher.of(self, 1, X, y, sample_weight)
        if watcher is not None and watcher.wants_identity:
            raise ValueError(
                "Checkpoint is for fit: a stream is saved between two calls of partial_fit, by "
                "pickling the estimator."
            )
        with unchanged_on_failure(self):
            if watcher is not None:
                watcher.start()
            problem = self._pose(settings, Given(X, y, sample_weight), target_of, earlier, spares)
            start = fresh(problem) if earlier is None else streamed(problem, earlier)
            state = start.state
            if earlier is None and state.scale is not None:
                _warn_of_few_rows(problem)
            if len(problem.data.rows):
                objective, start = _reused(spares, problem, start)
                _, state = self._train(problem, start, objective, watcher, is_part=True)
                objective.detach()
                spares.give("objective", objective)
                _warn_of_rest(settings, state)
            self._publish(problem, start.theta, state, state.as_stream(), spares)
            if watcher is not None:
                watcher.finish()
        return self

    def _check_whole(self) -> None:
        """Refuse parameters that are none of the network's."""
        super()._check_whole()
        if "_target" not in vars(self):
            return
        self._spares = Spares()
        try:
            check_parts(Fitted(self), self._kind)
        except Exception as error:  # whatever strange parts make of it
            self._refuse(f"its network cannot be computed ({type(error).__name__}: {error})")

    # -- what a fit takes from where its rows are: here, from this process -------------------------

    def _begun(self, problem: Problem, begin: Callable[[Problem], Start] | None) -> Start:
        """Begin the fit."""
        return fresh(problem) if begin is None else begin(problem)

    def _objective(self, problem: Problem, start: Start) -> Objective:
        """Make what is made small."""
        return _objective(problem, start)

    def _descent(self, problem: Problem, start: Start, objective: Objective) -> Descent:
        """Make what takes epochs of steps."""
        state = start.state
        n_rows = len(state.training_rows)
        reorder = problem.data.reorder(start.random)
        stepping = problem.settings.stepping(start.theta, problem.network, reorder, n_rows)
        return Descent(objective, state.training_rows, state, stepping)

    def _why_worse(self, problem: Problem, theta: np.ndarray, state: State) -> str | None:  # noqa: ARG002
        """Say that the fit is worse than a constant, and why, where it is."""
        return why_worse_than_constant(problem, Fitted(self), state)

    # -- the problem -------------------------------------------------------------------------------

    def _pose(
        self,
        settings: Settings,
        given: Given,
        target_of: Callable[[Any], Any],
        earlier: Fitted | None,
        spares: Spares | None = None,
    ) -> Problem:
        """Check all there is to check and trace the network; nothing random is drawn yet.

        A stream keeps what was traced in `spares`, a function of the user's too.
        """
        names = stand_in(self)
        precision = settings.dtype or (None if earlier is None else earlier.precision)
        has_scale = settings.initial_output == "data"
        if earlier is not None:
            has_scale = earlier.state.scale is not None
        data, target = read_first_rows(
            names,
            *given[:3],
            self._kind,
            target_of,
            precision,
            reset=earlier is None,
            is_scaled=has_scale,
        )
        warn_of_column(given.y, data)
        target.check_precision(data, is_scaled=has_scale)
        if settings.class_weight is not None:
            data = data.weighed(target, settings.class_weight)
        validation = _validation(settings, names, given, target, data.precision, has_scale)
        split = None
        if settings.early_stopping and validation is None and len(data.rows):  # or refused as such
            split = split_of(data, target.strata, settings.validation_fraction)
        if isinstance(data, FileData):
            _check_blocks(settings)
        check_batches(settings, len(data.rows) if split is None else split.n_training)
        graph = traced(
            settings,
            target,
            data.X.shape[1],
            spares,
            is_weighted=data.weights is not None,
            is_sparse=data.is_sparse,
            has_scale=has_scale,
        )
        return Problem(settings, data, target, graph, split, validation, names)

    # -- training ----------------------------------------------------------------------------------

    def _train(
        self,
        problem: Problem,
        start: Start,
        objective: Objective,
        watcher: Watcher | None,
        *,
        is_part: bool = False,
    ) -> tuple[Outcome, State]:
        """Train from a start on; theta ends as the parameters to be kept."""
        settings, theta, state = problem.settings, start.theta, start.state
        rows = state.training_rows
        _warn_of_clipped_batches(settings, len(rows))
        if watcher is not None and watcher.wants_identity:
            state = replace(state, identity=problem.identity)
        is_finite = _finiteness(objective, rows, problem.data.largest)
        course = Course(
            theta,
            state,
            settings.stopping(is_part=is_part),
            len(rows),
            scores=self._scores(problem, start, is_part=is_part),
            watch=watcher,
            report=print if settings.verbose else None,
            is_finite=is_finite,
        )
        descent = None
        if settings.solver is not None:
            descent = self._descent(problem, start._replace(state=state), objective)

        def now() -> State:
            reached = course.state() if descent is None else descent.state(course.state())
            generators: dict[str, Any] = {}
            if not is_part:  # each part of a stream begins with random_state
                generators["order"] = start.random.get_state(legacy=False)
            if objective.random is not None:
                generators["noise"] = dict(objective.random.bit_generator.state)
            return replace(reached, generators=generators)

        if watcher is not None:
            watcher.fitted = lambda: published(problem, course.shown, now(), now())
        if descent is None:
            outcome = train_full_batch(course, objective, rows)
        else:
            outcome = train_minibatches(course, descent)
        if outcome.kind not in ("diverged", "broken") and not is_finite():
            culprit = course.culprit(lambda theta: objective.culprit(theta, rows))
            cure = "lower learning_rate_init or alpha"
            outcome = course.diverged("the last epoch", cure, culprit)
        return outcome, now() if is_part else course.state()

    def _scores(
        self, problem: Problem, start: Start, *, is_part: bool
    ) -> Callable[[], dict[str, float]] | None:
        """Make what scores the network in training, where that is asked for."""
        data, state = problem.data, start.state
        scoring, given = problem.settings.scoring, problem.validation
        training = None if scoring is None else sample_of(data, state.training_rows, SCORED_ROWS)
        judges = None
        if state.held_out is not None:
            judges = data, state.held_out
        elif given is not None:
            judges = given, given.rows
        if training is None and judges is None:
            return None
        shown = _shown(problem, start.theta, state)
        in_training = copy(self)  # a scorer is given arrays, so there are no names to compare
        for_metrics = problem._replace(target=problem.target.sorted)
        in_training.__dict__.update(_attributes(for_metrics, shown, state, state))
        in_training.__dict__.pop("feature_names_in_", None)
        fitted = Fitted(in_training)
        validation = None if judges is None else to_validate(*judges, scoring, fitted.answering)
        score = score_of(scoring, in_training, fitted.answering)
        if callable(scoring) and not is_part:
            check_scores(score, training, validation, problem.target, self.scoring)

        def scores() -> dict[str, float]:
            if state.scale is not None:
                for part, now in zip(shown, _shown(problem, start.theta, state), strict=True):
                    for name, array in part.items():
                        array[...] = now[name]
            outputs = partial(fitted.layer, layer=-1)
            return scores_of(fitted.answering.head, outputs, score, training, validation)

        return scores

    # -- what is published -------------------------------------------------------------------------

    def _publish(
        self, problem: Problem, theta: np.ndarray, state: State, kept: State, spares: Spares
    ) -> None:
        """Set every fitted attribute at once, and drop names of inputs that are no longer so."""
        fitted = published(problem, theta, state, kept) | {"_spares": spares}
        others = {name: x for name, x in vars(self).items() if name not in NAMES_OF_INPUTS}
        self.__dict__ = others | fitted


def check_parts(fitted: Fitted, kind: type) -> None:
    """Raise an error unless published parameters are numbers of the shapes that are computed."""
    if type(fitted.target) is not kind or type(fitted.state) is not State:
        raise TypeError("what its outputs mean, or its state, is something else")
    for found, shapes in zip(fitted.parts, fitted.network.shapes, strict=True):
        for name, shape in shapes.items():
            array = found[name]
            if array.shape != shape or array.dtype.kind not in "fiub":
                raise ValueError(f"{name!r} is {array.dtype} of shape {array.shape}, not {shape}")


def published(problem: Problem, theta: np.ndarray, state: State, kept: State) -> dict[str, Any]:
    """Return every fitted attribute, of copies of these parameters, and the state to be kept."""
    return _attributes(problem, _shown(problem, theta.copy(), state), state, kept)


def _shown(problem: Problem, theta: np.ndarray, state: State) -> list[dict[str, np.ndarray]]:
    """View theta by layers; with a scale copy it, the last layer for raw outputs as they are."""
    network, scale = problem.network, state.scale
    if scale is None:
        return network.split(theta)
    parts = network.split(theta.copy())
    last = parts[-1] = {name: array.astype(np.float64) for name, array in parts[-1].items()}
    scale.fold(last["W"], last["b"])
    parts[-1] = {name: array.astype(scale.published_dtype) for name, array in last.items()}
    return parts


def _attributes(
    problem: Problem, parts: list[dict[str, np.ndarray]], state: State, kept: State
) -> dict[str, Any]:
    progress, told = state.progress, float if state.scale is None else state.scale.losses
    is_validated = "validation_score" in state.history
    return {
        **published_parameters(problem.network, parts),
        **problem.target.published,
        **problem.inputs,
        "out_activation_": problem.target.head.out_activation,
        "n_iter_": progress.n_iter,
        "t_": progress.samples_seen,
        "loss_": told(progress.loss),
        "best_iter_": progress.best_iter,
        "best_loss_": None if problem.settings.early_stopping else told(progress.best_loss),
        "best_validation_score_": progress.best_score if is_validated else None,
        "_target": problem.target,
        "_state": kept,
        "_spares": Spares(),
    }


# -- the objective ---------------------------------------------------------------------------------


def traced(
    settings: Settings,
    target: Any,
    n_inputs: int,
    spares: Spares | None = None,
    *,
    has_scale: bool,
    **options: Any,
) -> LossGraph:
    """Trace the data term of the objective, or return what was traced for the same before."""
    shape = settings.shape(n_inputs, target.head, target.n_targets)
    head = (target.head.of_target_unit() if has_scale else target.head, target.n_targets)
    options |= {"has_scale": has_scale}
    options |= {"label_smoothing": settings.label_smoothing, "noise": settings.noise}
    spares = Spares() if spares is None else spares
    kept, asked = spares.take("graph"), (shape, head, options)
    if kept is None or not are_same(kept[0], asked):
        kept = asked, loss_graph(Network(*shape), *head, **options)
    spares.give("graph", kept)
    return kept[1]


def _attached(problem: Problem, start: Start) -> tuple[Any, Any, np.ndarray | None, float]:
    """Return inputs, targets, weights of mean 1 over the training rows, and alpha in their unit."""
    data, scale, dtype = problem.data, start.state.scale, start.theta.dtype
    Y = data.Y.astype(dtype, copy=False) if scale is None else data.targets(scale.targets)
    weights, mean = data.normalized_weights(start.state.training_rows)
    weights = None if weights is None else weights.astype(dtype)
    return data.X, Y, weights, problem.settings.alpha / mean


def _objective(problem: Problem, start: Start) -> Objective:
    """Make the objective of a fit, running statistics of its first batch included."""
    graph, state, noise = problem.graph, start.state, None
    if graph.draws and "noise" in state.generators:  # a state goes on, anything else starts anew
        noise = np.random.default_rng(0)
        noise.bit_generator.state = state.generators["noise"]
    elif graph.draws:
        noise = np.random.default_rng(start.random.randint(1 << 32, size=4, dtype=np.uint32))
    given = _attached(problem, start)
    objective = Objective(graph, start.theta, *given, state.scale, noise)
    if start.is_fresh:
        rows = state.training_rows
        with running():
            objective.observe(rows[: problem.settings.batch_rows(len(rows))])
    return objective


def _reused(spares: Spares, problem: Problem, start: Start) -> tuple[Objective, Start]:
    """Put other rows in place in the objective of the stream's last part, or make a new one."""
    kept: Objective | None = spares.take("objective")
    if (
        kept is None
        or kept.graph is not problem.graph
        or kept.theta.dtype != start.theta.dtype
        or kept.random is not None
    ):
        return _objective(problem, start), start
    kept.theta[...] = start.theta
    kept.attach(*_attached(problem, start))
    return kept, start._replace(theta=kept.theta)


def _finiteness(objective: Objective, rows: Any, largest_input: float) -> Callable[[], bool]:
    """Make what tells whether the objective is finite where theta stands."""
    depth, dtype = objective.graph.network.depth, objective.theta.dtype
    ordinary = min(ORDINARY, float(np.finfo(dtype).max) ** (1 / (3 * depth + 3)))
    is_ordinary = largest_input <= ordinary

    def is_finite() -> bool:
        if is_ordinary and largest(objective.theta) <= ordinary:
            return True
        with running(), objective.threads(len(rows)):
            return math.isfinite(objective.predicted(rows))

    return is_finite


def score_of(scoring: Any, in_training: BaseEstimator, target: Any) -> Score:
    """Return how raw outputs are scored."""
    if scoring is None:
        return lambda raw, sample: target.score(raw, sample.Y, sample.weights)
    if scoring == "loss":
        return lambda raw, sample: -mean_loss(target.head, raw, sample.Y, sample.weights)
    return scored_by(scoring, in_training, target.published.get("classes_"))


# -- checks ----------------------------------------------------------------------------------------


def check_batches(settings: Settings, n_rows: int) -> None:
    """Refuse batches of a single row where they are normalized."""
    if settings.keeps_statistics and settings.batch_rows(n_rows) == 1:
        raise ValueError(
            f"normalization={settings.normalization!r} needs 2 samples or more in a batch, got 1 "
            f"sample (of {n_rows}, with batch_size={shown(settings.batch_size)}): raise it, or "
            "take 'layer'."
        )


def _check_blocks(settings: Settings) -> None:
    """Refuse what takes all rows of a mapped file at once."""
    if settings.takes_all_rows:
        raise ValueError(
            f"solver='lbfgs' with normalization={settings.normalization!r} takes all rows at once, "
            "and X is a mapped file, which is read in blocks: take normalization='layer', or "
            "solver='adam'."
        )


def _warn_of_few_rows(problem: Problem) -> None:
    """Tell of a first part of a stream that says too little about the target of all."""
    data = problem.data
    Y = data.Y[data.shown(data.rows)]
    few = f"{len(Y)} row{'s' * (len(Y) > 1)}"
    if np.any(Y.min(axis=0) == Y.max(axis=0)):
        few += ", in which a column of the target has one value"
    elif len(Y) >= _ENOUGH_ROWS:
        return
    warn(
        "initial_output='data' takes the start and the unit of the target from the first part of a "
        f"stream, here of {few}: begin with {_ENOUGH_ROWS} rows or more in which it varies.",
        UserWarning,
    )


def _warn_of_rest(settings: Settings, state: State) -> None:
    """Tell of a stream that learns no more, since its schedule has no smaller rate."""
    if isinstance(settings.schedule, Adaptive) and (state.rate or 1.0) <= SMALLEST_RATE:
        warn(
            f"learning_rate='adaptive' has brought the rate of this stream down to {state.rate:.1g}"
            ", at which it hardly learns: set learning_rate='constant', or a new "
            "learning_rate_init.",
            UserWarning,
        )


def _warn_of_clipped_batches(settings: Settings, n_rows: int) -> None:
    asked = settings.batch_size
    if settings.solver is not None and asked != "auto" and int(asked) > n_rows:
        warn(
            f"Got batch_size={asked} for {n_rows} training samples: it is going to be clipped to "
            "them.",
            UserWarning,
        )


def _validation(
    settings: Settings,
    names: BaseEstimator,
    given: Given,
    target: Any,
    precision: np.dtype[Any],
    is_scaled: bool,
) -> Data | None:
    """Check the rows that were given to validate on, if any."""
    X, y, sample_weight = given.X_val, given.y_val, given.sample_weight_val
    if not are_given(X, y, sample_weight):
        return None
    try:
        data = read_rows(names, X, y, sample_weight, target, precision, is_scaled=is_scaled)
    except ValueError as error:
        raise ValueError(f"The validation data, X_val and y_val: {error}") from None
    check_enough(len(data.rows), settings.scoring, target)
    return data
