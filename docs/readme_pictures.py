"""Make the two pictures of the README: `python docs/readme_pictures.py`."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPRegressor
from skmlp.engine import ComputationGraph, variable
from skmlp.inspection import ComputationGraphDisplay, PredictiveDistributionDisplay

FOLDER = Path(__file__).parent / "images"


def fan() -> None:
    """Draw predicted quantiles of diabetes over the body mass index."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X_train, X_test, y_train, y_test = train_test_split(
        X[["bmi", "bp", "s5"]], y, random_state=0
    )
    network = MLPRegressor(
        (32,),
        "tanh",
        head="gaussian",
        initial_output="data",
        alpha=1.0,
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter=60,
        random_state=0,
    )
    model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
    _, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    PredictiveDistributionDisplay.from_estimator(
        model,
        X_test,
        y_test,
        feature="bmi",
        target_name="progression in a year",
        ax=axes,
    )


def graph() -> None:
    """Draw the chain rule on z = w x + b, y = logistic(z), L = (y - t)^2 / 2."""
    w, x, b, t = (variable(name, ()) for name in "wxbt")
    y = expit((w * x + b).named("z")).named("y")
    loss = (np.square(y - t) / 2).named("L")
    values = {w: 0.6, x: 1.5, b: -0.4, t: 1.0}
    ComputationGraphDisplay.from_graph(
        ComputationGraph(loss, values, gradients=True), title=""
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, draw in {"fan": fan, "graph": graph}.items():
        draw()
        plt.savefig(FOLDER / f"{name}.png", dpi=140, facecolor="white")
        plt.close("all")
