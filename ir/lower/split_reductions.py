"""A nest with a long reduction -> partial reductions in a nest of their own, then the rest.

In: a nest, and how many elements a point shall reduce at a time. Out: nests in which no point
reduces more than twice as many; if nothing is said, no more than `LONGEST`, and few points not more
than `BLOCK` each: independent work is what a GPU needs. Every pass is a shallow tree, so the height
of the whole stays within `numerics.md`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.graph import identity
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

LONGEST = 4096
BLOCK = 256
FEW_POINTS = 2048
MOST_AT_A_TIME = LONGEST // 2
PARTS = "_parts"
"""Ends the name of a nest that makes the partial results of another."""


def split_reductions(nest: Nest, at_a_time: int = 0) -> tuple[Nest, ...]:
    """`nest` with its long reductions done in passes before it."""
    before: list[Nest] = []
    stages: list[Stage] = []
    outer = _product(nest.outer)
    for stage in nest.stages:
        while outer is not None and _is_long(stage, outer, at_a_time):
            earlier = replace(nest, stages=tuple(stages))
            partial, stage = _split(earlier, stage, at_a_time or BLOCK)
            before += split_reductions(partial, at_a_time)
        stages.append(stage)
    return (*before, replace(nest, stages=tuple(stages)))


def _is_long(stage: Stage, outer: int, at_a_time: int) -> bool:
    elements = _product(stage.reduce_axes)
    if elements is None or stage.axes or outer == 0:
        return False
    if at_a_time:
        return elements > 2 * at_a_time
    return elements > LONGEST or (elements > 2 * BLOCK and outer < FEW_POINTS)


def _product(axes: tuple[Var, ...]) -> int | None:
    total = 1
    for axis in axes:
        if not isinstance(axis.extent, int):
            return None
        total *= axis.extent
    return total


def _split(earlier: Nest, stage: Stage, at_a_time: int) -> tuple[Nest, Stage]:
    """The nest of partial results of `stage`, and the stage that combines them.

    `earlier` has the stages before it: those that it needs are done again in the new nest.
    """
    axis = max(stage.reduce_axes, key=lambda a: a.extent if isinstance(a.extent, int) else 0)
    size, elements = axis.extent, _product(stage.reduce_axes)
    assert isinstance(size, int)
    assert elements is not None
    block = _block(size, max(1, at_a_time * size // elements))
    parts = -(-size // block)
    part = Var("part", parts)
    first = _part_is_outermost(earlier, stage)
    shape = tuple(a.extent for a in earlier.outer if a.extent is not None)
    temporary = Buffer(
        f"{stage.target.name}{PARTS}",
        (parts, *shape) if first else (*shape, parts),
        stage.value.dtype,
    )
    renamed = {a: Var(a.name, a.extent) for a in (*earlier.outer, *stage.reduce_axes)}
    renamed[axis] = Var(axis.name, block)
    outer = tuple(renamed[a] for a in earlier.outer)
    needed, local = _renamed_stages(earlier, stage, renamed)
    value = _block_value(stage, axis, renamed, part, block, local)
    whole = Buffer("part", (), stage.value.dtype, "scratch")
    reduced = tuple(renamed[a] for a in stage.reduce_axes)
    place = (part, *outer) if first else (*outer, part)
    partial = Nest(
        f"{earlier.name}{PARTS}",
        place,
        (
            *needed,
            replace(stage, reduce_axes=reduced, value=value, target=whole, indices=()),
            Stage((), (), None, Load(whole, ()), temporary, place),
        ),
        (*local.values(), whole),
    )
    again = Var("part", parts)
    where = (again, *earlier.outer) if first else (*earlier.outer, again)
    return partial, replace(stage, reduce_axes=(again,), value=Load(temporary, where))


def _block(size: int, wanted: int) -> int:
    """Elements of one part: a divisor of the size near `wanted`; best if parts and elements both
    come in fours, which is how textures hold them."""
    wanted = min(size, max(2, wanted))
    divisors = [b for b in range(max(2, wanted // 2), 2 * wanted + 1) if size % b == 0]
    if not divisors:
        return wanted
    return min(divisors, key=lambda b: (size // b % 4 != 0, b % 4 != 0, abs(b - wanted)))


def _block_value(
    stage: Stage,
    axis: Var,
    renamed: dict[Var, Var],
    part: Var,
    block: int,
    local: dict[Buffer, Buffer],
) -> Expr:
    """The stage's value in one part; past the end of the axis it is the identity."""
    size = axis.extent
    assert isinstance(size, int)
    position = build.add(build.mul(part, build.index(block)), renamed[axis])
    bindings: dict[Var, Expr] = {**renamed, axis: position}
    if size % block == 0:
        return _on_locals(substitute(stage.value, bindings), local)
    bindings[axis] = build.minimum(position, build.index(size - 1))
    value = _on_locals(substitute(stage.value, bindings), local)
    inside = build.lt(position, build.index(size))
    return build.select(inside, value, identity(stage.combined_by, value.dtype))


def _renamed_stages(
    earlier: Nest, stage: Stage, renamed: dict[Var, Var]
) -> tuple[tuple[Stage, ...], dict[Buffer, Buffer]]:
    """Copies of the earlier stages that `stage` depends on, and their locals."""
    needed: set[object] = _locals_read(stage.value)
    kept: list[Stage] = []
    for old in reversed(earlier.stages):
        if old.target in needed:
            kept.append(old)
            needed |= _locals_read(old.value)
    local = {old.target: Buffer(old.target.name, (), old.target.dtype, "scratch") for old in kept}
    copies: list[Stage] = []
    for old in reversed(kept):
        axes = {a: Var(a.name, a.extent) for a in old.reduce_axes}
        value = substitute(old.value, {**renamed, **axes})
        copies.append(
            replace(
                old,
                reduce_axes=tuple(axes.values()),
                value=_on_locals(value, local),
                target=local[old.target],
            )
        )
    return tuple(copies), local


def _locals_read(value: Expr) -> set[object]:
    return {n.source for n in post_order((value,)) if isinstance(n, Load)}


def _on_locals(value: Expr, local: dict[Buffer, Buffer]) -> Expr:
    def load(node: Load) -> Expr | None:
        new = local.get(node.source)  # type: ignore[call-overload]
        return Load(new, node.indices) if new is not None else None

    return substitute(value, {}, load)


def _part_is_outermost(nest: Nest, stage: Stage) -> bool:
    """Whether neighbouring points read neighbouring elements, which the parts must not disturb."""
    if not nest.outer:
        return False
    last = nest.outer[-1]
    loads = [n for n in post_order((stage.value,)) if isinstance(n, Load)]
    return any(
        isinstance(n.source, Buffer) and flat(n.source, n.indices).coefficient(last) == 1
        for n in loads
    )
