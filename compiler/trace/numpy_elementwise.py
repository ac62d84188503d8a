"""NumPy functions that work element by element and are not ufuncs, or not plain ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.binary_search import position_of
from tilewright.compiler.trace.dispatch import dispatch, implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.fitting import converted
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.masks import positions
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_dtype,
    as_int,
    broadcast_sizes,
    cast_to,
    convert,
    elementwise,
    is_number,
    literal,
    result_dtype,
    truth,
)
from tilewright.compiler.trace.positions import inside, require_element
from tilewright.compiler.trace.ufuncs import is_weak
from tilewright.compiler.trace.weak import element
from tilewright.ir import build, ops
from tilewright.ir.analysis.size_proofs import at_most, size_max
from tilewright.ir.dtypes import BOOL, F64, I64, INDEX, DType
from tilewright.ir.errors import DTypeError, ShapeError
from tilewright.ir.expr import Expr, Var


def select_elements(
    conditions: Sequence[Any], choices: Sequence[Any], default: Any, label: str
) -> Any:
    """The choice of the first condition that holds, element by element."""
    values = [as_array_or_number(v) for v in (*choices, default)]
    tests = [as_array(c) for c in conditions]
    dtype = _common_dtype(values)
    arrays = [v for v in (*tests, *values) if isinstance(v, Handle) and v.sizes]
    sizes = broadcast_sizes(arrays)
    axes = active().axes(sizes)
    *options, body = (_element(v, dtype, axes) for v in values)
    for test, option in zip(reversed(tests), reversed(options), strict=True):
        body = build.select(truth(test.broadcast_element(axes)), option, body)
    return active().value(axes, body, label, sizes)


def _common_dtype(values: Sequence[Any]) -> DType:
    if all(is_weak(v) for v in values):
        if all(isinstance(v, bool) for v in values):
            return BOOL
        return F64 if any(element(v).dtype.is_float for v in values) else I64
    return result_dtype(values)


def _element(value: Any, dtype: DType, axes: tuple[Var, ...]) -> Expr:
    if isinstance(value, Handle):
        return converted(value, value.broadcast_element(axes), dtype)
    return literal(value, dtype)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        return positions(condition)
    return select_elements((condition,), (x,), y, "np.where")


@implements(np.nonzero)
def nonzero(a: Any) -> Any:
    return positions(a)


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return positions(dispatch(np.reshape, (a, -1), {}))[0]


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise failure(ShapeError, "np.select needs as many choices as conditions")
    return select_elements(condlist, choicelist, default, "np.select")


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    array = as_array(a)
    options = list(choices)
    if mode == "raise":
        axes = active().axes(array.sizes)
        place = build.cast(array.element(axes), INDEX)
        made = inside(place, len(options), 0, axes, wraps=False)
        array = active().value(axes, build.cast(made, I64), "np.choose", array.sizes)
    if mode == "wrap":
        array = array % len(options)
    tests = [ufuncs.call(np.less_equal, (array, n)) for n in range(len(options) - 1)]
    result = select_elements(tests, options[:-1], options[-1], "np.choose")
    return result if out is None else write_out(result, out)


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    dtype: Any = None,
) -> Any:
    low = a_min if a_min is not None else min
    high = a_max if a_max is not None else max
    result = as_array(a) if dtype is None else cast_to(as_array(a), as_dtype(dtype))
    if low is not None:
        result = _bounded(np.maximum, result, low)
    if high is not None:
        result = _bounded(np.minimum, result, high)
    return result if out is None else write_out(result, out)


def _bounded(ufunc: np.ufunc, array: Handle, bound: Any) -> Any:
    """The bound, or nothing where an integer dtype cannot exceed a Python int anyway."""
    dtype = array.element_type
    if is_number(bound) and isinstance(bound, int) and dtype.kind in "iu":
        idle = bound <= dtype.min if ufunc is np.maximum else bound >= dtype.max
        return array if idle else ufuncs.call(ufunc, (array, bound))
    return ufuncs.call(ufunc, (array, bound))


@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0, out: Any = None) -> Any:
    array = as_array(a)
    digits = as_int(decimals, "the number of decimals")
    if array.element_type is BOOL and digits:
        raise failure(DTypeError, "bools cannot be rounded to decimals", help="x.astype(float)")
    if array.element_type.is_integer:
        result = array if digits >= 0 else _rounded_to_tens(array, 10.0**-digits)
    elif digits == 0:
        result = ufuncs.call(np.rint, (array,))
    else:
        scale, back = (np.multiply, np.true_divide) if digits > 0 else (np.true_divide, np.multiply)
        factor = 10.0 ** abs(digits)
        whole = ufuncs.call(np.rint, (ufuncs.call(scale, (array, factor)),))
        result = ufuncs.call(back, (whole, factor))
    return result if out is None else write_out(result, out)


def _rounded_to_tens(array: Any, factor: float) -> Any:
    """Integers rounded by way of float64, as NumPy rounds them."""
    scaled = ufuncs.call(np.true_divide, (array, factor))
    whole = ufuncs.call(np.multiply, (ufuncs.call(np.rint, (scaled,)), factor))
    return cast_to(cast_to(whole, I64), array.element_type)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    result = ufuncs.call(np.trunc, (x,))
    return result if out is None else write_out(result, out)


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    array = as_array(x)
    dtype = array.element_type
    if not dtype.is_float:
        return array
    limits = np.finfo(dtype.numpy)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    infinite = ufuncs.call(np.isinf, (array,))
    positive = ufuncs.call(np.greater, (array, 0))
    tests = (
        ufuncs.call(np.isnan, (array,)),
        ufuncs.call(np.logical_and, (infinite, positive)),
        infinite,
    )
    made = cast_to(select_elements(tests, (nan, high, low), array, "np.nan_to_num"), dtype)
    return made if copy or not array.sizes else write_out(made, array)


@implements(np.real, np.real_if_close)
def real(val: Any) -> Any:
    return as_array(val)


@implements(np.imag)
def imag(val: Any) -> Any:
    return dispatch(np.zeros_like, (val,), {})


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return dispatch(np.ones_like, (x,), {"dtype": np.bool_})


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return dispatch(np.zeros_like, (x,), {"dtype": np.bool_})


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    result = ufuncs.call(np.equal, (x, math.inf))
    return result if out is None else write_out(result, out)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    result = ufuncs.call(np.equal, (x, -math.inf))
    return result if out is None else write_out(result, out)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    array = as_array(x)
    angle = ufuncs.call(np.multiply, (array, math.pi))
    ratio = ufuncs.call(np.true_divide, (ufuncs.call(np.sin, (angle,)), angle))
    return dispatch(np.where, (angle == 0, 1, ratio), {})


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Of real numbers: 0 or pi."""
    made = ufuncs.call(np.arctan2, (0, z))
    return ufuncs.call(np.multiply, (made, 180 / math.pi)) if deg else made


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1.0e-5, atol: Any = 1.0e-8, equal_nan: bool = False) -> Any:
    left, right = as_array(a), as_array(b)
    if not right.element_type.is_float:
        right = cast_to(right, F64)
    gap = ufuncs.call(np.absolute, (left - right,))
    near = gap <= atol + rtol * ufuncs.call(np.absolute, (right,))
    result = (near & ufuncs.call(np.isfinite, (right,))) | (left == right)
    if equal_nan:
        result = result | (ufuncs.call(np.isnan, (left,)) & ufuncs.call(np.isnan, (right,)))
    return result


@implements(np.allclose)
def allclose(
    a: Any, b: Any, rtol: Any = 1.0e-5, atol: Any = 1.0e-8, equal_nan: bool = False
) -> Any:
    return dispatch(np.all, (isclose(a, b, rtol, atol, equal_nan),), {}).as_plain()


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    left, right = as_array(a1), as_array(a2)
    if left.shape != right.shape:
        return False
    same = left == right
    if equal_nan and left.element_type.is_float:
        same = same | (ufuncs.call(np.isnan, (left,)) & ufuncs.call(np.isnan, (right,)))
    return dispatch(np.all, (same,), {}).as_plain()


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    try:
        same = ufuncs.call(np.equal, (a1, a2))
    except ShapeError:
        return False
    return dispatch(np.all, (same,), {}).as_plain()


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear through (xp, fp), found by binary search; in float64 as in NumPy."""
    points, knots, levels = (cast_to(as_array(v), F64) for v in (x, xp, fp))
    if period is not None:
        points, knots, levels = _periodic(points, knots, levels, abs(period))
        left = right = None
    if knots.rank != 1 or levels.rank != 1 or knots.shape != levels.shape:
        raise failure(ShapeError, "xp and fp of np.interp need one dimension and one length")
    if knots.sizes[0] == 0:
        raise failure(ShapeError, "array of sample points is empty")
    last = build.index(size_max(build.size_sub(knots.sizes[0], 1), 0))
    if not at_most(1, knots.sizes[0]):
        require_element((), knots.sizes[0], 0)

    def rule(at: Expr) -> Expr:
        after = position_of(knots, at, right_side=True)
        low = build.maximum(build.sub(after, build.index(1)), build.index(0))
        high = build.minimum(after, last)
        x0, x1 = knots.element((low,)), knots.element((high,))
        y0, y1 = levels.element((low,)), levels.element((high,))
        slope = build.apply(ops.DIV, build.sub(y1, y0), build.sub(x1, x0))
        between = build.add(build.mul(slope, build.sub(at, x0)), y0)
        exact = build.logical_and(build.lt(low, high), build.apply(ops.NE, at, x0))
        inside = build.select(exact, between, y0)
        first = levels.element((build.index(0),)) if left is None else _constant(left)
        end = levels.element((last,)) if right is None else _constant(right)
        result = build.select(build.lt(at, knots.element((build.index(0),))), first, inside)
        beyond = build.apply(ops.GT, at, knots.element((last,)))
        result = build.select(beyond, end, result)
        if knots.sizes[0] == 1:
            return result  # NumPy does not look for NaN there
        return build.select(build.apply(ops.ISNAN, at), at, result)

    return elementwise("np.interp", rule, (points,))


def _periodic(points: Any, knots: Any, levels: Any, period: Any) -> tuple[Any, Any, Any]:
    """All within one period, the knots in order and with a neighbour on either side."""
    points, knots = as_array(points % period), as_array(knots % period)
    order = dispatch(np.argsort, (knots,), {})
    knots, levels = knots[order], levels[order]
    parts = ([knots[-1:] - period, knots, knots[:1] + period], [levels[-1:], levels, levels[:1]])
    around = (dispatch(np.concatenate, (part,), {}) for part in parts)
    return points, *around


def _constant(value: Any) -> Expr:
    return convert(as_array(value).element(()), F64)


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    tested = dispatch(np.reshape, (as_array(test_elements), -1), {})
    found = dispatch(np.any, (as_array(element)[..., None] == tested,), {"axis": -1})
    return ufuncs.call(np.logical_not, (found,)) if invert else found


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Every function is evaluated everywhere."""
    array = as_array(x)
    values = [f(array, *args, **kw) if callable(f) else f for f in funclist]
    tests = list(condlist)
    default = values[len(tests)] if len(values) > len(tests) else 0
    pairs = list(zip(tests, values, strict=False))[::-1]  # the last condition that holds wins
    chosen = select_elements([t for t, _ in pairs], [v for _, v in pairs], default, "np.piecewise")
    return cast_to(chosen, array.element_type)
