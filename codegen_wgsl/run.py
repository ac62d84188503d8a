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

from tilewright.codegen_wgsl import timestamps
from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.codegen_wgsl.check import WRITABLE, check_program
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.device_array import DeviceArray
from tilewright.codegen_wgsl.pool import PooledBuffer
from tilewright.codegen_wgsl.record import PreparedStep, Recorder, prepare, prepared_launches
from tilewright.codegen_wgsl.timestamps import PassTimer
from tilewright.codegen_wgsl.uniforms import UniformTable, uniform_bytes
from tilewright.ir.artifact import GpuProgram, ShaderLaunch, launches, repeated
from tilewright.ir.errors import ShapeError
from tilewright.ir.loaded_arguments import input_names, packed_constants
from tilewright.ir.run_times import RunTimes, slope
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
        self._names = input_names(program, names)
        check_program(program, device.info)
        self._constants = packed_constants(program, constants)
        self._sizes = [buffer_bytes(spec) for spec in program.buffers]
        self._output_bytes = sum(self._sizes[index] for index in program.outputs)
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
        with self._timed(inputs) as buffers:
            return self._host_seconds(self._prepared.steps, buffers, runs) / runs

    def device_seconds(self, inputs: Sequence[Argument], runs: int = 1) -> float:
        """As `seconds`, by the device's clock; where it has none, without what a submit costs."""
        with self._timed(inputs) as buffers:
            if self._has_timestamps:
                return self._timestamps(buffers, runs, apart=False).seconds / runs
            return self._slope(self._prepared.steps, buffers, runs)

    def times(self, inputs: Sequence[Argument], runs: int = 1) -> RunTimes:
        """Where the time of a call goes; what the device does is measured over `runs`."""
        device = self.device_seconds(inputs, runs)
        launches = self._launch_seconds(inputs, runs)
        begin = time.perf_counter()
        with self._timed(inputs) as buffers:
            uploaded = time.perf_counter()
            staging = self._stage(self._recorder(buffers), buffers)
            self._read(staging)
            end = time.perf_counter()
        return RunTimes(
            uploaded - begin,
            device,
            end - uploaded,
            launches,
            "device" if self._has_timestamps else "host",
        )

    @property
    def _has_timestamps(self) -> bool:
        return timestamps.FEATURE in self._device.info.features

    def _launch_seconds(self, inputs: Sequence[Argument], runs: int) -> tuple[float, ...]:
        with self._timed(inputs) as buffers:
            steps = self._prepared.steps
            if self._has_timestamps:
                timer = self._timestamps(buffers, runs, apart=True)
                return tuple(timer.seconds_of[p] / runs for p in prepared_launches(steps))
            rounds = [n for s, n in repeated(self._program.steps) if isinstance(s, ShaderLaunch)]
            found = zip(prepared_launches(steps), rounds, strict=True)
            return tuple(n * self._slope((p,), buffers, runs) for p, n in found)

    @contextmanager
    def _timed(self, inputs: Sequence[Argument]) -> Iterator[list[PooledBuffer]]:
        """The buffers with the inputs in them, the device idle and nobody else's."""
        uploads = self._pack_inputs(inputs)
        with (
            self._lock,
            self._device.guard("timing a program"),
            self._bound(uploads, {}) as buffers,
        ):
            self._device.synchronize()
            yield buffers

    def _host_seconds(
        self, steps: Sequence[PreparedStep], buffers: Sequence[PooledBuffer], runs: int
    ) -> float:
        start = time.perf_counter()
        recorder = self._recorder(buffers)
        for _ in range(runs):
            recorder.record(steps)
        recorder.submit()
        self._device.synchronize()
        return time.perf_counter() - start

    def _slope(
        self, steps: Sequence[PreparedStep], buffers: Sequence[PooledBuffer], runs: int
    ) -> float:
        return slope(lambda n: self._host_seconds(steps, buffers, n), runs)

    def _timestamps(self, buffers: Sequence[PooledBuffer], runs: int, apart: bool) -> PassTimer:
        timer = PassTimer(self._device, apart)
        recorder = self._recorder(buffers, timer)
        for _ in range(runs):
            recorder.record(self._prepared.steps)
        recorder.submit()
        return timer

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
        with (
            self._lock,
            self._device.guard("running a program"),
            self._bound(uploads, {}) as buffers,
        ):
            recorder = self._recorder(buffers)
            recorder.record(self._prepared.steps)
            staging = self._stage(recorder, buffers)
        return self._read(staging)

    def _stage(self, recorder: Recorder, buffers: Sequence[PooledBuffer]) -> PooledBuffer:
        """Record copies of the outputs into memory that the host can map, and submit."""
        staging = self._device.staging_pool.acquire(_staging_bytes(self._output_bytes))
        offset = 0
        for index in self._program.outputs:
            recorder.copy(buffers[index], staging, self._sizes[index], offset)
            offset += self._sizes[index]
        recorder.submit()
        return staging

    def _read(self, staging: PooledBuffer) -> list[NDArray[Any]]:
        if self._output_bytes == 0:
            return []
        with self._device.mapped(staging, self._output_bytes) as words:
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
        for index, value, name in zip(program.inputs, uploads, self._names, strict=True):
            if isinstance(value, DeviceArray):
                bound[index] = value.buffer_for(device, program.buffers[index], name)
        pool = device.storage_pool  # of this generation, also if the device is lost meanwhile
        taken: list[PooledBuffer] = []
        try:
            for index, nbytes in enumerate(self._sizes):
                if index not in bound:
                    bound[index] = pool.acquire(nbytes)
                    taken.append(bound[index])
            for index, value in zip(program.inputs, uploads, strict=True):
                if not isinstance(value, DeviceArray) and value.size:
                    device.raw.queue.write_buffer(bound[index].raw, 0, value)
            yield [bound[index] for index in range(len(self._sizes))]
        finally:
            # The last first, so that the next call gets the same ones and finds its bind groups.
            for buffer in reversed(taken):
                pool.release(buffer)

    def _recorder(
        self, buffers: Sequence[PooledBuffer], timer: PassTimer | None = None
    ) -> Recorder:
        prepared = self._prepared
        return Recorder(self._device, buffers, prepared.uniforms, prepared.uniform_buffer, timer)

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
