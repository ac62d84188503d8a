"""Rows of a tile share what their windows share, and every result stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import ops
from tilewright.ir.expr import Apply, post_order
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Kernel, expressions, statements
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.program import Launch, nests
from tilewright.ir.schedule import Schedule

IMAGE = numbers(23, 31)
TALL = numbers(37, 31)
SHARING = Schedule(tile=(4, 8), vector=1, width=8, unroll_reduce=32, share_windows=True)


def windowed(combine: Any, window: tuple[int, int], boundary: str | None = None) -> Any:
    def function(image: Any) -> Any:
        height, width = image.shape
        if boundary is None:
            shape = (height - window[0] + 1, width - window[1] + 1)
            return tw.compute(shape, lambda y, x: combine(lambda i, j: image[y + i, x + j], window))
        return tw.compute(
            image.shape,
            lambda y, x: combine(
                lambda i, j: tw.at(image, (y + i - 1, x + j - 1), boundary=boundary), window
            ),
        )

    return function


def mean_and_variance(image: Any) -> Any:
    """Two reductions in one loop."""

    def moment(power: int) -> Any:
        return tw.compute(
            (21, 29), lambda y, x: tw.sum(lambda i, j: image[y + i, x + j] ** power, (3, 3))
        )

    return moment(2) - moment(1)


def squares_of_three_rows(image: Any) -> Any:
    """There is one element in a row of a window, but something to compute of it."""
    return tw.compute((21, 31), lambda y, x: tw.sum(lambda i, j: image[y + i, x + j] ** 2, (3, 1)))


def weighted(image: Any) -> Any:
    """The weight is another one in each row of the window."""
    return tw.compute(
        (21, 29), lambda y, x: tw.sum(lambda i, j: image[y + i, x + j] * (i + 2 * j), (3, 3))
    )


def slanted(image: Any) -> Any:
    """A row further down the window lies further to the right."""
    return tw.compute((21, 27), lambda y, x: tw.sum(lambda i, j: image[y + i, x + j + i], (3, 3)))


def less_their_largest(image: Any) -> Any:
    """The second reduction reads the first, which has another value for each window."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    return (windows - windows.max((2, 3), keepdims=True)).sum((2, 3))


def every_other(image: Any) -> Any:
    return tw.compute((11, 29), lambda y, x: tw.max(lambda i, j: image[2 * y + i, x + j], (3, 3)))


def kernel_of(
    function: Callable[..., Any], image: np.ndarray, schedule: Schedule
) -> tuple[Kernel, Any]:
    program = program_of(function, [image])
    kernels = [lower_nest(n, schedule, f"k{k}") for k, n in enumerate(nests(program.steps))]
    lowered = replace(program, steps=tuple(map(Launch, kernels)))
    return kernels[-1], interpret_program(lowered, [image])[0]


def shares(kernel: Kernel) -> bool:
    return any(b.name.endswith("_row") for b in kernel.locals)


@pytest.mark.parametrize(
    ("function", "shared"),
    [
        (windowed(tw.sum, (3, 3)), True),
        (windowed(tw.sum, (5, 5)), True),
        (windowed(tw.max, (2, 3)), True),
        (windowed(tw.min, (3, 1)), False),
        (squares_of_three_rows, True),
        (windowed(tw.sum, (1, 3)), False),
        (windowed(tw.sum, (3, 3), "clamp"), True),
        (windowed(tw.max, (3, 3), "reflect"), True),
        (windowed(tw.sum, (3, 3), "wrap"), True),
        (mean_and_variance, True),
        (weighted, False),
        (slanted, False),
        (less_their_largest, True),
        (every_other, False),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_results_stay(function: Callable[..., Any], shared: bool, dtype: Any) -> None:
    """Sums of small integers are exact in any order."""
    image = IMAGE.astype(dtype)
    kernel, found = kernel_of(function, image, SHARING)
    assert shares(kernel) == shared
    plain, wanted = kernel_of(function, image, replace(SHARING, share_windows=False))
    assert not shares(plain)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("window", "rows", "shared"),
    [
        ((7, 10), 4, True),  # ten rows of ten elements each
        ((7, 10), 5, False),
        ((8, 10), 3, True),
        ((8, 10), 5, False),
        ((24, 2), 4, True),  # 24 additions for each result, at the most
        ((25, 2), 4, False),
        ((3, 3), 1, False),
    ],
)
def test_little_code_is_written_out(window: tuple[int, int], rows: int, shared: bool) -> None:
    schedule = replace(SHARING, tile=(rows, 8), unroll_reduce=1024)
    kernel, found = kernel_of(windowed(tw.sum, window), TALL, schedule)
    assert shares(kernel) == shared
    windows = np.lib.stride_tricks.sliding_window_view(TALL, window)
    np.testing.assert_array_equal(found, windows.sum((2, 3)))


def test_rows_are_added_up_once() -> None:
    """Nine rows of 5 - 1 additions, where each of seven results had 14."""
    kernel, _ = kernel_of(windowed(tw.sum, (3, 5)), IMAGE, replace(SHARING, tile=(7, 8)))
    shown = [s for s in statements(kernel.body) if getattr(s, "value", None) is not None]
    rows = [s for s in shown if s.buffer.name.endswith("_row")]  # type: ignore[attr-defined]
    additions = [
        sum(
            isinstance(n, Apply) and n.op is ops.ADD and n.dtype.is_float
            for n in post_order(expressions(s))
        )
        for s in rows
    ]
    assert set(additions) == {4}


def test_reproducible_sums_keep_their_order() -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(size=(70, 200)).astype(np.float32)
    box = windowed(tw.sum, (5, 5))
    kernel = tw.kernel(numerics="reproducible")(box)
    for schedule in kernel.compile(tw.f32[70, 200]).schedule.values():
        assert not schedule.share_windows
    np.testing.assert_allclose(kernel(image), tw.kernel(box)(image), atol=1e-5)
