"""Sizes at run time: open dimensions are bound by the arguments' shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.ir.expr import Expr, Size, Var


def evaluate(size: Size, symbols: Mapping[Var, int]) -> int:
    """The value of a size under the given open dimensions."""
    if isinstance(size, int):
        return size
    return _value(size, symbols)


def _value(node: Expr, symbols: Mapping[Var, int]) -> int:
    from tilewright.ir.expr import Apply, Const, Var  # for open dimensions only

    match node:
        case Const():
            return int(node.value)
        case Var():
            return symbols[node]
        case Apply():
            operands = [_value(o, symbols) for o in node.operands]
            return int(node.op.reference(*operands))
        case _:
            raise AssertionError(f"{type(node).__name__} in a size")


def bind_symbols(
    shapes: Sequence[tuple[Size, ...]], actual: Sequence[tuple[int, ...]], names: Sequence[str]
) -> dict[Var, int]:
    """The open dimensions' values, from the arguments' shapes.

    A dimension that occurs several times must have one value, and at least its least one.
    """
    from tilewright.ir.errors import ShapeError
    from tilewright.ir.expr import Var

    found: dict[Var, tuple[int, str]] = {}
    for shape, given, name in zip(shapes, actual, names, strict=True):
        for axis, (size, value) in enumerate(zip(shape, given, strict=True)):
            if not isinstance(size, Var):
                continue
            known, where = found.setdefault(size, (value, f"axis {axis} of {name}"))
            if known != value:
                raise ShapeError(
                    f"dimension {size.name} is {known} (by {where}) and {value}"
                    f" (by axis {axis} of {name})"
                )
            if size.least is not None and value < size.least:
                raise ShapeError(f"dimension {size.name} is {value}, but at least {size.least}")
    return {symbol: value for symbol, (value, _) in found.items()}
