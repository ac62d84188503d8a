"""Recording a program's steps into command buffers.

In: steps whose pipelines are compiled (`prepare`) and the buffers that one call binds. Out: work
submitted to the device's queue: one submit, unless a long loop fills a chunk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from tilewright.codegen_wgsl.device import Access, Device
from tilewright.codegen_wgsl.pool import PooledBuffer
from tilewright.codegen_wgsl.timestamps import PassTimer
from tilewright.codegen_wgsl.uniforms import UniformTable, uniform_bytes
from tilewright.ir.artifact import CopyBuffer, Repeat, ShaderLaunch, Step

if TYPE_CHECKING:
    import wgpu

# wgpu keeps a whole command buffer in memory and runs none of it before the submit.
DISPATCHES_PER_SUBMIT = 4096
# A chain of calls meets a few buffers in turn; more variants than this are not worth their memory.
BIND_GROUPS_PER_LAUNCH = 8


class PreparedLaunch(Struct, frozen=True, eq=False):
    """A launch with its pipeline, and the bind groups made so far by the serials they bind."""

    launch: ShaderLaunch
    pipeline: wgpu.GPUComputePipeline
    layout: wgpu.GPUBindGroupLayout
    groups: OrderedDict[tuple[int, ...], wgpu.GPUBindGroup] = field(default_factory=OrderedDict)

    def uniforms(self, counter: int | None) -> tuple[int, ...]:
        values = self.launch.uniforms
        return values if counter is None or not values else (counter, *values[1:])


class PreparedRepeat(Struct, frozen=True, eq=False):
    count: int
    steps: tuple[PreparedStep, ...]


PreparedStep = PreparedLaunch | PreparedRepeat | CopyBuffer


def prepare(device: Device, steps: Sequence[Step]) -> tuple[PreparedStep, ...]:
    """Compile the shaders of `steps`."""
    return tuple(_prepare_step(device, step) for step in steps)


def access_of(launch: ShaderLaunch) -> tuple[Access, ...]:
    """How the shader may use each binding: what it writes it may also read."""
    written = set(launch.outputs)
    access: list[Access] = [
        "storage" if index in written else "read-only-storage" for index in launch.bindings
    ]
    return (*access, "uniform") if launch.uniforms else tuple(access)


def prepared_launches(steps: Sequence[PreparedStep]) -> Iterator[PreparedLaunch]:
    """Every launch, those of repeats once, in order."""
    for step in steps:
        if isinstance(step, PreparedRepeat):
            yield from prepared_launches(step.steps)
        elif isinstance(step, PreparedLaunch):
            yield step


def _prepare_step(device: Device, step: Step) -> PreparedStep:
    match step:
        case ShaderLaunch():
            access = access_of(step)
            pipeline = device.pipeline(step.source, step.entry_point, access, step.name)
            return PreparedLaunch(step, pipeline, device.layout(access))
        case Repeat():
            return PreparedRepeat(step.count, prepare(device, step.steps))
        case CopyBuffer():
            return step


class Recorder:
    """Records one call; `buffers` maps the program's buffer indexes to what this call binds.

    A `timer` takes the times of what is recorded; every submit then waits.
    """

    def __init__(
        self,
        device: Device,
        buffers: Sequence[PooledBuffer],
        uniforms: UniformTable | None,
        uniform_buffer: wgpu.GPUBuffer | None,
        timer: PassTimer | None = None,
    ) -> None:
        self._timer = timer
        self._device = device
        self._buffers = buffers
        self._uniforms = uniforms
        self._uniform_buffer = uniform_buffer
        self._dispatches = 0
        self._encoder: Any = None
        self._pass: Any = None

    def record(self, steps: Sequence[PreparedStep], counter: int | None = None) -> None:
        """Append `steps`; `counter` is that of the repeat around them."""
        for step in steps:
            match step:
                case PreparedLaunch():
                    self._dispatch(step, counter)
                case PreparedRepeat():
                    for iteration in range(step.count):
                        self.record(step.steps, iteration)
                case CopyBuffer():
                    source, target = self._buffers[step.source], self._buffers[step.destination]
                    self.copy(source, target, source.nbytes)

    def copy(
        self, source: PooledBuffer, target: PooledBuffer, nbytes: int, target_offset: int = 0
    ) -> None:
        """Append a copy of the first `nbytes` of `source`."""
        self._end_pass()
        self._open_encoder().copy_buffer_to_buffer(source.raw, 0, target.raw, target_offset, nbytes)

    def submit(self) -> None:
        """Send off what was recorded."""
        if self._encoder is None:
            return
        self._end_pass()
        if self._uniforms is not None and self._uniform_buffer is not None:
            offset, words = self._uniforms.take_unwritten()
            if words.size:
                self._device.raw.queue.write_buffer(self._uniform_buffer, offset, words)
        if self._timer is not None:
            self._timer.resolve(self._encoder)
        self._device.submit(self._encoder.finish())
        self._encoder = None
        self._dispatches = 0
        if self._timer is not None:
            self._timer.collect()

    def _dispatch(self, prepared: PreparedLaunch, counter: int | None) -> None:
        grid = prepared.launch.grid
        if 0 in grid:
            return
        if self._dispatches == DISPATCHES_PER_SUBMIT:
            self.submit()
        offsets = self._uniform_offsets(prepared.uniforms(counter))
        group = self._bind_group(prepared)
        self._begin_pass(prepared)
        self._pass.set_pipeline(prepared.pipeline)
        self._pass.set_bind_group(0, group, offsets)
        self._pass.dispatch_workgroups(*grid)
        self._dispatches += 1

    def _uniform_offsets(self, values: tuple[int, ...]) -> tuple[int, ...]:
        if not values or self._uniforms is None:
            return ()
        offset = self._uniforms.offset(values)
        if offset is None:
            # The slots in use belong to recorded work, which must be queued before they change.
            self.submit()
            self._uniforms.clear()
            offset = self._uniforms.offset(values)
        assert offset is not None
        return (offset,)

    def _bind_group(self, prepared: PreparedLaunch) -> wgpu.GPUBindGroup:
        bound = [self._buffers[index] for index in prepared.launch.bindings]
        key = tuple(buffer.serial for buffer in bound)
        group = prepared.groups.get(key)
        if group is None:
            group = self._make_bind_group(prepared, bound)
            prepared.groups[key] = group
            if len(prepared.groups) > BIND_GROUPS_PER_LAUNCH:
                prepared.groups.popitem(last=False)
        else:
            prepared.groups.move_to_end(key)
        return group

    def _make_bind_group(
        self, prepared: PreparedLaunch, bound: Sequence[PooledBuffer]
    ) -> wgpu.GPUBindGroup:
        parts = [{"buffer": b.raw, "offset": 0, "size": b.nbytes} for b in bound]
        if prepared.launch.uniforms:
            size = uniform_bytes(prepared.launch.uniforms)
            parts.append({"buffer": self._uniform_buffer, "offset": 0, "size": size})
        entries = [{"binding": k, "resource": part} for k, part in enumerate(parts)]
        return self._device.raw.create_bind_group(layout=prepared.layout, entries=entries)

    def _open_encoder(self) -> Any:
        if self._encoder is None:
            self._encoder = self._device.raw.create_command_encoder()
        return self._encoder

    def _begin_pass(self, prepared: PreparedLaunch) -> None:
        """A pass for `prepared`: the open one, unless a timer wants one for each launch."""
        timer = self._timer
        if timer is None:
            if self._pass is None:
                self._pass = self._open_encoder().begin_compute_pass()
            return
        if timer.apart:
            self._end_pass()
        if self._pass is None:
            if timer.is_full:
                self.submit()
            writes: Any = timer.begin(prepared)
            self._pass = self._open_encoder().begin_compute_pass(timestamp_writes=writes)

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._pass.end()
            self._pass = None
