"""The estimators' parameters: what each may be, what it means, and what they say together.

The law: a parameter is described in `DESCRIPTIONS` and, where a single value can be judged, ruled
in `RULES`. `Settings.of` reads them all, once, and refuses in one sentence what no rule allows,
before any work; nobody else reads a parameter of a fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import signature
from numbers import Integral, Real
from textwrap import wrap
from typing import Any, NamedTuple, Self

import numpy as np

from ..engine.values import name_of, plain
from ..engine.words import shown
from ..heads import HEADS, Head
from ..heads.domains import is_count, is_number
from ..network import NORMALIZATIONS, Noise
from ..network.activations import ACTIVATIONS
from ..network.initializers import INITIALIZERS
from ..network.layers import LAYERS, Layer
from ..network.network import Network
from ..training.loops import Stepping
from ..training.schedules import SCHEDULES, Constant, ends_at_zero, needs_end, schedule_of
from ..training.solvers import SOLVERS, Solver
from ..training.state import Stopping
from .names import refusal
from .scoring import find_scorer

FULL_BATCH = "lbfgs"  # the solver that goes over all samples at once
RETREATS = 5  # the most times that a fit which is no longer finite goes back to better parameters
LOSSES = {
    "squared_error": HEADS["linear"],
    "poisson": HEADS["poisson"],
}  # scikit-learn's names, and the heads

Activation = Callable[..., Any] | Layer


class Rule(NamedTuple):
    """What a value must be: a test, the words for it, and the names that it may have."""

    allows: Callable[[Any], bool]
    words: str
    names: tuple[str, ...] = ()


def _named(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


def _listed_names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _is_truth(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _number(low: float, high: float, brackets: str) -> Rule:
    def allows(value: Any) -> bool:
        return (
            is_number(value)
            and (low <= value if brackets[0] == "[" else low < value)
            and (value <= high if brackets[1] == "]" else value < high)
        )

    if np.isinf(high):
        return Rule(allows, f"a number {'>=' if brackets[0] == '[' else '>'} {low:g}")
    return Rule(allows, f"a number in {brackets[0]}{low:g}, {high:g}{brackets[1]}")


def _one_of(*names: str) -> Rule:
    return Rule(_named(*names), f"one of {_listed_names(names)}", names)


def _is_precision(value: Any) -> bool:
    try:
        return value is None or np.dtype(value) in (np.float32, np.float64)
    except TypeError:
        return False


def _or_none(rule: Rule) -> Rule:
    return rule._replace(
        allows=lambda value: value is None or rule.allows(value), words=f"None or {rule.words}"
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or bool(getattr(value, "ndim", 0))


def _are_rates(value: Any) -> bool:
    return all(DECAY.allows(rate) for rate in (value if _is_list(value) else (value,)))


def _is_class_weight(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(ZERO_OR_MORE.allows(weight) for weight in value.values())
    return value is None or (isinstance(value, str) and value == "balanced")


COUNT = Rule(is_count, "a whole number >= 1")
TRUTH = Rule(_is_truth, "True or False")
POSITIVE = _number(0, np.inf, "()")
ZERO_OR_MORE = _number(0, np.inf, "[)")
DECAY = _number(0, 1, "[)")

RULES: dict[str, Rule] = {
    "loss": _or_none(_one_of(*LOSSES)),
    "solver": _one_of(FULL_BATCH, *SOLVERS),
    "alpha": ZERO_OR_MORE,
    "batch_size": Rule(
        lambda value: is_count(value) or (isinstance(value, str) and value == "auto"),
        "a whole number >= 1 or 'auto'",
        ("auto",),
    ),
    "learning_rate": Rule(
        lambda value: callable(value) or (isinstance(value, str) and value in SCHEDULES),
        f"one of {_listed_names(SCHEDULES)}, or a function of progress in [0, 1]",
        tuple(SCHEDULES),
    ),
    "learning_rate_init": POSITIVE,
    "power_t": ZERO_OR_MORE,
    "warmup": DECAY,
    "max_iter": COUNT,
    "shuffle": TRUTH,
    "random_state": Rule(
        lambda value: (
            value is None
            or value is np.random
            or isinstance(value, np.random.RandomState)
            or (isinstance(value, Integral) and 0 <= int(value) < 1 << 32)
        ),
        "None, a whole number from 0 to 2**32 - 1 or a numpy.random.RandomState",
    ),
    "tol": ZERO_OR_MORE,
    "verbose": Rule(
        lambda value: isinstance(value, (Integral, np.bool_)) and int(value) >= 0,
        "True, False or a whole number >= 0",
    ),
    "warm_start": TRUTH,
    "momentum": _number(0, 1, "[]"),
    "nesterovs_momentum": TRUTH,
    "early_stopping": TRUTH,
    "validation_fraction": DECAY,
    "beta_1": DECAY,
    "beta_2": DECAY,
    "epsilon": POSITIVE,
    "weight_decay": ZERO_OR_MORE,
    "max_grad_norm": _or_none(POSITIVE),
    "averaging": _or_none(_number(0, 1, "()")),
    "n_iter_no_change": Rule(
        lambda value: is_count(value) or (isinstance(value, Real) and value == np.inf),
        "a whole number >= 1 or infinity",
    ),
    "max_fun": COUNT,
    "restore_best": TRUTH,
    "scoring": Rule(
        lambda value: value is None or isinstance(value, str) or callable(value),
        "None, 'loss', the name of a scorer or a function of (estimator, X, y)",
    ),
    "weight_init": Rule(
        lambda value: (
            callable(value) or (isinstance(value, str) and value in ("auto", *INITIALIZERS))
        ),
        f"'auto', one of {_listed_names(INITIALIZERS)}, or a function of (rng, inputs, outputs)",
        ("auto", *INITIALIZERS),
    ),
    "initial_output": _or_none(Rule(_named("data"), "'data'", ("data",))),
    "dropout": Rule(
        _are_rates,
        "a number in [0, 1), for the hidden layers, or one for the inputs and one for each hidden "
        "layer",
    ),
    "input_noise": ZERO_OR_MORE,
    "normalization": _or_none(_one_of(*NORMALIZATIONS)),
    "residual": TRUTH,
    "label_smoothing": DECAY,
    "class_weight": Rule(
        _is_class_weight,
        "None, 'balanced' or a dict of classes and weights, numbers >= 0",
        ("balanced",),
    ),
    "dtype": Rule(_is_precision, "None, 'float32' or 'float64'"),
}
# What functions of the user's are called with, and what else may have been meant.
CALLED_WITH = {
    "learning_rate": "progress",
    "weight_init": "rng, inputs, outputs",
    "scoring": "estimator, X, y",
}
HINTS = {"scoring": "; sklearn.metrics.make_scorer makes a scorer of a metric"}


# == what they say =================================================================================


@dataclass(frozen=True)
class Settings:
    """What the parameters of an estimator say, checked and typed.

    Attributes are the parameters of the same names, but for these.

    Attributes
    ----------
    estimator : str
        The name of its class, for messages.
    hidden_units, activations : tuple
        The width and the activation of each hidden layer.
    output_activation : callable, Layer or None
        The activation by which a network without hidden layers is initialized, if any.
    solver : type of Solver, or None
        The stochastic solver; None for L-BFGS.
    solver_options : dict of str to float or bool
        The parameters that the solver takes.
    schedule : Constant
        What sets its rate.
    ends_at_zero : bool
        Whether the schedule ends, by itself, after `max_iter` epochs.
    scoring : None, "loss" or callable
        What a score is, names replaced by scorers.
    noise : Noise
        How inputs and hidden layers are disturbed in training.
    """

    estimator: str
    hidden_units: tuple[int, ...]
    activations: tuple[Activation, ...]
    output_activation: Activation | None
    head: Any
    loss: str | None
    solver: type[Any] | None
    solver_options: Mapping[str, Any]
    alpha: float
    batch_size: int | str
    learning_rate: Any
    schedule: Constant
    ends_at_zero: bool
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    max_grad_norm: float | None
    averaging: float | None
    n_iter_no_change: float
    max_fun: int
    restore_best: bool
    scoring: Any
    weight_init: Any
    initial_output: str | None
    noise: Noise
    normalization: str | None
    residual: bool
    label_smoothing: float
    class_weight: Any
    dtype: np.dtype[Any] | None

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Read the parameters of an estimator."""
        name, known = type(estimator).__name__, vars(estimator)
        parameters = _entries(DESCRIPTIONS)
        given = {parameter: known[parameter] for parameter in parameters if parameter in known}
        for parameter, rule in RULES.items():
            if parameter in given and not rule.allows(given[parameter]):
                raise ValueError(refusal(name, parameter, given[parameter], *rule[1:]))
        for parameter, arguments in CALLED_WITH.items():
            _check_signature(parameter, given[parameter], arguments)
        said = {parameter: plain(value) for parameter, value in given.items()}
        units, activations = _hidden_layers(name, said["hidden_layer_sizes"], said["activation"])
        solver = SOLVERS.get(said["solver"])
        own = {
            "estimator": name,
            "hidden_units": units,
            "activations": activations,
            "output_activation": _output_activation(name, said["activation"]),
            "solver": solver,
            "solver_options": {} if solver is None else {x: said[x] for x in solver.options},
            "schedule": schedule_of(
                said["learning_rate"],
                said["learning_rate_init"],
                said["power_t"],
                said["warmup"],
                by_epochs=solver is not None and solver.by_epochs,
            ),
            "ends_at_zero": ends_at_zero(said["learning_rate"]),
            "scoring": find_scorer(said["scoring"]),
            "noise": _noise(said, len(units)),
            "dtype": None if said["dtype"] is None else np.dtype(said["dtype"]),
        }
        absent = {"loss": None, "label_smoothing": 0.0, "class_weight": None}
        fields = cls.__dataclass_fields__
        return cls(**{x: v for x, v in (absent | said | own).items() if x in fields})

    @property
    def stream(self) -> tuple[Any, ...]:
        """What a stream's solver is made with: where one of them changes, a new one begins."""
        return (
            self.solver,
            tuple(self.solver_options.items()),
            *vars(self.schedule).values(),
            type(self.schedule),
            self.max_grad_norm,
            self.averaging,
        )

    def check_stream(self) -> None:
        """Refuse what has no meaning in a stream, of which nobody knows the end."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if needs_end(self.learning_rate):
            name = name_of(self.learning_rate)
            without = [repr(x) for x, kind in SCHEDULES.items() if isinstance(kind, type)]
            raise ValueError(
                f"partial_fit goes on without an end, and learning_rate={name} comes to rest after "
                f"max_iter={self.max_iter} epochs: take {', '.join(without)}, or a function of "
                "progress that ends above 0."
            )

    def shape(self, inputs: int, head: Head, n_targets: int) -> tuple[Any, ...]:
        """Return what a `Network` for so many inputs, a head and its targets is made of."""
        n_raw: Any = head.n_raw(n_targets)
        constant: Any = head.n_constant(n_targets)
        if not is_count(n_raw):
            raise ValueError(
                f"head={head!r}: n_raw({n_targets}), the number of raw outputs, must be a whole "
                f"number >= 1, got {n_raw!r}."
            )
        if not ((is_count(constant) or constant == 0) and constant <= n_raw):
            raise ValueError(
                f"head={head!r}: n_constant({n_targets}), how many raw outputs are a bias alone, "
                f"must be a whole number from 0 to {n_raw}, got {constant!r}."
            )
        units = (inputs, *self.hidden_units, int(n_raw))
        return units, self.activations, int(constant), self.normalization, self.residual

    def batch_rows(self, n_rows: int) -> int:
        """Return the number of rows of a step; lbfgs takes all of them."""
        if self.solver is None:
            return n_rows
        return min(200 if self.batch_size == "auto" else int(self.batch_size), n_rows)

    def stopping(self, *, is_part: bool) -> Stopping:
        """Say when training ends; a part of a stream is one epoch, which is taken or not."""
        # lbfgs has a rule of its own for the objective
        has_limit = self.solver is not None or self.early_stopping
        return Stopping(
            max_iter=1 if is_part else self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change if has_limit else np.inf,
            by_score=self.early_stopping,
            restore_best=(self.restore_best or self.early_stopping) and not is_part,
            retreats=0 if is_part else RETREATS,
            max_fun=self.max_fun,
        )

    def new_solver(
        self,
        theta: np.ndarray,
        weights: slice,
        factors: Sequence[tuple[slice, float]] = (),
    ) -> Solver:
        """Make the stochastic solver for theta: what are weights there, and where rates differ."""
        assert self.solver is not None
        return self.solver(theta, self.schedule.rate_init, weights, factors, **self.solver_options)

    @property
    def keeps_statistics(self) -> bool:
        """Whether normalization takes the mean of a batch, and keeps that of all."""
        name = self.normalization
        return name is not None and bool(NORMALIZATIONS[name].running)

    @property
    def takes_all_rows(self) -> bool:
        """Whether a step needs all rows at once: their mean is no sum over parts of them."""
        return self.solver is None and self.keeps_statistics

    def stepping(
        self, theta: np.ndarray, network: Network, reorder: Callable[[Any], Any] | None, n_rows: int
    ) -> Stepping:
        """Say how the stochastic solver is led."""
        return Stepping(
            new_solver=lambda: self.new_solver(theta, network.penalized, network.rates),
            schedule=self.schedule,
            batch_size=self.batch_rows(n_rows),
            reorder=reorder if self.shuffle else None,
            planned_epochs=self.max_iter,
            ends_at_zero=self.ends_at_zero,
            max_grad_norm=self.max_grad_norm,
            averaging=self.averaging,
        )


def _check_signature(parameter: str, function: Any, arguments: str) -> None:
    """Refuse a function that cannot be called with these arguments, before it is."""
    if not callable(function):
        return
    try:
        expected = signature(function)
    except (TypeError, ValueError):  # something compiled does not tell
        return
    names = arguments.split(", ")
    try:
        expected.bind(*names)
    except TypeError as error:
        raise ValueError(
            f"The {parameter!r} parameter must be a function of ({arguments}), got "
            f"{name_of(function)}{expected}: {error}{HINTS.get(parameter, '')}."
        ) from error


def _hidden_layers(
    estimator: str, sizes: Any, activation: Any
) -> tuple[tuple[int, ...], tuple[Activation, ...]]:
    """Return the width and the activation of every hidden layer."""
    units = (sizes,) if np.ndim(sizes) == 0 else tuple(sizes)
    if isinstance(sizes, str):
        units = _sizes_in(sizes)
    if not all(is_count(n) for n in units):
        raise ValueError(
            f"The 'hidden_layer_sizes' parameter of {estimator} must be a whole "
            "number, a sequence of them, or a string such as '64-32' or '3x256'; "
            f"hidden_layer_sizes must be > 0, got {shown(sizes)}."
        )
    units = tuple(int(n) for n in units)
    if not isinstance(activation, (list, tuple)):
        return units, (_activation(estimator, activation),) * len(units)
    if len(activation) != len(units):
        raise ValueError(
            f"The 'activation' parameter lists {len(activation)} functions for {len(units)} "
            f"hidden layers: give one for each, or a single one for all, got {shown(activation)}."
        )
    return units, tuple(_activation(estimator, a) for a in activation)


def _sizes_in(text: str) -> tuple[Any, ...]:
    """Read "64-32" as 64, 32 and "3x256" as 256, 256, 256; anything else is given back."""
    parts = [re.fullmatch(r"(?:([1-9][0-9]*)x)?([0-9]+)", part) for part in text.split("-")]
    if not all(parts):
        return (text,)
    return tuple(n for part in parts if part for n in (int(part[2]),) * int(part[1] or 1))


def _activation(estimator: str, activation: Any) -> Activation:
    if isinstance(activation, Layer) or (callable(activation) and not isinstance(activation, type)):
        return activation
    known: dict[str, Activation] = {**ACTIVATIONS, **LAYERS}
    if isinstance(activation, str) and activation in known:
        return known[activation]
    words = f"{_listed_names(known)}, a function, a Layer or a list of them"
    raise ValueError(refusal(estimator, "activation", activation, words, known))


def _output_activation(estimator: str, activation: Any) -> Activation | None:
    return None if isinstance(activation, (list, tuple)) else _activation(estimator, activation)


def _noise(said: Mapping[str, Any], n_hidden: int) -> Noise:
    """Return how inputs and hidden layers are disturbed in training."""
    given, input_noise = said["dropout"], said["input_noise"]
    rates = tuple(map(float, given)) if _is_list(given) else (0.0, *[given] * n_hidden)
    if len(rates) != n_hidden + 1:
        raise ValueError(
            f"The 'dropout' parameter lists {len(rates)} numbers for the inputs and {n_hidden} "
            f"hidden layers: give {n_hidden + 1}, or a single one for all hidden layers, got "
            f"{shown(given)}."
        )
    noise = Noise(rates, input_noise)
    if said["solver"] == FULL_BATCH and (noise.of_inputs or any(rates)):
        raise ValueError(
            f"solver={FULL_BATCH!r} needs an objective that stays the same, and dropout "
            f"(now {shown(given)}) and input_noise (now {shown(input_noise)}) draw it "
            "anew each time: set both to 0, or solver to 'adam' or 'sgd'."
        )
    return noise


def takes_sparse(estimator: Any) -> bool:
    """Tell, for the tags, whether inputs go undisturbed into a product with weights."""
    disturbed = [estimator.input_noise]
    disturbed += list(estimator.dropout)[:1] if _is_list(estimator.dropout) else []
    if any(is_number(value) and value > 0 for value in disturbed):
        return False
    first = estimator.activation
    if isinstance(first, (list, tuple)):
        first = first[0] if first else None
    first = LAYERS.get(first) if isinstance(first, str) else first
    return first.takes_sparse if isinstance(first, Layer) else True


# == what they mean ================================================================================


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@cache
def _entries(descriptions: str) -> dict[str, str]:
    """Return the description of every parameter by its name."""
    return dict(re.findall(r"^(\w+) (: .*(?:\n    .*)*)", descriptions, re.MULTILINE))


def descriptions_of(parameters: Iterable[str], descriptions: str) -> str:
    """Pick those of some parameters for a docstring, with lists of names filled in."""
    numbers = [name for name, head in HEADS.items() if "numbers" in head.targets]
    lists = {
        "activations": _listed(ACTIVATIONS),
        "layers": _listed(LAYERS),
        "heads of numbers": _listed(numbers),
        "heads of classes": _listed(name for name in HEADS if name not in numbers),
        "solvers": _listed([*SOLVERS, FULL_BATCH]),
        "schedules": _listed(x for x, kind in SCHEDULES.items() if not isinstance(kind, type)),
        "initializers": _listed(INITIALIZERS),
        "normalizations": _listed(NORMALIZATIONS),
    }
    entries, lines = _entries(descriptions), []
    for parameter in parameters:
        heading, _, text = entries[parameter].partition("\n")
        words = " ".join(text.split())
        text = re.sub(r"\{([a-z ]+)\}", lambda found: lists.get(found[1], found[0]), words)
        lines.append(f"{parameter} {heading}")
        lines += wrap(text, 90, initial_indent=" " * 4, subsequent_indent=" " * 4)
    return "\n".join(lines)


DESCRIPTIONS = """hidden_layer_sizes : int, sequence of int or str, default=(100,)
    The number of units of each hidden layer; () for a linear model. As a string, which any tuner
    can pass: "64-32" is (64, 32), "3x256" is (256, 256, 256), "2x64-32" is (64, 64, 32).
activation : str, callable, Layer or list, default="relu"
    The activation of the hidden layers: a name in `skmlp.activations` ({activations}), any
    function of one array made of NumPy and scipy.special calls, where further arguments whose
    default is `skmlp.Learned(start)` are learned for each unit; a layer that is more than that,
    {layers} or a `skmlp.Layer`; or a list with one for each hidden layer. ReLU because it does not
    saturate. A function is traced, not called with numbers: it computes each row of its outputs
    from that row alone, and draws no random numbers.
head : str or Head, default="auto"
    What the outputs mean and which loss is minimized: a name in `skmlp.heads` (for numbers {heads
    of numbers}; for classes {heads of classes}), or an instance of a `Head`, which has parameters:
    `head=Huber(delta=0.5)`, or `head="huber"` and then `set_params(head__delta=0.5)`.
    "auto" goes by the target: linear for numbers, logistic for two classes and for labels, softmax
    for several classes.
solver : str, default="adam"
    One of {solvers}: stochastic gradient descent, Adam, Adam with `weight_decay`, or L-BFGS over
    all samples at once, which is often the best for a few thousand samples or fewer.
alpha : float, default=0.0001
    The strength of the L2 penalty on weights (not on biases), zero or positive. It is divided by
    the number of samples of the batch, as scikit-learn's.
batch_size : int or "auto", default="auto"
    The samples of a minibatch; "auto" is min(200, n_samples). Not used by lbfgs.
learning_rate : str or callable, default="constant"
    The schedule of the rate. scikit-learn's three are for sgd alone and change nothing with adam,
    as there: "constant"; "invscaling", learning_rate_init / (t + 1)^power_t with t the samples
    seen; "adaptive", divided by 5 whenever training no longer improves by tol. For every
    stochastic solver, and for each step: {schedules}, or any function of progress in [0, 1], the
    share that this fit has seen of max_iter times the samples; it returns what learning_rate_init
    is multiplied by. Those with a name come to rest after max_iter epochs, which is then no lack
    of convergence; `partial_fit`, which has no end, refuses whatever comes to rest.
learning_rate_init : float, default=0.001
    The rate that stochastic solvers start with, positive.
power_t : float, default=0.5
    The exponent of "invscaling".
warmup : float, default=0.0
    The share of training, in [0, 1), during which the rate of any schedule is multiplied by
    progress / warmup, so that it rises from 0.
max_iter : int, default=200
    The most epochs (sgd, adam: passes over the data) or iterations (lbfgs).
shuffle : bool, default=True
    Whether sgd and adam see the samples in a new order in each epoch.
random_state : int, RandomState instance or None, default=None
    Draws initial parameters, the validation split, the order of samples, and the seed of dropout
    and noise where there is any. With an int, fits are reproducible bit for bit on one machine.
tol : float, default=1e-4
    The improvement of loss or validation score that counts; for lbfgs the largest entry of the
    gradient at which it stops.
verbose : bool or int, default=False
    Whether a line is printed for each epoch: loss, validation score, the best so far, rate, rows
    per second and the time that is left at most.
warm_start : bool, default=False
    Whether `fit` starts from the parameters fitted before. Counters, best values and the solver
    start anew.
momentum : float, default=0.9
    The momentum of sgd, in [0, 1].
nesterovs_momentum : bool, default=True
    Whether sgd's momentum is Nesterov's.
early_stopping : bool, default=False
    Whether training stops where the validation score no longer improves by tol; the best
    parameters are kept. Validated is on the `X_val` and `y_val` given to `fit`, or else on a share
    of the samples, stratified by class, that is set aside.
validation_fraction : float, default=0.1
    That share, in [0, 1).
beta_1 : float, default=0.9
    The decay of adam's first moment, in [0, 1).
beta_2 : float, default=0.999
    The decay of adam's second moment, in [0, 1).
epsilon : float, default=1e-8
    Keeps adam's quotient finite; positive.
weight_decay : float, default=0.01
    How strongly adamw's weights (not biases) decay, zero or positive: before each step they are
    multiplied by 1 - rate * weight_decay. `alpha` goes on meaning the L2 penalty.
max_grad_norm : float or None, default=None
    The largest norm of a stochastic solver's gradient, all layers together; a longer one is scaled
    down to it. 1 is usual where training is unstable.
averaging : float or None, default=None
    The decay, in (0, 1), of an exponential moving average of the parameters after every step,
    corrected for its start; the average is what is validated and kept. 0.999 is usual, or less for
    fewer than some thousand steps. Not for lbfgs.
n_iter_no_change : int or inf, default=10
    Number of epochs without an improvement by tol before training stops, or a schedule slows down.
max_fun : int, default=15000
    The most evaluations of lbfgs.
restore_best : bool, default=False
    Whether the best parameters at the end of an epoch are kept instead of the last ones: those of
    the best validation score, where there is validation, else those of the smallest objective over
    the training set, at the cost of evaluating it. scikit-learn keeps the last; with early
    stopping the best are always kept.
scoring : None, "loss", str or callable, default=None
    What the score of an epoch is; more is better. None: accuracy, or R2. "loss": minus the mean
    loss of the head, without penalty, which tells more than accuracy on few samples. Else the name
    of a scorer of scikit-learn, such as "roc_auc", or a function of (estimator, X, y) that may
    take a `sample_weight`; it is given arrays, and the estimator in training itself. Given without
    any validation set, it scores the training samples. Those are scored on at most 10,000 samples,
    evenly spaced.
weight_init : str or callable, default="auto"
    How weights are drawn: a name in `skmlp.network.INITIALIZERS` ({initializers}), or a function
    of (rng, inputs, outputs); biases then start at 0. "auto" draws weights and biases as
    scikit-learn for its own activations and for any function of yours, and for the others as their
    authors recommend. A `Layer` starts in its own way.
initial_output : {None, "data"}, default=None
    Where the output starts, and what it is trained in: None, as scikit-learn. "data": its bias at
    the best constant model of the training data (for the linear head the mean of the target), and
    for numbers in units of the data: the target's offset and unit are taken off it in float64,
    raw = start + unit * output, and losses are divided by the root mean square of their gradient
    there. A target far from 0 or of any unit then needs no scaler, and the fit is the same in any;
    bounds of scales and means go by these units too, as do `alpha` and `tol`. `coefs_`, `loss_` and
    `loss_curve_` are those of the raw outputs and of the losses themselves, in float64 where
    float32 cannot hold the raw outputs. Counts ("poisson", "negative_binomial") and deviances
    without a dispersion keep the unit that their GLMs have. A stream takes it from its first part.
loss : {None, "squared_error", "poisson"}, default=None
    scikit-learn's name for two of the heads, taken so that changing the import is all: "linear"
    and "poisson". None leaves it to `head`, which must not say otherwise.
dropout : float or sequence of float, default=0.0
    The share of numbers that is set to zero in each step of training, in [0, 1); the others are
    scaled up by 1 / (1 - share), so that predictions, which drop nothing, are what is expected. A
    number is for what each hidden layer computes; the inputs stay whole, since losing half of them
    is another thing than losing half of the features. A sequence has one for the inputs and one
    for each hidden layer. Not for lbfgs, whose objective must stay the same. Srivastava et al.,
    JMLR 15 (2014).
input_noise : float, default=0.0
    The standard deviation of normal noise that is added to dense inputs in each step of training,
    in their units; zero or positive. Not for lbfgs. Bishop, Neural Computation 7 (1995).
normalization : str or None, default=None
    How the pre-activations z of hidden layers are brought to mean 0 and variance 1, by one of
    {normalizations}, before a gain and a shift that each unit learns: "layer" within each sample
    (Ba et al. 2016), "batch" over the samples of a minibatch, of two or more (Ioffe and Szegedy
    2015). Predictions then use running averages, 0.9 of the old and 0.1 of the new batch's at each
    step, and after lbfgs the statistics of all samples.
residual : bool, default=False
    Whether a hidden layer that is as wide as the one before it adds what it computes to that one's
    outputs, h + f(h), so that deep networks start near the identity. He et al., CVPR 2016.
label_smoothing : float, default=0.0
    The share s of the target that is spread over the classes, in [0, 1): (1 - s) y + s / K for K
    classes, and K = 2 for labels. Szegedy et al., CVPR 2016.
class_weight : dict, "balanced" or None, default=None
    Weights of the classes, by which the samples' weights are multiplied; a class that is not
    listed has weight 1. "balanced" gives every class the same sum. They are not for `X_val`, which
    has weights of its own. Not for labels; `partial_fit` takes no "balanced", as it never sees all
    samples.
dtype : {None, "float32", "float64"}, default=None
    The precision of parameters and computation. None: float32 for float32 data, else float64, as
    scikit-learn. "float32" is about twice as fast.
"""
