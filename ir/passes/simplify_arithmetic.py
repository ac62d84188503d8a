"""Identities that hold for every input, NaN, infinities and -0.0 included.

In: a graph. Out: the same graph with simpler bodies; a node that has become a copy of its operand
is dropped. Each rule takes a node whose operands are simple already and returns a simpler one, or
None. The sign of a NaN is not kept: NumPy promises none.
"""

from __future__ import annotations

import math

from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, I32, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, Load
from tilewright.ir.graph import Compute, Graph, Tensor
from tilewright.ir.graph_rewrite import map_expressions, rewrite_graph
from tilewright.ir.traverse import Rule, refold, rewrite_to_fixpoint


def simplify_arithmetic(graph: Graph) -> Graph:
    """The graph with every body simplified."""
    memo: dict[Expr, Expr] = {}

    def rule(node: Tensor) -> Tensor | None:
        simpler = map_expressions(node, lambda expr: simplify(expr, memo))
        copied = _copied(simpler, simpler.body) if isinstance(simpler, Compute) else None
        return simpler if copied is None else copied

    return rewrite_graph(graph, rule)


def simplify(root: Expr, memo: dict[Expr, Expr]) -> Expr:
    """`root` by all rules, again and again until none applies."""
    return rewrite_to_fixpoint(root, RULES, memo)


def _copied(node: Compute, body: Expr) -> Tensor | None:
    """The tensor of which a node with this body is an exact copy."""
    if not isinstance(body, Load) or not isinstance(body.source, Tensor):
        return None
    source = body.source
    if len(source.shape) != len(node.axes):
        return None
    for axis, index, size in zip(node.axes, body.indices, source.shape, strict=True):
        if axis is not index or axis.extent != size:
            return None
    return source


# Floats.


def drop_neutral_floats(node: Expr) -> Expr | None:
    """``x * 1``, ``x / 1``, ``x - 0`` and ``x + -0.0`` are `x`; ``x + 0`` is not, for -0.0."""
    if not isinstance(node, Apply) or not node.dtype.is_float or len(node.operands) != 2:
        return None
    a, b = node.operands
    match node.op:
        case ops.MUL:
            return a if _is_float(b, 1.0) else b if _is_float(a, 1.0) else None
        case ops.DIV:
            return a if _is_float(b, 1.0) else None
        case ops.SUB:
            return a if _is_float(b, 0.0) else None
        case ops.ADD:
            return a if _is_float(b, -0.0) else b if _is_float(a, -0.0) else None
        case _:
            return None


def _is_float(node: Expr, value: float) -> bool:
    """Whether `node` is this literal, sign of zero included."""
    if not isinstance(node, Const) or not node.dtype.is_float or node.value != value:
        return False
    return math.copysign(1.0, node.value) == math.copysign(1.0, value)


def multiply_by_exact_reciprocal(node: Expr) -> Expr | None:
    """``x / 2**k`` is ``x * 2**-k`` where that is a normal float."""
    if not isinstance(node, Apply) or node.op is not ops.DIV:
        return None
    x, divisor = node.operands
    if not isinstance(divisor, Const):
        return None
    mantissa, exponent = math.frexp(divisor.value)
    highest = {16: 14, 32: 126, 64: 1022}[node.dtype.bits]
    if abs(mantissa) != 0.5 or not -highest <= exponent - 1 <= highest:
        return None
    return Apply(ops.MUL, (x, build.const(1.0 / float(divisor.value), node.dtype)))


def expand_small_powers(node: Expr) -> Expr | None:
    """``x**0``, ``x**1``, ``x**2`` and ``x**-1``, which are correctly rounded this way."""
    if not isinstance(node, Apply) or node.op is not ops.POW:
        return None
    x, exponent = node.operands
    if not isinstance(exponent, Const):
        return None
    one = build.const(1, node.dtype)
    match exponent.value:
        case 0:
            return one
        case 1:
            return x
        case 2:
            return Apply(ops.MUL, (x, x))
        case -1:
            return Apply(ops.DIV, (one, x))
        case _:
            return None


_ROUNDINGS = (ops.FLOOR, ops.CEIL, ops.TRUNC, ops.RINT)


def round_once(node: Expr) -> Expr | None:
    """Rounding what is whole already: rounded before, or converted from an integer."""
    if not isinstance(node, Apply) or node.op not in _ROUNDINGS:
        return None
    (x,) = node.operands
    if not isinstance(x, Apply):
        return None
    whole = x.op in _ROUNDINGS or (x.op is ops.CAST and not x.operands[0].dtype.is_float)
    return x if whole else None


# Signs.


def cancel_signs(node: Expr) -> Expr | None:
    """``-(-x)``, ``a - -b``, ``a + -b``, ``abs(-x)`` and ``abs(abs(x))``."""
    if not isinstance(node, Apply):
        return None
    match node.op:
        case ops.NEG:
            return _negated(node.operands[0])
        case ops.SUB:
            other = _negated(node.operands[1])
            return None if other is None else build.add(node.operands[0], other)
        case ops.ADD:
            other = _negated(node.operands[1])
            return None if other is None else build.sub(node.operands[0], other)
        case ops.ABS:
            (x,) = node.operands
            if isinstance(x, Apply) and x.op is ops.ABS:
                return x
            inner = _negated(x) if x.dtype.kind != "u" else None
            return None if inner is None else Apply(ops.ABS, (inner,))
        case _:
            return None


def _negated(node: Expr) -> Expr | None:
    """`x` if `node` is ``-x``."""
    return node.operands[0] if isinstance(node, Apply) and node.op is ops.NEG else None


# Integers, bits and logic.


def fold_integers(node: Expr) -> Expr | None:
    """Sums, products and comparisons of literals, ``x + 0``, ``x * 1``, ``x * 0``, ``x - x``."""
    if not isinstance(node, Apply) or not node.operands[0].dtype.is_integer:
        return None
    folded = refold(node)
    if isinstance(folded, Apply) and folded.operands == node.operands:
        return None
    return folded


def drop_neutral_bits(node: Expr) -> Expr | None:
    """``&``, ``|``, ``^`` with a literal of all zeros or all ones, or with itself; shifts by 0."""
    if not isinstance(node, Apply) or len(node.operands) != 2:
        return None
    a, b = node.operands
    if node.op in (ops.SHL, ops.SHR):
        return a if build.is_const(b, 0) else None
    if node.op not in (ops.AND, ops.OR, ops.XOR):
        return None
    if a is b:
        return build.zero(a.dtype) if node.op is ops.XOR else a
    for value, literal in ((a, b), (b, a)):
        bits = _uniform_bits(literal)
        if bits is None:
            continue
        if node.op is ops.XOR:
            return Apply(ops.NOT, (value,)) if bits else value
        return value if bits == (node.op is ops.AND) else literal
    return None


def _uniform_bits(node: Expr) -> bool | None:
    """True for a literal of ones only, False for one of zeros only."""
    if not isinstance(node, Const) or node.dtype.is_float or node.dtype is INDEX:
        return None
    if node.value == 0:
        return False
    ones = -1 if node.dtype.kind == "i" else node.dtype.max
    return True if node.value == ones else None


_OPPOSITE = {
    ops.EQ: ops.NE,
    ops.NE: ops.EQ,
    ops.LT: ops.GE,
    ops.LE: ops.GT,
    ops.GT: ops.LE,
    ops.GE: ops.LT,
}


def cancel_not(node: Expr) -> Expr | None:
    """``not not x``, and ``not`` of a comparison; of floats only ``==``: ``not x < y`` holds for
    NaN."""
    if not isinstance(node, Apply) or node.op is not ops.NOT:
        return None
    (x,) = node.operands
    if not isinstance(x, Apply):
        return None
    if x.op is ops.NOT:
        return x.operands[0]
    if x.op not in _OPPOSITE:
        return None
    if x.operands[0].dtype.is_float and x.op not in (ops.EQ, ops.NE):
        return None
    return Apply(_OPPOSITE[x.op], x.operands)


def take_extreme_of_equals(node: Expr) -> Expr | None:
    """``min(x, x)`` and the like."""
    if not isinstance(node, Apply) or node.op not in (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX):
        return None
    a, b = node.operands
    return a if a is b else None


# Selections.


def simplify_selects(node: Expr) -> Expr | None:
    """A known condition, equal branches, a negated condition, a condition asked twice."""
    if not isinstance(node, Apply) or node.op is not ops.SELECT:
        return None
    condition, yes, no = node.operands
    if isinstance(condition, Const) or yes is no:
        return build.select(condition, yes, no)
    if node.dtype is BOOL and isinstance(yes, Const) and isinstance(no, Const):
        if yes.value == no.value:
            return yes
        return condition if yes.value else Apply(ops.NOT, (condition,))
    if isinstance(condition, Apply) and condition.op is ops.NOT:
        return build.select(condition.operands[0], no, yes)
    if _selects_on(yes, condition):
        return build.select(condition, yes.operands[1], no)
    if _selects_on(no, condition):
        return build.select(condition, yes, no.operands[2])
    return None


def _selects_on(node: Expr, condition: Expr) -> bool:
    is_select = isinstance(node, Apply) and node.op is ops.SELECT
    return is_select and node.operands[0] is condition


# Conversions.


def shorten_casts(node: Expr) -> Expr | None:
    """``cast(cast(x))`` where the first conversion keeps every value."""
    if not isinstance(node, Apply) or node.op is not ops.CAST:
        return None
    (middle,) = node.operands
    if not isinstance(middle, Apply) or middle.op is not ops.CAST:
        return None
    x = middle.operands[0]
    source, between, target = x.dtype, middle.dtype, node.dtype
    if not is_exact(source, between):
        return None
    # An integer wraps where a float saturates.
    saturates = between.is_float and not source.is_float and target.is_integer
    if saturates and not is_exact(source, target):
        return None
    return build.cast(x, target)


_DIGITS = {16: 11, 32: 24, 64: 53}


def is_exact(source: DType, target: DType) -> bool:
    """Whether every value of `source` is a value of `target`. An index has 32 bits or 64."""
    if source is target:
        return True
    if target is BOOL:
        return False
    if target.is_float:
        if source.is_float:
            return source.bits <= target.bits
        digits = source.bits - (source.kind in "ix")
        # Integers of 16 bits have values beyond the largest float16.
        return digits <= _DIGITS[target.bits]
    if source.is_float:
        return False
    least, most = (I32.min, I32.max) if target is INDEX else (target.min, target.max)
    return least <= source.min and source.max <= most


RULES: tuple[Rule, ...] = (
    drop_neutral_floats,
    multiply_by_exact_reciprocal,
    expand_small_powers,
    round_once,
    cancel_signs,
    fold_integers,
    drop_neutral_bits,
    cancel_not,
    take_extreme_of_equals,
    simplify_selects,
    shorten_casts,
)
