"""Passes in a loop of two kernels: each with its number, each reading what the last one wrote."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import I32
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.alternate_passes import alternate_passes
from tilewright.ir.program import Copy, Nest, Program, Repeat, Stage


@pytest.mark.parametrize("count", range(8))
def test_numbers_of_passes_in_order(count: int) -> None:
    """``x -> 3 x + number``, as often as there are passes."""
    source, target = Buffer("x", (1,), I32), Buffer("y", (1,), I32)
    one, other = Buffer("a", (1,), I32), Buffer("b", (1,), I32)

    def make(number: Expr, old: Buffer, new: Buffer) -> Nest:
        axis = Var("i", 1)
        tripled = build.mul(Load(old, (axis,)), build.const(3, I32))
        value = build.add(tripled, build.cast(number, I32))
        return Nest("pass", (axis,), (Stage((), (), None, value, new, (axis,)),), ())

    steps, last = alternate_passes(count, (one, other), make)
    assert last is (other if count % 2 else one)
    assert len(steps) == (count > 1) + count % 2
    assert all(isinstance(s, Repeat) for s in steps[: count > 1])
    whole = (Copy(source, one), *steps, Copy(last, target))
    program = Program("p", (), (source,), (target,), (), (one, other), whole)
    wanted = 5
    for number in range(count):
        wanted = 3 * wanted + number
    assert interpret_program(program, [np.array([5], np.int32)])[0] == wanted
