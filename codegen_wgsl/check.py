"""Rules that a WGSL program must keep before a device may run it.

Breaking a rule is our bug (`IRError`); needing more than the device has is a `LimitError`.
"""

from __future__ import annotations

from tilewright.codegen_wgsl.adapter import DeviceInfo
from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.codegen_wgsl.half_probe import ENABLE_HALF, HALF_FEATURE
from tilewright.ir.artifact import BufferSpec, GpuProgram, ShaderLaunch, launches
from tilewright.ir.errors import DeviceError, IRError, LimitError
from tilewright.ir.transfer import check_spec

WRITABLE = ("output", "temporary")


def check_program(program: GpuProgram, info: DeviceInfo) -> None:
    """Raise if `program` cannot run as it is on the device that `info` describes."""
    if program.target != "wgsl":
        raise IRError(f"a WebGPU device runs wgsl programs, not {program.target}")
    for spec in program.buffers:
        check_spec(spec)
        _check_buffer_size(spec, info)
    for launch in launches(program.steps):
        _check_launch(launch, program, info)


def _check_buffer_size(spec: BufferSpec, info: DeviceInfo) -> None:
    limits = info.limits
    limit = min(limits.storage_binding_bytes, limits.buffer_bytes)
    if buffer_bytes(spec) > limit:
        raise LimitError(
            f"the {spec.role} array of shape {spec.shape} takes {buffer_bytes(spec)} bytes, but "
            f"{info.name} binds at most {limit}",
            help='split the array, or use target="cpu"',
        )


def _check_launch(launch: ShaderLaunch, program: GpuProgram, info: DeviceInfo) -> None:
    limits = info.limits
    if max(launch.grid) > limits.workgroups_per_dimension or min(launch.grid) < 0:
        raise IRError(
            f"launch {launch.name} has grid {launch.grid}, but a dimension holds at most "
            f"{limits.workgroups_per_dimension} workgroups: the emitter must fold it"
        )
    if len(launch.bindings) > limits.storage_buffers:
        raise LimitError(
            f"launch {launch.name} binds {len(launch.bindings)} buffers, but {info.name} "
            f"allows {limits.storage_buffers}"
        )
    if launch.source.startswith(ENABLE_HALF) and HALF_FEATURE not in info.features:
        raise DeviceError(
            f"launch {launch.name} was compiled for a device that computes with float16, which "
            f"{info.name} does not",
            help="compile it for any device (kernel.compile), or for this one, by a call",
        )
    if launch.subgroups is not None:
        _check_subgroups(launch, launch.subgroups, info)
    if not set(launch.outputs) <= set(launch.bindings):
        raise IRError(f"launch {launch.name} writes buffers that it does not bind")
    if len(set(launch.bindings)) < len(launch.bindings):
        raise IRError(f"launch {launch.name} binds a buffer twice: {launch.bindings}")
    for index in launch.outputs:
        if program.buffers[index].role not in WRITABLE:
            raise IRError(
                f"launch {launch.name} writes buffer {index}, whose role is "
                f"{program.buffers[index].role}"
            )


def _check_subgroups(launch: ShaderLaunch, made_for: tuple[int, int], info: DeviceInfo) -> None:
    """Subgroups that the shader has memory for, and that make up a workgroup."""
    if info.subgroup_sizes is None:
        raise DeviceError(
            f"launch {launch.name} uses subgroups, which {info.name} does not have",
            help="compile it with subgroups=False in its schedule",
        )
    (fewest, threads), (least, most) = made_for, info.subgroup_sizes
    if least < fewest or threads % most:
        raise LimitError(
            f"launch {launch.name} needs workgroups of {threads} invocations made up of subgroups "
            f"of at least {fewest}, but {info.name} has subgroups of {least} to {most}",
            help="compile it with subgroups=False in its schedule",
        )
