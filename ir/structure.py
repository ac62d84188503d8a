"""Structural equality of expressions: two expressions with the same key compute the same value.

Variables are numbered by the caller (axes by position) or stand for themselves; tensors and
buffers stand for themselves. Keys are small integers of one `Keys` object, so that shared
subexpressions cost nothing: a nested tuple would be walked again at each use.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping

from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Source, Var, post_order


class Keys:
    """Numbers expressions: equal structure, equal number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, parts: Hashable) -> int:
        """The number of a tuple of parts, the same whenever they are equal."""
        return self._numbers.setdefault(parts, len(self._numbers))

    def of_size(self, size: Size) -> int:
        return self.of(Const(size, INDEX) if isinstance(size, int) else size, {})

    def of(
        self,
        root: Expr,
        variables: Mapping[Var, Hashable],
        sources: Mapping[Source, Hashable] | None = None,
    ) -> int:
        """The number of `root` with `variables` and `sources` standing for what they map to."""
        done: dict[Expr, int] = {}
        for node in post_order((root,)):
            operands = tuple(done[o] for o in node.operands)
            done[node] = self.number((_what(node, variables, sources or {}), operands))
        return done[root]


def _what(
    node: Expr, variables: Mapping[Var, Hashable], sources: Mapping[Source, Hashable]
) -> Hashable:
    """What `node` does with its operands: of another form for each kind of node."""
    match node:
        case Const():
            return node.dtype, literal_bits(node)
        case Var():
            return variables.get(node, node)
        case Apply():
            return node.op, node.dtype
        case Load():
            return (sources.get(node.source, node.source),)
        case LaneReduce():
            return node.op, sources.get(node.source, node.source)
        case _:
            raise IRError(f"{type(node).__name__} has no structural key")


def literal_bits(node: Const) -> Hashable:
    """What tells literals apart: 0.0 and -0.0 are equal as Python floats but not as values."""
    return struct.pack("<d", node.value) if node.dtype.is_float else node.value
