"""float16 beyond the finite numbers, which WGSL's own functions need not convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_wgsl.runners import RUNNERS
from tilewright.ir.transfer import Array

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
SINGLES = np.array(
    [np.inf, -np.inf, np.nan, 65519.99, 65520, -65520, 1e38, 65504, 2**-24, 2**-25, -0.0],
    np.float32,
)


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[..., Any], Array], Array]:
    """A function of one array on each of the runners."""
    device = request.getfixturevalue(request.param)

    def call(function: Callable[..., Any], x: Array) -> Array:
        artifact = tw.kernel(function).compile(x, target="wgsl").specialization.artifact
        (found,) = device.load(artifact.program, artifact.constants)([x])
        return np.asarray(found)

    return call


def test_every_half_is_itself_after_an_operation(run: Callable[..., Array]) -> None:
    with np.errstate(invalid="ignore"):
        wanted = EVERY + np.float16(0)
    np.testing.assert_array_equal(run(lambda a: a + np.float16(0), EVERY), wanted)


def test_bits_of_every_half(run: Callable[..., Array]) -> None:
    known = EVERY[~np.isnan(EVERY)]
    np.testing.assert_array_equal(run(lambda a: a.view(np.uint16), known), known.view(np.uint16))
    nan = run(lambda a: a.view(np.uint16), EVERY[np.isnan(EVERY)]).view(np.float16)
    assert np.isnan(nan).all()


def test_singles_are_rounded_to_halves(run: Callable[..., Array]) -> None:
    with np.errstate(over="ignore"):
        wanted = SINGLES.astype(np.float16) * np.float16(1)
    found = run(lambda a: a.astype(np.float16) * np.float16(1), SINGLES)
    np.testing.assert_array_equal(found, wanted)


def test_results_that_overflow_are_infinite(run: Callable[..., Array]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = EVERY * EVERY
    np.testing.assert_array_equal(run(lambda a: a * a, EVERY), wanted)
