"""Running a GLSL program on a device.

In: a `GpuProgram`, once, with the values of its constant buffers; then arrays, call by call. Out:
arrays, on the host or left on the device. Shaders are compiled and constants uploaded when a
program is loaded, and again by the first call after the device was lost.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Literal, overload

from msgspec import Struct

from tilewright.codegen_glsl.check import check_program
from tilewright.codegen_glsl.device_array import GlDeviceArray
from tilewright.codegen_glsl.plan import plan_textures
from tilewright.codegen_glsl.texture import texture_of
from tilewright.ir.artifact import CopyBuffer, Repeat, ShaderLaunch
from tilewright.ir.errors import DTypeError, IRError, ShapeError
from tilewright.ir.transfer import pack, unpack, word_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tilewright.codegen_glsl.arena import Lease
    from tilewright.codegen_glsl.context import GlContext
    from tilewright.codegen_glsl.device import GlDevice
    from tilewright.codegen_glsl.shader import Shader
    from tilewright.ir.artifact import BufferSpec, GpuProgram, Step

    HostArray = NDArray[Any]


class _Run(Struct):
    """One call under way: the texture of each buffer that has one at the moment."""

    context: GlContext
    leases: dict[int, Lease]


class _Draw(Struct, frozen=True):
    shader: Shader
    bindings: tuple[int, ...]
    outputs: tuple[int, ...]
    uniforms: bytes

    def run(self, run: _Run, counter: bytes) -> None:
        leases = run.leases
        uniforms = counter + self.uniforms[len(counter) :] if self.uniforms else b""
        run.context.draw(
            self.shader,
            [leases[i] for i in self.bindings],
            tuple([leases[i] for i in self.outputs]),
            uniforms,
        )


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


_Executable = _Draw | _Copy | _Loop


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
        self._names = tuple(names) or tuple(f"argument {k}" for k in range(len(program.inputs)))
        check_program(program, device.facts)
        indexes = [i for i, spec in enumerate(program.buffers) if spec.role == "constant"]
        if len(indexes) != len(constants):
            raise IRError(f"{len(constants)} constants were given for {len(indexes)} buffers")
        self.device = device
        self.program = program
        # Kept on the host, so that a lost device costs a reload and not the program.
        self._constants = {
            i: pack(value, program.buffers[i], "a constant")
            for i, value in zip(indexes, constants, strict=True)
        }
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
        specs = [self.program.buffers[i] for i in self.program.outputs]
        if outputs_on_device:
            context, leases = self.device.run(lambda context: self._execute(context, given))
            return tuple(
                GlDeviceArray(self.device, context, lease, spec)
                for lease, spec in zip(leases, specs, strict=True)
            )
        words = self.device.run(lambda context: self._execute_and_read(context, given))
        return tuple(unpack(array, spec) for spec, array in zip(specs, words, strict=True))

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
                _check_same(spec, value)
                value.check_fits(self.device, spec)
                given.append(value)
            else:
                given.append(pack(value, spec, self._names[number]))
        return given

    def _execute_and_read(
        self, context: GlContext, given: list[HostArray | GlDeviceArray]
    ) -> list[NDArray[np.generic]]:
        _, leases = self._execute(context, given)
        return [
            context.download(lease, word_count(self.program.buffers[i]))
            for i, lease in zip(self.program.outputs, leases, strict=True)
        ]

    def _execute(
        self, context: GlContext, given: list[HostArray | GlDeviceArray]
    ) -> tuple[GlContext, list[Lease]]:
        """Issue every step; the textures of the outputs."""
        prepared = self._prepare(context)
        context.collect()
        run = _Run(context, dict(prepared.constants))
        for index, value in zip(self.program.inputs, given, strict=True):
            run.leases[index] = self._bind(context, index, value)
        for planned, step in zip(self._plan, prepared.steps, strict=True):
            for index in planned.acquire:
                layout = texture_of(self.program.buffers[index])
                run.leases[index] = context.arena.acquire(layout)
            step.run(run, b"")
            for index in planned.release:
                del run.leases[index]
        context.check()
        return context, [run.leases[i] for i in self.program.outputs]

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
                return _Loop(0, ())  # nothing to draw, and its index arithmetic may divide by 0
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


def _check_same(spec: BufferSpec, value: GlDeviceArray) -> None:
    if value.shape != spec.shape:
        raise ShapeError(f"an input has shape {value.shape} where {spec.shape} was compiled")
    if value.spec.dtype != spec.dtype:
        raise DTypeError(f"an input has dtype {value.spec.dtype} where {spec.dtype} was compiled")
