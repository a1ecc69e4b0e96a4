"""Names: what is meant by one that nothing has.

The law: no name but its own is ever taken for a thing; a name that is a letter off, or written as
other libraries do, is answered with a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ..engine.words import shown
from ..heads.domains import is_number

# Other libraries' words beside ours, by parameter, in lower case without "_" and what `_ENDS` has.
WORDS: Mapping[str, Mapping[str, str]] = {
    "activation": {
        "identity": "none",
        "logistic": "sigmoid expit logit",
        "silu": "swish",
        "relu": "relu6 rectifier",
        "hard_threshold": "heaviside step threshold binarystep",
        "leaky_relu": "lrelu",
        "sine": "sin siren",
        "gaussian": "gauss bump",
        "rbf": "radialbasis",
    },
    "head": {
        "auto": "none",
        "linear": "mse l2 squared meansquared rmse rootmeansquared leastsquares identity ols",
        "absolute_error": "mae l1 meanabsolute median absolute lad",
        "quantile": "pinball median",
        "huber": "smoothl1 logcosh",
        "gaussian": "normal gauss",
        "student_t": "t",
        "gaussian_mixture": "mdn mixture gmm mixturedensity",
        "negative_binomial": "negbin nb",
        "gamma": "exponential",
        "logistic": "crossentropy bce binarycrossentropy bcewithlogits log nll sigmoid binary",
        "softmax": "crossentropy categoricalcrossentropy sparsecategoricalcrossentropy log nll "
        "multinomial multiclass",
        "brier": "mse l2 squared meansquared",
        "hinge": "svm margin multimargin squaredhinge",
        "ordinal": "ordered coral corn cumulative proportionalodds",
        "focal": "sigmoidfocal",
    },
    "loss": {
        "squared_error": "mse l2 squared meansquared rmse linear leastsquares identity",
    },
    "solver": {
        "adam": "none nadam amsgrad adamax rmsprop adagrad lamb lion",
        "lbfgs": "bfgs lbfgsb newton newtoncg newtoncholesky cg",
        "sgd": "momentum nesterov gd gradientdescent",
    },
    "learning_rate": {
        "constant": "none fixed",
        "invscaling": "exponential step multistep polynomial inverse inversetime inversescaling",
        "adaptive": "plateau reduceonplateau reducelronplateau",
        "cosine": "coslog",
        "one_cycle": "1cycle superconvergence",
        "flat_cos": "flatcosine flatandanneal",
        "linear": "lineardecay",
    },
    "weight_init": {
        "auto": "none default",
        "glorot_uniform": "xavier xavieruniform uniform random randomuniform",
        "glorot_normal": "xavier xaviernormal normal random randomnormal truncatednormal",
        "he_uniform": "kaiming kaiminguniform msra",
        "he_normal": "kaiming kaimingnormal msra",
    },
    "normalization": {
        "layer": "true group instance rms ln",
        "batch": "true bn",
    },
    "batch_size": {"auto": "none full all"},
    "class_weight": {"balanced": "true auto"},
    "initial_output": {"data": "true mean auto"},
    "scoring": {
        "neg_mean_squared_error": "mse l2 squared",
        "neg_root_mean_squared_error": "rmse",
        "neg_mean_absolute_error": "mae l1",
        "neg_mean_absolute_percentage_error": "mape",
        "neg_log_loss": "crossentropy nll logloss",
        "roc_auc": "auc auroc rocauc",
        "average_precision": "prauc auprc ap",
        "accuracy": "acc",
        "validation_loss": "val",
        "validation_score": "val",
    },
    "": {  # names of parameters themselves
        "hidden_layer_sizes": "hiddenlayers hiddenunits hiddensizes hiddensize hiddendim "
        "hiddendims layers units neurons nhidden width layersizes architecture",
        "activation": "nonlinearity activationfunction act",
        "head": "criterion objective outputactivation family distribution loss lossfunction",
        "solver": "optimizer optim",
        "alpha": "l2 lambda reglambda regalpha l2reg regularization penalty c",
        "learning_rate": "scheduler lrscheduler lrschedule lrpolicy learningratescheduler",
        "learning_rate_init": "lr eta eta0 stepsize learnrate baselr initiallr maxlr learningrates",
        "power_t": "power",
        "warmup": "warmupratio warmupfraction warmupsteps warmupepochs",
        "max_iter": "epochs epoch niter nepochs maxepochs numepochs iterations maxiterations "
        "nestimators",
        "random_state": "seed randomseed rng",
        "tol": "tolerance mindelta",
        "verbose": "verbosity",
        "momentum": "mu",
        "early_stopping": "earlystop",
        "validation_fraction": "validationsplit valfraction valsize valsplit",
        "beta_1": "betas beta",
        "beta_2": "betas beta",
        "epsilon": "eps",
        "weight_decay": "wd",
        "max_grad_norm": "clip clipnorm gradclip gradientclip gradientclipval clipgradnorm maxnorm",
        "averaging": "ema emadecay swa emamomentum",
        "n_iter_no_change": "patience earlystoppingrounds",
        "scoring": "metric metrics scorer evalmetric",
        "weight_init": "init initializer kernelinitializer weights weightsinit",
        "dropout": "dropoutrate pdropout drop dropoutp",
        "input_noise": "noise gaussiannoise noisestd",
        "normalization": "usebatchnorm usebn layernorm batchnorm batchnormalization norm",
        "residual": "skipconnections skip resnet residuals",
        "label_smoothing": "smoothing labelsmooth",
        "dtype": "precision floatx",
        "warm_start": "resume",
        "batch_size": "batch minibatchsize minibatch batchsamples",
        "n_folds": "folds nsplits cv kfold nsplit nens nensemble",
        "max_epochs": "maxiter epochs niter nepochs iterations nestimators",
        "n_neighbors": "k knn neighbors nneighbours",
        "n_bins": "bins maxbins numbins nquantiles",
        "max_onehot": "onehotmaxsize maxcattoonehot maxonehotcatsize",
        "embedding_size": "embeddingdim embeddim dembedding",
        "categorical_features": "catfeatures catcols catcolnames categoricalfeature "
        "categoricalcolumns categoricalindicator",
        "time_limit": "timeout maxtime timelimits",
        "n_jobs": "nthreads threadcount numthreads",
    },
}
_SHORT = 250  # characters, so that the question is not lost among all names
_ENDS = re.compile(
    "(loss|error|nll|score|scorer|lr|annealing|decay|rate|schedule|scheduler|warmrestarts|restarts|"
    "activation|layer|norm|normalization|initializer|init|regression|distribution|optimizer|1d)$"
)


def meant(parameter: str, value: Any, known: Iterable[str]) -> list[str]:
    """Return the known names that a value for a parameter may stand for, two at most.

    Examples
    --------
    >>> meant("activation", "LeakyReLU", ["relu", "leaky_relu"])
    ['leaky_relu']
    >>> meant("activation", "sigmoid", ["relu", "logistic"]), meant("activation", 3, ["relu"])
    (['logistic'], [])
    """
    names, words = list(known), WORDS.get(parameter, {})
    word = _bare(value if isinstance(value, str) else getattr(value, "__name__", str(value)))
    shorter, found = word, []
    while shorter:
        found = [n for n in names if _bare(n) == shorter or shorter in words.get(n, "").split()]
        found = found or [n for n in names if _bare(n) == "neg" + shorter]
        shortened = _ENDS.sub("", shorter)
        if found or shortened == shorter:
            break
        shorter = shortened
    if not found and len(word) > 1:
        found = [n for n in names if _bare(n).startswith(word)]
    if not found and len(word) > 2:
        bare = {_bare(n): n for n in reversed(names)}
        found = [bare[close] for close in get_close_matches(word, bare, n=2, cutoff=0.75)]
    return found[:2]


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())


def question(parameter: str, value: Any, known: Iterable[str]) -> str:
    """Ask what was meant, in the middle of a sentence; nothing where nobody can tell."""
    found = meant(parameter, value, known)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else ""


def refusal(owner: str, parameter: str, value: Any, words: str, known: Iterable[str] = ()) -> str:
    """Say in a sentence that a parameter cannot have a value, and ask what was meant."""
    asked = question(parameter, value, known)
    if parameter == "learning_rate" and is_number(value):
        asked = f"did you mean learning_rate_init={shown(value)}?"
    if not asked:
        return f"The {parameter!r} parameter of {owner} must be {words}, got {shown(value)}."
    start = f"{parameter}={shown(value)} is not known to {owner}; {asked}"
    whole = f"{start} (It must be {words}.)"
    return whole if len(whole) <= _SHORT else f"{start} (help({owner}) lists all there are.)"
