"""Every dtype in terms of those that GLSL ES 3.00 computes with: bool, int, uint and float.

In: a kernel over any dtypes. Out: one over bool, int32, uint32, float32 and index, in which narrow
integers wrap and float16 is rounded after each operation. 64-bit integers are carried in 32 bits
(inputs are checked when they are uploaded), float64 in float32 where that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build, ops
from tilewright.ir.dtypes import (
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    INDEX,
    U8,
    U16,
    U32,
    U64,
    DType,
)
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store
from tilewright.ir.program import Nest

MACHINE = {
    **dict.fromkeys((I8, I16, I32, I64), I32),
    **dict.fromkeys((U8, U16, U32, U64), U32),
    **dict.fromkeys((F16, F32, F64), F32),
    BOOL: BOOL,
    INDEX: INDEX,
}
_MAY_LEAVE_NARROW = frozenset(
    {ops.ADD, ops.SUB, ops.MUL, ops.NEG, ops.ABS, ops.NOT, ops.SHL, ops.FLOORDIV}
)
_INEXACT = frozenset(
    {
        ops.ADD,
        ops.SUB,
        ops.MUL,
        ops.DIV,
        ops.FLOORDIV,
        ops.MOD,
        ops.FMOD,
        ops.MAD,
        ops.FMA,
        ops.SQRT,
        ops.SCALE,
    }
)
_NARROW_BITS = 32


def stored_dtype(dtype: DType) -> DType:
    """The dtype of an element in a texture."""
    return I32 if dtype is BOOL else MACHINE[dtype]


def refuse_float64(nest: Nest) -> None:
    """Raise `UnsupportedError` at the line that computes with float64."""
    for stage in nest.stages:
        if any(node.dtype is F64 for node in post_order((stage.value, *stage.indices))):
            raise UnsupportedError(
                f"{stage.label or nest.name} computes with float64, which target 'glsl' does not "
                "have",
                loc=stage.loc,
                help='use float32 throughout, or pass f64="f32" to compute in float32',
            )


def use_machine_types(kernel: Kernel) -> Kernel:
    """The kernel over GLSL's types; `UnsupportedError` for what they cannot express."""
    types = _MachineTypes(kernel.name)
    return Kernel(
        kernel.name,
        kernel.parameters,
        kernel.symbols,
        tuple(types.buffer(b) for b in kernel.locals),
        types.statements(kernel.body),
    )


class _MachineTypes:
    """The rewriting of one kernel, with what has been rewritten."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._buffers: dict[Buffer, Buffer] = {}
        self._done: dict[Expr, Expr] = {}

    def statements(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        return tuple(self._statement(stmt) for stmt in body)

    def _statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case For():
                return stmt.with_body(self.statements(stmt.body))
            case Store():
                target = self.buffer(stmt.buffer)
                value = self.expression(stmt.value)
                if target.dtype is not value.dtype:
                    value = build.cast(value, target.dtype)
                indices = tuple(self.expression(i) for i in stmt.indices)
                return Store(target, indices, value)
            case _:
                raise UnsupportedError(f"{self.name} has control flow that GLSL code has not")

    def buffer(self, buffer: Buffer) -> Buffer:
        """`buffer` as it is stored: registers by value, textures by what a texel holds."""
        found = self._buffers.get(buffer)
        if found is None:
            register = buffer.space == "register"
            dtype = MACHINE[buffer.dtype] if register else stored_dtype(buffer.dtype)
            found = buffer
            if dtype is not buffer.dtype:
                base = None if register else buffer
                found = Buffer(buffer.name, buffer.shape, dtype, buffer.space, base=base)
            self._buffers[buffer] = found
        return found

    def expression(self, root: Expr) -> Expr:
        for node in post_order((root,)):
            if node not in self._done:
                operands = tuple(self._done[o] for o in node.operands)
                self._done[node] = self._node(node, operands)
        return self._done[root]

    def _node(self, node: Expr, operands: tuple[Expr, ...]) -> Expr:
        match node:
            case Const():
                return self._constant(node)
            case Var():
                return node
            case Load() if isinstance(node.source, Buffer):
                loaded = Load(self.buffer(node.source), operands)
                return is_nonzero(loaded) if node.dtype is BOOL != loaded.dtype else loaded
            case LaneReduce() if isinstance(node.source, Buffer):
                made = LaneReduce(node.op, self.buffer(node.source), operands)
                return wrap(made, node.dtype) if node.op in _MAY_LEAVE_NARROW else made
            case Apply():
                return self._apply(node, operands)
            case _:
                raise UnsupportedError(f"{self.name} reads something that is not a buffer")

    def _constant(self, node: Const) -> Expr:
        dtype = MACHINE[node.dtype]
        if not dtype.is_integer:
            return build.const(node.value, dtype)
        # The ends of the 64-bit range stand for "larger than all": so do those of the 32-bit one.
        ends = {node.dtype.min: dtype.min, node.dtype.max: dtype.max}
        value = ends.get(int(node.value), int(node.value)) if node.dtype.bits == 64 else node.value
        if not dtype.min <= value <= dtype.max:
            raise UnsupportedError(
                f"the constant {node.value} needs 64-bit integers, which target 'glsl' does not "
                "have (it is written in the kernel, or a power or product of such, as in 2 ** i)",
                help='compute with int32, as in i.astype(np.int32), or use target="cpu"',
            )
        return build.const(value, dtype)

    def _apply(self, node: Apply, operands: tuple[Expr, ...]) -> Expr:
        if node.op is ops.CAST:
            return convert(operands[0], node.operands[0].dtype, node.dtype)
        if node.op is ops.BITCAST:
            return self._bitcast(node, operands[0])
        if node.op is ops.NEXTAFTER and node.dtype is not F32:
            raise UnsupportedError(f"{self.name} uses nextafter of {node.dtype}, which GLSL lacks")
        result = build.apply(node.op, *operands)
        if node.dtype is F16 and (node.op in _INEXACT or node.op.elementary):
            return round_to_half(result)
        if node.op in _MAY_LEAVE_NARROW:
            return wrap(result, node.dtype)
        return result

    def _bitcast(self, node: Apply, operand: Expr) -> Expr:
        source = node.operands[0].dtype
        if source.bits != _NARROW_BITS or node.dtype.bits != _NARROW_BITS:
            raise UnsupportedError(
                f"{self.name} reads the bits of {source} as {node.dtype}, and GLSL code can do "
                "that with 32 bits only"
            )
        return build.bitcast(operand, node.dtype)


def is_nonzero(value: Expr) -> Expr:
    """Truth of a number; of floats by their bits, since NaN is true."""
    if value.dtype.is_float:
        magnitude = Apply(ops.AND, (build.bitcast(value, U32), build.const(0x7FFFFFFF, U32)))
        return is_nonzero(magnitude)
    return Apply(ops.NE, (value, build.zero(value.dtype)))


def wrap(value: Expr, dtype: DType) -> Expr:
    """An int or uint reduced to the bits of a narrower dtype."""
    if dtype.kind not in "iu" or dtype.bits >= _NARROW_BITS:
        return value
    if dtype.kind == "u":
        return Apply(ops.AND, (value, build.const(dtype.max, value.dtype)))
    shift = build.const(_NARROW_BITS - dtype.bits, value.dtype)
    return Apply(ops.SHR_RAW, (Apply(ops.SHL_RAW, (value, shift)), shift))


def convert(value: Expr, source: DType, target: DType) -> Expr:
    """A cast between any two dtypes of a value that has its machine type already."""
    machine = MACHINE[target]
    if target is BOOL:
        return value if source is BOOL else is_nonzero(value)
    if target.is_float:
        wide = source in (U32, U64) and not isinstance(value, Const)
        result = _from_halves(value) if wide else build.cast(value, F32)
        exact = source in (BOOL, I8, U8, F16)
        return round_to_half(result) if target is F16 and not exact else result
    if value.dtype.is_float:
        return _saturate(value, target, machine)
    result = value if value.dtype is machine else build.cast(value, machine)
    fits = source is BOOL or (
        source.kind in "iu" and target.min <= source.min and source.max <= target.max
    )
    return result if fits else wrap(result, target)


def _from_halves(value: Expr) -> Expr:
    """A uint as a float, rounded once: from 2**31 on SwiftShader's own conversion rounds twice."""
    high = build.cast(Apply(ops.SHR_RAW, (value, build.const(16, U32))), F32)
    low = build.cast(Apply(ops.AND, (value, build.const(0xFFFF, U32))), F32)
    return Apply(ops.ADD, (Apply(ops.MUL, (high, build.const(65536.0, F32))), low))


def _saturate(value: Expr, target: DType, machine: DType) -> Expr:
    """Float to integer: truncated, the nearest end of the range beyond it, NaN to 0."""
    limits = target if target.bits <= _NARROW_BITS else machine
    low, high = float(limits.min), float(limits.max)
    if limits.bits == _NARROW_BITS:
        high += 1.0  # the largest integer is not a float; the next power of two is
    inside = build.cast(value, machine)
    above = Apply(ops.GE, (value, build.const(high, F32)))
    below = Apply(ops.LE, (value, build.const(low, F32)))
    result = build.select(above, build.const(limits.max, machine), inside)
    result = build.select(below, build.const(limits.min, machine), result)
    return build.select(Apply(ops.ISNAN, (value,)), build.zero(machine), result)


def round_to_half(value: Expr) -> Expr:
    """A float32 rounded to the nearest float16, ties to even, by arithmetic on its bits."""
    bits = build.bitcast(value, U32)

    def masked(x: Expr, mask: int) -> Expr:
        return Apply(ops.AND, (x, build.const(mask, U32)))

    def plus(a: Expr, b: Expr) -> Expr:
        return Apply(ops.ADD, (a, b))

    magnitude = masked(bits, 0x7FFFFFFF)
    odd = masked(Apply(ops.SHR_RAW, (bits, build.const(13, U32))), 1)
    rounded = masked(plus(bits, plus(odd, build.const(0xFFF, U32))), 0xFFFFE000)
    overflow = Apply(ops.GE, (masked(rounded, 0x7FFFFFFF), build.const(0x47800000, U32)))
    infinite = Apply(ops.OR, (masked(bits, 0x80000000), build.const(0x7F800000, U32)))
    normal = build.bitcast(build.select(overflow, infinite, rounded), F32)
    steps = Apply(ops.RINT, (Apply(ops.MUL, (value, build.const(2.0**24, F32))),))
    subnormal = Apply(ops.MUL, (steps, build.const(2.0**-24, F32)))
    small = Apply(ops.LT, (magnitude, build.const(0x38800000, U32)))
    special = Apply(ops.GE, (magnitude, build.const(0x7F800000, U32)))
    return build.select(special, value, build.select(small, subnormal, normal))
