"""One group of units -> a nest: its stages, what it keeps in locals, and where it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Size, Var
from tilewright.ir.fuse.group import Group, Unit
from tilewright.ir.graph import Tensor
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.fuse.program_builder import GraphLowering


class NestBuilder:
    """The stages, locals and stores of one group."""

    def __init__(self, lowering: GraphLowering, group: Group) -> None:
        self.lowering = lowering
        self.group = group
        self.inside = {u.tensor for u in group.units}
        self.local: dict[Tensor, Buffer] = {}

    def nest(self) -> Nest:
        stages: list[Stage] = []
        for unit in self.group.units:
            stages += self._stages(unit)
        name = self.group.units[-1].tensor.name
        return Nest(name, self.group.outer, tuple(stages), tuple(self.local.values()))

    def _stages(self, unit: Unit) -> list[Stage]:
        tensor = unit.tensor
        readers = self.lowering.readers.get(tensor, set())
        outside, inside = bool(readers - self.inside), bool(readers & self.inside)
        value = self._value(unit.value)
        indices = tuple(build.index(0) if a is None else a for a in unit.indices)
        if not self._keep_local(unit, inside):
            target = self.lowering.place(tensor)
            return [self._stage(unit, value, target, indices)]
        local = Buffer(
            f"l{len(self.local)}", [_extent(a) for a in unit.own], tensor.dtype, "scratch"
        )
        self.local[tensor] = local
        stages = [self._stage(unit, value, local, unit.own)]
        if outside:
            target = self.lowering.place(tensor)
            copied = Load(local, unit.own)
            stages.append(
                Stage(unit.own, (), None, copied, target, indices, tensor.label, tensor.loc)
            )
        return stages

    def _stage(self, unit: Unit, value: Expr, target: Buffer, indices: tuple[Expr, ...]) -> Stage:
        label, loc = unit.tensor.label, unit.tensor.loc
        return Stage(unit.own, unit.reduce_axes, unit.combiner, value, target, indices, label, loc)

    def _keep_local(self, unit: Unit, inside: bool) -> bool:
        """Registers or scratch memory, unless nobody here reads it or it is too large."""
        if unit.combiner is not None and not unit.own:
            return True
        if not inside:
            return False
        size = unit.tensor.dtype.itemsize
        for axis in unit.own:
            if not isinstance(axis.extent, int):
                return False
            size *= axis.extent
        return size <= self.lowering.builder.options.scratch_bytes

    def _value(self, value: Expr) -> Expr:
        """Reads of locals without the outer axes, reads of everything else from buffers."""

        def load(node: Load) -> Expr | None:
            local = self.local.get(node.source)  # type: ignore[call-overload]
            if local is None:
                assert isinstance(node.source, Tensor)
                return Load(self.lowering.place(node.source), node.indices)
            unit = self.group.unit_of(node.source)
            assert unit is not None
            own = {a: i for a, i in zip(unit.indices, node.indices, strict=True) if a is not None}
            return Load(local, tuple(own[a] for a in unit.own))

        return substitute(value, {}, load)


def _extent(axis: Var) -> Size:
    assert axis.extent is not None
    return axis.extent
