"""What a program asks of a device without 64-bit numbers: refused, or said.

In: a program. Out: notes for the user, or an `UnsupportedError` that names what made the first
float64 value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir.dtypes import F64, DType
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Expr, post_order
from tilewright.ir.location import Location
from tilewright.ir.program import Nest, Ordered, Program, Repeat, RepeatWhile, Step

_HELP = (
    'convert to float32 (x.astype(np.float32), np.float32(0.5)), or compile with f64="f32", '
    "which computes it in float32"
)


def check_dtypes(program: Program, options: WgslOptions) -> tuple[str, ...]:
    """Notes on what is computed with fewer bits than NumPy has; raises if that is not allowed."""
    what, where = _first_float64(program)
    if not what:
        return ()
    if options.f64 == "f32":
        return (f"float64 is computed in float32: {what}",)
    raise UnsupportedError(
        f"WebGPU has no float64, but {what} has that dtype", loc=where, help=_HELP
    )


def _first_float64(program: Program) -> tuple[str, Location | None]:
    for k, buffer in enumerate(program.inputs):
        if buffer.dtype is F64:
            return f"argument {k}", None
    for value, label, loc in values_of(program.steps):
        if any(node.dtype is F64 for node in post_order((value,))):
            return label or "an intermediate result", loc
    return "", None


def has_dtype(program: Program, dtype: DType) -> bool:
    """Whether an array or a value of `program` is of `dtype`."""
    constants = (buffer for buffer, _ in program.constants)
    buffers = (*program.inputs, *program.outputs, *program.temporaries, *constants)
    roots = (value for value, _, _ in values_of(program.steps))
    return dtype in {b.dtype for b in buffers} | {node.dtype for node in post_order(roots)}


def values_of(steps: Sequence[Step]) -> Iterator[tuple[Expr, str, Location | None]]:
    """What each step stores, what it is called, and where it was written."""
    for step in steps:
        match step:
            case Nest():
                for stage in step.stages:
                    yield stage.value, stage.label, stage.loc
            case Ordered():
                yield step.value, step.name, None
            case Repeat():
                yield from values_of(step.steps)
            case RepeatWhile():
                yield from values_of((*step.test, *step.body))
            case _:
                pass
