"""Reverse mode: the gradient of an expression is another expression.

The law: going through the graph from the loss to the variables, every node hands its inputs the
pullback of what it has received itself, and a node used several times adds up what it receives.
"""

from __future__ import annotations

from collections.abc import Sequence

from .expression import Expression, constant, topological
from .primitives import broadcast_to, sum_to
from .rules import share
from .shapes import shape_text


def gradient(
    loss: Expression, wrt: Sequence[Expression], received: Expression | None = None
) -> list[Expression]:
    """Derive the gradients of a scalar with respect to nodes of its graph.

    Only nodes on a path from `wrt` to `loss` are differentiated; the gradient of a network's
    input, say, is never formed unless it is asked for. Reverse accumulation: Griewank and
    Walther, Evaluating Derivatives (2008), chapter 3.

    Parameters
    ----------
    loss : Expression
        A scalar, of shape ().
    wrt : sequence of Expression
        Variables, or any nodes that the loss was computed from.
    received : Expression, optional
        Where `loss` is no scalar but a part of one's graph: the scalar's gradient with respect to
        it, of its shape. By the chain rule the result is the scalar's.

    Returns
    -------
    list of Expression
        For every node of `wrt` an expression of its shape; equal subexpressions are shared.

    Raises
    ------
    ValueError
        If the loss is not a scalar, or what it receives has not its shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import evaluate, gradient, variable
    >>> x = variable("x", (3,))
    >>> (slope,) = gradient(np.sum(x**2), [x])
    >>> evaluate(slope, {x: np.array([1.0, 2.0, 3.0])})
    array([2., 4., 6.])
    """
    if received is None:
        received = constant(1.0)
    if loss.shape != received.shape:
        raise ValueError(
            f"the gradient is that of a scalar, got an expression of shape "
            f"{shape_text(loss.shape)}: take np.sum or np.mean of it first"
        )
    order = topological([loss])
    reached = set(wrt)
    for node in order:
        if any(x in reached for x in node.inputs):
            reached.add(node)
    gradients: dict[Expression, Expression] = {loss: received}
    for node in reversed(order):
        if node.primitive is None or node not in gradients or node not in reached:
            continue
        for position, x in enumerate(node.inputs):
            pullback = node.primitive.pullback(position) if x in reached else None
            if pullback is None:
                continue
            g = pullback(gradients[node], node, *node.inputs, **node.attributes)
            g = sum_to(g, x.shape)
            gradients[x] = gradients[x] + g if x in gradients else g
    return share([gradients.get(w, broadcast_to(0.0, w.shape)) for w in wrt])
