"""Small programs over nests, and a way to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tilewright.codegen_wgsl.artifact import WgslArtifact
from tilewright.codegen_wgsl.backend import build
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.run import LoadedProgram
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import F32, DType
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.ops import Op
from tilewright.ir.program import Nest, Program, Stage, Step
from tilewright.ir.schedule import Schedule

Array = NDArray[Any]


def axes(**extents: int) -> tuple[Var, ...]:
    return tuple(Var(name, extent) for name, extent in extents.items())


def program(
    inputs: Sequence[Buffer],
    outputs: Sequence[Buffer],
    steps: Sequence[Step],
    temporaries: Sequence[Buffer] = (),
) -> Program:
    return Program(
        "program", (), tuple(inputs), tuple(outputs), (), tuple(temporaries), tuple(steps)
    )


def elementwise(
    name: str, inputs: Sequence[Buffer], make: Callable[..., Expr], dtype: DType
) -> Program:
    """``out[i, …] = make(input[i, …] …)`` over the first input's shape."""
    out = Buffer("out", inputs[0].shape, dtype)
    points = tuple(Var(f"i{k}", size) for k, size in enumerate(out.shape))
    value = make(*(Load(source, points) for source in inputs))
    nest = Nest(name, points, (Stage((), (), None, value, out, points, name),), ())
    return program(inputs, [out], [nest])


def operation(op: Op, kinds: Sequence[DType], size: int, target: DType | None = None) -> Program:
    """One operation on arrays of these dtypes."""
    inputs = [Buffer(f"x{k}", (size,), kind) for k, kind in enumerate(kinds)]
    sample = [Load(source, (b.index(0),)) for source in inputs]
    result = Apply(op, tuple(sample), target).dtype
    return elementwise(op.name, inputs, lambda *x: Apply(op, x, target), result)


def reduction(shape: tuple[int, int], axis: int, combiner: str, dtype: DType = F32) -> Program:
    """``out[i] = combine over j of x[i, j]`` or of ``x[j, i]``."""
    x, out = Buffer("x", shape, dtype), Buffer("out", (shape[1 - axis],), dtype)
    outer, inner = Var("i", shape[1 - axis]), Var("j", shape[axis])
    value = Load(x, (inner, outer) if axis == 0 else (outer, inner))
    stage = Stage((), (inner,), combiner, value, out, (outer,), combiner)
    return program([x], [out], [Nest("reduce", (outer,), (stage,), ())])


def scan(rows: int, length: int, dtype: DType = F32) -> Program:
    x, out = Buffer("x", (rows, length), dtype), Buffer("out", (rows, length), dtype)
    i, j = axes(i=rows, j=length)
    stage = Stage((j,), (), "scan:add", Load(x, (i, j)), out, (i, j), "cumsum")
    return program([x], [out], [Nest("scan", (i,), (stage,), ())])


def softmax(rows: int, length: int, axis: int = 1) -> Program:
    """One nest of four stages, one of whose locals is a row (of columns, if `axis` is 0)."""
    shape = (rows, length) if axis else (length, rows)
    x, out = Buffer("x", shape, F32), Buffer("out", shape, F32)
    most, total = Buffer("most", (), F32, "scratch"), Buffer("total", (), F32, "scratch")
    row = Buffer("row", (length,), F32, "scratch")
    i, j, k, m, n = axes(i=rows, j=length, k=length, m=length, n=length)

    def place(inner: Var) -> tuple[Var, Var]:
        return (i, inner) if axis else (inner, i)

    centred = Apply(ops.SUB, (Load(x, place(k)), Load(most, ())))
    stages = (
        Stage((), (j,), "max", Load(x, place(j)), most, ()),
        Stage((k,), (), None, Apply(ops.EXP, (centred,)), row, (k,)),
        Stage((), (m,), "add", Load(row, (m,)), total, ()),
        Stage((n,), (), None, Apply(ops.DIV, (Load(row, (n,)), Load(total, ()))), out, place(n)),
    )
    return program([x], [out], [Nest("softmax", (i,), stages, (most, total, row))])


def linear_relu(rows: int, columns: int, depth: int) -> Program:
    """``maximum(x @ w + bias, 0)`` in one nest."""
    x, w = Buffer("x", (rows, depth), F32), Buffer("w", (depth, columns), F32)
    bias, out = Buffer("bias", (columns,), F32), Buffer("out", (rows, columns), F32)
    total = Buffer("total", (), F32, "scratch")
    i, j, k = axes(i=rows, j=columns, k=depth)
    product = Apply(ops.MUL, (Load(x, (i, k)), Load(w, (k, j))))
    biased = Apply(ops.ADD, (Load(total, ()), Load(bias, (j,))))
    relu = Apply(ops.MAX, (biased, b.const(0, F32)))
    stages = (
        Stage((), (k,), "add", product, total, ()),
        Stage((), (), None, relu, out, (i, j)),
    )
    return program([x, w, bias], [out], [Nest("linear", (i, j), stages, (total,))])


def distances(rows: int, columns: int, depth: int) -> Program:
    """Squared distances between rows: no matrix product, but its operands meet like one's."""
    x, y = Buffer("x", (rows, depth), F32), Buffer("y", (columns, depth), F32)
    out = Buffer("out", (rows, columns), F32)
    i, j, k = axes(i=rows, j=columns, k=depth)
    apart = Apply(ops.SUB, (Load(x, (i, k)), Load(y, (j, k))))
    stage = Stage((), (k,), "add", Apply(ops.MUL, (apart, apart)), out, (i, j))
    return program([x, y], [out], [Nest("distances", (i, j), (stage,), ())])


def convolution(size: int, channels: int, filters: int) -> Program:
    """A 3 by 3 convolution, channels last, without padding."""
    inner = size - 2
    x, w = Buffer("x", (size, size, channels), F32), Buffer("w", (3, 3, channels, filters), F32)
    out = Buffer("out", (inner, inner, filters), F32)
    i, j, f, p, q, c = axes(i=inner, j=inner, f=filters, p=3, q=3, c=channels)
    pixel = Load(x, (b.add(i, p), b.add(j, q), c))
    product = Apply(ops.MUL, (pixel, Load(w, (p, q, c, f))))
    stage = Stage((), (p, q, c), "add", product, out, (i, j, f))
    return program([x, w], [out], [Nest("convolution", (i, j, f), (stage,), ())])


def normalise(height: int, width: int) -> Program:
    """uint8 pixels, channels last -> float32, channels first."""
    x, out = Buffer("x", (height, width, 3), dtypes.U8), Buffer("out", (3, height, width), F32)
    c, i, j = axes(c=3, i=height, j=width)
    scaled = Apply(ops.MUL, (b.cast(Load(x, (i, j, c)), F32), b.const(1 / 255, F32)))
    stage = Stage((), (), None, scaled, out, (c, i, j), "normalise")
    return program([x], [out], [Nest("normalise", (c, i, j), (stage,), ())])


def compile_program(
    made: Program, schedule: Schedule | None = None, f64: str = "error"
) -> WgslArtifact:
    schedules: Mapping[str, Schedule] = {}
    if schedule is not None:
        schedules = {step.name: schedule for step in made.steps if isinstance(step, Nest)}
    return build(made, WgslOptions(f64="f32" if f64 == "f32" else "error"), schedules)


def run(
    device: Device, made: Program, inputs: Sequence[Array], schedule: Schedule | None = None
) -> list[Array]:
    artifact = compile_program(made, schedule)
    return LoadedProgram(device, artifact.program, artifact.constants)(list(inputs))
