"""Opening devices, compiling shaders, and what is said when either fails."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from tilewright.codegen_wgsl import adapter
from tilewright.codegen_wgsl.adapter import DeviceOptions, request_adapter, usable_subgroups
from tilewright.codegen_wgsl.device import SUBMITS_IN_FLIGHT, Device
from tilewright.codegen_wgsl.keywords import ENABLE_SUBGROUPS
from tilewright.ir.errors import DeviceError, DeviceLostError, LimitError
from tilewright.ir.text.numbered import numbered

pytestmark = pytest.mark.wgsl

DOUBLE = """@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] = 2.0 * x[id.x]; }
"""


class FakeGpu:
    """Stands for `wgpu.gpu` on a machine with the given adapters."""

    def __init__(self, *kinds: str) -> None:
        self.adapters = [
            SimpleNamespace(summary=f"{kind} adapter", info={"adapter_type": kind})
            for kind in kinds
        ]

    def request_adapter_sync(self, power_preference: str) -> Any:
        if not self.adapters:
            raise RuntimeError("Request adapter failed (3): not found")
        return self.adapters[0]

    def enumerate_adapters_sync(self) -> list[Any]:
        return self.adapters


def test_opening_says_nothing_where_no_runtime_directory_is_set() -> None:
    variables = {n: v for n, v in os.environ.items() if n != "XDG_RUNTIME_DIR"}
    code = "from tilewright.codegen_wgsl.device import Device; import os; Device()\n"
    code += "print('XDG_RUNTIME_DIR' in os.environ)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_info_tells_what_was_opened(device: Device) -> None:
    info = device.info
    assert info.name in info.summary
    assert info.limits.workgroup_invocations >= 128
    assert info.limits.storage_buffers >= 8
    assert info.limits.workgroups_per_dimension >= 65535


@pytest.mark.parametrize(
    ("sizes", "usable"),
    [((4, 128), True), ((32, 32), True), ((0, 0), False), ((1, 64), False), ((8, 256), False)],
)
def test_subgroups_are_used_if_they_are_as_wgsl_says(sizes: tuple[int, int], usable: bool) -> None:
    assert usable_subgroups(sizes) is usable


def test_subgroups_are_asked_for_as_naga_wants_it(device: Device) -> None:
    if device.info.subgroup_sizes is None:
        pytest.skip("the device has no subgroups")
    shader = (
        "@compute @workgroup_size(128) fn main(@builtin(subgroup_size) n: u32) "
        "{ _ = subgroupShuffleXor(n, 1u); }"
    )
    device.validate(f"{ENABLE_SUBGROUPS}\n{shader}")
    device.validate(f"{ENABLE_SUBGROUPS}\n{shader}")  # what was found out holds


def test_no_adapter_says_what_to_install() -> None:
    with pytest.raises(DeviceError, match="adapters: none\nhelp: install a Vulkan driver"):
        request_adapter(FakeGpu(), DeviceOptions())


def test_unknown_adapter_lists_those_found() -> None:
    with pytest.raises(DeviceError, match="contains 'GeForce' was found; adapters: CPU adapter"):
        request_adapter(FakeGpu("CPU"), DeviceOptions(adapter="GeForce"))


def test_an_adapter_is_chosen_by_name() -> None:
    chosen = request_adapter(FakeGpu("CPU", "DiscreteGPU"), DeviceOptions(adapter="Discrete"))
    assert chosen.summary == "DiscreteGPU adapter"


def test_software_can_be_refused() -> None:
    with pytest.raises(DeviceError, match="CPU adapter is a software adapter, and software was"):
        request_adapter(FakeGpu("CPU"), DeviceOptions(allow_software=False))


def test_a_good_shader_is_valid(device: Device) -> None:
    device.validate(DOUBLE)


def test_a_bad_shader_shows_log_and_numbered_source(device: Device) -> None:
    source = "fn main() {\n  let x: f32 = 1u;\n}\n"
    with pytest.raises(DeviceError) as caught:
        device.validate(source, "broken")
    message = str(caught.value)
    assert "refused shader broken" in message
    assert device.info.name in message
    assert "2 |   let x: f32 = 1u;" in message


def test_a_shader_that_misses_its_layout_is_refused(device: Device) -> None:
    with pytest.raises(DeviceError, match="refused shader double"):
        device.pipeline(DOUBLE, "main", ["read-only-storage"], "double")


def test_pipelines_are_shared_while_they_live(device: Device) -> None:
    first = device.pipeline(DOUBLE, "main", ["storage"], "double")
    assert device.pipeline(DOUBLE, "main", ["storage"], "again") is first


def test_too_large_a_buffer_names_the_limit(device: Device) -> None:
    limit = device.info.limits.storage_binding_bytes
    with pytest.raises(LimitError, match=str(limit)):
        device.create_buffer(limit + 16)


@pytest.mark.parametrize("smaller", ["storage_binding_bytes", "buffer_bytes"])
def test_a_buffer_may_reach_the_smaller_limit(smaller: str) -> None:
    own = Device()
    own._info = structs.replace(
        own._info, limits=structs.replace(own._info.limits, **{smaller: 1024})
    )
    assert own.create_buffer(1024).nbytes == 1024
    with pytest.raises(LimitError, match="a buffer of 1040 bytes exceeds the 1024 bytes that"):
        own.create_buffer(1040)


def test_work_in_flight_is_waited_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    own, waits = Device(), []
    monkeypatch.setattr(own, "synchronize", lambda: waits.append(own._unwaited))
    for _ in range(SUBMITS_IN_FLIGHT):
        assert waits == []
        own.submit(own.raw.create_command_encoder().finish())
    assert waits == [SUBMITS_IN_FLIGHT]


def test_limits_are_those_of_the_same_name() -> None:
    names = {
        "max-compute-invocations-per-workgroup": 1,
        "max-compute-workgroup-size-x": 2,
        "max-compute-workgroup-size-y": 3,
        "max-compute-workgroup-size-z": 4,
        "max-compute-workgroup-storage-size": 5,
        "max-compute-workgroups-per-dimension": 6,
        "max-storage-buffers-per-shader-stage": 7,
        "max-storage-buffer-binding-size": 8,
        "max-buffer-size": 9,
        "min-uniform-buffer-offset-alignment": 10,
    }
    assert structs.astuple(adapter._limits(names)) == (1, (2, 3, 4), 5, 6, 7, 8, 9, 10)


def test_a_lost_device_is_opened_again() -> None:
    device = Device()
    device.raw.destroy()
    with pytest.raises(DeviceLostError, match="lost while compiling shader"):
        device.validate(DOUBLE)
    device.validate(DOUBLE)
    assert device.generation == 1


def test_numbered_aligns_its_numbers() -> None:
    assert numbered("\n".join("abcdefghij")).startswith(" 1 | a\n 2 | b")


def test_errors_of_our_own_pass_a_guard_as_they_are(device: Device) -> None:
    own = DeviceError("said before")
    with pytest.raises(DeviceError) as caught, device.guard("running"):
        raise own
    assert caught.value is own
    said = r"failed while running: from elsewhere$"
    with pytest.raises(DeviceError, match=said), device.guard("running"):
        raise RuntimeError("from elsewhere")


def test_a_forked_child_cannot_use_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    own, parent = Device(), os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(DeviceError, match=f"process {parent} and cannot be used in its"):
            own.validate(DOUBLE)
    own.validate(DOUBLE)
