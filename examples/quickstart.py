"""Digits and diabetes: tuned, scored and timed, skmlp beside scikit-learn.

Both are in the same pipelines, and fit the same weights.
"""

from statistics import median
from time import perf_counter

import numpy as np
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import skmlp

ROUNDS = 7


def tune(network, grid, X, y):
    """Scale the columns, search the grid with 3-fold cross-validation, refit the best."""
    pipeline = Pipeline([("scale", StandardScaler()), ("network", network)])
    return GridSearchCV(pipeline, grid, cv=3).fit(X, y)


def fit_seconds(pipelines, X, y):
    """Fit the pipelines in turn, ROUNDS times, and return the median seconds of each."""
    seconds = {name: [] for name in pipelines}
    for _ in range(ROUNDS):
        for name, pipeline in pipelines.items():
            fresh = clone(pipeline)
            start = perf_counter()
            fresh.fit(X, y)
            seconds[name].append(perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def largest_difference(pipeline, other):
    """Return how far weights are apart at most, relative to the largest."""
    weights, others = (
        np.concatenate([W.ravel() for W in p[-1].coefs_]) for p in (pipeline, other)
    )
    return np.max(np.abs(weights - others)) / np.max(np.abs(others))


def compare(title, networks, grid, train_size, X, y):
    """Tune every network on `train_size` rows, and print how they do."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=train_size, random_state=0
    )
    searches = {
        name: tune(network, grid, X_train, y_train)
        for name, network in networks.items()
    }
    best = {name: search.best_estimator_ for name, search in searches.items()}
    seconds = fit_seconds(best, X_train, y_train)

    print(f"\n{title:<34}{'3-fold':>8}{'held out':>10}{'fit':>12}   chosen")
    for name, search in searches.items():
        chosen = ", ".join(str(value) for value in search.best_params_.values())
        print(
            f"  {name:<32}{search.best_score_:>8.4f}{search.score(X_test, y_test):>10.4f}"
            f"{1000 * seconds[name]:>9.1f} ms   {chosen}"
        )
    ours, theirs = best
    print(
        f"  {ours} fits {seconds[theirs] / seconds[ours]:.1f} times as fast; largest "
        f"relative difference {largest_difference(best[ours], best[theirs]):.0e}"
    )


def main():
    """Compare on a classification and on a regression."""
    print(f"One thread; fit time: median of {ROUNDS} fits, the two in turn.")
    settings = {"random_state": 0, "max_iter": 1000, "tol": 1e-3}
    compare(
        "digits, accuracy",
        {
            "skmlp": skmlp.MLPClassifier(**settings),
            "sklearn.neural_network": neural_network.MLPClassifier(**settings),
        },
        {"network__activation": ["relu", "tanh"], "network__alpha": [1e-4, 1e-1]},
        1200,
        *load_digits(return_X_y=True),
    )
    settings |= {
        "hidden_layer_sizes": (50,),
        "batch_size": 100,
        "learning_rate_init": 0.01,
        "tol": 1,
    }
    compare(
        "diabetes, R2",
        {
            "skmlp": skmlp.MLPRegressor(**settings),
            "sklearn.neural_network": neural_network.MLPRegressor(**settings),
        },
        {"network__activation": ["relu", "tanh"], "network__alpha": [1, 100]},
        300,
        *load_diabetes(return_X_y=True),
    )


if __name__ == "__main__":
    # One thread: matrices as small as these gain nothing from more, and a busy machine
    # loses a lot.
    with threadpool_limits(limits=1):
        main()
