"""Fitted estimators as ONNX models."""

from __future__ import annotations

from typing import Any

from ..engine import BATCH
from ..estimators.prediction import FittedNetwork
from ..tabular.estimators import TabularMLP
from .answers import Traced, further_outputs, usual_outputs, write_answers
from .tables import table_model
from .writer import Writer, onnx_module


def to_onnx(
    estimator: Any,
    *,
    opset: int | None = None,
    dtype: Any = None,
    outputs: Any = None,
) -> Any:
    r"""Write a fitted estimator as an ONNX model, which runs without Python, by ONNX Runtime.

    The model is made of the network's own expressions, composed for prediction: each primitive of
    the lowered graph is an operator, and weights are constants. An activation, layer or head of
    your own that is made of known functions is written like any other.

    Pipelines, ensembles and searches that hold networks are converted by `skl2onnx.to_onnx`, which
    knows them once `skmlp.onnx` is imported.

    Estimators for tables are written whole, from raw columns to answers: encoding, trees, members
    and their blend, without any training row.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, TabularMLPClassifier or TabularMLPRegressor
        Fitted; one for tables with `n_neighbors=None`.
    opset : int, optional
        The version of the operator set, from 13 on; by default 18.
    dtype : {"float32", "float64"}, optional
        The precision of inputs, numbers and answers; by default that of the estimator's own. For
        tables it is that of the inputs, by default float32, and of probabilities: members compute
        in float32, and numbers are answered in float64, as by the estimator.
    outputs : str, sequence of str or dict, optional
        What a regressor is to answer beside its predictions: "mean", "std", "interval",
        "quantiles", where they have a closed form for its head. A dict says coverage and levels:
        ``{"std": None, "interval": 0.8, "quantiles": [0.1, 0.5]}``. Without one, an interval
        has coverage 0.9, and quantiles are those that the head was fitted to.

    Returns
    -------
    onnx.ModelProto
        The model, checked by ONNX. Its input is "X", of shape (n, n_features); for tables each
        column is an input of shape (n, 1), named as the column, or "x0", "x1", ... where columns
        have no names: numbers of `dtype`, categories as strings, int64, bool or `dtype`, whichever
        their levels are. NaN is missing, and so is any value that is no level, such as "". A
        classifier answers "label", of shape (n,) or (n, n_labels), and "probabilities" of shape (n,
        n_classes), in the order of `classes_`; a head without probabilities "scores", those of
        `decision_function`. A regressor answers "variable", of shape (n, n_outputs), with one more
        axis where the head has several quantiles. Further outputs are named as they were asked
        for; "mean" and "std" have shape (n, n_outputs), "interval" (n, 2) and "quantiles" (n,
        levels), or (n, n_outputs, ...) for several outputs. Distributions of tables are mixtures,
        which have no quantiles in closed form.

    Raises
    ------
    ImportError
        If onnx is not installed.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is no such estimator of skmlp.
    ValueError
        If `opset`, `dtype` or `outputs` cannot be, or a class is no label that ONNX has. Of tables
        if members are shown the targets of neighbors; if a column holds dates, levels of several
        types, or numbers that `dtype` cannot hold; or if its name is that of another or an output.
    NotImplementedError
        If a primitive has no operator, with its layer.

    Notes
    -----
    A network refuses rows for which it has no finite answer; the model answers inf or NaN.
    Probabilities that the precision rounds to 0 or 1 stay so.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp import MLPRegressor
    >>> from skmlp.onnx import to_onnx
    >>> X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([1.0, 3.0, 6.0, 14.0])
    >>> model = MLPRegressor((), head="gaussian", solver="lbfgs", alpha=0, random_state=0)
    >>> exported = to_onnx(model.fit(X, y), outputs={"std": None, "interval": 0.9})
    >>> [output.name for output in exported.graph.output]
    ['variable', 'std', 'interval']

    Any runtime of ONNX answers:

    >>> from onnxruntime import InferenceSession
    >>> session = InferenceSession(exported.SerializeToString())
    >>> mean, std, interval = session.run(None, {"X": X[::2]})
    >>> std.round(2)
    array([[1.],
           [4.]])
    """
    onnx_module()
    if isinstance(estimator, TabularMLP):
        return table_model(estimator, opset, dtype, outputs)
    if not isinstance(estimator, FittedNetwork):
        raise TypeError(
            "to_onnx takes a fitted MLPClassifier or MLPRegressor of skmlp, or one of its "
            f"estimators for tables, got {type(estimator).__name__}: pipelines, ensembles and "
            "searches are converted by skl2onnx.to_onnx(model, X)."
        )
    traced = Traced(estimator)
    further = further_outputs(outputs, traced)
    writer = Writer(traced.fitted.dtype if dtype is None else dtype, opset)
    x = writer.input("X", writer.dtype, (BATCH, traced.n_inputs))
    values = write_answers(writer, traced, x, further)
    for name, value in zip([*usual_outputs(traced), *further], values, strict=True):
        writer.output(name, value)
    return writer.model()
