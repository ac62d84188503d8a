"""Makes any kernel expressible in GLSL ES 3.00.

In: a kernel over any dtypes and operations. Out: one over GLSL's types in which every operation has
a row in `emit/operations.py`. GLSL leaves division by zero, `%` of negative numbers, large shifts
and NaN in comparisons undefined, so NumPy's answers are written out; tests for NaN look at bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilewright.codegen_glsl.emit.operations import ROWS, is_legal
from tilewright.codegen_glsl.machine_types import use_machine_types
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, U32
from tilewright.ir.elementary import Machine, expand
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, post_order
from tilewright.ir.kernel import Kernel, Stmt, expressions, map_expressions, statements
from tilewright.ir.legal import floats, integers
from tilewright.ir.legal.relax import relax
from tilewright.ir.traverse import Rule, rewrite_to_fixpoint

MACHINE = Machine(
    has_fma=False, ieee=False, has_f64=False, scale=False, native=ops.NATIVE & ROWS["f"].keys()
)
_INFINITY_BITS = 0x7F800000


def legalize(kernel: Kernel, *, fast: bool = False) -> Kernel:
    """`kernel` with only operations that the emitter spells; float64 becomes float32. `fast`: in
    their fast forms."""
    typed = use_machine_types(kernel)
    memo: dict[Expr, Expr] = {}
    body = relax(typed.body, MACHINE) if fast else typed.body
    body = map_expressions(body, lambda e: rewrite_to_fixpoint(e, RULES, memo))
    check_legal(body)
    return Kernel(kernel.name, kernel.parameters, kernel.symbols, typed.locals, body)


def check_legal(body: Sequence[Stmt]) -> None:
    """Raise `IRError` for an operation that the emitter cannot spell."""
    for node in post_order([e for s in statements(body) for e in expressions(s)]):
        if isinstance(node, Apply) and not is_legal(node.op, node.operands[-1].dtype, node.dtype):
            raise IRError(f"{node.op.name} on {node.operands[-1].dtype} was not legalised for GLSL")


def expand_elementary(node: Expr) -> Expr | None:
    """exp, log and the like as arithmetic."""
    if isinstance(node, Apply) and node.op.elementary:
        return expand(node.op, node.operands, MACHINE)
    return None


def magnitude_bits(x: Expr) -> Expr:
    """The bits of a float without its sign: ordered like the magnitudes, NaN above infinity."""
    return Apply(ops.AND, (build.bitcast(x, U32), build.const(0x7FFFFFFF, U32)))


def isnan(x: Expr) -> Expr:
    return Apply(ops.GT, (magnitude_bits(x), build.const(_INFINITY_BITS, U32)))


def classify_by_bits(node: Expr) -> Expr | None:
    """``isnan``, ``isinf``, ``isfinite`` and ``signbit``; ``x != x`` asks for NaN too."""
    if not isinstance(node, Apply) or not node.operands or not node.operands[0].dtype.is_float:
        return None
    x = node.operands[0]
    infinity = build.const(_INFINITY_BITS, U32)
    match node.op:
        case ops.ISNAN:
            return isnan(x)
        case ops.NE if node.operands[1] is x:
            return isnan(x)
        case ops.EQ if node.operands[1] is x:
            return Apply(ops.LE, (magnitude_bits(x), infinity))
        case ops.ISINF:
            return Apply(ops.EQ, (magnitude_bits(x), infinity))
        case ops.ISFINITE:
            return Apply(ops.LT, (magnitude_bits(x), infinity))
        case ops.SIGNBIT:
            return Apply(ops.LT, (build.bitcast(x, I32), build.zero(I32)))
        case _:
            return None


def expand_extremes(node: Expr) -> Expr | None:
    """``min`` and ``max`` let NaN win, ``fmin`` and ``fmax`` the number; NaN is never compared."""
    if not isinstance(node, Apply) or not node.dtype.is_float or node.op not in _COMPARISON:
        return None
    a, b = node.operands
    for literal in (a, b):
        if isinstance(literal, Const) and math.isnan(literal.value):
            other = b if literal is a else a
            return literal if node.op in (ops.MIN, ops.MAX) else other
    chosen = build.select(Apply(_COMPARISON[node.op], (a, b)), a, b)
    nan_wins = node.op in (ops.MIN, ops.MAX)
    if not isinstance(b, Const):
        chosen = build.select(isnan(b), b if nan_wins else a, chosen)
    if not isinstance(a, Const):
        chosen = build.select(isnan(a), a if nan_wins else b, chosen)
    return chosen


_COMPARISON = {ops.MIN: ops.LT, ops.MAX: ops.GT, ops.FMIN: ops.LT, ops.FMAX: ops.GT}


def copy_sign_by_bits(node: Expr) -> Expr | None:
    if not isinstance(node, Apply) or node.op is not ops.COPYSIGN:
        return None
    x, sign = node.operands
    bit = Apply(ops.AND, (build.bitcast(sign, U32), build.const(0x80000000, U32)))
    return build.bitcast(Apply(ops.OR, (magnitude_bits(x), bit)), F32)


def expand_signed_rest(node: Expr) -> Expr | None:
    """``rem(a, b) -> a - quo(a, b) * b``: GLSL's ``%`` is undefined for negative operands."""
    if not isinstance(node, Apply) or node.op is not ops.REM or node.dtype is not I32:
        return None
    a, b = node.operands
    return build.sub(a, build.mul(Apply(ops.QUO, (a, b)), b))


def expand_signed_abs(node: Expr) -> Expr | None:
    """The smallest int is its own magnitude, which GLSL's function does not promise."""
    if not isinstance(node, Apply) or node.op is not ops.ABS or node.dtype.kind not in "ix":
        return None
    (x,) = node.operands
    return build.select(build.lt(x, build.zero(x.dtype)), Apply(ops.NEG, (x,)), x)


def compare_bools_as_ints(node: Expr) -> Expr | None:
    """False is less than True."""
    if not isinstance(node, Apply) or node.op not in (ops.LT, ops.LE, ops.GT, ops.GE):
        return None
    if node.operands[0].dtype.kind != "b":
        return None
    a, b = node.operands
    if node.op in (ops.GT, ops.LE):
        a, b = b, a
    below = Apply(ops.AND, (Apply(ops.NOT, (a,)), b))
    return below if node.op in (ops.LT, ops.GT) else Apply(ops.NOT, (below,))


def reduce_lanes_in_pairs(node: Expr) -> Expr | None:
    """The four lanes of a register, combined by halving."""
    if not isinstance(node, LaneReduce):
        return None
    x, y, z, w = (Load(node.source, (*node.indices, build.index(k))) for k in range(4))
    return Apply(node.op, (Apply(node.op, (x, z)), Apply(node.op, (y, w))))


def count_bits(node: Expr) -> Expr | None:
    """Set bits, of signed numbers those of the magnitude, summed in pairs, fours and bytes."""
    if not isinstance(node, Apply) or node.op is not ops.POPCOUNT:
        return None
    (x,) = node.operands
    if x.dtype is I32:
        return build.cast(Apply(ops.POPCOUNT, (build.bitcast(Apply(ops.ABS, (x,)), U32),)), I32)

    def shifted(value: Expr, by: int) -> Expr:
        return Apply(ops.SHR_RAW, (value, build.const(by, U32)))

    def masked(value: Expr, mask: int) -> Expr:
        return Apply(ops.AND, (value, build.const(mask, U32)))

    pairs = Apply(ops.SUB, (x, masked(shifted(x, 1), 0x55555555)))
    fours = Apply(ops.ADD, (masked(pairs, 0x33333333), masked(shifted(pairs, 2), 0x33333333)))
    eights = masked(Apply(ops.ADD, (fours, shifted(fours, 4))), 0x0F0F0F0F)
    return shifted(Apply(ops.MUL, (eights, build.const(0x01010101, U32))), 24)


def select_without_branch(node: Expr) -> Expr | None:
    """`likely` asks for a branch around its last operand, which neighbouring fragments rarely
    agree on."""
    if isinstance(node, Apply) and node.op is ops.LIKELY:
        return build.select(*node.operands)
    return None


def fma_as_multiply_add(node: Expr) -> Expr | None:
    """GLSL ES 3.00 has no fused operation."""
    if isinstance(node, Apply) and node.op is ops.FMA:
        return Apply(ops.MAD, node.operands)
    return None


def scale_by_powers_of_two(node: Expr) -> Expr | None:
    """``x * 2**n`` as two products with powers of two, each in the range of float32."""
    if not isinstance(node, Apply) or node.op is not ops.SCALE:
        return None
    x, n = node.operands
    low, high = build.const(-252.0, F32), build.const(252.0, F32)
    limited = build.select(Apply(ops.LT, (n, low)), low, n)
    limited = build.select(Apply(ops.GT, (limited, high)), high, limited)
    whole = build.cast(limited, I32)
    half = Apply(ops.SHR_RAW, (whole, build.const(1, I32)))

    def power(exponent: Expr) -> Expr:
        biased = Apply(ops.ADD, (exponent, build.const(127, I32)))
        return build.bitcast(Apply(ops.SHL_RAW, (biased, build.const(23, I32))), F32)

    first = Apply(ops.MUL, (x, power(half)))
    return Apply(ops.MUL, (first, power(Apply(ops.SUB, (whole, half)))))


# In the order in which they are tried at a node. The shared rules come last: for IEEE machines
# they ask for NaN by comparing.
RULES: tuple[Rule, ...] = (
    classify_by_bits,
    expand_extremes,
    copy_sign_by_bits,
    expand_signed_rest,
    expand_signed_abs,
    compare_bools_as_ints,
    reduce_lanes_in_pairs,
    count_bits,
    select_without_branch,
    fma_as_multiply_add,
    scale_by_powers_of_two,
    integers.expand_integer_division,
    integers.expand_shifts,
    integers.expand_integer_sign,
    integers.expand_bool_extremes,
    floats.expand_classification,
    floats.expand_floor_division,
    floats.expand_division_by_zero,
    floats.expand_nextafter,
    expand_elementary,
)
