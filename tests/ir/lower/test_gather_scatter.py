"""Scatters as steps that gather: by looking through all updates, and by sorting them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.index_expressions import value_at
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32, I32, INDEX
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.gather_scatter import gather_scatter, is_searched
from tilewright.ir.lower.gather_updates import gather_updates
from tilewright.ir.lower.scatter_axes import ScatterAxes, scatter_axes, unravelled
from tilewright.ir.lower.sort_updates import sort_updates
from tilewright.ir.program import Ordered, Program, SortRows, Step, map_steps, nests
from tilewright.ir.verify import verify_program


def places(limit: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(limit).integers(0, limit, shape).astype(np.int32)


def add(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    np.add.at(x, i, v)
    return x


def replace_at(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    x[i] = v
    return x


def largest(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    np.maximum.at(x, i, v)
    return x


def add_columns(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    everywhere: Any = slice(None)
    np.add.at(x, (everywhere, i), v)
    return x


def replace_middle(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    x[:, i] = v
    return x


def add_at_two(x: Any, i: Any, j: Any, v: Any) -> Any:
    x = x.copy()
    np.add.at(x, (i, j), v)
    return x


def add_at_grid(x: Any, i: Any, j: Any, v: Any) -> Any:
    x = x.copy()
    np.add.at(x, (i[:, None], j[None]), v)
    return x


def replace_on_diagonal(x: Any, i: Any, v: Any) -> Any:
    x = x.copy()
    x[i, np.arange(6)] = v
    return x


SCATTERS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "sums": (add, (numbers(7), places(7, 33), numbers(33))),
    "last ones": (replace_at, (numbers(40), places(40, 33), numbers(33))),
    "maxima": (largest, (numbers(7), places(7, 33), numbers(33))),
    "rows of sums": (add, (numbers(7, 5), places(7, 33), numbers(33, 5))),
    "last rows": (replace_at, (numbers(9, 5), places(9, 33), numbers(33, 5))),
    "columns": (add_columns, (numbers(5, 7), places(7, 33), numbers(5, 33))),
    "between": (replace_middle, (numbers(3, 9, 4), places(9, 6), numbers(3, 6, 4))),
    "two indices": (add_at_two, (numbers(3, 4), places(3, 50), places(4, 50), numbers(50))),
    "grid": (add_at_grid, (numbers(6, 7), places(6, 3), places(7, 5), numbers(3, 5))),
    "many axes of updates": (add, (numbers(4), places(4, 3, 3), numbers(3, 3))),
    "one update": (add, (numbers(1), places(1, 1), numbers(1))),
    "narrow": (add, (numbers(5, dtype=np.int8), places(5, 300), numbers(300, dtype=np.int8))),
    "an axis twice": (replace_on_diagonal, (numbers(5, 6), places(5, 6), numbers(6))),
}


def ordered(program: Program) -> Ordered:
    return next(step for step in program.steps if isinstance(step, Ordered))


def gathered(program: Program, how: Callable[[Ordered, ScatterAxes], Any]) -> Program:
    """`program` with its scatters replaced."""

    def gather(step: Step) -> tuple[Step, ...]:
        if not isinstance(step, Ordered):
            return (step,)
        made = how(step, scatter_axes(step))
        return made if isinstance(made, tuple) else (made,)

    steps = map_steps(program.steps, gather)
    known = {b.root for b in (*program.inputs, *program.outputs, *program.temporaries)}
    known |= {b for b, _ in program.constants}
    stages = [s for n in nests(steps) for s in n.stages if s.target not in n.locals]
    targets = [s.target for s in stages] + [s.target for s in steps if isinstance(s, SortRows)]
    written = dict.fromkeys(t.root for t in targets if t.root not in known)
    found = replace(program, steps=steps, temporaries=(*program.temporaries, *written))
    verify_program(found)
    return found


@pytest.mark.parametrize("how", [gather_updates, sort_updates])
@pytest.mark.parametrize("name", SCATTERS)
def test_the_same_as_numpy(name: str, how: Callable[[Ordered, ScatterAxes], Any]) -> None:
    function, arrays = SCATTERS[name]
    program = gathered(program_of(function, arrays), how)
    found, *_ = interpret_program(program, arrays)
    np.testing.assert_array_equal(found, function(*arrays))


@pytest.mark.parametrize(
    ("name", "straight", "updates"),
    [
        ("sums", (), (33,)),
        ("rows of sums", (5,), (33,)),
        ("columns", (5,), (33,)),
        ("between", (3, 4), (6,)),
        ("grid", (), (3, 5)),
        ("an axis twice", (), (6,)),
    ],
)
def test_axes_that_need_no_search(
    name: str, straight: tuple[int, ...], updates: tuple[int, ...]
) -> None:
    axes = scatter_axes(ordered(program_of(*SCATTERS[name])))
    assert tuple(a.extent for a in axes.straight) == straight
    assert tuple(a.extent for a in axes.updates) == updates


def scatter(elements: int, updates: int) -> Ordered:
    target, index = Buffer("x", (elements,), F32), Buffer("i", (updates,), I32)
    axis = Var("u", updates)
    place = build.cast(Load(index, (axis,)), INDEX)
    return Ordered("scatter", (axis,), target, (place,), build.const(1.0, target.dtype), "add")


@pytest.mark.parametrize(
    ("elements", "updates", "searched"),
    [
        *((1000, 1000, True), (256, 2_000_000, True), (64_000, 20_000, False)),
        # 2**27 comparisons, and then as many as sorting takes: 16 for each of 20² / 2 passes.
        *((1 << 14, 1 << 13, True), ((1 << 14) + 1, 1 << 13, False)),
        *((3200, (1 << 20) - 1, True), (3201, (1 << 20) - 1, False), (3528, 1 << 20, True)),
    ],
)
def test_large_scatters_are_sorted(elements: int, updates: int, searched: bool) -> None:
    step = scatter(elements, updates)
    assert is_searched(scatter_axes(step)) is searched
    assert any(isinstance(made, SortRows) for made in gather_scatter(step)) is not searched


def test_axes_are_digits_of_a_position() -> None:
    for shape in ((5,), (3, 4), (2, 1, 3), (1, 2)):
        axes = tuple(Var(f"a{k}", size) for k, size in enumerate(shape))
        position = Var("p")
        digits = unravelled(axes, position)
        for number in range(int(np.prod(shape))):
            found = [value_at(digits[a], {position: number}) for a in axes]
            assert tuple(found) == np.unravel_index(number, shape)
    assert unravelled((), build.index(0)) == {}


def large_sum(i: Any, v: Any) -> Any:
    total = np.zeros((3000, 2), np.float32)
    np.add.at(total, i, v)
    return total


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=getattr(pytest.mark, t)) for t in ("wgsl", "glsl")]
)
def test_more_updates_than_a_loop_may_have_rounds(target: str) -> None:
    """Mesa's software devices leave any loop after 65535 rounds."""
    index, values = places(3000, 66_000), numbers(66_000, 2)
    found = tw.kernel(target=target)(large_sum)(index, values)
    np.testing.assert_array_equal(found, large_sum(index, values))
