"""Which computed tensors are stored, and the bodies of those that are not put into their readers.

A tensor is stored when it must be (an output, the operand of something that needs memory) or when
computing it again for every read would cost more than storing and reading it.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.graph import Compute, Constant, Graph, Reduction, Tensor
from tilewright.ir.traverse import substitute

_UNKNOWN_SIZE = 1024
_FREE_AGAIN = 12
"""Operations for which a value that is read again is computed again, and not stored."""
_WORTH_STORING = 64
"""As many, where the value itself costs about what it costs to read it."""
_LARGEST_BODY = 400
"""Operations of the largest body that anything is put into."""


class Inliner:
    """Decides what is stored, and answers with expressions that read only stored tensors."""

    def __init__(self, graph: Graph, scalars: dict[Tensor, Expr]) -> None:
        self.graph = graph
        self.scalars = scalars
        self.nodes = graph.nodes()
        self.stored: set[Tensor] = set()
        self._bodies: dict[Tensor, Expr] = {}
        self._inlined: dict[tuple[Tensor, tuple[Expr, ...]], Expr] = {}
        self._final: dict[Expr, Expr] = {}
        self._shares: dict[Tensor, dict[Expr, float]] = {}
        self._decide()

    def value(self, tensor: Tensor, indices: tuple[Expr, ...]) -> Expr:
        """``tensor[indices]`` as an expression over stored tensors."""
        if tensor in self.scalars:
            return self.scalars[tensor]
        if isinstance(tensor, Constant) and tensor.array.size == 1:
            return build.const(tensor.array.reshape(-1)[0].item(), tensor.dtype)
        if tensor in self.stored or not isinstance(tensor, Compute):
            return Load(tensor, indices)
        if (tensor, indices) not in self._inlined:
            self._expand(tensor, indices)
        return self._inlined[tensor, indices]

    def _expand(self, tensor: Compute, indices: tuple[Expr, ...]) -> None:
        """Inline a tensor and all that it reads, each once. Iterative: chains are long."""
        moved: dict[tuple[Tensor, tuple[Expr, ...]], Expr] = {}
        stack: list[tuple[Compute, tuple[Expr, ...]]] = [(tensor, indices)]
        while stack:
            key = node, place = stack[-1]
            if key in self._inlined:
                stack.pop()
                continue
            if key not in moved:
                bindings = dict(zip(node.axes, place, strict=True))
                bindings.update({a: build.index(0) for a in node.axes if a.extent == 1})
                moved[key] = substitute(node.body, bindings)
            missing = [p for p in self._inlinable(moved[key]) if p not in self._inlined]
            if missing:
                stack += missing
                continue
            stack.pop()
            self._inlined[key] = self._over_stored(moved.pop(key))

    def _over_stored(self, body: Expr) -> Expr:
        """`body` with its reads inlined; parts that bodies share stay shared.

        An index made of reads, as a search has it, occurs in all later reads: copies of it would
        double their number with each.
        """
        made = substitute(body, {}, self.inlined, self._final)
        self._final[made] = made
        return made

    def _inlinable(self, body: Expr) -> list[tuple[Compute, tuple[Expr, ...]]]:
        """The reads in a body of tensors that are not stored."""
        return [
            (n.source, n.indices)
            for n in post_order((body,))
            if isinstance(n, Load)
            and isinstance(n.source, Compute)
            and n.source not in self.stored
            and n.source not in self.scalars
        ]

    def body(self, node: Compute | Reduction) -> Expr:
        """The node's body over stored tensors, axes of one element bound to 0."""
        found = self._bodies.get(node)
        if found is None:
            axes = node.axes + (node.reduce_axes if isinstance(node, Reduction) else ())
            unit: dict[Var, Expr] = {a: build.index(0) for a in axes if a.extent == 1}
            found = substitute(node.body, unit, self.inlined)
            self._bodies[node] = found
        return found

    def inlined(self, node: Load) -> Expr | None:
        """What stands for a read in a body; None where the read stays."""
        source = node.source
        return self.value(source, node.indices) if isinstance(source, Tensor) else None

    # Deciding.

    def _decide(self) -> None:
        """Producers first, so that a body's cost is known when its readers are looked at."""
        readers = self._readers()
        required = self._required()
        reads: dict[Tensor, float] = {}
        costs: dict[Tensor, int] = {}
        for node in self.nodes:
            if isinstance(node, Compute):
                costs[node] = self._cost(node, costs)
                if costs[node] > _LARGEST_BODY:
                    self.stored.add(node)
        for node in reversed(self.nodes):
            if node in required or not isinstance(node, Compute):
                self.stored.add(node)
                continue
            reads[node] = sum(self._reads(r, node, reads) for r in readers.get(node, ()))
            again = costs[node] * (reads[node] - 1)
            if (
                reads[node] > 1.5 and again >= _FREE_AGAIN and costs[node] >= 4
            ) or again >= _WORTH_STORING:
                self.stored.add(node)

    def _reads(self, reader: Tensor, node: Tensor, reads: dict[Tensor, float]) -> float:
        """How often the reader reads each element, its own being computed several times counted."""
        once = self._sites(reader, node) * self._points(reader) / self._size(node)
        return once * (1.0 if reader in self.stored else reads.get(reader, 1.0))

    def _required(self) -> set[Tensor]:
        """Tensors that something other than a body reads."""
        required: set[Tensor] = set(self.graph.roots)
        for node in self.nodes:
            if not isinstance(node, (Compute, Reduction)):
                required.update(node.sources)
        return required

    def _readers(self) -> dict[Tensor, list[Tensor]]:
        readers: dict[Tensor, list[Tensor]] = {}
        for node in self.nodes:
            for source in node.sources:
                readers.setdefault(source, []).append(node)
        return readers

    def _cost(self, node: Compute, costs: dict[Tensor, int]) -> int:
        """Operations of one element, those of inlined producers included; index work is free."""
        total = 0
        for part in post_order((node.body,)):
            if isinstance(part, Apply) and part.dtype.kind != "x":
                total += part.op.cost
            elif isinstance(part, Load) and isinstance(part.source, Compute):
                total += 0 if part.source in self.stored else costs[part.source]
        return total

    def _sites(self, reader: Tensor, node: Tensor) -> float:
        """How often one evaluation of the reader's body reads the node, on average."""
        if not isinstance(reader, (Compute, Reduction)):
            return 1.0
        if reader not in self._shares:
            self._shares[reader] = _shares(reader.body)
        places: dict[tuple[Expr, ...], float] = {}
        for part, share in self._shares[reader].items():
            if isinstance(part, Load) and part.source is node:  # the same place is computed once
                places[part.indices] = min(1.0, places.get(part.indices, 0.0) + share)
        return sum(places.values())

    def _points(self, node: Tensor) -> float:
        points = self._size(node)
        if isinstance(node, Reduction):
            for axis in node.reduce_axes:
                points *= _estimate(axis.extent or 1)
        return points

    def _size(self, node: Tensor) -> float:
        size = 1.0
        for extent in node.shape:
            size *= _estimate(extent)
        return max(size, 1.0)


def _shares(body: Expr) -> dict[Expr, float]:
    """For each part of a body, the share of points at which its value is needed.

    A choice by position (``np.stack`` and ``np.concatenate`` make them) needs one side of each
    point only; code is made for each side apart, so that the other costs nothing.
    """
    shares: dict[Expr, float] = {body: 1.0}
    for node in reversed(list(post_order((body,)))):
        share = shares[node]
        parts = [share] * len(node.operands)
        if isinstance(node, Apply) and node.op is ops.SELECT:
            chosen = _share_below(node.operands[0])
            if chosen is not None:
                parts = [0.0, share * chosen, share * (1 - chosen)]
        for operand, part in zip(node.operands, parts, strict=True):
            shares[operand] = min(1.0, shares.get(operand, 0.0) + part)
    return shares


def _share_below(condition: Expr) -> float | None:
    """The share of an axis' points for which ``axis < bound`` holds."""
    if not isinstance(condition, Apply) or condition.op is not ops.LT:
        return None
    axis, bound = condition.operands
    limit = build.known(bound)
    if not isinstance(axis, Var) or not isinstance(axis.extent, int) or limit is None:
        return None
    return min(1.0, max(0.0, limit / max(1, axis.extent)))


def _estimate(size: Size) -> int:
    found = largest(size)
    return _UNKNOWN_SIZE if found is None else found
