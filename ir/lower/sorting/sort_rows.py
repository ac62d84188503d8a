"""A `SortRows` step -> a kernel: bitonic networks in vector registers, merged by more of them.

A row that fits into the registers is sorted there. A longer one is encoded into a workspace, where
blocks are sorted in registers and then merged in rounds (`ir/lower/sorting/sort_merge.py`). Nothing
branches on the data. The order is stable and NaN is last, as `np.sort(kind="stable")` has it: where
a position does not decide, equal elements have equal bits, save zeros, whose signs are put back.

Workspaces that are small and of known size are on the task's stack, others are temporaries.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, I32, INDEX
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Size, Var
from tilewright.ir.kernel import Buffer, For, If, Kernel, Stmt, Store, WhileLoop
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.lowered import Lowered
from tilewright.ir.lower.rows import Rows, ceiling_of, floor_of, over_rows
from tilewright.ir.lower.sorting.select_rows import Selection
from tilewright.ir.lower.sorting.sort_keys import Keys
from tilewright.ir.lower.sorting.sort_merge import Merge, Workspace
from tilewright.ir.lower.sorting.sort_network import Bank, Network, Record
from tilewright.ir.program import SortRows

STACK_BYTES = 32 << 10
TASKS = 16
PARALLEL_ELEMENTS = 1 << 13
"""Fewer elements than this in all are not worth waking a thread."""


class VectorUnit(Struct, frozen=True):
    """The vector registers of a machine: bits of one, and how many there are."""

    bits: int = 128
    registers: int = 16


def lower_sort(
    step: SortRows,
    name: str,
    tasks: int = TASKS,
    unit: VectorUnit | None = None,
    read: tuple[int, int] | None = None,
) -> Lowered:
    """The CPU form of a sort, its rows spread over at most `tasks` tasks.

    `read` are the first and the last place of the sorted rows that anybody reads: a few at either
    end are selected, without a sort of the rest (`ir/lower/sorting/select_rows.py`).
    """
    return SortLowering(step, tasks, unit or VectorUnit(), read).lowered(name)


class SortLowering:
    """One lowering: the registers of the network, and the workspace of long rows."""

    def __init__(
        self, step: SortRows, tasks: int, unit: VectorUnit, read: tuple[int, int] | None
    ) -> None:
        self.rows = Rows.of(step.source.shape, step.axis)
        self.length = self.rows.length
        self.source = self.rows.view(step.source)
        self.target = self.rows.view(step.target)
        self.keys = Keys.of(step, self.length)
        self.tasks = self._tasks(tasks)
        self.row: Expr  # of the loop, once there is one
        self.bank = self._bank(unit)
        self.selection = None if self._fits else self._selection(step, unit, read)
        if self.selection is not None:
            self.keys, self.bank = self.selection.keys, self.selection.bank
        self.lanes = self.bank.lanes
        self.negatives = Buffer("negative_zeros", (self.lanes,), I32, "register")
        self.next_zero = Buffer("next_zero", (), INDEX, "register")
        self.workspace = None if self._fits or self.selection else self._workspace()
        self.merge = Merge(self.workspace, self.keys, self.lanes) if self.workspace else None

    def lowered(self, name: str) -> Lowered:
        def body(task: Expr, row: Expr) -> list[Stmt]:
            self.row = row
            if self.selection is not None:
                return self._selected(self.selection)
            return self._long_row(task) if self.workspace else self._short_row()

        loops = over_rows(self.rows.count, self.tasks, body)
        local = [*self.bank.buffers, self.negatives, self.next_zero]
        if self.selection is not None:
            local += self.selection.buffers[len(self.bank.buffers) :]
        temporaries: tuple[Buffer, ...] = ()
        if self.workspace and self.merge:
            local += self.merge.buffers
            local += self.workspace.buffers if self.workspace.on_stack else ()
            temporaries = () if self.workspace.on_stack else self.workspace.buffers
        kernel: Kernel = finish_kernel(name, loops, local)
        return Lowered(kernel, temporaries)

    # Sizes.

    def _tasks(self, most: int) -> int:
        count, length = self.rows.count, self.length
        if isinstance(count, int):
            most = max(1, min(most, count))
            if isinstance(length, int) and count * length < PARALLEL_ELEMENTS:
                return 1
        return most

    def _bank(self, unit: VectorUnit) -> Bank:
        """Registers for a whole row if it fits into half of those that there are, else a block."""
        widest = max(d.bits for d in self.keys.dtypes)
        lanes = max(2, unit.bits // widest)
        rows = unit.registers // 2
        if isinstance(self.length, int):
            if self.length <= lanes * rows:
                size = max(2, 1 << (self.length - 1).bit_length())
                lanes = min(lanes, size)
                rows = size // lanes
            else:
                rows = _least_padding(self.length, lanes, rows)
        return Bank.of("records", rows, lanes, self.keys.dtypes, BOOL)

    @property
    def block(self) -> int:
        return self.bank.rows * self.bank.lanes

    @property
    def _fits(self) -> bool:
        return isinstance(self.length, int) and self.length <= self.block

    def _selection(
        self, step: SortRows, unit: VectorUnit, read: tuple[int, int] | None
    ) -> Selection | None:
        if read is None or not isinstance(self.length, int):
            return None
        reverse = read[0] > self.length - 1 - read[1]
        count = self.length - read[0] if reverse else read[1] + 1
        keys = Keys.of(step, self.length, reverse)
        lanes = max(2, unit.bits // max(d.bits for d in keys.dtypes))
        return Selection.of(keys, lanes, unit.registers // 2, self.length, count)

    def _workspace(self) -> Workspace:
        padded = build.size_mul(ceiling_of(self.length, self.block), self.block)
        # What is beyond the padding is looked at by a merge whose second run has ended.
        return Workspace.of(self.keys.dtypes, padded, self.lanes, self.tasks, STACK_BYTES)

    # Elements.

    def _record(self, element: Expr) -> Record:
        return self.keys.record(self._given(element), element)

    def _given(self, element: Expr) -> Expr:
        return Load(self.source, self.rows.at(self.row, element))

    def _finish(self, element: Expr, lane: Expr, record: Record) -> list[Stmt]:
        """Write one element of the sorted row; negative zeros are noted."""
        value = self.keys.result(record)
        place = self.rows.at(self.row, self._mirrored(element))
        body: list[Stmt] = [Store(self.target, place, value)]
        if self.keys.negative_zero is not None:
            # From the end, a row may be cut where it has zeros: then 0.0 is found, and not -0.0.
            zero = build.zero(self.source.dtype)
            has_zero = build.eq(record[0], self.keys.negative_zero)
            found = build.cast(build.eq(value, zero) if self.keys.reverse else has_zero, I32)
            seen = Load(self.negatives, (lane,))
            body.append(Store(self.negatives, (lane,), Apply(ops.OR, (seen, found))))
        return body

    def _mirrored(self, element: Expr) -> Expr:
        """The place of an element, which is from the end if the order is reversed."""
        if not self.keys.reverse:
            return element
        return build.sub(build.sub(build.index(self.length), build.index(1)), element)

    def _with_zeros(self, body: list[Stmt], count: Size) -> list[Stmt]:
        """`body`, which writes `count` elements, and then the zeros of both signs among them in the
        order in which they came."""
        if self.keys.negative_zero is None:
            return body
        lane = Var("lane", self.lanes)
        clear = Store(self.negatives, (lane,), build.zero(I32))
        element = Var("element", count)
        place = self.rows.at(self.row, self._mirrored(element))
        zero, at = build.zero(self.source.dtype), Load(self.next_zero, ())
        given = self._given(self._mirrored(at))
        following = Store(self.next_zero, (), build.add(at, build.index(1)))
        take = [
            WhileLoop(Apply(ops.NE, (given, zero)), [following]),
            Store(self.target, place, given),
            following,
        ]
        repair = [
            Store(self.next_zero, (), build.index(0)),
            For(element, "serial", [If(build.eq(Load(self.target, place), zero), take)]),
        ]
        some = Apply(ops.NE, (LaneReduce(ops.OR, self.negatives), build.zero(I32)))
        return [For(lane, "vector", [clear], self.lanes), *body, If(some, repair)]

    def _strips(
        self, extent: Size, make: Callable[[Expr, Expr], list[Stmt]], expand: bool = False
    ) -> list[Stmt]:
        """``make(element, lane)`` for every element, in vectors as far as they go."""
        lanes = self.lanes
        whole = floor_of(extent, lanes)
        strip, lane = Var("strip", whole), Var("lane", lanes)
        first = build.mul(strip, build.index(lanes))
        inner = For(lane, "vector", make(build.add(first, lane), lane), lanes)
        body: list[Stmt] = [For(strip, "unroll" if expand else "serial", [inner])]
        done = build.size_mul(whole, lanes)
        if isinstance(extent, int) and isinstance(done, int):
            if extent > done:
                rest = Var("rest", extent - done)
                body.append(
                    For(rest, "vector", make(build.add(build.index(done), rest), rest), lanes)
                )
        else:
            rest = Var("rest", build.sub(build.index(extent), build.index(done)))
            element = build.add(build.index(done), rest)
            body.append(For(rest, "serial", make(element, build.index(0))))
        return body

    # Rows.

    def _short_row(self) -> list[Stmt]:
        """Load, sort and store, all in registers."""
        bank, length = self.bank, self.length
        assert isinstance(length, int)
        network = Network(bank)
        body = self._strips(
            length, lambda element, _: bank.put(0, element, self._record(element)), expand=True
        )
        if length < self.block:
            spare = Var("spare", self.block - length)
            place = build.add(build.index(length), spare)
            body.append(For(spare, "vector", bank.put(0, place, self.keys.padding), self.lanes))
        body += network.sort()
        body += network.turn()
        last = network.current
        body += self._strips(
            length,
            lambda element, lane: self._finish(element, lane, bank.record(last, element)),
            expand=True,
        )
        return self._with_zeros(body, length)

    def _selected(self, selection: Selection) -> list[Stmt]:
        bank, count = selection.bank, selection.count
        body = selection.statements(self._record)
        body += self._strips(
            count, lambda e, lane: self._finish(e, lane, bank.record(0, e)), expand=True
        )
        return self._with_zeros(body, count)

    def _long_row(self, task: Expr) -> list[Stmt]:
        workspace, merge = self.workspace, self.merge
        assert workspace is not None
        assert merge is not None
        workspace.task = task
        first, half = build.index(0), merge.half

        def finish(element: Expr, lane: Expr) -> list[Stmt]:
            return self._finish(element, lane, workspace.record(half, element))

        return [
            *self._strips(self.length, lambda e, _: workspace.put(first, e, self._record(e))),
            *self._pad(workspace),
            *self._sort_blocks(workspace),
            *merge.rounds(self.block),
            *self._with_zeros(self._strips(self.length, finish), self.length),
        ]

    def _pad(self, workspace: Workspace) -> list[Stmt]:
        """What follows the row in the first half of the workspace is preceded by all elements."""
        spare = Var("spare", build.size_sub(workspace.length, self.length))
        place = build.add(build.index(self.length), spare)
        stores = workspace.put(build.index(0), place, self.keys.padding)
        if isinstance(spare.extent, int):
            return [For(spare, "vector", stores, self.lanes)]
        return [For(spare, "serial", stores)]

    def _sort_blocks(self, workspace: Workspace) -> list[Stmt]:
        """Runs of a block each in the first half of the workspace."""
        bank, half = self.bank, build.index(0)
        network = Network(bank)
        block = Var("block", floor_of(workspace.padded, self.block))
        origin = build.mul(block, build.index(self.block))

        def load(row: Expr, lane: Expr) -> list[Stmt]:
            place = bank.at(row, lane)
            return bank.put(0, place, workspace.record(half, build.add(origin, place)))

        body = bank.over_rows(bank.rows, load)
        body += network.sort()
        body += network.turn()
        last = network.current

        def store(row: Expr, lane: Expr) -> list[Stmt]:
            place = bank.at(row, lane)
            return workspace.put(half, build.add(origin, place), bank.record(last, place))

        return [For(block, "serial", body + bank.over_rows(bank.rows, store))]


def _least_padding(length: int, lanes: int, rows: int) -> int:
    """Registers of a block: as many as there are, or half or a quarter if that pads less."""
    choices = [r for r in (rows, rows // 2, rows // 4) if r >= 1]
    blocks = [r * lanes for r in choices]
    waste = [-(-length // b) * b - length for b in blocks]
    for rows, spare in zip(choices, waste, strict=True):
        if spare * 8 <= length or spare == min(waste):
            return rows
    return choices[0]
