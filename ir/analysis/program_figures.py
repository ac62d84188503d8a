"""What one call of a compiled program does, launch by launch, counted without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir.analysis.kernel_figures import KernelFigures, kernel_figures
from tilewright.ir.artifact import CopyBuffer, GpuProgram, ShaderLaunch, repeated
from tilewright.ir.expr import Var
from tilewright.ir.kernel import Kernel
from tilewright.ir.program import Copy, Launch, Program, Repeat, RepeatWhile, Step
from tilewright.ir.sizes import evaluate
from tilewright.ir.transfer import WORD_BYTES, word_count

_TEXEL_BYTES: Final = 16


class LaunchFigures(Struct, frozen=True):
    """A launch that a call makes `times` times; `each` is one of them.

    `fetches` are the texels that fragments fetch, and `targets` how many textures they draw to; 0
    where there are none.
    """

    name: str
    times: int
    each: KernelFigures
    fetches: int = 0
    targets: int = 0

    @property
    def operations(self) -> int:
        """Of all times, as those below."""
        return self.times * self.each.operations

    @property
    def bytes_read(self) -> int:
        return self.times * self.each.bytes_read

    @property
    def bytes_written(self) -> int:
        return self.times * self.each.bytes_written

    @property
    def operations_per_byte(self) -> float:
        """Of the bytes that are read and written."""
        moved = self.bytes_read + self.bytes_written
        return self.operations / moved if moved else 0.0

    @property
    def barriers(self) -> int:
        return self.times * self.each.barriers

    @property
    def multiplies(self) -> int:
        return self.times * self.each.multiplies

    @property
    def all_fetches(self) -> int:
        return self.times * self.fetches


class ProgramFigures(Struct, frozen=True):
    """One call. `shaders` are the different ones among the launches, `copied` the bytes of copies
    between buffers, and `scratch` the temporaries in bytes."""

    launches: tuple[LaunchFigures, ...]
    shaders: int = 0
    copied: int = 0
    scratch: int = 0

    @property
    def launch_count(self) -> int:
        return sum(launch.times for launch in self.launches)

    @property
    def operations(self) -> int:
        """Arithmetic on floats, as it is executed."""
        return sum(launch.operations for launch in self.launches)

    @property
    def bytes_read(self) -> int:
        """What launches and copies ask of global memory."""
        return self.copied + sum(launch.bytes_read for launch in self.launches)

    @property
    def bytes_written(self) -> int:
        return self.copied + sum(launch.bytes_written for launch in self.launches)

    @property
    def operations_per_byte(self) -> float:
        """Of the bytes that are read and written."""
        moved = self.bytes_read + self.bytes_written
        return self.operations / moved if moved else 0.0

    @property
    def barriers(self) -> int:
        """How often a workgroup waits, over all launches."""
        return sum(launch.barriers for launch in self.launches)

    @property
    def workgroup_bytes(self) -> int:
        """The most that a launch shares in a workgroup."""
        return max((each.each.workgroup_bytes for each in self.launches), default=0)

    @property
    def fetches(self) -> int:
        return sum(launch.all_fetches for launch in self.launches)

    @property
    def fetches_per_multiply(self) -> float | None:
        """None where nothing is multiplied."""
        multiplies = sum(launch.multiplies for launch in self.launches)
        return self.fetches / multiplies if multiplies else None


def program_figures(program: Program, symbols: Mapping[Var, int]) -> ProgramFigures:
    """Of a program of kernels for a CPU, with these values of open sizes."""
    found: list[LaunchFigures] = []
    copied = 0
    for step, times in _repeated(program.steps, symbols):
        if isinstance(step, Launch):
            name = step.kernel.name
            found.append(LaunchFigures(name, times, kernel_figures(step.kernel, symbols)))
        elif isinstance(step, Copy):
            size = prod(evaluate(n, symbols) for n in step.source.shape)
            copied += times * size * step.source.dtype.itemsize
    return ProgramFigures(tuple(found), copied=copied)


def sizes_in_bytes(program: GpuProgram) -> list[int]:
    """What the elements of each buffer take."""
    return [word_count(spec) * WORD_BYTES for spec in program.buffers]


def gpu_figures(
    program: GpuProgram, kernels: Sequence[Kernel], fetches: Sequence[int] = ()
) -> ProgramFigures:
    """Of a program of shaders, made of these kernels in this order. Fragment shaders move whole
    texels: as many as `fetches` says, launch by launch, and one to each target."""
    steps = list(repeated(program.steps))
    sizes = sizes_in_bytes(program)
    scratch = (n for b, n in zip(program.buffers, sizes, strict=True) if b.role == "temporary")
    shaders = [(s, times) for s, times in steps if isinstance(s, ShaderLaunch)]
    found = [
        LaunchFigures(launch.name, times, kernel_figures(kernel))
        for (launch, times), kernel in zip(shaders, kernels, strict=True)
    ]
    if fetches:
        found = [
            _of_fragments(figures, launch, count)
            for figures, (launch, _), count in zip(found, shaders, fetches, strict=True)
        ]
    return ProgramFigures(
        tuple(found),
        len({launch.source for launch, _ in shaders}),
        sum(times * sizes[s.source] for s, times in steps if isinstance(s, CopyBuffer)),
        sum(scratch),
    )


def _of_fragments(figures: LaunchFigures, launch: ShaderLaunch, fetches: int) -> LaunchFigures:
    texels, targets = prod(launch.grid), len(launch.outputs)
    each = replace(
        figures.each,
        invocations=texels,
        groups=1,
        bytes_read=fetches * _TEXEL_BYTES,
        bytes_written=texels * targets * _TEXEL_BYTES,
    )
    return replace(figures, each=each, fetches=fetches, targets=targets)


def _repeated(
    steps: Sequence[Step], symbols: Mapping[Var, int], times: int = 1
) -> Iterator[tuple[Step, int]]:
    """Every step once, with how often it runs; loops that end when data say so count as one."""
    for step in steps:
        match step:
            case Repeat():
                assert step.counter.extent is not None
                count = evaluate(step.counter.extent, symbols)
                yield from _repeated(step.steps, symbols, times * count)
            case RepeatWhile():
                yield from _repeated((*step.test, *step.body), symbols, times)
            case _:
                yield step, times
