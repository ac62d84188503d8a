"""How the buffers of a program lie in 32-bit words, and what reading and writing them takes.

In: the program's buffers. Out: the buffers that kernels bind instead, of dtypes that WGSL has in
memory, and the `BufferSpec` of each. Inputs and constants of narrow dtypes are packed, several
elements to a word, lowest bits first; so are the arrays that kernels write in whole words
(`choose_packing.py`). The others have a word for each element, so that no two invocations write to
one word. On devices that have float16 kernels bind arrays of it as they are, whose bytes are
those of two to a word.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from tilewright.codegen_wgsl import native_half
from tilewright.codegen_wgsl.pack_stores import WORD_BITS, elements_per_word
from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import Linear, linear, offset, row_major_strides
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.artifact import BufferSpec, Role
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I32, I64, INDEX, U32, U64, DType
from tilewright.ir.errors import LimitError, UnsupportedError
from tilewright.ir.expr import Apply, Expr, Load
from tilewright.ir.kernel import Buffer, Kernel, Store, stored_roots

_MOST_ELEMENTS = (1 << 31) - 1
_FEW_VALUES = 64
_WIDE = {I64: I32, U64: U32, F64: F32}


def computed_as(dtype: DType) -> DType:
    """The dtype in which values of `dtype` are computed."""
    if dtype in (BOOL, INDEX, F32, I32, U32):
        return dtype
    if dtype in _WIDE:
        return _WIDE[dtype]
    return F32 if dtype is F16 else (I32 if dtype.kind == "i" else U32)


def stored_as(dtype: DType) -> DType:
    """The dtype of a word in memory that holds one element."""
    return U32 if dtype is BOOL else computed_as(dtype)


class Storage:
    """The bound form of each root buffer of one program. `written` are those to pack among what
    kernels write; `native_half`: the device has float16."""

    def __init__(self, written: Collection[Buffer] = (), native_half: bool = False) -> None:
        self.native_half = native_half
        self.packed = {root: elements_per_word(root.dtype) for root in written}
        self._bound: dict[Buffer, Buffer] = {}

    def declare(self, root: Buffer, role: Role) -> BufferSpec:
        """How `root` is stored."""
        shape = checked_shape(root)
        if self.stored_as(root.dtype) is F16:
            return _spec(role, root, U32, shape, elements_per_word(F16))
        if role in ("input", "constant"):
            self.packed[root] = elements_per_word(root.dtype)
        packed = self.packed.get(root, 1)
        word = U32 if packed > 1 else stored_as(root.dtype)
        return _spec(role, root, word, shape, packed)

    def stored_as(self, dtype: DType) -> DType:
        """The dtype of one element in memory, where elements are not packed."""
        return F16 if dtype is F16 and self.native_half else stored_as(dtype)

    def bound(self, buffer: Buffer) -> Buffer:
        """The buffer that stands for a global one (or for a view of it) in legal kernels."""
        found = self._bound.get(buffer)
        if found is None:
            found = self._bound[buffer] = self._make(buffer)
        return found

    def _make(self, buffer: Buffer) -> Buffer:
        root = buffer.root
        each = self.packed.get(root, 1)
        if each > 1:
            if buffer is not root:
                return self.bound(root)
            rounded = build.size_add(build.product(root.shape), each - 1)
            words = Buffer(root.name, (build.size_floordiv(rounded, each),), U32)
            self._bound[words] = words
            return words
        base = None if buffer.base is None else self.bound(buffer.base)
        dtype = self.stored_as(buffer.dtype)
        return Buffer(buffer.name, buffer.shape, dtype, buffer.space, buffer.strides, base)

    def load(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Expr:
        """The value of an element, in the dtype that it is computed in."""
        bound = self.bound(buffer)
        per_word = self.packed.get(buffer.root, 1)
        if per_word > 1:
            return self._unpack(buffer, indices, per_word)
        value: Expr = Load(bound, indices)
        if bound.dtype is F16:
            return native_half.widen(value)
        return Apply(ops.NE, (value, build.zero(U32))) if buffer.dtype is BOOL else value

    def words_of(self, kernel: Kernel) -> dict[Buffer, Buffer]:
        """The words of the arrays that `kernel` has to write packed."""
        roots = stored_roots(kernel.body)
        return {root: self.bound(root) for root in roots if self.packed.get(root, 1) > 1}

    def store(self, buffer: Buffer, indices: tuple[Expr, ...], value: Expr) -> Store:
        """Write a value that was computed as `computed_as` says."""
        bound = self.bound(buffer)
        if bound.dtype is F16:
            return Store(bound, indices, native_half.narrow(value))
        return Store(bound, indices, build.cast(value, bound.dtype))

    def _unpack(self, buffer: Buffer, indices: tuple[Expr, ...], per_word: int) -> Expr:
        strides = buffer.strides or row_major_strides(buffer.shape)
        place, inside = divide(linear(offset(indices, strides)), per_word)
        word = Load(self.bound(buffer.root), (place,))
        bits = WORD_BITS // per_word
        shift = build.mul(inside, build.index(bits))
        dtype = buffer.dtype
        if dtype.kind == "i":
            left = build.cast(build.sub(build.index(WORD_BITS - bits), shift), U32)
            top = build.bitcast(Apply(ops.SHL_RAW, (word, left)), I32)
            return Apply(ops.SHR_RAW, (top, build.const(WORD_BITS - bits, I32)))
        low = Apply(ops.SHR_RAW, (word, build.cast(shift, U32)))
        field = Apply(ops.AND, (low, build.const((1 << bits) - 1, U32)))
        if dtype is F16:
            return Apply(ops.CAST, (Apply(ops.BITCAST, (field,), F16),), F32)
        return Apply(ops.NE, (field, build.zero(U32))) if dtype is BOOL else field


def _spec(role: Role, root: Buffer, word: DType, shape: tuple[int, ...], packed: int) -> BufferSpec:
    return BufferSpec(role, root.dtype.name, word.name, shape, prod(shape), packed)


def divide(form: Linear, divisor: int) -> tuple[Expr, Expr]:
    """Quotient and remainder of a non-negative offset. Terms that are multiples of `divisor` are
    divided by themselves, where the rest has few values, as between the lanes of a vector: then the
    emitters know its quotient, or it is zero."""
    even = {a: c // divisor for a, c in form.terms.items() if c % divisor == 0}
    odd = {a: c for a, c in form.terms.items() if c % divisor}
    rest = Linear(odd, form.constant % divisor)
    low, high = interval(rest.expression())
    by = build.index(divisor)
    if low is None or high is None or high - low >= _FEW_VALUES:
        whole = form.expression()
        return Apply(ops.QUO, (whole, by)), Apply(ops.REM, (whole, by))
    moved = min(0, low // divisor)  # quotients are those of numbers from 0 up
    rest = Linear(odd, rest.constant - moved * divisor)
    whole = Linear(even, form.constant // divisor + moved).expression()
    inside = rest.expression()
    if low >= 0 and high < divisor:
        return whole, inside
    quotient = Apply(ops.QUO, (inside, by))
    return build.add(whole, quotient), Apply(ops.REM, (inside, by))


def checked_shape(root: Buffer) -> tuple[int, ...]:
    """The shape of an array whose elements indices of this target can tell apart."""
    shape = static_shape(root)
    if prod(shape) > _MOST_ELEMENTS:
        raise LimitError(
            f"an array of {prod(shape)} elements is more than indices of 32 bits can tell apart",
            help="split the array, or run this kernel on target 'cpu'",
        )
    return shape


def static_shape(buffer: Buffer) -> tuple[int, ...]:
    """The shape of a buffer whose sizes are all known."""
    shape: list[int] = []
    for extent in buffer.shape:
        if not isinstance(extent, int):
            raise UnsupportedError(
                f"the WebGPU target needs static shapes, but {buffer.name} has open dimension "
                f"{extent}",
                help="call the kernel with arrays, or give the dimension a size",
            )
        shape.append(extent)
    return tuple(shape)
