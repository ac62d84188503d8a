"""What a kernel is handed: the sizes that its addresses depend on, too."""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Buffer, For, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.verify.kernel import verify_kernel

ROWS, COLUMNS, STEP = Var("rows"), Var("columns"), Var("step")


def test_an_open_size_that_only_a_stride_holds_is_a_symbol() -> None:
    source, target = Buffer("x", (9, COLUMNS), F32), Buffer("y", (9,), F32)
    row = Var("i", 9)
    body = [For(row, "serial", [Store(target, (row,), Load(source, (row, build.index(0))))])]
    kernel = finish_kernel("column", body, ())
    assert kernel.symbols == (COLUMNS,)
    verify_kernel(kernel)


def test_given_strides_and_the_shapes_of_views_count() -> None:
    whole = Buffer("x", (build.size_mul(ROWS, COLUMNS),), F32)
    view = Buffer("v", (ROWS, Apply(ops.MUL, (COLUMNS, build.index(1)))), F32, base=whole)
    target = Buffer("y", (9, 9), F32, strides=(STEP, 1))
    corner = (build.index(0), build.index(0))
    kernel = finish_kernel("corner", [Store(target, corner, Load(view, corner))], ())
    assert set(kernel.symbols) == {ROWS, COLUMNS, STEP}
