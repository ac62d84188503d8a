"""Programs made by hand, as fusion hands them to the back end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.codegen_glsl.backend import build
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.codegen_glsl.run import LoadedGlProgram
from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Expr, Load, Size, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Program, Stage, Step

Array = np.ndarray[Any, Any]


def buffer_like(name: str, array: Array) -> Buffer:
    dtype = dtypes.from_numpy(array.dtype)
    assert dtype is not None
    return Buffer(name, array.shape, dtype)


def axes_of(shape: Sequence[Size]) -> tuple[Var, ...]:
    return tuple(Var(f"i{k}", size) for k, size in enumerate(shape))


def at(buffer: Buffer, *indices: Expr) -> Load:
    return Load(buffer, indices)


def mapped(target: Buffer, body: Callable[..., Expr], name: str = "map") -> Nest:
    """``target[axes] = body(*axes)``."""
    axes = axes_of(target.shape)
    return Nest(name, axes, (Stage((), (), None, body(*axes), target, axes),), ())


def reduced(
    target: Buffer,
    extents: Sequence[int],
    combiner: str,
    body: Callable[..., Expr],
    finish: Callable[..., Expr] | None = None,
    name: str = "reduce",
) -> Nest:
    """``target[axes] = finish(combine over the extents of body(*axes, *reduced), *axes)``."""
    axes = axes_of(target.shape)
    inner = tuple(Var(f"k{k}", size) for k, size in enumerate(extents))
    value = body(*axes, *inner)
    local = Buffer("l0", (), value.dtype, "scratch")
    total: Expr = Load(local, ())
    result = total if finish is None else finish(total, *axes)
    stages = (
        Stage((), inner, combiner, value, local, ()),
        Stage((), (), None, result, target, axes),
    )
    return Nest(name, axes, stages, (local,))


def program_of(
    inputs: Sequence[Buffer],
    outputs: Sequence[Buffer],
    steps: Sequence[Step],
    constants: Sequence[tuple[Buffer, Array]] = (),
) -> Program:
    return Program("test", (), tuple(inputs), tuple(outputs), tuple(constants), (), tuple(steps))


def run(
    device: GlDevice,
    program: Program,
    arrays: Sequence[Array],
    options: GlslOptions | None = None,
) -> tuple[Array, ...]:
    """Build, load and call once."""
    built = build(program, None, options)
    loaded = LoadedGlProgram(device, built, [array for _, array in program.constants])
    return loaded(arrays)


def sources(program: Program, options: GlslOptions | None = None) -> list[str]:
    """The shaders of a program, in order."""
    from tilewright.ir.artifact import Repeat, ShaderLaunch

    found: list[str] = []
    stack = list(reversed(build(program, None, options).steps))
    while stack:
        step = stack.pop()
        if isinstance(step, ShaderLaunch):
            found.append(step.source)
        elif isinstance(step, Repeat):
            stack.extend(reversed(step.steps))
    return found


def compute(
    device: GlDevice,
    arrays: Sequence[Array],
    shape: Sequence[int],
    dtype: DType,
    make: Callable[..., Step | Sequence[Step]],
) -> Array:
    """One output of `shape`; ``make(target, *inputs)`` gives the steps."""
    inputs = [buffer_like(f"x{k}", array) for k, array in enumerate(arrays)]
    target = Buffer("y", tuple(shape), dtype)
    made = make(target, *inputs)
    steps = tuple(made) if isinstance(made, Sequence) else (made,)
    (result,) = run(device, program_of(inputs, [target], steps), arrays)
    return result
