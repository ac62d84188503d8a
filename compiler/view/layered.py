"""Drawing a directed acyclic graph in layers, as Sugiyama, Tagawa and Toda do.

In: the widths of nodes, producers before consumers, and edges. Out: where nodes and edges lie.
Layers by longest path, with a waypoint in every layer that an edge passes; in each layer an order
that lets few edges cross (barycenters, sweeping down and up); then places as near as can be to
those of the neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

LAYER_HEIGHT: Final = 64.0
_GAP: Final = 18.0
_WAYPOINT_WIDTH: Final = 6.0
_SWEEPS: Final = 8
_STRAIGHTENING: Final = 8
_WAYPOINT_WEIGHT: Final = 8.0

Point = tuple[float, float]


class Drawing(Struct, frozen=True):
    """Centres of the nodes, and for each edge the points that it goes through."""

    nodes: tuple[Point, ...]
    edges: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def draw_layers(widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> Drawing:
    """Nodes are numbered from 0 in topological order; an edge is a producer and its consumer."""
    net = _Net(widths, edges)
    net.order()
    x = net.places()
    left = min((x[v] - net.widths[v] / 2 for v in range(len(net.widths))), default=0.0)
    points = [(x[v] - left, (layer + 0.5) * LAYER_HEIGHT) for v, layer in enumerate(net.layer_of)]
    right = max((p[0] + net.widths[v] / 2 for v, p in enumerate(points)), default=0.0)
    return Drawing(
        tuple(points[: len(widths)]),
        tuple(tuple(points[v] for v in chain) for chain in net.chains),
        right,
        LAYER_HEIGHT * len(net.layers),
    )


class _Net:
    """Nodes and waypoints in layers; `above` and `below` are neighbours one layer apart."""

    def __init__(self, widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> None:
        self.widths = list(widths)
        self.layer_of = _layers(len(widths), edges)
        self.above: list[list[int]] = [[] for _ in widths]
        self.below: list[list[int]] = [[] for _ in widths]
        self.chains = [self._chain(a, b) for a, b in edges]
        self.count = len(widths)
        self.layers: list[list[int]] = [[] for _ in range(max(self.layer_of, default=-1) + 1)]
        for node, layer in enumerate(self.layer_of):
            self.layers[layer].append(node)

    def _chain(self, first: int, last: int) -> list[int]:
        """An edge cut into pieces from layer to layer."""
        chain = [first]
        for layer in range(self.layer_of[first] + 1, self.layer_of[last]):
            chain.append(len(self.widths))
            self.widths.append(_WAYPOINT_WIDTH)
            self.layer_of.append(layer)
            self.above.append([])
            self.below.append([])
        chain.append(last)
        for a, b in pairwise(chain):
            self.below[a].append(b)
            self.above[b].append(a)
        return chain

    def order(self) -> None:
        """Sort each layer by where its neighbours stand, down and up, and keep the best."""
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            if fewest == 0:
                break
            down = sweep % 2 == 0
            layers = self.layers if down else self.layers[::-1]
            for fixed, layer in pairwise(layers):
                _sort_by_neighbours(layer, fixed, self.above if down else self.below)
            found = self._crossings()
            if found < fewest:
                best, fewest = [list(layer) for layer in self.layers], found
        self.layers = best

    def _crossings(self) -> int:
        total = 0
        for layer, following in pairwise(self.layers):
            position = {v: k for k, v in enumerate(following)}
            ends = [p for v in layer for p in sorted(position[w] for w in self.below[v])]
            total += _inversions(ends)
        return total

    def places(self) -> dict[int, float]:
        """The horizontal centre of each node."""
        x: dict[int, float] = {}
        for layer in self.layers:
            right = 0.0
            for v in layer:
                x[v] = right + self.widths[v] / 2
                right += self.widths[v] + _GAP
        for round_ in range(_STRAIGHTENING):
            down = round_ % 2 == 0
            neighbours = self.above if down else self.below
            for layer in self.layers if down else self.layers[::-1]:
                self._settle(layer, neighbours, x)
        return x

    def _settle(
        self, layer: Sequence[int], neighbours: Sequence[Sequence[int]], x: dict[int, float]
    ) -> None:
        """Move a layer's nodes, in their order and without overlap, towards their neighbours.

        The least squares solution: nodes that would overlap move together, to their mean.
        """
        blocks: list[tuple[float, float, list[int]]] = []  # sum of weighted wishes, weight, nodes
        offset = 0.0
        offsets: dict[int, float] = {}
        for k, v in enumerate(layer):
            if k:
                offset += (self.widths[layer[k - 1]] + self.widths[v]) / 2 + _GAP
            offsets[v] = offset
            near = neighbours[v]
            wish = sum(x[w] for w in near) / len(near) if near else x[v]
            weight = _WAYPOINT_WEIGHT if v >= self.count else 1.0 if near else 0.1
            total, heavy, members = weight * (wish - offset), weight, [v]
            while blocks and blocks[-1][0] / blocks[-1][1] > total / heavy:
                before = blocks.pop()
                total, heavy = total + before[0], heavy + before[1]
                members = [*before[2], *members]
            blocks.append((total, heavy, members))
        for total, heavy, members in blocks:
            for v in members:
                x[v] = total / heavy + offsets[v]


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each node below all its producers; those without any just above their first consumer."""
    layer = [0] * count
    following: list[list[int]] = [[] for _ in range(count)]
    has_producer = [False] * count
    for a, b in edges:
        following[a].append(b)
        has_producer[b] = True
    for a in range(count):
        for b in following[a]:
            layer[b] = max(layer[b], layer[a] + 1)
    for a in range(count):
        if not has_producer[a] and following[a]:
            layer[a] = min(layer[b] for b in following[a]) - 1
    return layer


def _sort_by_neighbours(
    layer: list[int], fixed: Sequence[int], neighbours: Sequence[Sequence[int]]
) -> None:
    position: Mapping[int, int] = {v: k for k, v in enumerate(fixed)}
    own = {v: k for k, v in enumerate(layer)}
    scale = len(fixed) / max(1, len(layer))

    def wish(v: int) -> float:
        near = [position[w] for w in neighbours[v]]
        return sum(near) / len(near) if near else own[v] * scale

    layer.sort(key=wish)


def _inversions(numbers: list[int]) -> int:
    """Pairs in the wrong order, by merging."""
    if len(numbers) < 2:
        return 0
    middle = len(numbers) // 2
    left, right = numbers[:middle], numbers[middle:]
    total = _inversions(left) + _inversions(right)
    left.sort()
    right.sort()
    k = 0
    for number in left:
        while k < len(right) and right[k] < number:
            k += 1
        total += k
    return total
