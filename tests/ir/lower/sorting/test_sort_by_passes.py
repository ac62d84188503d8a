"""Sorts by passes of exchanges: rows of every length, in the order that NumPy gives them."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir.dtypes import F32, I32, I64
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.gather_only import gather_only
from tilewright.ir.lower.sorting.sort_by_passes import sort_by_passes
from tilewright.ir.program import Program, Repeat, SortRows, Step, nests
from tilewright.ir.verify.program import verify_program


def program(shape: tuple[int, ...], axis: int, positions: bool, is_float: bool) -> Program:
    """A program that is one sort, by exchanges."""
    dtype = F32 if is_float else I32
    source, target = Buffer("x", shape, dtype), Buffer("y", shape, I64 if positions else dtype)
    step = SortRows("sort", source, target, axis, positions)
    steps = sort_by_passes(step, shape[axis])
    made = {s.target: None for nest in nests(steps) for s in nest.stages}
    del made[target]
    found = Program("p", (), (source,), (target,), (), tuple(made), steps)
    verify_program(found)
    return found


@pytest.mark.parametrize("length", [*range(1, 18), 31, 32, 33, 100])
def test_rows_of_every_length(length: int) -> None:
    rng = np.random.default_rng(length)
    x = rng.random((3, length), np.float32)
    x[1] = x[1].round(1)  # equal elements keep their order
    x[2, rng.random(length) < 0.3] = np.nan
    (values,) = interpret_program(program(x.shape, 1, False, True), [x])
    np.testing.assert_array_equal(values, np.sort(x, axis=1))
    (places,) = interpret_program(program(x.shape, 1, True, True), [x])
    np.testing.assert_array_equal(places, np.argsort(x, axis=1, kind="stable"))


def test_along_another_axis() -> None:
    x = np.random.default_rng(0).integers(-5, 5, (21, 4)).astype(np.int32)
    (places,) = interpret_program(program(x.shape, 0, True, False), [x])
    np.testing.assert_array_equal(places, np.argsort(x, axis=0, kind="stable"))


def test_work_grows_slower_than_the_square() -> None:
    """Short rows take two launches; long ones some log2(n)² / 2, of one comparison per element."""

    def steps(length: int) -> tuple[Step, ...]:
        source, target = Buffer("x", (length,), F32), Buffer("y", (length,), F32)
        return gather_only((SortRows("sort", source, target, 0, False),))

    assert len(steps(300)) == 2
    start, loop, odd, result = steps(100_000)
    assert isinstance(loop, Repeat)
    assert loop.counter.extent == 17 * 18 // 2 // 2
    launches = list(nests((start, loop, odd, result)))
    assert len(launches) == 5
    assert not any(stage.reduce_axes for nest in launches for stage in nest.stages)
