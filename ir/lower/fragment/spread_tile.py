"""A nest whose fragments make several texels each, one in every render target.

In: a nest with merged axes, and a tile of two or four texels. Out: that nest with an output for
each texel of the tile, which holds that texel of every tile; and a nest that puts the texels in
order. What several texels of a tile read is then fetched once: of a matrix product, tiles of 4 x 4
elements fetch 8 texels for 64 products, and single texels 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Source, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.fragment.grid import axes_in_order
from tilewright.ir.lower.fragment.tiles import Tile
from tilewright.ir.lower.unravel import LANES, static_extent
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import replace_sources, substitute

Offset = Mapping[Var, int]
"""The place of a texel in its tile: points of each axis, along rows texels."""


def spread_tile(nest: Nest, tile: Tile) -> tuple[Nest, Nest]:
    """The nest with a target for each texel of a tile, and the nest that orders those."""
    spread = _Spread(nest, tile)
    return spread.made(), spread.ordered()


class _Spread:
    """The axes over tiles, and the targets.

    `steps` are the points of each axis in a tile, along rows texels, and `lengths` likewise those
    of the whole output.
    """

    def __init__(self, nest: Nest, tile: Tile) -> None:
        self.nest = nest
        self.axes = axes_in_order(nest)
        self.last = self.axes[-1]
        self.steps = dict(zip(nest.outer, tile, strict=True))
        self.steps[self.last] //= LANES
        self.lengths = {axis: static_extent(axis) for axis in self.axes}
        self.lengths[self.last] //= LANES
        self.tiles = {a: Var(a.name, -(-self.lengths[a] // self.steps[a])) for a in self.axes}
        self.lane = Var("lane", LANES)
        ranges = [range(self.steps[axis]) for axis in self.axes]
        self.offsets = [dict(zip(self.axes, point, strict=True)) for point in product(*ranges)]
        self.final = nest.stages[-1].target
        shape = (*(static_extent(self.tiles[axis]) for axis in self.axes), LANES)
        self.targets = [
            Buffer(f"{self.final.name}_{k}", shape, self.final.dtype)
            for k in range(len(self.offsets))
        ]

    # The nest that computes.

    def made(self) -> Nest:
        """Every stage once for each texel of a tile."""
        copies = [self._copied(offset, k) for k, offset in enumerate(self.offsets)]
        stages = [stage for together in zip(*copies, strict=True) for stage in together]
        scratch = tuple(s.target for s in stages if s.target not in self.targets)
        return Nest(self.nest.name, self._outer(), tuple(stages), scratch)

    def _outer(self) -> tuple[Var, ...]:
        return (*(self.tiles[axis] for axis in self.axes), self.lane)

    def _copied(self, offset: Offset, number: int) -> list[Stage]:
        """The stages for one texel of a tile."""
        bindings: dict[Var, Expr] = {axis: self._place(axis, offset) for axis in self.axes}
        own: dict[Source, Source] = {}
        copies: list[Stage] = []
        for stage in self.nest.stages:
            value = replace_sources(substitute(stage.value, bindings), own)
            if stage.target in self.nest.locals:
                name = f"{stage.target.name}_{number}"
                target = own[stage.target] = Buffer(name, (), stage.target.dtype, "scratch")
                copies.append(replace(stage, value=value, target=target))
            else:
                target = self.targets[number]
                copies.append(replace(stage, value=value, target=target, indices=self._outer()))
        return copies

    def _place(self, axis: Var, offset: Offset) -> Expr:
        """Where the points of one texel lie along an axis; those past its end are the last ones."""
        step, length = self.steps[axis], self.lengths[axis]
        first = build.mul(self.tiles[axis], build.index(step))
        place = build.add(first, build.index(offset[axis]))
        if length % step:
            place = build.minimum(place, build.index(length - 1))
        if axis is not self.last:
            return place
        return build.add(build.mul(place, build.index(LANES)), self.lane)

    # The nest that orders.

    def ordered(self) -> Nest:
        """Every texel of the output from the target that has it."""
        axes = {axis: Var(f"i{k}", self.lengths[axis]) for k, axis in enumerate(self.axes)}
        lane = Var("lane", LANES)
        number: Expr = build.index(0)
        where: list[Expr] = []
        for axis, own in axes.items():
            step = build.index(self.steps[axis])
            number = build.add(build.mul(number, step), build.mod(own, step))
            where.append(build.floordiv(own, step))
        value: Expr = Load(self.targets[-1], (*where, lane))
        for k, target in enumerate(self.targets[:-1]):
            this = build.eq(number, build.index(k))
            value = build.select(this, Load(target, (*where, lane)), value)
        outer = (*axes.values(), lane)
        shape = (*self.lengths.values(), LANES)
        root = self.final.root
        view = Buffer(root.name, shape, root.dtype, root.space, base=root)
        stage = Stage((), (), None, value, view, outer)
        return Nest(f"{self.nest.name}_rows", outer, (stage,), ())
