"""How large a float expression can be, where what it is made of says so: such a value is no NaN.

Pixels are integers that were converted, weighted and added up; none of that makes an infinity, let
alone a NaN. Loads of floats and variables may be anything.
"""

from __future__ import annotations

import math

from tilewright.ir import ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Const, Expr

_DEEPEST = 8
"""Operations that are looked through: the rules that ask do so at many nodes."""
_LARGEST = {16: 2.0**14, 32: 2.0**126, 64: 2.0**1000}
"""What rounding may exceed a little without being infinite, by bits of the dtype."""
_INDEX_BITS = 63


def is_number(node: Expr) -> bool:
    """Whether no value of the float expression can be infinite or NaN."""
    return magnitude(node) < math.inf


def magnitude(node: Expr, depth: int = _DEEPEST) -> float:
    """No value of `node` is farther from 0 (rounding aside), and none is NaN; infinity where that
    is not known."""
    size = _magnitude(node, depth)
    return size if size <= _LARGEST[node.dtype.bits] else math.inf


def _magnitude(node: Expr, depth: int) -> float:
    if isinstance(node, Const):
        return abs(float(node.value))
    if not isinstance(node, Apply) or not depth:
        return math.inf
    if node.op is ops.CAST and not node.operands[0].dtype.is_float:
        return _of_integers(node.operands[0])
    operands = node.operands[1:] if node.op is ops.SELECT else node.operands
    if not all(o.dtype.is_float for o in operands):
        return math.inf
    sizes = [magnitude(o, depth - 1) for o in operands]
    if math.inf in sizes:
        return math.inf
    match node.op:
        case ops.ADD | ops.SUB:
            return sizes[0] + sizes[1]
        case ops.MUL:
            return sizes[0] * sizes[1]
        case ops.MIN | ops.MAX | ops.SELECT | ops.NEG | ops.ABS | ops.CAST:
            return max(sizes)
        case ops.FLOOR | ops.CEIL | ops.TRUNC | ops.RINT:
            return sizes[0] + 1
        case _:
            return math.inf


def _of_integers(node: Expr) -> float:
    bits = _INDEX_BITS if node.dtype is INDEX else 1 if node.dtype.kind == "b" else node.dtype.bits
    return 2.0**bits
