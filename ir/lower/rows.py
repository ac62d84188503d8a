"""Loops over the rows of a tensor along one axis, spread over tasks."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.expr import Apply, Expr, Size, Var
from tilewright.ir.kernel import Buffer, For, Stmt


class Rows(Struct, frozen=True):
    """The rows of a row-major tensor along `axis`: ``outer × inner`` rows of `length` elements."""

    outer: Size
    length: Size
    inner: Size

    @classmethod
    def of(cls, shape: tuple[Size, ...], axis: int) -> Rows:
        return cls(build.product(shape[:axis]), shape[axis], build.product(shape[axis + 1 :]))

    @property
    def count(self) -> Size:
        return build.size_mul(self.outer, self.inner)

    def view(self, buffer: Buffer) -> Buffer:
        """`buffer` as ``[outer, element, inner]``."""
        shape = (self.outer, self.length, self.inner)
        return Buffer(buffer.name, shape, buffer.dtype, buffer.space, base=buffer)

    def at(self, row: Expr, element: Expr) -> tuple[Expr, Expr, Expr]:
        """Indices into a view of one element of row number `row`."""
        inner = build.index(self.inner)
        return build.floordiv(row, inner), element, build.mod(row, inner)


Body = Callable[[Expr, Expr], list[Stmt]]


def over_rows(count: Size, tasks: int, body: Body) -> list[Stmt]:
    """``body(task, row)`` for every row: `tasks` runs of neighbouring rows, one task each."""
    if tasks == 1:
        row = Var("row", count)
        return [For(row, "serial", body(build.index(0), row))]
    each = ceiling_of(count, tasks)
    task = Var("task", tasks)
    first = build.mul(task, build.index(each))
    left = build.sub(build.index(count), first)
    row = Var("row", build.minimum(build.index(each), left))
    return [For(task, "parallel", [For(row, "serial", body(task, build.add(first, row)))])]


def floor_of(count: Size, parts: int) -> Size:
    """`count` (not negative) divided by `parts`, rounded down."""
    if isinstance(count, int):
        return count // parts
    # Extents of loops are not legalised: a quotient of non-negative operands is legal already.
    return Apply(ops.QUO, (count, build.index(parts)))


def ceiling_of(count: Size, parts: int) -> Size:
    """`count` (not negative) divided by `parts`, rounded up."""
    return floor_of(build.size_add(count, parts - 1), parts)
