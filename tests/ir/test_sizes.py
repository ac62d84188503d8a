"""Open dimensions get their values from the shapes of arguments."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tilewright.ir import build, ops
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Apply, Var
from tilewright.ir.sizes import bind_symbols, evaluate

N, M = Var("N", least=1), Var("M", least=0)


def test_sizes_are_evaluated() -> None:
    """By NumPy's meaning of each operation, below zero, too."""
    for n, m in itertools.product(range(1, 5), range(4)):
        values = {N: n, M: m}
        assert evaluate(7, values) == 7
        assert evaluate(N, values) == n
        assert evaluate(build.index(3), values) == 3
        less = build.sub(M, N)
        for op, wanted in (
            (ops.ADD, less_of(n, m) + n),
            (ops.SUB, less_of(n, m) - n),
            (ops.MUL, less_of(n, m) * n),
            (ops.FLOORDIV, less_of(n, m) // n),
            (ops.MOD, less_of(n, m) % n),
            (ops.MIN, min(less_of(n, m), n)),
            (ops.MAX, max(less_of(n, m), n)),
        ):
            found = evaluate(Apply(op, (less, N)), values)
            assert found == wanted
            assert type(found) is int


def less_of(n: int, m: int) -> int:
    return m - n


def test_every_dimension_is_bound_by_the_first_shape_that_has_it() -> None:
    shapes = [(N, 3), (5,), (), (M, N, build.add(N, M))]
    assert bind_symbols(shapes, [(2, 3), (5,), (), (0, 2, 9)], "abcd") == {N: 2, M: 0}
    assert bind_symbols([], [], []) == {}


@pytest.mark.parametrize(
    ("shapes", "given", "message"),
    [
        (
            [(N,), (4, N)],
            [(2,), (4, 3)],
            "dimension N is 2 (by axis 0 of x) and 3 (by axis 1 of y)",
        ),
        ([(N, N)], [(2, 1)], "dimension N is 2 (by axis 0 of x) and 1 (by axis 1 of x)"),
        ([(3, N)], [(3, 0)], "dimension N is 0, but at least 1"),
    ],
)
def test_dimensions_that_do_not_fit(shapes: Any, given: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        bind_symbols(shapes, given, ["x", "y"][: len(shapes)])
    assert str(caught.value) == message
