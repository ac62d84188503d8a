"""Graphs: the order of nodes, what each reads, and the combiners of reductions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.operation_cases import samples
from tilewright.ir import build
from tilewright.ir.dtypes import ALL, F32, I32, I64
from tilewright.ir.expr import Load, Var
from tilewright.ir.graph import (
    COMBINERS,
    Check,
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
    identity,
)
from tilewright.ir.interpret.values import constant

X, Y = Input("x", (3, 4), F32), Input("y", (3, 4), F32)
NUMPY = {
    **{"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum},
    **{"fmin": np.fmin, "fmax": np.fmax, "and": np.bitwise_and, "or": np.bitwise_or},
    "xor": np.bitwise_xor,
}


@pytest.mark.parametrize("name", NUMPY)
def test_combiners_are_numpys_and_keep_their_identity(name: str) -> None:
    op = COMBINERS[name].op
    assert op is not None
    for dtype in (d for d in ALL if d.kind in op.domain):
        values = samples(dtype)
        a, b = np.meshgrid(values, values)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(op.reference(a, b), NUMPY[name](a, b))
        neutral = identity(name, dtype)
        assert neutral.dtype is dtype
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(op.reference(constant(neutral), values), values)  # type: ignore[arg-type]


def test_the_worst_of_all_is_the_identity_of_positions() -> None:
    for dtype in (d for d in ALL if d.kind in "iuf"):
        values = samples(dtype)
        values = values[~np.isnan(values)] if dtype.is_float else values
        least, most = (constant(identity(n, dtype)) for n in ("argmax", "argmin"))  # type: ignore[arg-type]
        assert np.all(least <= values)
        assert np.all(most >= values)
        assert least in values
        assert most in values
    assert all(COMBINERS[name].op is None for name in ("argmin", "argmax"))
    assert all(COMBINERS[name].name == name for name in COMBINERS)


def point(source: Tensor, *axes: Var) -> Load:
    return Load(source, axes)


def axes(*sizes: int) -> tuple[Var, ...]:
    return tuple(Var(f"i{k}", n) for k, n in enumerate(sizes))


def test_shapes_dtypes_and_sources_of_nodes() -> None:
    i, j, r = Var("i", 3), Var("j", 4), Var("r", 4)
    step, state = Input("n", (), I64), Input("s", (3, 4), F32)
    body = Graph("body", (step, state), (state,))
    test = Graph("test", (state,), (Compute("t", (), build.TRUE),))
    loop = Loop("l", 3, (X,), (Y,), body)
    places = Constant("p", np.zeros(3, np.int32), I32)
    index = build.cast(Load(places, (i,)), build.index(0).dtype)
    nodes: list[tuple[Tensor, tuple[int, ...], object, list[Tensor]]] = [
        (Compute("c", (i, j), build.add(point(Y, i, j), point(X, i, j))), (3, 4), F32, [Y, X]),
        (Compute("c", (i, j), build.add(point(X, i, j), point(X, i, j))), (3, 4), F32, [X]),
        (Reduction("r", (i,), (r,), "add", point(X, i, r)), (3,), F32, [X]),
        (Reduction("r", (i,), (r,), "argmin", point(X, i, r)), (3,), I64, [X]),
        (Reshape("r", X, (12,)), (12,), F32, [X]),
        (Scan("s", X, 1, "add"), (3, 4), F32, [X]),
        (Sort("s", X, 1, False), (3, 4), F32, [X]),
        (Sort("s", X, 1, True), (3, 4), I64, [X]),
        (Scatter("s", X, (i,), (index, i), point(Y, i, i), None), (3, 4), F32, [X, places, Y]),
        (loop, (), I64, [X, Y]),
        (While("w", (X,), (Y, X), test, Graph("b", (state,), (state,))), (), I64, [X, Y]),
        (Result("o", loop, 0), (3, 4), F32, [loop]),
        (places, (3,), I32, []),
    ]
    for node, shape, dtype, sources in nodes:
        assert node.shape == shape
        assert node.dtype is dtype
        assert list(node.sources) == sources


def test_nodes_come_after_what_they_read_and_once() -> None:
    i, j = axes(3, 4)
    first = Compute("a", (i, j), point(X, i, j))
    second = Sort("b", first, 0, False)
    third = Compute("c", (i, j), build.add(point(first, i, j), point(second, i, j)))
    least = Compute("least", (), build.const(0, I64))
    most = Compute("most", (), build.const(1, I64))
    check = Check(least, most, 4, 0, True, None)
    unread = Input("u", (), F32)
    graph = Graph("g", (X, unread), (third, first), (), (check,))
    assert graph.roots == (third, first, least, most)
    assert graph.nodes() == [X, unread, first, second, third, least, most]


def test_nodes_come_from_left_to_right() -> None:
    i, j = axes(3, 4)
    parts = [Compute(f"p{k}", (i, j), point(X, i, j)) for k in range(3)]
    body = build.sub(point(parts[0], i, j), build.sub(point(parts[1], i, j), point(parts[2], i, j)))
    whole = Compute("whole", (i, j), body)
    assert Graph("g", (X,), (whole,)).nodes() == [X, *parts, whole]
