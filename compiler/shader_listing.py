"""The shaders of a program for people: before each launch, what it computes and on what.

In: a kernel compiled for a GPU target. Out: text. A shader that several launches run is shown once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tilewright.compiler.owners import Owners, lowered_kernels
from tilewright.ir.artifact import CopyBuffer, GpuProgram, Repeat, ShaderLaunch, Step, launches
from tilewright.ir.dtypes import from_numpy
from tilewright.ir.program import Program

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.artifact import BufferSpec

_INDENT = "  "


def shader_listing(made: Specialization) -> str:
    """All launches in order."""
    program: GpuProgram = made.artifact.program
    return "\n".join(_Listing(program, _inputs(made), _labels(made, program)).lines)


def _inputs(made: Specialization) -> dict[int, str]:
    program: GpuProgram = made.artifact.program
    return dict(zip(program.inputs, made.interface.input_names, strict=True))


def _labels(made: Specialization, program: GpuProgram) -> list[str]:
    """What the user wrote that each launch computes."""
    owners = Owners(cast("Program", made.stage("program")))
    names = [launch.name for launch in launches(program.steps)]
    return [owners.labels_of(s) for s in owners.of(lowered_kernels(made), names)]


class _Listing:
    """Writes steps; `labels` are those of the launches in order."""

    def __init__(self, program: GpuProgram, inputs: dict[int, str], labels: list[str]) -> None:
        self.lines: list[str] = []
        self._program = program
        self._inputs = inputs
        self._labels = iter(labels)
        self._shown: dict[str, str] = {}
        self._steps(program.steps, "")

    def _steps(self, steps: Sequence[Step], indent: str) -> None:
        for step in steps:
            match step:
                case ShaderLaunch():
                    self._launch(step, indent)
                case CopyBuffer():
                    copied = f"copy {self._name(step.source)} to {self._name(step.destination)}"
                    self.lines += [f"// {indent}{copied}", ""]
                case Repeat():
                    self.lines += [f"// {indent}repeat {step.count} times:", ""]
                    self._steps(step.steps, indent + _INDENT)

    def _launch(self, launch: ShaderLaunch, indent: str) -> None:
        label = next(self._labels)
        head = f"{indent}{launch.name}" + (f": {label}" if label else "")
        self.lines.append(f"// {head}")
        self.lines.append(f"// {indent}{_grid(self._program, launch)}")
        self.lines += (f"// {indent}{line}" for line in self._bindings(launch))
        first = self._shown.get(launch.source)
        if first is None:
            self._shown[launch.source] = launch.name
            self.lines.append(launch.source)
        else:
            self.lines += [f"// {indent}the shader of {first}", ""]

    def _bindings(self, launch: ShaderLaunch) -> Iterator[str]:
        """What the shader calls each array."""
        glsl = self._program.target == "glsl"
        for number, index in enumerate(launch.bindings):
            written = "" if glsl or index not in launch.outputs else " (written)"
            yield f"{'t' if glsl else 'b'}{number} = {self._name(index)}{written}"
        if glsl:
            for number, index in enumerate(launch.outputs):
                yield f"o{number} = {self._name(index)}"

    def _name(self, index: int) -> str:
        spec = self._program.buffers[index]
        return f"{self._called(index, spec)}: {_type(spec)}"

    def _called(self, index: int, spec: BufferSpec) -> str:
        if index in self._inputs:
            return self._inputs[index]
        if index in self._program.outputs:
            several = len(self._program.outputs) > 1
            return f"result {self._program.outputs.index(index)}" if several else "result"
        alike = [k for k, other in enumerate(self._program.buffers) if other.role == spec.role]
        return f"{spec.role} {alike.index(index)}"


def _grid(program: GpuProgram, launch: ShaderLaunch) -> str:
    width, height, depth = launch.grid
    if program.target == "glsl":
        return f"{width} × {height} texels"
    groups = width * height * depth
    return f"{groups} workgroup{'' if groups == 1 else 's'}"


def _type(spec: BufferSpec) -> str:
    dtype = from_numpy(np.dtype(spec.dtype))
    name = spec.dtype if dtype is None else dtype.short
    packed = f", {spec.packed} to a word" if spec.packed > 1 else ""
    texture = spec.texture
    place = f" in {texture.width} × {texture.height} texels" if texture else ""
    return f"{name}[{', '.join(map(str, spec.shape))}]{packed}{place}"
