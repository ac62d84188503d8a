"""What the buffers of a program cost: bytes that launches must move at least, and scratch memory.

In: a program of kernels, or one for a GPU. Out: `Costs`. Each launch counts once, those in repeats
too.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from tilewright.ir.analysis.program_figures import sizes_in_bytes
from tilewright.ir.artifact import CopyBuffer, GpuProgram, ShaderLaunch, repeated
from tilewright.ir.kernel import Buffer, Kernel, loaded_buffers
from tilewright.ir.program import Copy, Launch, Program, leaves


class Costs(NamedTuple):
    """`moved` counts each buffer that a launch reads or writes once; `scratch` are the temporaries
    of the program and, on a CPU, the largest local memory of a launch; both in bytes."""

    launches: int
    moved: int
    scratch: int


def gpu_costs(program: GpuProgram) -> Costs:
    """The costs of a program of shaders."""
    steps = [step for step, _ in repeated(program.steps)]
    sizes = sizes_in_bytes(program)
    temporary = (
        size for spec, size in zip(program.buffers, sizes, strict=True) if spec.role == "temporary"
    )
    return Costs(len(steps), sum(moved_by(step, sizes) for step in steps), sum(temporary))


def moved_by(step: ShaderLaunch | CopyBuffer, sizes: list[int]) -> int:
    """The sizes of the buffers that a step touches."""
    if isinstance(step, CopyBuffer):
        return 2 * sizes[step.source]
    return sum(sizes[k] for k in {*step.bindings, *step.outputs})


def cpu_costs(program: Program) -> Costs:
    """The costs of a program of kernels whose sizes are known."""
    steps = [s for s in leaves((*program.init, *program.steps)) if isinstance(s, (Launch, Copy))]
    launched = [s.kernel for s in steps if isinstance(s, Launch)]
    copied = sum(2 * _bytes(s.source) for s in steps if isinstance(s, Copy))
    roots = {b.root for b in program.temporaries}
    local = max(map(_local_bytes, launched), default=0)
    moved = copied + sum(map(kernel_moves, launched))
    return Costs(len(steps), moved, local + sum(map(_bytes, roots)))


def kernel_moves(kernel: Kernel) -> int:
    """The sizes of what a kernel reads and of what it writes."""
    read = {b.root for b in loaded_buffers(kernel.body)}
    loaded = sum(_bytes(p) for p in kernel.parameters if p.root in read)
    return loaded + sum(map(_bytes, kernel.written))


def _local_bytes(kernel: Kernel) -> int:
    return sum(_bytes(b) for b in kernel.locals if b.space != "register" and b.base is None)


def _bytes(buffer: Buffer) -> int:
    return buffer.dtype.itemsize * prod(int(str(n)) for n in buffer.shape)
