"""Operands of contractions are copied where that pays, and only what can be."""

from __future__ import annotations

import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import Access, accesses
from tilewright.ir.lower.pack_operands import contraction, is_worth_a_copy, pack_operands
from tilewright.ir.program import Nest, Stage


def product(rows: int, columns: int, depth: int) -> tuple[Nest, Var, Var, Var]:
    """``out[m, n] = sum over k of a[m, k] * b[n, k]``, and its axes."""
    m, n, k = Var("m", rows), Var("n", columns), Var("k", depth)
    a, b = Buffer("a", (rows, depth), F32), Buffer("b", (columns, depth), F32)
    return of(build.mul(Load(a, (m, k)), Load(b, (n, k))), m, n, k), m, n, k


def of(value: Expr, m: Var, n: Var, k: Var) -> Nest:
    total, out = Buffer("t", (), F32, "scratch"), Buffer("out", (m.extent or 0, n.extent or 0), F32)
    stages = (
        Stage((), (k,), "add", value, total, ()),
        Stage((), (), None, Load(total, ()), out, (m, n)),
    )
    return Nest("p", (m, n), stages, (total,))


def operand(nest: Nest, name: str) -> Access:
    return next(a for a in accesses(nest) if a.buffer.name == name)


def test_the_operand_across_lanes_is_copied_the_other_way_round() -> None:
    nest, m, n, k = product(64, 48, 32)
    packed, (copy,), (buffer,) = pack_operands(nest, n)
    assert buffer.shape == (32, 48)
    assert [a.extent for a in copy.outer] == [32, 48]
    (load,) = (a for a in accesses(packed) if a.buffer is buffer)
    assert (load.stride(n), load.stride(k), load.stride(m)) == (1, 48, 0)
    # b lies along k already, and so does a
    assert pack_operands(nest, k) == (nest, (), ())


@pytest.mark.parametrize(
    ("rows", "columns", "depth", "is_worth"),
    [
        (8, 64, 64, True),  # each element of b is read by 8 rows
        (7, 64, 80, False),
        (8, 64, 63, False),  # 512 less than 2^15 products
        (1, 64, 1 << 12, False),
        (1 << 12, 1, 8, True),
    ],
)
def test_copies_are_read_often(rows: int, columns: int, depth: int, is_worth: bool) -> None:
    nest, *_ = product(rows, columns, depth)
    stage = contraction(nest)
    assert stage is not None
    assert is_worth_a_copy(nest, stage, operand(nest, "b")) == is_worth


def test_what_cannot_be_copied() -> None:
    m, n, k = Var("m", 64), Var("n", 64), Var("k", 64)
    a, square = Buffer("a", (64, 64), F32), Buffer("b", (128, 128), F32)
    places: list[tuple[Expr, ...]] = [(n, n), (n, build.add(k, n)), (n, build.index(3))]
    for place in places:
        nest = of(build.mul(Load(a, (m, k)), Load(square, place)), m, n, k)
        assert pack_operands(nest, n) == (nest, (), ())
    opened = Var("k", Var("N"))
    nest = of(build.mul(Load(a, (m, opened)), Load(square, (n, opened))), m, n, opened)
    assert pack_operands(nest, n) == (nest, (), ())
