"""Devices whose float16 is not that of IEEE 754 do not compute with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import Struct

from tests.codegen_wgsl.runners import RUNNERS
from tilewright.codegen_wgsl import half_probe
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.half_probe import HALF_FEATURE, computes_halves
from tilewright.ir.artifact import GpuProgram
from tilewright.ir.errors import DeviceError, DeviceLostError
from tilewright.ir.transfer import Array


class Info(Struct):
    features: frozenset[str] = frozenset({HALF_FEATURE})


class Imitation:
    """A device that computes as NumPy does, and then spoils the results."""

    def __init__(self, spoil: Any, feature: bool = True) -> None:
        self.info: Any = Info() if feature else Info(frozenset())
        self.spoil = spoil

    def load(self, _: GpuProgram) -> Any:
        def call(inputs: list[Array]) -> list[Array]:
            single, first, second = inputs
            return [
                self.spoil(half_probe._wanted(single, first, second)),
                self.spoil(first.astype(np.float32)),
            ]

        return call


def flushed(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        small = np.abs(x) < 2.0**-14
        return np.asarray(np.where(small, x * 0, x))


def finite(x: Array) -> Array:
    return np.asarray(np.clip(x, -65504, 65504))


def unsigned(x: Array) -> Array:
    return np.asarray(x + x.dtype.type(0))


def test_a_device_that_computes_as_numpy_does() -> None:
    assert computes_halves(Imitation(lambda x: x))
    assert not computes_halves(Imitation(lambda x: x, feature=False))


@pytest.mark.parametrize("spoil", [flushed, finite, unsigned, np.nan_to_num])
def test_devices_that_differ(spoil: Any) -> None:
    assert not computes_halves(Imitation(spoil))


def test_a_device_that_refuses_the_shader() -> None:
    def refuse(_: Array) -> Array:
        raise DeviceError("refused")

    def lose(_: Array) -> Array:
        raise DeviceLostError("lost")

    assert not computes_halves(Imitation(refuse))
    with pytest.raises(DeviceLostError, match="lost"):
        computes_halves(Imitation(lose))


@pytest.mark.parametrize("row", range(half_probe._ROWS))
def test_each_operation_counts(row: int) -> None:
    def spoil(x: Array) -> Array:
        x = x.copy()
        if x.ndim > 1:
            x[row, -1] = 1
        return x

    assert not computes_halves(Imitation(spoil))


def test_rounding_to_zero_shows() -> None:
    single, _, _ = half_probe._arguments()
    with np.errstate(invalid="ignore", over="ignore"):
        nearest = single.astype(np.float16)
        away = np.abs(nearest.astype(np.float64)) > np.abs(single.astype(np.float64))
    assert np.any(away & np.isfinite(nearest))


@pytest.mark.parametrize("name", RUNNERS)
def test_it_runs(name: str, request: pytest.FixtureRequest) -> None:
    device: Any = request.getfixturevalue(name)
    assert computes_halves(device) is device.computes_halves
    assert HALF_FEATURE in device.info.features or not device.computes_halves


@pytest.mark.wgsl
def test_lavapipe_computes_halves(device: Device) -> None:
    if "llvmpipe" not in device.info.name or HALF_FEATURE not in device.info.features:
        pytest.skip("another adapter")
    assert device.computes_halves
