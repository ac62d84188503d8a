"""Narrow results: how they lie on the device, read back, chained, and at the ends of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_wgsl.nests import axes, compile_program, elementwise, program, run
from tilewright.codegen_wgsl import device_array
from tilewright.codegen_wgsl.backend import build, source
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir import build as b
from tilewright.ir.dtypes import BOOL, F16, F32, I8, I16, INDEX, U8, U16, DType
from tilewright.ir.expr import Load
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Copy, Nest, Ordered, Program, Stage
from tilewright.ir.schedule import INNER, Schedule

NARROW = (BOOL, I8, U8, I16, U16, F16)
SHAPES = [
    *((n,) for n in range(10)),
    *((3, 5), (3, 6), (1, 7), (5, 1), (2, 3, 3), (3, 2, 4), (0, 3), (2, 0), (), (33, 31)),
]


def sample(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    rng = np.random.default_rng(1 + sum(shape))
    low, high = (0, 2) if dtype is BOOL else (0 if dtype.kind == "u" else -100, 100)
    return np.asarray(rng.integers(low, high, shape)).astype(dtype.numpy)


@pytest.mark.wgsl
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_dtype_and_shape(device: Device, dtype: DType) -> None:
    for shape in SHAPES:
        x, out = Buffer("x", shape, dtype), Buffer("out", shape, dtype)
        points = axes(**{f"i{k}": n for k, n in enumerate(shape)})
        last = [b.sub(b.index(n - 1), p) for n, p in zip(shape, points, strict=True)]
        stage = Stage((), (), None, Load(x, tuple(last)), out, points, "turned")
        made = program([x], [out], [Nest("turned", points, (stage,), ())])
        (spec,) = (s for s in compile_program(made).program.buffers if s.role == "output")
        assert spec.packed == 32 // dtype.bits, shape
        given = sample(shape, dtype)
        np.testing.assert_array_equal(run(device, made, [given])[0], np.flip(given))


def transposed(dtype: DType) -> Program:
    x, out = Buffer("x", (8, 6), dtype), Buffer("out", (6, 8), dtype)
    i, j = axes(i=6, j=8)
    stage = Stage((), (), None, Load(x, (j, i)), out, (i, j), "turned")
    return program([x], [out], [Nest("turned", (i, j), (stage,), ())])


@pytest.mark.wgsl
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(workgroup=(8,)),
        Schedule(tile=(1, 4), vector=1, width=4, workgroup=(8,)),
        Schedule(tile=(2, 4), vector=1, width=4, workgroup=(8,)),
        Schedule(tile=(4, 2), workgroup=(8,)),
        Schedule(tile=(4, 8), workgroup=(8,)),
        Schedule(vector=INNER, workgroup=(8,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [U8, F16, I16], ids=str)
def test_every_schedule_is_right(device: Device, schedule: Schedule, dtype: DType) -> None:
    """Whether it makes whole words or not."""
    made = transposed(dtype)
    given = sample((8, 6), dtype)
    np.testing.assert_array_equal(run(device, made, [given], schedule)[0], given.T)


def whole_words(schedule: Schedule, dtype: DType = U8) -> bool:
    return build(transposed(dtype), schedules={"turned": schedule}).program.buffers[1].packed > 1


def test_the_schedule_decides() -> None:
    assert whole_words(Schedule(tile=(1, 4), vector=1, width=4, workgroup=(8,)))
    assert whole_words(Schedule(tile=(2, 8), workgroup=(8,)))
    assert whole_words(Schedule(tile=(1, 2), workgroup=(8,)), F16)
    assert not whole_words(Schedule(tile=(1, 2), workgroup=(8,)))
    assert not whole_words(Schedule(workgroup=(8,)))
    assert not whole_words(Schedule(tile=(4, 1), workgroup=(8,)))


@pytest.mark.wgsl
@pytest.mark.parametrize("dtype", [U8, I16, F16], ids=str)
def test_scattered_results_have_a_word_for_each_element(device: Device, dtype: DType) -> None:
    x, places = Buffer("x", (6,), dtype), Buffer("places", (4,), U8)
    values, out = Buffer("values", (4,), dtype), Buffer("out", (6,), dtype)
    (k,) = axes(k=4)
    target = b.cast(Load(places, (k,)), INDEX)
    step = Ordered("scatter", (k,), out, (target,), Load(values, (k,)), None)
    made = program([x, places, values], [out], [Copy(x, out), step])
    given = [sample((6,), dtype), np.array([5, 0, 5, 2], np.uint8), sample((4,), dtype)]
    wanted = given[0].copy()
    for place, value in zip(given[1], given[2], strict=True):
        wanted[place] = value
    np.testing.assert_array_equal(run(device, made, given)[0], wanted)


GAMMA = np.linspace(0, 255, 256).astype(np.uint8)[::-1].copy()
KERNELS: dict[str, Callable[..., Any]] = {
    "brighter": lambda x: np.clip(np.rint(x.astype(np.float32) * np.float32(1.2)), 0, 255).astype(
        np.uint8
    ),
    "threshold": lambda x: np.where(x > 127, np.uint8(255), np.uint8(0)),
    "mask": lambda x: x > 127,
    "gamma": lambda x: GAMMA[x],
    "crop": lambda x: x[1:-1, 2:],
    "flip": lambda x: x[:, ::-1],
    "swap": lambda x: x[..., ::-1],
    "joined": lambda x: np.concatenate([x, x[:, :2]], axis=1),
    "gray": lambda x: ((x[..., 0].astype(np.uint16) * 77 + x[..., 1] * 151) >> 8).astype(np.uint8),
    "int8": lambda x: np.clip(np.rint(x / np.float32(3)) - 40, -128, 127).astype(np.int8),
    "half": lambda x: x.astype(np.float16) / np.float16(8),
    "blur": lambda x: ((x[:-1, :-1].astype(np.uint16) + x[1:, 1:]) >> 1).astype(np.uint8),
    "darkest": lambda x: x.min(axis=2),
    "rgba": lambda x: np.concatenate([x, np.full_like(x[..., :1], 255)], axis=2),
    "several": lambda x: (x > 9, x.astype(np.int16) - 300, x.astype(np.float32)),
}


@pytest.mark.wgsl
@pytest.mark.parametrize("size", [(5, 7, 3), (4, 8, 3), (6, 5, 3), (9, 31, 3)])
@pytest.mark.parametrize("name", KERNELS)
def test_images(name: str, size: tuple[int, int, int]) -> None:
    """Read back, left on the device, chained, and read without waiting."""
    x = np.random.default_rng(7).integers(0, 256, size).astype(np.uint8)
    function = KERNELS[name]
    kernel = tw.kernel(function).on("wgsl")
    plain = tw.kernel(lambda y: y.astype(np.float32) + np.float32(1)).on("wgsl")
    wanted, found, there = function(x), kernel(x), kernel(tw.device_array(x, "wgsl"))
    for w, f, d in zip(*map(_several, (wanted, found, there)), strict=True):
        assert f.dtype == w.dtype
        np.testing.assert_array_equal(f, w)
        np.testing.assert_array_equal(d.numpy(), w)
        np.testing.assert_array_equal(d.read().numpy(), w)
        assert d.spec.packed == max(1, 4 // w.dtype.itemsize)
        np.testing.assert_array_equal(plain(d).numpy(), w.astype(np.float32) + 1)


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.wgsl
@pytest.mark.parametrize("native_half", [False, True])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_literals_among_halves(device: Device, size: int, native_half: bool) -> None:
    """A part of a word that is a literal, as in a border of zeros."""
    x, out = Buffer("x", (size,), F16), Buffer("out", (size + 3,), F16)
    (p,) = axes(p=size + 3)
    there = Load(x, (b.minimum(p, b.index(size - 1)),))
    value = b.select(b.lt(p, b.index(size)), there, b.const(-1.5, F16))
    made = program([x], [out], [Nest("pad", (p,), (Stage((), (), None, value, out, (p,)),), ())])
    text = source(build(made, WgslOptions(native_half=native_half)).program)
    device.validate(text, "pad")
    given = sample((size,), F16)
    wanted = np.concatenate([given, np.full(3, -1.5, np.float16)])
    if not native_half:
        np.testing.assert_array_equal(run(device, made, [given])[0], wanted)


@pytest.mark.wgsl
def test_packed_results_chain_without_a_packing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("packed once more")

    monkeypatch.setattr(device_array, "pack_on_device", never)
    x = np.arange(105, dtype=np.uint8).reshape(5, 7, 3)
    step = tw.kernel(lambda a: a[:, ::-1] + 1).on("wgsl")
    there = step(step(tw.device_array(x, "wgsl")))
    np.testing.assert_array_equal(there.numpy(), x + 2)


def test_golden_of_bytes(golden: Callable[[str, str], None]) -> None:
    """Rows of 21 bytes in, the first cut off: four neighbours, over the ends of rows."""
    x = Buffer("x", (6, 7, 3), U8)
    points = axes(i=6, j=6, c=3)
    i, j, c = points
    value = b.cast(b.mul(b.cast(Load(x, (i, b.add(j, b.index(1)), c)), F32), b.const(0.5, F32)), U8)
    out = Buffer("out", (6, 6, 3), U8)
    nest = Nest("darker", points, (Stage((), (), None, value, out, points, "darker"),), ())
    brighter = elementwise("brighter", [Buffer("x", (4, 8), U8)], lambda v: b.add(v, v), U8)
    texts = [compile_program(p).program for p in (program([x], [out], [nest]), brighter)]
    golden("wgsl/bytes", "\n".join(source(t) for t in texts))
