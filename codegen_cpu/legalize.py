"""Makes any kernel expressible in LLVM IR for one CPU target.

LLVM has NumPy's meaning for most operations on one element type. What it lacks or makes undefined
(division by zero, large shifts, NaN in min and max, elementary functions, float16 arithmetic) is
rewritten here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tilewright.codegen_cpu.emit.operations import LEGAL
from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import I32, I64, INDEX, U8, U16, U32, U64
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, post_order
from tilewright.ir.kernel import Kernel, Stmt, expressions, map_expressions, statements
from tilewright.ir.legal import floats, half, integers
from tilewright.ir.legal.reciprocals import multiply_by_reciprocal
from tilewright.ir.legal.remainder import expand_float_remainder
from tilewright.ir.traverse import Rule, rewrite, rewrite_to_fixpoint

if TYPE_CHECKING:
    from tilewright.ir.elementary import Machine


def machine_of(target: CpuTarget) -> Machine:
    """What elementary functions may use on this target."""
    from tilewright.ir.elementary import Machine  # 15 modules: not for kernels without any

    has_avx512 = target.architecture == "x86_64" and target.vector_bits == 512
    own = has_avx512 and not target.reproducible
    estimates = frozenset({ops.NATIVE_RSQRT} if own else ())
    return Machine(
        has_fma=target.has_fma, ieee=True, has_f64=True, scale=own, pick=own, native=estimates
    )


def rules_for(target: CpuTarget) -> tuple[Rule, ...]:
    """The rules, in the order in which they are tried at a node."""

    def expand_elementary(node: Expr) -> Expr | None:
        if isinstance(node, Apply) and node.op.elementary:
            from tilewright.ir.elementary import expand

            return expand(node.op, node.operands, machine_of(target))
        return None

    return (
        *((saturate_wide_indices,) if target.index_bits < 64 else ()),
        floats.compute_half_in_single,
        half.round_double_to_half_once,
        floats.convert_half_through_single,
        multiply_by_reciprocal,
        integers.expand_integer_division,
        integers.divide_in_floats,
        integers.expand_shifts,
        *((shift_narrow_in_words,) if target.architecture == "wasm32" else ()),
        integers.expand_integer_sign,
        integers.expand_signed_popcount,
        integers.expand_bool_extremes,
        floats.expand_extremes,
        floats.expand_classification,
        floats.expand_floor_division,
        expand_float_remainder(target.has_fma),
        floats.expand_nextafter,
        floats.fuse_multiply_add if target.has_fma else floats.split_multiply_add,
        expand_elementary,
    )


def saturate_wide_indices(node: Expr) -> Expr | None:
    """An integer that an index of 32 bits cannot hold is outside of every array: it must not come
    back inside by losing its upper half."""
    if not (isinstance(node, Apply) and node.op is ops.CAST and node.dtype is INDEX):
        return None
    (value,) = node.operands
    if value.dtype not in (I64, U64, U32):
        return None
    low, high = interval(value)
    if high is None or high > I32.max:
        value = build.minimum(value, build.const(I32.max, value.dtype))
    if value.dtype is I64 and (low is None or low < I32.min):
        value = build.maximum(value, build.const(I32.min, I64))
    return None if value is node.operands[0] else build.cast(value, INDEX)


def shift_narrow_in_words(node: Expr) -> Expr | None:
    """Lanes of 8 and 16 bits that shift right by amounts of their own. LLVM shifts them one by one
    in 32 bits, and lets whatever lies above the lane move into it."""
    if not (isinstance(node, Apply) and node.op is ops.SHR_RAW and node.dtype in (U8, U16)):
        return None
    value, amount = node.operands
    if isinstance(amount, Const):
        return None
    words = (build.cast(value, U32), build.cast(amount, U32))
    return build.cast(Apply(ops.SHR_RAW, words), node.dtype)


def rule_in_context(target: CpuTarget, round_: int) -> Rule:
    """The rule that looks at what operands are computed from: before they are expanded."""

    def rule(node: Expr) -> Expr | None:
        if not any(_is_elementary(n) for n in (node, *node.operands)):
            return None
        from tilewright.ir.elementary import expand_in_context

        return expand_in_context(node, machine_of(target), round_)

    return rule


def _is_elementary(node: Expr) -> bool:
    return isinstance(node, Apply) and node.op.elementary


def legalize(kernel: Kernel, target: CpuTarget) -> Kernel:
    """`kernel` with only operations that the emitter spells."""
    rules = rules_for(target)
    body = _shortened(kernel.body, target)
    if target.fast:
        from tilewright.ir.legal.relax import relax

        body = relax(body, machine_of(target))
    memo: dict[Expr, Expr] = {}
    body = map_expressions(body, lambda e: rewrite_to_fixpoint(e, rules, memo))
    legal = Kernel(kernel.name, kernel.parameters, kernel.symbols, kernel.locals, body)
    if not target.has_half_conversion:
        legal = half.store_half_as_bits(legal)
    check_legal(legal.body)
    return legal


def _shortened(body: Sequence[Stmt], target: CpuTarget) -> tuple[Stmt, ...]:
    """`body` after both rounds of rules that look at operands."""
    for round_ in range(2):
        shorten = partial(rewrite, rule=rule_in_context(target, round_), memo={})
        body = map_expressions(body, shorten)
    return tuple(body)


def check_legal(body: Sequence[Stmt]) -> None:
    """Raise `IRError` for an operation that the emitter cannot spell."""
    roots = [e for s in statements(body) for e in expressions(s)]
    for node in post_order(roots):
        if isinstance(node, Apply) and node.op not in LEGAL:
            raise IRError(
                f"{node.op.name} on {node.operands[0].dtype} was not legalised for the CPU"
            )
