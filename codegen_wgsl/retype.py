"""Kernels over NumPy's dtypes -> kernels over the dtypes that WGSL computes with.

In: expressions of any dtype. Out: expressions of bool, int32, uint32, float32 and index. Narrow
integers are computed in 32 bits and wrapped after each operation that may leave their range;
float16 is computed in float32 and rounded after each operation, or on devices that have it as
`native_half.py` says. 64-bit integers are carried in 32
bits: inputs are checked when they are uploaded, results wrap. float64 becomes float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tilewright.codegen_wgsl import native_half
from tilewright.codegen_wgsl.storage import Storage, computed_as
from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import BOOL, F16, F32, I32, I64, U32, U64, DType
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, Exchange, For, If, Kernel, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel

# Operations whose result can leave the range of a narrow integer.
_GROWS = frozenset({ops.ADD, ops.SUB, ops.MUL, ops.NEG, ops.ABS, ops.NOT, ops.SHL, ops.FLOORDIV})
# Operations that yield a float16 exactly where they are given one.
_EXACT = frozenset(
    {
        *(ops.MIN, ops.MAX, ops.FMIN, ops.FMAX, ops.NEG, ops.ABS, ops.SIGN, ops.SELECT),
        *(ops.FLOOR, ops.CEIL, ops.TRUNC, ops.RINT, ops.COPYSIGN),
    }
)

_INFINITE: Final = 0x7F800000
# 65520, half way to what would come after the largest float16.
_TOO_LARGE_FOR_HALF: Final = 0x477FF000
# Up to these float16 has every integer, or a finite number for it.
_EXACT_IN_HALF: Final = 1 << 11
_ROUNDED_IN_HALF: Final = 65519


def retype(kernel: Kernel, storage: Storage) -> Kernel:
    """`kernel` over the buffers of `storage` and the dtypes of WGSL."""
    work = Retyper(storage)
    body = work.block(kernel.body)
    return finish_kernel(kernel.name, body, (*work.locals.values(), *work.words.values()))


class Retyper:
    """State of one kernel's rewriting."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.locals: dict[Buffer, Buffer] = {}
        self.words: dict[Buffer, Buffer] = {}
        self.memo: dict[Expr, Expr] = {}

    # Statements.

    def block(self, body: Sequence[Stmt]) -> list[Stmt]:
        return [made for s in body for made in self.statements(s)]

    def statements(self, stmt: Stmt) -> list[Stmt]:
        if isinstance(stmt, Exchange):
            return self._exchange(stmt)
        return [self.statement(stmt)]

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store():
                return self._store(stmt)
            case For():
                var = self._loop_variable(stmt.var)
                body = self.block(stmt.body)
                return For(var, stmt.kind, body, stmt.width, subgroups=stmt.subgroups)
            case If():
                yes, no = self.block(stmt.body), self.block(stmt.otherwise)
                return If(self.expr(stmt.condition), yes, no)
            case _:
                return stmt

    def _store(self, stmt: Store) -> Stmt:
        indices = tuple(self.expr(i) for i in stmt.indices)
        value = self.expr(stmt.value)
        if stmt.buffer.space == "global":
            return self.storage.store(stmt.buffer, indices, value)
        local = self.local(stmt.buffer)
        return Store(local, indices, native_half.narrow(value) if local.dtype is F16 else value)

    def _exchange(self, stmt: Exchange) -> list[Stmt]:
        """Bools, which no built-in exchanges, as words."""
        target, value, number = self.local(stmt.buffer), *map(self.expr, (stmt.value, stmt.round))
        if value.dtype is not BOOL:
            return [Exchange(target, value, number)]
        word = self.words.setdefault(target, Buffer(target.name, (), U32, "register"))
        stored = build.cast(Load(word, ()), BOOL)
        return [Exchange(word, build.cast(value, U32), number), Store(target, (), stored)]

    def _loop_variable(self, var: Var) -> Var:
        """A variable whose extent is an expression gets that expression rewritten."""
        if isinstance(var.extent, Expr):
            extent = self.expr(var.extent)
            size = build.known(extent)
            self.memo[var] = Var(var.name, extent if size is None else size)
        found = self.memo.setdefault(var, var)
        assert isinstance(found, Var)
        return found

    def local(self, buffer: Buffer) -> Buffer:
        """The form of a register, scratch or workgroup buffer."""
        found = self.locals.get(buffer)
        if found is None:
            shared = buffer.space == "workgroup" and buffer.dtype is F16
            dtype = self.storage.stored_as(F16) if shared else computed_as(buffer.dtype)
            found = Buffer(buffer.name, buffer.shape, dtype, buffer.space, buffer.strides)
            self.locals[buffer] = found
        return found

    # Expressions.

    def expr(self, root: Expr) -> Expr:
        """`root` over WGSL's dtypes."""
        for node in post_order((root,)):
            if node not in self.memo:
                self.memo[node] = self._node(node)
        return self.memo[root]

    def _node(self, node: Expr) -> Expr:
        operands = tuple(self.memo[o] for o in node.operands)
        match node:
            case Const():
                return _constant(node)
            case Load():
                return self._load(node, operands)
            case Apply():
                return self._apply(node, operands)
            case Var() if node.dtype is computed_as(node.dtype):
                return node
            case _:
                raise IRError(f"{node!r} of dtype {node.dtype} has no form in WGSL")

    def _load(self, node: Load, indices: tuple[Expr, ...]) -> Expr:
        buffer = node.source
        if not isinstance(buffer, Buffer):
            raise IRError(f"{buffer.name} is read in a kernel but is not a buffer")
        if buffer.space == "global":
            return self.storage.load(buffer, indices)
        value = Load(self.local(buffer), indices)
        return native_half.widen(value) if value.dtype is F16 else value

    def _apply(self, node: Apply, operands: tuple[Expr, ...]) -> Expr:
        if not self.storage.native_half:
            return _apply(node, operands)
        if node.op is ops.BITCAST and node.operands[0].dtype is F16 and node.dtype.is_integer:
            return wrap(
                build.cast(native_half.bits(operands[0]), computed_as(node.dtype)), node.dtype
            )
        if node.dtype is not F16 or node.op is ops.BITCAST or node.op is ops.NEXTAFTER:
            return _apply(node, operands)
        if node.op is ops.CAST:
            return native_half.rounded(build.cast(operands[0], F32))
        found = native_half.apply(node, operands)
        if found is not None:
            return found
        value = build.apply(node.op, *operands)
        return value if node.op in _EXACT else native_half.rounded(value)


def _constant(node: Const) -> Expr:
    dtype = computed_as(node.dtype)
    if node.dtype in (I64, U64) and not dtype.min <= int(node.value) <= dtype.max:
        # The extremes are what min and max start from: the 32-bit extremes serve as well.
        if node.value in (node.dtype.min, node.dtype.max):
            return Const(dtype.min if node.value == node.dtype.min else dtype.max, dtype)
        raise UnsupportedError(
            f"the constant {node.value} needs 64-bit integers, which target 'wgsl' does not have "
            "(it is written in the kernel, or a power or product of such, as in 2 ** i)",
            help='compute with int32, as in i.astype(np.int32), or use target="cpu"',
        )
    return node if dtype is node.dtype else build.const(node.value, dtype)


def _apply(node: Apply, operands: tuple[Expr, ...]) -> Expr:
    if node.op is ops.CAST:
        return _cast(node.operands[0].dtype, node.dtype, operands[0])
    if node.op is ops.BITCAST:
        return _bitcast(node.operands[0].dtype, node.dtype, operands[0])
    if node.op is ops.NEXTAFTER and node.dtype is F16:
        raise UnsupportedError(
            "nextafter of float16 has no form on the WebGPU target", help='use target="cpu"'
        )
    value = build.apply(node.op, *operands)
    if node.dtype is F16 and node.op not in _EXACT:
        return _rounded_to_half(value)
    return wrap(value, node.dtype) if node.op in _GROWS else value


def wrap(value: Expr, dtype: DType) -> Expr:
    """`value` (of `computed_as`) brought back into the range of a narrow integer dtype."""
    if dtype.bits >= 32 or dtype.kind not in "iu":
        return value
    if dtype.kind == "u":
        return Apply(ops.AND, (value, build.const(dtype.max, U32)))
    left = build.const(32 - dtype.bits, I32)
    return Apply(ops.SHR_RAW, (Apply(ops.SHL_RAW, (value, left)), left))


def _cast(source: DType, target: DType, value: Expr) -> Expr:
    machine = computed_as(target)
    if target is F16:
        if source is F16:
            return value
        single = build.cast(value, F32)
        is_exact = source.kind in "iub" and source.bits <= _EXACT_IN_HALF.bit_length()
        return single if is_exact else _rounded_to_half(single)
    if source.is_float and target.kind in "iu" and target.bits < 32:
        # Saturation to a narrow range: through int32, whose own saturation changes nothing here.
        low, high = build.const(target.min, I32), build.const(target.max, I32)
        whole = build.minimum(build.maximum(build.cast(value, I32), low), high)
        return build.cast(whole, machine)
    result = build.cast(value, machine)
    fits = source.kind in "iub" and target.min <= source.min and source.max <= target.max
    return result if fits else wrap(result, target)


def _bitcast(source: DType, target: DType, value: Expr) -> Expr:
    if source.bits == 64:
        raise UnsupportedError(
            f"the bits of a {source} cannot be had on the WebGPU target, which has 32-bit words",
            help='use target="cpu"',
        )
    if source.is_float and target.is_float:
        return value
    if source is F16:
        return wrap(build.cast(_half_bits(value), computed_as(target)), target)
    if target is F16:
        bits = Apply(ops.AND, (build.cast(value, U32), build.const(0xFFFF, U32)))
        return Apply(ops.CAST, (Apply(ops.BITCAST, (bits,), F16),), F32)
    if BOOL in (source, target):
        return build.cast(value, computed_as(target))
    return wrap(build.bitcast(value, computed_as(target)), target)


def _rounded_to_half(value: Expr) -> Expr:
    """A float32 rounded to the nearest float16. WGSL leaves open what becomes of those beyond its
    range, infinities and NaN among them: SwiftShader makes NaN of all."""
    if _is_integer_within(value, _EXACT_IN_HALF):
        return value
    rounded = Apply(ops.CAST, (Apply(ops.CAST, (value,), F16),), F32)
    if _is_integer_within(value, _ROUNDED_IN_HALF):
        return rounded
    bits, magnitude, fits = _half_range(value)
    sign = Apply(ops.AND, (bits, build.const(1 << 31, U32)))
    infinite = build.bitcast(Apply(ops.OR, (sign, build.const(_INFINITE, U32))), F32)
    return build.select(fits, rounded, build.select(_is_nan(magnitude), value, infinite))


def _half_bits(value: Expr) -> Expr:
    """The bits of a float32 that holds a float16, in the low half of a word."""
    finite = Apply(ops.BITCAST, (Apply(ops.CAST, (value,), F16),), U32)
    if _is_integer_within(_unrounded(value), _ROUNDED_IN_HALF):
        return finite
    bits, magnitude, fits = _half_range(value)
    # What is left are infinities and NaN, whose digits keep their places; but one must be left.
    sign = Apply(ops.AND, (_right(bits, 16), build.const(1 << 15, U32)))
    digits = Apply(ops.AND, (_right(magnitude, 13), build.const(0x3FF, U32)))
    least = build.cast(_is_nan(magnitude), U32)
    infinite = Apply(ops.OR, (sign, build.const(0x7C00, U32)))
    special = Apply(ops.OR, (infinite, Apply(ops.MAX, (digits, least))))
    return build.select(fits, finite, special)


def _unrounded(value: Expr) -> Expr:
    """What was rounded to float16, if `value` is that."""
    if isinstance(value, Apply) and value.op is ops.CAST and value.operands[0].dtype is F16:
        (half,) = value.operands
        return half.operands[0] if isinstance(half, Apply) and half.op is ops.CAST else value
    return value


def _is_integer_within(value: Expr, limit: int) -> bool:
    """Whether `value` is a converted integer that is known not to be larger."""
    if not isinstance(value, Apply) or value.op is not ops.CAST:
        return False
    (integer,) = value.operands
    if integer.dtype is BOOL:
        return True
    if integer.dtype.is_float:
        return False
    low, high = interval(integer)
    return low is not None and high is not None and -limit <= low and high <= limit


def _is_nan(magnitude: Expr) -> Expr:
    return Apply(ops.GT, (magnitude, build.const(_INFINITE, U32)))


def _half_range(value: Expr) -> tuple[Expr, Expr, Expr]:
    """The bits of a float32, those of its magnitude, and whether a finite float16 is near to it."""
    bits = build.bitcast(value, U32)
    magnitude = Apply(ops.AND, (bits, build.const((1 << 31) - 1, U32)))
    return bits, magnitude, build.lt(magnitude, build.const(_TOO_LARGE_FOR_HALF, U32))


def _right(bits: Expr, places: int) -> Expr:
    return Apply(ops.SHR_RAW, (bits, build.const(places, U32)))
