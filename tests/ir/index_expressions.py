"""Random index expressions, and their values at every point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tilewright.ir import build, ops
from tilewright.ir.expr import Apply, Expr, Var
from tilewright.ir.interpret.values import evaluate, reads_nothing, size_value
from tilewright.ir.ops import Op

LINEAR = (ops.ADD, ops.SUB, ops.MUL)
ALL = (*LINEAR, ops.MIN, ops.MAX, ops.FLOORDIV, ops.MOD)


@st.composite
def index_expressions(draw: Any, variables: Sequence[Var], allowed: Sequence[Op] = ALL) -> Expr:
    """A tree of some operations on variables and small literals, not folded."""
    leaves = st.sampled_from(list(variables)) | st.integers(-4, 9).map(build.index)
    pool: list[Expr] = [draw(leaves) for _ in range(3)]
    for _ in range(draw(st.integers(1, 6))):
        op = draw(st.sampled_from(list(allowed)))
        pool.append(Apply(op, (draw(st.sampled_from(pool)), draw(st.sampled_from(pool) | leaves))))
    return pool[-1]


def points(variables: Sequence[Var]) -> Iterator[dict[Var, int]]:
    """Every point of nested loops; an extent may depend on the variables before it."""
    if not variables:
        yield {}
        return
    *before, last = variables
    for point in points(before):
        assert last.extent is not None
        for value in range(size_value(last.extent, point)):
            yield {**point, last: value}


def value_at(node: Expr, point: dict[Var, int]) -> int:
    return int(evaluate((node,), point, reads_nothing)[0])


__all__ = ["ALL", "LINEAR", "index_expressions", "points", "value_at"]
