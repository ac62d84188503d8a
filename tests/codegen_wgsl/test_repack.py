"""Narrow results that stay on the device are packed as the next kernel reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_wgsl import repack
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.device_array import DeviceArray, upload
from tilewright.codegen_wgsl.emit import shader
from tilewright.ir.artifact import BufferSpec, GpuProgram
from tilewright.ir.transfer import unpack
from tilewright.runtime_web.runner import webgpu
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

pytestmark = pytest.mark.wgsl

ENDS = [65519, 65520, 2**-25, 1.5 * 2**-24, 2.5 * 2**-24, 2**-14]
STORED = {"float16": "float32", "int8": "int32", "int16": "int32"}


def unpacked(device: Device, x: np.ndarray) -> DeviceArray:
    """The array as a kernel leaves it: a word for each element."""
    name = x.dtype.name
    return upload(
        device, x, BufferSpec("output", name, STORED.get(name, "uint32"), x.shape, x.size)
    )


def packed_words(device: Device, x: np.ndarray) -> np.ndarray:
    count = 4 // x.dtype.itemsize
    array = unpacked(device, x)
    wanted = repack.packed_like(array.spec, count)
    array.buffer_for(device, wanted, "x")
    assert array.spec == wanted
    return array.numpy()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int16", "float16"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 8, 33, 1000])
def test_every_dtype_and_size(device: Device, dtype: str, size: int) -> None:
    x = np.random.default_rng(size).integers(-130, 130, size).astype(dtype)
    np.testing.assert_array_equal(packed_words(device, x), x)


def test_every_float16(device: Device) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = x[~np.isnan(x)]
    found = packed_words(device, x)
    np.testing.assert_array_equal(found.view(np.uint16), x.view(np.uint16))
    assert np.isnan(packed_words(device, np.array([np.nan, 1], np.float16))).tolist() == [
        True,
        False,
    ]


def test_results_that_are_not_yet_rounded_to_float16(device: Device) -> None:
    """As `unpack` rounds them on the host: halves to even, infinite beyond the range."""
    bits = np.arange(0, 1 << 32, 65_521, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = np.concatenate([x, np.array(ENDS, np.float32)])
    x = x[~np.isnan(x)]
    spec = BufferSpec("output", "float32", "float32", x.shape, x.size)
    wide = upload(device, x, spec)._held[1]
    narrow = BufferSpec("output", "float16", "float32", x.shape, x.size)
    made = DeviceArray(
        device, repack.packed_like(narrow, 2), repack.pack_on_device(device, wide, narrow, 2)
    )
    np.testing.assert_array_equal(made.numpy(), unpack(x, narrow))


def test_more_workgroups_than_one_axis_has(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shader, "GROUPS_PER_DIMENSION", 3)
    x = np.arange(5000).astype(np.uint8)
    np.testing.assert_array_equal(packed_words(device, x), x)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16"])
def test_kernels_of_narrow_arrays_chain(dtype: str) -> None:
    turned: Any = tw.kernel(lambda x: x[::-1].copy()).on("wgsl")
    x = np.arange(21).reshape(7, 3).astype(dtype)
    once = turned(tw.device_array(x, "wgsl"))
    again = turned(once)
    np.testing.assert_array_equal(again.numpy(), x)
    np.testing.assert_array_equal(once.numpy(), x[::-1])


@pytest.mark.chromium
def test_a_browser_keeps_what_packs(
    webgpu_browser: WebGpuBrowserDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By layout, and not for ever."""
    monkeypatch.setattr(webgpu, "_MOST_PACKINGS", 2)
    loaded: list[GpuProgram] = []
    load = WebGpuBrowserDevice.load

    def counting(self: WebGpuBrowserDevice, program: GpuProgram, *rest: Any) -> Any:
        loaded.append(program)
        return load(self, program, *rest)

    monkeypatch.setattr(WebGpuBrowserDevice, "load", counting)

    def pack(size: int, dtype: str = "uint8") -> None:
        x = np.arange(size).astype(dtype)
        spec = BufferSpec("output", dtype, STORED.get(dtype, "uint32"), x.shape, x.size)
        array = webgpu_browser.upload(x, spec)
        count = 4 // x.dtype.itemsize
        webgpu_browser.fit(array, repack.packed_like(spec, count), "x")
        assert array.spec.packed == count
        np.testing.assert_array_equal(array.numpy(), x)

    for size in (5, 5, 6, 5, 6):
        pack(size)
    assert len(loaded) == 2
    pack(5, "float16")
    pack(6)
    assert len(loaded) == 3
    pack(5)  # the one that was not used for longest is gone
    assert len(loaded) == 4
