"""Keys of expressions: equal for what computes the same, different for everything else."""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, I64
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.structure import Keys

I, J = Var("i", 4), Var("j", 4)  # noqa: E741
A, B = Buffer("a", (4,), F32), Buffer("b", (4,), F32)
ROWS, OTHERS = (Buffer(n, (2, 8), F32, "register") for n in ("rows", "others"))
ZERO, ONE = build.index(0), build.index(1)


def different() -> list[Expr]:
    return [
        *(build.const(0.0, F32), build.const(-0.0, F32), build.const(1, I32), build.const(1, I64)),
        *(I, J, ZERO, ONE, Load(A, (I,)), Load(B, (I,)), Load(A, (J,)), Load(A, (ZERO,))),
        *(Apply(ops.ADD, (I, J)), Apply(ops.ADD, (J, I)), Apply(ops.SUB, (I, J))),
        *(build.cast(Load(A, (I,)), d) for d in (I32, I64)),
        *(LaneReduce(op, ROWS, (ZERO,)) for op in (ops.ADD, ops.MAX)),
        *(LaneReduce(ops.ADD, ROWS, (ONE,)), LaneReduce(ops.ADD, OTHERS, (ZERO,))),
        *(Load(ROWS, (ZERO, ZERO)), Load(ROWS, (ZERO, ONE))),
    ]


def test_what_differs_has_another_key() -> None:
    keys = Keys()
    assert len({keys.of(node, {}) for node in different()}) == len(different())


def test_what_is_equal_has_the_same_key() -> None:
    keys = Keys()
    assert [keys.of(node, {}) for node in different()] == [keys.of(n, {}) for n in different()]


def test_variables_and_sources_stand_for_what_they_map_to() -> None:
    keys = Keys()
    assert keys.of(Load(A, (I,)), {I: 0}) == keys.of(Load(A, (J,)), {J: 0})
    assert keys.of(Load(A, (I,)), {I: 0}) != keys.of(Load(A, (J,)), {J: 1})
    assert keys.of(Load(A, (I,)), {}, {A: B}) == keys.of(Load(B, (I,)), {})


def test_a_size_is_its_literal() -> None:
    keys = Keys()
    assert keys.of_size(3) == keys.of_size(build.index(3))
    assert keys.of_size(3) != keys.of_size(4)
    assert keys.of_size(I) == keys.of(I, {})
