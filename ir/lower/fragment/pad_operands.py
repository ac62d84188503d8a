"""What a reduction reads, copied so that its rows begin with a texel.

In: a nest with merged axes, and which of its operands: 0 those that are the same along the rows of
the output, 1 those that vary along them. Out: nests that copy, and the nest that reads the copies.
Of rows of 511 elements, or of pixels of three channels, where an element lies in its texel is known
at run time only, and each costs a fetch; in the copy, four neighbours are one fetch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.expr import Expr, Load, Source, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.fragment.grid import linear_view
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import rewrite, substitute

_SHORTEST_ROW = 3


class _Place(Struct, frozen=True):
    """Where an element lies: the number of its row, and its place from there, less than the length
    of the row in the copy."""

    row: Expr
    column: Expr


def pad_operands(nest: Nest, which: Collection[int], last: Var) -> tuple[tuple[Nest, ...], Nest]:
    """The copies, and the nest on them. `last` is the axis along the rows of the output."""
    nest = _rows_apart(nest)
    copies: dict[Buffer, Buffer] = {}

    def on_copy(node: Expr) -> Expr | None:
        if not isinstance(node, Load) or _operand(node, last) not in which:
            return None
        place = _place(nest, node)
        if place is None:
            return None
        root = node.source.root  # type: ignore[attr-defined]
        if root not in copies:
            copies[root] = _copy_of(root)
        return Load(copies[root], (place.row, place.column))

    stages = tuple(
        replace(s, value=rewrite(s.value, on_copy)) if s.reduce_axes else s for s in nest.stages
    )
    made = tuple(_copying(nest.name, root, copy) for root, copy in copies.items())
    return made, replace(nest, stages=stages)


def paddable(nest: Nest, last: Var) -> tuple[int, ...]:
    """Which operands have rows that do not begin with texels."""
    nest = _rows_apart(nest)
    found: set[int] = set()
    for stage in nest.stages:
        if not stage.reduce_axes:
            continue
        for node in post_order((stage.value,)):
            if isinstance(node, Load) and _place(nest, node) is not None:
                found.add(_operand(node, last))
    return tuple(sorted(found))


def copied_texels(nests: Collection[Nest]) -> int:
    """The size of all copies."""
    total = 0
    for nest in nests:
        size = build.product(nest.stages[-1].target.shape)
        assert isinstance(size, int)
        total += size // LANES
    return total


def _rows_apart(nest: Nest) -> Nest:
    """The nest with a reduced axis that runs through several odd rows as two: a row has an end."""
    return replace(nest, stages=tuple(_with_rows_apart(nest, stage) for stage in nest.stages))


def _with_rows_apart(nest: Nest, stage: Stage) -> Stage:
    axes: list[Var] = []
    bindings: dict[Var, Expr] = {}
    for axis in stage.reduce_axes:
        length = _length_of_rows_along(nest, stage, axis)
        if length is None or not isinstance(axis.extent, int):
            axes.append(axis)
            continue
        row, column = Var(f"{axis.name}_row", axis.extent // length), Var(axis.name, length)
        bindings[axis] = build.add(build.mul(row, build.index(length)), column)
        axes += (row, column)
    if not bindings:
        return stage
    value = substitute(stage.value, bindings)
    return replace(stage, reduce_axes=tuple(axes), value=value)


def _length_of_rows_along(nest: Nest, stage: Stage, axis: Var) -> int | None:
    """The length of the odd rows that an axis runs through, if there are several and no rest."""
    for node in post_order((stage.value,)):
        if not isinstance(node, Load) or not _is_global(nest, node.source):
            continue
        assert isinstance(node.source, Buffer)
        length = _row_length(node.source.root)
        if length is None or flat(node.source, node.indices).coefficient(axis) != 1:
            continue
        if isinstance(axis.extent, int) and axis.extent > length and axis.extent % length == 0:
            return length
    return None


def _is_global(nest: Nest, source: Source) -> bool:
    return isinstance(source, Buffer) and source not in nest.locals and source.space == "global"


def _operand(node: Load, last: Var) -> int:
    return int(any(inner is last for inner in post_order(node.indices)))


def _place(nest: Nest, node: Load) -> _Place | None:
    """Row and column of a load, if its rows are of an odd length and it stays in one."""
    source = node.source
    if not _is_global(nest, source):
        return None
    assert isinstance(source, Buffer)
    length = _row_length(source.root)
    if length is None:
        return None
    rows: dict[Expr, int] = {}
    columns: dict[Expr, int] = {}
    form = flat(source, node.indices)
    for atom, factor in form.terms.items():
        rows[atom], columns[atom] = _divided(factor, length)
    row, column = _divided(form.constant, length)
    place = _Place(_sum(rows, row), _sum(columns, column))
    low, high = interval(place.column)
    if low is None or high is None or low < 0 or high >= _padded(length):
        return None
    return place


def _row_length(root: Buffer) -> int | None:
    """The length of the rows of an array in memory, if it is odd."""
    if len(root.shape) < 2 or root.strides is not None:
        return None
    if not all(isinstance(size, int) and size for size in root.shape):
        return None
    length = root.shape[-1]
    assert isinstance(length, int)
    return length if length % LANES and length >= _SHORTEST_ROW else None


def _divided(factor: int, length: int) -> tuple[int, int]:
    """Whole rows and the rest, which is the smaller one of both signs."""
    rows, rest = divmod(factor, length)
    return (rows, rest) if 2 * rest <= length else (rows + 1, rest - length)


def _sum(terms: Mapping[Expr, int], constant: int) -> Expr:
    return Linear({a: c for a, c in terms.items() if c}, constant).expression()


def _padded(length: int) -> int:
    return -(-length // LANES) * LANES


def _copy_of(root: Buffer) -> Buffer:
    length = root.shape[-1]
    size = build.product(root.shape)
    assert isinstance(length, int)
    assert isinstance(size, int)
    return Buffer(f"{root.name}_texels", (size // length, _padded(length)), root.dtype)


def _copying(name: str, root: Buffer, copy: Buffer) -> Nest:
    """A row is filled up with what follows it: that is what a load beyond its end means."""
    row, column = (Var(n, size) for n, size in zip(("row", "column"), copy.shape, strict=True))
    length, size = root.shape[-1], build.product(root.shape)
    assert isinstance(length, int)
    assert isinstance(size, int)
    place = build.add(build.mul(row, build.index(length)), column)
    value = Load(linear_view(root), (build.minimum(place, build.index(size - 1)),))
    stage = Stage((), (), None, value, copy, (row, column))
    return Nest(f"{name}_{copy.name}", (row, column), (stage,), ())
