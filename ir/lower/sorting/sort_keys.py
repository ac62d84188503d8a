"""What a sort compares: the records that stand for the elements of a row, and the way back.

In: a `SortRows` step. Out: `Keys`, which makes records of elements (`sort_network.py`) and elements
of records. Keys are signed integers of 32 or 64 bits, so that one instruction decides between two
of them, and NaN comes last.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, DType, signed_of
from tilewright.ir.expr import Apply, Expr, Size
from tilewright.ir.lower.sorting.sort_network import Record
from tilewright.ir.program import SortRows

_POSITION_BITS = 32


class Keys(Struct, frozen=True):
    """Of elements of dtype `source`; `packed` keys hold the position in their low half.

    `reverse` records stand in the opposite order, of positions too.
    """

    source: DType
    positions: bool
    packed: bool
    reverse: bool = False

    @classmethod
    def of(cls, step: SortRows, length: Size, reverse: bool = False) -> Keys:
        source = step.source.dtype
        short = isinstance(length, int) and length < 1 << (_POSITION_BITS - 1)
        packed = step.positions and short and source.bits <= 32
        return cls(source, step.positions, packed, reverse)

    @property
    def order(self) -> DType:
        """The integer that holds the order of elements."""
        return I64 if self.source.bits == 64 else I32

    @property
    def dtypes(self) -> tuple[DType, ...]:
        """Of the parts of a record."""
        if self.packed:
            return (I64,)
        return (self.order, I64) if self.positions else (self.order,)

    @property
    def padding(self) -> Record:
        """A record that no element precedes."""
        return tuple(build.const(d.max, d) for d in self.dtypes)

    def record(self, value: Expr, position: Expr) -> Record:
        """What stands for `value` at `position` (an index)."""
        return self._turned(self._record(value, position))

    def _turned(self, record: Record) -> Record:
        return tuple(Apply(ops.NOT, (part,)) for part in record) if self.reverse else record

    def _record(self, value: Expr, position: Expr) -> Record:
        order = self._order_of(value)
        if not self.positions:
            return (order,)
        if not self.packed:
            return order, build.cast(position, I64)
        high = Apply(ops.SHL_RAW, (build.cast(order, I64), build.const(_POSITION_BITS, I64)))
        return (build.add(high, build.cast(position, I64)),)

    def result(self, record: Record) -> Expr:
        """The element, or its position, of a record."""
        record = self._turned(record)
        if self.packed:
            return Apply(ops.AND, (record[0], build.const((1 << _POSITION_BITS) - 1, I64)))
        return record[1] if self.positions else self._value_of(record[0])

    @property
    def negative_zero(self) -> Expr | None:
        """The key of -0.0, which is before that of 0.0 though they are equal."""
        if self.positions or not self.source.is_float:
            return None
        key = _bits_of(float("inf"), self.source) + signed_of(self.source).min
        return build.const(-1 - key if self.reverse else key, self.order)

    def _order_of(self, value: Expr) -> Expr:
        if not self.source.is_float:
            order = build.cast(value, self.order)
            return _flipped_sign(order) if self._is_wide_unsigned else order
        return build.cast(_rank(value) if self.positions else _ordered(value), self.order)

    def _value_of(self, key: Expr) -> Expr:
        if self.source.is_float:
            return _unordered(build.cast(key, signed_of(self.source)), self.source)
        return build.cast(_flipped_sign(key) if self._is_wide_unsigned else key, self.source)

    @property
    def _is_wide_unsigned(self) -> bool:
        return self.source.kind == "u" and self.source.bits >= 32


def _flipped_sign(x: Expr) -> Expr:
    """Unsigned integers, as bits of signed ones, in the order of signed ones; and back."""
    return Apply(ops.XOR, (x, build.const(x.dtype.min, x.dtype)))


def _rank(x: Expr) -> Expr:
    """A signed integer that orders as float `x` does: equal zeros, NaNs equal and last."""
    most = build.const(signed_of(x.dtype).max, signed_of(x.dtype))
    bits = build.bitcast(Apply(ops.ADD, (x, build.zero(x.dtype))), most.dtype)
    return build.select(Apply(ops.ISNAN, (x,)), most, _flip_negative(bits))


def _ordered(x: Expr) -> Expr:
    """A signed integer for each bit pattern: -inf is the least, NaNs of both signs are last."""
    bits = build.bitcast(x, signed_of(x.dtype))
    return build.sub(_flip_negative(bits), _shift(x.dtype))


def _unordered(key: Expr, dtype: DType) -> Expr:
    """The float that `_ordered` made `key` of."""
    return build.bitcast(_flip_negative(build.add(key, _shift(dtype))), dtype)


def _flip_negative(bits: Expr) -> Expr:
    """The bits of a float in the order of its value, and back: magnitudes of negatives inverted."""
    most = build.const(bits.dtype.max, bits.dtype)
    sign = Apply(ops.SHR_RAW, (bits, build.const(bits.dtype.bits - 1, bits.dtype)))
    return Apply(ops.XOR, (bits, Apply(ops.AND, (sign, most))))


def _shift(dtype: DType) -> Expr:
    """How far the bits of -inf, put in order, are above the least integer."""
    integer = signed_of(dtype)
    return build.const(-1 - _bits_of(float("inf"), dtype) - integer.min, integer)


def _bits_of(value: float, dtype: DType) -> int:
    return int(dtype.numpy.type(value).view(signed_of(dtype).numpy))
