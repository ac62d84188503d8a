"""Random IR for Hypothesis: expressions, graphs and kernels that keep all rules.

Every generated expression may be evaluated anywhere in the ranges of its variables: indices are
made of variables by arithmetic and brought into bounds with ``%``, so nothing reads outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tilewright.ir import build, ops
from tilewright.ir.dtypes import (
    ALL,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    INDEX,
    U8,
    U32,
    DType,
)
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Source, Var
from tilewright.ir.graph import (
    COMBINERS,
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
)
from tilewright.ir.kernel import Buffer, For, If, Kernel, Stmt, Store, WhileLoop

Draw = Any


def static_shape(source: Source) -> tuple[int, ...]:
    """The shape of what has no open dimension."""
    return tuple(s for s in source.shape if isinstance(s, int))


DTYPES = (BOOL, I8, I32, I64, U8, U32, F16, F32, F64)
SPECIAL = (0.0, -0.0, 1.0, -1.5, 0.1, float("inf"), float("-inf"), float("nan"), 65504.0, 5e-324)
# Operations on any operands: those of legalised code (quo, shl_raw …) need harmless ones.
GUARDED = {ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.CAST, ops.BITCAST}
GUARDED |= {ops.SCALE, ops.EXPONENT, ops.MANTISSA, ops.PICK, *ops.NATIVE}
FREE = tuple(op for op in ops.OPS.values() if op not in GUARDED and not op.elementary)


@st.composite
def literals(draw: Draw, dtype: DType) -> Any:
    """A literal of `dtype`, extremes and special floats included."""
    if dtype is BOOL:
        return build.const(draw(st.booleans()), BOOL)
    if dtype.is_float:
        bits = st.integers(0, (1 << dtype.bits) - 1).map(lambda b: build.from_bits(b, dtype))
        special = st.sampled_from(SPECIAL).map(lambda v: build.const(v, dtype))
        return draw(special | bits)
    if dtype is INDEX:
        return build.index(draw(st.integers(0, 40)))
    edge = st.sampled_from((dtype.min, dtype.max, 0, 1))
    return build.const(draw(edge | st.integers(dtype.min, dtype.max)), dtype)


@st.composite
def indices(draw: Draw, sizes: Sequence[int], axes: Sequence[Var]) -> tuple[Expr, ...]:
    """In-bounds indices into a tensor of these (positive) sizes."""
    result = []
    for size in sizes:
        fitting = [a for a in axes if isinstance(a.extent, int) and a.extent <= size]
        if fitting and draw(st.booleans()):
            result.append(draw(st.sampled_from(fitting)))
            continue
        value: Expr = build.index(draw(st.integers(0, 7)))
        for axis in axes:
            factor = build.index(draw(st.integers(0, 5)))
            value = Apply(ops.ADD, (value, Apply(ops.MUL, (axis, factor))))
        result.append(Apply(ops.MOD, (value, build.index(size))))
    return tuple(result)


class Pool:
    """Expressions made so far, by dtype: new ones take old ones as operands, so that they share."""

    def __init__(self) -> None:
        self.nodes: dict[DType, list[Expr]] = {}

    def add(self, node: Expr) -> None:
        self.nodes.setdefault(node.dtype, []).append(node)

    def draw(self, draw: Draw, dtype: DType) -> Expr:
        known = self.nodes.get(dtype)
        if known and draw(st.integers(0, 3)):
            # Recent nodes are likelier, so that expressions grow deep and not only wide.
            recent: int = min(draw(st.integers(0, 6)), len(known) - 1)
            return known[-1 - recent]
        node: Expr = draw(literals(dtype))
        self.add(node)
        return node


@st.composite
def expressions(
    draw: Draw,
    sources: Sequence[Source] = (),
    axes: Sequence[Var] = (),
    dtype: DType | None = None,
    size: int = 12,
) -> Any:
    """An expression of `dtype` (any, if None) over `axes` that reads `sources` in bounds."""
    pool = Pool()
    for axis in axes:
        pool.add(axis)
    for source in sources:
        shape = static_shape(source)
        if 0 not in shape:
            pool.add(Load(source, draw(indices(shape, axes))))
    last: Expr = draw(st.sampled_from([n for k in pool.nodes.values() for n in k] or [build.TRUE]))
    for _ in range(draw(st.integers(0, size))):
        last = draw(operations(pool))
        pool.add(last)
    if dtype is None or last.dtype is dtype:
        return last
    return Apply(ops.CAST, (last,), dtype)


@st.composite
def operations(draw: Draw, pool: Pool) -> Expr:
    """One more operation on what is in the pool."""
    kind = draw(st.sampled_from(("op", "op", "op", "cast", "bits")))
    if kind == "cast":
        operand = pool.draw(draw, draw(st.sampled_from((*DTYPES, INDEX))))
        return Apply(ops.CAST, (operand,), draw(st.sampled_from((*DTYPES, INDEX))))
    if kind == "bits":
        source, target = draw(st.sampled_from(((I32, F32), (F32, U32), (I64, F64), (U8, I8))))
        return Apply(ops.BITCAST, (pool.draw(draw, source),), target)
    op = draw(st.sampled_from(FREE))
    domain = [d for d in (*DTYPES, INDEX) if d.kind in op.domain]
    dtype = draw(st.sampled_from(domain))
    operands = [pool.draw(draw, dtype) for _ in range(op.arity)]
    if op.result == "select":
        operands[0] = pool.draw(draw, BOOL)
    return Apply(op, tuple(operands))


SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@st.composite
def arrays(draw: Draw, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """An array with special values at random places."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    if dtype is BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if not dtype.is_float:
        return rng.integers(dtype.min, dtype.max, shape, dtype=dtype.numpy, endpoint=True)
    plain = rng.standard_normal(shape)
    with np.errstate(all="ignore"):
        chosen = np.where(rng.random(shape) < 0.2, rng.choice(SPECIAL, shape), plain)
        return chosen.astype(dtype.numpy)


@st.composite
def graphs(draw: Draw, nodes: int = 5) -> Graph:
    """A graph of all kinds of nodes but while loops, of static shapes."""
    dtypes = st.sampled_from(DTYPES)
    inputs = [Input(f"x{k}", draw(SHAPES), draw(dtypes)) for k in range(draw(st.integers(0, 2)))]
    tensors: list[Tensor] = list(inputs)
    for number in range(draw(st.integers(1, nodes))):
        tensors.append(draw(tensor_nodes(tensors, f"t{number}")))
    readable = [t for t in tensors if not isinstance(t, Loop)]
    outputs = draw(st.lists(st.sampled_from(readable), min_size=1, max_size=2))
    return Graph("random", tuple(inputs), (*outputs, readable[-1]))


@st.composite
def tensor_nodes(draw: Draw, tensors: Sequence[Tensor], name: str) -> Any:
    """One more node that reads some of `tensors`."""
    readable = [t for t in tensors if not isinstance(t, Loop)]
    kinds = ["compute", "compute", "reduce", "constant"]
    ranked = [t for t in readable if t.shape]
    if ranked:
        kinds += ["reshape", "scan", "sort", "scatter", "loop"]
    match draw(st.sampled_from(kinds)):
        case "compute":
            axes = _axes(draw(SHAPES))
            return Compute(name, axes, draw(expressions(readable, axes)), label="np.what ever")
        case "reduce":
            return draw(reductions(readable, name))
        case "constant":
            dtype = draw(st.sampled_from(DTYPES))
            return Constant(name, draw(arrays(draw(SHAPES), dtype)), dtype)
        case "reshape":
            operand = draw(st.sampled_from(readable))
            return Reshape(name, operand, (int(np.prod(static_shape(operand))), 1))
        case "scan":
            operand = draw(st.sampled_from(ranked))
            fitting = [c for c in COMBINERS.values() if c.op and operand.dtype.kind in c.op.domain]
            axis = draw(st.integers(0, len(operand.shape) - 1))
            return Scan(name, operand, axis, draw(st.sampled_from(fitting)).name)
        case "sort":
            operand = draw(st.sampled_from(ranked))
            axis = draw(st.integers(0, len(operand.shape) - 1))
            return Sort(name, operand, axis, draw(st.booleans()))
        case "scatter":
            return draw(scatters(ranked, name))
    return draw(loops(ranked, name))


def _axes(shape: Sequence[int], prefix: str = "i") -> tuple[Var, ...]:
    return tuple(Var(f"{prefix}{k}", n) for k, n in enumerate(shape))


@st.composite
def reductions(draw: Draw, readable: Sequence[Tensor], name: str) -> Reduction:
    axes, over = _axes(draw(SHAPES)[:2]), _axes(draw(SHAPES)[:2] or (3,), "r")
    body = draw(expressions(readable, (*axes, *over)).filter(lambda e: e.dtype is not INDEX))
    kind = body.dtype.kind
    fitting = [c.name for c in COMBINERS.values() if c.op is None or kind in c.op.domain]
    return Reduction(name, axes, over, draw(st.sampled_from(fitting)), body)


@st.composite
def scatters(draw: Draw, ranked: Sequence[Tensor], name: str) -> Scatter:
    base = draw(st.sampled_from(ranked))
    axes = _axes(draw(SHAPES))
    sizes = static_shape(base)
    value = draw(expressions(ranked, axes, base.dtype))
    kind = base.dtype.kind
    fitting = [c.name for c in COMBINERS.values() if c.op and kind in c.op.domain]
    combiner = draw(st.none() | st.sampled_from(fitting))
    return Scatter(name, base, axes, draw(indices(sizes, axes)), value, combiner)


@st.composite
def loops(draw: Draw, ranked: Sequence[Tensor], name: str) -> Result:
    """A loop over one tensor, capturing another, and its result."""
    state, captured = draw(st.sampled_from(ranked)), draw(st.sampled_from(ranked))
    step = Input("step", (), I64)
    inside = Input("s", state.shape, state.dtype)
    other = Input("c", captured.shape, captured.dtype)
    axes = _axes(static_shape(state))
    body = Compute("next", axes, draw(expressions((step, inside, other), axes, state.dtype)))
    graph = Graph("body", (step, inside, other), (body,))
    loop = Loop(f"{name}_loop", draw(st.integers(0, 3)), (state,), (captured,), graph)
    return Result(name, loop, 0)


# Kernels.


@st.composite
def kernels(draw: Draw) -> Kernel:
    """A kernel that reads `x`, writes `out`, and keeps partial results in its own buffers.

    Everything is written before it is read, so that the result does not depend on what memory
    held before.
    """
    read = Buffer("x", draw(SHAPES), draw(st.sampled_from(DTYPES)))
    flat = Buffer("flat", (int(np.prod(static_shape(read))),), read.dtype, base=read)
    rows, lanes = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from(DTYPES))
    out = Buffer("out", (rows, lanes), dtype)
    register = Buffer("acc", (lanes,), dtype, "register")
    scratch = Buffer("part", (lanes,), dtype, "scratch")
    row = Var("i", rows)
    kind = draw(st.sampled_from(("serial", "parallel", "group", "fragment")))
    body: list[Stmt] = []
    for local in (register, scratch):
        lane = Var("l", lanes)
        value = draw(expressions((read, flat), (row, lane), dtype))
        body.append(_lanes(draw, lane, [Store(local, (lane,), value)]))
    lane = Var("l", lanes)
    places = (Load(register, (lane,)), Load(scratch, (lane,)))
    value = draw(expressions((read,), (row, lane), dtype))
    value = Apply(ops.SELECT, (Apply(ops.EQ, (value, places[0])), value, places[1]))
    first = Store(out, (row, build.index(0)), build.const(1, dtype))
    body.append(draw(guards(row, _lanes(draw, lane, [Store(out, (row, lane), value)]), first)))
    combining = [c.op for c in COMBINERS.values() if c.op and dtype.kind in c.op.domain]
    total = LaneReduce(draw(st.sampled_from(combining)), register)
    body.append(Store(out, (row, draw(indices((lanes,), (row,)))[0]), total))
    loop = For(row, kind, body)
    return Kernel("random", (read, out), (), (register, scratch), (loop,))


def _lanes(draw: Draw, lane: Var, body: list[Stmt]) -> Stmt:
    kind = draw(st.sampled_from(("unroll", "vector")))
    return For(lane, kind, body, draw(st.sampled_from((None, 4))))


@st.composite
def guards(draw: Draw, row: Var, body: Stmt, otherwise: Stmt) -> Stmt:
    """`body`, or a condition (with or without `otherwise`) or a loop around it."""
    match draw(st.sampled_from(("plain", "if", "while"))):
        case "if":
            condition = draw(expressions((), (row,), BOOL))
            return If(condition, [body], draw(st.sampled_from(([], [otherwise]))))
        case "while":
            return WhileLoop(build.FALSE, [body])
    return body


__all__ = [
    "ALL",
    "arrays",
    "expressions",
    "graphs",
    "indices",
    "kernels",
    "literals",
    "static_shape",
]
