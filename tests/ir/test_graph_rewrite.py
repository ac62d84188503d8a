"""A replaced node is replaced wherever it is read, and nothing else of its readers changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import F32, I64
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.graph import (
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
)
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.location import Location
from tilewright.ir.printer import print_graph

X, Y = Input("x", (4, 6), F32), Input("y", (4, 6), F32)
N, STATE, SEEN = Input("n", (), I64), Input("s", (4, 6), F32), Input("c", (4, 6), F32)
BODY = Graph("body", (N, STATE, SEEN), (STATE,))
ROUND = Graph("round", (STATE, SEEN), (STATE,))
TEST = Graph("test", (STATE, SEEN), (Compute("t", (), build.FALSE),))


def axes(*sizes: int) -> tuple[Var, ...]:
    return tuple(Var(f"i{k}", size) for k, size in enumerate(sizes))


def source(value: float) -> Tensor:
    i = axes(4, 6)
    return Compute("source", i, build.add(Load(X, i), build.const(value, F32)), label="np.add")


def at(tensor: Tensor, *indices: Expr) -> Expr:
    return Load(tensor, indices)


def compute(t: Tensor) -> Tensor:
    i = axes(4, 6)
    value = build.mul(at(t, *i), at(Y, *i))
    return Compute("made", i, value, label="np.multiply", loc=Location("a.py", 3, 4))


def reduction(t: Tensor) -> Tensor:
    i, r = axes(4)[0], Var("r", 6)
    return Reduction(
        "made", (i,), (r,), "max", at(t, i, r), label="np.max", loc=Location("a.py", 1)
    )


def scatter(t: Tensor) -> Tensor:
    (i,) = axes(4)
    place = build.cast(at(t, i, i), build.index(0).dtype)
    return Scatter("made", t, (i,), (place, i), at(t, i, i), "add", label="np.add.at")


def loop(t: Tensor) -> Tensor:
    made = Loop("loop", 3, (t,), (t,), BODY, label="tw.loop")
    return Result("made", made, 0, label="tw.loop")


def while_loop(t: Tensor) -> Tensor:
    made = While("loop", (t,), (Y,), TEST, ROUND, label="tw.while_loop")
    return Result("made", made, 0, label="tw.while_loop")


MAKERS: list[Callable[[Tensor], Tensor]] = [
    *(compute, reduction, scatter, loop, while_loop),
    lambda t: Reshape("made", t, (24,), label="np.reshape"),
    lambda t: Scan("made", t, 1, "add", label="np.cumsum"),
    lambda t: Sort("made", t, 0, True, label="np.argsort"),
]


def graph_of(made: Tensor) -> Graph:
    is_read = made.shape == (4, 6) and made.dtype is F32
    return Graph("g", (X, Y), (made, compute(made) if is_read else made))


@pytest.mark.parametrize("make", MAKERS)
def test_readers_read_what_a_node_was_replaced_by(make: Callable[[Tensor], Tensor]) -> None:
    before, after = graph_of(make(source(1))), graph_of(make(source(2)))
    changed = rewrite_graph(before, lambda n: source(2) if n.name == "source" else None)
    assert print_graph(changed) == print_graph(after)
    assert len(changed.nodes()) == len(before.nodes())
    pairs = zip(before.nodes(), changed.nodes(), strict=True)
    assert all((a.label, a.loc) == (b.label, b.loc) for a, b in pairs)
    assert rewrite_graph(before, lambda n: None) is before


def test_what_does_not_read_it_stays_the_same_object() -> None:
    other, made = compute(Y), compute(source(1))
    graph = Graph("g", (X, Y), (other, made))
    changed = rewrite_graph(graph, lambda n: source(2) if n.name == "source" else None)
    assert changed.outputs[0] is other
    assert changed.outputs[1] is not made


def test_rules_see_nodes_that_read_what_was_made_and_no_inputs() -> None:
    seen: list[list[str]] = []

    def rule(node: Tensor) -> Tensor | None:
        seen.append([node.name, *(t.name for t in node.sources)])
        zeros = np.zeros((4, 6), np.float32)
        return Constant("replaced", zeros, F32) if node.name == "source" else None

    rewrite_graph(Graph("g", (X, Y), (compute(source(1)),)), rule)
    assert seen == [["source", "x"], ["made", "replaced", "y"]]


def test_checks_test_what_was_made() -> None:
    least = Compute("least", (), build.const(1, I64))
    most = Compute("most", (), build.const(2, I64))
    check = Check(least, most, 4, 1, True, None)
    graph = Graph("g", (), (), (), (check,))
    new = Compute("new", (), build.const(3, I64))
    for name, wanted in (("least", (new, most)), ("most", (least, new))):
        changed = rewrite_graph(graph, lambda n, name=name: new if n.name == name else None)  # type: ignore[misc]
        (found,) = changed.checks
        assert (found.least, found.most) == wanted
        assert (found.size, found.axis, found.wraps) == (4, 1, True)
