"""The memory plan, and the rules, without running anything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmlp.engine import BATCH, Program, gradient, variable
from skmlp.engine.plan import LINE_BYTES, Block, Plan, offsets
from skmlp.engine.primitives import CONCATENATE
from skmlp.engine.rules import PLANNED
from skmlp.engine.step import is_same_memory, side_by_side


@st.composite
def blocks(draw):
    """Blocks as a plan has them: sorted, some written over others of the same size."""
    found = []
    for first in range(draw(st.integers(1, 25))):
        over = []
        size = draw(st.integers(0, 400))
        if draw(st.booleans()):
            over = [i for i, b in enumerate(found) if b.last == first]
            over = draw(st.lists(st.sampled_from(over), unique=True)) if over else []
            over = [i for i in over if found[i].size == found[over[0]].size]
            size = found[over[0]].size if over else size
        found.append(Block(size, first, first + draw(st.integers(0, 6)), tuple(over)))
    return found


def meet(a, start, b, other):
    """Whether two blocks are needed at once and share a byte."""
    at_once = a.first <= b.last and b.first <= a.last
    share = max(start, other) < min(start + a.size, other + b.size)
    return at_once and share


def law(found, starts, total):
    lines = [-(-b.size // LINE_BYTES) * LINE_BYTES for b in found]
    assert total <= sum(lines)
    for i, (a, start) in enumerate(zip(found, starts, strict=True)):
        assert start % LINE_BYTES == 0
        assert start + a.size <= total
        for j in range(i):
            is_over = j in a.over and starts[j] == start
            assert is_over or not meet(a, start, found[j], starts[j])


@settings(max_examples=300, deadline=None)
@given(blocks())
def test_no_two_blocks_meet_while_both_are_needed(found):
    law(found, *offsets(found))


def test_the_law_can_fail():
    found = [Block(64, 0, 2), Block(64, 1, 2)]
    with pytest.raises(AssertionError):
        law(found, [0, 0], 64)


def test_what_may_be_written_over_is():
    found = [Block(100, i, i + 1, (i - 1,) if i else ()) for i in range(50)]
    assert offsets(found) == ([0] * 50, 128)


def test_memory_is_what_is_needed_at_once():
    found = [Block(64 * (1 + i % 3), i, i + 2) for i in range(60)]
    most = max(sum(b.size for b in found if b.first <= t <= b.last) for t in range(60))
    assert offsets(found)[1] <= 1.5 * most


# -------------------- the stacked first layer


def layer(inputs=3, units=5, **options):
    """A loss with the gradients of the first layer's W and b."""
    x = variable("x", (BATCH, inputs), is_sparse=options.get("is_sparse", False))
    W, b = variable("W", (inputs, units)), variable("b", (units,))
    z = x @ W + b
    loss = np.sum(np.tanh(z) * options.get("times", 1.0))
    if options.get("penalty"):
        loss = loss + np.sum(W * W)
    return x, W, b, loss


def is_stacked(plan):
    return any(n.primitive is CONCATENATE and n.attributes["axis"] == 0 for n in plan.order)


def test_a_layer_whose_gradients_are_asked_for_is_stacked():
    _, W, b, loss = layer()
    assert is_stacked(Plan([loss, *gradient(loss, [W, b])]))


@pytest.mark.parametrize(
    ("options", "wrt"),
    [
        ({}, "W"),
        ({}, "b"),
        ({}, ""),
        ({"inputs": 6}, "Wb"),
        ({"is_sparse": True}, "Wb"),
        ({"penalty": True}, "Wb"),
    ],
    ids=str,
)
def test_nothing_else_is(options, wrt):
    _, W, b, loss = layer(**options)
    asked = [{"W": W, "b": b}[name] for name in wrt]
    assert not is_stacked(Plan([loss, *gradient(loss, asked)]))


@pytest.mark.parametrize("are_neighbors", [True, False])
@pytest.mark.parametrize("rows", [4, 5000])
def test_the_stacked_layer_has_the_numbers_of_the_plain_one(rows, are_neighbors, monkeypatch):
    rng = np.random.default_rng(0)
    x, W, b, loss = layer()
    outputs = [loss, *gradient(loss, [W, b])]
    X = rng.normal(size=(rows, 3))
    theta, g = rng.normal(size=20), np.zeros(20)
    if are_neighbors:
        parts, slopes = (theta[:15].reshape(3, 5), theta[15:]), (g[:15].reshape(3, 5), g[15:])
    else:
        parts, slopes = (theta[5:].reshape(3, 5), theta[:5]), (g[5:].reshape(3, 5), g[:5])
    program = Program(outputs, dict(zip([W, b], parts, strict=True)), into=[None, *slopes])
    assert is_stacked(program.plan)
    monkeypatch.setattr("skmlp.engine.rules.PLANNED", ())
    plain = Program(outputs, dict(zip([W, b], parts, strict=True)))
    assert not is_stacked(plain.plan)
    for _ in range(2):
        found, expected = program.run({x: X}), plain.run({x: X})
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        assert is_same_memory(found[1], slopes[0])
        assert is_same_memory(found[2], slopes[1])
        theta += 1  # parameters are read where they stand


def elsewhere():
    """Networks that read x, W or the layer more than once: outputs, and the variables."""
    x, W, b, loss = layer()
    yield "x read elsewhere", [loss + np.sum(x * x), *gradient(loss, [W, b])], (W, b)
    yield "W asked for", [W, loss, *gradient(loss, [W, b])], (W, b)
    yield "the layer asked for", [x @ W, x @ W + b, *gradient(loss, [W, b])], (W, b)
    yield "gradients asked for twice", [*gradient(loss, [W, b]), *gradient(loss, [W, b])], (W, b)
    V, c = variable("V", (3, 4)), variable("c", (4,))
    both = loss + np.sum(np.sin(x @ V + c))
    yield "two layers of x", gradient(both, [W, b, V, c]), (W, b, V, c)
    yield "a layer used twice", gradient(loss + np.sum(np.sin(x @ W + b)), [W, b]), (W, b)
    yield "W read by another product", gradient(loss + np.sum(x[:, ::-1] @ W), [W, b]), (W, b)


ELSEWHERE = {name: (outputs, parameters) for name, outputs, parameters in elsewhere()}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_rules_keep_the_numbers_whatever_else_is_read(name, monkeypatch):
    rng = np.random.default_rng(0)
    outputs, parameters = ELSEWHERE[name]
    arrays = {v: rng.normal(size=v.shape) for v in parameters}
    program = Program(outputs, arrays)
    (x,) = program.inputs
    X = rng.normal(size=(7, 3))
    found = [np.array(value) for value in program.run({x: X})]
    monkeypatch.setattr("skmlp.engine.rules.PLANNED", ())
    for one, other in zip(found, Program(outputs, arrays).run({x: X}), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_neighbors_are_viewed_and_others_copied():
    _, W, b, loss = layer()
    outputs = [loss, *gradient(loss, [W, b])]
    calls = []
    for of_W, of_b in [(slice(0, 15), slice(15, 20)), (slice(5, 20), slice(0, 5))]:
        theta, g = np.arange(20.0), np.zeros(20)
        values = {W: theta[of_W].reshape(3, 5), b: theta[of_b]}
        program = Program(outputs, values, into=[None, g[of_W].reshape(3, 5), g[of_b]])
        calls.append(len(program.step(4).calls))
    assert calls[1] == calls[0] + 3  # W over b, and both gradients


def test_arrays_of_other_memory_are_no_neighbors():
    one, other = np.zeros(4), np.zeros(2)
    assert side_by_side([one[:2], other], (4,)) is None
    assert side_by_side([one[:2], one[2:].astype(np.float32)], (4,)) is None
    assert side_by_side([one[2:], one[:2]], (4,)) is None
    assert side_by_side([one[:2], one[2:]], (5,)) is None


def test_every_rule_has_a_name_and_says_what_it_does():
    assert all(rule.__doc__ for rule in PLANNED)
