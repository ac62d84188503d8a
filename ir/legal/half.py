"""float16 where the target cannot convert it: bit patterns in memory, float32 in registers.

In: a kernel whose only float16 operations are loads, stores, literals, `select`, `bitcast` and
conversions from and to float32 (the rules of `ir/legal/floats.py` leave no others). Out: the same
kernel without any float16 value. LLVM would call a C library for each of them, even to load one.

Conversions are exact or round to nearest even, for subnormals, infinities and NaNs too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, I32, U16, U32
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, post_order, rebuild
from tilewright.ir.kernel import Buffer, Exchange, For, If, Kernel, Stmt, Store, WhileLoop


def round_double_to_half_once(node: Expr) -> Expr | None:
    """float64 -> float16 goes through a float32 that is rounded to odd, not to nearest.

    Rounded to nearest twice, a value just above a tie would first become the tie. A float32 that
    ends in 1 whenever bits were lost is never a tie, and it has bits enough to spare.
    """
    if not isinstance(node, Apply) or node.op is not ops.CAST or node.dtype is not F16:
        return None
    (x,) = node.operands
    if x.dtype is not F64:
        return None
    near = build.cast(x, F32)
    back = build.cast(near, F64)
    bits = build.bitcast(near, I32)
    inexact = Apply(ops.OR, (Apply(ops.LT, (back, x)), Apply(ops.GT, (back, x))))
    too_large = Apply(ops.GT, (Apply(ops.ABS, (back,)), Apply(ops.ABS, (x,))))
    towards_zero = build.sub(bits, build.cast(too_large, I32))
    odd = Apply(ops.OR, (towards_zero, build.cast(inexact, I32)))
    return build.cast(build.bitcast(odd, F32), F16)


def widened(half: Expr) -> Expr:
    """The float32 with the value of float16 bits (a uint16)."""
    bits = build.cast(half, U32)
    magnitude = _bits(ops.AND, bits, 0x7FFF)
    shifted = _bits(ops.SHL_RAW, magnitude, 13)
    # The exponent is 112 too small; a product corrects it and normalises subnormals as well.
    finite = Apply(ops.MUL, (build.bitcast(shifted, F32), build.const(2.0**112, F32)))
    special = _bits(ops.OR, shifted, 0x7F800000)
    is_special = build.ge(magnitude, build.const(0x7C00, U32))
    value = build.select(is_special, special, build.bitcast(finite, U32))
    sign = _bits(ops.SHL_RAW, _bits(ops.AND, bits, 0x8000), 16)
    return build.bitcast(Apply(ops.OR, (value, sign)), F32)


def narrowed(single: Expr) -> Expr:
    """The float16 bits (a uint16) nearest to a float32; ties go to even, NaNs become quiet."""
    bits = build.bitcast(single, U32)
    magnitude = _bits(ops.AND, bits, 0x7FFFFFFF)
    even = _bits(ops.AND, _bits(ops.SHR_RAW, magnitude, 13), 1)
    rounded = build.add(build.add(magnitude, build.const(0xFFF, U32)), even)
    normal = _bits(ops.SHR_RAW, _bits(ops.SUB, rounded, 112 << 23), 13)
    # Adding 0.5 rounds to multiples of 2**-24, the distance of subnormals, and leaves their number
    # in the last bits.
    lifted = Apply(ops.ADD, (build.bitcast(magnitude, F32), build.const(0.5, F32)))
    subnormal = _bits(ops.SUB, build.bitcast(lifted, U32), 126 << 23)
    nan = _bits(ops.OR, _bits(ops.AND, _bits(ops.SHR_RAW, magnitude, 13), 0x3FF), 0x7E00)
    is_small = build.lt(magnitude, build.const(113 << 23, U32))
    result = build.select(is_small, subnormal, normal)
    is_large = build.ge(rounded, build.const(143 << 23, U32))
    result = build.select(is_large, build.const(0x7C00, U32), result)
    is_nan = Apply(ops.GT, (magnitude, build.const(0x7F800000, U32)))
    result = build.select(is_nan, nan, result)
    sign = _bits(ops.AND, _bits(ops.SHR_RAW, bits, 16), 0x8000)
    return build.cast(Apply(ops.OR, (result, sign)), U16)


def _bits(op: ops.Op, value: Expr, literal: int) -> Expr:
    return Apply(op, (value, build.const(literal, value.dtype)))


def store_half_as_bits(kernel: Kernel) -> Kernel:
    """`kernel` without float16 values."""
    return _Rewriter(kernel).kernel()


class _Rewriter:
    """Each float16 expression has two forms, of which its users take one: bits and float32."""

    def __init__(self, old: Kernel) -> None:
        self.old = old
        self.buffers: dict[Buffer, Buffer] = {}
        self.done: dict[Expr, Expr] = {}
        self.bits: dict[Expr, Expr] = {}
        self.single: dict[Expr, Expr] = {}

    def kernel(self) -> Kernel:
        body = self.block(self.old.body)
        local = tuple(
            self.buffers.get(b, b) if b.space == "register" else b for b in self.old.locals
        )
        return Kernel(self.old.name, self.old.parameters, self.old.symbols, local, body)

    def block(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        return tuple(self.statement(stmt) for stmt in body)

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case For():
                return stmt.with_body(self.block(stmt.body))
            case If():
                yes, no = self.block(stmt.body), self.block(stmt.otherwise)
                return If(self.value(stmt.condition), yes, no)
            case WhileLoop():
                return WhileLoop(self.value(stmt.condition), self.block(stmt.body))
            case Store():
                return self.store(stmt)
            case Exchange():
                value = self.value(stmt.value)
                if stmt.buffer.dtype is F16:
                    value = self.single[stmt.value]
                return Exchange(self.buffer(stmt.buffer), value, self.value(stmt.round))
            case _:
                return stmt

    def store(self, stmt: Store) -> Store:
        indices = [self.value(i) for i in stmt.indices]
        value = self.value(stmt.value)
        if stmt.buffer.dtype is F16:
            form = self.single if stmt.buffer.space == "register" else self.bits
            value = form[stmt.value]
        return Store(self.buffer(stmt.buffer), indices, value)

    def buffer(self, old: Buffer) -> Buffer:
        """Memory is read as bits through a view; registers hold float32."""
        if old.dtype is not F16:
            return old
        found = self.buffers.get(old)
        if found is None:
            if old.space == "register":
                found = Buffer(old.name, old.shape, F32, "register")
            else:
                found = Buffer(old.name, old.shape, U16, old.space, old.strides, old)
            self.buffers[old] = found
        return found

    def value(self, root: Expr) -> Expr:
        """The new form of an expression (of a float16 one: its bits)."""
        for node in post_order((root,)):
            if node in self.done:
                continue
            if node.dtype is F16:
                self.bits[node], self.single[node] = self.forms(node)
                self.done[node] = self.bits[node]
            else:
                self.done[node] = self.other(node)
        return self.done[root]

    def forms(self, node: Expr) -> tuple[Expr, Expr]:
        """Bits and float32 of a float16 expression whose operands are done."""
        match node:
            case Const():
                bits = int(F16.numpy.type(node.value).view("uint16"))
                return build.const(bits, U16), build.const(node.value, F32)
            case Load() | LaneReduce():
                return self.loaded(node)
            case Apply(op=ops.CAST) if node.operands[0].dtype is F32:
                bits_now = narrowed(self.done[node.operands[0]])
                return bits_now, widened(bits_now)
            case Apply(op=ops.BITCAST):
                bits_now = build.bitcast(self.done[node.operands[0]], U16)
                return bits_now, widened(bits_now)
            case Apply(op=ops.SELECT | ops.LIKELY):
                condition, yes, no = node.operands
                chosen = self.done[condition]
                return (
                    build.select(chosen, self.bits[yes], self.bits[no]),
                    build.select(chosen, self.single[yes], self.single[no]),
                )
            case _:
                raise IRError(f"{node!r} on float16 was not legalised")

    def loaded(self, node: Load | LaneReduce) -> tuple[Expr, Expr]:
        source = node.source
        assert isinstance(source, Buffer)
        indices = tuple(self.done[i] for i in node.indices)
        if isinstance(node, LaneReduce):
            value: Expr = LaneReduce(node.op, self.buffer(source), indices)
        else:
            value = Load(self.buffer(source), indices)
        return (narrowed(value), value) if source.space == "register" else (value, widened(value))

    def other(self, node: Expr) -> Expr:
        if isinstance(node, Apply) and node.operands and node.operands[0].dtype is F16:
            operand = node.operands[0]
            if node.op is ops.CAST and node.dtype is F32:
                return self.single[operand]
            if node.op is ops.BITCAST:
                return build.bitcast(self.bits[operand], node.dtype)
            raise IRError(f"{node.op.name} on float16 was not legalised")
        operands = tuple(self.done[o] for o in node.operands)
        return rebuild(node, operands) if operands else node
