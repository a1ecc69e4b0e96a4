"""Settings: what the parameters of the estimators for tables say, checked and read once."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from ..estimators.names import refusal
from ..estimators.settings import COUNT, DECAY, POSITIVE, RULES, ZERO_OR_MORE, Rule
from ..heads.domains import is_count, is_number


def _or(word: Any, rule: Rule) -> Rule:
    def allows(value: Any) -> bool:
        return (isinstance(value, type(word)) and value == word) or rule.allows(value)

    return Rule(allows, f"{word!r} or {rule.words}")


def _are_counts(value: Any) -> bool:
    is_sequence = isinstance(value, (list, tuple)) and len(value) > 0
    return is_count(value) or (is_sequence and all(map(is_count, value)))


def _is_whole(value: Any) -> bool:
    return is_number(value) and isinstance(value, Integral)


def _whole(least: int) -> Rule:
    return Rule(
        lambda value: _is_whole(value) and int(value) >= least, f"a whole number >= {least}"
    )


_COUNTS = Rule(_are_counts, "a whole number >= 1 or a sequence of them")

RULES_OF_TABLES: Mapping[str, Rule] = {
    "n_neighbors": Rule(
        lambda value: value is None or _are_counts(value), f"None, {_COUNTS.words}"
    ),
    "n_trees": _or(None, _whole(50)),
    "n_folds": _whole(2),
    "hidden_layer_sizes": _COUNTS,
    "max_epochs": _or("auto", COUNT),
    "learning_rate_init": POSITIVE,
    "batch_size": COUNT,
    "weight_decay": ZERO_OR_MORE,
    "dropout": _or("auto", DECAY),
    "n_bins": _whole(2),
    "max_encoded": _whole(0),
    "max_onehot": _whole(0),
    "embedding_size": COUNT,
    "dates": Rule(
        lambda value: isinstance(value, str) and value in ("refuse", "parts"), "'refuse' or 'parts'"
    ),
    "target_transform": Rule(
        lambda value: value is None or (isinstance(value, str) and value == "auto"),
        "'auto' or None",
    ),
    "class_weight": RULES["class_weight"],
    "time_limit": _or(None, POSITIVE),
    "n_jobs": _or(
        None, Rule(lambda value: _is_whole(value) and value != 0, "a whole number other than 0")
    ),
    "random_state": RULES["random_state"],
    "verbose": RULES["verbose"],
}


def check_parameters(estimator: Any) -> None:
    """Refuse a parameter that no rule allows, in a sentence."""
    given = vars(estimator)
    for parameter, rule in RULES_OF_TABLES.items():
        if parameter in given and not rule.allows(given[parameter]):
            name = type(estimator).__name__
            raise ValueError(refusal(name, parameter, given[parameter], *rule[1:]))


def as_tuple(value: Any) -> tuple[int, ...]:
    """Return a number, or a sequence of them, as a tuple."""
    return tuple(map(int, value)) if isinstance(value, (list, tuple)) else (int(value),)


DESCRIPTIONS = """head : str or Head, default="auto"
    What is predicted, and by which loss: a name in `skmlp.heads` or an instance of a `Head`, as for
    `MLPClassifier` and `MLPRegressor`.
n_neighbors : None, int or sequence of int, default=(1, 5, 20)
    The counts of nearest training rows whose mean target the second kind of members is shown. None
    is the compact mode, with members of one kind, which for classes are shown what a forest says:
    the model then holds no row of the training data, is half as long a fit, and less accurate on
    most tables.
n_trees : int or None, default=100
    How many trees the forest has whose answers members are shown, at least 50, so that each row is
    left out by some; None is no forest, and no boosted trees, which classes have beside it where
    there are rows enough. With `n_neighbors=None` too, the model is made of networks
    alone, which `skmlp.inspection` can differentiate.
n_folds : int, default=4
    How many members of each kind there are; each leaves out one fold of the rows, and is judged by
    it. More of them are a little better and take as much longer. With fewer than 25 rows a fold
    there are fewer.
hidden_layer_sizes : int or sequence of int, default=(128, 128)
    The units of the hidden layers.
max_epochs : "auto" or int, default="auto"
    The epochs that are planned; "auto" is 24 for classes, 28 and 16 for the kinds for numbers, and
    at least 400 and, over one epoch, at most 20,000 steps.
learning_rate_init : float, default=0.08
    The highest rate, which weights are given 1 / sqrt(inputs) of, biases a tenth and factors of
    columns five times.
batch_size : int, default=128
    The rows of a step, about.
weight_decay : float, default=0.02
    How strongly weights decay, decoupled from the loss.
dropout : "auto" or float, default="auto"
    The share of hidden numbers that is left out in a step; "auto" is 0.1 for classes and 0.05 for
    numbers.
n_bins : int, default=48
    The most piecewise-linear columns of a number.
max_encoded : int, default=512
    The most piecewise-linear columns in all; the more numbers there are, the fewer has each.
max_onehot : int, default=12
    The most levels of a category that has a column for each; others are embedded.
embedding_size : int, default=8
    How many numbers stand for a level of those.
categorical_features : "from_dtype", array-like or None, default="from_dtype"
    Which columns are categories: those whose type is no number; or their names, indices, or a mask.
dates : {"refuse", "parts"}, default="refuse"
    What becomes of dates: a sentence, or year, month, weekday and days since 1970.
target_transform : "auto" or None, default="auto"
    Whether one kind of members learns logarithms of targets that are not negative and have a long
    tail, where the loss is a squared error.
class_weight : dict, "balanced" or None, default=None
    Weights of the classes, by which the rows' weights are multiplied.
time_limit : float or None, default=None
    Seconds after which no further epoch begins; the best so far is kept, kinds that have not begun
    are left out.
n_jobs : int or None, default=None
    How many members learn at the same time, in processes of their own where that takes less time
    than to start them; -1 is as many as there are cores, None is 1, or what
    `joblib.parallel_config` says. The bits of the result do not depend on it.
random_state : int, RandomState instance or None, default=None
    Draws folds, parameters and the order of rows.
verbose : bool or int, default=False
    Whether a line is printed for each epoch."""


ATTRIBUTES = """oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, ...)
        What members that have not learned from a row say of it: probabilities of classes, or
        numbers. NaN for rows of weight 0; with `X_val` for all but its rows, which come last.
    oof_score_ : float
        The accuracy of these, or R2.
    oof_loss_ : float
        The mean loss of these; the temperatures and shares below make it small.
    n_members_ : int
        How many networks there are.
    blend_weights_ : ndarray of shape (n_kinds,)
        The share of each kind of members in an answer.
    temperatures_ : ndarray of shape (n_kinds + 1,)
        What raw outputs of each kind are divided by, then those of their blend; 1 where they are no
        logits.
    best_epochs_ : list of int
        For each kind the epoch that is kept.
    history_ : list of dict of str to list of float
        For each kind the loss, the out-of-fold loss and the rate of every epoch.
    head_ : Head
        The head.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where X had names that are all text."""
