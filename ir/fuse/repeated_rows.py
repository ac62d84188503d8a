"""What a picture that is made larger computes again for each of its rows is computed once.

In: a graph. Out: a graph in which a part of a body that knows a long axis only by the computed
index of a shorter one (``mask[row(y), left(x)] + ...``, where `row` has a few values) is a tensor
of its own, along the shorter axis. Its elements are computed by the same operations: the same bits.
Only parts that gather along another axis are worth it: neighbouring elements are as cheap to read
from where they are. Whether the tensor is stored is decided as for all others (`ir/fuse/inline`).
"""

from __future__ import annotations

from collections.abc import Iterator

from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.graph import Compute, Graph, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.lower.share_expressions import shared
from tilewright.ir.structure import Keys
from tilewright.ir.traverse import rewrite, substitute

_LEAST_REPEATS = 2
_LEAST_LOADS = 2


def store_repeated_rows(graph: Graph) -> Graph:
    """`graph` with such parts as tensors."""
    return rewrite_graph(graph, _parts_apart)


def _parts_apart(node: Tensor) -> Tensor | None:
    if not isinstance(node, Compute):
        return None
    for axis in node.axes[:-1]:
        if isinstance(axis.extent, int) and any(True for _ in _computed_indices(node, axis)):
            made = _Rows(node, axis).compute()
            if made is not None:
                return made
    return None


def _computed_indices(node: Compute, axis: Var) -> Iterator[Expr]:
    """Indices that could stand for `axis`: most bodies have none, and are left at once."""
    for load in post_order((node.body,)):
        if isinstance(load, Load):
            pairs = zip(load.indices, load.source.shape, strict=True)
            yield from (index for index, size in pairs if _rows(index, size, axis))


def _rows(index: Expr, size: Size, axis: Var) -> int:
    """How many rows a computed index has, if `axis` visits each of them several times; else 0."""
    if isinstance(index, Var) or axis not in post_order((index,)):
        return 0
    low, high = interval(index)
    if low is None or high is None or low < 0:
        return 0
    inside = isinstance(size, int) and high < size
    assert isinstance(axis.extent, int)
    return high + 1 if inside and _LEAST_REPEATS * (high + 1) <= axis.extent else 0


class _Rows:
    """One body and one of its axes."""

    def __init__(self, node: Compute, axis: Var) -> None:
        self.node = node
        self.axis = axis
        self.body = shared(node.body)
        self.ways = self._ways()
        self.keys = Keys()
        self.made: dict[int, Compute] = {}

    def compute(self) -> Compute | None:
        """The node with its parts read from tensors, or None where it has no such parts."""
        replaced = {part: self._read(part) for part in self._parts()}
        if not replaced:
            return None
        node = self.node
        body = rewrite(self.body, replaced.get)
        return Compute(node.name, node.axes, body, label=node.label, loc=node.loc)

    def _ways(self) -> dict[Expr, frozenset[Expr]]:
        """How each expression depends on the axis: by which computed indices, or by itself."""
        ways: dict[Expr, frozenset[Expr]] = {}
        for node in post_order((self.body,)):
            if node is self.axis:
                ways[node] = frozenset({node})
            elif isinstance(node, Load):
                pairs = zip(node.indices, node.source.shape, strict=True)
                found = [
                    frozenset({i}) if _rows(i, size, self.axis) else ways[i] for i, size in pairs
                ]
                ways[node] = frozenset().union(*found)
            else:
                ways[node] = frozenset().union(*(ways[o] for o in node.operands))
        return ways

    def _parts(self) -> list[Expr]:
        """The largest expressions that know the axis by one computed index alone."""
        parts: list[Expr] = []
        stack, seen = [self.body], set[Expr]()
        while stack:
            node = stack.pop()
            if node in seen or isinstance(node, Load):
                continue
            seen.add(node)
            if self._is_part(node):
                parts.append(node)
            else:
                stack.extend(node.operands)
        return parts

    def _is_part(self, node: Expr) -> bool:
        if not isinstance(node, Apply) or len(self.ways[node]) != 1 or self.axis in self.ways[node]:
            return False
        (row,) = self.ways[node]
        loads = [n for n in post_order((node,)) if isinstance(n, Load) and row in n.indices]
        return len(loads) >= _LEAST_LOADS and all(_gathers(load, row) for load in loads)

    def _read(self, part: Expr) -> Expr:
        """The element of the part's tensor that stands for it."""
        (row,) = self.ways[part]
        inside = set(post_order((part,)))
        others = tuple(a for a in self.node.axes if a is not self.axis and a in inside)
        high = interval(row)[1]
        assert high is not None
        counter = Var(self.axis.name, high + 1)
        body = rewrite(part, lambda n: counter if n is row else None)
        places: dict[Var, int] = {a: k for k, a in enumerate(others)}
        key = self.keys.of(body, {**places, counter: ("row", high)})
        if key not in self.made:
            axes = {a: Var(a.name, a.extent) for a in others}
            name = f"{self.node.name}_rows{len(self.made)}"
            about = {"label": self.node.label, "loc": self.node.loc}
            moved = substitute(body, dict(axes))
            self.made[key] = Compute(name, (counter, *axes.values()), moved, **about)
        return Load(self.made[key], (row, *others))


def _gathers(load: Load, row: Expr) -> bool:
    """Whether an index besides `row` is no sum of axes."""
    others = (i for i in load.indices if i is not row)
    return any(not isinstance(atom, Var) for i in others for atom in linear(i).terms)
