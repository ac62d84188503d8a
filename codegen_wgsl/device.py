"""One WebGPU device: pipelines, buffers, submission, and its failures as our errors.

In: WGSL text and sizes in bytes. Out: wgpu objects, cached where making them is slow. The one
`Runtime` object owns the `Device`; nothing here is global. A lost device opens again at its next
use; `generation` then changes, so holders of old wgpu objects know to make them anew.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tilewright.codegen_wgsl.adapter import (
    DeviceInfo,
    DeviceOptions,
    describe,
    import_wgpu,
    request_adapter,
    request_device,
)
from tilewright.codegen_wgsl.half_probe import computes_halves
from tilewright.codegen_wgsl.keywords import ENABLE_SUBGROUPS
from tilewright.codegen_wgsl.pool import BufferPool, PooledBuffer
from tilewright.ir.errors import DeviceError, DeviceLostError, LimitError, TilewrightError
from tilewright.ir.runtime_directory import runtime_directory
from tilewright.ir.text.numbered import numbered
from tilewright.ir.transfer import Words

if TYPE_CHECKING:
    import wgpu
    from numpy.typing import NDArray

    from tilewright.codegen_wgsl.device_array import DeviceArray
    from tilewright.codegen_wgsl.run import LoadedProgram
    from tilewright.ir.artifact import BufferSpec, GpuProgram

Access = Literal["storage", "read-only-storage", "uniform"]

# Work in flight holds memory (uploads, staging), so a caller who never reads is made to wait.
SUBMITS_IN_FLIGHT = 64
FENCE_BYTES = 16
LOST_MARKS = ("device is lost", "device lost")


class Device:
    """An open adapter; see the module docstring."""

    def __init__(self, options: DeviceOptions | None = None, gpu: Any = None) -> None:
        self._wgpu = import_wgpu()
        self._gpu = gpu or self._wgpu.gpu
        self._options = options or DeviceOptions()
        self._lock = threading.RLock()
        self._serials = itertools.count()
        self._generation = 0
        self._lost = False
        self._open()

    def _open(self) -> None:
        with runtime_directory():
            adapter = request_adapter(self._gpu, self._options)
            self._raw: wgpu.GPUDevice = request_device(adapter)
        self._info = describe(adapter, self._raw)
        self._asks_for_subgroups: bool | None = None
        self._layouts: dict[tuple[Access, ...], wgpu.GPUBindGroupLayout] = {}
        # Weak: a tuner makes thousands of pipelines, and only those of live programs matter.
        self._pipelines: weakref.WeakValueDictionary[
            tuple[str, str, tuple[Access, ...]], wgpu.GPUComputePipeline
        ] = weakref.WeakValueDictionary()
        usage = self._wgpu.BufferUsage
        self._storage_usage = usage.STORAGE | usage.COPY_DST | usage.COPY_SRC
        self.storage_pool = BufferPool(self.create_buffer)
        self.staging_pool = BufferPool(self._create_staging)
        self._unwaited = 0
        self._process = os.getpid()

    @property
    def info(self) -> DeviceInfo:
        """What was opened."""
        return self._info

    @cached_property
    def computes_halves(self) -> bool:
        """Whether programs may compute with float16."""
        return computes_halves(self)

    @property
    def runner(self) -> str:
        """What runs the shaders."""
        return f"wgpu {self._wgpu.__version__}"

    def load(
        self, program: GpuProgram, constants: Sequence[NDArray[Any]] = (), names: Sequence[str] = ()
    ) -> LoadedProgram:
        """The program, ready to be called; `names` are what errors call its inputs."""
        from tilewright.codegen_wgsl.run import LoadedProgram

        return LoadedProgram(self, program, constants, names)

    def upload(self, array: NDArray[Any], spec: BufferSpec) -> DeviceArray:
        """Copy a host array to the device, laid out as `spec` says."""
        from tilewright.codegen_wgsl.device_array import upload

        return upload(self, array, spec)

    @property
    def generation(self) -> int:
        """How often the device was opened again: objects of another generation are dead."""
        _ = self.raw  # opens a lost device, which begins a generation
        return self._generation

    @property
    def raw(self) -> wgpu.GPUDevice:
        """The wgpu device, opened again if it was lost."""
        if os.getpid() != self._process:  # a driver's threads are not there: calls would hang
            raise DeviceError(
                f"the device was opened in process {self._process} and cannot be used in its "
                f"forked child {os.getpid()}",
                help="open the device in the child, or start processes with the 'spawn' method",
            )
        if self._lost:
            with self._lock:
                if self._lost:
                    self._open()
                    self._generation += 1
                    self._lost = False
        return self._raw

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Turn what wgpu raises inside into `DeviceError` or `DeviceLostError`."""
        try:
            yield
        except (self._wgpu.GPUError, RuntimeError) as error:
            if isinstance(error, TilewrightError):
                raise
            raise self._translate(error, doing) from error

    def validate(self, source: str, name: str = "shader") -> None:
        """Raise `DeviceError` with the log and the numbered text if naga refuses `source`."""
        self._module(source, name)

    def pipeline(
        self, source: str, entry_point: str, access: Sequence[Access], name: str
    ) -> wgpu.GPUComputePipeline:
        """The pipeline of a shader whose `@group(0) @binding(k)` has `access[k]`, from the cache
        when a live program has the same."""
        key = (source, entry_point, tuple(access))
        with self._lock:
            found = self._pipelines.get(key)
            if found is None:
                found = self._compile(source, entry_point, tuple(access), name)
                self._pipelines[key] = found
            return found

    def layout(self, access: tuple[Access, ...]) -> wgpu.GPUBindGroupLayout:
        """The bind-group layout for `access`; equal ones are shared."""
        with self._lock:
            if access not in self._layouts:
                entries: list[Any] = [_layout_entry(k, kind) for k, kind in enumerate(access)]
                self._layouts[access] = self.raw.create_bind_group_layout(entries=entries)
            return self._layouts[access]

    def create_buffer(self, nbytes: int) -> PooledBuffer:
        """A storage buffer that can be copied from and to."""
        limits = self._info.limits
        limit = min(limits.storage_binding_bytes, limits.buffer_bytes)
        if nbytes > limit:
            raise LimitError(
                f"a buffer of {nbytes} bytes exceeds the {limit} bytes that {self._info.name} binds"
            )
        return self._create_pooled(nbytes, self._storage_usage)

    def create_uniform_buffer(self, nbytes: int) -> wgpu.GPUBuffer:
        """A buffer for uniforms."""
        usage = self._wgpu.BufferUsage
        with self.guard(f"allocating {nbytes} bytes of uniforms"):
            return self.raw.create_buffer(size=nbytes, usage=usage.UNIFORM | usage.COPY_DST)

    def create_timestamps(self, count: int) -> tuple[wgpu.GPUQuerySet, wgpu.GPUBuffer]:
        """Queries for so many timestamps, and the buffer that they are resolved to."""
        usage = self._wgpu.BufferUsage
        with self.guard("allocating timestamps"):
            queries = self.raw.create_query_set(type="timestamp", count=count)
            wanted = usage.QUERY_RESOLVE | usage.COPY_SRC
            return queries, self.raw.create_buffer(size=8 * count, usage=wanted)

    def submit(self, commands: wgpu.GPUCommandBuffer) -> None:
        """Queue work; waits for the queue once in a while, see `SUBMITS_IN_FLIGHT`."""
        self.raw.queue.submit([commands])
        self._unwaited += 1
        if self._unwaited >= SUBMITS_IN_FLIGHT:
            self.synchronize()

    def synchronize(self) -> None:
        """Wait until all the work submitted so far is done."""
        # wgpu-py 0.32's on_submitted_work_done_sync raises TypeError on every call; mapping a
        # buffer that the last submit writes waits just as well.
        with self.guard("waiting for the device"):
            fence = self.staging_pool.acquire(FENCE_BYTES)
            encoder = self.raw.create_command_encoder()
            encoder.clear_buffer(fence.raw)
            self.raw.queue.submit([encoder.finish()])
        with self.mapped(fence, FENCE_BYTES):
            pass

    def stage(self, source: wgpu.GPUBuffer, nbytes: int) -> PooledBuffer:
        """Queue a copy of the first `nbytes` of a buffer to memory that the host can map."""
        staging = self.staging_pool.acquire(nbytes)
        encoder = self.raw.create_command_encoder()
        encoder.copy_buffer_to_buffer(source, 0, staging.raw, 0, nbytes)
        self.submit(encoder.finish())
        return staging

    def read_words(self, source: wgpu.GPUBuffer, nbytes: int) -> Words:
        """A copy of the first `nbytes` of a buffer, once all work submitted so far is done."""
        with self.guard("reading a buffer"):
            staging = self.stage(source, nbytes)
        with self.mapped(staging, nbytes) as words:
            return words.copy()

    @contextmanager
    def mapped(self, staging: PooledBuffer, nbytes: int) -> Iterator[Words]:
        """The first `nbytes` of a staging buffer, once the work that fills it is done; the view
        dies at the end, when the buffer goes back to its pool."""
        with self.guard("reading results back"):
            # NOSYNC: our own submit has just filled the buffer, so wgpu-py's extra one is waste.
            staging.raw.map_async("READ_NOSYNC", 0, nbytes).sync_wait()
            self._unwaited = 0
            view = staging.raw.read_mapped(0, nbytes, copy=False)
        try:
            yield np.frombuffer(view, np.uint32)
        finally:
            staging.raw.unmap()
            self.staging_pool.release(staging)

    def _create_staging(self, nbytes: int) -> PooledBuffer:
        usage = self._wgpu.BufferUsage
        return self._create_pooled(nbytes, usage.MAP_READ | usage.COPY_DST)

    def _create_pooled(self, nbytes: int, usage: int) -> PooledBuffer:
        with self.guard(f"allocating {nbytes} bytes"):
            raw = self.raw.create_buffer(size=nbytes, usage=usage)
        return PooledBuffer(raw, nbytes, next(self._serials))

    def _compile(
        self, source: str, entry_point: str, access: tuple[Access, ...], name: str
    ) -> wgpu.GPUComputePipeline:
        module = self._module(source, name)
        layout = self.raw.create_pipeline_layout(bind_group_layouts=[self.layout(access)])
        try:
            return self.raw.create_compute_pipeline(
                layout=layout, compute={"module": module, "entry_point": entry_point}
            )
        except self._wgpu.GPUError as error:
            raise self._shader_error(error, source, name) from error

    def _module(self, source: str, name: str) -> wgpu.GPUShaderModule:
        try:
            return self.raw.create_shader_module(code=self._spelled(source))
        except self._wgpu.GPUError as error:
            raise self._shader_error(error, source, name) from error

    def _spelled(self, source: str) -> str:
        """`source` as naga takes it, which may have the built-ins of subgroups without knowing that
        they must be asked for."""
        line = f"{ENABLE_SUBGROUPS}\n"
        if line not in source:
            return source
        if self._asks_for_subgroups is None:
            try:
                self.raw.create_shader_module(code=line)
            except self._wgpu.GPUValidationError:
                self._asks_for_subgroups = False
            else:
                self._asks_for_subgroups = True
        return source if self._asks_for_subgroups else source.replace(line, "", 1)

    def _shader_error(self, error: Exception, source: str, name: str) -> DeviceError:
        if _means_lost(error):
            return self._translate(error, f"compiling {name}")
        log = str(error).strip()
        return DeviceError(
            f"{self._info.name} ({self._info.api}) refused shader {name}\n{log}\n{numbered(source)}"
        )

    def _translate(self, error: Exception, doing: str) -> DeviceError:
        where = f"{self._info.name} ({self._info.api})"
        if _means_lost(error):
            self._lost = True
            return DeviceLostError(
                f"{where} was lost while {doing}",
                help="call again: the device is opened anew, arrays on the host are intact",
            )
        if isinstance(error, self._wgpu.GPUOutOfMemoryError):
            return DeviceError(f"{where} ran out of memory while {doing}")
        return DeviceError(f"{where} failed while {doing}: {str(error).strip()}")


def _layout_entry(binding: int, access: Access) -> dict[str, Any]:
    return {
        "binding": binding,
        "visibility": "COMPUTE",
        "buffer": {"type": access, "has_dynamic_offset": access == "uniform"},
    }


def _means_lost(error: Exception) -> bool:
    text = str(error).lower()
    return any(mark in text for mark in LOST_MARKS)
