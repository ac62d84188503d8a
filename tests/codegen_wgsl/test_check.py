"""Each rule of `check_program`, broken once, and each limit just kept; no device."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from tests.codegen_wgsl.programs import add_program
from tilewright.codegen_wgsl.adapter import DeviceInfo, DeviceLimits
from tilewright.codegen_wgsl.check import check_program
from tilewright.ir.artifact import GpuProgram, Repeat, ShaderLaunch
from tilewright.ir.errors import DeviceError, IRError, LimitError, TilewrightError

LIMITS = DeviceLimits(
    workgroup_invocations=64,
    workgroup_size=(64, 64, 64),
    workgroup_storage=4096,
    workgroups_per_dimension=4,
    storage_buffers=3,
    storage_binding_bytes=1024,
    buffer_bytes=1024,
    uniform_alignment=256,
)
GOOD = add_program(256)  # 4 workgroups, 1024 bytes, 3 buffers
(LAUNCH,) = GOOD.steps
assert isinstance(LAUNCH, ShaderLaunch)


def info(**changes: Any) -> DeviceInfo:
    limits = structs.replace(LIMITS, **changes)
    return DeviceInfo("a device", "1", "Vulkan", "GPU", frozenset(), limits)


def launched(**changes: Any) -> GpuProgram:
    return structs.replace(GOOD, steps=(structs.replace(LAUNCH, **changes),))


def test_limits_may_be_reached() -> None:
    check_program(GOOD, info())
    check_program(launched(grid=(0, 1, 1)), info())


@pytest.mark.parametrize(
    ("program", "limits", "kind", "said"),
    [
        (structs.replace(GOOD, target="glsl"), {}, IRError, "runs wgsl programs, not glsl"),
        (GOOD, {"storage_binding_bytes": 1023}, LimitError, "1024 bytes, but a device binds at"),
        (GOOD, {"buffer_bytes": 1023}, LimitError, "takes 1024 bytes, .* binds at most 1023"),
        (GOOD, {"storage_buffers": 2}, LimitError, "binds 3 buffers, but a device allows 2"),
        (GOOD, {"workgroups_per_dimension": 3}, IRError, r"grid \(4, 1, 1\), but .* at most 3"),
        (launched(grid=(1, 5, 1)), {}, IRError, "the emitter must fold it"),
        (launched(grid=(1, 1, -1)), {}, IRError, "the emitter must fold it"),
        (launched(bindings=(0, 1)), {}, IRError, "writes buffers that it does not bind"),
        (launched(bindings=(0, 0, 2)), {}, IRError, r"binds a buffer twice: \(0, 0, 2\)"),
        (
            launched(source=f"enable f16;\n{LAUNCH.source}"),
            {},
            DeviceError,
            "for a device that computes with float16, which a device does not",
        ),
        (launched(outputs=(0,)), {}, IRError, "writes buffer 0, whose role is input"),
        (launched(subgroups=(4, 64)), {}, DeviceError, "uses subgroups, which a device does not"),
    ],
)
def test_broken_rule(
    program: GpuProgram, limits: dict[str, int], kind: type[TilewrightError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        check_program(program, info(**limits))
    repeated = structs.replace(program, steps=(Repeat(2, (Repeat(1, program.steps),)),))
    with pytest.raises(kind, match=said):
        check_program(repeated, info(**limits))


@pytest.mark.parametrize(
    ("made_for", "fits"),
    [((4, 64), True), ((8, 128), True), ((16, 64), False), ((8, 32), False), ((8, 96), False)],
)
def test_subgroups_that_fill_workgroups(made_for: tuple[int, int], fits: bool) -> None:
    device = structs.replace(info(), subgroup_sizes=(8, 64))
    if fits:
        check_program(launched(subgroups=made_for), device)
        return
    with pytest.raises(LimitError, match="but a device has subgroups of 8 to 64"):
        check_program(launched(subgroups=made_for), device)
