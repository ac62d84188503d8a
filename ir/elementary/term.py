"""The notation in which the elementary functions are written: expressions with operators.

In: IR expressions. Out: IR expressions, made by `ir/build.py`. A `Term` wraps one so that a
formula reads as a formula; Python numbers beside a `Term` become literals of its dtype.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, DType, signed_of, unsigned_of
from tilewright.ir.expr import Expr
from tilewright.ir.ops import Op


class Machine(Struct, frozen=True):
    """What an expansion may rely on.

    `has_fma`: the target has a fused multiply-add, and `mad` becomes it.
    `ieee`: rounding, NaN, infinities, signed zeros and subnormals are as IEEE 754 says. Where it
    is False (shading languages) sums may be reassociated and products contracted, subnormals may
    flush, and comparisons with NaN may give anything, so NaN is recognised by its bits.
    `has_f64`: 64-bit floats and 64-bit integers exist.
    `scale`: the target has the `scale` operation; elsewhere powers of two are made from bits.
    `pick`: it has `pick`, `exponent` and `mantissa`.
    `native`: the ``native_…`` operations that it has, for `ir/elementary/fast.py`.
    """

    has_fma: bool
    ieee: bool
    has_f64: bool
    scale: bool
    pick: bool = False
    native: frozenset[Op] = frozenset()


class Term:
    """A scalar expression with Python's operators; ``&``, ``|``, ``^`` work on integers and bool.

    Shift amounts must be known to lie inside of the width. Equality is the method `equals`, since
    terms compare by identity like the expressions that they wrap.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    @property
    def dtype(self) -> DType:
        return self.expr.dtype

    def __add__(self, other: Operand) -> Term:
        return self._apply(ops.ADD, other)

    def __radd__(self, other: float) -> Term:
        return self.like(other) + self

    def __sub__(self, other: Operand) -> Term:
        return self._apply(ops.SUB, other)

    def __rsub__(self, other: float) -> Term:
        return self.like(other) - self

    def __mul__(self, other: Operand) -> Term:
        return self._apply(ops.MUL, other)

    def __rmul__(self, other: float) -> Term:
        return self * other

    def __truediv__(self, other: Operand) -> Term:
        return self._apply(ops.DIV, other)

    def __rtruediv__(self, other: float) -> Term:
        return self.like(other) / self

    def __neg__(self) -> Term:
        return _unary(ops.NEG, self)

    def __and__(self, other: Operand) -> Term:
        return self._apply(ops.AND, other)

    def __or__(self, other: Operand) -> Term:
        return self._apply(ops.OR, other)

    def __xor__(self, other: Operand) -> Term:
        return self._apply(ops.XOR, other)

    def __lshift__(self, other: Operand) -> Term:
        return self._apply(ops.SHL_RAW, other)

    def __rshift__(self, other: Operand) -> Term:
        return self._apply(ops.SHR_RAW, other)

    def __lt__(self, other: Operand) -> Term:
        return self._apply(ops.LT, other)

    def __le__(self, other: Operand) -> Term:
        return self._apply(ops.LE, other)

    def __gt__(self, other: Operand) -> Term:
        return self._apply(ops.GT, other)

    def __ge__(self, other: Operand) -> Term:
        return self._apply(ops.GE, other)

    def equals(self, other: Operand) -> Term:
        return self._apply(ops.EQ, other)

    def differs(self, other: Operand) -> Term:
        return self._apply(ops.NE, other)

    def like(self, value: float) -> Term:
        """The literal `value` of this term's dtype."""
        return Term(build.const(value, self.dtype))

    def _apply(self, op: Op, other: Operand) -> Term:
        right = other if isinstance(other, Term) else self.like(other)
        return Term(build.apply(op, self.expr, right.expr))


Operand = Term | float


def _unary(op: Op, x: Term) -> Term:
    return Term(build.apply(op, x.expr))


def absolute(x: Term) -> Term:
    return _unary(ops.ABS, x)


def square_root(x: Term) -> Term:
    return _unary(ops.SQRT, x)


def round_to_even(x: Term) -> Term:
    return _unary(ops.RINT, x)


def floor(x: Term) -> Term:
    return _unary(ops.FLOOR, x)


def truncate(x: Term) -> Term:
    return _unary(ops.TRUNC, x)


def copysign(magnitude: Term, sign: Term) -> Term:
    return Term(build.apply(ops.COPYSIGN, magnitude.expr, sign.expr))


def mad(a: Term, b: Operand, c: Operand) -> Term:
    """``a * b + c``, rounded once or twice as the target likes."""
    right = b if isinstance(b, Term) else a.like(b)
    addend = c if isinstance(c, Term) else a.like(c)
    return Term(build.apply(ops.MAD, a.expr, right.expr, addend.expr))


def fma(a: Term, b: Operand, c: Term) -> Term:
    """``a * b + c`` rounded once: only for machines that have it."""
    right = b if isinstance(b, Term) else a.like(b)
    return Term(build.apply(ops.FMA, a.expr, right.expr, c.expr))


def select(condition: Term, yes: Operand, no: Operand) -> Term:
    """``condition ? yes : no``; at least one of them is a term."""
    if not isinstance(yes, Term):
        assert isinstance(no, Term)
        yes = no.like(yes)
    elif not isinstance(no, Term):
        no = yes.like(no)
    return Term(build.select(condition.expr, yes.expr, no.expr))


def likely(condition: Term, common: Term, rare: Term) -> Term:
    """As `select`; a target with branches may skip `rare` where no lane of a vector needs it."""
    return Term(build.apply(ops.LIKELY, condition.expr, common.expr, rare.expr))


def at_most(x: Term, limit: float) -> Term:
    """The smaller of `x` and `limit`; NaN stays NaN."""
    return select(x > limit, limit, x)


def at_least(x: Term, limit: float) -> Term:
    """The larger of `x` and `limit`; NaN stays NaN."""
    return select(x < limit, limit, x)


def maximum(x: Term, limit: int) -> Term:
    """The larger of the integer x and `limit`."""
    return select(x < limit, limit, x)


def horner(x: Term, coefficients: tuple[float, ...]) -> Term:
    """The polynomial in `x` with these coefficients, the constant one first."""
    result: Term | None = None
    for coefficient in reversed(coefficients):
        result = x.like(coefficient) if result is None else mad(result, x, coefficient)
    assert result is not None
    return result


PICKED = 16  # entries of the table of a `pick`


def pick(number: Term, table: tuple[float, ...], dtype: DType) -> Term:
    """The entry of the table that the low four bits of `number` name."""
    entries = (build.const(value, dtype) for value in table)
    return Term(build.apply(ops.PICK, number.expr, *entries))


def exponent_of(x: Term) -> Term:
    """``floor(log2(abs(x)))`` as a float; -infinity for 0, infinity and NaN for themselves."""
    return _unary(ops.EXPONENT, x)


def mantissa_of(x: Term) -> Term:
    """x over a power of two, in [3/4, 3/2); 1 for 0 and infinity, NaN for x < 0 and NaN."""
    return _unary(ops.MANTISSA, x)


def scale(x: Term, n: Term) -> Term:
    """``x * 2**floor(n)``: only for machines that have it."""
    return Term(build.apply(ops.SCALE, x.expr, n.expr))


def bits(x: Term) -> Term:
    """The bits of a float as a signed integer."""
    return Term(build.bitcast(x.expr, signed_of(x.dtype)))


def unsigned_bits(x: Term) -> Term:
    """The bits of a float as an unsigned integer."""
    return Term(build.bitcast(x.expr, unsigned_of(x.dtype)))


def bitcast(x: Term, dtype: DType) -> Term:
    return Term(build.bitcast(x.expr, dtype))


def cast(x: Term, dtype: DType) -> Term:
    return Term(build.cast(x.expr, dtype))


def as_float(x: Term, dtype: DType) -> Term:
    """A small signed whole number as a float: for exponents, which every float dtype holds."""
    return cast(cast(x, I32), dtype)
