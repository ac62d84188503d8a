"""Nests of many inputs in launches of few: the same values, and never too many buffers at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.fuse.options import FRAGMENT
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.split_inputs import split_inputs
from tilewright.ir.program import Nest, Program, Stage, map_steps, nests

ARRAYS = [numbers(5, 7, seed=k) for k in range(12)]


def total(a, b, c, d, e, f, g, h, i, j, k, m):
    return a + b + c + d + e + f + g + h + i + j + k + m


def stacked(a, b, c, d, e, f, g, h, i, j, k, m):
    return np.stack([a, b, c, d, e, f, g, h, i, j, k, m], 1)


def used_twice(a, b, c, d, e, f, g, h, i, j, k, m):
    return total(a, b, c, d, e, f, g, h, i, j, k, m) * np.maximum(
        np.maximum(np.maximum(a, b), np.maximum(c, d)) - np.maximum(e, f),
        np.maximum(np.maximum(g, h), np.maximum(i, j)) - np.maximum(k, m),
    )


def of_rows(a, b, c, d, e, f, g, h, i, j, k, m):
    return (a * b + c * d + e * f + g * h + i * j + k * m).sum(1) * 2


def of_columns(a, b, c, d, e, f, g, h, i, j, k, m):
    return total(a, b, c, d, e, f, g[:1], h[:1], i[:1], j[:, :1], k[:, :1], m[0, 0])


def chosen(a, b, c, d, e, f, g, h, i, j, k, m):
    return np.select([a > 0, b > 0, c > 0, d > 0, e > 0], [f, g, h, i, j], k) * m


def in_a_loop(a, b, c, d, e, f, g, h, i, j, k, m):
    return tw.loop(2, lambda n, s: total(a, b, c, d, e, f, g, h, i, j, k * n, s), m)[0]


def gathered(a, b, c, d, e, f, g, h, i, j, k, m):
    rows = np.abs(total(a, b, c, d, e, f, g, h, i, j, k, m)[:, 0]).astype(np.int32) % 5
    return m[rows] + total(a, b, c, d, e, f, g, h, i, j, k, m)[rows, 0][:, None]


def buffers_of(nest: Nest) -> set[Buffer]:
    loads = post_order([s.value for s in nest.stages])
    found = {n.source.root for n in loads if isinstance(n, Load) and isinstance(n.source, Buffer)}
    return (found | {s.target.root for s in nest.stages}) - set(nest.locals)


def split(program: Program, most: int) -> Program:
    steps = map_steps(
        program.steps, lambda s: split_inputs(s, most) if isinstance(s, Nest) else (s,)
    )
    own = {b for n in nests(steps) for b in buffers_of(n)}
    known = {*program.inputs, *program.outputs, *program.temporaries}
    known |= {buffer for buffer, _ in program.constants}
    made = tuple(own - known)
    return replace(program, steps=steps, temporaries=(*program.temporaries, *made))


FUNCTIONS = [total, stacked, used_twice, of_rows, of_columns, chosen, in_a_loop, gathered]


@pytest.mark.parametrize("most", [4, 5, 8, 9])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_launches_touch_few_buffers(function: Callable[..., Any], most: int) -> None:
    program = split(program_of(function, ARRAYS, FRAGMENT), most)
    assert max(len(buffers_of(nest)) for nest in nests(program.steps)) <= most
    (found,) = interpret_program(program, ARRAYS)
    np.testing.assert_array_equal(found, function(*ARRAYS))


def test_what_fits_stays_one_launch() -> None:
    (nest,) = nests(program_of(lambda a, b: a + b, ARRAYS[:2]).steps)
    assert split_inputs(nest, 3) == (nest,)


def test_few_parts_are_made() -> None:
    """Each as large as a launch allows: 12 arrays in two launches of eight buffers."""
    program = split(program_of(total, ARRAYS), 8)
    assert len(nests(program.steps)) == 2


def sums_of_rows(i: Var, elements: Size) -> Nest:
    """Of six arrays of both axes, times six of the points alone."""
    r = Var("r", elements)
    points = i.extent or 0
    each: list[Expr] = [Load(Buffer(f"x{k}", (points, 7), F32), (i, r)) for k in range(6)]
    once: list[Expr] = [Load(Buffer(f"y{k}", (points,), F32), (i,)) for k in range(6)]
    total = Buffer("total", (), F32, "scratch")
    value = build.mul(Load(total, ()), reduce(build.add, once))
    out = Buffer("out", (points,), F32)
    stages = (
        Stage((), (r,), "add", reduce(build.add, each), total, ()),
        Stage((), (), None, value, out, (i,)),
    )
    return Nest("n", (i,), stages, (total,))


@pytest.mark.parametrize(
    ("points", "elements", "shapes"),
    [
        (5, 7, {(5, 7), (5,)}),
        (5, Var("N"), {(5,)}),  # of the open axis no temporary is made
        (5, build.add(Var("M", least=1), build.index(1)), {(5,)}),
        (Var("N"), 7, set()),
    ],
)
def test_parts_over_open_axes_are_not_computed_ahead(
    points: Size, elements: Size, shapes: set[tuple[int, ...]]
) -> None:
    *ahead, _ = split_inputs(sums_of_rows(Var("i", points), elements), 4)
    assert {nest.stages[0].target.shape for nest in ahead} == shapes


def test_axes_that_grow_with_others_are_not_computed_ahead() -> None:
    i = Var("i", 5)
    *ahead, _ = split_inputs(sums_of_rows(i, build.add(i, build.index(1))), 4)
    assert all(len(nest.outer) == 1 for nest in ahead)


def test_what_is_computed_ahead_reads_most_and_is_the_least_to_do() -> None:
    """Of values that read the same arrays the deepest: the rest costs no launch of its own."""
    i = Var("i", 5)
    x = [Load(Buffer(f"x{k}", (5,), F32), (i,)) for k in range(7)]
    three = build.add(build.add(x[0], x[1]), x[2])
    two = build.mul(x[3], x[4])
    others = build.mul(x[5], x[6])
    value = reduce(build.add, (Apply(ops.NEG, (three,)), two, others))
    nest = Nest("n", (i,), (Stage((), (), None, value, Buffer("out", (5,), F32), (i,)),), ())
    first, *_ = split_inputs(nest, 4)
    (stage,) = first.stages
    assert isinstance(stage.value, Apply)
    assert stage.value.op is ops.ADD
    sources = {n.source.name for n in post_order((stage.value,)) if isinstance(n, Load)}
    assert sources == {"x0", "x1", "x2"}


def test_what_the_nest_makes_is_not_there_before_it() -> None:
    """Nor are indices stored: the elements that they choose are."""
    i, r = Var("i", 5), Var("r", 7)
    kept = Buffer("kept", (7,), F32, "scratch")
    some: list[Expr] = [Load(Buffer(f"x{k}", (5, 7), F32), (i, r)) for k in range(3)]
    made = build.add(Load(kept, (r,)), Load(Buffer("y", (5,), F32), (i,)))
    places = [build.cast(Load(Buffer(f"p{k}", (5, 7), I32), (i, r)), r.dtype) for k in range(2)]
    chosen = Load(Buffer("z", (7,), F32), (reduce(build.add, places),))
    out = Buffer("out", (5, 7), F32)
    stages = (
        Stage((r,), (), None, reduce(build.add, some), kept, (r,)),
        Stage((r,), (), None, build.add(made, chosen), out, (i, r)),
    )
    nest = Nest("n", (i,), stages, (kept,))
    *ahead, _ = split_inputs(nest, 3)
    assert len(ahead) == 2
    for earlier in ahead:
        (stage,) = earlier.stages
        assert stage.value.dtype is not r.dtype
        read = [n.source for n in post_order((stage.value,)) if isinstance(n, Load)]
        assert kept not in read


@pytest.mark.parametrize(
    "target",
    [pytest.param("wgsl", marks=pytest.mark.wgsl), pytest.param("glsl", marks=pytest.mark.glsl)],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_devices_bind_what_is_left(function: Callable[..., Any], target: str) -> None:
    tw.testing.check(tw.kernel(function), ARRAYS, targets=[target])
