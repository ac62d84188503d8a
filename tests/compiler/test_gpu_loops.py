"""`tw.loop` over data on the GPU targets, where each step is a few recorded launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

X = np.random.default_rng(4).standard_normal((7, 9)).astype(np.float32)
F = np.float32


def swapped(x):
    return tw.loop(5, lambda i, a, b: (b, a * F(0.5) + b), x, x * 2)


def carried_scalars(x):
    return tw.loop(
        4, lambda i, s, t, most: (s * F(0.5) + t, t + x.sum() * F(0.1), np.maximum(most, s.max())),
        x, F(1), F(0),
    )  # fmt: skip


def power_iteration(x):
    y = x - x.mean(axis=0)

    def step(i, v):
        w = y.T @ (y @ v)
        return w / np.sqrt((w * w).sum())

    return tw.loop(4, step, np.ones(9, F))[0]


def game_of_life(x):
    def step(i, alive):
        p = np.pad(alive.astype(np.int32), 1, mode="wrap")
        windows = [(a, b) for a in range(3) for b in range(3) if (a, b) != (1, 1)]
        count = sum(p[a : a + 7, b : b + 9] for a, b in windows)
        return (count == 3) | (alive & (count == 2))

    return tw.loop(6, step, x > 0)[0]


def suppressed(x):
    """Which of the rows survive those before them: the loop of a non-maximum suppression."""
    near = np.abs(x[:, None] - x[None]).max(axis=2) < F(2)
    rows = np.arange(7)
    return tw.loop(
        7, lambda i, kept: kept & ~(kept[i] & near[i] & (rows > i)), np.ones(7, bool)
    )[0]  # fmt: skip


def nested(x):
    return tw.loop(3, lambda i, s: tw.loop(2, lambda j, t: t * F(0.5) + x, s)[0] + i, x)[0]


def nested_with_both_numbers(x):
    def inner(i, s):
        return tw.loop(3, lambda j, t: t * F(0.5) + x[i] * j + i, s)[0]

    return tw.loop(5, inner, x[0] * 2)[0]


def nested_three_times(x):
    def middle(i, s):
        return tw.loop(2, lambda j, t: tw.loop(3, lambda k, u: u + x[i, j] * k, t)[0] + i, s)[0]

    return tw.loop(4, middle, x)[0]


def sorted_again(x):
    return tw.loop(3, lambda i, s: np.sort(s[::-1] * F(-1), axis=1), x)[0]


def summed_up(x):
    return tw.loop(3, lambda i, s: np.cumsum(s, axis=1) * F(0.1), x)[0]


def cleared_rows(x):
    def step(i, s):
        changed = s.copy()
        changed[i] = 0
        return changed

    return tw.loop(5, step, x)[0]


def element_after_element(x):
    return tw.loop(7, lambda i, s: s + x[i, 0], np.zeros((), F))[0]


def no_steps(x):
    return tw.loop(0, lambda i, s: s + 1, x)[0]


@pytest.mark.parametrize(
    "target",
    [pytest.param("wgsl", marks=pytest.mark.wgsl), pytest.param("glsl", marks=pytest.mark.glsl)],
)
@pytest.mark.parametrize(
    "function",
    [
        swapped, carried_scalars, power_iteration, game_of_life, suppressed, nested,
        nested_with_both_numbers, nested_three_times, sorted_again,
        summed_up, cleared_rows, element_after_element, no_steps,
    ],
)  # fmt: skip
def test_loops_on_gpu_targets(function: Callable[..., Any], target: str) -> None:
    tw.testing.check(tw.kernel(function), [X], targets=[target])


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_loops_that_data_end_are_refused_at_their_line(target: str) -> None:
    def halved(x):
        return tw.loop(
            2, lambda i, s: tw.while_loop(lambda y: (y > 1).any(), lambda y: y / 2, s), x
        )[0]

    with pytest.raises(tw.UnsupportedError) as caught:
        tw.kernel(halved).compile(tw.f32[3], target=target)
    first, line, *_, help = str(caught.value).splitlines()
    assert f"tw.while_loop ends when its data say so, which target {target!r} cannot do" in first
    assert "tw.while_loop(lambda y" in line
    assert help.startswith("help: use tw.loop with as many steps as it may take, and np.where")
