"""Chains of stencils in bands of rows compute what they compute one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.bands import Band, BandLimits, find_bands
from tilewright.ir.lower.lower_bands import lower_band
from tilewright.ir.parser import parse_program
from tilewright.ir.program import Launch, Nest, Program, Stage, Step
from tilewright.ir.schedule import Schedule

IMAGE = numbers(47, 6)
LIMITS = BandLimits(scratch=2048, cached=0)


def rows_of(image: Any, boundary: str | None, weights: Any) -> Any:
    """Three rows weighted, so that each result reads rows above and below of what was stored."""
    if boundary is None:
        shape = (image.shape[0] - 2, image.shape[1])
        return tw.compute(shape, lambda y, x: tw.sum(lambda k: image[y + k, x] * weights[k], 3))
    return tw.compute(
        image.shape,
        lambda y, x: tw.sum(
            lambda k: tw.at(image, (y + k - 1, x), boundary=boundary) * weights[k], 3
        ),
    )


def blur(boundary: str | None, steps: int = 2) -> Callable[..., Any]:
    def blurred(image: Any, weights: Any) -> Any:
        for _ in range(steps):
            image = rows_of(image, boundary, weights)
        return image

    return blurred


def two_images(image: Any, weights: Any) -> Any:
    """Two stored images that the last step reads, one of them at other rows than the other."""
    a = rows_of(image, "clamp", weights)
    b = rows_of(image, None, weights)
    return a[:-4, 1:] * b[1:-1, 1:] + a[4:, :-1] * b[:-2, 1:] + b[2:, 1:]


def banded(program: Program, limits: BandLimits, tasks: int = 3) -> tuple[Program, list[Band]]:
    """The program with its bands as kernels, and the bands."""
    steps: list[Step] = []
    bands: list[Band] = []
    for step in find_bands(program, limits):
        if isinstance(step, Band):
            bands.append(step)
            plain = [Schedule(tile=(1,) * len(n.outer)) for n in step.nests]
            steps.append(Launch(lower_band(step, plain, tasks, "k")))
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps)), bands


WEIGHTS = np.array([0.25, 0.5, -0.125], np.float32)


@pytest.mark.parametrize(
    ("function", "nests"),
    [
        (blur(None), 2),
        (blur(None, 3), 3),
        (blur("clamp"), 2),
        (blur("reflect"), 2),
        (blur("wrap"), 2),
        (blur("constant"), 2),
        (blur("clamp", 3), 2),
        (two_images, 3),
    ],
)
@pytest.mark.parametrize("tasks", [1, 3])
def test_bands_compute_the_same(function: Callable[..., Any], nests: int, tasks: int) -> None:
    program = program_of(function, [IMAGE, WEIGHTS])
    in_bands, bands = banded(program, LIMITS, tasks)
    assert [len(b.nests) for b in bands] == [nests]
    expected = interpret_program(program, [IMAGE, WEIGHTS])[0]
    np.testing.assert_array_equal(interpret_program(in_bands, [IMAGE, WEIGHTS])[0], expected)


def filtered(signal: Any, weights: Any) -> Any:
    """A filter of a filter of a signal."""
    for _ in range(2):
        taps = signal
        size = taps.shape[0] - 2
        signal = tw.compute(
            size, lambda i, taps=taps: tw.sum(lambda k: taps[i + k] * weights[k], 3)
        )
    return signal


@pytest.mark.parametrize("size", [40, 301])
def test_rows_of_vectors_are_elements(size: int) -> None:
    signal = numbers(size)
    program = program_of(filtered, [signal, WEIGHTS])
    in_bands, bands = banded(program, replace(LIMITS, scratch=128))
    assert [len(b.nests) for b in bands] == [2]
    expected = interpret_program(program, [signal, WEIGHTS])[0]
    np.testing.assert_array_equal(interpret_program(in_bands, [signal, WEIGHTS])[0], expected)


@pytest.mark.parametrize("rows", [13, 24, 25, 26, 27])
def test_the_last_band_may_overlap(rows: int) -> None:
    image = numbers(rows, 6)
    program = program_of(blur("reflect"), [image, WEIGHTS])
    in_bands, bands = banded(program, replace(LIMITS, scratch=640))
    assert len(bands) == 1
    expected = interpret_program(program, [image, WEIGHTS])[0]
    np.testing.assert_array_equal(interpret_program(in_bands, [image, WEIGHTS])[0], expected)


@pytest.mark.parametrize(
    "limits",
    [replace(LIMITS, cached=1 << 20), replace(LIMITS, scratch=0), replace(LIMITS, scratch=320)],
)
def test_no_bands_where_nothing_is_gained(limits: BandLimits) -> None:
    """What fits the cache stays there, and two rows at a time would compute most rows twice."""
    program = program_of(blur("clamp"), [IMAGE, WEIGHTS])
    assert find_bands(program, limits) == program.steps


def stored_as_well(image: Any, weights: Any) -> Any:
    first = rows_of(image, "clamp", weights)
    return first, rows_of(first, "clamp", weights)


def read_again(image: Any, weights: Any) -> Any:
    """The step in the middle joins the last one, the first one is read after both."""
    first = rows_of(image, "clamp", weights)
    return rows_of(first, "clamp", weights), np.sort(first, axis=0)


def across_rows(image: Any, weights: Any) -> Any:
    """Each row of the result reads all rows."""
    first = rows_of(image, "clamp", weights)
    return tw.compute(image.shape, lambda y, x: first[x, 0] + first[y, x])


@pytest.mark.parametrize("function", [stored_as_well, read_again, across_rows])
def test_what_others_read_is_not_kept_in_a_band(function: Callable[..., Any]) -> None:
    program = program_of(function, [IMAGE, WEIGHTS])
    assert not [s for s in find_bands(program, LIMITS) if isinstance(s, Band)]


IN_PLACE = """
program added(a: f32[47, 6]) -> (out: f32[45, 6]) {
  temporary t: f32[47, 6]
  nest first (i: 45, j: 6) { stage { out[i, j] = a[i, j] } }
  nest rows (i: 47, j: 6) { stage { t[i, j] = a[i, j] + 1.0:f32 } }
  nest more (i: 45, j: 6) { stage { out[i, j] = out[i, j] + t[i + 2, j] - t[i, j] * 3.0:f32 } }
}
"""


def test_an_update_in_place_is_not_made_twice() -> None:
    program = parse_program(IN_PLACE)
    in_bands, _ = banded(program, LIMITS)
    expected = interpret_program(program, [IMAGE])[0]
    np.testing.assert_array_equal(interpret_program(in_bands, [IMAGE])[0], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_band_begin_at_lines_of_the_cache_that_do_not_compete(dtype: Any) -> None:
    """Lines have 64 bytes; rows a multiple of 2048 bytes apart would lie in the same few places."""
    each = 64 // np.dtype(dtype).itemsize
    for width in (1, each - 1, each, each + 1, 31 * each, 31 * each + 1, 32 * each, 33 * each):
        image = np.zeros((47, width), dtype)
        program = program_of(blur("clamp"), [image, WEIGHTS.astype(dtype)])
        (band,) = (s for s in find_bands(program, BandLimits(1 << 20, 0)) if isinstance(s, Band))
        (kept,) = band.scratch
        lines = -(-width // each)
        assert kept.shape[1] == (lines + (lines % 32 == 0)) * each


def through(between: Buffer, taps: int = 3) -> Program:
    """Rows plus one, and differences of those: of each row and the one that is `taps` - 1 after."""
    above = between.shape[0]
    assert isinstance(above, int)
    a, out = Buffer("a", (above, 6), F32), Buffer("out", (above - taps + 1, 6), F32)
    (i, j), (k, m) = ((Var("i", rows), Var("j", 6)) for rows in (above, above - taps + 1))
    one = build.add(Load(a, (i, j)), build.const(1, F32))
    last = Load(between, (build.add(k, build.index(taps - 1)), m))
    less = build.sub(last, Load(between, (k, m)))
    rows = Nest("rows", (i, j), (Stage((), (), None, one, between, (i, j)),), ())
    more = Nest("more", (k, m), (Stage((), (), None, less, out, (k, m)),), ())
    return Program("p", (), (a,), (out,), (), (between.root,), (rows, more))


def test_open_columns_are_not_cut() -> None:
    """A band keeps rows of a known size."""
    n = Var("N", least=1)
    a, t, out = (Buffer(name, (47, n), F32) for name in ("a", "t", "out"))
    (i, j), (k, m) = ((Var("i", 47), Var("j", n)) for _ in range(2))
    one = Nest("one", (i, j), (Stage((), (), None, Load(a, (i, j)), t, (i, j)),), ())
    other = Nest("other", (k, m), (Stage((), (), None, Load(t, (k, m)), out, (k, m)),), ())
    program = Program("p", (n,), (a,), (out,), (), (t,), (one, other))
    assert find_bands(program, LIMITS) == program.steps


def test_rows_of_a_view_are_stored() -> None:
    plain = through(Buffer("t", (47, 6), F32))
    assert len(find_bands(plain, LIMITS)) == 1
    of_view = through(Buffer("v", (47, 6), F32, base=Buffer("t", (282,), F32)))
    assert find_bands(of_view, LIMITS) == of_view.steps


@pytest.mark.parametrize(
    ("rows", "taps", "size"),
    [
        (40, 8, 20),  # 7 rows more for 20
        (38, 8, None),  # and for 16 (a multiple of 4 that is no more than half of them)
        (80, 15, 40),
        (80, 16, None),
        (10, 2, 5),
        (4, 2, None),
        (2000, 2, 28),  # 64 bands are for many threads
        (4000, 2, 60),
        (2000, 4, 48),  # but each row more is for 16
        (2, 1, None),
    ],
)
def test_rows_of_a_band(rows: int, taps: int, size: int | None) -> None:
    """At most 35 of 100 rows are computed twice."""
    steps = find_bands(
        through(Buffer("t", (rows + taps - 1, 6), F32), taps), BandLimits(1 << 20, 0)
    )
    found = [s.nests[-1].outer[0].extent for s in steps if isinstance(s, Band)]
    assert found == ([] if size is None else [size])


@pytest.mark.parametrize(("offset", "expected"), [(0, 1), (-1, 0), (2, 1), (3, 0)])
def test_rows_that_are_not_there_are_not_computed(offset: int, expected: int) -> None:
    """A choice may keep the last nest from reading them; a band would have to make them."""
    program = through(Buffer("t", (47, 6), F32))
    rows, more = program.steps
    assert isinstance(more, Nest)
    (stage,) = more.stages
    k, m = more.outer
    target = program.temporaries[0]
    other = Load(target, (build.add(k, build.index(offset)), m))
    shown = build.select(build.eq(k, build.index(7)), other, stage.value)
    changed = replace(more, stages=(replace(stage, value=shown),))
    steps = find_bands(replace(program, steps=(rows, changed)), LIMITS)
    assert sum(isinstance(s, Band) for s in steps) == expected
