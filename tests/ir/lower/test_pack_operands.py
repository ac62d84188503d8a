"""Operands of contractions are copied where that pays, and only what can be."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import Access, accesses
from tilewright.ir.lower.pack_operands import contraction, is_worth_a_copy, pack_operands
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.verify import verify_program


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


def results(nest: Nest, arrays: dict[Buffer, np.ndarray], axis: Var) -> tuple[int, np.ndarray]:
    """How many operands are copied, and what the nest makes of the copies."""
    packed, copies, buffers = pack_operands(nest, axis)
    out = nest.stages[-1].target
    steps = (*copies, packed)
    program = Program("p", (), tuple(arrays), (out,), (), buffers, steps)
    verify_program(program)
    return len(copies), interpret_program(program, list(arrays.values()))[0]


def test_rows_of_a_copy_do_not_compete() -> None:
    """Along the reduced axis, where they are as long as the matrix is deep."""
    m, n, k = Var("m", 64), Var("n", 48), Var("k", 32)
    a, b = Buffer("a", (64, 32), F32), Buffer("b", (32, 48), F32)
    nest = of(build.mul(Load(a, (m, k)), Load(b, (k, n))), m, n, k)
    (buffer,) = pack_operands(nest, k)[2]
    assert buffer.shape == (48, 32 + 16)
    x, y = numbers(64, 32), numbers(32, 48, seed=1)
    for axis, copied in ((k, 1), (n, 0)):
        count, found = results(nest, {a: x, b: y}, axis)
        assert count == copied
        np.testing.assert_array_equal(found, x @ y)


def test_one_array_as_both_operands() -> None:
    """The rows that are read along lanes are copied, the others are not."""
    m, n, k = Var("m", 64), Var("n", 64), Var("k", 32)
    a, x = Buffer("a", (64, 32), F32), numbers(64, 32)
    nest = of(build.mul(Load(a, (m, k)), Load(a, (n, k))), m, n, k)
    count, found = results(nest, {a: x}, n)
    assert count == 1
    np.testing.assert_array_equal(found, x @ x.T)
    square = of(build.mul(Load(a, (n, k)), Load(a, (n, k))), m, n, k)
    count, found = results(square, {a: x}, n)
    assert count == 1
    np.testing.assert_array_equal(found, np.broadcast_to((x * x).sum(axis=1), (64, 64)))


def test_two_arrays_at_the_same_places() -> None:
    m, n, k = Var("m", 64), Var("n", 64), Var("k", 32)
    a, b = Buffer("a", (64, 32), F32), Buffer("b", (64, 32), F32)
    nest = of(build.mul(Load(a, (n, k)), Load(b, (n, k))), m, n, k)
    x, y = numbers(64, 32), numbers(64, 32, seed=1)
    count, found = results(nest, {a: x, b: y}, n)
    assert count == 2
    np.testing.assert_array_equal(found, np.broadcast_to((x * y).sum(axis=1), (64, 64)))


def test_what_other_stages_read_stays_where_it_is() -> None:
    nest, m, n, _ = product(64, 48, 32)
    first, last = nest.stages
    bias = Buffer("bias", (48, 64), F32)
    added = replace(last, value=build.add(last.value, Load(bias, (n, m))))
    changed = replace(nest, stages=(first, added))
    arrays = {
        operand(nest, "a").buffer: numbers(64, 32),
        operand(nest, "b").buffer: numbers(48, 32, seed=1),
        bias: numbers(48, 64, seed=2),
    }
    count, found = results(changed, arrays, n)
    x, y, z = arrays.values()
    assert count == 1
    np.testing.assert_array_equal(found, x @ y.T + z.T)


def test_what_is_no_contraction() -> None:
    nest, _, n, _ = product(64, 48, 32)
    first, last = nest.stages
    other = Var("o", 4)
    assert contraction(nest) is first
    for stages in (
        (last,),
        (first, first, last),
        (replace(first, axes=(other,)), last),
        (first, replace(last, axes=(other,))),
        (replace(first, combiner="max"), last),
    ):
        changed = replace(nest, stages=stages)
        assert contraction(changed) is None
        assert pack_operands(changed, n) == (changed, (), ())
