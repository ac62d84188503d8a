"""What one operation does to NumPy values: the ground that the interpreters stand on.

In: an expression, and values of what it reads (scalars, or arrays that broadcast together).
Out: its value, of exactly the dtype that the node has; an index is an int64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.ir import ops
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Var, post_order
from tilewright.ir.ops import Op

Array = Any  # a NumPy array or scalar
Read = Callable[[Load | LaneReduce, tuple[Array, ...]], Array]

UFUNCS: Mapping[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "fmin": np.fmin,
    "fmax": np.fmax,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
"""What combiners do."""


def constant(node: Const) -> Array:
    """A literal as a NumPy scalar."""
    with np.errstate(all="ignore"):
        return node.dtype.numpy.type(node.value)


def apply_operation(node: Apply, operands: Sequence[Array]) -> Array:
    """The value of `node` for values of its operands."""
    target = node.dtype.numpy
    if node.op is ops.CAST:
        return ops.convert(operands[0], target)
    if node.op is ops.BITCAST:
        return np.asarray(operands[0]).view(target)
    result = node.op.reference(*operands)
    if result.dtype != target:
        raise IRError(f"{node.op.name} gave {result.dtype} where the node has {node.dtype}")
    return result


def evaluate(roots: Sequence[Expr], variables: Mapping[Var, Array], read: Read) -> list[Array]:
    """The values of `roots`; each node is evaluated once."""
    done: dict[Expr, Array] = {}
    for node in post_order(roots):
        match node:
            case Const():
                done[node] = constant(node)
            case Var():
                if node not in variables:
                    raise IRError(f"variable {node.name} has no value here")
                done[node] = variables[node]
            case Apply():
                done[node] = apply_operation(node, [done[o] for o in node.operands])
            case Load() | LaneReduce():
                done[node] = read(node, tuple(done[o] for o in node.operands))
            case _:
                raise IRError(f"{type(node).__name__} cannot be interpreted")
    return [done[root] for root in roots]


def size_value(size: Size, variables: Mapping[Var, Array]) -> int:
    """A dimension or an extent as a number; a size reads no memory."""
    if isinstance(size, int):
        return size
    return int(evaluate((size,), variables, reads_nothing)[0])


def shape_value(shape: Sequence[Size], variables: Mapping[Var, Array]) -> tuple[int, ...]:
    return tuple(size_value(size, variables) for size in shape)


def reads_nothing(node: Load | LaneReduce, _: tuple[Array, ...]) -> Array:
    """For expressions that may not read memory."""
    raise IRError(f"a size reads {node.source.name}")


def halve(op: Op, row: np.ndarray) -> Array:
    """All elements of a row combined as `LaneReduce` says: halves onto each other."""
    values = row.copy()
    count = len(values)
    if count == 0:
        raise IRError(f"lanes.{op.name} of an empty row")
    while count > 1:
        half = (count + 1) // 2
        values[: count - half] = op.reference(values[: count - half], values[half:count])
        count = half
    return values[0]


def bind_symbols(
    shapes: Sequence[tuple[Sequence[Size], Sequence[int], str]], given: Mapping[Var, Array]
) -> dict[Var, Array]:
    """Values of the open dimensions that declared shapes and actual ones agree on.

    `shapes` are (declared, actual, name). A declared size that is an expression is checked once
    its variables are known.
    """
    values = dict(given)
    for declared, actual, name in shapes:
        if len(declared) != len(actual):
            raise IRError(f"{name} has rank {len(declared)}, its array {len(actual)}")
        for size, number in zip(declared, actual, strict=True):
            if isinstance(size, Var):
                values.setdefault(size, np.int64(number))
    for declared, actual, name in shapes:
        expected = shape_value(declared, values)
        if expected != tuple(actual):
            raise IRError(f"{name} has shape {expected}, its array {tuple(actual)}")
    return values
