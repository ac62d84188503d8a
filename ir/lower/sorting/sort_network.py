"""A bitonic sorting network over records in registers: statements made of whole-vector exchanges.

In: register buffers that hold ``rows * lanes`` records, element number ``row * lanes + lane`` of
each buffer. Out: statements after which they are in order.

The network sorts *columns first*: place ``p`` of the sorted sequence is row ``p % rows`` of lane
``p // rows``. A stage exchanges the records at places ``p`` and ``p ^ mask``. Where the mask is
less than `rows`, both lie in the same lane and a stage is a minimum and a maximum of two vectors;
only the few stages with greater masks move records between lanes. At the end the columns are
turned into rows, by shuffling the halves of all records into each other log2(rows) times.
(Networks of this kind are in M. Blacher et al., "Vectorized and performance-portable Quicksort",
2022; exchanges by masks in K. Batcher, "Sorting networks and their applications", 1968.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Stmt, Store

Record = tuple[Expr, ...]
"""The key of an element, and the position it came from where that decides between equal keys."""
Place = Callable[[Expr], Expr]


def precedes(a: Record, b: Record) -> Expr:
    """Whether `a` stands before `b`: by key, and then by position."""
    (key, *rest), (other, *others) = a, b
    less: Expr = Apply(ops.LT, (key, other))
    if not rest:
        return less
    tie = Apply(ops.AND, (build.eq(key, other), precedes(tuple(rest), tuple(others))))
    return Apply(ops.OR, (less, tie))


class Bank(Struct, frozen=True):
    """Two sets of registers of ``rows * lanes`` records each: a stage reads one, writes the other.

    `swaps` holds the outcome of comparisons, of records with more than a key.
    """

    rows: int
    lanes: int
    sets: tuple[tuple[Buffer, ...], tuple[Buffer, ...]]
    swaps: Buffer

    @classmethod
    def of(cls, name: str, rows: int, lanes: int, dtypes: Sequence[DType], flag: DType) -> Bank:
        size = (rows * lanes,)
        first, second = (
            tuple(Buffer(f"{name}{which}{k}", size, d, "register") for k, d in enumerate(dtypes))
            for which in "ab"
        )
        return cls(rows, lanes, (first, second), Buffer(f"{name}_swaps", size, flag, "register"))

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        return (*self.sets[0], *self.sets[1], self.swaps)

    def record(self, which: int, place: Expr) -> Record:
        return tuple(Load(b, (place,)) for b in self.sets[which])

    def put(self, which: int, place: Expr, record: Record) -> list[Stmt]:
        return [Store(b, (place,), v) for b, v in zip(self.sets[which], record, strict=True)]

    def over_rows(self, rows: int, make: Callable[[Expr, Expr], list[Stmt]]) -> list[Stmt]:
        """``make(row, lane)`` for a vector of lanes of every row."""
        row, lane = Var("row", rows), Var("lane", self.lanes)
        return [For(row, "unroll", [For(lane, "vector", make(row, lane), self.lanes)])]

    def at(self, row: Expr, lane: Expr) -> Expr:
        return build.add(build.mul(row, build.index(self.lanes)), lane)


def masks(size: int) -> Iterator[tuple[int, int]]:
    """The exchanges that sort `size` records: ``(mask, its greatest bit)`` of every stage."""
    width = 2
    while width <= size:
        yield width - 1, width // 2
        step = width // 4
        while step:
            yield step, step
            step //= 2
        width *= 2


class Network:
    """Emits the stages; `current` says which set of the bank holds the records now."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.current = 0

    def sort(self) -> list[Stmt]:
        """Sort all records, in columns."""
        body: list[Stmt] = []
        for mask, top in masks(self.bank.rows * self.bank.lanes):
            rows = self.bank.rows
            if top < rows:
                body += self._between_rows(mask, top)
            else:
                body += self.between_lanes(mask // rows, top // rows, mask % rows != 0)
        return body

    def turn(self) -> list[Stmt]:
        """Columns become rows: afterwards element number p is at place p."""
        bank, body = self.bank, list[Stmt]()
        half = bank.rows * bank.lanes // 2
        for _ in range(bank.rows.bit_length() - 1):
            source = self.current

            def move(row: Expr, lane: Expr, source: int = source) -> list[Stmt]:
                place = bank.at(row, lane)
                two = build.index(2)
                other = build.mul(build.mod(place, two), build.index(half))
                moved = bank.record(source, build.add(build.floordiv(place, two), other))
                return bank.put(1 - source, place, moved)

            body += bank.over_rows(bank.rows, move)
            self.current = 1 - source
        return body

    def merge_reversed(self) -> list[Stmt]:
        """Row 0 and row 1 are each in order: afterwards all records are, row after row."""
        bank = self.bank
        lane = Var("lane", bank.lanes)
        back = build.sub(build.index(2 * bank.lanes - 1), lane)
        high = build.add(lane, build.index(bank.lanes))
        body: list[Stmt] = [
            For(lane, "vector", self._exchange(lane, back, lane, high), bank.lanes),
        ]
        self.current = 1 - self.current
        step = bank.lanes // 2
        while step:
            body += self.between_lanes(step, step, False)
            step //= 2
        return body

    def _between_rows(self, mask: int, top: int) -> list[Stmt]:
        """Exchange records of one lane."""
        bank = self.bank

        def exchange(pair: Expr, lane: Expr) -> list[Stmt]:
            within = build.mod(pair, build.index(top))
            block = build.mul(build.floordiv(pair, build.index(top)), build.index(2 * top))
            low = build.add(block, within)
            if mask == top:
                high = build.add(low, build.index(top))
            else:
                high = build.sub(build.add(block, build.index(mask)), within)
            first, last = bank.at(low, lane), bank.at(high, lane)
            return self._exchange(first, last, first, last)

        body = bank.over_rows(bank.rows // 2, exchange)
        self.current = 1 - self.current
        return body

    def _exchange(self, first: Expr, last: Expr, low: Expr, high: Expr) -> list[Stmt]:
        """The records at `first` and `last` go to `low` and `high` of the other set, in order."""
        bank, source = self.bank, self.current
        a, b = bank.record(source, first), bank.record(source, last)
        if len(a) == 1:
            smaller, greater = _extremes(a[0], b[0])
            return [
                *bank.put(1 - source, low, (smaller,)),
                *bank.put(1 - source, high, (greater,)),
            ]
        swap = Load(bank.swaps, (low,))
        return [
            Store(bank.swaps, (low,), precedes(b, a)),
            *bank.put(1 - source, low, _select(swap, b, a)),
            *bank.put(1 - source, high, _select(swap, a, b)),
        ]

    def between_lanes(self, mask: int, top: int, across_rows: bool) -> list[Stmt]:
        """Exchange records whose lanes differ by `mask`, and whose rows are mirrored if asked."""
        bank, source = self.bank, self.current

        def exchange(row: Expr, lane: Expr) -> list[Stmt]:
            place = bank.at(row, lane)
            partner_row = build.sub(build.index(bank.rows - 1), row) if across_rows else row
            partner_lane = Apply(ops.XOR, (lane, build.index(mask)))
            mine = bank.record(source, place)
            other = bank.record(source, bank.at(partner_row, partner_lane))
            is_low = build.eq(Apply(ops.AND, (lane, build.index(top))), build.index(0))
            if len(mine) == 1:
                smaller, greater = _extremes(mine[0], other[0])
                return bank.put(1 - source, place, (build.select(is_low, smaller, greater),))
            # The lower lane takes the other if that precedes, the upper one if it does not.
            differs = Apply(ops.XOR, (precedes(other, mine), Apply(ops.NOT, (is_low,))))
            take = Load(bank.swaps, (place,))
            return [
                Store(bank.swaps, (place,), differs),
                *bank.put(1 - source, place, _select(take, other, mine)),
            ]

        body = bank.over_rows(bank.rows, exchange)
        self.current = 1 - source
        return body


def _extremes(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    return Apply(ops.MIN, (a, b)), Apply(ops.MAX, (a, b))


def _select(condition: Expr, yes: Record, no: Record) -> Record:
    return tuple(build.select(condition, a, b) for a, b in zip(yes, no, strict=True))
