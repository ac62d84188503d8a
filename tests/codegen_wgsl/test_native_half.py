"""float16 on a device that computes with it: the same results as NumPy's, two bytes an element."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_wgsl.nests import axes, elementwise, program
from tests.conftest import Golden
from tilewright.codegen_wgsl import backend
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.emit.types import literal
from tilewright.codegen_wgsl.native_half import is_half, narrow, rounded, widen
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.blocks import slice_bytes
from tilewright.compiler.runtime import runtime
from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.transfer import Array

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@pytest.fixture(autouse=True)
def _device_with_halves(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("wgsl") and not runtime().webgpu.computes_halves:
        pytest.skip("the WebGPU device has no float16")


def same(function: Callable[..., Any], *arguments: Any) -> None:
    """The kernel's results are NumPy's, signs of zeros included."""
    with np.errstate(all="ignore"):
        wanted = np.asarray(function(*arguments))
    found = tw.kernel(function).on("wgsl")(*arguments)
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f":
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


UNARY: dict[str, Callable[[Any], Any]] = {
    "copied": lambda x: x[::-1],
    "negated": lambda x: -x,
    "abs": lambda x: np.abs(x),
    "twice": lambda x: x + x,
    "squared": lambda x: x * x,
    "halved": lambda x: x * np.float16(0.5),
    "less one": lambda x: x - np.float16(1),
    "tiny": lambda x: x + np.float16(2**-24),
    "minus zero": lambda x: x + np.float16(-0.0),
    "infinite": lambda x: x * np.float16(np.inf),
    "floor": lambda x: np.floor(x),
    "rint": lambda x: np.rint(x),
    "sqrt": lambda x: np.sqrt(x),
    "reciprocal": lambda x: np.float16(1) / x,
    "maximum": lambda x: np.maximum(x, np.float16(0.5)),
    "fmin": lambda x: np.fmin(x, np.float16(-3)),
    "clip": lambda x: np.clip(x, np.float16(-1), np.float16(6)),
    "chosen": lambda x: np.where(x > 0, x, -x),
    "positive": lambda x: x >= 0,
    "nan": lambda x: np.isnan(x),
    "signbit": lambda x: np.signbit(x),
    "single": lambda x: x.astype(np.float32),
    "through single": lambda x: (x.astype(np.float32) * 3).astype(np.float16),
}


@pytest.mark.wgsl
@pytest.mark.parametrize("name", UNARY)
def test_every_half(name: str) -> None:
    same(UNARY[name], EVERY)


@pytest.mark.wgsl
def test_bits_of_every_half() -> None:
    known = EVERY[~np.isnan(EVERY)]
    same(lambda x: x.view(np.uint16), known)
    same(lambda x: x.view(np.int16) + np.int16(1), known)
    same(lambda x: x.view(np.float16), known.view(np.uint16))


@pytest.mark.wgsl
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: np.minimum(a, b),
        lambda a, b: np.fmax(a, b),
        lambda a, b: np.copysign(a, b),
        lambda a, b: a < b,
        lambda a, b: a != b,
    ],
    ids=["add", "subtract", "multiply", "divide", "minimum", "fmax", "copysign", "less", "unequal"],
)
def test_pairs(function: Callable[[Any, Any], Any]) -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        same(function, rng.permutation(EVERY), EVERY)
    near = (EVERY.view(np.uint16) ^ rng.integers(0, 8, EVERY.size).astype(np.uint16) ^ 0x8000).view(
        np.float16
    )
    same(function, near, EVERY)


@pytest.mark.wgsl
def test_singles_become_halves() -> None:
    rng = np.random.default_rng(6)
    some = rng.integers(0, 1 << 32, 1 << 17, dtype=np.uint32).view(np.float32)
    near = (2.0 ** rng.uniform(-27, 17, 1 << 16)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        between = (EVERY[:-1].astype(np.float32) + EVERY[1:]) / 2
    edges = np.array([65504, 65519.996, 65520, -65520, np.inf, -np.inf, np.nan], np.float32)
    for x in (some, near, -near, between, edges):
        same(lambda a: a.astype(np.float16), x)


@pytest.mark.wgsl
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int16", "int32", "uint32"])
def test_integers_become_halves_and_back(dtype: str) -> None:
    bits = np.arange(1 << 16, dtype=np.uint32)
    x = (bits * (1 if dtype[-2:] in ("ol", "t8", "16") else 65537)).astype(dtype)
    same(lambda a: a.astype(np.float16), x)
    whole = np.arange(-100, 100).astype(np.float16)
    if dtype.startswith("u"):
        whole = np.abs(whole)
    same(lambda a: a.astype(dtype), whole)


SHAPES = [(1,), (2,), (3,), (5,), (7, 3), (3, 5, 7), (0, 4), (129, 2), (64, 65)]


@pytest.mark.wgsl
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_views(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(7).normal(size=shape).astype(np.float16)
    same(lambda a: a + a, x)
    same(lambda a: a.T * np.float16(3), x)
    same(lambda a: a[1:], x)
    same(lambda a: np.concatenate([a, a[::-1]]), x)
    same(lambda a: (a[::2], a.T)[0], x)


@pytest.mark.wgsl
def test_several_results_and_returned_arguments() -> None:
    x = np.arange(7, dtype=np.float16)
    made: Any = tw.kernel(lambda a: (a, a * 2, a[::-1])).on("wgsl")
    for found, wanted in zip(made(x), (x, x * 2, x[::-1]), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.wgsl
def test_scalars_loops_and_rows() -> None:
    x = normal(13, 9)
    same(lambda a, s: a * s + s, x, np.float16(3.1))
    same(lambda a, s: a * s, x, np.float16(np.inf))
    same(lambda a: tw.loop(7, lambda _, s: s * np.float16(0.5) + a, a)[0], x)
    same(lambda a, k: a[k], x, np.array([3, 1, 2], np.int32))
    same(lambda a: np.maximum.accumulate(a, axis=1), x)
    same(lambda a: a.argmax(axis=1), x)


@pytest.mark.wgsl
def test_open_dimensions() -> None:
    made: Any = tw.kernel(a=tw.f16[tw.dim("N")])(lambda a: a * a).on("wgsl")
    for size in (7, 8):
        x = np.arange(size, dtype=np.float16)
        np.testing.assert_array_equal(made(x), x * x)


def scattered(x: Any, k: Any) -> Any:
    y = x.copy()
    y[k] = x[: k.shape[0]]
    np.add.at(y, k, x[: k.shape[0]])
    return y


@pytest.mark.wgsl
def test_scatters_and_sorts() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=701).astype(np.float16)
    places = rng.permutation(701)[:333].astype(np.int32)
    same(scattered, x, places)
    same(lambda a: np.sort(a), x)
    same(lambda a: np.argsort(a, kind="stable"), x)
    same(lambda a: np.sort(a.reshape(-1, 70), axis=0), x[:700])
    same(lambda a: np.cumsum(np.abs(a) > 1), x)
    same(lambda a: a[np.argsort(a, kind="stable")], x[:37])


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float16(1e-3))
    return centred / spread * scale + shift


def convolution(x: Any, w: Any) -> Any:
    height, width, channels = x.shape
    return tw.compute(
        (height - 2, width - 2, w.shape[3]),
        lambda i, j, f: tw.sum(
            lambda p, q, c: x[i + p, j + q, c] * w[p, q, c, f], (3, 3, channels)
        ),
    )


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float16)


@pytest.mark.wgsl
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda a, b: a @ b, (normal(70, 66), normal(66, 50))),
        (lambda a, b: a @ b, (normal(128, 64), normal(64, 256))),
        (lambda a, b: np.maximum(a @ b.T, 0), (normal(33, 1030), normal(20, 1030))),
        (lambda a, b: a @ b, (normal(129, 500), normal(500))),
        (lambda a, b: a @ b, (normal(500), normal(500, 33))),
        (convolution, (normal(18, 20, 5), normal(3, 3, 5, 7))),
        (convolution, (normal(20, 20, 16), normal(3, 3, 16, 32))),
        (softmax, (normal(7, 1000),)),
        (softmax, (normal(64, 33),)),
        (layer_norm, (normal(9, 256), normal(256), normal(256))),
        (lambda x: x.sum(axis=0), (normal(1000, 6),)),
        (lambda x: x.mean(), (normal(300, 301),)),
        (lambda x: np.cumsum(x, axis=1), (normal(3, 600),)),
        (lambda x: np.tanh(x) * tw.sigmoid(x) + np.exp(x), (normal(1001),)),
        (lambda x: x**3 - x**-1, (normal(1001),)),
    ],
)
def test_kernels_against_float64(function: Any, arguments: tuple[Array, ...]) -> None:
    assert tw.testing.check(function, arguments, ["wgsl"]).worst["wgsl"] <= 1


@pytest.mark.wgsl
def test_sums_and_products_accumulate_in_single() -> None:
    """In float16 the sum of 10,000 ones stops at 2048."""
    ones = np.ones((3, 10_000), np.float16)
    found = tw.kernel(lambda x: (x.sum(axis=1), x @ x.T)).on("wgsl")(ones)
    for each in found:
        np.testing.assert_array_equal(each, np.float16(10_000))


@pytest.mark.wgsl
def test_arrays_that_stay_on_the_device() -> None:
    step: Any = tw.kernel(lambda x: x[::-1] * np.float16(0.5)).on("wgsl")
    to_single: Any = tw.kernel(lambda x: x.astype(np.float32)).on("wgsl")
    x = normal(37)
    d = tw.device_array(x, "wgsl")
    for _ in range(3):
        d = step(d)
        x = x[::-1] * np.float16(0.5)
    np.testing.assert_array_equal(d.numpy(), x)
    assert d.spec.packed == 2
    np.testing.assert_array_equal(to_single(d).numpy(), x.astype(np.float32))


@pytest.mark.wgsl
def test_bound_weights() -> None:
    x, w = normal(17, 33), normal(33, 9, seed=1)
    made = tw.kernel(lambda x, w: x @ w).bind(w=w)
    assert tw.testing.check(made, (x,), ["wgsl"]).worst["wgsl"] <= 1


@pytest.mark.wgsl
def test_programs_for_any_device_and_for_this_one_exchange_arrays(device: Device) -> None:
    """Those for any device pack their inputs and write a word for each element, or as these do."""
    x = normal(37)
    compiled = tw.kernel(lambda x: x + np.float16(1)).compile(x, target="wgsl")
    artifact = compiled.specialization.artifact
    assert "f16" not in compiled.source.replace("pack2x16float", "")
    portable = device.load(artifact.program, artifact.constants)
    native = device.load(_native(lambda x: Apply(ops.ADD, (x, b.const(1, F16)))).program)
    (first,) = native([x], outputs_on_device=True)
    (second,) = portable([first], outputs_on_device=True)
    (third,) = native([second], outputs_on_device=True)
    wanted = x
    for _ in range(3):
        wanted = wanted + np.float16(1)
    np.testing.assert_array_equal(third.numpy(), wanted)


def _native(make: Any) -> Any:
    x = Buffer("x", (37,), F16)
    return backend.build(elementwise("e", [x], make, F16), WgslOptions(native_half=True))


def test_golden(golden: Golden) -> None:
    x = Buffer("x", (64, 64), F16)
    y = Buffer("y", (64, 64), F16)

    def value(a: Any, c: Any) -> Any:
        product = Apply(ops.ADD, (Apply(ops.MUL, (a, c)), b.const(0.1, F16)))
        return Apply(ops.DIV, (Apply(ops.MAX, (product, b.const(0, F16))), c))

    made = backend.build(elementwise("e", [x, y], value, F16), WgslOptions(native_half=True))
    golden("wgsl/native_half", backend.source(made.program))


def test_buffers_have_two_bytes_an_element() -> None:
    made = _native(lambda x: Apply(ops.MUL, (x, x)))
    assert [(s.storage, s.packed) for s in made.program.buffers] == [("uint32", 2)] * 2
    text = backend.source(made.program)
    assert re.findall(r"array<(\S+),", text) == ["f16", "f16"] or "array<vec4<f16>" in text


def _product(rows: int, columns: int, depth: int) -> Program:
    x, w = Buffer("x", (rows, depth), F16), Buffer("w", (depth, columns), F16)
    out = Buffer("out", (rows, columns), F16)
    total = Buffer("total", (), F32, "scratch")
    i, j, k = axes(i=rows, j=columns, k=depth)
    product = b.mul(b.cast(Load(x, (i, k)), F32), b.cast(Load(w, (k, j)), F32))
    stages = (
        Stage((), (k,), "add", product, total, ()),
        Stage((), (), None, b.cast(Load(total, ()), F16), out, (i, j)),
    )
    return program([x, w], [out], [Nest("product", (i, j), stages, (total,))])


def test_tiles_of_products_are_halves_in_workgroup_memory() -> None:
    made = backend.build(_product(256, 256, 256), WgslOptions(native_half=True))
    text = backend.source(made.program)
    assert re.findall(r"var<workgroup> w\d: array<(\S+),", text) == ["vec4<f16>"] * 2
    assert re.findall(r"var r\d+: (\S+);", text) == ["vec4<f32>"] * 8


def test_schedules_know_what_halves_take_in_workgroup_memory() -> None:
    (nest,) = _product(256, 256, 256).steps
    assert isinstance(nest, Nest)
    found = match_contraction(nest)
    assert found is not None
    schedule = Schedule(tile=(4, 4), workgroup=(8, 8), stage_tile=16)
    sizes = [slice_bytes(found, schedule, WgslOptions(native_half=half)) for half in (False, True)]
    assert sizes == [(36 + 32) * 16 * 4, (36 + 32) * 16 * 2]


def test_shaders_without_halves_do_not_ask_for_them() -> None:
    x = Buffer("x", (37,), F32)
    made = backend.build(
        elementwise("e", [x], lambda x: Apply(ops.MUL, (x, x)), F32), WgslOptions(native_half=True)
    )
    assert "f16" not in backend.source(made.program)


def test_nothing_is_converted_twice() -> None:
    half = Var("x", dtype=F16)
    single = Var("y", dtype=F32)
    assert narrow(widen(half)) is half
    assert rounded(widen(half)).operands[0] is half
    assert narrow(rounded(single)).operands == (single,)
    assert is_half(rounded(single))
    assert not is_half(single)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0h"),
        (-1.5, "-1.5h"),
        (0.0999755859375, "0.0999755859375h"),
        (-0.0, "f16(bitcast<f32>(0x80000000u))"),
        (2.0**-24, "f16(0x1p-24f)"),
    ],
)
def test_literals(number: float, text: str) -> None:
    assert literal(number, F16) == text


@pytest.mark.parametrize("number", [65504.0, -0.0, float("inf"), float("nan")])
def test_numbers_that_float16_has(number: float) -> None:
    assert is_half(b.const(number, F32))


@pytest.mark.parametrize("number", [0.1, 65520.0, 2.0**-25, 1e30])
def test_numbers_that_float16_has_not(number: float) -> None:
    assert not is_half(b.const(number, F32))
    assert isinstance(rounded(b.const(number, F32)), Apply)
