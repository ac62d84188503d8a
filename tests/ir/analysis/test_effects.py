"""What steps read and write, and in which order."""

from __future__ import annotations

import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.effects import Effect, effects
from tilewright.ir.dtypes import BOOL, F32
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer, For, If, Kernel, Stmt, Store, WhileLoop
from tilewright.ir.program import Copy, Launch, Nest, Ordered, Repeat, SortRows, Stage, Step

A, B, C, D = (Buffer(name, (4,), F32) for name in "abcd")
PART = Buffer("part", (2, 2), F32, base=A)
FLAG = Buffer("flag", (), BOOL)
LANES = Buffer("lanes", (4,), F32, "register")
I = Var("i", 4)  # noqa: E741
READ, WRITTEN = False, True


def load(buffer: Buffer) -> Expr:
    return Load(buffer, (build.index(0),) * len(buffer.shape))


def place(buffer: Buffer) -> Expr:
    """An index that is read."""
    return build.cast(load(buffer), build.index(0).dtype)


def found(step: Step) -> list[Effect]:
    return list(dict.fromkeys(effects(step)))


def test_a_nest_reads_places_and_values_before_it_writes() -> None:
    first = Stage((), (), None, load(A), B, (I,))
    second = Stage((), (), None, build.add(load(B), load(PART)), D, (place(C),))
    steps = found(Nest("n", (I,), (first, second), (B,)))
    assert steps[:3] == [(A, READ), (B, WRITTEN), (B, READ)]
    assert set(steps[3:]) == {(C, READ), (D, WRITTEN)}
    assert steps[-1] == (D, WRITTEN)
    assert found(Nest("n", (), (Stage((), (), None, load(B), PART, (I, I)),), ())) == [
        (B, READ),
        (A, WRITTEN),
    ]


def test_an_ordered_step_keeps_what_it_does_not_write() -> None:
    step = Ordered("o", (I,), PART, (place(B), I), load(C), None)
    assert found(step)[-2:] == [(A, READ), (A, WRITTEN)]
    assert set(found(step)[:-2]) == {(B, READ), (C, READ)}


def test_copies_and_sorts() -> None:
    for step in (Copy(PART, B), SortRows("s", PART, B, 1, False)):
        assert found(step) == [(A, READ), (B, WRITTEN)]


def test_statements_of_a_launch_in_order() -> None:
    total = LaneReduce(ops.ADD, LANES)
    body: tuple[Stmt, ...] = (
        Store(LANES, (I,), load(A)),
        For(
            I, "serial", [If(load(FLAG), [Store(B, (place(C),), total)], [Store(D, (I,), load(B))])]
        ),
        WhileLoop(load(FLAG), [Store(PART, (I, I), load(D))]),
    )
    kernel = Kernel("k", (A, B, C, D, FLAG), (), (LANES,), body)
    first_uses = [
        *((A, READ), (LANES, WRITTEN), (FLAG, READ)),
        *((LANES, READ), (C, READ), (B, WRITTEN), (B, READ), (D, WRITTEN), (D, READ), (A, WRITTEN)),
    ]
    assert sorted(map(repr, found(Launch(kernel)))) == sorted(map(repr, first_uses))
    uses = found(Launch(kernel))
    for before, after in (
        ((A, READ), (LANES, WRITTEN)),
        ((LANES, READ), (B, WRITTEN)),
        ((C, READ), (B, WRITTEN)),
        ((B, WRITTEN), (B, READ)),
        ((B, READ), (D, WRITTEN)),
        ((D, WRITTEN), (D, READ)),
        ((D, READ), (A, WRITTEN)),
    ):
        assert uses.index(before) < uses.index(after)


def test_a_repeat_has_the_effects_of_its_steps() -> None:
    with pytest.raises(IRError, match="the effects of a Repeat are those of its steps"):
        list(effects(Repeat(I, (Copy(A, B),))))
