"""Handwritten programs through the runner."""

from __future__ import annotations

import gc
import pickle
import re
import resource
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
from msgspec import structs

from tests.codegen_glsl.programs import buffer, elementwise, launch, program
from tests.codegen_glsl.runners import RUNNERS, Device, allocated, fresh, shaders
from tilewright.codegen_glsl.array_spec import check_layout
from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.device_array import GlDeviceArray
from tilewright.ir.artifact import CopyBuffer, GpuProgram, Repeat, ShaderLaunch, TextureLayout
from tilewright.ir.errors import (
    DeviceError,
    DeviceLostError,
    DTypeError,
    IRError,
    LimitError,
    ShapeError,
)
from tilewright.runtime_web.runner.device_array import GlslBrowserArray


@pytest.fixture(params=RUNNERS)
def device(request: pytest.FixtureRequest) -> Device:
    """Each of the runners in turn."""
    found: Device = request.getfixturevalue(request.param)
    return found


FLOATS = ("float32", "float32", "float32")


def random_floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 17, 63, 1001, 8191, 8193, 100_003])
def test_add_of_any_length(device: Device, size: int) -> None:
    a, b = random_floats(size, seed=1), random_floats(size, seed=2)
    (result,) = device.load(elementwise("a + b", (size,), *FLOATS))([a, b])
    np.testing.assert_array_equal(result, a + b)


@pytest.mark.parametrize("shape", [(), (1, 1), (3, 5, 7), (1,) * 8])
def test_shape_is_the_compiled_one(device: Device, shape: tuple[int, ...]) -> None:
    a = np.asarray(random_floats(*shape))  # the generator returns a scalar for shape ()
    (result,) = device.load(elementwise("a + b", shape, *FLOATS))([a, a])
    assert result.shape == shape
    np.testing.assert_array_equal(result, a + a)


def test_special_floats_pass_unchanged(device: Device) -> None:
    a = np.array([np.inf, -np.inf, np.nan, -0.0, 3.4028235e38, 1.1754944e-38], np.float32)
    copy = elementwise("a", a.shape, "float32", "float32")
    (result,) = device.load(copy)([a])
    np.testing.assert_array_equal(result.view(np.int32), a.view(np.int32))


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int32", [16777217, 2**31 - 2, -(2**31), 0, -1]),
        ("uint32", [16777217, 2**32 - 2, 2**31, 0, 1]),
        ("int64", [16777217, 2**31 - 2, -(2**31), 0, -1]),
        ("int16", [32766, -32768, 0]),
        ("uint8", [254, 128, 0]),
    ],
)
def test_integers_are_exact(device: Device, dtype: str, values: list[int]) -> None:
    a = np.array(values, dtype)
    one = "1u" if dtype.startswith("u") else "1"
    (result,) = device.load(elementwise(f"a + {one}", a.shape, dtype, dtype))([a])
    assert result.dtype == a.dtype
    np.testing.assert_array_equal(result, a + a.dtype.type(1))


def test_bool_is_an_integer_in_the_shader(device: Device) -> None:
    a = np.array([True, False, True, True, False])
    (result,) = device.load(elementwise("1 - a", a.shape, "bool", "bool"))([a])
    assert result.dtype == np.bool_
    np.testing.assert_array_equal(result, ~a)


def test_float16_is_computed_as_float32(device: Device) -> None:
    a = np.array([1.0, 65504.0, 6e-8, 0.1], np.float16)
    loaded = device.load(elementwise("a * 0.5", a.shape, "float16", "float16"))
    np.testing.assert_array_equal(loaded([a])[0], a * np.float16(0.5))


def test_int64_value_that_does_not_fit_is_refused(device: Device) -> None:
    loaded = device.load(elementwise("a", (2,), "int64", "int64"))
    with pytest.raises(LimitError, match=r"holds 2147483648 at index \(1,\)"):
        loaded([np.array([1, 2**31])])


def test_reduction_in_two_passes(device: Device) -> None:
    """Sum of 1,000 integers: ten partial sums, then one."""
    buffers = [
        buffer("input", (1000,), "int32"),
        buffer("temporary", (10,), "int32"),
        buffer("output", (), "int32"),
    ]
    partial = """
  ivec4 totals = ivec4(0);  // WebGL has no place in an output that is not known
  for (int lane = 0; lane < 4; ++lane) {
    int total = 0;
    for (int k = 0; k < 25; ++k) {
      ivec4 v = texelFetch(t0, at0((texel * 4 + lane) * 25 + k), 0);
      total += v.x + v.y + v.z + v.w;
    }
    if (texel * 4 + lane < 10) totals[lane] = total;
  }
  o0 = totals;"""
    total = """
  int total = 0;
  for (int k = 0; k < 10; ++k) total += texelFetch(t0, at0(k / 4), 0)[k % 4];
  o0 = ivec4(total);"""
    loaded = device.load(
        program(
            buffers,
            launch(buffers, (0,), (1,), partial),
            launch(buffers, (1,), (2,), total),
        ),
    )
    a = np.random.default_rng(3).integers(-(10**6), 10**6, 1000, np.int32)
    np.testing.assert_array_equal(loaded([a])[0], a.sum(dtype=np.int32))


def test_two_outputs_of_different_dtypes_in_one_launch(device: Device) -> None:
    buffers = [
        buffer("input", (9,)),
        buffer("output", (9,)),
        buffer("output", (9,), "int32"),
    ]
    body = "  vec4 a = texelFetch(t0, at0(texel), 0);\n  o0 = a * 2.0;\n  o1 = ivec4(floor(a));"
    loaded = device.load(program(buffers, launch(buffers, (0,), (1, 2), body)))
    a = random_floats(9) * 10
    doubled, floored = loaded([a])
    np.testing.assert_array_equal(doubled, a * 2)
    np.testing.assert_array_equal(floored, np.floor(a).astype(np.int32))


def test_four_outputs_in_one_launch(device: Device) -> None:
    buffers = [buffer("input", (6,)), *[buffer("output", (6,)) for _ in range(4)]]
    body = "  vec4 a = texelFetch(t0, at0(texel), 0);\n" + "\n".join(
        f"  o{k} = a + {k}.0;" for k in range(4)
    )
    loaded = device.load(program(buffers, launch(buffers, (0,), (1, 2, 3, 4), body)))
    a = random_floats(6)
    for k, result in enumerate(loaded([a])):
        np.testing.assert_array_equal(result, a + np.float32(k))


def counting_program(count: int) -> GpuProgram:
    """``x = 2 x + counter + 5`` repeated, with a copy back at the end of each."""
    buffers = [
        buffer("input", (7,), "int32"),
        buffer("output", (7,), "int32"),
        buffer("temporary", (7,), "int32"),
    ]
    body = "  o0 = 2 * texelFetch(t0, at0(texel), 0) + u[0] + u[1];"
    step = launch(buffers, (1,), (2,), body, uniforms=(-1, 5))
    return program(buffers, CopyBuffer(0, 1), Repeat(count, (step, CopyBuffer(2, 1))))


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_repeat_counts_in_uniform_0(device: Device, count: int) -> None:
    expected = a = np.arange(7, dtype=np.int32)
    for counter in range(count):
        expected = 2 * expected + np.int32(counter + 5)
    (result,) = device.load(counting_program(count))([a])
    np.testing.assert_array_equal(result, expected)


def test_nested_repeat_holds_the_innermost_counter(device: Device) -> None:
    buffers = [
        buffer("input", (2,), "int32"),
        buffer("output", (2,), "int32"),
        buffer("temporary", (2,), "int32"),
    ]
    step = launch(
        buffers, (1,), (2,), "  o0 = texelFetch(t0, at0(texel), 0) * 3 + u[0];", uniforms=(0,)
    )
    both = (step, CopyBuffer(2, 1))
    steps = Repeat(2, (*both, Repeat(3, both)))
    loaded = device.load(program(buffers, CopyBuffer(0, 1), steps))
    expected = a = np.array([1, -4], np.int32)
    for outer in range(2):
        expected = expected * 3 + np.int32(outer)
        for inner in range(3):
            expected = expected * 3 + np.int32(inner)
    np.testing.assert_array_equal(loaded([a])[0], expected)


class _NoClock(nullcontext[None]):
    """A timer query of a driver that counts with no bits."""

    elapsed = 0


@pytest.mark.parametrize("clock", ["device", "host"])
def test_the_time_of_a_call_is_told_apart(
    device: Device, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    if clock == "host" and not isinstance(device, GlDevice):
        monkeypatch.setattr(type(device), "has_clock", False)
    elif clock == "host":
        monkeypatch.setattr(GlContext, "take_timer", lambda _: _NoClock())
        monkeypatch.setattr(GlContext, "give_timer", lambda *_: None)
    a = np.arange(7, dtype=np.int32)
    short, long = (device.load(counting_program(n)) for n in (1, 600))
    before = long([a])[0]
    assert 0 < short.device_seconds([a], runs=3) < long.device_seconds([a], runs=3)
    found = long.times([a], runs=2)
    assert found.clock == clock
    assert min(found.upload, found.device, found.read_back) > 0
    if clock == "device":
        (rounds,) = found.launches  # of a repeat all together
        assert rounds > short.times([a], runs=2).launches[0] > 0
    else:
        assert found.launches == ()
    np.testing.assert_array_equal(long([a])[0], before)


def test_the_clock_of_software_is_the_hosts(device: Device) -> None:
    """Llvmpipe's queries tell a small part of the time of a large texture."""
    if not device.facts.is_software:
        pytest.skip("the device is not software")
    a = np.zeros(1 << 20, np.float32)
    text = " + ".join(["sin(a)"] * 8)
    loaded = device.load(elementwise(text, a.shape, "float32", "float32"))
    held = device.upload(a)
    loaded.device_seconds([held])
    device.synchronize()
    begin = time.perf_counter()
    found = loaded.device_seconds([held], runs=8)
    passed = (time.perf_counter() - begin) / 9  # one run goes before
    assert passed / 2 < found < 2 * passed
    (launch,) = loaded.times([held], runs=4).launches
    assert launch > found / 4


def test_a_launch_that_draws_nothing_takes_no_time(device: Device) -> None:
    found = device.load(elementwise("a + b", (0,), *FLOATS)).times([np.zeros(0, np.float32)] * 2)
    assert found.launches == (0,)


def test_uniforms_of_launches_that_share_a_shader_stay_apart(device: Device) -> None:
    buffers = [buffer("input", (3,), "int32"), *[buffer("output", (3,), "int32") for _ in "ab"]]
    body = "  o0 = texelFetch(t0, at0(texel), 0) * u[1];"
    first = launch(buffers, (0,), (1,), body, uniforms=(0, 7))
    second = launch(buffers, (0,), (2,), body, uniforms=(0, -3))
    assert first.source == second.source
    loaded = device.load(program(buffers, first, second))
    a = np.arange(3, dtype=np.int32)
    for _ in range(2):
        by_seven, by_minus_three = loaded([a])
        np.testing.assert_array_equal(by_seven, a * 7)
        np.testing.assert_array_equal(by_minus_three, a * -3)


def test_constants_are_uploaded_once_and_survive_a_lost_device(device: Device) -> None:
    buffers = [buffer("input", (5,)), buffer("constant", (5,)), buffer("output", (5,))]
    body = "  o0 = texelFetch(t0, at0(texel), 0) * texelFetch(t1, at1(texel), 0);"
    a, c = random_floats(5, seed=4), random_floats(5, seed=5)
    with fresh(device) as own:
        loaded = own.load(program(buffers, launch(buffers, (0, 1), (2,), body)), [c])
        np.testing.assert_array_equal(loaded([a])[0], a * c)
        own.lose()
        np.testing.assert_array_equal(loaded([a])[0], a * c)


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0)])
def test_arrays_without_elements(device: Device, shape: tuple[int, ...]) -> None:
    a = np.zeros(shape, np.float32)
    (result,) = device.load(elementwise("a + b", shape, *FLOATS))([a, a])
    assert result.shape == shape
    assert result.dtype == np.float32


def test_reduction_of_no_elements_still_writes(device: Device) -> None:
    buffers = [buffer("input", (0,)), buffer("output", ())]
    loaded = device.load(program(buffers, launch(buffers, (0,), (1,), "  o0 = vec4(1.0);")))
    assert loaded([np.zeros(0, np.float32)])[0] == 1


def test_an_input_may_be_an_output(device: Device) -> None:
    spec = buffer("input", (6,))
    identity = GpuProgram("glsl", (spec,), (0,), (0, 0), ())
    a = random_floats(6)
    first, second = device.load(identity)([a])
    np.testing.assert_array_equal(first, a)
    first[0] = 99
    assert second[0] != 99
    assert a[0] != 99


def test_packed_words_arrive_bit_by_bit(device: Device) -> None:
    """Four uint8 per word: adding 0x01010101 adds one to each while none overflows."""
    plain = buffer("input", (11,), "uint8")
    spec = structs.replace(plain, packed=4, storage="uint32")
    buffers = [spec, structs.replace(spec, role="output")]
    step = launch(buffers, (0,), (1,), "  o0 = texelFetch(t0, at0(texel), 0) + 0x01010101u;")
    a = np.arange(11, dtype=np.uint8) * 20
    (result,) = device.load(program(buffers, step))([a])
    np.testing.assert_array_equal(result, a + np.uint8(1))


# Device arrays


def test_device_arrays_chain_without_reading_back(device: Device) -> None:
    double = device.load(elementwise("a * 2.0", (9,), "float32", "float32"))
    add = device.load(elementwise("a + b", (9,), *FLOATS))
    a = random_floats(9)
    (doubled,) = double([a], outputs_on_device=True)
    assert isinstance(doubled, GlDeviceArray | GlslBrowserArray)
    assert (doubled.shape, doubled.dtype.name, doubled.ndim) == ((9,), "float32", 1)
    (mixed,) = add([doubled, a], outputs_on_device=True)
    np.testing.assert_array_equal(mixed, a * 2 + a)  # through __array__
    (twice,) = add([doubled, doubled])
    np.testing.assert_array_equal(twice, a * 4)
    np.testing.assert_array_equal(doubled.numpy(), a * 2)


def test_a_device_array_keeps_its_values_while_its_program_runs_again(device: Device) -> None:
    double = device.load(elementwise("a * 2.0", (9,), "float32", "float32"))
    inputs = [random_floats(9, seed=seed) for seed in range(5)]
    kept = [double([a], outputs_on_device=True)[0] for a in inputs]
    for a, result in zip(inputs, kept, strict=True):
        np.testing.assert_array_equal(result.numpy(), a * 2)


def test_upload_and_numpy_are_inverse(device: Device) -> None:
    a = np.arange(30, dtype=np.int16).reshape(5, 6)[:, ::-2]
    array = device.upload(a)
    np.testing.assert_array_equal(array.numpy(), a)
    assert array.numpy().dtype == np.int16
    assert "shape=(5, 3), dtype=int16" in repr(array)
    np.testing.assert_array_equal(np.asarray(array, np.float64), a)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(array, copy=False)
    with pytest.raises(TypeError, match="cannot leave its device"):
        pickle.dumps(array)


def test_device_array_of_a_lost_device_says_so(device: Device) -> None:
    with fresh(device) as own:
        double = own.load(elementwise("a * 2.0", (9,), "float32", "float32"))
        (result,) = double([random_floats(9)], outputs_on_device=True)
        own.lose()
        with pytest.raises(DeviceLostError, match=r"shape \(9,\) was on a device that was lost"):
            result.numpy()
        other = own.upload(random_floats(9))
        with pytest.raises(DeviceLostError, match="compute it again"):
            double([result])
        np.testing.assert_array_equal(other.numpy(), random_floats(9))  # only that one is lost
        a = random_floats(9)
        np.testing.assert_array_equal(double([a])[0], a * 2)


def test_device_array_that_does_not_fit_is_refused(device: Device) -> None:
    double = device.load(elementwise("a * 2.0", (9,), "float32", "float32"))
    with pytest.raises(ShapeError, match=r"shape \(3, 3\) where \(9,\)"):
        double([device.upload(np.zeros((3, 3), np.float32))])
    with pytest.raises(DTypeError, match="dtype float16 where float32"):
        double([device.upload(np.zeros(9, np.float16))])
    spec = double.program.buffers[0]
    for other, said in (
        (
            structs.replace(spec, texture=TextureLayout(1, 3, "rgba32f")),
            "texture as .* compiled for",
        ),
        (structs.replace(spec, packed=2), r"times 1, .* compiled for .* times 2"),
    ):
        with pytest.raises(DeviceError, match=said):
            check_layout(other, spec)
    with pytest.raises(ShapeError, match="has 1 inputs and got 0"):
        double([])
    with fresh(device) as own, pytest.raises(DeviceError, match="on another device"):
        double([own.upload(np.zeros(9, np.float32))])


# Reuse


def test_equal_sources_compile_once_and_go_with_their_last_program(device: Device) -> None:
    gc.collect()
    before = shaders(device)
    text = elementwise("a * 12345.0", (9,), "float32", "float32")
    programs = [device.load(text) for _ in range(3)]
    assert shaders(device) == before + 1
    del programs
    gc.collect()
    assert shaders(device) == before


def test_temporaries_that_do_not_live_together_share_textures(device: Device) -> None:
    """A chain of 20 steps over 1 MiB arrays: at most three exist at once."""
    shape = (1 << 18,)
    buffers = [
        buffer("input", shape),
        *[buffer("temporary", shape) for _ in range(19)],
        buffer("output", shape),
    ]
    body = "  o0 = texelFetch(t0, at0(texel), 0) + 1.0;"
    steps = [launch(buffers, (k,), (k + 1,), body) for k in range(20)]
    with fresh(device) as own:
        loaded = own.load(program(buffers, *steps))
        a = random_floats(*shape)
        before = allocated(own)
        (result,) = loaded([a])
        expected = a
        for _ in range(20):
            expected = expected + np.float32(1)
        np.testing.assert_array_equal(result, expected)
        after = allocated(own)
        assert after - before <= 3 << 20


def resident_kib() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def test_memory_is_flat_over_2000_calls(device: Device) -> None:
    add = device.load(elementwise("a + b", (5000,), *FLOATS))
    a = random_floats(5000)

    def calls(count: int) -> None:
        for k in range(count):
            add([a, a], outputs_on_device=bool(k % 2))

    calls(200)
    textures = allocated(device)
    before = resident_kib()
    calls(2000)
    assert allocated(device) == textures
    assert resident_kib() - before < 4096  # one leaked texture per call would be 40 MiB


def test_textures_of_many_sizes_do_not_pile_up(device: Device) -> None:
    with fresh(device, idle_bytes=1 << 20) as own:
        for size in range(1000, 200_000, 10_007):
            add = own.load(elementwise("a + b", (size,), *FLOATS))
            a = random_floats(size)
            np.testing.assert_array_equal(add([a, a])[0], a + a)
        gc.collect()
        assert allocated(own) <= 1 << 20


def test_a_program_beyond_the_memory_limit_leaves_the_device_usable(
    device: Device,
) -> None:
    with fresh(device, memory_bytes=1 << 20) as own:
        big = own.load(elementwise("a + b", (1 << 18,), *FLOATS))
        a = random_floats(1 << 18)
        with pytest.raises(LimitError, match=r"needs 1048576 bytes; 1048576 of 1048576 bytes"):
            big([a, a])
        small = own.load(elementwise("a + b", (100,), *FLOATS))
        np.testing.assert_array_equal(small([a[:100], a[:100]])[0], a[:100] * 2)


def test_calls_from_several_threads(device: Device) -> None:
    add = device.load(elementwise("a + b", (1000,), *FLOATS))
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            a = random_floats(1000, seed=seed)
            b = device.upload(a)
            for _ in range(25):
                (b,) = add([a, b], outputs_on_device=True)
            expected = a
            for _ in range(25):
                expected = a + expected
            np.testing.assert_array_equal(b.numpy(), expected)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_loading_one_program_in_many_threads(device: Device) -> None:
    text = elementwise("a * 54321.0", (9,), "float32", "float32")
    a = random_floats(9)
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(device.load(text)([a])[0])

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 32
    for result in results:
        np.testing.assert_array_equal(result, a * np.float32(54321))


# Programs that break a rule


def test_shader_that_does_not_compile(device: Device) -> None:
    wrong = elementwise("a + nonsense", (9,), "float32", "float32")
    with pytest.raises(DeviceError) as caught:
        device.load(wrong)
    text = str(caught.value)
    line = next(line for line in text.splitlines() if "o0 = a + nonsense" in line)
    number = line.split("|")[0].strip()
    assert re.match("shader 'test' .*was refused by ", text)
    assert f"0:{number}" in text  # the driver's position is that of our numbered listing
    assert re.search("['`]nonsense'.* undeclared", text)


def test_shader_of_another_language_version(device: Device) -> None:
    good = elementwise("a", (9,), "float32", "float32")
    (step,) = good.steps
    assert isinstance(step, ShaderLaunch)
    wrong = structs.replace(step, source=step.source.replace("300 es", "330"))
    with pytest.raises(IRError, match="does not begin with '#version 300 es'"):
        device.load(structs.replace(good, steps=(wrong,)))


def test_uniform_that_nothing_sets(device: Device) -> None:
    good = elementwise("a * v", (9,), "float32", "float32")
    (step,) = good.steps
    assert isinstance(step, ShaderLaunch)
    source = step.source.replace("void main", "uniform float v;\nvoid main")
    wrong = structs.replace(step, source=source)
    with pytest.raises(IRError, match="declares uniform 'v', which is never set"):
        device.load(structs.replace(good, steps=(wrong,)))
