"""Index expressions as sums of ``coefficient * atom`` plus a literal.

An atom is a variable, or any index expression that is not itself a sum or a multiple (a division,
a loaded value, a product of two variables).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tilewright.ir import build, ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Const, Expr, Size, Var

_INDEX_BITS = 31


class Linear:
    """``sum(coefficient * atom for atom, coefficient in terms) + constant``."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Expr, int], constant: int) -> None:
        self.terms = terms
        self.constant = constant

    def coefficient(self, var: Var) -> int:
        """The factor of `var` as an atom of its own (0 where it is none)."""
        return self.terms.get(var, 0)

    def without(self, var: Var) -> Linear:
        """The same sum less the term of `var`."""
        return Linear({a: c for a, c in self.terms.items() if a is not var}, self.constant)

    def expression(self) -> Expr:
        """Back to an expression, atoms in order of first use."""
        total: Expr = build.index(0)
        for atom, factor in self.terms.items():
            total = build.add(total, build.mul(atom, build.index(factor)))
        return build.add(total, build.index(self.constant))


def linear(node: Expr) -> Linear:
    """The linear form of an index expression."""
    terms: dict[Expr, int] = {}
    constant = _collect(node, 1, terms)
    return Linear({a: c for a, c in terms.items() if c}, constant)


def rejoined(form: Linear) -> Linear:
    """``d * c * (x // d) + c * (x % d)`` as ``c * x``: a position that was taken apart into
    coordinates, of which an array that is contiguous there needs only the whole."""
    terms, constant = dict(form.terms), form.constant
    while (pair := _taken_apart(terms)) is not None:
        quotient, remainder = pair
        del terms[quotient]
        factor = terms.pop(remainder)
        constant += _collect(remainder.operands[0], factor, terms)
    return Linear({a: c for a, c in terms.items() if c}, constant)


class _Division(NamedTuple):
    """A division of `x` by a literal, by what tells it from others: literals are new objects
    wherever they are made."""

    is_remainder: bool
    is_floor: bool
    x: Expr
    divisor: int


def _taken_apart(terms: dict[Expr, int]) -> tuple[Expr, Expr] | None:
    """A quotient and a remainder among the terms that make one number."""
    found = {d: a for a in terms if (d := _division(a)) is not None}
    for division, remainder in found.items():
        quotient = found.get(division._replace(is_remainder=False))
        if not division.is_remainder or quotient is None:
            continue
        if terms[quotient] == terms[remainder] * division.divisor:
            return quotient, remainder
    return None


def _division(node: Expr) -> _Division | None:
    if not isinstance(node, Apply) or len(node.operands) != 2:
        return None
    x, literal = node.operands
    known = build.known(literal)
    if not known:
        return None
    match node.op:
        case ops.FLOORDIV | ops.MOD:
            return _Division(node.op is ops.MOD, True, x, known)
        case ops.QUO | ops.REM:
            return _Division(node.op is ops.REM, False, x, known)
        case ops.SHR_RAW if known < _INDEX_BITS:
            return _Division(False, True, x, 1 << known)
        case ops.AND if known & (known + 1) == 0:
            return _Division(True, True, x, known + 1)
    return None


def _collect(node: Expr, factor: int, terms: dict[Expr, int]) -> int:
    """Add ``factor * node`` to `terms`; returns the literal part."""
    if isinstance(node, Const):
        return factor * int(node.value)
    if isinstance(node, Apply) and node.dtype is INDEX:
        match node.op:
            case ops.ADD:
                left, right = node.operands
                return _collect(left, factor, terms) + _collect(right, factor, terms)
            case ops.SUB:
                left, right = node.operands
                return _collect(left, factor, terms) + _collect(right, -factor, terms)
            case ops.NEG:
                return _collect(node.operands[0], -factor, terms)
            case ops.MUL:
                left, right = node.operands
                if isinstance(right, Const):
                    return _collect(left, factor * int(right.value), terms)
                if isinstance(left, Const):
                    return _collect(right, factor * int(left.value), terms)
            case _:
                pass
    terms[node] = terms.get(node, 0) + factor
    return 0


def row_major_strides(shape: Sequence[Size]) -> tuple[Size, ...]:
    """Element strides of a contiguous array of `shape`."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(step)
        step = build.size_mul(step, size)
    return tuple(reversed(strides))


def offset(indices: Sequence[Expr], strides: Sequence[Size]) -> Expr:
    """The element offset of `indices` under `strides`."""
    total: Expr = build.index(0)
    for position, stride in zip(indices, strides, strict=True):
        total = build.add(total, build.mul(position, build.index(stride)))
    return total
