"""A nest that reads more buffers than a launch can bind -> several nests.

In: a nest, and how many global buffers it may read and write. Out: nests that put parts of its
values into temporaries, then the nest that reads those. Devices bind few buffers at once (eight
storage buffers, sixteen textures), and a sum of twelve arrays is one expression.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Stage, extents
from tilewright.ir.traverse import rewrite, substitute

Buffers = frozenset[Buffer]


def split_inputs(nest: Nest, most: int) -> tuple[Nest, ...]:
    """`nest` itself, or nests that together do the same and each touch at most `most` buffers.

    Where nothing can be computed ahead (it reads what the nest makes, or runs along axes of
    unknown extent) the last nest keeps more.
    """
    before: list[Nest] = []
    while len(_touched(nest)) > most:
        found = _part(nest, most - 1)
        if found is None:
            break
        stage, part = found
        used = set(post_order((part,)))
        axes = tuple(axis for axis in _axes(nest, stage) if axis in used)
        target = Buffer(f"{nest.name}_part{len(before)}", extents(axes), part.dtype)
        before.append(_ahead(part, axes, target, stage))
        nest = _reading(nest, part, Load(target, axes))
    return (*before, nest)


def _touched(nest: Nest) -> Buffers:
    """The global buffers that a nest reads or writes."""
    found: Buffers = frozenset(s.target.root for s in nest.stages)
    for stage in nest.stages:
        found |= _reads(stage.value)[stage.value]
    return found - {b.root for b in nest.locals}


def _reads(value: Expr) -> dict[Expr, Buffers]:
    """The buffers that are loaded in each expression below `value`."""
    found: dict[Expr, Buffers] = {}
    for node in post_order((value,)):
        reads = Buffers().union(*(found[o] for o in node.operands))
        if isinstance(node, Load) and isinstance(node.source, Buffer):
            reads |= {node.source.root}
        found[node] = reads
    return found


def _part(nest: Nest, most: int) -> tuple[Stage, Expr] | None:
    """What to compute ahead: of the values the part that reads most buffers, up to `most`, and of
    equal ones the deepest."""
    best: tuple[int, Stage, Expr] | None = None
    made = {s.target.root for s in nest.stages}  # locals too: none of it is there before the nest
    for stage in nest.stages:
        reads = _reads(stage.value)
        fixed: dict[Expr, bool] = {}
        for node in post_order((stage.value,)):
            inside = all(fixed[o] for o in node.operands)
            fixed[node] = inside and _has_fixed_extent(node, nest, stage)
            count = len(reads[node])
            if not fixed[node] or reads[node] & made or node.dtype is INDEX:
                continue
            if 2 <= count <= most and (best is None or count > best[0]):
                best = count, stage, node
    return best[1:] if best else None


def _has_fixed_extent(node: Expr, nest: Nest, stage: Stage) -> bool:
    """False for axes whose extent depends on others or is open: no temporary has their shape."""
    if not isinstance(node, Var) or node not in _axes(nest, stage):
        return True
    return isinstance(node.extent, int)


def _axes(nest: Nest, stage: Stage) -> tuple[Var, ...]:
    return (*nest.outer, *stage.axes, *stage.reduce_axes)


def _ahead(part: Expr, axes: tuple[Var, ...], target: Buffer, stage: Stage) -> Nest:
    """The nest that computes a part at every point that it depends on."""
    own = tuple(Var(a.name, a.extent) for a in axes)
    value = substitute(part, dict(zip(axes, own, strict=True)))
    made = Stage((), (), None, value, target, own, stage.label, stage.loc)
    return Nest(target.name, own, (made,), ())


def _reading(nest: Nest, part: Expr, load: Load) -> Nest:
    """The nest with a part of its values replaced by what was computed ahead."""

    def rule(node: Expr) -> Expr | None:
        return load if node is part else None

    return replace(
        nest, stages=tuple(replace(s, value=rewrite(s.value, rule)) for s in nest.stages)
    )
