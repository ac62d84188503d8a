"""The least elements of long rows, in order, without sorting the rest.

In: the network and the keys of a sort, and how many elements of each row somebody reads. Out:
statements for one row. The best so far are held in registers in order. Of the next elements, as
many at a time, those that none of precedes the last one held are passed over; else all are sorted
together and the better half is held. In random data few of them are: about k log(n / k) of n.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer, For, If, Stmt, Store
from tilewright.ir.lower.sorting.sort_keys import Keys
from tilewright.ir.lower.sorting.sort_network import Bank, Network, Record

LEAST_GROUPS = 4
"""Rows of fewer groups than this are sorted as a whole."""


class Selection:
    """`count` elements of rows of `length`, in a bank whose first half is what is held."""

    def __init__(self, keys: Keys, bank: Bank, length: int, count: int) -> None:
        self.keys = keys
        self.bank = bank
        self.length = length
        self.count = count
        self.group = bank.rows * bank.lanes // 2
        self.rest = tuple(
            Buffer(f"rest{k}", (self.group,), d, "register") for k, d in enumerate(keys.dtypes)
        )
        self.flags = Buffer("better", (self.group,), BOOL, "register")
        self.limit = Buffer("limit", (), keys.dtypes[0], "register")

    @classmethod
    def of(
        cls, keys: Keys, lanes: int, registers: int, length: int, count: int
    ) -> Selection | None:
        """None where a network of these registers cannot hold `count`, or rows are short."""
        group = max(lanes, 1 << (count - 1).bit_length())
        if 2 * group > lanes * registers or length < LEAST_GROUPS * group:
            return None
        bank = Bank.of("records", 2 * group // lanes, lanes, keys.dtypes, BOOL)
        return cls(keys, bank, length, count)

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        return (*self.bank.buffers, *self.rest, self.flags, self.limit)

    def statements(self, record: Callable[[Expr], Record]) -> list[Stmt]:
        """Afterwards the least are at the first places of the bank's first set of registers."""
        whole, rest = divmod(self.length, self.group)
        step = Var("step", whole)
        first = build.mul(step, build.index(self.group))
        body = [
            self._vectors(0, lambda _: self.keys.padding),
            Store(self.limit, (), self.keys.padding[0]),
            For(step, "serial", self._look(lambda e: record(build.add(first, e)))),
        ]
        if rest:
            body += self._padded(record, rest)
            body += self._look(lambda e: tuple(Load(b, (e,)) for b in self.rest))
        return body

    def _padded(self, record: Callable[[Expr], Record], count: int) -> list[Stmt]:
        """The last `count` elements of the row and what makes a group of them."""
        body: list[Stmt] = []
        lane, spare = Var("lane", count), Var("spare", self.group - count)
        last = record(build.add(lane, build.index(self.length - count)))
        for start, counter, values in ((0, lane, last), (count, spare, self.keys.padding)):
            place = build.add(counter, build.index(start))
            stores = [Store(b, (place,), v) for b, v in zip(self.rest, values, strict=True)]
            body.append(For(counter, "vector", stores, self.bank.lanes))
        return body

    def _vectors(self, start: int, record: Callable[[Expr], Record]) -> Stmt:
        """A group of records into the bank, in whole vectors."""
        lane = Var("lane", self.group)
        place = build.add(lane, build.index(start))
        return For(lane, "vector", self.bank.put(0, place, record(lane)), self.bank.lanes)

    def _look(self, record: Callable[[Expr], Record]) -> list[Stmt]:
        """The next group, sorted with what is held if one of it is better."""
        bank = self.bank
        every = Var("lane", self.group)
        key = bank.record(0, build.add(every, build.index(self.group)))[0]
        # Of pairs, those with an equal key may be better by their position.
        compare = ops.LT if len(self.keys.dtypes) == 1 else ops.LE
        better = Store(self.flags, (every,), Apply(compare, (key, Load(self.limit, ()))))
        network = Network(bank)
        sort = [*network.sort(), *network.turn()]
        last = network.current
        move = self._vectors(0, lambda lane: bank.record(last, lane))
        limit = bank.record(last, build.index(self.count - 1))[0]
        return [
            self._vectors(self.group, record),
            For(every, "vector", [better], bank.lanes),
            If(
                LaneReduce(ops.OR, self.flags),
                [*sort, Store(self.limit, (), limit), *([move] if last else [])],
            ),
        ]
