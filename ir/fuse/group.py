"""Putting stored tensors together into launches.

A `Unit` is one stored tensor with its inlined body. A `Group` becomes a nest: units that share
outer axes. A unit joins the group of its latest producer when at each of the group's outer points
it reads nothing of the group but what was made at that point.
"""

from __future__ import annotations

from msgspec import Struct, field

from tilewright.ir import ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.expr import Apply, Expr, Load, Source, Var, post_order
from tilewright.ir.fuse.options import FusionOptions
from tilewright.ir.graph import Input, Reshape, Tensor
from tilewright.ir.traverse import substitute

_UNKNOWN_SIZE = 1024
_MOST_SIBLINGS = 8


class Unit(Struct, eq=False):
    """``tensor[indices] = combine over reduce_axes of value`` for all points of outer and own.

    `indices` has one entry per dimension of the tensor: an axis of the unit, or None where the
    dimension has one element.
    """

    tensor: Tensor
    own: tuple[Var, ...]
    reduce_axes: tuple[Var, ...]
    combiner: str | None
    value: Expr
    indices: tuple[Var | None, ...]
    _loads: list[Load] | None = None

    def loads(self) -> list[Load]:
        """What the value reads; looked up once, since each unit that may join asks all others."""
        if self._loads is None:
            self._loads = [n for n in post_order((self.value,)) if isinstance(n, Load)]
        return self._loads

    def rename(self, bindings: dict[Var, Var]) -> None:
        """Replace axes by others of the same extent."""
        self.value = substitute(self.value, dict(bindings))
        self._loads = None
        self.own = tuple(bindings.get(a, a) for a in self.own)
        self.indices = tuple(None if a is None else bindings.get(a, a) for a in self.indices)


class Group(Struct, eq=False):
    """Units that will be stages of one nest."""

    outer: tuple[Var, ...]
    units: list[Unit] = field(default_factory=list)

    def unit_of(self, tensor: object) -> Unit | None:
        return next((u for u in self.units if u.tensor is tensor), None)


class Grouper:
    """Assigns units to groups, in order."""

    def __init__(self, options: FusionOptions, readers: dict[Tensor, set[Tensor]]) -> None:
        self.options = options
        self.readers = readers
        self.groups: list[Group] = []
        self._group_of: dict[Tensor, Group] = {}

    def add(self, unit: Unit) -> Group:
        """Join an existing group or open one."""
        group = self._latest_producer(unit)
        if group is None or not self._join(group, unit):
            group = self._sibling(unit, group)
        if group is None:
            group = Group(unit.own, [unit])
            unit.own = ()
            self.groups.append(group)
        self._group_of[unit.tensor] = group
        return group

    def separate(self) -> None:
        """Something that is not a nest stands here: later units must not join earlier groups."""
        self._group_of.clear()

    def _sibling(self, unit: Unit, after: Group | None) -> Group | None:
        """A group over the same points that reads the same data, or whose result the same reader
        waits for: the unit joins it, so that what they share is read, or kept, once."""
        if not self.options.rows or is_contraction(unit, unit.own) or not unit.own:
            return None
        first = self.groups.index(after) + 1 if after in self.groups else 0
        for group in reversed(self.groups[first:]):
            if group not in self._group_of.values():
                break
            if not self._is_sibling(group, unit) or not self._fits_inputs(group, unit):
                continue
            self._adopt(group, unit, dict(zip(group.outer, unit.own, strict=True)))
            position = next((k for k, u in enumerate(group.units) if not u.reduce_axes), None)
            if position is not None and unit.reduce_axes:
                # Beside its sibling, before what only follows it.
                group.units.insert(position, group.units.pop())
            return group
        return None

    def _is_sibling(self, group: Group, unit: Unit) -> bool:
        leader = group.units[0]
        if leader.own or _sizes(leader.reduce_axes) != _sizes(unit.reduce_axes):
            return False
        if _sizes(group.outer) != _sizes(unit.own) or is_contraction(leader, group.outer):
            return False
        if not unit.reduce_axes:
            maps = not any(u.own or u.reduce_axes for u in group.units)
            return maps and len(group.units) < _MOST_SIBLINGS and _reads_alike(group, unit)
        read = {n.source for n in unit.loads()} & {n.source for n in leader.loads()}
        return bool(read) or self._meet(leader, unit)

    def _meet(self, a: Unit, b: Unit) -> bool:
        """Whether something computed reads both results."""
        both = self.readers.get(a.tensor, set()) & self.readers.get(b.tensor, set())
        return any(not isinstance(reader, Input) for reader in both)

    def _latest_producer(self, unit: Unit) -> Group | None:
        read = (_without_views(n.source) for n in unit.loads())
        found = [self._group_of[s] for s in read if s in self._group_of]
        return max(found, key=self.groups.index, default=None)

    def _join(self, group: Group, unit: Unit) -> bool:
        if any(_reads_view_of(group, n) for n in unit.loads()):
            return False  # the points of a view are not those of the group
        mapping = self._mapping(group, unit)
        if mapping is None or len(mapping) < len(group.outer):
            return self._join_shrunk(group, unit)
        if not self._allowed(group, unit, mapping):
            return False
        self._adopt(group, unit, mapping)
        return True

    def _adopt(self, group: Group, unit: Unit, mapping: dict[Var, Var]) -> None:
        unit.rename({mine: theirs for theirs, mine in mapping.items()})
        unit.own = tuple(a for a in unit.own if a not in group.outer)
        group.units.append(unit)

    def _mapping(self, group: Group, unit: Unit) -> dict[Var, Var] | None:
        """Outer axis of the group -> axis of the unit, as the unit's reads demand; None if they
        read other points."""
        mapping: dict[Var, Var] = {}
        for node in unit.loads():
            producer = group.unit_of(node.source)
            if producer is None:
                continue
            for axis, index in zip(producer.indices, node.indices, strict=True):
                if axis is None or axis not in group.outer:
                    continue
                if not isinstance(index, Var) or index not in unit.own:
                    return None
                if index.extent != axis.extent:  # a part of the tensor: points would be too many
                    return None
                if mapping.setdefault(axis, index) is not index:
                    return None
        if len(set(mapping.values())) < len(mapping):
            return None
        return mapping

    def _allowed(self, group: Group, unit: Unit, mapping: dict[Var, Var]) -> bool:
        own = [a for a in unit.own if a not in mapping.values()]
        if not self._fits_inputs(group, unit):
            return False
        if not self.options.rows:
            return not own and not unit.reduce_axes and self._ends(group, unit)
        if not own and not unit.reduce_axes:
            return True
        if is_contraction(unit, tuple(unit.own)) or self._spreads_columns(group, unit, mapping):
            return False
        if any(is_contraction(u, (*group.outer, *u.own)) for u in group.units):
            return False
        return self._worthwhile(group.outer, [*own, *unit.reduce_axes])

    def _spreads_columns(self, group: Group, unit: Unit, mapping: dict[Var, Var]) -> bool:
        """Whether a map repeats along its first axes what small maps, or reductions of few columns,
        made for its last ones. To store so little costs nothing; a launch over the columns alone
        would have few points, each of them walking down the rows, and threads that write
        neighbouring columns compete for the lines of memory in which both have a part."""
        if unit.reduce_axes:
            return False
        if unit.own[: len(mapping)] == tuple(a for a in unit.own if a in mapping.values()):
            return False
        maps = not any(u.own or u.reduce_axes for u in group.units)
        return maps or _points(group.outer) < self.options.few_columns

    def _worthwhile(self, outer: tuple[Var, ...], inside: list[Var]) -> bool:
        work, points = _points(inside), _points(outer)
        if not outer:
            return work <= self.options.large_own // 4
        return work <= self.options.large_own or points >= self.options.few_points

    def _ends(self, group: Group, unit: Unit) -> bool:
        """Whether everything in the group is read by this unit alone."""
        return all(self.readers.get(u.tensor, set()) <= {unit.tensor} for u in group.units)

    def _fits_inputs(self, group: Group, unit: Unit) -> bool:
        inside = {u.tensor for u in group.units} | {unit.tensor}
        read = {n.source for u in (*group.units, unit) for n in u.loads()} - inside
        outside = [t for t in inside if not self.readers.get(t, set()) <= inside]
        return len(read) <= self.options.most_inputs and len(outside) <= self.options.most_outputs

    # Shrinking.

    def _join_shrunk(self, group: Group, unit: Unit) -> bool:
        """A group of maps gives up outer axes that the unit runs along, to become a row launch."""
        if not self.options.rows or any(u.reduce_axes for u in group.units):
            return False
        if is_contraction(unit, tuple(unit.own)):
            return False
        kept = self._common_axes(group, unit)
        if kept is None or len(kept) == len(group.outer) or _gathers_rows(group, unit, kept):
            return False
        dropped = [a for a in group.outer if a not in kept]
        if not self._worthwhile(tuple(kept), dropped) or not self._fits_inputs(group, unit):
            return False
        if not kept and _points(dropped) > self.options.large_own // 4:
            return False
        group.outer = tuple(a for a in group.outer if a in kept)
        for member in group.units:
            member.own = (*dropped, *member.own)
        self._adopt(group, unit, {a: kept[a] for a in group.outer})
        return True

    def _common_axes(self, group: Group, unit: Unit) -> dict[Var, Var] | None:
        """The outer axes that every read of the group uses as one plain axis of the unit."""
        kept: dict[Var, Var | None] = {}
        for node in unit.loads():
            producer = group.unit_of(node.source)
            if producer is None:
                continue
            for axis, index in zip(producer.indices, node.indices, strict=True):
                if axis is None or axis not in group.outer:
                    continue
                plain = None
                if isinstance(index, Var) and index in unit.own and index.extent == axis.extent:
                    plain = index
                if axis in kept and kept[axis] is not plain:
                    kept[axis] = None
                else:
                    kept[axis] = plain
        result = {a: v for a, v in kept.items() if v is not None}
        return result if len(set(result.values())) == len(result) else None


def _without_views(source: Source) -> Source:
    """The tensor whose elements a source's are."""
    while isinstance(source, Reshape):
        source = source.operand
    return source


def _reads_view_of(group: Group, load: Load) -> bool:
    """Whether a load reads a result of the group, but as a tensor of another shape."""
    base = _without_views(load.source)
    return base is not load.source and group.unit_of(base) is not None


def _gathers_rows(group: Group, unit: Unit, kept: dict[Var, Var]) -> bool:
    """Whether a map of columns would gather from the rows of the group. Columns that are walked one
    after the other touch every row of what they read and write; rows that are stored do not."""
    if unit.reduce_axes or group.outer[-1] not in kept:
        return False
    return any(
        axis in group.outer and axis not in kept and _is_computed(index)
        for node in unit.loads()
        if (producer := group.unit_of(node.source)) is not None
        for axis, index in zip(producer.indices, node.indices, strict=True)
    )


def _is_computed(index: Expr) -> bool:
    return any(not isinstance(atom, Var) for atom in linear(index).terms)


def _reads_alike(group: Group, unit: Unit) -> bool:
    """Whether both walk over some tensor in the same order of axes."""
    walks = {(n.source, _walk(n, group.outer)) for u in group.units for n in u.loads()}
    return any(w and (n.source, w) in walks for n in unit.loads() if (w := _walk(n, unit.own)))


def _walk(node: Load, axes: tuple[Var, ...]) -> tuple[int, ...]:
    """The axes in the indices of a load, by position, from the first index to the last."""
    found = [v for i in node.indices for v in post_order((i,)) if isinstance(v, Var)]
    return tuple(axes.index(v) for v in found if v in axes)


def _sizes(axes: tuple[Var, ...]) -> list[object]:
    return [a.extent for a in axes]


def is_contraction(unit: Unit, axes: tuple[Var, ...]) -> bool:
    """Whether the unit adds products of two reads that each are used again along some axis the
    other depends on: worth a launch of its own, tiled for registers and caches."""
    value = unit.value
    if unit.combiner != "add" or not unit.reduce_axes:
        return False
    while isinstance(value, Apply) and value.op is ops.CAST:
        value = value.operands[0]
    if not (isinstance(value, Apply) and value.op is ops.MUL):
        return False
    left, right = (_axes_of(o, axes) for o in value.operands)
    return bool(left - right) and bool(right - left)


def _axes_of(node: Expr, axes: tuple[Var, ...]) -> set[Var]:
    return {n for n in post_order((node,)) if isinstance(n, Var) and n in axes}


def _points(axes: list[Var] | tuple[Var, ...]) -> int:
    total = 1
    for axis in axes:
        size = largest(axis.extent) if axis.extent is not None else None
        total *= _UNKNOWN_SIZE if size is None else size
    return total
