"""NumPy's reductions and running combinations.

Numerics: float16 sums accumulate in float32; means of integers in float64; the variance takes two
passes. Sums of narrow integers and bools promote to 64 bits, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axes,
    as_axis,
    as_dtype,
    cast_to,
    convert,
    is_number,
    literal,
    truth,
)
from tilewright.compiler.trace.views import along
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I32, I64, U8, U64, DType
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.graph import identity

_NO_VALUE = np._NoValue
NAMES: dict[np.ufunc, str] = {
    np.add: "add",
    np.multiply: "mul",
    np.maximum: "max",
    np.minimum: "min",
    np.fmax: "fmax",
    np.fmin: "fmin",
    np.logical_and: "and",
    np.logical_or: "or",
    np.logical_xor: "xor",
    np.bitwise_and: "and",
    np.bitwise_or: "or",
    np.bitwise_xor: "xor",
}


class Plan:
    """One reduction: which axes stay, which go, and how the operand is read along them."""

    def __init__(self, array: Handle, axis: Any, where: Any = True) -> None:
        self.array = array
        self.gone = as_axes(axis, array.rank)
        self.kept = tuple(a for a in range(array.rank) if a not in self.gone)
        self.axes = active().axes([array.sizes[a] for a in self.kept])
        names = active().axes([array.sizes[a] for a in self.gone])
        self.reduce_axes = tuple(Var(f"r{v.name[1:]}", v.extent) for v in names)
        order = {**dict(zip(self.kept, self.axes, strict=True))}
        order.update(zip(self.gone, self.reduce_axes, strict=True))
        self.indices = tuple(order[a] for a in range(array.rank))
        self.mask = None if where is True else as_array(where)

    @property
    def count(self) -> Size:
        """How many elements are combined into one (without `where`)."""
        return build.product(tuple(self.array.sizes[a] for a in self.gone))

    def element(self) -> Expr:
        return self.array.element(self.indices)

    def masked(self, body: Expr, neutral: Expr) -> Expr:
        """`body`, or what changes nothing where the mask is False."""
        if self.mask is None:
            return body
        return build.select(truth(self.mask.broadcast_element(self.indices)), body, neutral)

    def reduce(self, combiner: str, body: Expr, label: str, neutral: Expr | None = None) -> Any:
        if neutral is None and self.mask is not None:
            neutral = identity(combiner, body.dtype)
        if neutral is not None:
            body = self.masked(body, neutral)
        return active().reduction(self.axes, self.reduce_axes, combiner, body, label)

    def keep(self, result: Any, keepdims: Any) -> Any:
        """`result` with the reduced axes as axes of size 1, if asked for."""
        if not keepdims or keepdims is _NO_VALUE:
            return result
        sizes = tuple(1 if a in self.gone else s for a, s in enumerate(self.array.sizes))
        return result.viewed(tuple(along(a) for a in self.kept), sizes)

    def refuse_empty(self, name: str) -> None:
        if any(self.array.sizes[a] == 0 for a in self.gone if _is_int(self.array.sizes[a])):
            raise failure(
                ShapeError,
                f"zero-size array to reduction operation {name} which has no identity: "
                f"{show_sizes(self.array.sizes)}",
                help="give initial=",
            )
        message = f"zero-size array to reduction operation {name} which has no identity"
        active().must_not_be_empty((self.array.sizes[a] for a in self.gone), message)


def _finished(plan: Plan, value: Any, dtype: DType, keepdims: Any, out: Any) -> Any:
    """The result of a reduction in its dtype and shape, written into `out` if that is given."""
    from tilewright.compiler.trace.dispatch import write_out

    result = plan.keep(cast_to(value, dtype), keepdims)
    return result if out is None else write_out(result, out)


def _is_int(size: Size) -> bool:
    return isinstance(size, int)


def _given(value: Any) -> bool:
    return value is not None and value is not _NO_VALUE


def combine(
    ufunc: np.ufunc,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Any:
    """``ufunc.reduce``."""
    where = True if where is _NO_VALUE else where
    combiner = NAMES.get(ufunc)
    if combiner is None:
        from tilewright.compiler.trace.ordered_ufuncs import reduce_in_order

        return reduce_in_order(ufunc, a, axis, dtype, out, keepdims, initial, where)
    array = as_array(a)
    plan = Plan(array, axis, where)
    combining, result_type = accumulator(ufunc, array.element_type, dtype)
    if combiner in ("max", "min", "fmax", "fmin") and not _given(initial):
        plan.refuse_empty(ufunc.__name__)
        if where is not True:
            raise failure(
                ShapeError,
                f"reduction operation {ufunc.__name__} does not have an identity, so to use a "
                "where mask one has to specify 'initial'",
            )
    if combining is BOOL:  # arithmetic on bools is logic
        combiner = {"add": "or", "mul": "and"}.get(combiner, combiner)
    if combiner in ("fmax", "fmin") and not combining.is_float:
        combiner = combiner[1:]
    body = convert(plan.element(), combining)
    result = plan.reduce(combiner, body, f"np.{ufunc.__name__}.reduce")
    if _given(initial):
        start = literal(initial, combining) if is_number(initial) else None
        other = active().value((), start, "initial") if start is not None else as_array(initial)
        result = ufuncs.call(ufunc, (result, cast_to(other, combining)))
    return _finished(plan, result, result_type, keepdims, out)


def accumulator(ufunc: np.ufunc, dtype: DType, wanted: Any) -> tuple[DType, DType]:
    """The dtype in which to combine, and that of the result."""
    if ufunc in (np.logical_and, np.logical_or, np.logical_xor):
        return BOOL, BOOL
    result = dtype
    if wanted is not None:
        result = as_dtype(wanted)
    elif ufunc in (np.add, np.multiply) and not dtype.is_float:
        result = U64 if dtype.kind == "u" else I64
    summing = ufunc in (np.add, np.multiply)
    return (F32 if result is F16 and summing else result), result


_DEFAULTS = {"keepdims": False, "initial": _NO_VALUE, "where": True}


def _signature(positional: str, keywords: str = "") -> Signature:
    """Of a NumPy function that reduces its first argument."""
    kinds = ((positional, Parameter.POSITIONAL_OR_KEYWORD), (keywords, Parameter.KEYWORD_ONLY))
    first = Parameter("a", Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
    others = [
        Parameter(name, kind, default=_DEFAULTS.get(name), annotation=Any)
        for names, kind in kinds
        for name in names.split()
    ]
    return Signature([first, *others], return_annotation=Any)


def _reduction(ufunc: np.ufunc, signature: Signature) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        return combine(ufunc, **signature.bind(*args, **kwargs).arguments)

    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


_SUMS = _signature("axis dtype out keepdims initial where")
_EXTREMES = _signature("axis out keepdims initial where")
_TRUTHS = _signature("axis out keepdims", "where")
_REDUCTIONS: tuple[tuple[tuple[Callable[..., Any], ...], np.ufunc, Signature], ...] = (
    ((np.sum,), np.add, _SUMS),
    ((np.prod,), np.multiply, _SUMS),
    ((np.max, np.amax), np.maximum, _EXTREMES),
    ((np.min, np.amin), np.minimum, _EXTREMES),
    ((np.all,), np.logical_and, _TRUTHS),
    ((np.any,), np.logical_or, _TRUTHS),
)
for _functions, _ufunc, _parameters in _REDUCTIONS:
    implements(*_functions)(_reduction(_ufunc, _parameters))


def _float_type(dtype: DType, wanted: Any) -> tuple[DType, DType]:
    """For means: the dtype in which to compute, and that of the result."""
    result = as_dtype(wanted) if wanted is not None else dtype if dtype.is_float else F64
    return (F32 if result is F16 else result), result


@implements(np.mean)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    array = as_array(a)
    plan = Plan(array, axis, True if where is _NO_VALUE else where)
    compute, result_type = _float_type(array.element_type, dtype)
    average = _average_of(plan, convert(plan.element(), compute), "np.mean")
    return _finished(plan, average, result_type, keepdims, out)


def _average_of(plan: Plan, body: Expr, label: str, less: Any = 0) -> Any:
    """The sum of `body` divided by the number of elements (less the degrees of freedom)."""
    total = plan.reduce("add", body, label)
    return ufuncs.call(np.true_divide, (total, _divisor(plan, body.dtype, less)))


def _divisor(plan: Plan, dtype: DType, less: Any) -> Any:
    if plan.mask is not None:
        ones = plan.reduce("add", build.const(1, dtype), "count")
        return ones if is_number(less) and less == 0 else _at_least_zero(ones - less)
    count: Any = plan.count
    if not isinstance(count, int):
        value = active().value((), build.cast(count, dtype), "count")
        return value if is_number(less) and less == 0 else _at_least_zero(value - less)
    divisor: Any = max(count - less, 0) if is_number(less) else count - less
    return (
        active().value((), build.const(divisor, dtype), "count") if is_number(divisor) else divisor
    )


def _at_least_zero(value: Any) -> Any:
    return ufuncs.call(np.maximum, (value, 0))


def _variance(
    a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any
) -> Any:
    """Two passes: the mean, then the mean of the squared distances from it."""
    array = as_array(a)
    compute, result_type = _float_type(array.element_type, dtype)
    mask = True if where is _NO_VALUE else where
    plan = Plan(array, axis, mask)
    if _given(mean):
        center = cast_to(as_array(mean), compute)
    else:
        average = _average_of(plan, convert(plan.element(), compute), "np.var")
        center = plan.keep(average, True)
    distance = ufuncs.call(np.subtract, (cast_to(array, compute), center))
    squares = Plan(distance, axis, mask)
    element = squares.element()
    less = correction if _given(correction) else ddof
    result = _average_of(squares, build.mul(element, element), "np.var", less)
    return squares.keep(cast_to(result, result_type), keepdims)


def _spread(finish: Callable[[Any], Any]) -> Callable[..., Any]:
    """``np.var``, or what `finish` makes of it."""

    def run(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        *,
        where: Any = True,
        mean: Any = _NO_VALUE,
        correction: Any = _NO_VALUE,
    ) -> Any:
        from tilewright.compiler.trace.dispatch import write_out

        compute, result_type = _float_type(as_array(a).element_type, dtype)
        variance = _variance(a, axis, compute, ddof, keepdims, where, mean, correction)
        result = cast_to(finish(variance), result_type)
        return result if out is None else write_out(result, out)

    return run


var = implements(np.var)(_spread(lambda variance: variance))
std = implements(np.std)(_spread(lambda variance: ufuncs.call(np.sqrt, (variance,))))


def _position(combiner: str, name: str) -> Callable[..., Any]:
    def run(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        array = as_array(a)
        plan = Plan(array, None if axis is None else as_axis(axis, array.rank))
        if any(array.sizes[g] == 0 for g in plan.gone if _is_int(array.sizes[g])):
            raise failure(ShapeError, f"attempt to get {name} of an empty sequence")
        sizes = (array.sizes[g] for g in plan.gone)
        active().must_not_be_empty(sizes, f"attempt to get {name} of an empty sequence")
        key = plan.element()
        if key.dtype is BOOL:
            key = build.cast(key, U8)
        return _finished(plan, plan.reduce(combiner, key, f"np.{name}"), I64, keepdims, out)

    return run


implements(np.argmax)(_position("argmax", "argmax"))
implements(np.argmin)(_position("argmin", "argmin"))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    plan = Plan(as_array(a), axis)
    few = isinstance(plan.count, int) and plan.count < 1 << 31  # then 32 bits hold every count
    body = build.cast(truth(plan.element()), I32 if few else I64)
    total = plan.reduce("add", body, "np.count_nonzero")
    return plan.keep(cast_to(total, I64), keepdims)
