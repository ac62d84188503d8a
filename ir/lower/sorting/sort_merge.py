"""Rounds of merges that sort a row of sorted blocks, whole vectors at a time.

Of two runs, a vector of the greatest elements so far is held in registers. The next vector is taken
from the run whose first element is smaller, a network merges it with what is held, the smaller half
is written and the greater half is held again. (H. Inoue et al., "AA-Sort", 2007.) A round doubles
the length of the runs and moves the row from one half of a workspace to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field

from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.kernel import Buffer, For, Space, Stmt, Store, WhileLoop
from tilewright.ir.lower.sorting.sort_keys import Keys
from tilewright.ir.lower.sorting.sort_network import Bank, Network, Record, precedes


class Workspace(Struct):
    """Two rows of `length` records, `padded` of which take part in a sort.

    On the stack ``[2, length]``, else ``[task, 2, length]`` of a temporary.
    """

    buffers: tuple[Buffer, ...]
    padded: Size
    length: Size
    on_stack: bool
    task: Expr = field(default_factory=lambda: build.index(0))

    @classmethod
    def of(
        cls, dtypes: Sequence[DType], padded: Size, spare: int, tasks: int, stack: int
    ) -> Workspace:
        length = build.size_add(padded, spare)
        bytes_each = 2 * sum(d.itemsize for d in dtypes)
        on_stack = isinstance(length, int) and length * bytes_each <= stack
        shape = (2, length) if on_stack else (tasks, 2, length)
        space: Space = "scratch" if on_stack else "global"
        buffers = tuple(Buffer(f"runs{k}", shape, d, space) for k, d in enumerate(dtypes))
        return cls(buffers, padded, length, on_stack)

    def _place(self, half: Expr, element: Expr) -> tuple[Expr, ...]:
        return (half, element) if self.on_stack else (self.task, half, element)

    def record(self, half: Expr, element: Expr) -> Record:
        return tuple(Load(b, self._place(half, element)) for b in self.buffers)

    def put(self, half: Expr, element: Expr, record: Record) -> list[Stmt]:
        place = self._place(half, element)
        return [Store(b, place, v) for b, v in zip(self.buffers, record, strict=True)]


class Merge:
    """The rounds over one workspace, and the registers that they count in."""

    def __init__(self, workspace: Workspace, keys: Keys, lanes: int) -> None:
        self.workspace = workspace
        self.lanes = lanes
        self.bank = Bank.of("merged", 2, lanes, keys.dtypes, BOOL)
        self._half, self._width = _register("half"), _register("width")
        self._start, self._left, self._right = (_register(n) for n in ("start", "left", "right"))
        self._from_right = _register("from_right", BOOL)
        self._from = _register("from")

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        counters = (self._half, self._width, self._start, self._left, self._right, self._from)
        return (*self.bank.buffers, *counters, self._from_right)

    @property
    def half(self) -> Expr:
        """Which half of the workspace holds the row."""
        return Load(self._half, ())

    def rounds(self, run: int) -> list[Stmt]:
        """Merge runs of `run` elements until there is one."""
        width, start = Load(self._width, ()), Load(self._start, ())
        padded = build.index(self.workspace.padded)
        middle = build.minimum(build.add(start, width), padded)
        end = build.minimum(build.add(middle, width), padded)
        merge_round = [
            Store(self._start, (), build.index(0)),
            WhileLoop(
                build.lt(start, padded),
                [*self._merge(start, middle, end), Store(self._start, (), end)],
            ),
            Store(self._width, (), build.add(width, width)),
            Store(self._half, (), build.sub(build.index(1), self.half)),
        ]
        return [
            Store(self._width, (), build.index(run)),
            Store(self._half, (), build.index(0)),
            WhileLoop(build.lt(width, padded), merge_round),
        ]

    def _merge(self, start: Expr, middle: Expr, end: Expr) -> list[Stmt]:
        """The runs from `start` to `middle` and from there to `end`, all whole vectors."""
        lanes = build.index(self.lanes)
        vectors = Apply(ops.QUO, (build.sub(end, start), lanes))
        step = Var("step", build.sub(vectors, build.index(1)))
        target = build.add(start, build.mul(step, lanes))
        network = Network(self.bank)
        body = [*self._next_vector(middle, end), *network.merge_reversed()]
        after = network.current

        def hold(lane: Expr) -> list[Stmt]:
            return self.bank.put(0, lane, self.bank.record(after, build.add(lane, lanes)))

        body += [
            self._over_lanes(lambda lane: self._put(build.add(target, lane), after, lane)),
            self._over_lanes(hold),
        ]
        last = build.sub(end, lanes)
        return [
            self._over_lanes(lambda lane: self._take(build.add(start, lane), lane)),
            Store(self._left, (), build.add(start, lanes)),
            Store(self._right, (), middle),
            For(step, "serial", body),
            self._over_lanes(lambda lane: self._put(build.add(last, lane), 0, lane)),
        ]

    def _next_vector(self, middle: Expr, end: Expr) -> list[Stmt]:
        """The next vector of the run whose first record precedes that of the other."""
        left, right, space = Load(self._left, ()), Load(self._right, ()), self.workspace
        # A run that has ended is compared too, to no effect: something follows it in memory.
        smaller = precedes(space.record(self.half, right), space.record(self.half, left))
        ended = build.ge(left, middle)
        from_right = Apply(ops.OR, (ended, Apply(ops.AND, (build.lt(right, end), smaller))))
        taken, place, lanes = (
            Load(self._from_right, ()),
            Load(self._from, ()),
            build.index(self.lanes),
        )
        moved = build.mul(build.cast(taken, INDEX), lanes)
        return [
            Store(self._from_right, (), from_right),
            Store(self._from, (), build.select(taken, right, left)),
            self._over_lanes(
                lambda lane: self._take(build.add(place, lane), build.add(lane, lanes))
            ),
            Store(self._right, (), build.add(right, moved)),
            Store(self._left, (), build.add(left, build.sub(lanes, moved))),
        ]

    def _over_lanes(self, make: Callable[[Expr], list[Stmt]]) -> Stmt:
        lane = Var("lane", self.lanes)
        return For(lane, "vector", make(lane), self.lanes)

    def _take(self, element: Expr, place: Expr) -> list[Stmt]:
        """An element of the row into the registers that are merged."""
        return self.bank.put(0, place, self.workspace.record(self.half, element))

    def _put(self, element: Expr, which: int, place: Expr) -> list[Stmt]:
        """A merged record into the other half of the workspace."""
        other = build.sub(build.index(1), self.half)
        return self.workspace.put(other, element, self.bank.record(which, place))


def _register(name: str, dtype: DType = INDEX) -> Buffer:
    return Buffer(name, (), dtype, "register")
