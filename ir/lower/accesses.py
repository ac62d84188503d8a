"""What the stages of a nest read and write, and how far each access moves along each axis."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from tilewright.ir.analysis.affine import Linear, linear, offset, row_major_strides
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Stage

UNKNOWN_SIZE = 1024


class Access(Struct, frozen=True, eq=False):
    """One load or store: its element offset as a linear form over axes."""

    stage: Stage
    buffer: Buffer
    form: Linear
    is_store: bool

    def stride(self, axis: Var) -> int | None:
        """Elements from one point of the axis to the next; None where that is not constant."""
        for atom in self.form.terms:
            if not isinstance(atom, Var) and axis in _variables(atom):
                return None
        return self.form.coefficient(axis)

    def is_scattered(self, axis: Var) -> bool:
        """Whether each point of the axis lies at a place that is more than index arithmetic."""
        return any(
            axis in _variables(atom) and any(n.dtype is not INDEX for n in post_order((atom,)))
            for atom in self.form.terms
        )


def accesses(nest: Nest) -> list[Access]:
    """Every global load and store of the nest, loads of one place counted once."""
    found: list[Access] = []
    for stage in nest.stages:
        seen: set[tuple[Buffer, tuple[Expr, ...]]] = set()
        for node in post_order((stage.value, *stage.indices)):
            if isinstance(node, Load) and isinstance(node.source, Buffer):
                if node.source in nest.locals or (node.source, node.indices) in seen:
                    continue
                seen.add((node.source, node.indices))
                found.append(Access(stage, node.source, flat(node.source, node.indices), False))
        if stage.target not in nest.locals:
            form = flat(stage.target, stage.indices)
            found.append(Access(stage, stage.target, form, True))
    return found


def flat(buffer: Buffer, indices: tuple[Expr, ...]) -> Linear:
    """The element offset of an access."""
    return linear(offset(indices, buffer.strides or row_major_strides(buffer.shape)))


def points(axes: tuple[Var, ...]) -> int:
    """How many points the axes have together; open ones count as `UNKNOWN_SIZE`."""
    total = 1
    for axis in axes:
        size = largest(axis.extent) if axis.extent is not None else None
        total *= UNKNOWN_SIZE if size is None else size
    return total


def operations(value: Expr) -> int:
    """A rough count of machine operations for one evaluation, index arithmetic left out."""
    return sum(
        n.op.cost for n in post_order((value,)) if isinstance(n, Apply) and n.dtype.kind != "x"
    )


def work(nest: Nest) -> int:
    """A rough count of operations of the whole nest."""
    outer = points(nest.outer)
    return sum(
        outer * points((*s.axes, *s.reduce_axes)) * (1 + operations(s.value)) for s in nest.stages
    )


def free_positions(nest: Nest) -> Iterator[Linear]:
    """The index expressions in values outside of load indices (the position itself is data), each
    as a whole."""
    for stage in nest.stages:
        stack: list[Expr] = [stage.value]
        seen: set[Expr] = set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.dtype is INDEX:
                yield linear(node)
            elif not isinstance(node, Load):
                stack.extend(node.operands)


def _variables(node: Expr) -> set[Var]:
    return {n for n in post_order((node,)) if isinstance(n, Var)}


def depends(axis: Var, on: Var) -> bool:
    """Whether how long an axis is depends on the place along another one."""
    return isinstance(axis.extent, Expr) and on in post_order((axis.extent,))


def outer_is_contiguous(nest: Nest) -> bool:
    """Whether neighbouring outer points read neighbouring elements of what is reduced."""
    loads = [a for a in accesses(nest) if a.stage.reduce_axes and not a.is_store]
    if not nest.outer or not loads:
        return False
    along_outer = sum(a.stride(nest.outer[-1]) == 1 for a in loads)
    along_inner = sum(a.stride(a.stage.reduce_axes[-1]) == 1 for a in loads)
    return along_outer >= along_inner
