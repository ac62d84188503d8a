"""Rules of expressions, sizes and axes, at every level."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import NoReturn

import numpy as np

from tilewright.ir.dtypes import BOOL, INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Source, Var, post_order
from tilewright.ir.graph import COMBINERS, Tensor
from tilewright.ir.kernel import Buffer

Readable = Callable[[Source], str | None]


def broken(message: str, *where: str) -> NoReturn:
    """Raise for IR that breaks a rule; `where` are the places, innermost first."""
    raise IRError(message, notes=[(place, None) for place in where])


def check_expressions(
    roots: Sequence[Expr],
    variables: Container[Var],
    readable: Readable,
    checked: set[Expr] | None = None,
) -> None:
    """Variables are known, sources readable, indices of dtype index, literals of their dtype.

    `readable` says why a source may not be read, or None. Nodes in `checked` (which grows) have
    been looked at where the same variables and sources were known.
    """
    for node in post_order(roots):
        if checked is not None:
            if node in checked:
                continue
            checked.add(node)
        match node:
            case Var():
                if node not in variables:
                    broken(f"variable {node.name} is used where it has no value")
            case Const():
                _check_literal(node)
            case Load() | LaneReduce():
                _check_access(node.source, node.indices, readable)
                if isinstance(node, LaneReduce):
                    _check_lanes(node)
            case Apply():
                pass
            case _:
                broken(f"{type(node).__name__} is no node of the expression language")


def check_indices(indices: Iterable[Expr], name: str) -> None:
    for position in indices:
        if position.dtype is not INDEX:
            broken(f"an index into {name} has dtype {position.dtype}, not index")


def _check_access(source: Source, indices: Sequence[Expr], readable: Readable) -> None:
    reason = readable(source)
    if reason is not None:
        broken(reason)
    check_indices(indices, source.name)


def _check_lanes(node: LaneReduce) -> None:
    source = node.source
    if not isinstance(source, Buffer) or source.space != "register":
        broken(f"lanes.{node.op.name} of {source.name}, which is no register")
    if not isinstance(source.shape[-1], int) or source.shape[-1] < 1:
        broken(f"lanes.{node.op.name} of {source.name}, whose rows have no known length")
    combining = {c.op for c in COMBINERS.values()}
    if node.op not in combining or node.dtype.kind not in node.op.domain:
        broken(f"{node.op.name} cannot combine lanes of {node.dtype}")


def _check_literal(node: Const) -> None:
    value, dtype = node.value, node.dtype
    if dtype is BOOL or isinstance(value, (bool, np.bool_)):
        if dtype is not BOOL or not isinstance(value, bool):
            broken(f"the literal {value!r} has dtype {dtype}")
    elif dtype.is_float:
        with np.errstate(all="ignore"):
            rounded = float(dtype.numpy.type(value))
        if rounded != value and value == value:
            broken(f"the literal {value!r} is not a {dtype}")
    elif not isinstance(value, int) or not dtype.min <= value <= dtype.max:
        broken(f"the literal {value!r} is not a {dtype}")


def check_size(size: Size, variables: Container[Var], what: str) -> None:
    """A size is a number from 0 up, or an index expression that reads nothing."""
    if isinstance(size, int):
        if size < 0:
            broken(f"{what} is negative: {size}")
        return
    if size.dtype is not INDEX:
        broken(f"{what} has dtype {size.dtype}, not index")
    check_expressions((size,), variables, lambda s: f"{what} depends on the contents of {s.name}")


def check_shape(shape: Sequence[Size], variables: Container[Var], name: str) -> None:
    for axis, size in enumerate(shape):
        check_size(size, variables, f"dimension {axis} of {name}")


def check_axes(axes: Sequence[Var], variables: set[Var]) -> set[Var]:
    """`variables` and the axes; an axis has an extent, is new, and is of dtype index."""
    known = set(variables)
    for axis in axes:
        if axis in known:
            broken(f"axis {axis.name} is bound already")
        if axis.extent is None:
            broken(f"axis {axis.name} has no extent")
        if axis.dtype is not INDEX:
            broken(f"axis {axis.name} has dtype {axis.dtype}, not index")
        check_size(axis.extent, known, f"the extent of axis {axis.name}")
        known.add(axis)
    return known


def check_combiner(combiner: str, value: Expr) -> None:
    """A combiner of the table that is defined on the value's dtype."""
    found = COMBINERS.get(combiner)
    if found is None:
        broken(f"unknown combiner {combiner!r}")
    if found.op is not None and value.dtype.kind not in found.op.domain:
        broken(f"combiner {combiner} is not defined on {value.dtype}")


def only_tensors(source: Source) -> str | None:
    return None if isinstance(source, Tensor) else f"a graph reads {source.name}, which is a buffer"
