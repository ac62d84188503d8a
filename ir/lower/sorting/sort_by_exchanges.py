"""A sort -> launches that compare and exchange elements: K. E. Batcher's bitonic network (1968).

There are log2(n) * (log2(n) + 1) / 2 rounds. Those that reach over more than a block are maps,
which make each element from itself and one partner; all others run in workgroup memory, many to a
launch. Rows are padded to a power of two with elements that come last. Elements carry their
positions, which break ties: that makes the order stable, and is the argsort.

Two sorted runs are merged by comparing mirror images first, so that every comparison has the same
direction, and launches of the same distance are the same kernel, which is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Barrier, Buffer, For, If, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.workgroup.grid import on_grid, split_index
from tilewright.ir.program import Launch, Nest, SortRows, Stage

BLOCK = 512
"""Elements that a workgroup of half as many invocations sorts in its memory."""


def sort_by_exchanges(step: SortRows) -> tuple[Nest | Launch, ...]:
    """The launches that compute a sort or an argsort of rows of known length."""
    length = step.source.shape[step.axis]
    if not isinstance(length, int):
        raise IRError(f"{step.name} sorts rows of open length {length}")
    size = 1 << max(0, (length - 1).bit_length())
    block = min(BLOCK, size)
    pairs = [_pair(step, size, f"{step.name}{k}") for k in range(2)]
    steps: list[Nest | Launch] = [_padded(step, pairs[0], size, length)]
    if block > 1:
        steps.append(_BlockSort(step, pairs[0], block).sort())
    run = 2 * block
    while run <= size:
        for difference in _differences(run, block):
            steps.append(_exchange(step, pairs[0], pairs[1], difference))
            pairs.reverse()
        steps.append(_BlockSort(step, pairs[0], block).merge())
        run *= 2
    return (*steps, _result(step, pairs[0]))


def _differences(run: int, block: int) -> Iterator[int]:
    """The bits in which partners differ, in the rounds that make a sorted run out of its halves and
    reach over more than a block: mirror images, then elements at shorter and shorter distances."""
    yield run - 1
    distance = run // 4
    while distance >= block:
        yield distance
        distance //= 2


class _Pair(Struct, frozen=True, eq=False):
    """Rows of elements, and the positions that they came from."""

    values: Buffer
    positions: Buffer

    def element(self, at: tuple[Expr, ...]) -> tuple[Expr, Expr]:
        return Load(self.values, at), Load(self.positions, at)

    def stores(self, at: tuple[Expr, ...], element: tuple[Expr, Expr]) -> list[Stmt]:
        value, position = element
        return [Store(self.values, at, value), Store(self.positions, at, position)]

    def stages(self, at: tuple[Expr, ...], element: tuple[Expr, Expr]) -> tuple[Stage, ...]:
        value, position = element
        return (
            Stage((), (), None, value, self.values, at),
            Stage((), (), None, position, self.positions, at),
        )


def _pair(step: SortRows, size: int, name: str) -> _Pair:
    shape = step.source.shape
    padded = (*shape[: step.axis], size, *shape[step.axis + 1 :])
    dtype = step.source.dtype
    return _Pair(Buffer(f"{name}_values", padded, dtype), Buffer(f"{name}_places", padded, I32))


def _axes(buffer: Buffer) -> tuple[Var, ...]:
    return tuple(Var(f"i{k}", size) for k, size in enumerate(buffer.shape))


def _moved(at: tuple[Expr, ...], axis: int, index: Expr) -> tuple[Expr, ...]:
    return (*at[:axis], index, *at[axis + 1 :])


def _padded(step: SortRows, target: _Pair, size: int, length: int) -> Nest:
    axes = _axes(target.values)
    place = axes[step.axis]
    inside = build.minimum(place, build.index(length - 1)) if size > length else place
    value: Expr = Load(step.source, _moved(axes, step.axis, inside))
    if size > length:
        exists = build.lt(place, build.index(length))
        value = build.select(exists, value, _last(value.dtype))
    stages = target.stages(axes, (value, build.cast(place, I32)))
    return Nest(f"{step.name}_start", axes, stages, ())


def _last(dtype: DType) -> Expr:
    """A value that nothing follows."""
    return build.const(float("nan") if dtype.is_float else dtype.max, dtype)


def _exchange(step: SortRows, source: _Pair, target: _Pair, difference: int) -> Nest:
    """Each place takes the earlier or the later one of its own element and its partner's."""
    axes = _axes(source.values)
    place = axes[step.axis]
    other = Apply(ops.XOR, (place, build.index(difference)))
    mine, partner = source.element(axes), source.element(_moved(axes, step.axis, other))
    stays = Apply(ops.EQ, (_precedes(mine, partner), build.lt(place, other)))
    kept = (
        build.select(stays, mine[0], partner[0]),
        build.select(stays, mine[1], partner[1]),
    )
    return Nest(f"{step.name}_exchange", axes, target.stages(axes, kept), ())


def _precedes(x: tuple[Expr, Expr], y: tuple[Expr, Expr]) -> Expr:
    """Whether `x` comes before `y`: by value, NaN last, then by position."""
    tied_first = Apply(ops.AND, (Apply(ops.NOT, (_less(y[0], x[0]),)), build.lt(x[1], y[1])))
    return Apply(ops.OR, (_less(x[0], y[0]), tied_first))


def _less(a: Expr, b: Expr) -> Expr:
    less = build.lt(a, b)
    if not a.dtype.is_float:
        return less
    number = Apply(ops.NOT, (Apply(ops.ISNAN, (a,)),))
    return Apply(ops.OR, (less, Apply(ops.AND, (number, Apply(ops.ISNAN, (b,))))))


def _result(step: SortRows, source: _Pair) -> Nest:
    axes = _axes(step.target)
    value, position = source.element(axes)
    found = build.cast(position, I64) if step.positions else value
    stage = Stage((), (), None, found, step.target, axes)
    return Nest(f"{step.name}_result", axes, (stage,), ())


class _BlockSort:
    """Rounds inside of blocks: each workgroup reads one block, and writes it back in its place."""

    def __init__(self, step: SortRows, pair: _Pair, block: int) -> None:
        self.step = step
        self.pair = pair
        self.block = block
        self.rounds = block.bit_length() - 1
        shape = pair.values.shape
        others = [*shape[: step.axis], *shape[step.axis + 1 :]]
        size = shape[step.axis]
        assert isinstance(size, int)
        self.group = Var("group", build.product((*others, size // block)))
        self.lane = Var("lane", block // 2)
        *row, number = split_index(self.group, [*others, size // block])
        self.row = tuple(row)
        self.first = build.mul(number, build.index(block))
        self.shared = _Pair(
            Buffer("values", (block,), pair.values.dtype, "workgroup"),
            Buffer("places", (block,), I32, "workgroup"),
        )
        self.held = [
            _Pair(
                Buffer(f"value{k}", (), pair.values.dtype, "register"),
                Buffer(f"place{k}", (), I32, "register"),
            )
            for k in range(2)
        ]

    def sort(self) -> Launch:
        """All rounds of runs up to the block's length."""
        run = Var("run", self.rounds)
        turn = Var("turn", build.add(run, build.index(1)))
        mirrored = build.eq(turn, build.index(0))
        body = self._round(build.sub(run, turn), mirrored)
        return self._launch("sort", [For(run, "serial", [For(turn, "serial", body)])])

    def merge(self) -> Launch:
        """The last rounds of a longer run, which stay inside of blocks."""
        turn = Var("turn", self.rounds)
        body = self._round(build.sub(build.index(self.rounds - 1), turn), build.FALSE)
        return self._launch("merge", [For(turn, "serial", body)])

    def _launch(self, what: str, rounds: list[Stmt]) -> Launch:
        body = [*self._copy(into=True), Barrier(), *rounds, *self._copy(into=False)]
        buffers = [b for p in (self.shared, *self.held) for b in (p.values, p.positions)]
        name = f"{self.step.name}_{what}"
        return Launch(finish_kernel(name, on_grid(self.group, self.lane, body), buffers))

    def _copy(self, *, into: bool) -> list[Stmt]:
        """Each invocation moves two elements between memories."""
        body: list[Stmt] = []
        for half in range(2):
            place = build.add(self.lane, build.index(half * (self.block // 2)))
            far = _inserted(self.row, self.step.axis, build.add(self.first, place))
            source, target = (self.pair, self.shared) if into else (self.shared, self.pair)
            at, to = (far, (place,)) if into else ((place,), far)
            body += target.stores(to, source.element(at))
        return body

    def _round(self, distance: Expr, mirrored: Expr) -> list[Stmt]:
        """Compare elements ``2**distance`` apart, or mirror images in twice as many elements."""
        gap = Apply(ops.SHL_RAW, (build.index(1), distance))
        pair = Apply(ops.SHR_RAW, (self.lane, distance))
        inside = Apply(ops.AND, (self.lane, build.sub(gap, build.index(1))))
        start = Apply(ops.SHL_RAW, (pair, build.add(distance, build.index(1))))
        lower: Expr = build.add(start, inside)
        end = build.add(start, build.sub(build.mul(gap, build.index(2)), build.index(1)))
        upper = build.select(mirrored, build.sub(end, inside), build.add(lower, gap))
        one, two = self.held
        swaps = _precedes(two.element(()), one.element(()))
        exchange = [
            *self.shared.stores((lower,), two.element(())),
            *self.shared.stores((upper,), one.element(())),
        ]
        return [
            *one.stores((), self.shared.element((lower,))),
            *two.stores((), self.shared.element((upper,))),
            If(swaps, exchange),
            Barrier(),
        ]


def _inserted(row: tuple[Expr, ...], axis: int, index: Expr) -> tuple[Expr, ...]:
    return (*row[:axis], index, *row[axis:])
