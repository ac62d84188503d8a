"""The axes of a scatter, by what is known of where they lead.

In: an `Ordered` step. Out: which updates an element of the target has to look at. An axis that is
itself an index (j in ``target[index[i], j] += value[i, j]``) leads straight to an element: (e, j)
is hit by updates (i, j) alone. Along the others, each update names a *bucket*, which is data.
"""

from __future__ import annotations

from itertools import groupby

from msgspec import Struct

from tilewright.ir import build
from tilewright.ir.analysis.affine import offset, row_major_strides
from tilewright.ir.expr import Expr, Size, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Ordered
from tilewright.ir.traverse import substitute


class ScatterAxes(Struct, frozen=True, eq=False):
    """`target` is a view of the step's, with one axis for each of `elements`; `straight` are those
    along which nothing is searched, and `updates` the axes to search.

    `bucket` is that of an update, `here` that of an element, both below `buckets`; `value` is that
    of an update at the element's place along the straight axes.
    """

    target: Buffer
    elements: tuple[Var, ...]
    straight: tuple[Var, ...]
    updates: tuple[Var, ...]
    value: Expr
    bucket: Expr
    here: Expr
    buckets: Size


def scatter_axes(step: Ordered) -> ScatterAxes:
    """Tell the axes that lead straight to an element from those that have to be searched."""
    shape = step.target.shape
    leading = _leading(step)
    runs = [list(run) for _, run in groupby(range(len(shape)), leading.get)]
    sizes = tuple(build.product(tuple(shape[k] for k in run)) for run in runs)
    elements = tuple(Var(f"e{number}", size) for number, size in enumerate(sizes))
    straight = {
        leading[run[0]]: element
        for run, element in zip(runs, elements, strict=True)
        if run[0] in leading
    }
    loose = [e for e in elements if e not in straight.values()]
    searched = [k for k in range(len(shape)) if k not in leading]
    buckets = tuple(e.extent for e in loose if e.extent is not None)
    return ScatterAxes(
        Buffer(step.target.name, sizes, step.target.dtype, base=step.target),
        elements,
        tuple(straight.values()),
        tuple(a for a in step.axes if a not in straight),
        substitute(step.value, dict(straight)),
        offset(
            tuple(step.indices[k] for k in searched),
            row_major_strides(tuple(shape[k] for k in searched)),
        ),
        offset(tuple(loose), row_major_strides(buckets)),
        build.product(buckets),
    )


def _leading(step: Ordered) -> dict[int, Var]:
    """The axes of the target that an axis of the updates walks along by itself."""
    found: dict[int, Var] = {}
    for k, (index, size) in enumerate(zip(step.indices, step.target.shape, strict=True)):
        others = post_order((*step.indices[:k], *step.indices[k + 1 :]))
        if isinstance(index, Var) and index.extent == size and index not in set(others):
            found[k] = index
    return found


def unravelled(axes: tuple[Var, ...], position: Expr) -> dict[Var, Expr]:
    """Each axis as a digit of a row-major position."""
    bindings: dict[Var, Expr] = {}
    for axis in reversed(axes):
        assert axis.extent is not None
        extent = build.index(axis.extent)
        bindings[axis] = build.mod(position, extent) if axis is not axes[0] else position
        position = build.floordiv(position, extent)
    return bindings
