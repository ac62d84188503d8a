"""Index expressions as sums of ``coefficient * atom`` plus a literal.

An atom is a variable, or any index expression that is not itself a sum or a multiple (a division,
a loaded value, a product of two variables).
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build, ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Const, Expr, Size, Var


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


_QUOTIENT_OF = {ops.MOD: ops.FLOORDIV, ops.REM: ops.QUO}


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


def _taken_apart(terms: dict[Expr, int]) -> tuple[Expr, Expr] | None:
    """A quotient and a remainder among the terms that make one number."""
    divisions = {_key(a.op, a): a for a in terms if isinstance(a, Apply) and len(a.operands) == 2}
    for remainder in divisions.values():
        opposite = _QUOTIENT_OF.get(remainder.op)
        divisor = build.known(remainder.operands[1])
        if opposite is None or not divisor:
            continue
        quotient = divisions.get(_key(opposite, remainder))
        if quotient is not None and terms[quotient] == terms[remainder] * divisor:
            return quotient, remainder
    return None


def _key(op: ops.Op, division: Apply) -> tuple[ops.Op, Expr, int | Expr]:
    """What tells divisions apart: literals are new objects wherever they are made."""
    x, divisor = division.operands
    known = build.known(divisor)
    return op, x, divisor if known is None else known


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
