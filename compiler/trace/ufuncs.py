"""NumPy ufuncs called on traced arrays: promotion, broadcasting, ``out``, ``where``, ``dtype``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import IMPLEMENTATIONS, unsupported, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.fitting import converted
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_dtype,
    broadcast_sizes,
    cast_to,
    convert,
    is_number,
    is_symbolic,
    literal,
    promotion_key,
    resolve_ufunc,
)
from tilewright.compiler.trace.ufunc_rules import RULES
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, I8, I64, INDEX, U64, DType
from tilewright.ir.errors import DTypeError, TraceError
from tilewright.ir.expr import Expr, Var

_VERBS = {"add": "add", "subtract": "subtract", "multiply": "multiply", "true_divide": "divide"}
_COMPARISONS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def is_weak(value: Any) -> bool:
    """Whether `value` is a Python number, known or traced."""
    return value.weak if isinstance(value, Handle) else is_number(value)


def operate(ufunc: np.ufunc, *operands: Any) -> Any:
    """What a Python operator does: among Python numbers it stays one, else it is the ufunc."""
    if all(is_weak(o) or (isinstance(o, Handle) and o.plain) for o in operands):
        from tilewright.compiler.trace.weak import weak_operation

        return weak_operation(ufunc, *operands)
    if all(not isinstance(o, Handle) or o.known() is not None for o in operands):
        from tilewright.compiler.trace.dispatch import fold

        return fold(ufunc, operands, {})
    if ufunc is np.power and is_number(operands[1]):
        quick = _quick_power(*operands)
        if quick is not None:
            return quick
    return call(ufunc, operands)


def _quick_power(base: Any, exponent: Any) -> Any:
    """``x ** 0.5`` and ``x ** -1`` of floats, and ``x ** 2`` of bools, by other ufuncs.

    NumPy's operator does so too, and not np.power: the square of a bool is an int8.
    """
    if not isinstance(base, Handle):
        return None
    if base.element_type is BOOL and base.is_array and exponent == 2 and type(exponent) is int:
        return cast_to(base, I8)
    if not base.element_type.is_float:
        return None
    if exponent == 0.5:
        return call(np.sqrt, (base,))
    if exponent == -1:
        return call(np.reciprocal, (base,))
    return None


def call(
    ufunc: np.ufunc,
    inputs: Sequence[Any],
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    """``ufunc(*inputs)``."""
    rule = RULES.get(ufunc)
    if rule is None:
        raise unsupported(ufunc)
    operands = [_operand(v) for v in inputs]
    decided = _outside(ufunc, operands) if ufunc in _COMPARISONS else None
    *loop, result = _loop_dtypes(ufunc, operands, dtype, casting)
    if where is not True:
        operands.append(as_array(where))
    arrays = [o for o in operands if isinstance(o, Handle)]
    action = _VERBS.get(ufunc.__name__, "broadcast together")
    sizes = broadcast_sizes([a for a in arrays if a.sizes], action)
    tracer = active()
    axes = tracer.axes(sizes)
    if decided is None:
        value = rule(*(_element(o, d, axes) for o, d in zip(operands, loop, strict=False)))
    else:
        value = decided
    label = f"np.{ufunc.__name__}"
    if where is True:
        results = value if isinstance(value, tuple) else (value,)
        made = [tracer.value(axes, build.cast(r, result), label, sizes) for r in results]
    else:
        made = [_masked(value, result, operands[-1], out, axes, label)]
    answer = tuple(made) if isinstance(value, tuple) else made[0]
    target = _only(out)
    return answer if target is None else write_out(answer, target)


def _only(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


def _operand(value: Any) -> Any:
    if is_number(value) or (isinstance(value, Handle) and value.weak):
        return value
    return as_array(value)


def _loop_dtypes(ufunc: np.ufunc, operands: Sequence[Any], dtype: Any, casting: str) -> list[DType]:
    """The dtype of each operand's elements in the loop, then that of the (first) result."""
    if ufunc in _COMPARISONS and _mixes_ints(operands):
        return [*_comparison_dtypes(operands), BOOL]
    keys = tuple(promotion_key(o) for o in operands)
    if all(k is int or k is float for k in keys):  # a function of Python numbers: NumPy's defaults
        keys = tuple(np.dtype(np.int64 if k is int else np.float64) for k in keys)
    wanted = None if dtype is None else as_dtype(dtype)
    loop = list(resolve_ufunc(ufunc, keys, wanted, casting)[: ufunc.nin + 1])
    if ufunc is np.ldexp:
        loop[1] = I64
    return loop


def _mixes_ints(operands: Sequence[Any]) -> bool:
    """Whether a Python int is compared with integers: then NumPy compares the true values."""
    kinds = [promotion_key(o) for o in operands]
    return any(k is int for k in kinds) and all(
        k is int or getattr(k, "kind", "") in "iub" for k in kinds
    )


def _comparison_dtypes(operands: Sequence[Any]) -> list[DType]:
    """In the array's dtype with a number that fits, else in 64 bits."""
    array = next((o for o in operands if not is_weak(o)), None)
    if array is None:
        return [I64, I64]
    number = next(o for o in operands if is_weak(o))
    dtype: DType = array.element_type
    if not isinstance(number, Handle):
        return [I64 if dtype is BOOL else dtype] * 2
    from tilewright.compiler.trace.weak import element
    from tilewright.ir.analysis.tensor_ranges import bounds

    least, most = bounds(element(number))
    fits = least is not None and most is not None and dtype.min <= least and most <= dtype.max
    if fits and dtype is not BOOL:
        return [dtype, dtype]
    return [U64 if o is array and dtype is U64 else I64 for o in operands]


def _outside(ufunc: np.ufunc, operands: Sequence[Any]) -> Expr | None:
    """The answer of a comparison with a Python int that no element can equal, or None."""
    for place, number in enumerate(operands):
        if isinstance(number, Handle) or not isinstance(number, int):
            continue
        array = operands[1 - place]
        dtype = array.element_type if isinstance(array, Handle) else I64
        if dtype.is_float or dtype.min <= number <= dtype.max:
            return None
        above = (number > dtype.max) == (place == 1)  # the left operand is below the right one
        return build.const(ufunc in (_IF_BELOW if above else _IF_ABOVE), BOOL)
    return None


_IF_BELOW: tuple[np.ufunc, ...] = (np.not_equal, np.less, np.less_equal)
_IF_ABOVE: tuple[np.ufunc, ...] = (np.not_equal, np.greater, np.greater_equal)


def _element(operand: Any, dtype: DType, axes: tuple[Var, ...]) -> Expr:
    if not isinstance(operand, Handle):
        return literal(operand, dtype)
    expr = operand.broadcast_element(axes)
    if expr.dtype is INDEX and dtype.kind in "iu" and not is_symbolic(operand):
        _check_fits(expr, dtype)
    return converted(operand, expr, dtype)


def _check_fits(expr: Expr, dtype: DType) -> None:
    """An index variable that meets a narrow integer must fit, as a Python int must."""
    if dtype.bits == 64 and dtype.kind == "i":
        return
    from tilewright.ir.analysis.tensor_ranges import bounds

    least, most = bounds(expr)
    if (least is not None and least < dtype.min) or (most is not None and most > dtype.max):
        worst = least if least is not None and least < dtype.min else most
        raise failure(
            DTypeError,
            f"an index of value {worst} does not fit {dtype}, the dtype that it is combined with",
            help="cast the array to a wider dtype with .astype",
        )


def _masked(
    value: Expr, dtype: DType, mask: Handle, out: Any, axes: tuple[Var, ...], label: str
) -> Any:
    target = _only(out)
    if not isinstance(target, Handle):
        raise failure(
            TraceError,
            f"{label} with where leaves elements undefined where it is False",
            help="pass out= with the values to keep, or use np.where(mask, result, otherwise)",
        )
    kept = build.cast(target.broadcast_element(axes), dtype)
    body = build.select(convert(mask.broadcast_element(axes), BOOL), build.cast(value, dtype), kept)
    return active().value(axes, body, label)


def outer(ufunc: np.ufunc, a: Any, b: Any, **keywords: Any) -> Any:
    """``ufunc.outer``: every element of `a` with every element of `b`."""
    left, right = as_array(a), as_array(b)
    spread = left.viewed(
        tuple(_axis(i) for i in range(left.rank)), (*left.sizes, *(1,) * right.rank)
    )
    return call(ufunc, (spread, right), **keywords)


def _axis(axis: int) -> Any:
    from tilewright.compiler.trace.views import along

    return along(axis)


def at(ufunc: np.ufunc, array: Any, indices: Any, values: Any = None) -> None:
    """``ufunc.at``: unbuffered, so that an index given twice counts twice."""
    from tilewright.compiler.trace.indexing import scatter

    combiners: dict[np.ufunc, str] = {
        np.add: "add",
        np.multiply: "mul",
        np.minimum: "min",
        np.maximum: "max",
        np.bitwise_or: "or",
        np.bitwise_and: "and",
        np.bitwise_xor: "xor",
        np.logical_or: "or",
        np.logical_and: "and",
    }
    if ufunc is np.subtract:
        if type(values) is int:  # of an unsigned dtype there is no negative Python int
            values = call(np.add, (array.dtype.type(0), values))
        at(np.add, array, indices, operate(np.negative, values))
        return
    combiner = combiners.get(ufunc)
    is_logical = ufunc in (np.logical_or, np.logical_and)
    if combiner is None or values is None or (is_logical and array.dtype != np.bool_):
        raise unsupported(ufunc.at)
    scatter(array, indices, values, combiner)


def register() -> None:
    """Enter every ufunc that has a rule in the table."""
    for ufunc in RULES:
        IMPLEMENTATIONS[ufunc] = _implementation(ufunc)


def _implementation(ufunc: np.ufunc) -> Any:
    def run(
        *inputs: Any,
        out: Any = None,
        where: Any = True,
        dtype: Any = None,
        casting: str = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        given, extra = inputs[: ufunc.nin], inputs[ufunc.nin :]
        if len(given) != ufunc.nin or len(extra) > ufunc.nout:
            raise failure(
                DTypeError,
                f"np.{ufunc.__name__} takes {ufunc.nin} arrays and {ufunc.nout} for results, "
                f"not {len(inputs)}",
            )
        if extra:
            out = extra[0] if ufunc.nout == 1 else (*extra, *[None] * (ufunc.nout - len(extra)))
        return call(ufunc, given, out, where, dtype, casting)

    return run


register()
