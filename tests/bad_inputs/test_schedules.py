"""Row 19: schedules. One that does not fit is an error; one that fits never changes a result."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.bad_inputs.calls import HEAVY
from tilewright.compiler.targets import NAMES
from tilewright.ir.schedule import Schedule

TARGETS = [pytest.param(n, marks=() if n == "cpu" else getattr(pytest.mark, n)) for n in NAMES]
EXAMPLES = 500 if HEAVY else 12

# Whole numbers: sums of them are exact in any order.
RNG = np.random.default_rng(0)
A = RNG.integers(-9, 9, (7, 13)).astype(np.float32)
B = RNG.integers(-9, 9, (13, 20)).astype(np.float32)
W = RNG.integers(-9, 9, (3, 3)).astype(np.float32)
N = RNG.integers(0, 99, (5, 19)).astype(np.int32)


def convolution(a: Any, w: Any) -> Any:
    rows, columns = a.shape
    return tw.compute(
        (rows - 2, columns - 2),
        lambda y, x: tw.sum(lambda i, j: a[y + i, x + j] * w[i, j], (3, 3)),
    )


KERNELS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "map": (lambda a: a * 2 + 1, (A,)),
    "transposed": (lambda a: a.T + 1, (A,)),
    "rows": (lambda a: (a - a.max(axis=1, keepdims=True)).sum(axis=1), (A,)),
    "columns": (lambda a: a.sum(axis=0), (A,)),
    "total": (lambda a: a.sum(), (A,)),
    "product": (lambda a, b: a @ b, (A, B)),
    "convolution": (convolution, (A, W)),
    "running": (lambda a: np.cumsum(a, axis=1) * 2, (A,)),
    "sorted": (lambda a: np.sort(a, axis=1) + 1, (A,)),
    "pairs": (lambda a: (a[:, :, None] + a[:, None, :]).sum(axis=0), (A,)),
    "positions": (lambda n: (n[::-1] * 3).max(axis=1) + n.argmax(axis=0)[:5], (N,)),
}


@cache
def nests(kernel: str, target: str) -> list[tuple[str, Schedule]]:
    """The nests of a kernel on a target, with their own schedules."""
    function, arguments = KERNELS[kernel]
    compiled = tw.kernel(function).compile(*arguments, target=target)
    return list(compiled.schedule.items())


@cache
def wanted(kernel: str, target: str) -> Any:
    function, arguments = KERNELS[kernel]
    return tw.kernel(target=target)(function)(*arguments)


def chosen(rng: random.Random, default: Schedule) -> Schedule:
    """The default schedule with some fields drawn anew, most of them so that they fit."""
    rank = len(default.order) or len(default.tile) or rng.choice((0, 1, 2))
    axes = list(range(rank))
    tile = tuple(rng.choice((1, 2, 3, 4, 8)) for _ in axes)
    drawn: dict[str, Any] = {
        "tile": tile,
        "vector": rng.choice((None, "inner", *axes)),
        "width": rng.choice((1, 2, 4, 8, 16)),
        "unroll": rng.choice((1, 2, 4)),
        "order": tuple(rng.sample(axes, rank)),
        "chunks": rng.choice((1, 2, 3, 64)),
        "reduce_block": rng.choice((0, 2, 3, 100)),
        "unroll_reduce": rng.choice((0, 9, 32, 1000)),
        "pack": rng.choice(((), (0,), (1,), (0, 1))),
        "cache_block": tuple(rng.choice((0, size, 2 * size)) for size in tile),
        "workgroup": rng.choice(((), (1,), (64,), (8, 8), (4, 2))),
        "stage_tile": rng.choice((0, 0, 4, 16)),
        "share_windows": rng.random() < 0.5,
    }
    tiling = ("tile", "cache_block")  # these two are drawn together
    kept = {name for name in drawn if rng.random() < 0.5 and name not in tiling}
    if rng.random() < 0.4:
        kept |= set(tiling)
    return replace(default, **{name: v for name, v in drawn.items() if name not in kept})


@pytest.mark.parametrize("target", TARGETS)
def test_row_19_no_schedule_changes_a_result(target: str) -> None:
    fitting = 0
    for seed in range(EXAMPLES):
        rng = random.Random(f"{target} {seed}")
        kernel = rng.choice(list(KERNELS))
        function, arguments = KERNELS[kernel]
        name, default = rng.choice(nests(kernel, target))
        schedule = chosen(rng, default)
        kernel_under = tw.kernel(target=target, schedule={name: schedule})(function)
        if (got := result_if_it_fits(kernel_under, arguments)) is not None:
            fitting += 1
            message = f"{kernel} on {target}, {name}: {schedule}"
            np.testing.assert_array_equal(got, wanted(kernel, target), err_msg=message)
    assert fitting > EXAMPLES // 8


def result_if_it_fits(kernel: tw.Kernel, arguments: tuple[Any, ...]) -> Any:
    try:
        return kernel(*arguments)
    except (tw.ShapeError, tw.LimitError) as error:
        if "schedule of " not in str(error):
            raise
        return None


ILLEGAL = {
    "tile 0": Schedule(tile=(0, 1)),
    "negative tile": Schedule(tile=(-4, 1)),
    "too many tiles": Schedule(tile=(1, 1, 1, 1)),
    "no such axis": Schedule(vector=5, width=4),
    "negative axis": Schedule(vector=-1, width=4),
    "misspelt axis": Schedule(vector="iner"),
    "odd lanes": Schedule(vector="inner", width=3),
    "no lanes": Schedule(vector="inner", width=0),
    "odd unrolling": Schedule(vector="inner", width=4, unroll=3),
    "no order": Schedule(order=(0, 0)),
    "order of others": Schedule(order=(3, 4)),
    "no tasks": Schedule(chunks=0),
    "negative block": Schedule(reduce_block=-1),
    "block of one": Schedule(reduce_block=1),
    "cut blocks": Schedule(tile=(4, 4), cache_block=(6, 4)),
    "unknown operand": Schedule(tile=(4, 4), pack=(2,)),
    "stage without a workgroup": Schedule(stage_tile=8),
    "not a tuple": Schedule(tile=[4, 4]),  # type: ignore[arg-type]
    "a float": Schedule(width=4.0),  # type: ignore[arg-type]
}
TOO_LARGE = {
    "expanded a billion times": Schedule(unroll_reduce=1_000_000_000),
    "unrolled a billion times": Schedule(vector="inner", unroll=1 << 30),
    "unrolled without vectors": Schedule(unroll=1 << 30),
    "expanded in each point": Schedule(tile=(64, 64), unroll_reduce=4096),
    "huge tile": Schedule(tile=(1 << 20, 1 << 20)),
    "tasks": Schedule(chunks=1_000_000_000),
}


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("case", ILLEGAL)
def test_row_19_schedules_that_do_not_fit(case: str, target: str) -> None:
    function, arguments = KERNELS["product"]
    for name, _ in nests("product", target):
        kernel = tw.kernel(schedule={name: ILLEGAL[case]})(function)
        with pytest.raises(tw.ShapeError, match=f"schedule of {name}: .*=") as caught:
            kernel.compile(*arguments, target=target)
        assert "help: start from a printed one" in str(caught.value)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("case", TOO_LARGE)
def test_row_19_schedules_beyond_the_limits(case: str, target: str) -> None:
    function, arguments = KERNELS["product"]
    name, _ = nests("product", target)[-1]
    kernel = tw.kernel(schedule={name: TOO_LARGE[case]})(function)
    with pytest.raises(tw.LimitError, match=f"schedule of {name}: .* beyond the limit"):
        kernel.compile(*arguments, target=target)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("field", Schedule.__struct_fields__)
def test_row_19_no_number_is_too_large(field: str, target: str) -> None:
    """As in a record that somebody has edited: an error that says so, or no harm."""
    for name in ("product", "rows", "map"):
        function, arguments = KERNELS[name]
        for nest, default in nests(name, target):
            value = getattr(default, field)
            for large in (1 << 30, 10**30):
                whole: Any = (large,) * len(value) if isinstance(value, tuple) else large
                for given in (whole, (large,) if isinstance(value, tuple) else -large):
                    changed = {nest: replace(default, **{field: given})}
                    with suppress(tw.LimitError, tw.ShapeError):
                        tw.kernel(schedule=changed)(function).compile(*arguments, target=target)


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_row_19_the_rows_of_a_tile_fit_the_stack(target: str) -> None:
    """A tile keeps the row of each of its points: beyond the end of a stack the process dies."""

    def softmax(x: Any) -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    x = np.ones((4096, 10_000), np.float32)
    (name,) = tw.kernel(softmax).compile(x, target=target).schedule

    def tiled(rows: int) -> tw.Kernel:
        return tw.kernel(target=target, schedule={name: Schedule((rows,), "inner", 4)})(softmax)

    for rows in (1024, 8):
        said = f"schedule of {name}: the rows of a tile take {rows * 40_000} bytes"
        with pytest.raises(tw.LimitError, match=said):
            tiled(rows).compile(x)
    np.testing.assert_allclose(tiled(1)(x[:5]), softmax(x[:5]), rtol=1e-5)


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_row_19_what_runs_in_order_is_not_spread_over_lanes(target: str) -> None:
    function, arguments = KERNELS["running"]
    compiled = tw.kernel(function).compile(*arguments, target="cpu")
    name = next(iter(compiled.schedule))
    kernel = tw.kernel(schedule={name: Schedule(vector="inner", width=4)})(function)
    with pytest.raises(tw.ShapeError, match="vector='inner' is an axis along which values run"):
        kernel.compile(*arguments, target=target)


def test_row_19_a_name_that_no_nest_has() -> None:
    kernel = tw.kernel(schedule={"t77": Schedule()})(lambda a: a + 1)
    with pytest.raises(tw.ShapeError, match="there is a schedule for 't77', but no such nest"):
        kernel(A)


@pytest.mark.parametrize("given", ["inner", Schedule(), {"t1": (4, 4)}, {1: Schedule()}])
def test_row_19_what_is_not_a_schedule(given: Any) -> None:
    with pytest.raises(ValueError, match="it maps names of nests to schedules"):
        tw.kernel(schedule=given)(lambda a: a + 1)
