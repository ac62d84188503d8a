"""Which point an invocation has: row-major, whatever the number of axes."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.ir.index_expressions import value_at
from tilewright.ir.expr import Var
from tilewright.ir.lower.workgroup.grid import invocations, split_index


@pytest.mark.parametrize("sizes", [(), (5,), (3, 4), (2, 3, 4), (3, 1, 2, 5)])
def test_positions_are_row_major(sizes: tuple[int, ...]) -> None:
    position = Var("p", math.prod(sizes))
    coordinates = split_index(position, sizes)
    for number, place in enumerate(itertools.product(*map(range, sizes))):
        assert tuple(value_at(c, {position: number}) for c in coordinates) == place


def test_a_workgroup_without_a_shape_has_64_invocations() -> None:
    assert [invocations(shape) for shape in ((), (1,), (8, 4), (2, 3, 5))] == [64, 1, 32, 30]
