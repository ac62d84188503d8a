"""How far accesses move along axes, how many points and operations a nest has."""

from __future__ import annotations

import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, INDEX
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import (
    accesses,
    depends,
    flat,
    free_positions,
    operations,
    points,
    work,
)
from tilewright.ir.program import Nest, Stage

I, J, R, N = Var("i", 4), Var("j", 6), Var("r", 3), Var("N")  # noqa: E741
SOURCE, OUT = Buffer("s", (4, 6, 3), F32), Buffer("o", (4, 6), F32)
LOCAL = Buffer("l", (), F32, "scratch")
TABLE, PLACES = Buffer("t", (9,), F32), Buffer("p", (4,), I32)
STRIDED = Buffer("w", (4, 6), F32, strides=(20, 2))


def nest(*stages: Stage, outer: tuple[Var, ...] = (I, J)) -> Nest:
    return Nest("n", outer, stages, (LOCAL,))


def test_loads_and_stores_of_memory() -> None:
    element, place = Load(SOURCE, (I, J, R)), build.cast(Load(PLACES, (I,)), INDEX)
    gathered = Load(TABLE, (place,))
    twice = build.add(element, build.mul(Load(SOURCE, (I, J, R)), gathered))
    sums = Stage((), (R,), "add", twice, LOCAL, ())
    last = Stage((), (), None, Load(LOCAL, ()), OUT, (I, J))
    found = accesses(nest(sums, last))
    shown = [(a.buffer, a.is_store, a.stage) for a in found]
    assert shown == [
        *((SOURCE, False, sums), (PLACES, False, sums), (TABLE, False, sums), (OUT, True, last)),
    ]
    assert [found[0].stride(a) for a in (I, J, R)] == [18, 3, 1]
    assert [found[3].stride(a) for a in (I, J, R)] == [6, 1, 0]
    assert found[2].stride(I) is None
    assert found[2].stride(J) == 0


def test_offsets_are_those_of_the_buffer() -> None:
    assert flat(OUT, (I, J)).terms == {I: 6, J: 1}
    assert flat(STRIDED, (I, J)).terms == {I: 20, J: 2}
    moved = flat(OUT, (build.add(I, build.index(1)), build.sub(build.index(5), J)))
    assert (moved.terms, moved.constant) == ({I: 6, J: -1}, 11)


def test_points_and_work() -> None:
    assert points(()) == 1
    assert points((I, J)) == 24
    assert points((I, Var("k", N))) == 4 * 1024
    assert points((I, Var("k", build.minimum(N, build.index(10))))) == 4 * 10
    value = Apply(ops.EXP, (build.mul(Load(SOURCE, (I, J, R)), build.const(2, F32)),))
    assert operations(value) == ops.EXP.cost + ops.MUL.cost
    assert operations(Load(TABLE, (build.mul(I, build.index(2)),))) == 0
    sums = Stage((), (R,), "add", value, LOCAL, ())
    maps = Stage((Var("k", 5),), (), None, Load(LOCAL, ()), OUT, (I, J))
    assert work(nest(sums)) == 24 * 3 * (1 + operations(value))
    assert work(nest(sums, maps)) == work(nest(sums)) + 24 * 5


def test_axes_that_are_data() -> None:
    value = build.add(build.cast(J, F32), Load(SOURCE, (I, J, R)))
    stage = Stage((), (R,), "add", value, LOCAL, ())
    (form,) = free_positions(nest(stage))
    assert (form.coefficient(J), form.coefficient(I)) == (1, 0)
    assert not list(free_positions(nest(Stage((), (), None, Load(OUT, (I, J)), OUT, (I, J)))))


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [(J, False), (Var("k", I), True), (Var("k", build.add(I, N)), True), (Var("k", N), False)],
)
def test_axes_as_long_as_another_one_says(axis: Var, wanted: bool) -> None:
    assert depends(axis, I) == wanted
