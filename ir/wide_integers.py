"""Which 64-bit integers of a program are sure to fit the 32 bits that GPU targets carry them in.

In: a program. Out: the stages with an integer that may not fit, by label and place in the source.
Inputs are checked when they are uploaded, so they count as fitting; from there on intervals are
followed through arithmetic, and through reductions by the number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from tilewright.ir import ops
from tilewright.ir.analysis.intervals import RULES, union
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import I32, I64, U32, U64, DType
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.location import Location
from tilewright.ir.lower.accesses import points
from tilewright.ir.ops import Op
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
)

Place = tuple[str, Location | None]
Range = tuple[int, int]
_CARRIED = {I64: I32, U64: U32}


def wrapping_integers(program: Program) -> tuple[Place, ...]:
    """What makes 64-bit integers that may not fit into 32 bits, each operation once."""
    ranges = _Ranges()
    for buffer, array in program.constants:
        if buffer.dtype.is_integer and array.size:
            ranges.buffers[buffer.root] = int(array.min()), int(array.max())
    ranges.follow(program.steps)
    return tuple(ranges.found)


class _Ranges:
    """What is known of the integers in each buffer, in the order of the steps."""

    def __init__(self) -> None:
        self.buffers: dict[Buffer, Range] = {}
        self.found: dict[Place, None] = {}

    def follow(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Nest():
                    for stage in step.stages:
                        self._note(stage)
                case Ordered():
                    self._note(_scattered(step))
                case Copy():
                    self._learn(step.target, self._held(step.source))
                case SortRows():
                    self._learn(step.target, self._sorted(step))
                case Repeat():
                    self._repeated(step.steps)
                case RepeatWhile():
                    self._repeated((*step.test, *step.body))
                case _:
                    pass

    def _repeated(self, steps: Sequence[Step]) -> None:
        """What a round writes the next may read: then it may be any number."""
        for buffer in _written(steps):
            self.buffers[buffer.root] = _carried(buffer.dtype)
        self.follow(steps)

    def _note(self, stage: Stage) -> None:
        if self._may_wrap(stage):
            self.found[stage.label or "an intermediate result", stage.loc] = None

    def _held(self, buffer: Buffer) -> Range:
        return self.buffers.get(buffer.root, _carried(buffer.dtype))

    def _learn(self, buffer: Buffer, result: Range) -> None:
        root = buffer.root
        self.buffers[root] = _union(self.buffers.get(root, result), result)

    def _sorted(self, step: SortRows) -> Range:
        length = step.source.shape[step.axis]
        if not step.positions or not isinstance(length, int):
            return self._held(step.source)
        return 0, max(0, length - 1)

    def _may_wrap(self, stage: Stage) -> bool:
        """Whether a 64-bit integer of the stage may leave 32 bits; remembers its result's range."""
        known: dict[Expr, Range] = {}
        wraps = False
        for node in post_order((stage.value,)):
            if node.dtype.kind not in "biux":
                continue
            known[node], left = _kept(self._range(node, known), node.dtype)
            wraps = wraps or left
        if stage.value.dtype.kind not in "biu":
            return wraps
        value = known[_least_of_found(stage) or stage.value]
        result, left = _kept(self._combined(stage, value), stage.value.dtype)
        self._learn(stage.target, result)
        return wraps or left

    def _range(self, node: Expr, known: dict[Expr, Range]) -> Range:
        match node:
            case Const():
                return int(node.value), int(node.value)
            case Load() if isinstance(node.source, Buffer):
                return self._held(node.source)
            case Apply() if node.op is ops.CAST:
                return known.get(node.operands[0], _carried(node.dtype))
            case Apply() if node.op is ops.SELECT:
                return _union(known[node.operands[1]], known[node.operands[2]])
            case Apply() if node.op in _RULES and all(o in known for o in node.operands):
                return _RULES[node.op](*(known[o] for o in node.operands))
            case Var():
                low, high = interval(node)
                least, most = _carried(node.dtype)
                return least if low is None else low, most if high is None else high
            case _:
                return _carried(node.dtype)

    def _combined(self, stage: Stage, value: Range) -> Range:
        """The range of the results of `stage`, whose values are in this range."""
        if stage.combiner is None:
            return value
        match stage.combined_by:
            case "add":
                count = points(stage.reduce_axes or stage.axes[-1:])
                return min(0, value[0] * count), max(0, value[1] * count)
            case "mul" if value[0] < -1 or value[1] > 1:
                return value[0] << 64, value[1] << 64
            case _:
                return value


def _least_of_found(stage: Stage) -> Expr | None:
    """What a search for the first position takes the minimum of: ``select(found, position, the
    largest number)``, in which something is always found (`passes/lower_arg_reductions.py`)."""
    match stage.value:
        case Apply(op=ops.SELECT, operands=(_, position, Const(value=value, dtype=dtype))):
            return position if stage.combiner == "min" and value == dtype.max else None
        case _:
            return None


def _scattered(step: Ordered) -> Stage:
    """A scatter as the reduction that it is for the element that is hit by all points."""
    return Stage((), step.axes, step.combiner, step.value, step.target, step.indices, step.name)


def _written(steps: Sequence[Step]) -> list[Buffer]:
    """The buffers that steps write."""
    found: list[Buffer] = []
    for step in steps:
        match step:
            case Nest():
                found += [stage.target for stage in step.stages]
            case Ordered() | Copy() | SortRows():
                found.append(step.target)
            case Repeat():
                found += _written(step.steps)
            case RepeatWhile():
                found += _written((*step.test, *step.body))
            case _:
                pass
    return found


def _carried(dtype: DType) -> Range:
    """All values that a variable of this dtype can hold in a shader."""
    held = _CARRIED.get(dtype, I32 if dtype.kind == "x" else dtype)
    return held.min, held.max


def _kept(found: Range, dtype: DType) -> tuple[Range, bool]:
    """The range after wrapping, and whether a 64-bit integer may have wrapped that should not."""
    low, high = _carried(dtype)
    if low <= found[0] and found[1] <= high:
        return found, False
    return (low, high), dtype in _CARRIED


# Of what is bounded they give what is bounded.
_BOUNDED = (ops.ADD, ops.SUB, ops.NEG, ops.ABS, ops.MUL, ops.MIN, ops.MAX)
_union = cast("Callable[[Range, Range], Range]", union)


def _of_quotients(a: Range, b: Range) -> Range:
    size = max(abs(a[0]), abs(a[1]))
    return (0, a[1]) if a[0] >= 0 and b[0] >= 0 else (-size, size)


def _of_remainders(a: Range, b: Range) -> Range:
    return min(0, b[0]), max(0, b[1])


_RULES: dict[Op, Callable[..., Range]] = {
    **{op: cast("Callable[..., Range]", RULES[op]) for op in _BOUNDED},
    ops.FLOORDIV: _of_quotients,
    ops.MOD: _of_remainders,
    # A left shift loses what it moves out of 32 bits, however small the operand.
    ops.SHL: lambda a, b: (min(0, a[0] << max(0, min(b[1], 64))), a[1] << max(0, min(b[1], 64))),
}
