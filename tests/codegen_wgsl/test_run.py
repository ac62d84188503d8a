"""Handwritten WGSL programs, run on a device and compared with NumPy."""

import gc
import pickle
import resource
import threading

import numpy as np
import pytest
from msgspec import structs

from tests.codegen_wgsl.nests import compile_program, reduction, softmax
from tests.codegen_wgsl.programs import (
    ADD,
    INVERT,
    SUM,
    accumulate,
    add_program,
    buffer,
    loop_program,
)
from tests.codegen_wgsl.runners import RUNNERS, Device, fresh, idle_bytes, lose
from tilewright.codegen_wgsl import timestamps
from tilewright.codegen_wgsl.device import Device as NativeDevice
from tilewright.codegen_wgsl.device_array import DeviceArray
from tilewright.codegen_wgsl.record import BIND_GROUPS_PER_LAUNCH, PreparedLaunch
from tilewright.ir.artifact import GpuProgram, Repeat, ShaderLaunch
from tilewright.ir.errors import (
    DeviceError,
    DeviceLostError,
    IRError,
    LimitError,
    ShapeError,
    UnsupportedError,
)
from tilewright.ir.schedule import INNER, Schedule
from tilewright.runtime_web.runner.device_array import WgslBrowserArray


@pytest.fixture(params=RUNNERS)
def device(request: pytest.FixtureRequest) -> Device:
    """Each of the runners in turn."""
    found: Device = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def native() -> NativeDevice:
    """The wgpu package's, where its own objects are looked at."""
    return NativeDevice()


def test_add(device: Device, rng: np.random.Generator) -> None:
    program = device.load(add_program(1000))
    for _ in range(3):
        a, b = rng.random((2, 1000), np.float32)
        np.testing.assert_array_equal(program([a, b])[0], a + b)


def test_reduction_through_workgroup_memory(device: Device, rng: np.random.Generator) -> None:
    buffers = (buffer("input", "int64", (10, 100)), buffer("output", "int64", ()))
    step = ShaderLaunch("sum", SUM, "main", (0, 1), (1,), (1, 1, 1))
    program = device.load(GpuProgram("wgsl", buffers, (0,), (1,), (step,)), names=["x"])
    x = rng.integers(-1000, 1000, (10, 100))
    (total,) = program([x])
    assert total.dtype == np.int64
    assert total == x.sum()
    x[3, 4] = 2**40
    with pytest.raises(LimitError, match="x holds 1099511627776"):
        program([x])


ROWS = [
    Schedule(vector=INNER, width=width, tile=tile, workgroup=workgroup)
    for width in (1, 4)
    for tile, workgroup in (((), (16,)), ((), (3, 8)), ((2,), (4, 8)), ((3,), (5, 1)))
]


@pytest.mark.parametrize("schedule", ROWS, ids=str)
def test_rows_that_do_not_fill_a_workgroup(
    device: Device, rng: np.random.Generator, schedule: Schedule
) -> None:
    """Those that are left over reach the barriers, and store nothing."""
    x = rng.standard_normal((11, 40), dtype=np.float32)
    sums = compile_program(reduction((11, 40), 1, "add"), schedule)
    (found,) = device.load(sums.program, names=["x"])([x])
    np.testing.assert_allclose(found, x.sum(axis=1, dtype=np.float64), rtol=1e-5, atol=1e-6)
    if schedule.tile:
        return
    (found,) = device.load(compile_program(softmax(11, 40), schedule).program, names=["x"])([x])
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, e / e.sum(axis=1, keepdims=True), rtol=2e-6)


@pytest.mark.parametrize("n", [1, 4, 250])
def test_packed_bytes(device: Device, rng: np.random.Generator, n: int) -> None:
    buffers = (buffer("input", "uint8", (n,), 4), buffer("output", "uint8", (n,), 4))
    step = ShaderLaunch("invert", INVERT, "main", (0, 1), (1,), (1, 1, 1))
    program = device.load(GpuProgram("wgsl", buffers, (0,), (1,), (step,)))
    x = rng.integers(0, 256, n, np.uint8)
    np.testing.assert_array_equal(program([x])[0], ~x)


def test_constants_survive_every_call(device: Device) -> None:
    program = add_program(4)
    buffers = (program.buffers[0], buffer("constant", "float32", (4,)), program.buffers[2])
    fixed = GpuProgram("wgsl", buffers, (0,), (2,), program.steps)
    ones = np.ones(4, np.float32)
    loaded = device.load(fixed, [41 * ones])
    assert loaded([ones])[0].tolist() == [42.0] * 4
    assert loaded([2 * ones])[0].tolist() == [43.0] * 4
    with pytest.raises(IRError, match="0 constants were given for 1 buffers"):
        device.load(fixed)


@pytest.mark.parametrize("count", [0, 1, 100, 10_000])
def test_repeat_hands_its_counter_to_each_step(device: Device, count: int) -> None:
    steps = (Repeat(count, (accumulate(7), accumulate(9))),)
    program = device.load(loop_program(steps))
    expected = 5
    for k in range(count):
        expected = (expected * 3 + k * 7) % 2**32
        expected = (expected * 3 + k * 9) % 2**32
    for _ in range(2):  # the second call meets uniform slots that are already there
        assert program([np.array([5], np.uint32)])[0][0] == expected


def test_the_innermost_counter_wins(device: Device) -> None:
    steps = (Repeat(3, (accumulate(1), Repeat(4, (accumulate(2),)))),)
    expected = 5
    for i in range(3):
        expected = expected * 3 + i
        for j in range(4):
            expected = expected * 3 + 2 * j
    program = device.load(loop_program(steps))
    assert program([np.array([5], np.uint32)])[0][0] == expected % 2**32


def test_empty_arrays(device: Device) -> None:
    program = device.load(add_program(0))
    empty = np.zeros(0, np.float32)
    assert program([empty, empty])[0].shape == (0,)
    (on_device,) = program([empty, empty], outputs_on_device=True)
    assert on_device.numpy().shape == (0,)


def test_an_empty_output_that_no_step_writes(device: Device) -> None:
    buffers = (buffer("input", "float32", (3,)), buffer("output", "float32", (0, 2)))
    program = device.load(GpuProgram("wgsl", buffers, (0,), (1,), ()))
    assert program([np.ones(3, np.float32)])[0].shape == (0, 2)


def test_programs_chain_on_the_device(device: Device) -> None:
    program = device.load(add_program(100))
    ones = np.ones(100, np.float32)
    (value,) = program([ones, ones], outputs_on_device=True)
    kept = value
    for _ in range(10):
        (value,) = program([value, value], outputs_on_device=True)
    assert isinstance(value, DeviceArray | WgslBrowserArray)
    assert value.shape == (100,)
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value.numpy(), 2048 * ones)
    np.testing.assert_array_equal(kept.numpy(), 2 * ones)  # a later result took no live buffer
    np.testing.assert_array_equal(program([kept, ones])[0], 3 * ones)


def test_results_that_are_inputs_or_doubled_are_copies(device: Device) -> None:
    add = add_program(4)
    program = device.load(GpuProgram("wgsl", add.buffers, (0, 1), (0, 2, 2), add.steps))
    a, b = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
    first, second, third = program([a, b])
    np.testing.assert_array_equal([first, second, third], [a, a + b, a + b])
    given = device.upload(a, add.buffers[0])
    results = program([given, b], outputs_on_device=True)
    np.testing.assert_array_equal([r.numpy() for r in results], [a, a + b, a + b])


def test_an_uploaded_array_round_trips(device: Device) -> None:
    x = np.arange(10, dtype=np.uint8)
    array = device.upload(x, buffer("input", "uint8", (10,), 4))
    np.testing.assert_array_equal(array.numpy(), x)
    np.testing.assert_array_equal(np.asarray(array, np.float32), x)  # through __array__
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(array, copy=False)
    with pytest.raises(TypeError, match="cannot leave its device"):
        pickle.dumps(array)
    assert (array.shape, array.dtype, array.size) == (x.shape, x.dtype, x.size)


def test_arrays_of_another_layout_or_device_are_refused(device: Device) -> None:
    program = device.load(add_program(10), names=["left", "right"])
    x = np.zeros(10, np.float32)
    packed = device.upload(x.astype(np.uint8), buffer("input", "uint8", (10,), 4))
    with pytest.raises(UnsupportedError, match=r"right lies on the device as uint8\[10\] stored"):
        program([x, packed])
    elsewhere = fresh(device).upload(x, buffer("input", "float32", (10,)))
    with pytest.raises(DeviceError, match="left is on another device"):
        program([elsewhere, x])
    with pytest.raises(ShapeError, match=r"2 inputs.* 1"):
        program([x])


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (ShaderLaunch("l", ADD, "main", (0, 1, 2), (2,), (65536, 1, 1)), "must fold"),
        (ShaderLaunch("l", ADD, "main", (0, 1, 2), (0,), (1, 1, 1)), "writes buffer 0"),
        (ShaderLaunch("l", ADD, "main", (0, 0, 2), (2,), (1, 1, 1)), "binds a buffer twice"),
        (ShaderLaunch("l", ADD, "main", (0, 1), (2,), (1, 1, 1)), "does not bind"),
    ],
)
def test_programs_that_break_the_rules(device: Device, launch: ShaderLaunch, message: str) -> None:
    good = add_program(4)
    with pytest.raises(IRError, match=message):
        device.load(GpuProgram("wgsl", good.buffers, (0, 1), (2,), (launch,)))


def test_a_failing_shader_names_the_launch(device: Device) -> None:
    broken = ShaderLaunch("softmax_3", ADD + "fn f( {", "main", (0, 1, 2), (2,), (1, 1, 1))
    good = add_program(4)
    with pytest.raises(DeviceError, match=r"shader '?softmax_3"):
        device.load(GpuProgram("wgsl", good.buffers, (0, 1), (2,), (broken,)))


def test_a_lost_device_fails_one_call_and_works_again(device: Device) -> None:
    device = fresh(device)
    ones = np.ones(8, np.float32)
    program = device.load(add_program(8))
    (kept,) = program([ones, ones], outputs_on_device=True)
    lose(device)
    with pytest.raises(DeviceLostError, match="call again"):
        program([ones, ones])
    np.testing.assert_array_equal(program([ones, ones])[0], 2 * ones)
    with pytest.raises(DeviceLostError, match="was lost"):
        kept.numpy()
    with pytest.raises(DeviceLostError, match="was lost"):
        program([kept, ones])
    np.testing.assert_array_equal(program([ones, ones])[0], 2 * ones)


def test_threads_share_a_program(device: Device) -> None:
    program = device.load(add_program(256))
    wrong: list[float] = []

    def work(value: float) -> None:
        a = np.full(256, value, np.float32)
        for _ in range(30):
            if not np.array_equal(program([a, a])[0], 2 * a):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_program_can_be_timed(device: Device) -> None:
    x = np.array([5], np.uint32)
    short = device.load(loop_program((accumulate(1),)))
    long = device.load(loop_program((Repeat(500, (accumulate(1),)),)))
    short.seconds([x])
    assert 0 < short.seconds([x], runs=5) < long.seconds([x])


def without_timestamps(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(device, NativeDevice):
        monkeypatch.setattr(type(device), "has_clock", False)
        return
    rest = device.info.features - {timestamps.FEATURE}
    monkeypatch.setattr(device, "_info", structs.replace(device.info, features=rest))


@pytest.mark.parametrize("clock", ["device", "host"])
def test_the_time_of_a_call_is_told_apart(
    device: Device, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    if clock == "host":
        without_timestamps(device, monkeypatch)
    x = np.array([5], np.uint32)
    short = device.load(loop_program((accumulate(1),)))
    steps = (accumulate(1), Repeat(700, (accumulate(1),)), Repeat(3, (accumulate(1),)))
    long = device.load(loop_program(steps))
    before = long([x])[0]
    assert 0 < short.device_seconds([x], runs=3) < long.device_seconds([x], runs=3)
    found = long.times([x], runs=2)
    assert found.clock == clock
    assert min(found.upload, found.device, found.read_back) > 0
    if clock == "host" and not isinstance(device, NativeDevice):
        assert found.launches == ()
        return
    first, many, few = found.launches  # of repeats all rounds together
    assert many > first > 0
    assert many > few > 0
    np.testing.assert_array_equal(long([x])[0], before)


def test_timestamps_are_nanoseconds(device: Device) -> None:
    """Against the host's clock, which sees more than the device does."""
    x = np.array([5], np.uint32)
    program = device.load(loop_program((Repeat(2000, (accumulate(1),)),)))
    program.seconds([x])
    seconds = program.seconds([x])
    assert seconds / 20 < program.device_seconds([x]) < 20 * seconds


@pytest.mark.parametrize("on_device", [False, True])
def test_memory_is_flat(device: Device, on_device: bool) -> None:
    n = 16 * 1024
    program = device.load(add_program(n))
    ones = np.ones(n, np.float32)

    def call(times: int) -> None:
        for _ in range(times):
            program([ones, ones], outputs_on_device=on_device)

    # A call to a browser takes a millisecond, and its memory is not this process's.
    count = 2000 if isinstance(device, NativeDevice) else 300
    call(count // 4)
    gc.collect()
    before, idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, idle_bytes(device)
    call(count)  # 2000 leaked outputs would be 125 MiB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    assert idle_bytes(device) == idle
    assert idle_bytes(device) < 64 << 20


def test_programs_hold_no_memory_between_their_calls(device: Device) -> None:
    """Those of many shapes would hold all there is; one after the other they use the same."""
    first, second = (device.load(add_program(n)) for n in (4096, 4096))
    ones = np.ones(4096, np.float32)
    first([ones, ones])
    idle = idle_bytes(device)
    second([ones, ones])
    first([ones, ones])
    assert idle_bytes(device) == idle


@pytest.mark.wgsl
def test_a_program_finds_its_buffers_and_bind_groups_again(native: NativeDevice) -> None:
    program = native.load(add_program(4096))
    ones = np.ones(4096, np.float32)
    for _ in range(3):
        program([ones, ones])
    (prepared,) = program._prepared.steps
    assert isinstance(prepared, PreparedLaunch)
    assert len(prepared.groups) == 1


@pytest.mark.wgsl
def test_bind_groups_of_the_last_few_variants_are_kept(native: NativeDevice) -> None:
    """A variant is the buffers that a call binds; the one used longest ago goes first."""
    program = native.load(add_program(16))
    (prepared,) = program._prepared.steps
    assert isinstance(prepared, PreparedLaunch)
    spec = program._program.buffers[0]
    arrays = [native.upload(np.full(16, k, np.float32), spec) for k in range(10)]
    host = np.ones(16, np.float32)

    def kept(*numbers: int) -> int:
        for k in numbers:
            np.testing.assert_array_equal(program([arrays[k], host])[0], np.full(16, k + 1))
        return len(prepared.groups)

    assert kept(0) == 1
    assert kept(0, 1, 2, 3, 4, 5, 6, 7) == BIND_GROUPS_PER_LAUNCH == 8
    first, second = list(prepared.groups.values())[:2]
    assert kept(0, 8) == 8  # 0 has been used again, so that 1 goes
    assert any(group is first for group in prepared.groups.values())
    assert not any(group is second for group in prepared.groups.values())
