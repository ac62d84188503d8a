"""A contraction whose fragments make one texel each of four rows, in four render targets.

In: a nest that sums products. Out: that nest with four outputs, each of which holds every fourth
row, and a nest that puts the rows in order again. One operand's texels then serve four rows: a
matrix product fetches 8 texels for 64 products instead of 20.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

TARGETS = 4  # what every WebGL 2 device has
LEAST_PRODUCTS = 32
LEAST_POINTS = 4096


def spread_rows(nest: Nest) -> tuple[Nest, ...]:
    """Two nests where it pays, else the one."""
    row = _row_axis(nest)
    if row is None:
        return (nest,)
    assert isinstance(row.extent, int)
    final = nest.stages[-1]
    place = final.indices.index(row)
    shape = list(final.target.shape)
    shape[place] = row.extent // TARGETS
    targets = [
        Buffer(f"{final.target.name}_{k}", shape, final.target.dtype) for k in range(TARGETS)
    ]
    return (_spread(nest, row, targets), _gathered(nest, place, targets))


def _row_axis(nest: Nest) -> Var | None:
    """The innermost outer axis, columns aside, that one of the factors does not depend on."""
    if len(nest.stages) != 2 or not is_product(nest.stages[0]):
        return None
    product, final = nest.stages
    points = _points(nest.outer)
    axes = [index for index in final.indices if isinstance(index, Var)]
    if len(axes) != len(final.indices) or len(axes) < 2 or points < LEAST_POINTS:
        return None
    if _points(product.reduce_axes) < LEAST_PRODUCTS or _points(axes[-1:]) % LANES:
        return None
    loads = [n for n in post_order((product.value,)) if isinstance(n, Load)]
    forms = [flat(n.source, n.indices) for n in loads if isinstance(n.source, Buffer)]
    for axis in reversed(axes[:-1]):
        free = [f for f in forms if not any(_depends(atom, axis) for atom in f.terms)]
        shared = any(_depends(atom, axes[-1]) for form in free for atom in form.terms)
        if shared and isinstance(axis.extent, int) and axis.extent % TARGETS == 0:
            return axis
    return None


def _points(axes: tuple[Var, ...] | list[Var]) -> int:
    total = 1
    for axis in axes:
        total *= axis.extent if isinstance(axis.extent, int) else 0
    return total


def _depends(node: Expr, axis: Var) -> bool:
    return any(inner is axis for inner in post_order((node,)))


def _spread(nest: Nest, row: Var, targets: list[Buffer]) -> Nest:
    """Every stage once per target; row ``4 r + k`` goes to target k."""
    product, final = nest.stages
    group = Var(row.name, targets[0].shape[final.indices.index(row)])
    products: list[Stage] = []
    finals: list[Stage] = []
    for k, target in enumerate(targets):
        own = build.add(build.mul(group, build.index(TARGETS)), build.index(k))
        local = Buffer(f"{product.target.name}_{k}", (), product.target.dtype, "scratch")
        products.append(replace(product, value=substitute(product.value, {row: own}), target=local))
        value = substitute(final.value, {row: own}, _reading(product.target, local))
        indices = tuple(group if index is row else index for index in final.indices)
        finals.append(replace(final, value=value, target=target, indices=indices))
    outer = tuple(group if axis is row else axis for axis in nest.outer)
    return Nest(nest.name, outer, (*products, *finals), tuple(s.target for s in products))


def _reading(old: Buffer, new: Buffer) -> Callable[[Load], Expr | None]:
    def load(node: Load) -> Expr | None:
        return Load(new, ()) if node.source is old else None

    return load


def _gathered(nest: Nest, place: int, targets: list[Buffer]) -> Nest:
    target = nest.stages[-1].target
    axes = tuple(Var(f"i{k}", size) for k, size in enumerate(target.shape))
    row = axes[place]
    group = build.floordiv(row, build.index(TARGETS))
    number = build.mod(row, build.index(TARGETS))
    where = (*axes[:place], group, *axes[place + 1 :])
    value: Expr = Load(targets[-1], where)
    for k in range(TARGETS - 1):
        value = build.select(build.eq(number, build.index(k)), Load(targets[k], where), value)
    stage = Stage((), (), None, value, target, axes)
    return Nest(f"{nest.name}_rows", axes, (stage,), ())
