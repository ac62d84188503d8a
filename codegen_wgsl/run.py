"""Running a `GpuProgram` on a WebGPU device.

In: a program, its constants, and per call its inputs as NumPy arrays or `DeviceArray`s. Out: NumPy
arrays, or `DeviceArray`s that further programs take. All slow work (shaders, buffers, layouts) is
done when the program is loaded; a call uploads, records, submits once and reads back.

Buffers keep what the last call left in them: a program must write what it reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

from msgspec import Struct
from numpy.typing import NDArray

from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.codegen_wgsl.check import WRITABLE, check_program, launches
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.device_array import DeviceArray
from tilewright.codegen_wgsl.pool import PooledBuffer
from tilewright.codegen_wgsl.record import PreparedStep, Recorder, prepare
from tilewright.codegen_wgsl.uniforms import UniformTable, uniform_bytes
from tilewright.ir.artifact import GpuProgram
from tilewright.ir.errors import IRError, ShapeError
from tilewright.ir.transfer import WORD_BYTES, Words, pack, unpack

if TYPE_CHECKING:
    import wgpu

Argument = NDArray[Any] | DeviceArray
SMALLEST_STAGING = 256
SHARED_STAGING_LIMIT = 64 << 20


class _Prepared(Struct, eq=False):
    """What a program holds on one generation of the device."""

    generation: int
    steps: tuple[PreparedStep, ...]
    uniforms: UniformTable | None
    uniform_buffer: wgpu.GPUBuffer | None
    constants: Mapping[int, PooledBuffer]


class LoadedProgram:
    """A program ready to be called; see the module docstring.

    `constants` are the arrays of the buffers with role "constant", in buffer order; their words are
    kept, as a lost device needs them again. `names` are what errors call the inputs.
    """

    def __init__(
        self,
        device: Device,
        program: GpuProgram,
        constants: Sequence[NDArray[Any]] = (),
        names: Sequence[str] = (),
    ) -> None:
        self._device = device
        self._program = program
        self._names = tuple(names) or tuple(f"argument {k}" for k in range(len(program.inputs)))
        check_program(program, device.info)
        self._constants = _pack_constants(program, constants)
        self._sizes = [buffer_bytes(spec) for spec in program.buffers]
        # Buffers and uniform slots are the program's, so two threads must not record at once.
        self._lock = threading.Lock()
        self._prepared = self._prepare()

    @overload
    def __call__(
        self, inputs: Sequence[Argument], *, outputs_on_device: Literal[False] = False
    ) -> list[NDArray[Any]]: ...

    @overload
    def __call__(
        self, inputs: Sequence[Argument], *, outputs_on_device: Literal[True]
    ) -> list[DeviceArray]: ...

    @overload
    def __call__(
        self, inputs: Sequence[Argument], *, outputs_on_device: bool
    ) -> list[NDArray[Any]] | list[DeviceArray]: ...

    def __call__(
        self, inputs: Sequence[Argument], *, outputs_on_device: bool = False
    ) -> list[NDArray[Any]] | list[DeviceArray]:
        """Run once. With `outputs_on_device` nothing is read back and the call does not wait."""
        uploads = self._pack_inputs(inputs)
        if outputs_on_device:
            return self._run_to_device(uploads)
        return self._run_to_host(uploads)

    def seconds(self, inputs: Sequence[Argument], runs: int = 1) -> float:
        """The time of one run out of `runs` queued together, uploads and read-back left out."""
        uploads = self._pack_inputs(inputs)
        device = self._device
        with (
            self._lock,
            device.guard("timing a program"),
            self._bound(uploads, {}) as buffers,
        ):
            device.synchronize()
            start = time.perf_counter()
            recorder = self._recorder(buffers)
            for _ in range(runs):
                recorder.record(self._prepared.steps)
            recorder.submit()
            device.synchronize()
            return (time.perf_counter() - start) / runs

    def _pack_inputs(self, inputs: Sequence[Argument]) -> list[Words | DeviceArray]:
        # Before anything is queued: a bad argument must leave nothing half done.
        program = self._program
        if len(inputs) != len(program.inputs):
            raise ShapeError(
                f"the program takes {len(program.inputs)} inputs, but {len(inputs)} were given"
            )
        return [
            value if isinstance(value, DeviceArray) else pack(value, program.buffers[index], name)
            for index, value, name in zip(program.inputs, inputs, self._names, strict=True)
        ]

    def _run_to_host(self, uploads: Sequence[Words | DeviceArray]) -> list[NDArray[Any]]:
        program, device = self._program, self._device
        nbytes = sum(self._sizes[index] for index in program.outputs)
        with (
            self._lock,
            device.guard("running a program"),
            self._bound(uploads, {}) as buffers,
        ):
            recorder = self._recorder(buffers)
            recorder.record(self._prepared.steps)
            staging = device.staging_pool.acquire(_staging_bytes(nbytes))
            offset = 0
            for index in program.outputs:
                recorder.copy(buffers[index], staging, self._sizes[index], offset)
                offset += self._sizes[index]
            recorder.submit()
        if nbytes == 0:
            return []
        with device.mapped(staging, nbytes) as words:
            return list(self._unpack_outputs(words))

    def _run_to_device(self, uploads: Sequence[Words | DeviceArray]) -> list[DeviceArray]:
        program, device = self._program, self._device
        with self._lock, device.guard("running a program"):
            results = [device.storage_pool.acquire(self._sizes[i]) for i in program.outputs]
            written: dict[int, PooledBuffer] = {}
            copied: list[tuple[int, PooledBuffer]] = []
            for index, result in zip(program.outputs, results, strict=True):
                # An output that is also an input, or is returned twice, needs a copy of its own.
                if program.buffers[index].role in WRITABLE and index not in written:
                    written[index] = result
                else:
                    copied.append((index, result))
            with self._bound(uploads, written) as buffers:
                recorder = self._recorder(buffers)
                recorder.record(self._prepared.steps)
                for index, result in copied:
                    recorder.copy(buffers[index], result, self._sizes[index])
                recorder.submit()
        specs = (program.buffers[index] for index in program.outputs)
        return [DeviceArray(device, s, r) for s, r in zip(specs, results, strict=True)]

    @contextmanager
    def _bound(
        self, uploads: Sequence[Words | DeviceArray], results: Mapping[int, PooledBuffer]
    ) -> Iterator[list[PooledBuffer]]:
        """The buffers of this call, inputs uploaded; `results` are bound as outputs.

        Those that are neither given nor constants are the pool's, until the call is submitted:
        programs that are not running hold no memory but their constants.
        """
        program, device = self._program, self._device
        if self._prepared.generation != device.generation:
            self._prepared = self._prepare()
        bound = {**self._prepared.constants, **results}
        arrays = dict(zip(program.inputs, uploads, strict=True))
        names = dict(zip(program.inputs, self._names, strict=True))
        for index, value in arrays.items():
            if isinstance(value, DeviceArray):
                bound[index] = value.buffer_for(device, program.buffers[index], names[index])
        pool = device.storage_pool  # of this generation, also if the device is lost meanwhile
        taken: list[PooledBuffer] = []
        try:
            for index, nbytes in enumerate(self._sizes):
                if index not in bound:
                    bound[index] = pool.acquire(nbytes)
                    taken.append(bound[index])
            for index, value in arrays.items():
                if not isinstance(value, DeviceArray) and value.size:
                    device.raw.queue.write_buffer(bound[index].raw, 0, value)
            yield [bound[index] for index in range(len(self._sizes))]
        finally:
            # The last first, so that the next call gets the same ones and finds its bind groups.
            for buffer in reversed(taken):
                pool.release(buffer)

    def _recorder(self, buffers: Sequence[PooledBuffer]) -> Recorder:
        prepared = self._prepared
        return Recorder(self._device, buffers, prepared.uniforms, prepared.uniform_buffer)

    def _unpack_outputs(self, words: Words) -> Iterator[NDArray[Any]]:
        offset = 0
        for index in self._program.outputs:
            end = offset + self._sizes[index] // WORD_BYTES
            yield unpack(words[offset:end], self._program.buffers[index], copy=True)
            offset = end

    def _prepare(self) -> _Prepared:
        device, program = self._device, self._program
        with device.guard("loading a program"):
            raw = device.raw
            uniforms = _uniform_table(program, device)
            constants = {i: device.create_buffer(self._sizes[i]) for i in self._constants}
            for index, words in self._constants.items():
                if words.size:
                    raw.queue.write_buffer(constants[index].raw, 0, words)
            own = (n for i, n in enumerate(self._sizes) if i not in constants)
            device.storage_pool.keep(sum(own))
            return _Prepared(
                generation=device.generation,
                steps=prepare(device, program.steps),
                uniforms=uniforms,
                uniform_buffer=device.create_uniform_buffer(uniforms.nbytes) if uniforms else None,
                constants=constants,
            )


def _staging_bytes(nbytes: int) -> int:
    """Small sizes round up to powers of two, so that results of many sizes share few buffers."""
    if nbytes > SHARED_STAGING_LIMIT:
        return nbytes
    return max(SMALLEST_STAGING, 1 << (nbytes - 1).bit_length())


def _uniform_table(program: GpuProgram, device: Device) -> UniformTable | None:
    widest = max((uniform_bytes(launch.uniforms) for launch in launches(program.steps)), default=0)
    return UniformTable(widest, device.info.limits.uniform_alignment) if widest else None


def _pack_constants(program: GpuProgram, constants: Sequence[NDArray[Any]]) -> dict[int, Words]:
    wanted = [k for k, spec in enumerate(program.buffers) if spec.role == "constant"]
    if len(wanted) != len(constants):
        raise IRError(f"{len(constants)} constants were given for {len(wanted)} buffers")
    return {
        index: pack(value, program.buffers[index], f"constant {number}")
        for number, (index, value) in enumerate(zip(wanted, constants, strict=True))
    }
