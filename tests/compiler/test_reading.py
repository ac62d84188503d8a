"""Device arrays that are read while host and device go on."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_wgsl.programs import add_program
from tilewright.codegen_wgsl.device import Device
from tilewright.ir.errors import DeviceLostError
from tilewright.ir.reading import Reading

TARGETS = [pytest.param(t, marks=getattr(pytest.mark, t)) for t in ("wgsl", "glsl")]


@tw.kernel
def double(x: Any) -> Any:
    return 2 * x


@pytest.mark.parametrize("target", TARGETS)
def test_readings_are_waited_for_in_any_order(target: str) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    d = tw.device_array(x, target)
    readings = []
    for _ in range(4):
        readings.append(d.read())
        d = double.on(target)(d)
    for power in (3, 0, 2, 1):
        np.testing.assert_array_equal(readings[power].numpy(), x * 2**power)
    assert readings[1].numpy() is readings[1].numpy()


@pytest.mark.parametrize("target", TARGETS)
def test_awaiting_lets_others_run(target: str) -> None:
    x = np.ones((5, 3), np.float16)
    d = double.on(target)(tw.device_array(x, target))
    order = []

    async def other() -> None:
        order.append("other")

    async def main() -> Any:
        task = asyncio.create_task(other())
        first, second = await asyncio.gather(d.read(), d.read())
        order.append("read")
        await task
        np.testing.assert_array_equal(second, first)
        return first

    found = asyncio.run(main())
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, 2 * x)
    assert order == ["other", "read"]


def test_a_failure_is_told_each_time() -> None:
    def fail() -> Any:
        raise DeviceLostError("gone")

    reading = Reading(fail)
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="gone"):
            reading.numpy()


@pytest.mark.wgsl
def test_the_copy_is_of_what_the_array_held_when_it_began() -> None:
    """Its buffer is used again as soon as the array is dropped."""
    device = Device()
    program = device.load(add_program(1000))
    ones = np.ones(1000, np.float32)
    (d,) = program([ones, ones], outputs_on_device=True)
    reading = d.read()
    del d
    again = program([5 * ones, ones], outputs_on_device=True)
    np.testing.assert_array_equal(reading.numpy(), 2 * ones)
    np.testing.assert_array_equal(again[0].numpy(), 6 * ones)


@pytest.mark.wgsl
def test_readings_that_nobody_waits_for_hold_no_memory() -> None:
    device = Device()
    (d,) = device.load(add_program(1000))([np.ones(1000, np.float32)] * 2, outputs_on_device=True)
    for _ in range(5):
        d.read()
    gc.collect()
    assert device.staging_pool.idle_bytes() == 4000
    assert (d.numpy() == 2).all()


@pytest.mark.wgsl
def test_a_device_that_is_lost_meanwhile() -> None:
    device = Device()
    program, ones = device.load(add_program(8)), np.ones(8, np.float32)
    (d,) = program([ones, ones], outputs_on_device=True)
    early, late = d.read(), d.read()
    np.testing.assert_array_equal(early.numpy(), 2 * ones)
    device.raw.destroy()
    with pytest.raises(DeviceLostError):
        program([ones, ones])
    np.testing.assert_array_equal(program([ones, ones])[0], 2 * ones)
    np.testing.assert_array_equal(early.numpy(), 2 * ones)
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="lost before the array was read"):
            late.numpy()
    del late
    gc.collect()
    assert device.staging_pool.idle_bytes() == 256  # of the new device alone
