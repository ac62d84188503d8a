"""Arithmetic among Python numbers, some of which are known at run time only.

Scalar arguments, index variables and open dimensions stay Python numbers: int with int is int,
division gives a float, and a comparison a bool. They are carried as index expressions while they
fit, as int64, or as float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufunc_rules, ufuncs
from tilewright.compiler.trace.failures import failure, values_needed
from tilewright.compiler.trace.handles import Formula, Handle
from tilewright.compiler.trace.operands import active, is_symbolic, scalar_arguments, truth
from tilewright.ir import build, ops
from tilewright.ir.analysis.polynomials import polynomial
from tilewright.ir.analysis.size_proofs import at_most, below, same_size
from tilewright.ir.analysis.tensor_ranges import bounds
from tilewright.ir.dtypes import BOOL, F64, I64, INDEX
from tilewright.ir.errors import TraceError
from tilewright.ir.expr import Expr, Var, post_order

_COMPARISONS: dict[np.ufunc, tuple[Callable[[Expr, Expr], bool], Callable[[Expr, Expr], bool]]] = {
    # For each: what proves it true, and what proves it false.
    np.equal: (same_size, lambda a, b: below(a, b) or below(b, a)),
    np.not_equal: (lambda a, b: below(a, b) or below(b, a), same_size),
    np.less: (below, lambda a, b: at_most(b, a)),
    np.less_equal: (at_most, lambda a, b: below(b, a)),
    np.greater: (lambda a, b: below(b, a), at_most),
    np.greater_equal: (lambda a, b: at_most(b, a), below),
}
_FLOAT_RESULT = {np.true_divide}
_LOGIC = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)


def element(value: Any) -> Expr:
    """A number or weak handle as an expression; a bool is an int."""
    if isinstance(value, Handle):
        expr = value.element(())
        return build.cast(expr, I64) if expr.dtype is BOOL else expr
    if isinstance(value, bool):
        return build.const(int(value), INDEX)
    if isinstance(value, float):
        return build.const(value, F64)
    fits = -(1 << 31) <= value < (1 << 31)
    return build.const(value, INDEX if fits else I64)


def weak_operation(ufunc: np.ufunc, *operands: Any) -> Any:
    """A Python operator on Python numbers and bools; the result is one too."""
    if ufunc in _LOGIC and all(map(_is_bool, operands)):
        return ufuncs.call(ufunc, operands).as_plain()
    if ufunc is np.power:
        return _power(*operands)
    parts = [element(o) for o in operands]
    if ufunc in _COMPARISONS:
        return _compare(ufunc, operands, parts)
    parts = _common(parts, floats=ufunc in _FLOAT_RESULT)
    result = ufunc_rules.RULES[ufunc](*parts)
    if isinstance(result, tuple):
        return tuple(_number(r) for r in result)
    return _number(result)


def _common(parts: list[Expr], *, floats: bool = False) -> list[Expr]:
    if floats or any(p.dtype.is_float for p in parts):
        return [build.cast(p, F64) for p in parts]
    if all(p.dtype is INDEX for p in parts):
        return parts
    return [build.cast(p, I64) for p in parts]


def _number(expr: Expr) -> Any:
    """An expression as a Python number, known if it is a literal."""
    if expr.dtype is INDEX:
        least, most = bounds(expr)
        overflows = most is not None and most >= 1 << 31
        if overflows or (least is not None and least < -(1 << 31)):
            expr = _widened(expr)
        else:
            known = polynomial(expr).constant
            if known is not None:
                return known
    return active().weak(expr)


def _widened(expr: Expr) -> Expr:
    """The same operation in 64 bits: an index may have only 32."""
    op = getattr(expr, "op", None)
    if op is None:
        return build.cast(expr, I64)
    return build.apply(op, *(build.cast(o, I64) for o in expr.operands))


def _compare(ufunc: np.ufunc, operands: tuple[Any, ...], parts: list[Expr]) -> Any:
    left, right = _common(parts)
    if all(not isinstance(o, Handle) or is_symbolic(o) for o in operands):
        proves, refutes = _COMPARISONS[ufunc]
        if proves(left, right):
            return True
        if refutes(left, right):
            return False
    result = ufunc_rules.RULES[ufunc](left, right)
    answer = active().wrap(Formula((), result), (), BOOL)
    return answer if _varies(result) else answer.as_plain()


def _is_bool(value: Any) -> bool:
    return value.plain if isinstance(value, Handle) else isinstance(value, bool)


def _varies(expr: Expr) -> bool:
    """Whether index variables are compared: undecorated they are arrays, and the answers too."""
    counters = active().counters
    return any(
        isinstance(n, Var) and n.extent is not None and n not in counters
        for n in post_order((expr,))
    )


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, Handle) and not exponent.element_type.is_float:
        names = scalar_arguments(exponent)
        if names:
            raise values_needed(names)
    left, right = element(base), element(exponent)
    if not isinstance(exponent, Handle) and isinstance(exponent, int) and not left.dtype.is_float:
        if exponent < 0:
            return _number(build.apply(ops.POW, build.cast(left, F64), build.const(exponent, F64)))
        return _number(ufunc_rules.power(left, build.const(exponent, left.dtype)))
    if not left.dtype.is_float and not right.dtype.is_float:
        raise failure(
            TraceError,
            "a power of Python ints with an exponent from an index is not supported",
            help="use np.power on arrays, or make one of them a float",
        )
    return _number(ufunc_rules.power(build.cast(left, F64), build.cast(right, F64)))


def to_float(value: Any) -> Any:
    """``float(value)`` of a traced number."""
    return active().weak(build.cast(_single(value, "float"), F64))


def to_int(value: Any) -> Any:
    """``int(value)`` of a traced number: truncated."""
    expr = _single(value, "int")
    if expr.dtype is INDEX:
        return value
    return active().weak(build.cast(expr, I64))


def to_bool(value: Any) -> Any:
    """``bool(value)`` of a traced number, still traced."""
    return active().value((), truth(_single(value, "bool")), "bool").as_plain()


CONVERSIONS: dict[type, Callable[[Any], Any]] = {float: to_float, int: to_int, bool: to_bool}


def _single(value: Any, name: str) -> Expr:
    """The one element of `value`."""
    if any(not isinstance(s, int) or s != 1 for s in value.sizes):
        raise failure(
            TraceError,
            f"{name}() takes an array of one element, not one of shape {value.shape}",
            help="reduce it or index it first, or convert with x.astype",
        )
    element: Expr = value.element([build.index(0)] * value.rank)
    return element
