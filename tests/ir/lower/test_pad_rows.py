"""Odd rows that are computed as if they were longer: which are, and that nobody notices."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Expr, Load, Size, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.pad_rows import pad_rows
from tilewright.ir.program import Copy, Nest, Program, Repeat, Stage, Step

WIDE = 24


def taps(source: Buffer, target: Buffer, count: int, columns: Size | None = None) -> Nest:
    """Sums of so many neighbours: ``source[i, j] + … + source[i, j + count - 1]``."""
    rows, width = target.shape
    i, j = Var("i", rows), Var("j", columns if columns is not None else width)
    value: Expr = Load(source, (i, j))
    for k in range(1, count):
        value = build.add(value, Load(source, (i, build.add(j, build.index(k)))))
    return Nest("taps", (i, j), (Stage((), (), None, value, target, (i, j)),), ())


def buffers(width: int) -> tuple[Buffer, Buffer]:
    return Buffer("x", (3, WIDE), F32), Buffer("y", (3, width), F32)


def same_results(before: tuple[Step, ...], after: tuple[Step, ...], x: Buffer, y: Buffer) -> None:
    """Of steps that make `y` of `x`."""
    array = np.random.default_rng(0).integers(-9, 9, (3, WIDE)).astype(np.float32)
    found = []
    for steps in (before, after):
        stored = {
            s.target.root for n in _nests(steps) for s in n.stages if s.target not in n.locals
        }
        temporaries = tuple(stored - {y})
        program = Program("p", (), (x,), (y,), (), temporaries, steps)
        found.append(interpret_program(program, [array])[0])
    np.testing.assert_array_equal(found[0], found[1])


def _nests(steps: tuple[Step, ...]) -> list[Nest]:
    inner = [n for s in steps if isinstance(s, Repeat) for n in _nests(s.steps)]
    return [*(s for s in steps if isinstance(s, Nest)), *inner]


@pytest.mark.parametrize("width", range(2, 10))
def test_rows_of_an_odd_length_are_padded_where_four_loads_gain_by_it(width: int) -> None:
    for count in (1, 3, 4, 5):
        x, y = buffers(width)
        steps = (taps(x, y, count),)
        padded = pad_rows(steps, {x, y})
        # The first load of each row is as odd as the others.
        assert (padded is not steps and len(padded) == 2) == (width % 4 != 0 and count >= 4)
        if len(padded) == 2:
            first, packed = padded
            assert isinstance(first, Nest)
            assert isinstance(packed, Nest)
            longer = -(-width // 4) * 4
            assert [a.extent for a in first.outer] == [3, longer]
            assert first.stages[-1].target.shape == (3, longer)
            assert packed.stages[-1].target is y
        same_results(steps, padded, x, y)


def test_points_of_reductions_count() -> None:
    x, y = buffers(5)
    i, j = Var("i", 3), Var("j", 5)
    for points, pays in ((3, False), (4, True)):
        r, local = Var("r", points), Buffer("l", (), F32, "scratch")
        value = Load(x, (i, build.add(j, r)))
        stages = (
            Stage((), (r,), "add", value, local, ()),
            Stage((), (), None, Load(local, ()), y, (i, j)),
        )
        steps = (Nest("n", (i, j), stages, (local,)),)
        padded = pad_rows(steps, {x, y})
        assert (len(padded) == 2) == pays
        same_results(steps, padded, x, y)


def test_what_reads_padded_rows_reads_them_where_they_are() -> None:
    x, y = buffers(4)
    z = Buffer("z", (3, 7), F32)
    i, j = Var("i", 3), Var("j", 4)
    last = Load(z, (i, build.add(j, build.index(3))))
    reader = Nest("r", (i, j), (Stage((), (), None, last, y, (i, j)),), ())
    steps = (taps(x, z, 4), reader)
    padded = pad_rows(steps, {x, y})
    assert len(padded) == 2  # nobody needs the packed rows
    same_results(steps, padded, x, y)
    again = pad_rows((taps(x, z, 4), Repeat(Var("n", 2), (reader,))), {x, y})
    assert len(again) == 2
    same_results(steps, again, x, y)
    copied = Buffer("c", (3, 7), F32)
    assert len(pad_rows((taps(x, z, 4), Copy(z, copied)), {x, copied})) == 3
    assert len(pad_rows(steps, {x, y, z})) == 3


def storing(nest: Nest, target: Buffer, *indices: Expr) -> Nest:
    (stage,) = nest.stages
    return Nest("n", nest.outer, (replace(stage, target=target, indices=indices),), ())


def test_other_rows_stay() -> None:
    x, y = buffers(5)
    nest = taps(x, y, 4)
    i, j = nest.outer
    assert len(pad_rows((nest,), {x, y})) == 2
    part, view = Buffer("y", (3, 6), F32), Buffer("v", (3, 5), F32, base=Buffer("b", (15,), F32))
    opened, empty = Buffer("y", (Var("N"), 5), F32), Buffer("y", (0, 5), F32)
    for steps in (
        (nest, taps(x, y, 1)),
        (taps(x, view, 4),),
        (taps(x, part, 4, columns=5),),
        (storing(nest, y, i, build.index(4)),),
        (storing(nest, Buffer("y", (3, 9), F32), i, build.add(j, j)),),
        (storing(nest, Buffer("y", (5, 4), F32), j, i),),
        (storing(nest, Buffer("y", (5,), F32), j),),
        (taps(x, opened, 4),),
        (taps(Buffer("x", (0, WIDE), F32), empty, 4),),
        (taps(x, Buffer("y", (3, 5), F32, base=Buffer("b", (15,), F32)), 4),),
        (storing(nest, Buffer("y", (3, 5), F32), i, Var("m", 5)),),
        (taps(x, Buffer("y", (3, Var("M", least=1)), F32), 4),),
    ):
        assert pad_rows(steps, {x, y}) == steps
