"""Launches that functions become on each kind of target, and that they compute the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.compiler.trace.run import trace
from tilewright.ir.expr import Var
from tilewright.ir.fuse.options import CPU, FRAGMENT, WORKGROUP, FusionOptions
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.passes import run_passes
from tilewright.ir.program import Copy, Nest, Ordered, Repeat, RepeatWhile, SortRows, Stage, Step
from tilewright.ir.verify import verify_program

TARGETS = {"cpu": CPU, "wgsl": WORKGROUP, "glsl": FRAGMENT}
X = np.abs(numbers(20, 12)) + 1
Y = numbers(20, 12, seed=1)
ROW, COLUMN = numbers(12, seed=2), numbers(20, 1, seed=3)
WEIGHTS, BIAS = numbers(12, 6, seed=4), numbers(6, seed=5)


def shown(steps: Sequence[Step]) -> str:
    """Nests as ``points: stages``, a stage as its combiner and what it runs over; equal
    neighbours once."""
    runs = [(step, len(list(run))) for step, run in groupby(map(_step, steps))]
    return " | ".join(step if count == 1 else f"{count} * {step}" for step, count in runs)


def _step(step: Step) -> str:
    match step:
        case Nest():
            stages = " ".join(map(_stage, step.stages))
            kept = f" keeps {_sizes(step.locals)}" if any(b.shape for b in step.locals) else ""
            return f"{_extents(step.outer)}: {stages}{kept}"
        case Ordered():
            return f"ordered {_extents(step.axes)}"
        case SortRows():
            return "argsort" if step.positions else "sort"
        case Copy():
            return "copy"
        case Repeat():
            return f"{step.counter.extent} times ({shown(step.steps)})"
        case RepeatWhile():
            return f"while ({shown(step.test)}) do ({shown(step.body)})"
    raise AssertionError(step)


def _stage(stage: Stage) -> str:
    over = f"/{_extents(stage.reduce_axes)}" if stage.reduce_axes else ""
    return f"{stage.combiner or ''}{over}{_extents(stage.axes) if stage.axes else ''}" or "map"


def _extents(axes: Sequence[Var]) -> str:
    return "x".join(str(a.extent) for a in axes) or "once"


def _sizes(buffers: Sequence[Any]) -> str:
    return "+".join("x".join(map(str, b.shape)) for b in buffers if b.shape)


# What is computed.


def windows(p, n=3):
    h, w = p.shape
    return tw.compute(
        (h - n + 1, w - n + 1), lambda i, j: tw.sum(lambda a, b: p[i + a, j + b], (n, n))
    )


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_of_columns(x):
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def normalised(x):
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1)


def centred_by_columns(x):
    return x - x.mean(axis=0)


def total(x):
    return x.sum()


def centred(x):
    return x - x.mean()


def sums(x):
    return x.sum(axis=0), x.sum(axis=1), x.sum()


def two_of_rows(x):
    return x.sum(axis=1), x.max(axis=1)


def two_of_rows_meet(x, y):
    return x.sum(axis=1) * y.max(axis=1)


def two_of_rows_apart(x, y):
    return x.sum(axis=1), y.max(axis=1)


def two_of_rows_and_a_map(x):
    """The second reduction goes beside the first one, before what follows it."""
    return np.exp(x.sum(axis=1) / 64), x.max(axis=1)


def two_of_rows_with_readers_of_their_own(x, y):
    return np.exp(x.sum(axis=1) / 64), np.sqrt(y.max(axis=1) + 9)


def beside_one_after_its_producer(x, y):
    """The last one reads the first launch, and what the second one reads."""
    columns = x.sum(axis=0)
    return columns, y.max(axis=1), (y * columns).sum(axis=1)


def beside_one_before_its_producer(x, y):
    """What the last one reads is not made yet where the first one stands."""
    most, columns = y.max(axis=1), x.sum(axis=0)
    return most, columns, (y * columns).sum(axis=1)


def rows_of_other_counts(x):
    return x.sum(axis=1), x[:5].max(axis=1)


def product_and_sums_of_the_same(x, w):
    """A product has a launch of its own, tiled."""
    largest = tw.compute((20, 6), lambda i, j: tw.max(lambda k: x[i, k] + w[k, j], 12))
    return x @ w, largest


def views_of_results(x):
    y = np.exp(x)
    return y.reshape(-1), y, x.reshape(12, 20)


def views_of_one_result(x):
    y = np.exp(x)
    return y.reshape(-1), y.reshape(12, 20)


def of_two_rows(x):
    """Axes of two elements and of one."""
    return np.exp(x[:2, :1] + 1), (x[:2] + 1)[::-1] * 2


def read_twice_at_a_place(x):
    """What is inlined is read twice by what is inlined itself."""
    y = x + 1
    return tw.compute(x.shape, lambda i, j: y[i, j] * y[i, j]) + 1


def read_beside_what_is_made_of_it(x):
    y = x + 1
    return (y + y * 2) + 1


def chain(x):
    return np.exp(x) + 1, np.exp(x) * 2


def dense(x, w, b):
    return np.maximum(x @ w + b, 0)


def dense_of_exp(x, w):
    return np.exp(x) @ w


def dense_and_max(x, w):
    return (x @ w).max(axis=1)


def dense_softmax(x, w):
    return softmax(x @ w)


def dot_of_rows(x, y):
    return (x * y).sum(axis=1)


def dot_and_norm(x, y):
    return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1))


def windowed_exp(x):
    return windows(np.exp(x))


def blurred_twice(x):
    return windows(windows(x))


def running(x):
    return np.cumsum(x, axis=1) * 2


def running_of_columns(x):
    return np.cumsum(np.exp(x), axis=0)


def sorted_rows(x):
    return np.diff(np.sort(x, axis=1), axis=1)


def ranks(x):
    return np.argsort(x + 1, axis=1, kind="stable")


def turned(x):
    return np.exp(x).T.sum(axis=1)


def flat(x):
    return np.exp(x).reshape(-1) * 2


def flat_sum(x):
    return np.exp(x).reshape(4, -1).sum(axis=1)


def viewed_sum(x):
    return x.sum(axis=1).reshape(4, 5) * 2


def best(x):
    return x.argmax(axis=1)


def best_value(x):
    return np.take_along_axis(x, x.argmax(axis=1)[:, None], axis=1)


def gathered(x):
    return np.exp(x)[np.array([3, 1, 1])]


def scattered(x):
    y = x * 2
    y[np.array([3, 1, 1])] = x[:3]
    return y


def looped(x):
    return tw.loop(5, lambda i, s: s * 0.5 + i, x)[0]


def looped_once(x):
    return tw.loop(1, lambda i, s: s * 0.5 + i, x)[0]


def looped_even(x):
    return tw.loop(4, lambda i, s: s / s.sum(axis=1, keepdims=True), x)[0]


def looped_turned(x):
    """Each element is made of others: the next state cannot overwrite the last one."""
    return tw.loop(5, lambda i, s: s[::-1] * 0.5 + i, x)[0]


def looped_turned_once(x):
    return tw.loop(1, lambda i, s: s[::-1] * 0.5 + i, x)[0]


def looped_turned_evenly(x):
    return tw.loop(4, lambda i, s: s[::-1] * 0.5 + i, x)[0]


def looped_twice(x):
    return tw.loop(3, lambda i, s: tw.loop(2, lambda j, t: t + i * j, s)[0], x)[0]


def until(x):
    return tw.while_loop(lambda s: s.sum() < 1e6, lambda s: (s * 2,), x)[0]


def joined(x, y):
    return np.concatenate([np.exp(x), y, np.exp(y)])


def pieces(x):
    return np.exp(x)[:10], np.exp(x)[10:]


def rows_and_columns(x):
    return x / x.sum(axis=0) / x.sum(axis=1, keepdims=True)


def repeated(r, c):
    return np.exp(r) * c + np.exp(c)


def broadcast_scalar(x, r):
    return x * r.sum()


def eight(x):
    return tuple(x + k for k in range(8))


def nine(x):
    return tuple(x + k for k in range(9))


def unread(x):
    x.sum(axis=1)
    return x + 1


def given(x):
    return x, x + 1


def distances(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2)


def nearest(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)


def attention(x, y):
    s = softmax(x @ y.T)
    return s @ y


def variance_of_all(x):
    return x.var()


def outer(r, c):
    return (np.exp(r) * np.exp(c)).sum(axis=1)


def one_row(x):
    return softmax(x[:1])


CASES: list[tuple[Callable[..., Any], list[Any], dict[str, str]]] = [
    (
        softmax,
        [X],
        {
            "cpu wgsl": "20: max/12 12 add/12 12 keeps 12",
            "glsl": "20: max/12 map | 20x12: map | 20: add/12 map | 20x12: map",
        },
    ),
    (
        softmax_of_columns,
        [X],
        {
            "cpu": "12: max/20 map | 12: 20 20 add/20 map keeps 20 | 20x12: map",
            "wgsl": "12: max/20 20 add/20 20 keeps 20",
            "glsl": "12: max/20 map | 20x12: map | 12: add/20 map | 20x12: map",
        },
    ),
    (
        normalised,
        [X],
        {"cpu wgsl": "20: add/12 map add/12 map 12", "glsl": "2 * 20: add/12 map | 20x12: map"},
    ),
    (
        centred_by_columns,
        [X],
        {"cpu glsl": "12: add/20 map | 20x12: map", "wgsl": "12: add/20 map 20"},
    ),
    (total, [X], {"cpu wgsl glsl": "once: add/20x12 map"}),
    (
        centred,
        [X],
        {"cpu wgsl": "once: add/20x12 map 20x12", "glsl": "once: add/20x12 map | 20x12: map"},
    ),
    (sums, [X], {"cpu wgsl glsl": "12: add/20 map | 20: add/12 map | once: add/20x12 map"}),
    (
        two_of_rows,
        [X],
        {"cpu wgsl": "20: add/12 map max/12 map", "glsl": "20: add/12 map | 20: max/12 map"},
    ),
    (
        two_of_rows_meet,
        [X, Y],
        {"cpu wgsl": "20: add/12 max/12 map", "glsl": "20: add/12 map | 20: max/12 map"},
    ),
    (two_of_rows_apart, [X, Y], {"cpu wgsl glsl": "20: add/12 map | 20: max/12 map"}),
    (
        two_of_rows_and_a_map,
        [X],
        {"cpu wgsl": "20: add/12 max/12 map map", "glsl": "20: add/12 map | 20: max/12 map"},
    ),
    (
        two_of_rows_with_readers_of_their_own,
        [X, Y],
        {"cpu wgsl glsl": "20: add/12 map | 20: max/12 map"},
    ),
    (
        beside_one_after_its_producer,
        [X, Y],
        {
            "cpu wgsl": "12: add/20 map | 20: max/12 map add/12 map",
            "glsl": "12: add/20 map | 20: max/12 map | 20: add/12 map",
        },
    ),
    (
        beside_one_before_its_producer,
        [X, Y],
        {"cpu wgsl glsl": "20: max/12 map | 12: add/20 map | 20: add/12 map"},
    ),
    (rows_of_other_counts, [X], {"cpu wgsl glsl": "20: add/12 map | 5: max/12 map"}),
    (
        product_and_sums_of_the_same,
        [X, WEIGHTS],
        {"cpu wgsl glsl": "20x6: add/12 map | 20x6: max/12 map"},
    ),
    (views_of_results, [X], {"cpu wgsl glsl": "2 * 20x12: map | 12x20: map"}),
    (views_of_one_result, [X], {"cpu wgsl glsl": "20x12: map | 12x20: map"}),
    (of_two_rows, [X], {"cpu wgsl glsl": "2: map | 2x12: map"}),
    (read_twice_at_a_place, [X], {"cpu wgsl glsl": "20x12: map"}),
    (read_beside_what_is_made_of_it, [X], {"cpu wgsl glsl": "20x12: map"}),
    (chain, [X], {"cpu wgsl": "20x12: map map map", "glsl": "3 * 20x12: map"}),
    (dense, [X, WEIGHTS, BIAS], {"cpu wgsl glsl": "20x6: add/12 map"}),
    (dense_of_exp, [X, WEIGHTS], {"cpu wgsl glsl": "20x12: map | 20x6: add/12 map"}),
    (dense_and_max, [X, WEIGHTS], {"cpu wgsl glsl": "20x6: add/12 map | 20: max/6 map"}),
    (
        dense_softmax,
        [X, WEIGHTS],
        {
            "cpu wgsl": "20x6: add/12 map | 20: max/6 6 add/6 6 keeps 6",
            "glsl": ("20x6: add/12 map | 20: max/6 map | 20x6: map | 20: add/6 map | 20x6: map"),
        },
    ),
    (dot_of_rows, [X, Y], {"cpu wgsl glsl": "20: add/12 map"}),
    (dot_and_norm, [X, Y], {"cpu wgsl": "20: add/12 add/12 map", "glsl": "2 * 20: add/12 map"}),
    (
        windowed_exp,
        [X],
        {
            "cpu wgsl": "once: 20x12 add/3x318x10 keeps 20x12",
            "glsl": "20x12: map | 18x10: add/3x3 map",
        },
    ),
    (blurred_twice, [X], {"cpu wgsl glsl": "18x10: add/3x3 map | 16x8: add/3x3 map"}),
    (running, [X], {"cpu wgsl glsl": "20: scan:add12 | 20x12: map"}),
    (running_of_columns, [X], {"cpu wgsl glsl": "20x12: map | 12: scan:add20"}),
    (sorted_rows, [X], {"cpu wgsl glsl": "sort | 20x11: map"}),
    (ranks, [X], {"cpu wgsl glsl": "20x12: map | argsort"}),
    (turned, [X], {"cpu wgsl glsl": "12: add/20 map"}),
    (flat, [X], {"cpu wgsl glsl": "20x12: map | 240: map"}),
    (flat_sum, [X], {"cpu wgsl glsl": "20x12: map | 4: add/60 map"}),
    (viewed_sum, [X], {"cpu wgsl glsl": "20: add/12 map | 4x5: map"}),
    (best, [X], {"cpu wgsl": "20: max/12 min/12 map", "glsl": "20: max/12 map | 20: min/12 map"}),
    (
        best_value,
        [X],
        {"cpu wgsl": "20: max/12 min/12 map", "glsl": "20: max/12 map | 20: min/12 map"},
    ),
    (gathered, [X], {"cpu wgsl glsl": "3x12: map"}),
    (scattered, [X], {"cpu wgsl glsl": "20x12: map | copy | ordered 3x12"}),
    (
        looped,
        [X],
        {
            "cpu": "20x12: map | 5 times (20x12: map) | 20x12: map",
            "wgsl glsl": ("20x12: map | 2 times (2 * 20x12: map) | 20x12: map | copy | 20x12: map"),
        },
    ),
    (
        looped_once,
        [X],
        {
            "cpu": "20x12: map | 1 times (20x12: map) | 20x12: map",
            "wgsl glsl": "2 * 20x12: map | copy | 20x12: map",
        },
    ),
    (
        looped_even,
        [X],
        {
            "cpu": "20x12: map | 4 times (20: add/12 12) | 20x12: map",
            "wgsl": "20x12: map | 2 times (2 * 20: add/12 12) | 20x12: map",
            "glsl": (
                "20x12: map | 2 times (20: add/12 map | 20x12: map | 20: add/12 map | "
                "20x12: map) | 20x12: map"
            ),
        },
    ),
    (
        looped_turned,
        [X],
        {
            "cpu wgsl glsl": (
                "20x12: map | 2 times (2 * 20x12: map) | 20x12: map | copy | 20x12: map"
            )
        },
    ),
    (looped_turned_once, [X], {"cpu wgsl glsl": "2 * 20x12: map | copy | 20x12: map"}),
    (
        looped_turned_evenly,
        [X],
        {"cpu wgsl glsl": "20x12: map | 2 times (2 * 20x12: map) | 20x12: map"},
    ),
    (
        looped_twice,
        [X],
        {
            "cpu": (
                "20x12: map | 3 times (20x12: map | 2 times (20x12: map) | 20x12: map) | 20x12: map"
            ),
            "wgsl glsl": (
                "20x12: map | 3 times (20x12: map | once: map | 1 times (2 * 20x12: "
                "map) | 20x12: map | copy) | 20x12: map"
            ),
        },
    ),
    (
        until,
        [X],
        {
            "cpu": "20x12: map | while (once: add/20x12 map) do (20x12: map) | 20x12: map",
            "wgsl glsl": (
                "20x12: map | while (once: add/20x12 map) do (20x12: map | copy) | 20x12: map"
            ),
        },
    ),
    (joined, [X, Y], {"cpu wgsl glsl": "60x12: map"}),
    (pieces, [X], {"cpu wgsl": "10x12: map map", "glsl": "2 * 10x12: map"}),
    (
        rows_and_columns,
        [X],
        {
            "cpu wgsl": "12: add/20 map | 20: add/12 12",
            "glsl": "12: add/20 map | 20: add/12 map | 20x12: map",
        },
    ),
    (
        repeated,
        [ROW, COLUMN],
        {"cpu wgsl": "12: map | 20: map 12", "glsl": "12: map | 20: map | 20x12: map"},
    ),
    (
        broadcast_scalar,
        [X, ROW],
        {"cpu wgsl": "once: add/12 20x12", "glsl": "once: add/12 map | 20x12: map"},
    ),
    (
        eight,
        [X],
        {
            "cpu": "20x12: map map map map map map map map",
            "wgsl": "4 * 20x12: map map",
            "glsl": "8 * 20x12: map",
        },
    ),
    (
        nine,
        [X],
        {
            "cpu": "20x12: map map map map map map map map | 20x12: map",
            "wgsl": "4 * 20x12: map map | 20x12: map",
            "glsl": "9 * 20x12: map",
        },
    ),
    (unread, [X], {"cpu wgsl glsl": "20x12: map"}),
    (given, [X], {"cpu wgsl glsl": "2 * 20x12: map"}),
    (distances, [X, Y], {"cpu wgsl glsl": "20x20: add/12 map"}),
    (
        nearest,
        [X, Y],
        {
            "cpu wgsl": "20x20: add/12 map | 20: min/20 min/20 map",
            "glsl": "20x20: add/12 map | 2 * 20: min/20 map",
        },
    ),
    (
        attention,
        [X, Y],
        {
            "cpu wgsl": (
                "20x20: add/12 map | 20: max/20 20 add/20 20 keeps 20 | 20x12: add/20 map"
            ),
            "glsl": (
                "20x20: add/12 map | 20: max/20 map | 20x20: map | 20: add/20 map | "
                "20x20: map | 20x12: add/20 map"
            ),
        },
    ),
    (
        variance_of_all,
        [X],
        {"cpu wgsl": "once: add/20x12 map add/20x12 map", "glsl": "2 * once: add/20x12 map"},
    ),
    (
        outer,
        [ROW, COLUMN],
        {"cpu wgsl": "12: map | 20: map add/12 map", "glsl": "12: map | 20: map | 20: add/12 map"},
    ),
    (
        one_row,
        [X],
        {
            "cpu wgsl": "once: max/12 12 add/12 12 keeps 12",
            "glsl": "once: max/12 map | 12: map | once: add/12 map | 12: map",
        },
    ),
]


@pytest.mark.parametrize(
    ("function", "arrays", "launches"), CASES, ids=lambda c: getattr(c, "__name__", "")
)
def test_what_shares_a_launch(
    function: Callable[..., Any], arrays: list[Any], launches: dict[str, str]
) -> None:
    expected = function(*arrays)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for targets, steps in launches.items():
        for target in targets.split():
            program = program_of(function, arrays, TARGETS[target])
            assert shown(program.steps) == steps, target
            verify_program(program, strict=True)
        found = interpret_program(program, arrays)
        for result, value in zip(found, wanted, strict=True):
            np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


# Limits, as `FusionOptions` states them.


def steps_for(
    function: Callable[..., Any], *shapes: tuple[int, ...], options: FusionOptions = CPU
) -> str:
    """What a function of zeros of these shapes becomes."""
    arrays = [np.broadcast_to(np.float32(0), shape) for shape in shapes]
    return shown(program_of(function, arrays, options).steps)


def of_neighbours(x):
    e = np.exp(x)
    return e[:, :-2] + e[:, 1:-1] + e[:, 2:]


def test_rows_of_much_work_need_points_to_keep_the_device_busy() -> None:
    for points, work, together in ((15, 16384, True), (15, 16385, False), (16, 16385, True)):
        launches = 1 if together else 4
        assert steps_for(softmax, (points, work)).count("|") + 1 == launches
    assert steps_for(of_neighbours, (20, 5000)) == "20: 5000 4998 keeps 5000"
    assert steps_for(centred, (64, 64)) == "once: add/64x64 map 64x64"
    assert steps_for(centred, (17, 241)) == "once: add/17x241 map | 17x241: map"


def test_rows_that_are_kept_fit_the_scratch_memory() -> None:
    for options, most in ((CPU, 16384), (WORKGROUP, 2048)):
        kept, stored = (
            program_of(softmax, [np.broadcast_to(np.float32(0), (32, n))], options)
            for n in (most, most + 1)
        )
        assert shown(kept.steps).endswith(f"keeps {most}")
        assert not kept.temporaries
        assert shown(stored.steps) == shown(kept.steps).replace(str(most), str(most + 1)).replace(
            f" keeps {most + 1}", ""
        )
        assert [t.shape for t in stored.temporaries] == [(32, most + 1)]


def test_many_columns_are_walked_together_with_their_reductions() -> None:
    assert steps_for(centred_by_columns, (20, 4096)) == "4096: add/20 map 20"
    assert steps_for(centred_by_columns, (20, 4095)) == "4095: add/20 map | 20x4095: map"


def of_seven(a, b, c, d, e, f, g):
    return (a + b + c + d + e).sum(axis=1) * f + g


def of_six(a, b, c, d, e, f):
    return (a + b + c + d + e).sum(axis=1) * f


@pytest.mark.parametrize("function", [of_six, of_seven])
def test_a_launch_reads_as_many_inputs_as_the_target_binds(function: Callable[..., Any]) -> None:
    count = function.__code__.co_argcount
    shapes = [(20, 12)] * 5 + [(20,)] * (count - 5)
    for most in (5, 6, 7):
        options = replace(WORKGROUP, most_inputs=most)
        wanted = "20: add/12 map" + (" | 20: map" if most < count else "")
        assert steps_for(function, *shapes, options=options) == wanted


def test_a_launch_writes_as_many_outputs_as_the_target_binds() -> None:
    for most in (1, 2, 3, 8):
        options = replace(WORKGROUP, most_outputs=most)
        found = program_of(eight, [X], options)
        assert [len(n.stages) for n in found.steps if isinstance(n, Nest)] == [
            min(most, 8 - k) for k in range(0, 8, most)
        ]


def test_open_rows_are_fused_as_others_are() -> None:
    """Work along an open axis counts as 1024."""
    n = tw.dim("N")
    graph = run_passes(trace(softmax, {"x": tw.f32[n, 12]}).graph)
    assert shown(build_program(graph, CPU, "p").steps) == "N: max/12 12 add/12 12 keeps 12"
    graph = run_passes(trace(softmax, {"x": tw.f32[20, n]}).graph)
    assert shown(build_program(graph, CPU, "p").steps) == "20: max/N N add/N N"
