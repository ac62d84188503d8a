"""What a GPU back end returns: plain data that a device runner can execute, save and print.

A program is a list of buffers and a list of steps over them. The same classes serve WGSL (buffers
are storage buffers) and GLSL (buffers are textures); `texture` says how a buffer lies in texels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

Role = Literal["input", "output", "constant", "temporary"]


class TextureLayout(Struct, frozen=True):
    """A linear array in a 2-D texture: texel ``t`` holds elements ``4 t … 4 t + 3``, row by row."""

    width: int
    height: int
    format: Literal["rgba32f", "rgba32i", "rgba32ui"]


class BufferSpec(Struct, frozen=True):
    """One buffer of a program.

    `dtype` is the NumPy dtype name of the host's array (``"float32"``), `storage` the dtype of one
    stored element on the device (``"float32"``, ``"int32"`` or ``"uint32"``), `size` the number of
    host elements, `shape` the host's shape. Where `packed` is greater than one, each stored 32-bit
    word holds that many host elements (four uint8, two float16), lowest bits first.
    """

    role: Role
    dtype: str
    storage: str
    shape: tuple[int, ...]
    size: int
    packed: int = 1
    texture: TextureLayout | None = None


class ShaderLaunch(Struct, frozen=True):
    """Run one shader once.

    `bindings` are indexes into the program's buffers, in the order of the shader's bindings
    (WGSL: ``@group(0) @binding(k)``; GLSL: sampler uniforms ``t0, t1, …`` in this order);
    `outputs` are the indexes that the shader writes (GLSL: colour attachments in this order).
    `grid` is the number of workgroups (WGSL) or the viewport ``(width, height, 1)`` (GLSL).
    `uniforms` are 32-bit integers: WGSL reads them from the uniform buffer that is the last
    binding when there are any; GLSL from ``uniform int u[N]``. A `Repeat` writes its counter to
    the uniform that it names. `subgroups` are the fewest invocations of a subgroup for which
    a shader was made (WGSL), and those of a workgroup, which whole subgroups must make up; None
    where it uses none.
    """

    name: str
    source: str
    entry_point: str
    bindings: tuple[int, ...]
    outputs: tuple[int, ...]
    grid: tuple[int, int, int]
    uniforms: tuple[int, ...] = ()
    subgroups: tuple[int, int] | None = None


class CopyBuffer(Struct, frozen=True):
    """Copy one whole buffer onto another of the same size."""

    source: int
    destination: int


class Repeat(Struct, frozen=True):
    """Run `steps` `count` times; uniform number 0 of every launch inside holds the counter
    (the innermost repeat's, when the launch has uniforms at all)."""

    count: int
    steps: tuple[Step, ...]


Step = ShaderLaunch | CopyBuffer | Repeat


class GpuProgram(Struct, frozen=True):
    """A whole program for one GPU target."""

    target: Literal["wgsl", "glsl"]
    buffers: tuple[BufferSpec, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]


def repeated(
    steps: Sequence[Step], times: int = 1
) -> Iterator[tuple[ShaderLaunch | CopyBuffer, int]]:
    """Every launch and copy once, in order, with how many times it runs."""
    for step in steps:
        if isinstance(step, Repeat):
            yield from repeated(step.steps, times * step.count)
        else:
            yield step, times


def launches(steps: Sequence[Step]) -> Iterator[ShaderLaunch]:
    """Every launch, those inside of repeats once."""
    return (step for step, _ in repeated(steps) if isinstance(step, ShaderLaunch))
