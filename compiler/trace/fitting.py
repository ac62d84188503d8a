"""Python numbers as elements of an array's dtype, which an int must fit: NumPy's OverflowError.

An int argument is tested by the host before each run, what is computed from it after the run.
"""

from __future__ import annotations

from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active, convert
from tilewright.ir.dtypes import I64, INDEX, DType
from tilewright.ir.expr import Expr, Load
from tilewright.ir.graph import Input


def converted(value: Handle, element: Expr, dtype: DType) -> Expr:
    """`element` of `value` in `dtype`; a weak int that may not fit is tested."""
    if value.weak and dtype.kind in "iu" and dtype is not I64:
        _require_fit(element, dtype)
    return convert(element, dtype)


def as_element(number: Handle, dtype: DType) -> Handle:
    """A Python number as an array of rank 0."""
    return active().value((), converted(number, number.element(()), dtype), "scalar")


def _require_fit(number: Expr, dtype: DType) -> None:
    if number.dtype.is_float:
        return
    from tilewright.ir.analysis.tensor_ranges import bounds

    least, most = bounds(number)
    if most is None and number.dtype is INDEX and dtype.bits >= 32:
        most = dtype.max  # no axis is that long
    if least is not None and most is not None and dtype.min <= least and most <= dtype.max:
        return
    source = number.source if isinstance(number, Load) else None
    if isinstance(source, Input) and source.label == "int argument":
        active().must_fit(source.name, dtype)
        return
    from tilewright.compiler.trace.positions import add_check

    wraps = dtype.kind == "i"
    size = 1 << (min(dtype.bits, 63) - (1 if wraps else 0))
    add_check(number, min(size, I64.max), 0, wraps=wraps, kind="fits")
