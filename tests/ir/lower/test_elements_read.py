"""Which elements of a temporary along an axis a program reads."""

from __future__ import annotations

import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F32, INDEX
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.elements_read import elements_read
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
)

X, OUT, OTHER = (Buffer(name, (20, 6), F32) for name in ("x", "out", "other"))
MADE, FLAG = Buffer("made", (20, 6), F32), Buffer("flag", (), BOOL)
VIEW = Buffer("view", (120,), F32, base=MADE)
I, J, OPEN = Var("i", 5), Var("j", 6), Var("N")  # noqa: E741
AT = build.add(I, build.index(3))


def read(index: Expr, buffer: Buffer = MADE) -> Expr:
    return Load(buffer, (index, J) if len(buffer.shape) > 1 else (index,))


def nest(value: Expr, *indices: Expr) -> Nest:
    stage = Stage((), (), None, value, OUT, indices or (I, J))
    return Nest("n", (I, J), (stage,), ())


def ordered(value: Expr, *indices: Expr) -> Ordered:
    return Ordered("o", (I, J), OUT, indices or (I, J), value, None)


def place(buffer: Buffer) -> Expr:
    return build.cast(read(AT, buffer), INDEX)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ((nest(read(I)),), (0, 4)),
        ((nest(read(AT)),), (3, 7)),
        ((nest(read(AT)), nest(read(build.index(11)))), (3, 11)),
        ((nest(read(I, X)),), None),
        ((nest(read(I, X), place(MADE), J),), (3, 7)),
        ((ordered(read(AT)),), (3, 7)),
        ((ordered(read(I, X), place(MADE), J),), (3, 7)),
        ((Repeat(Var("n", 2), (nest(read(AT)),)),), (3, 7)),
        ((RepeatWhile((nest(read(AT)),), FLAG, (nest(read(I)),)),), (0, 7)),
        ((nest(read(AT)), Copy(X, MADE)), (3, 7)),
        ((nest(read(AT)), Copy(MADE, OTHER)), None),
        ((nest(read(AT)), SortRows("s", MADE, OTHER, 0, False)), None),
        ((nest(read(AT)), nest(read(I, VIEW))), None),
        ((nest(read(build.mul(I, OPEN))),), None),
        ((nest(read(build.maximum(OPEN, build.index(0)))),), None),
    ],
)
def test_elements_that_are_read(steps: tuple[Step, ...], wanted: tuple[int, int] | None) -> None:
    program = Program("p", (OPEN,), (X,), (OUT,), (), (MADE, OTHER, FLAG), steps)
    assert elements_read(program, MADE, 0) == wanted
    if wanted is not None:
        assert elements_read(program, MADE, 1) == (0, 5)
    seen = Program("p", (OPEN,), (X,), (OUT, MADE), (), (OTHER, FLAG), steps)
    assert elements_read(seen, MADE, 0) is None


def test_the_condition_of_a_loop_is_read_as_a_whole() -> None:
    program = Program("p", (), (X,), (OUT,), (), (FLAG,), (RepeatWhile((), FLAG, ()),))
    assert elements_read(program, FLAG, 0) is None
