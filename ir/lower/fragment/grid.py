"""A nest and a schedule -> a kernel whose every point makes one texel: four elements of the output.

Fragment shaders can only gather: a point computes elements ``4 * texel … 4 * texel + 3`` of the
output (or of several that lie alike) in row-major order and stores nothing else. Loads become loads
of one linear offset, in which the four lanes are a vector loop. Elements past the end of the output
repeat the last one, or are anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build
from tilewright.ir.analysis.affine import row_major_strides
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Expr, Load, Source, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.fragment.reduction import FragmentReduction, with_static_axes
from tilewright.ir.lower.unravel import LANES, Unravel, static_extent
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import rewrite, substitute


def lower_to_fragments(nest: Nest, schedule: Schedule, name: str) -> Kernel:
    """The gather form of a nest; several outputs must lie alike, one render target each."""
    _require_static(nest)
    if any(axis.extent == 0 for axis in nest.outer):
        return _nothing(nest, name)
    return FragmentLowering(collapse_axes(nest), schedule).kernel(name)


class FragmentLowering:
    """State of one lowering: the digits of the position, and the registers of the locals."""

    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        self.nest = nest
        self.schedule = schedule
        self.lane = Var("lane", LANES)
        axes = axes_in_order(nest)
        texels = -(-_points(axes) // LANES)
        self.texel = Var("texel", texels)
        self.unravel = Unravel(axes, self.texel, self.lane)
        self.registers: list[Buffer] = []
        self.storage: dict[Buffer, Source] = {}

    def kernel(self, name: str) -> Kernel:
        body: list[Stmt] = []
        for stages in _together([with_static_axes(stage) for stage in self.nest.stages]):
            body += self._stages(stages)
        return finish_kernel(name, [For(self.texel, "fragment", body)], self.registers)

    def _stages(self, stages: list[Stage]) -> list[Stmt]:
        """One map, or reductions over the same axes."""
        for stage in stages:
            if stage.axes:
                raise IRError(f"a stage of {self.nest.name} has axes of its own: {stage.axes}")
        values = [self.on_digits(stage.value) for stage in stages]
        body: list[Stmt] = []
        if stages[0].combiner is not None:
            reduction = FragmentReduction(self, stages, values)
            body += reduction.statements()
            values = reduction.results()
        for stage, value in zip(stages, values, strict=True):
            body += self._finish(stage, value)
        return body

    def _finish(self, stage: Stage, value: Expr) -> list[Stmt]:
        """Put the value of a stage where it belongs: a register or the output's texel."""
        if stage.target not in self.nest.locals:
            target = linear_view(stage.target)
            return self.over_lanes([Store(target, (self.unravel.position,), value)])
        if isinstance(value, Load) and _is_register(value):
            self.storage[stage.target] = value.source
            return []
        register = self.register(stage.target.name, stage.target, self.depends_on_lane(value))
        self.storage[stage.target] = register
        if not register.shape:
            return [Store(register, (), value)]
        return self.over_lanes([Store(register, (self.lane,), value)])

    # What stages share.

    def register(self, name: str, like: Buffer, laned: bool) -> Buffer:
        """A register of `like`'s dtype for each lane, or one for all."""
        made = Buffer(name, (LANES,) if laned else (), like.dtype, "register")
        self.registers.append(made)
        return made

    def over_lanes(self, body: list[Stmt]) -> list[Stmt]:
        return [For(self.lane, "vector", body, LANES)]

    def depends_on_lane(self, value: Expr) -> bool:
        return any(node is self.lane for node in post_order((value,)))

    def on_digits(self, value: Expr) -> Expr:
        """`value` with outer axes as digits, linear loads, and those locals in registers that have
        been computed."""

        def linear_load(node: Expr) -> Expr | None:
            if not isinstance(node, Load) or not isinstance(node.source, Buffer):
                return None
            if node.source in self.nest.locals and node.source not in self.storage:
                return None
            if node.source in self.storage:
                register = self.storage[node.source]
                return Load(register, (self.lane,) if register.shape else ())
            offset = self.unravel.offset(flat(node.source, node.indices))
            return Load(linear_view(node.source), (offset,))

        return substitute(rewrite(value, linear_load), self.unravel.bindings())


def _is_register(node: Load) -> bool:
    return isinstance(node.source, Buffer) and node.source.space == "register"


def linear_view(buffer: Buffer) -> Buffer:
    """The storage of `buffer` as one dimension."""
    root = buffer.root
    if len(root.shape) == 1:
        return root
    return Buffer(root.name, (build.product(root.shape),), root.dtype, root.space, base=root)


def _together(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Neighbouring reductions over the very same axes as one, unless one reads the other."""
    groups: list[list[Stage]] = []
    for stage in stages:
        last = groups[-1] if groups else []
        same = bool(last) and bool(stage.reduce_axes) and last[0].reduce_axes == stage.reduce_axes
        if same and not {s.target for s in last} & loaded_by(stage):
            last.append(stage)
        else:
            groups.append([stage])
    return groups


def loaded_by(stage: Stage) -> set[object]:
    """Everything that the value of a stage reads."""
    return {node.source for node in post_order((stage.value,)) if isinstance(node, Load)}


def axes_in_order(nest: Nest) -> tuple[Var, ...]:
    """The outer axes in the order in which the outputs' elements lie in memory."""
    finals = [stage for stage in nest.stages if stage.target not in nest.locals]
    if not finals or tuple(finals) != nest.stages[-len(finals) :]:
        raise IRError(f"{nest.name} does not end with the stages that write its outputs")
    orders = {_axes_of(nest, stage) for stage in finals}
    if len(orders) != 1:
        raise IRError(f"the outputs of {nest.name} do not lie in memory alike")
    return orders.pop()


def _axes_of(nest: Nest, final: Stage) -> tuple[Var, ...]:
    form = flat(final.target, final.indices)
    axes = [a for a in nest.outer if a.extent != 1]
    axes.sort(key=lambda axis: -form.coefficient(axis))
    strides = row_major_strides([static_extent(axis) for axis in axes])
    steps = tuple(form.coefficient(axis) for axis in axes)
    size = build.product(final.target.root.shape)
    covered = set(form.terms) <= set(nest.outer) and form.constant == 0
    if not covered or steps != strides or _points(tuple(axes)) != size:
        raise IRError(f"{nest.name} does not write every element of {final.target.name} once")
    return (*(a for a in nest.outer if a.extent == 1), *axes)


def _points(axes: tuple[Var, ...]) -> int:
    total = 1
    for axis in axes:
        total *= static_extent(axis)
    return total


def _require_static(nest: Nest) -> None:
    for axis in nest.outer:
        if not isinstance(axis.extent, int):
            raise UnsupportedError(
                f"{nest.name} has an open dimension, {axis.name}, and a fragment grid needs "
                "known sizes",
                help="compile for given shapes on this target",
            )


def _nothing(nest: Nest, name: str) -> Kernel:
    """The kernel of outputs without elements; it is never run."""
    texel, lane = Var("texel", 1), Var("lane", LANES)
    position = Unravel((), texel, lane).position
    targets = [linear_view(s.target) for s in nest.stages if s.target not in nest.locals]
    stores = [Store(target, (position,), build.zero(target.dtype)) for target in targets]
    body = For(texel, "fragment", [For(lane, "vector", stores, LANES)])
    return finish_kernel(name, [body], ())
