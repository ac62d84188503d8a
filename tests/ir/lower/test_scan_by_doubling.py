"""Scans as passes that gather: along every axis, of every length, in few kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import I32
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.scan_by_doubling import scan_by_doubling
from tilewright.ir.program import Nest, Program, Stage, nests
from tilewright.ir.verify import verify_program


def scan(shape: tuple[int, int], axis: int, combiner: str) -> Program:
    """A program that is one scan, of twice the input."""
    source, target = Buffer("x", shape, I32), Buffer("y", shape, I32)
    axes = (Var("i", shape[0]), Var("j", shape[1]))
    value = build.mul(Load(source, axes), build.const(2, I32))
    stage = Stage((axes[axis],), (), f"scan:{combiner}", value, target, axes)
    steps = scan_by_doubling(Nest("scan", (axes[1 - axis],), (stage,), ()))
    written = {s.target: None for n in nests(steps) for s in n.stages if s.target is not target}
    found = Program("p", (), (source,), (target,), (), tuple(written), steps)
    verify_program(found)
    return found


@pytest.mark.parametrize("length", [*range(1, 10), 15, 16, 17, 33, 64, 100])
@pytest.mark.parametrize("axis", [0, 1])
def test_scans_of_every_length(length: int, axis: int) -> None:
    shape = (length, 3) if axis == 0 else (3, length)
    x = np.random.default_rng(length).integers(-9, 9, shape).astype(np.int32)
    for combiner, function in (("add", np.cumsum), ("max", np.maximum.accumulate)):
        (found,) = interpret_program(scan(shape, axis, combiner), [x])
        np.testing.assert_array_equal(found, function(2 * x, axis=axis))


def test_long_scans_have_no_more_kernels_than_short_ones() -> None:
    assert len(list(nests(scan((1, 20), 1, "add").steps))) == 4
    assert len(list(nests(scan((1, 100_000), 1, "add").steps))) <= 5


def test_passes_before_the_last_write_no_result() -> None:
    """A shader cannot read what it writes, so the result is written once."""
    for length in range(1, 40):
        program = scan((1, length), 1, "add")
        *before, last = nests(program.steps)
        assert last.stages[0].target is program.outputs[0]
        assert not any(s.target in program.outputs for nest in before for s in nest.stages)
