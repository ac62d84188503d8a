"""Which nests are contractions, and what of them varies with rows and with columns."""

from __future__ import annotations

import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.contraction import match_contraction, unit_stride
from tilewright.ir.program import Nest, Stage

I, J, K, B = Var("i", 8), Var("j", 6), Var("k", 5), Var("b", 3)  # noqa: E741
LEFT, RIGHT = Buffer("left", (8, 5), F32), Buffer("right", (5, 6), F32)
ROWS, COLUMNS = Load(LEFT, (I, K)), Load(RIGHT, (K, J))


def nest(value: Expr, outer: tuple[Var, ...] = (I, J), reduced: tuple[Var, ...] = (K,)) -> Nest:
    total = Buffer("total", (), value.dtype)
    sizes: tuple[Size, ...] = tuple(a.extent or 0 for a in outer)
    out = Buffer("out", sizes, value.dtype)
    first = Stage((), reduced, "add", value, total, ())
    return Nest("n", outer, (first, Stage((), (), None, Load(total, ()), out, outer)), (total,))


def product(a: Expr, b: Expr) -> Expr:
    return Apply(ops.MUL, (a, b))


def test_a_matrix_product() -> None:
    found = match_contraction(nest(product(ROWS, COLUMNS)))
    assert found is not None
    assert (found.batch, found.rows, found.columns) == ((), (I,), (J,))
    assert (found.left, found.right) == ((ROWS,), (COLUMNS,))
    assert found.vanishes


def test_factors_may_be_computed() -> None:
    left = build.add(ROWS, build.const(1.0, F32))
    found = match_contraction(nest(product(left, COLUMNS)))
    assert found is not None
    assert found.left == (left,)


def test_casts_of_the_product_still_vanish() -> None:
    wide = Apply(ops.CAST, (product(ROWS, COLUMNS),), F64)
    found = match_contraction(nest(wide))
    assert found is None or found.vanishes


def test_axes_of_both_factors_are_a_batch() -> None:
    many, more = Buffer("m", (3, 8, 5), F32), Buffer("n", (3, 5, 6), F32)
    value = product(Load(many, (B, I, K)), Load(more, (B, K, J)))
    found = match_contraction(nest(value, (B, I, J)))
    assert found is not None
    assert (found.batch, found.rows, found.columns) == ((B,), (I,), (J,))


def test_what_both_factors_share_is_looked_at_once() -> None:
    """Forty sums of a value with itself: as a tree they would be 2**40 leaves."""
    value: Expr = build.add(ROWS, COLUMNS)
    for _ in range(40):
        value = Apply(ops.ADD, (value, value))
    found = match_contraction(nest(product(value, value)))
    if found is not None:
        assert found.left == (ROWS,)
        assert found.right == (COLUMNS,)


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        product(ROWS, ROWS),
        product(COLUMNS, COLUMNS),
        product(Load(Buffer("m", (8, 6), F32), (I, J)), ROWS),
    ],
)
def test_without_rows_or_columns_there_is_none(value: Expr) -> None:
    assert match_contraction(nest(value)) is None


def test_open_axes_and_no_axes_make_none() -> None:
    n = Var("N")
    open_row = Var("i", n)
    value = product(Load(Buffer("m", (n, 5), F32), (open_row, K)), COLUMNS)
    assert match_contraction(nest(value, (open_row, J))) is None
    assert match_contraction(nest(product(ROWS, COLUMNS), (), (I, J, K))) is None


def test_unit_stride_is_the_step_between_neighbours() -> None:
    assert unit_stride(ROWS, K)
    assert not unit_stride(ROWS, I)
    assert unit_stride(COLUMNS, J)
    assert not unit_stride(COLUMNS, K)
    assert not unit_stride(Load(LEFT, (I, build.mul(K, build.index(2)))), K)
