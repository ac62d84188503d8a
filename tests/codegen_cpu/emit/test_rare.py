"""What is seldom needed is computed where it is needed, by one function for all places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import Compiled
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.target import cpu_target

NATIVE = [n for n in ("host", "x86-64-v3", "x86-64-v2") if cpu_target(n).runs_here]
TARGETS = [*NATIVE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]


def compiled(function: Callable[..., Any], arrays: tuple[np.ndarray, ...], target: str) -> Compiled:
    machine = cpu_target(target)
    lowered = backend.lower(program_of(function, arrays), machine)
    return Compiled(lowered.program, machine)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 15, 63, 64, 127, 128, 140, 142])
def test_one_large_angle_among_small_ones(place: int, dtype: type, target: str) -> None:
    x: np.ndarray = np.linspace(-3, 3, 143).astype(dtype)
    x[place] = 1e30
    code, out = compiled(lambda a: np.sin(a), (x,), target), np.empty_like(x)
    code.run((x,), (out,))
    np.testing.assert_allclose(out, np.sin(x.astype(np.float64)), rtol=0, atol=2e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_a_power_with_one_exponent_for_all(target: str) -> None:
    """The exponent is a scalar among vectors."""
    x = np.array([*np.linspace(0, 2, 40), -0.0, -8.0, np.inf, np.nan, 1e-45], np.float32)

    def third(a: np.ndarray) -> np.ndarray:
        return a**3.0

    code, out = compiled(third, (x,), target), np.empty_like(x)
    code.run((x,), (out,))
    np.testing.assert_allclose(out, x.astype(np.float64) ** 3, rtol=2.4e-7, atol=1e-45)


def test_places_share_a_function() -> None:
    x = np.linspace(-3, 3, 1000).astype(np.float32)
    text = compiled(lambda a: np.sin(a) * np.sin(a + 1), (x,), "x86-64-v3").text
    assert text.count("define internal <8 x float> @rare") == 1
    assert text.count("call <8 x float> @rare0(") > 2
