"""Neighbouring nests that pass rows on -> a band: all of them on a few rows after the other.

A chain of stencils (a blur along rows and then along columns, products of gradients and then their
sums) writes whole images between its nests, and reads them again when they have left the cache. In
a band each nest computes only the rows that the next one is about to read, in memory that stays in
the cache of one core. Rows at the seams of two bands are computed twice.

In: the steps of a program, and which buffers are read where. Out: the same steps with `Band`s in
the place of such nests. What is computed does not change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import count

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.effects import effects
from tilewright.ir.analysis.row_windows import Reach, Window, row_offset, row_window
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import operations, points
from tilewright.ir.program import Nest, Program, Repeat, RepeatWhile, Step
from tilewright.ir.traverse import rewrite, substitute

_LONGEST_REDUCTION = 64
"""Points of a window; contractions have tiles and copies of their own."""
_MOST_AGAIN = 0.35
"""Rows computed again, relative to all."""
_MOST_WORK_AGAIN = 24
"""Operations per element that the rows computed again may cost: about as long as to write an
element to memory and to read it."""
_BANDS = 64
_ROWS_PER_EXTRA = 16
_LINE = 64
_CONFLICTING_BYTES = 2048


class BandLimits(Struct, frozen=True):
    """`scratch`: bytes that a band may keep between its nests. `cached`: bytes of an image that
    the core's cache would hold anyway."""

    scratch: int
    cached: int


class Band(Struct, frozen=True, eq=False):
    """`nests`, one after the other, for each value of `counter`. Between them lies `scratch` in the
    place of the temporaries `replaced`."""

    counter: Var
    nests: tuple[Nest, ...]
    scratch: tuple[Buffer, ...]
    replaced: tuple[Buffer, ...]


class Member(Struct, frozen=True, eq=False):
    """A nest of a chain: it computes rows ``reach.low … reach.high`` beyond a band's own, each at
    ``window`` of that place."""

    nest: Nest
    window: Window
    reach: Reach


def find_bands(program: Program, limits: BandLimits) -> tuple[Step | Band, ...]:
    """The steps of `program` with bands in the place of nests that gain by it."""
    if not limits.scratch or sum(_known_bytes(b) for b in program.temporaries) <= limits.cached:
        return program.steps
    uses = _uses(program.steps)
    fixed = {b.root for b in (*program.inputs, *program.outputs)}
    fixed |= {b.root for b, _ in program.constants}
    return _Search(uses, fixed, limits).steps(program.steps)


def _known_bytes(buffer: Buffer) -> int:
    sizes = [n for n in buffer.shape if isinstance(n, int)]
    return math.prod(sizes) * buffer.dtype.itemsize if len(sizes) == len(buffer.shape) else 0


def _uses(steps: Sequence[Step]) -> dict[Buffer, set[int]]:
    """The steps, by identity, that use each buffer."""
    found: dict[Buffer, set[int]] = {}
    for step in steps:
        match step:
            case Repeat():
                inside = _uses(step.steps)
            case RepeatWhile():
                inside = _uses((*step.test, *step.body))
                inside.setdefault(step.condition.root, set()).add(id(step))
            case _:
                inside = {buffer: {id(step)} for buffer, _ in effects(step)}
        for buffer, users in inside.items():
            found.setdefault(buffer, set()).update(users)
    return found


class _Search(Struct, frozen=True):
    uses: Mapping[Buffer, set[int]]
    fixed: set[Buffer]
    limits: BandLimits

    def steps(self, steps: Sequence[Step]) -> tuple[Step | Band, ...]:
        """From the last step to the first: a nest joins the ones that it works for."""
        result: list[Step | Band] = []
        left = list(steps)
        while left:
            chain = self._chain(left)
            band = _cut(chain, self.limits) if chain else None
            if band is None:
                result.append(left.pop())
            else:
                result.append(band)
                del left[-len(chain) :]
        return tuple(reversed(result))

    def _chain(self, steps: Sequence[Step]) -> list[Member]:
        """The longest chain that gains by it and ends with the last of `steps`, if any."""
        final = steps[-1]
        if not isinstance(final, Nest) or not _has_rows(final) or not _stores_rows(final):
            return []
        chain = [Member(final, Window(), Reach(0, 0))]
        best: list[Member] = []
        for step in reversed(steps[:-1]):
            member = self._member(step, chain) if isinstance(step, Nest) else None
            if member is None:
                break
            chain = [member, *chain]
            if _cut(chain, self.limits) is not None:
                best = chain
        return best

    def _member(self, nest: Nest, chain: Sequence[Member]) -> Member | None:
        """`nest` in front of the chain, if all that it writes is rows for the chain."""
        if not _has_rows(nest) or not _stores_rows(nest):
            return None
        inside = {id(nest), *(id(m.nest) for m in chain)}
        targets = _targets(nest)
        for target in targets:
            if target.root in self.fixed or target.base is not None:
                return None
            if not self.uses[target] <= inside:
                return None
        if any(_reads(nest) & {t.root for t in _targets(m.nest)} for m in chain):
            return None
        return _reached(nest, targets, chain)


def _reached(nest: Nest, targets: set[Buffer], chain: Sequence[Member]) -> Member | None:
    """The rows of `nest` that the chain reads, if one boundary rule says which."""
    found: list[tuple[Window, Reach]] = []
    for member in chain:
        for load in _loads_of(member.nest, targets):
            pair = row_window(load.indices[0], member.nest.outer[0])
            if pair is None or load.source not in targets or not member.window.is_plain:
                return None
            found.append((pair[0], pair[1].beyond(member.reach)))
    if not found:
        return None
    window = next((w for w, _ in found if not w.is_plain), found[0][0])
    reach = reduce(Reach.joined, (r for _, r in found))
    last = points(chain[-1].nest.outer[:1]) - 1
    for other, across in found:
        places = across.low, last + across.high
        if not np.array_equal(window.rows(*places), other.rows(*places)):
            return None
    rows = window.rows(reach.low, last + reach.high)
    inside = rows.min() >= 0 and rows.max() < points(nest.outer[:1])
    return Member(nest, window, reach) if inside else None


def _has_rows(nest: Nest) -> bool:
    """Whether the nest runs over rows of a known number, with short reductions at each point."""
    if not nest.outer or not all(isinstance(a.extent, int) for a in nest.outer):
        return False
    inner = [a for s in nest.stages for a in (*s.axes, *s.reduce_axes)]
    if not all(isinstance(a.extent, int) for a in inner):
        return False
    scans = any(s.scans for s in nest.stages)
    longest = max(points(s.reduce_axes) for s in nest.stages)
    return not scans and longest <= _LONGEST_REDUCTION


def _stores_rows(nest: Nest) -> bool:
    """Whether each row of the nest is a row of all that it writes, and may be written twice."""
    row = nest.outer[0]
    if _reads(nest) & {t.root for t in _targets(nest)}:
        return False
    return all(
        s.indices and s.indices[0] is row and row not in post_order(s.indices[1:])
        for s in nest.stages
        if s.target not in nest.locals
    )


def _targets(nest: Nest) -> set[Buffer]:
    return {s.target for s in nest.stages if s.target not in nest.locals}


def _reads(nest: Nest) -> set[Buffer]:
    return {buffer for buffer, writes in effects(nest) if not writes} - set(nest.locals)


def _loads_of(nest: Nest, buffers: set[Buffer]) -> list[Load]:
    """Loads from the storage of `buffers`."""
    roots = [e for s in nest.stages for e in (s.value, *s.indices)]
    return [
        n
        for n in post_order(roots)
        if isinstance(n, Load) and isinstance(n.source, Buffer) and n.source.root in buffers
    ]


# Cutting.


def _cut(chain: Sequence[Member], limits: BandLimits) -> Band | None:
    """The chain in bands of as many rows as fit, or None if nothing is gained."""
    between = [(m, t) for m in chain[:-1] for t in _targets(m.nest)]
    whole = sum(points(m.nest.outer[:1]) * _row_bytes(t) for m, t in between)
    size = _rows_of_band(chain, between, limits.scratch)
    if whole <= limits.cached or size < 1:
        return None
    again = sum(m.reach.extra * _work(m.nest) for m in chain) / size
    if again > _MOST_WORK_AGAIN or max(m.reach.extra for m in chain) > _MOST_AGAIN * size:
        return None
    rows = points(chain[-1].nest.outer[:1])
    counter = Var("band", -(-rows // size))
    # The last band begins earlier instead of being smaller: its first rows are written twice.
    first = build.minimum(build.mul(counter, build.index(size)), build.index(rows - size))
    numbers = count()
    kept = {
        t: Buffer(f"band{next(numbers)}", _padded(t, size + m.reach.extra), t.dtype, "scratch")
        for m, t in between
    }
    lows = {t: m.reach.low for m, t in between}
    nests = tuple(_on_band(m, first, size, kept, lows) for m in chain)
    return Band(counter, nests, tuple(kept.values()), tuple(kept))


def _rows_of_band(
    chain: Sequence[Member], between: Sequence[tuple[Member, Buffer]], scratch: int
) -> int:
    """Rows of the result in one band: no more than leave bands for many threads, if then few rows
    are computed again; a multiple of four where there are many, for tiles."""
    row = sum(_row_bytes(t) for _, t in between)
    beyond = sum(m.reach.extra * _row_bytes(t) for m, t in between)
    size = (scratch - beyond) // row
    rows = points(chain[-1].nest.outer[:1])
    extra = max(m.reach.extra for m in chain)
    size = min(size, rows // 2, max(rows // _BANDS, _ROWS_PER_EXTRA * extra))
    return size - size % 4 if size >= 8 else size


def _padded(buffer: Buffer, rows: int) -> tuple[int, ...]:
    """The shape of some rows of `buffer`, each beginning at a cache line of its own."""
    sizes = [n for n in buffer.shape[1:] if isinstance(n, int)]
    if not sizes:
        return (rows,)  # a row of a vector is an element
    *middle, last = sizes
    return (rows, *middle, _row_elements(last, buffer, middle))


def _row_elements(last: int, buffer: Buffer, middle: Sequence[int]) -> int:
    each = _LINE // buffer.dtype.itemsize
    if middle:
        return last
    size = -(-last // each) * each
    # Rows a power of two apart have the same few places in the first cache.
    return size + each if size * buffer.dtype.itemsize % _CONFLICTING_BYTES == 0 else size


def _row_bytes(buffer: Buffer) -> int:
    size = buffer.dtype.itemsize
    for extent in _padded(buffer, 1):
        size *= extent
    return size


def _work(nest: Nest) -> int:
    return sum(points(s.reduce_axes) * operations(s.value) for s in nest.stages)


def _on_band(
    member: Member,
    first: Expr,
    size: int,
    kept: Mapping[Buffer, Buffer],
    lows: Mapping[Buffer, int],
) -> Nest:
    """The nest of a member on the rows of the band that begins at `first`."""
    nest, reach = member.nest, member.reach
    row = nest.outer[0]
    short = Var(row.name, size + reach.extra)
    place = build.add(build.add(first, short), build.index(reach.low))
    bindings = {row: member.window.at(place)}
    read: dict[Expr, Expr] = {}
    moved: dict[Expr, Expr] = {}

    def from_band(node: Expr) -> Expr | None:
        """A row of an image -> that row of the band."""
        if not isinstance(node, Load) or node.source not in kept:
            return None
        source = node.source
        offset = row_offset(node.indices[0], row)
        assert isinstance(source, Buffer)
        assert offset is not None
        distance = build.add(offset.expression(), build.index(reach.low - lows[source]))
        return Load(kept[source], (build.add(short, distance), *node.indices[1:]))

    def ready(value: Expr) -> Expr:
        return substitute(rewrite(value, from_band, read), bindings, None, moved)

    stages = []
    for stage in nest.stages:
        value, indices = ready(stage.value), tuple(ready(i) for i in stage.indices)
        if stage.target in kept:
            indices = (short, *indices[1:])
        target = kept.get(stage.target, stage.target)
        stages.append(replace(stage, value=value, target=target, indices=indices))
    return replace(nest, outer=(short, *nest.outer[1:]), stages=tuple(stages))
