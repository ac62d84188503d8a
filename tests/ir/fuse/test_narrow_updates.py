"""Updates of parts: over the points of the part, whatever the mask looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F32, I8, I32, I64, INDEX, U8, U32, U64, DType
from tilewright.ir.expr import Expr, Var
from tilewright.ir.fuse.narrow_updates import _without_detour
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import Nest, Repeat
from tilewright.ir.traverse import substitute
from tilewright.ir.verify import verify_program

A = numbers(9, 11)
ROWS, COLUMNS = np.arange(9), np.arange(11)
Mask = Callable[[Any, Any], Any]

MASKS: dict[str, tuple[Mask, str]] = {
    "above": (lambda k, a: (k < ROWS)[:, None], "(8 - k, 11)"),
    "from": (lambda k, a: (k <= ROWS)[:, None], "(9 - k, 11)"),
    "below": (lambda k, a: k > COLUMNS, "(9, k)"),
    "up to": (lambda k, a: k >= COLUMNS, "(9, k + 1)"),
    "one": (lambda k, a: (k == ROWS)[:, None], "(11,)"),
    "mirrored": (lambda k, a: k < ROWS[:, None], "(8 - k, 11)"),
    "from the end": (lambda k, a: (8 - k > ROWS)[:, None], "(8 - k, 11)"),
    "both": (lambda k, a: (k < ROWS)[:, None] & (k <= COLUMNS), "(8 - k, 11 - k)"),
    "between": (lambda k, a: (k <= COLUMNS) & (k + 3 > COLUMNS), "(9, 3)"),
    "a block": (lambda k, a: (2 * k <= COLUMNS) & (2 * k + 2 > COLUMNS), "(9, 2)"),
    "and of data": (lambda k, a: (k < ROWS)[:, None] & (a > 0), "(8 - k, 11)"),
    "neither": (lambda k, a: (k != ROWS)[:, None], "(9, 11)"),
    "a diagonal": (lambda k, a: ROWS[:, None] == COLUMNS, "(9, 11)"),
    "of data": (lambda k, a: a > 0, "(9, 11)"),
    "beyond the end": (lambda k, a: (k + 20 < ROWS)[:, None], "(9, 11)"),
}


def updated(mask: Mask, *, other_side: bool = False, count: int = 5) -> Callable[..., Any]:
    def run(a: Any) -> Any:
        def step(k: Any, a: Any) -> Any:
            if other_side:
                return np.where(mask(k, a), a, a * 2 + 1)
            return np.where(mask(k, a), a * 2 + 1, a)

        return tw.loop(count, step, a)[0]

    return run


def sizes(program: Any) -> list[str]:
    """The extents of the nests that update something, with the number of the round as k."""
    (repeat,) = [s for s in program.steps if isinstance(s, Repeat)]
    found = []
    for nest in repeat.steps:
        assert isinstance(nest, Nest)
        if any(s.target not in nest.locals and s.target.shape == A.shape for s in nest.stages):
            found.append([a.extent for a in (*nest.outer, *nest.stages[-1].axes)])
    at_two = [[extent_at(e, repeat.counter, 2) for e in extents] for extents in found]
    return [str(tuple(e)) for e in at_two]


def extent_at(extent: Any, counter: Any, value: int) -> int:
    if isinstance(extent, int):
        return extent
    known = build.known(substitute(extent, {counter: build.index(value)}))
    assert known is not None
    return known


@pytest.mark.parametrize("name", MASKS)
def test_extents(name: str) -> None:
    mask, expected = MASKS[name]
    assert sizes(program_of(updated(mask), [A])) == [str(eval(expected, {"k": 2}))]


@pytest.mark.parametrize("other_side", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_the_result_is_the_same(name: str, other_side: bool) -> None:
    run = updated(MASKS[name][0], other_side=other_side)
    program = program_of(run, [A])
    verify_program(program, strict=True)
    np.testing.assert_array_equal(interpret_program(program, [A])[0], run(A))
    np.testing.assert_array_equal(tw.kernel(run)(A), run(A))


def test_more_rounds_than_rows() -> None:
    run = updated(MASKS["above"][0], count=30)
    np.testing.assert_array_equal(tw.kernel(run)(A), run(A))
    np.testing.assert_array_equal(interpret_program(program_of(run, [A]), [A])[0], run(A))


def test_a_mask_that_changes_within_the_round_is_read_where_it_was_made() -> None:
    def run(a: Any) -> Any:
        def step(k: Any, a: Any, free: Any) -> Any:
            inside = free[:, None] & (k < ROWS)[:, None]
            return np.where(inside, a + 1, a), free & (k + 2 != ROWS)

        return tw.loop(5, step, a, np.ones(9, bool))[0]

    np.testing.assert_array_equal(tw.kernel(run)(A), run(A))
    np.testing.assert_array_equal(interpret_program(program_of(run, [A]), [A])[0], run(A))


@pytest.mark.parametrize("size", [5, 16, 33, 70])
def test_an_elimination_by_rows(size: int) -> None:
    def run(a: Any) -> Any:
        rows = np.arange(size)

        def step(k: Any, a: Any) -> Any:
            factor = np.where(rows > k, a[:, k] / a[k, k], 0.0)
            inside = (rows > k)[:, None] & (rows >= k)
            return np.where(inside, a - factor[:, None] * a[k], a)

        return tw.loop(size - 1, step, a)[0]

    a = np.random.default_rng(0).normal(size=(size, size)) + size * np.eye(size)
    np.testing.assert_allclose(tw.kernel(run)(a), run(a), rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("neither", "(11,)"),
        ("one", "(9, 11)"),
        ("above", "(k + 1, 11)"),
        ("from", "(k, 11)"),
        ("below", "(9, 11 - k)"),
        ("up to", "(9, 10 - k)"),
        ("both", "(9, 11)"),
    ],
)
def test_the_other_side_of_a_mask(name: str, size: str) -> None:
    """Points that do not keep their value are those of which the opposite holds."""
    program = program_of(updated(MASKS[name][0], other_side=True), [A])
    assert sizes(program) == [str(eval(size, {"k": 2}))]


# Positions in other dtypes: places where all of them fit, and numbers that wrap elsewhere.

LONG = np.arange(70000)
CASTS = [
    *((0, dtype, False) for dtype in ("int8", "uint8", "int16", "uint16")),
    *((0, dtype, True) for dtype in ("int32", "uint32", "int64", "uint64")),
    *((-5, dtype, False) for dtype in ("uint32", "uint64")),
    *((-5, dtype, True) for dtype in ("int32", "int64")),
    (1 << 31, "int32", False),
    # All are inside; after the wrap, few are.
    *((1 << 31, dtype, False) for dtype in ("uint32", "int64")),
    ((1 << 31) - 69999, "int32", False),
    (1 << 32, "uint32", False),
]


@pytest.mark.parametrize(("first", "dtype", "narrowed"), CASTS)
def test_positions_in_other_dtypes(first: int, dtype: str, narrowed: bool) -> None:
    def run(a: Any) -> Any:
        def step(k: Any, a: Any) -> Any:
            places = np.arange(first, first + 70000).astype(dtype)
            return np.where(places > k, a * 2 + 1, a)

        return tw.loop(4, step, a)[0]

    program = program_of(run, [LONG])
    (repeat,) = [s for s in program.steps if isinstance(s, Repeat)]
    (nest,) = [n for n in repeat.steps if isinstance(n, Nest) and n.outer]
    assert (extent_at(nest.outer[0].extent, repeat.counter, 2) < 70000) is narrowed
    np.testing.assert_array_equal(tw.kernel(run)(LONG), run(LONG))


@pytest.mark.parametrize(
    ("place", "dtypes"),
    [
        (Var("k", 128), (I8, U8, I32, U32, I64, U64)),
        (Var("k", 129), (U8, I32, U32, I64, U64)),
        (build.sub(Var("k", 9), build.index(3)), (I8, I32, I64)),
        (Var("k", Var("N", least=0)), (I64, U64)),
        (build.sub(Var("k", Var("N", least=0)), build.index(3)), (I64,)),
    ],
)
def test_a_detour_is_one_where_nothing_wraps(place: Expr, dtypes: tuple[DType, ...]) -> None:
    for dtype in (I8, U8, I32, U32, I64, U64, F32, BOOL):
        seen = _without_detour(build.cast(build.cast(place, dtype), INDEX))
        assert seen is (place if dtype in dtypes else None)
        assert _without_detour(build.cast(build.cast(build.cast(place, I64), dtype), I64)) is None
