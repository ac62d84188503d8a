"""How errors pass through one scalar operation: the promises of numerics.md as a table.

In: an operation and `Bounded` operands. Out: its `Bounded` result. Floats are held as float64
reference values with a bound on how far a target's value may lie from them; integers and bools in
their own dtype, with bound 0 (exact) or inf (depends on a rounding that nobody promises). A bound
of inf allows every value, NaN included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import ops
from tilewright.ir.analysis.error_propagation import EXTREMES, passed_on
from tilewright.ir.analysis.fast_rules import fast_error
from tilewright.ir.dtypes import F16, F32, F64, I32, I64, U32, U64, DType
from tilewright.ir.expr import Apply
from tilewright.ir.ops import Op

Array = Any


class Bounded(Struct, frozen=True):
    """Reference values, and how far from them a target's values may be (broadcastable).

    `unsigned`: if the value is zero, it may have either sign, since nobody says which of two equal
    zeros `maximum` returns. `fusible`: a product of finite numbers that overflows; a sum that
    takes it in without rounding it (an FMA, which `numerics.md` allows) may be finite. `tanh`: a
    hyperbolic tangent, which has a form of its own beside a one (`elementary/in_context.py`).
    """

    value: Array
    bound: Array
    unsigned: Array = False
    fusible: Array = False
    tanh: Array = False


class TargetClass(Struct, frozen=True):
    """What a group of targets promises: `column` of the table; `ieee` keeps subnormals and -0.
    `fast`: some operations by `fast_rules`."""

    name: str
    ieee: bool
    column: int
    fast: bool = False


IEEE = TargetClass("ieee", True, 0)
GPU = TargetClass("gpu", False, 1)
TARGET_CLASSES = {"cpu": IEEE, "wasm": IEEE, "wgsl": GPU, "glsl": GPU}


def target_class(target: str, numerics: str = "accurate") -> TargetClass:
    """What `target` promises in a mode."""
    return replace(TARGET_CLASSES[target], fast=numerics == "fast")


# Largest error in units in the last place of the true value: (cpu and wasm, wgsl and glsl).
PROMISES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("add", "sub", "mul", "cast"), (0.5, 1)),
    **dict.fromkeys(("mod", "fmod", "floordiv"), (0.5, 2.5)),
    "div": (0.5, 2.5),
    "sqrt": (0.5, 3),
    "nextafter": (0, 1),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p"), (2, 4)),
    **dict.fromkeys(("sin", "cos", "tanh", "cbrt", "rsqrt", "hypot"), (2, 4)),
    **dict.fromkeys(("tan", "atan", "asin", "acos", "atan2"), (3, 6)),
    **dict.fromkeys(("asinh", "acosh", "atanh"), (3, 6)),
    **dict.fromkeys(("sinh", "cosh"), (2, 5)),
    "erf": (2, 6),
    "erfc": (3, 16),
    "pow": (2, 16),
    "sigmoid": (4, 8),
}
# Correctly rounded on cpu and wasm: of exact operands the result is one value. A product is not
# here, because it may be fused with a sum that uses it.
_ROUNDED = {ops.ADD, ops.SUB, ops.DIV, ops.SQRT, ops.CAST, ops.MOD, ops.FLOORDIV}
_TURN_LIMIT = 1e5  # beyond it the GPU promise of sin and cos is absolute
_TURN_ERROR = 1e-6
_REFERENCE_ULPS = 1.0  # float64 functions of the reference are themselves not exact
_NARROWED = 0.5  # of float64 to float32 on the host
_CARRIED = {I64: I32, U64: U32}  # what GPU targets hold 64-bit integers in


def exact(value: Array) -> Bounded:
    """What every target has exactly."""
    return Bounded(value, np.zeros(()))


def uncertain(known: Array) -> Array:
    """The bound of a discrete result: 0 where `known`, else inf."""
    return np.where(known, 0.0, np.inf)


def computed(dtype: DType, target: TargetClass) -> DType:
    """What a target computes a float dtype in: GPUs, where they may, float64 in float32."""
    return F32 if dtype is F64 and not target.ieee else dtype


def unit(value: Array, dtype: DType) -> Array:
    """The distance of neighbours at `value` (float64) in a float dtype."""
    info = np.finfo(dtype.numpy)
    exponent = np.where(value == 0, info.minexp, np.frexp(np.abs(value))[1] - 1)
    exponent = np.clip(exponent, info.minexp, info.maxexp - 1)
    return np.ldexp(1.0, exponent - info.nmant)


def read_float(value: Array, dtype: DType, target: TargetClass) -> Bounded:
    """Exact floats as a target sees them: a GPU may take subnormals for zeros, and has float64
    rounded."""
    wide = np.asarray(value, np.float64)
    if target.ieee:
        return exact(wide)
    held = computed(dtype, target)
    small = np.abs(wide) < float(np.finfo(held.numpy).tiny)
    seen = Bounded(wide, np.where(small, np.abs(wide), 0.0))
    return seen if held is dtype else finish(wide, seen.bound, _NARROWED, dtype, target)


def carried(made: Bounded, dtype: DType, target: TargetClass) -> Bounded:
    """A GPU holds 64-bit integers in 32 bits: what does not fit is anything."""
    if target.ieee or dtype not in _CARRIED:
        return made
    held = _CARRIED[dtype]
    fits = (made.value >= held.min) & (made.value <= held.max)
    return Bounded(made.value, np.where(fits, made.bound, np.inf))


def unordered(
    value: Array, bound: Array, inexact: Array, dtype: DType, target: TargetClass
) -> Array:
    """The bound of a result that comparisons chose from operands of which some are `inexact`.

    A GPU may compare subnormals as zeros and yet return them: which of them comes first is free.
    """
    if target.ieee or not dtype.is_float:
        return bound
    tiny = float(np.finfo(dtype.numpy).tiny)
    return np.where((np.abs(value) < tiny) & inexact, np.maximum(bound, 2 * tiny), bound)


def finish(
    value: Array,
    passed: Array,
    ulps: float,
    dtype: DType,
    target: TargetClass,
    rounds: bool = False,
) -> Bounded:
    """A float result: `passed` on from operands, `ulps` of its own; overflow decided."""
    dtype = computed(dtype, target)
    value, passed = np.asarray(value, np.float64), np.asarray(passed, np.float64)
    single = np.asarray(value).astype(dtype.numpy).astype(np.float64)
    passed = np.where(np.isnan(passed), np.inf, passed)
    own: Array = ulps
    if dtype.bits == 64:
        own = ulps + _REFERENCE_ULPS if ulps > 0.5 else np.where(passed > 0, 2 * ulps, ulps)
    bound = passed + own * unit(np.abs(value) + np.where(np.isinf(passed), 0, passed), dtype)
    if not target.ieee:
        tiny = float(np.finfo(dtype.numpy).tiny)
        # A function computes with smaller numbers than its result, and these may flush.
        flushes = (np.abs(value) - bound < tiny) | (ulps > 1)
        bound = np.where(flushes & (ulps > 0), bound + tiny, bound)
        bound = np.where((value == 0) & (passed == 0), 0.0, bound)
    elif rounds:
        value = np.where(passed == 0, single, value)
        bound = np.where(passed == 0, 0.0, bound)
    elif ulps == 0.5:
        bound = np.where((passed == 0) & (single == value), 0.0, bound)
    return _overflow(value, passed, bound, dtype)


def _overflow(value: Array, passed: Array, bound: Array, dtype: DType) -> Bounded:
    """Infinite where every value within the bound rounds to it, uncertain where only some do."""
    largest = float(np.finfo(dtype.numpy).max)
    odd = ~np.isfinite(value)
    bound = np.where(odd, np.where(np.isinf(passed), np.inf, 0.0), bound)
    near = np.abs(value) + bound > largest
    surely = np.abs(value) - bound > largest * (1 + float(np.finfo(dtype.numpy).eps))
    surely |= (bound == 0) & near
    bound = np.where(near & ~odd, np.where(surely, 0.0, np.inf), bound)
    value = np.where(near & surely & ~odd, np.copysign(np.inf, value), value)
    return Bounded(value, bound)


def apply_operation(node: Apply, operands: Sequence[Bounded], target: TargetClass) -> Bounded:
    """The result of one operation."""
    made = _result(node, operands, target)
    if not node.dtype.is_float:
        return carried(made, node.dtype, target)
    fusible, tanh = _fusible(node, operands), np.asarray(node.op is ops.TANH)
    return Bounded(made.value, made.bound, _unsigned(node, operands), fusible, tanh)


def _unsigned(node: Apply, operands: Sequence[Bounded]) -> Array:
    """Where the sign of a zero is not promised: from such operands, or of two zeros."""
    if not node.operands[-1].dtype.is_float:
        return False
    free: Array = np.asarray(False)
    for operand in operands:
        free = free | operand.unsigned
    if node.op in EXTREMES:
        free = free | ((operands[0].value == 0) & (operands[1].value == 0))
    return free


def _fusible(node: Apply, operands: Sequence[Bounded]) -> Array:
    if node.op is ops.NEG:
        return operands[0].fusible
    if node.op is not ops.MUL:
        return False
    x, y = (o.value for o in operands)
    return np.isfinite(x) & np.isfinite(y) & (np.abs(x * y) > float(np.finfo(node.dtype.numpy).max))


def _result(node: Apply, operands: Sequence[Bounded], target: TargetClass) -> Bounded:
    if node.op is ops.CAST:
        return _cast(node, operands[0], target)
    if node.op is ops.BITCAST:
        return _bitcast(node, operands[0], target)
    if node.op in (ops.SELECT, ops.LIKELY):
        return _select(*operands)
    source = node.operands[0].dtype
    if not source.is_float:
        value = np.asarray(node.op.reference(*(o.value for o in operands)))
        return Bounded(value, _any_unknown(operands))
    if node.op in ops.COMPARISONS:
        return _compare(node.op, *operands)
    if node.op in (ops.ISNAN, ops.ISINF, ops.ISFINITE, ops.SIGNBIT):
        return _classify(node.op, operands[0], target)
    return _float(node, operands, target)


def _any_unknown(operands: Sequence[Bounded]) -> Array:
    known: Array = np.asarray(True)
    for operand in operands:
        known = known & (operand.bound == 0)
    return uncertain(known)


def _float(node: Apply, operands: Sequence[Bounded], target: TargetClass) -> Bounded:
    op, dtype = node.op, node.dtype
    values = [o.value for o in operands]
    bounds = [o.bound for o in operands]
    value = np.asarray(op.reference(*values), np.float64)
    if op is ops.NEXTAFTER:  # the only function that knows how far apart its dtype's numbers are
        value = np.nextafter(*(v.astype(dtype.numpy) for v in values)).astype(np.float64)
    passed = passed_on(op, value, values, bounds)
    if passed is None:
        passed = uncertain(_any_unknown(operands) == 0)
    unknown: Array = np.asarray(False)
    zero: Array = np.asarray(True)
    for bound in bounds:
        unknown, zero = unknown | np.isinf(bound), zero & (bound == 0)
    passed = np.where(unknown, np.inf, np.where(zero, 0.0, passed))
    passed = passed + _lost_signs(op, value, operands, target)
    if op in EXTREMES:
        passed = unordered(value, passed, ~zero, dtype, target)
    if not target.ieee:
        passed = passed + _gpu_extra(op, value, values)
    if op is ops.FLOORDIV and dtype is F32:
        passed = passed + _lost_units(value)
    if op in (ops.ADD, ops.SUB):
        passed = np.where(operands[0].fusible | operands[1].fusible, np.inf, passed)
        if target.ieee and dtype is not F16:
            ulps_of_form = PROMISES["sigmoid"][target.column]
            passed = passed + _is_one_and_tanh(op, *operands) * ulps_of_form * unit(value, dtype)
    ulps = PROMISES.get(op.name, (0.0, 0.0))[target.column]
    own = fast_error(op, dtype, value, values) if target.fast else None
    if own is None:
        return finish(value, passed, ulps, dtype, target, op in _ROUNDED)
    passed = passed + np.where(value == 0, 0.0, own[0] * unit(value, F32)) + own[1]
    return finish(value, passed, ulps if dtype is F16 else 0.0, dtype, target)


def _is_one_and_tanh(op: Op, a: Bounded, b: Bounded) -> Array:
    """Where ``1 + tanh(u)`` or ``1 - tanh(u)`` is computed as the logistic function that it is."""
    first = (a.value == 1) & (a.bound == 0) & b.tanh
    second = (b.value == 1) & (b.bound == 0) & a.tanh
    return first | second if op is ops.ADD else first


def _lost_units(quotient: Array) -> Array:
    """NumPy's floor division, which is ours, rounds a quotient before it takes its floor: one with
    no bits left for a half may become the next whole number."""
    beyond = np.isfinite(quotient) & (np.abs(quotient) >= 2.0**22)
    return np.where(beyond, 2 * unit(quotient, F32), 0.0)


def _lost_signs(op: Op, value: Array, operands: Sequence[Bounded], target: TargetClass) -> Array:
    """What depends on the sign of a zero that is not promised (on a GPU none is) is free."""
    last = operands[-1]
    lost = [(o.value == 0) & (o.unsigned | (not target.ieee)) for o in operands]
    if op in (ops.DIV, ops.RSQRT):
        free = lost[-1] & ~np.isnan(value)
    elif op is ops.COPYSIGN:
        free = lost[1]
    elif op is ops.ATAN2:
        free = lost[0] | (lost[1] & (operands[0].value == 0))
    elif op is ops.POW:
        free = lost[0] & (last.value != 0)
    else:
        return 0.0
    return np.where(free, np.inf, 0.0)


def _gpu_extra(op: Op, value: Array, values: Sequence[Array]) -> Array:
    """What a GPU may do beyond its ulps: large angles are absolute, NaN may be assumed away."""
    if op in (ops.SIN, ops.COS, ops.TAN):
        scale = 2 * (1 + value * value) if op is ops.TAN else 1.0
        return np.where(np.abs(values[0]) > _TURN_LIMIT, _TURN_ERROR * scale, 0.0)
    if op in (ops.MOD, ops.FMOD, ops.FLOORDIV):
        return _gpu_remainder(op, values)
    if op in (ops.ADD, ops.SUB, ops.MUL, ops.DIV):
        return _gpu_folded(op, value, values)
    return 0.0


def _gpu_folded(op: Op, value: Array, values: Sequence[Array]) -> Array:
    """Shader compilers take x * 0, 0 / x and x - x for 0: they may assume that nothing is NaN or
    inf."""
    if op is ops.MUL:
        folds = (values[0] == 0) | (values[1] == 0)
    elif op is ops.DIV:
        folds = values[0] == 0
    else:
        folds = ~np.isfinite(values[0]) & ~np.isfinite(values[1])
    return np.where(folds & np.isnan(value), np.inf, 0.0)


def _gpu_remainder(op: Op, values: Sequence[Array]) -> Array:
    """The quotient is only as good as a division: near a whole number its floor is uncertain."""
    quotient = values[0] / values[1]
    slack = 4 * np.finfo(np.float32).eps * np.abs(quotient)
    jumps = np.floor(quotient - slack) != np.floor(quotient + slack)
    lost = slack * np.abs(values[1]) if op is not ops.FLOORDIV else 0.0
    return np.where(jumps | ~np.isfinite(quotient), np.inf, lost)


def _compare(op: Op, a: Bounded, b: Bounded) -> Bounded:
    slack = a.bound + b.bound
    odd = np.isnan(a.value) | np.isnan(b.value)
    apart = np.abs(a.value - b.value) > slack
    known = (slack == 0) | ((apart | odd) & np.isfinite(slack))
    return Bounded(np.asarray(op.reference(a.value, b.value)), uncertain(known))


def _classify(op: Op, x: Bounded, target: TargetClass) -> Bounded:
    known = np.isfinite(x.bound)
    if op is ops.SIGNBIT:
        sure = (x.bound == 0) & ~((x.value == 0) & x.unsigned)
        sure = sure if target.ieee else np.asarray(False)
        known = known & (sure | (np.abs(x.value) > x.bound)) & ~np.isnan(x.value)
    return Bounded(np.asarray(op.reference(x.value)), uncertain(known))


def _select(condition: Bounded, a: Bounded, b: Bounded) -> Bounded:
    value: Array = np.where(condition.value, a.value, b.value)
    bound = np.where(condition.value, a.bound, b.bound)
    if np.all(condition.bound == 0):
        return Bounded(value, bound)
    if value.dtype.kind != "f":
        either = uncertain((a.value == b.value) & (a.bound == 0) & (b.bound == 0))
    else:
        same = (a.value == b.value) | (np.isnan(a.value) & np.isnan(b.value))
        distance = np.where(same, 0.0, np.abs(a.value - b.value))
        either = distance + np.maximum(a.bound, b.bound)
        either = np.where(np.isnan(either), np.inf, either)
    return Bounded(value, np.where(condition.bound == 0, bound, either))


def _cast(node: Apply, x: Bounded, target: TargetClass) -> Bounded:
    source, dtype = node.operands[0].dtype, node.dtype
    if dtype.is_float:
        if not source.is_float:
            with np.errstate(all="ignore"):
                held = computed(dtype, target).numpy
                value = np.asarray(x.value).astype(held).astype(np.float64)
            whole = value == np.asarray(x.value, np.longdouble)
            ulps = 0.0 if target.ieee or np.all(whole) else 1.0
            return finish(value, x.bound, ulps, dtype, target)
        ulps = PROMISES["cast"][target.column] if dtype.bits < source.bits else 0.0
        return finish(x.value, x.bound, ulps, dtype, target, rounds=True)
    if not source.is_float:
        with np.errstate(all="ignore"):
            return Bounded(np.asarray(x.value).astype(dtype.numpy), x.bound)
    if dtype.kind == "b":
        known = (x.bound == 0) | (np.abs(x.value) > x.bound)
        return Bounded(np.asarray(x.value != 0), uncertain(known))
    value = np.asarray(ops.convert(x.value, dtype.numpy))
    near = [ops.convert(x.value + s * x.bound, dtype.numpy) for s in (-1, 1)]
    known = (near[0] == value) & (near[1] == value) & np.isfinite(x.bound)
    return Bounded(value, uncertain(known))


def _bitcast(node: Apply, x: Bounded, target: TargetClass) -> Bounded:
    source, dtype = node.operands[0].dtype, node.dtype
    value = np.asarray(x.value)
    if source.is_float:
        value = value.astype(source.numpy)
    value = np.asarray(np.array(value, order="C").view(dtype.numpy))
    unknown = uncertain(x.bound == 0)
    if source.is_float:  # the sign of zero, and the bits of a NaN
        lost = ((x.value == 0) & (x.unsigned | (not target.ieee))) | np.isnan(x.value)
        unknown = np.where(lost, np.inf, unknown)
    if not dtype.is_float:
        return Bounded(value, unknown)
    seen = read_float(value, dtype, target)
    return Bounded(seen.value, seen.bound + unknown)
