"""State of loops in one buffer: where that can be, and never where an old element is still read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.analysis.effects import effects
from tilewright.ir.dtypes import I32, INDEX
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.fuse.options import FRAGMENT, WORKGROUP
from tilewright.ir.fuse.update_in_place import update_in_place
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Copy, Nest, Ordered, Program, Repeat, SortRows, Stage
from tilewright.ir.program import Step as ProgramStep
from tilewright.ir.verify import verify_program

A, B = (numbers(9, 9, dtype=np.int32, seed=s) for s in (0, 1))
Step = Callable[..., Any]


def more(_: Any, a: Any, b: Any) -> Any:
    return a + 1, b * 2


def pivot_row(k: Any, a: Any, b: Any) -> Any:
    """The row k of both is read by all rows."""
    return a - b[:, k][:, None] * a[k], b


def outer_of_itself(k: Any, a: Any, b: Any) -> Any:
    return a - a[:, k][:, None] * a[k][None, :], b


def added_up(k: Any, a: Any, b: Any) -> Any:
    """A product with a few rows of the state itself."""
    return a + b[:, :2] @ a[:2], b


def scattered(k: Any, a: Any, b: Any) -> Any:
    c = a.copy()
    c[k] = b[k]
    return c, b


def sums_before(k: Any, a: Any, b: Any) -> Any:
    return a + np.sum(a, dtype=np.int32), b


IN_PLACE = (more, pivot_row, outer_of_itself, added_up, scattered, sums_before)


def flipped(_: Any, a: Any, b: Any) -> Any:
    return a[::-1] + 1, b


def neighbours(_: Any, a: Any, b: Any) -> Any:
    return a + np.roll(a, 1, axis=0), b


def read_later(_: Any, a: Any, b: Any) -> Any:
    """The sum of the old state is taken behind the product that reads the new one."""
    return a + b, (a + b) @ b + np.roll(a, 1)


def multiplied(_: Any, a: Any, b: Any) -> Any:
    return a @ b - a @ b // 8 * 8, b


def exchanged(_: Any, a: Any, b: Any) -> Any:
    return b + 1, a


APART = (flipped, neighbours, read_later, multiplied, exchanged)


def looped(step: Step, count: int) -> Callable[..., Any]:
    def run(a: Any, b: Any) -> Any:
        return tw.loop(count, step, a, b)

    return run


def repeats(program: Program) -> list[Repeat]:
    return [s for s in program.steps if isinstance(s, Repeat)]


@pytest.mark.parametrize("step", IN_PLACE)
def test_one_buffer_and_no_pairs_of_rounds(step: Step) -> None:
    (repeat,) = repeats(program_of(looped(step, 5), [A, B]))
    assert repeat.counter.extent == 5
    assert not any(isinstance(s, Copy) for s in repeat.steps)


@pytest.mark.parametrize("step", APART)
def test_two_buffers_where_old_elements_are_read(step: Step) -> None:
    (repeat,) = repeats(program_of(looped(step, 5), [A, B]))
    assert repeat.counter.extent == 2


@pytest.mark.parametrize(
    ("shape", "in_place"),
    [
        ((8, 8), True),
        ((9, 7), False),  # 63 elements: two buffers are no more work than a copy of some
        ((2, 32), True),  # half of them
        ((32, 2), True),
        ((2, 31), False),
        ((4, 4, 4), True),
    ],
)
def test_few_elements_of_a_large_state_are_copied_first(
    shape: tuple[int, ...], in_place: bool
) -> None:
    def first_is_taken(_: Any, a: Any, b: Any) -> Any:
        return a - 3 * a[0], b

    a = numbers(*shape, dtype=np.int32)
    program = program_of(looped(first_is_taken, 6), [a, a])
    (repeat,) = repeats(program)
    assert repeat.counter.extent == (6 if in_place else 3)
    expected = looped(first_is_taken, 6)(a.copy(), a)
    for found, want in zip(interpret_program(program, [a, a]), expected, strict=True):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("step", [*IN_PLACE, *APART])
def test_the_result_is_the_same(step: Step, count: int) -> None:
    program = program_of(looped(step, count), [A, B])
    verify_program(program, strict=True)
    expected = looped(step, count)(A.copy(), B.copy())
    for found, want in zip(interpret_program(program, [A, B]), expected, strict=True):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("shape", [(7, 7), (16, 16), (33, 33), (130, 130)])
@pytest.mark.parametrize("step", [*IN_PLACE, *APART])
def test_machine_code_does_the_same(step: Step, shape: tuple[int, int]) -> None:
    a, b = (numbers(*shape, dtype=np.int32, seed=s) for s in (2, 3))
    found = tw.kernel(looped(step, 3))(a, b)
    expected = looped(step, 3)(a.copy(), b.copy())
    for made, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(made, want)


def test_loops_without_a_known_number_of_rounds() -> None:
    def halved(a: Any, b: Any) -> Any:
        return tw.while_loop(lambda a, b: a.max() > 1, lambda a, b: (a // 2, b + a), a, b)

    program = program_of(halved, [A, B])
    expected = halved(A, B)
    for found, want in zip(interpret_program(program, [A, B]), expected, strict=True):
        np.testing.assert_array_equal(found, want)


def test_inner_loops_leave_the_outer_state_in_place() -> None:
    def nested(a: Any, b: Any) -> Any:
        def outer(k: Any, a: Any, b: Any) -> Any:
            (c,) = tw.loop(3, lambda j, c: c + b[j], a[k])
            return a + c, b

        return tw.loop(4, outer, a, b)

    program = program_of(nested, [A, B])
    (repeat,) = repeats(program)
    assert not any(isinstance(s, Copy) for s in repeat.steps)
    np.testing.assert_array_equal(interpret_program(program, [A, B])[0], nested(A, B)[0])


def test_a_state_that_nothing_else_reads_is_not_copied_before_the_first_round() -> None:
    def run(a: Any) -> Any:
        start = a * 3
        return tw.loop(4, lambda _, s: s * 2, start)[0]

    def read_twice(a: Any) -> Any:
        start = a * 3
        return (
            tw.loop(4, lambda _, s: s * 2, start)[0],
            start,
            *tw.loop(3, lambda _, s: s + 1, start),
        )

    assert [type(s) for s in program_of(run, [A]).steps] == [Nest, Repeat, Nest]
    program = program_of(read_twice, [A])
    for found, want in zip(interpret_program(program, [A]), read_twice(A), strict=True):
        np.testing.assert_array_equal(found, want)


def test_one_tensor_as_two_states() -> None:
    def run(a: Any) -> Any:
        start = a + 1
        return tw.loop(3, lambda _, s, t: (s + t, t * 2), start, start)

    program = program_of(run, [A])
    for found, want in zip(interpret_program(program, [A]), run(A), strict=True):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("options", [WORKGROUP, FRAGMENT])
def test_shaders_write_other_buffers_than_they_read(options: Any) -> None:
    for step in IN_PLACE:
        if step is scattered:
            continue
        for repeat in repeats(program_of(looped(step, 4), [A, B], options)):
            for nest in repeat.steps:
                assert isinstance(nest, Nest)
                written = {s.target for s in nest.stages} - set(nest.locals)
                read = {
                    n.source
                    for s in nest.stages
                    for n in post_order((s.value,))
                    if isinstance(n, Load)
                }
                assert not written & read


# Steps that use the new state: under its own shape in the one buffer, under another not at all.

BEFORE, AFTER, OTHER = (Buffer(name, (4,), I32) for name in ("before", "after", "other"))
AXIS = Var("i", 4)


def of_one_buffer(state: Buffer) -> dict[str, ProgramStep]:
    """Every way in which a step can name a buffer of four elements."""
    one, axes = build.const(1, I32), (AXIS,)
    place = (*(build.index(0) for _ in state.shape[1:]), AXIS)
    element = Load(state, place)
    computed = (build.cast(element, INDEX),)

    def nest(value: Expr, target: Buffer, indices: tuple[Expr, ...]) -> Nest:
        return Nest("n", axes, (Stage((), (), None, value, target, indices),), ())

    return {
        "value": nest(element, OTHER, axes),
        "indices": nest(one, OTHER, computed),
        "target": nest(one, state, place),
        "ordered value": Ordered("o", axes, OTHER, axes, element, None),
        "ordered indices": Ordered("o", axes, OTHER, computed, one, None),
        "ordered target": Ordered("o", axes, state, place, one, "add"),
        "copied": Copy(state, OTHER),
        "overwritten": Copy(OTHER, state),
        "sorted": SortRows("s", state, OTHER, 0, False),
        "sorted into": SortRows("s", OTHER, state, 0, False),
    }


@pytest.mark.parametrize("use", of_one_buffer(AFTER))
def test_later_steps_use_the_one_buffer(use: str) -> None:
    steps = (Copy(BEFORE, AFTER), of_one_buffer(AFTER)[use])
    (found,), kept, copies = update_in_place(steps, [(BEFORE, AFTER)])
    assert (kept, copies) == ([BEFORE], [])
    assert list(effects(found)) == list(effects(of_one_buffer(BEFORE)[use]))


@pytest.mark.parametrize("use", of_one_buffer(AFTER))
def test_a_state_that_is_used_in_another_shape_stays_apart(use: str) -> None:
    view = Buffer("view", (1, 4), I32, base=AFTER)
    steps = [Copy(BEFORE, AFTER), of_one_buffer(view)[use]]
    assert update_in_place(steps, [(BEFORE, AFTER)]) == (steps, [], [])
