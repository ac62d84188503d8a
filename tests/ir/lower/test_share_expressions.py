"""Equal expressions become one node, and what only looks equal does not."""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, I64
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer, For, Store, statements
from tilewright.ir.lower.share_expressions import share_expressions

AXIS = Var("i", 4)
IN, OTHER, OUT = (Buffer(name, (4,), F32) for name in ("in", "other", "out"))


def shared(a: Expr, b: Expr) -> bool:
    """Whether the two are one after sharing, in different statements."""
    body = share_expressions([For(AXIS, "serial", [Store(OUT, (AXIS,), v) for v in (a, b)])])
    one, two = (s.value for s in statements(body) if isinstance(s, Store))
    return one is two


def doubled(buffer: Buffer, factor: float = 2.0) -> Expr:
    return Apply(ops.MUL, (Load(buffer, (AXIS,)), build.const(factor, F32)))


def test_equal_trees_are_one() -> None:
    assert shared(doubled(IN), doubled(IN))


def test_other_buffers_literals_and_operations_differ() -> None:
    assert not shared(doubled(IN), doubled(OTHER))
    assert not shared(doubled(IN, 0.0), doubled(IN, -0.0))
    assert not shared(doubled(IN), Apply(ops.ADD, doubled(IN).operands))
    zero = Load(IN, (build.index(0),))
    assert not shared(Load(IN, (AXIS,)), zero)
    assert shared(Load(IN, (build.index(0),)), zero)


def test_casts_to_other_dtypes_differ() -> None:
    narrow = build.cast(build.cast(Load(IN, (AXIS,)), I32), F32)
    assert not shared(narrow, Load(IN, (AXIS,)))
    assert shared(narrow, build.cast(build.cast(Load(IN, (AXIS,)), I32), F32))
    assert not shared(narrow, build.cast(build.cast(Load(IN, (AXIS,)), I64), F32))


def test_lanes_of_other_rows_or_by_another_operation_differ() -> None:
    rows = Buffer("rows", (2, 8), F32, "register")

    def reduced(op: ops.Op, row: int) -> Expr:
        return LaneReduce(op, rows, (build.index(row),))

    assert shared(reduced(ops.ADD, 0), reduced(ops.ADD, 0))
    assert not shared(reduced(ops.ADD, 0), reduced(ops.ADD, 1))
    assert not shared(reduced(ops.ADD, 0), reduced(ops.MAX, 0))
    others = Buffer("others", (2, 8), F32, "register")
    assert not shared(reduced(ops.ADD, 0), LaneReduce(ops.ADD, others, (build.index(0),)))


def test_equal_literals_of_two_dtypes_differ() -> None:
    flag = build.bitcast(build.const(0, I32), F32)
    assert not shared(Apply(ops.ADD, (flag, build.const(0, F32))), Apply(ops.ADD, (flag, flag)))
    one, other = (build.cast(Apply(ops.NEG, (build.const(1, d),)), F32) for d in (I32, I64))
    assert not shared(one, other)
