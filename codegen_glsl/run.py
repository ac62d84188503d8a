"""Running a GLSL program on a device.

In: a `GpuProgram`, once, with the values of its constant buffers; then arrays, call by call. Out:
arrays, on the host or left on the device. Shaders are compiled and constants uploaded when a
program is loaded, and again by the first call after the device was lost.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, Literal, overload

from msgspec import Struct

from tilewright.codegen_glsl.array_spec import check_same
from tilewright.codegen_glsl.check import check_program
from tilewright.codegen_glsl.device_array import GlDeviceArray
from tilewright.codegen_glsl.plan import plan_textures
from tilewright.codegen_glsl.texture import texture_of
from tilewright.codegen_glsl.timers import DrawTimers
from tilewright.ir.artifact import CopyBuffer, Repeat, ShaderLaunch
from tilewright.ir.errors import ShapeError
from tilewright.ir.loaded_arguments import input_names, packed_constants
from tilewright.ir.run_times import RunTimes, slope
from tilewright.ir.transfer import pack, unpack, word_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tilewright.codegen_glsl.arena import Lease
    from tilewright.codegen_glsl.context import GlContext
    from tilewright.codegen_glsl.device import GlDevice
    from tilewright.codegen_glsl.shader import Shader
    from tilewright.ir.artifact import GpuProgram, Step

    HostArray = NDArray[Any]


class _Run(Struct):
    """One call under way: the texture of each buffer that has one at the moment. `timers` take the
    time of each draw, if anybody asks."""

    context: GlContext
    leases: dict[int, Lease]
    timers: DrawTimers | None = None


class _Draw(Struct, frozen=True, eq=False):
    shader: Shader
    bindings: tuple[int, ...]
    outputs: tuple[int, ...]
    uniforms: bytes

    def run(self, run: _Run, counter: bytes) -> None:
        if run.timers is None:
            self._draw(run, counter)
            return
        with run.timers.around(self):
            self._draw(run, counter)

    def _draw(self, run: _Run, counter: bytes) -> None:
        leases = run.leases
        uniforms = counter + self.uniforms[len(counter) :] if self.uniforms else b""
        run.context.draw(
            self.shader,
            [leases[i] for i in self.bindings],
            tuple([leases[i] for i in self.outputs]),
            uniforms,
        )


class _Nothing(Struct, frozen=True):
    """A launch that covers no texel."""

    def run(self, run: _Run, counter: bytes) -> None:
        pass


class _Copy(Struct, frozen=True):
    source: int
    destination: int

    def run(self, run: _Run, counter: bytes) -> None:
        run.context.copy(run.leases[self.source], run.leases[self.destination])


class _Loop(Struct, frozen=True):
    count: int
    steps: tuple[_Executable, ...]

    def run(self, run: _Run, counter: bytes) -> None:
        for iteration in range(self.count):
            own_counter = struct.pack("<i", iteration)
            for step in self.steps:
                step.run(run, own_counter)


_Executable = _Draw | _Nothing | _Copy | _Loop


def _draws(steps: Sequence[_Executable]) -> Iterator[_Draw | None]:
    """What each launch of a program became, in order."""
    for step in steps:
        match step:
            case _Draw():
                yield step
            case _Nothing():
                yield None
            case _Loop():
                yield from _draws(step.steps)


class _Prepared(Struct, frozen=True):
    """What a program keeps on one context: compiled steps in plan order, and constants."""

    context: GlContext
    steps: tuple[_Executable, ...]
    constants: dict[int, Lease]


class LoadedGlProgram:
    """A program that is ready to be called on one device, from any thread."""

    def __init__(
        self,
        device: GlDevice,
        program: GpuProgram,
        constants: Sequence[HostArray] = (),
        names: Sequence[str] = (),
    ) -> None:
        """`constants` are the values of the buffers with role "constant", in buffer order; `names`
        are what errors call the inputs."""
        self._names = input_names(program, names)
        check_program(program, device.facts)
        # Kept on the host, so that a lost device costs a reload and not the program.
        self._constants = packed_constants(program, constants)
        self.device = device
        self.program = program
        self._plan = plan_textures(program)
        self._prepared: _Prepared | None = None
        device.run(self._prepare)

    @overload
    def __call__(
        self,
        inputs: Sequence[HostArray | GlDeviceArray],
        *,
        outputs_on_device: Literal[False] = False,
    ) -> tuple[HostArray, ...]: ...

    @overload
    def __call__(
        self, inputs: Sequence[HostArray | GlDeviceArray], *, outputs_on_device: Literal[True]
    ) -> tuple[GlDeviceArray, ...]: ...

    @overload
    def __call__(
        self, inputs: Sequence[HostArray | GlDeviceArray], *, outputs_on_device: bool
    ) -> tuple[HostArray, ...] | tuple[GlDeviceArray, ...]: ...

    def __call__(
        self, inputs: Sequence[HostArray | GlDeviceArray], *, outputs_on_device: bool = False
    ) -> tuple[HostArray, ...] | tuple[GlDeviceArray, ...]:
        """Run the program once; host results are new arrays, each independent of the others."""
        given = self._check_inputs(inputs)
        if outputs_on_device:
            specs = [self.program.buffers[i] for i in self.program.outputs]
            context, leases = self.device.run(lambda context: self._execute(context, given))
            return tuple(
                GlDeviceArray(self.device, context, lease, spec)
                for lease, spec in zip(leases, specs, strict=True)
            )
        return self._unpack(self.device.run(lambda context: self._execute_and_read(context, given)))

    def _check_inputs(
        self, inputs: Sequence[HostArray | GlDeviceArray]
    ) -> list[HostArray | GlDeviceArray]:
        """The words to upload for each host array; device arrays as they are."""
        program = self.program
        if len(inputs) != len(program.inputs):
            raise ShapeError(f"the program has {len(program.inputs)} inputs and got {len(inputs)}")
        given: list[HostArray | GlDeviceArray] = []
        for number, (index, value) in enumerate(zip(program.inputs, inputs, strict=True)):
            spec = program.buffers[index]
            if isinstance(value, GlDeviceArray):
                check_same(spec, value.spec)
                value.check_fits(self.device, spec)
                given.append(value)
            else:
                given.append(pack(value, spec, self._names[number]))
        return given

    def device_seconds(self, inputs: Sequence[HostArray | GlDeviceArray], runs: int = 1) -> float:
        """The time of one run out of `runs` issued together, uploads and read-back left out: by
        the device's clock or, where it has none, without what issuing costs once."""
        given = self._check_inputs(inputs)
        return self.device.run(lambda context: self._device_seconds(context, given, runs)[0])

    def times(self, inputs: Sequence[HostArray | GlDeviceArray], runs: int = 1) -> RunTimes:
        """Where the time of a call goes; what the device does is measured over `runs`."""
        return self.device.run(lambda context: self._times(context, inputs, runs))

    def _times(
        self, context: GlContext, inputs: Sequence[HostArray | GlDeviceArray], runs: int
    ) -> RunTimes:
        self._execute(context, self._check_inputs(inputs))  # all that is made once
        context.finish()
        begin = time.perf_counter()
        given = self._check_inputs(inputs)
        bound = self._bind_inputs(context, given)
        context.finish()
        upload = time.perf_counter() - begin
        outputs = self._issue(context, bound)
        context.finish()
        begin = time.perf_counter()
        words = self._download(context, outputs)
        self._unpack(words)
        read_back = time.perf_counter() - begin
        seconds, clock = self._device_seconds(context, given, runs)
        launches = self._launch_seconds(context, bound, runs) if clock == "device" else ()
        return RunTimes(upload, seconds, read_back, launches, clock)

    def _device_seconds(
        self, context: GlContext, given: list[HostArray | GlDeviceArray], runs: int
    ) -> tuple[float, Literal["device", "host"]]:
        bound = self._bind_inputs(context, given)

        def repeat(count: int) -> None:
            for _ in range(count):
                self._issue(context, bound)

        def timed(count: int) -> float:
            begin = time.perf_counter()
            repeat(count)
            context.finish()
            return time.perf_counter() - begin

        timed(1)
        timers = DrawTimers(context)
        with timers.around(self):
            repeat(runs)
        seconds = timers.seconds_of(self)
        if seconds > 0 or not any(_draws(self._prepare(context).steps)):
            return seconds / runs, "device"
        return slope(timed, runs), "host"

    def _launch_seconds(
        self, context: GlContext, bound: dict[int, Lease], runs: int
    ) -> tuple[float, ...]:
        timers = DrawTimers(context)
        for _ in range(runs):
            self._issue(context, bound, timers)
        draws = _draws(self._prepare(context).steps)
        return tuple(0.0 if d is None else timers.seconds_of(d) / runs for d in draws)

    def _execute_and_read(
        self, context: GlContext, given: list[HostArray | GlDeviceArray]
    ) -> list[NDArray[np.generic]]:
        _, leases = self._execute(context, given)
        return self._download(context, leases)

    def _download(self, context: GlContext, leases: list[Lease]) -> list[NDArray[np.generic]]:
        return [
            context.download(lease, word_count(self.program.buffers[i]))
            for i, lease in zip(self.program.outputs, leases, strict=True)
        ]

    def _unpack(self, words: list[NDArray[np.generic]]) -> tuple[HostArray, ...]:
        specs = [self.program.buffers[i] for i in self.program.outputs]
        return tuple(unpack(array, spec) for spec, array in zip(specs, words, strict=True))

    def _execute(
        self, context: GlContext, given: list[HostArray | GlDeviceArray]
    ) -> tuple[GlContext, list[Lease]]:
        """Issue every step; the textures of the outputs."""
        return context, self._issue(context, self._bind_inputs(context, given))

    def _bind_inputs(
        self, context: GlContext, given: list[HostArray | GlDeviceArray]
    ) -> dict[int, Lease]:
        """The textures of constants and inputs, filled."""
        prepared = self._prepare(context)
        context.collect()
        bound = dict(prepared.constants)
        for index, value in zip(self.program.inputs, given, strict=True):
            bound[index] = self._bind(context, index, value)
        return bound

    def _issue(
        self, context: GlContext, bound: Mapping[int, Lease], timers: DrawTimers | None = None
    ) -> list[Lease]:
        """Issue every step over these inputs; the textures of the outputs."""
        run = _Run(context, dict(bound), timers)
        prepared = self._prepare(context)
        for planned, step in zip(self._plan, prepared.steps, strict=True):
            for index in planned.acquire:
                layout = texture_of(self.program.buffers[index])
                run.leases[index] = context.arena.acquire(layout)
            step.run(run, b"")
            for index in planned.release:
                del run.leases[index]
        context.check()
        return [run.leases[i] for i in self.program.outputs]

    def _bind(self, context: GlContext, index: int, value: HostArray | GlDeviceArray) -> Lease:
        if isinstance(value, GlDeviceArray):
            return value.lease(context)
        lease = context.arena.acquire(texture_of(self.program.buffers[index]))
        context.upload(lease, value)
        return lease

    def _prepare(self, context: GlContext) -> _Prepared:
        """Compile and upload, unless that was done for this very context."""
        prepared = self._prepared
        if prepared is None or prepared.context is not context:
            steps = tuple(self._prepare_step(context, planned.step) for planned in self._plan)
            constants = {i: self._bind(context, i, words) for i, words in self._constants.items()}
            context.check()
            prepared = self._prepared = _Prepared(context, steps, constants)
        return prepared

    def _prepare_step(self, context: GlContext, step: Step) -> _Executable:
        match step:
            case ShaderLaunch() if self._is_empty(step):
                return _Nothing()  # its index arithmetic may divide by 0
            case ShaderLaunch():
                return _Draw(
                    context.shader(step.name, step.source),
                    step.bindings,
                    step.outputs,
                    struct.pack(f"<{len(step.uniforms)}i", *step.uniforms),
                )
            case CopyBuffer():
                return _Copy(step.source, step.destination)
            case Repeat():
                inner = tuple(self._prepare_step(context, each) for each in step.steps)
                return _Loop(step.count, inner)

    def _is_empty(self, launch: ShaderLaunch) -> bool:
        return all(self.program.buffers[i].size == 0 for i in launch.outputs)
