"""Floats in 16 bits, for devices that cannot draw to float textures: only where asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, program_of, reduced
from tests.codegen_glsl.programs import elementwise
from tests.codegen_glsl.runners import RUNNERS, Device, allocated, fresh
from tests.codegen_glsl.test_arena import FakeDriver
from tilewright.codegen_glsl.arena import TextureArena
from tilewright.codegen_glsl.backend import build
from tilewright.codegen_glsl.probe import judge
from tilewright.codegen_glsl.texture import layout_for
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import DeviceError
from tilewright.ir.kernel import Buffer

STORED = 2.0**-10
"""How much storing a float may change it, of its magnitude: drivers need not round to nearest."""


@pytest.fixture(params=RUNNERS)
def half(request: pytest.FixtureRequest) -> Iterator[Device]:
    with fresh(request.getfixturevalue(request.param), half_float=True) as opened:
        yield opened


def test_floats_are_rounded_when_they_are_stored(half: Device) -> None:
    assert half.facts.half_float
    x = np.array([1.1, -0.0, 65504.0, 1e6, -np.inf, np.nan, 2.0**-24, 1e-9, 0.1], np.float32)
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(half.upload(x).numpy(), expected)
    loaded = half.load(elementwise("a + b", x.shape, *["float32"] * 3))
    (found,) = loaded([x, np.zeros_like(x)])
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=STORED)
    assert not np.isfinite(found[~finite]).any()  # SwiftShader makes NaN of infinity


def test_between_loads_and_stores_floats_have_32_bits(half: Device) -> None:
    """Products are summed up in full; what comes out is as near as it can be stored."""
    n, k = 8, 256
    a, c, y = Buffer("a", (n, k), F32), Buffer("c", (k, n), F32), Buffer("y", (n, n), F32)
    step = reduced(y, (k,), "add", lambda i, j, r: b.mul(at(a, i, r), at(c, r, j)))
    rng = np.random.default_rng(0)
    left, right = (rng.random(s, np.float32).astype(np.float16) for s in ((n, k), (k, n)))
    arrays = [x.astype(np.float32) for x in (left, right)]
    (found,) = half.load(build(program_of([a, c], [y], [step])))(arrays)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    np.testing.assert_allclose(found, exact, rtol=STORED)


def test_each_array_on_the_way_is_rounded(half: Device) -> None:
    """The error grows with the arrays between argument and result: two are stored here."""
    x, y, z = (Buffer(n, (256,), F32) for n in ("x", "y", "z"))
    steps = [
        mapped(y, lambda i: b.mul(at(x, i), at(x, i)), "square"),
        mapped(z, lambda i: b.add(at(y, i), at(x, i)), "sum"),
    ]
    given = np.random.default_rng(0).random(256, np.float32)
    given = given.astype(np.float16).astype(np.float32)
    (found,) = half.load(build(program_of([x], [z], steps)))([given])
    exact = given.astype(np.float64) ** 2 + given
    np.testing.assert_allclose(found, exact, rtol=2 * STORED)


@pytest.mark.parametrize("value", [16777217, -(2**31)])
def test_integers_stay_exact(half: Device, value: int) -> None:
    x = np.array([value, 7], np.int32)
    (found,) = half.load(elementwise("a + 0", x.shape, "int32", "int32"))([x])
    np.testing.assert_array_equal(found, x)


def test_they_take_half_the_memory(half: Device) -> None:
    before = allocated(half)
    floats = half.upload(np.zeros(1 << 12, np.float32))
    assert allocated(half) - before == 1 << 13
    ints = half.upload(np.zeros(1 << 12, np.int32))
    assert allocated(half) - before == (1 << 13) + (1 << 14)
    del floats, ints


def test_a_driver_without_float_targets_is_refused_with_the_way_out() -> None:
    """And where 16 bits were asked for, there is none."""
    for half_float in (False, True):
        arena = TextureArena(FakeDriver(), 1 << 20, 1 << 20, half_float)  # type: ignore[arg-type]
        lease = arena.acquire(layout_for(16, "float32"))
        lease.handle.glo = -1
        with pytest.raises(DeviceError, match="cannot draw to textures of rgba") as caught:
            arena.framebuffer((lease,))
        assert ("rgba16f" in str(caught.value)) is half_float
        assert ("tw.choose_device(half_float=True)" in str(caught.value)) is not half_float


def test_the_self_test_knows_what_16_bits_can_hold() -> None:
    ints = np.array([16777217, -2147483647, 0, 0], np.int32)
    stored = float(np.float16(1.1)) ** 2
    for product in (np.float16(stored), np.nextafter(np.float16(stored), np.float16(2))):
        assert judge(np.array([product, 0, 0, 1], np.float32), ints, True)["half_float"]
    with pytest.raises(DeviceError, match=r"float16 product 1.1 \* 1.1 came back as"):
        judge(np.array([1.2, 0, 0, 1], np.float32), ints, True)
    with pytest.raises(DeviceError, match=r"float32 product 1.1 \* 1.1 came back as"):
        judge(np.array([np.float16(stored), 0, 0, 1], np.float32), ints)
