"""A `SortRows` step -> a kernel: a stable merge sort of every row, NaN last.

Blocks of `BLOCK` elements are sorted in registers by exchanges of neighbours (which is stable),
then merged in rounds, each of which doubles the length of the sorted runs and moves the row from
one half of a workspace to the other. Two runs of equal length are merged from both ends at once,
without a branch on the data: half the elements come from the front and half from the back, and
neither end can leave its run. Only what is left over at the end of a row is merged with tests for
the ends.

Rows whose workspace is small and of known size have it on the task's stack; others get a temporary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, I32, I64, INDEX, DType, signed_of, unsigned_of
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.kernel import Buffer, For, If, Kernel, Stmt, Store, WhileLoop
from tilewright.ir.lower.lowered import Lowered
from tilewright.ir.lower.nest import finish_kernel
from tilewright.ir.lower.rows import Rows, over_rows
from tilewright.ir.program import SortRows

BLOCK = 8
STACK_BYTES = 32 << 10
TASKS = 16
PARALLEL_ELEMENTS = 1 << 13
"""Fewer elements than this in all are not worth waking a thread."""


def lower_sort(step: SortRows, name: str, tasks: int = TASKS) -> Lowered:
    """The CPU form of a sort, its rows spread over at most `tasks` tasks."""
    return SortLowering(step, tasks).lowered(name)


@dataclass(frozen=True, slots=True)
class Record:
    """What moves when an element moves: its key and, in an argsort, the position it came from."""

    key: Expr
    position: Expr | None


def precedes(a: Expr, b: Expr) -> Expr:
    """Whether `a` must stand before an equal or greater `b`, though `b` comes first now."""
    if not a.dtype.is_float:
        return Apply(ops.LT, (a, b))
    # Not a >= b, and a is no NaN: one comparison that holds for unordered operands, and another.
    less = Apply(ops.NOT, (Apply(ops.GE, (a, b)),))
    return Apply(ops.AND, (less, Apply(ops.NOT, (Apply(ops.ISNAN, (a,)),))))


def rank_of(x: Expr) -> Expr:
    """A signed integer that orders as float `x` does: equal zeros, NaNs equal and last."""
    most = build.const(signed_of(x.dtype).max, signed_of(x.dtype))
    ordered = _flip_negative(build.bitcast(Apply(ops.ADD, (x, build.zero(x.dtype))), most.dtype))
    return build.select(Apply(ops.ISNAN, (x,)), most, ordered)


def encoded(x: Expr) -> Expr:
    """An unsigned integer for each bit pattern of a float: -inf is 0, NaNs of both signs are last.

    Integers compare in one instruction. -0.0 comes before 0.0, which has to be undone at the end.
    """
    ordered = _flip_negative(build.bitcast(x, signed_of(x.dtype)))
    return build.bitcast(build.sub(ordered, _least(x.dtype)), unsigned_of(x.dtype))


def decoded(key: Expr, dtype: DType) -> Expr:
    """The float that `encoded` made `key` of."""
    ordered = build.add(build.bitcast(key, signed_of(dtype)), _least(dtype))
    return build.bitcast(_flip_negative(ordered), dtype)


def _flip_negative(bits: Expr) -> Expr:
    """The bits of a float in the order of its value, and back: magnitudes of negatives inverted."""
    most = build.const(bits.dtype.max, bits.dtype)
    sign = Apply(ops.SHR, (bits, build.const(bits.dtype.bits - 1, bits.dtype)))
    return Apply(ops.XOR, (bits, Apply(ops.AND, (sign, most))))


def _least(dtype: DType) -> Expr:
    """The ordered bits of -inf."""
    infinity = int(dtype.numpy.type(float("inf")).view(unsigned_of(dtype).numpy))
    return build.const(-1 - infinity, signed_of(dtype))


def choose(condition: Expr, yes: Record, no: Record) -> Record:
    position = None
    if yes.position is not None and no.position is not None:
        position = build.select(condition, yes.position, no.position)
    return Record(build.select(condition, yes.key, no.key), position)


def sorted_records(records: Sequence[Record]) -> list[Record]:
    """Odd-even transposition: only neighbours are exchanged, and only if they are out of order."""
    row = list(records)
    for step in range(len(row)):
        for k in range(step % 2, len(row) - 1, 2):
            swap = precedes(row[k + 1].key, row[k].key)
            row[k], row[k + 1] = (
                choose(swap, row[k + 1], row[k]),
                choose(swap, row[k], row[k + 1]),
            )
    return row


def plus(a: Expr, amount: int) -> Expr:
    return build.add(a, build.index(amount))


class SortLowering:
    """One lowering: the workspace, and the registers that the merges count in."""

    def __init__(self, step: SortRows, tasks: int) -> None:
        self.positions = step.positions
        self.rows = Rows.of(step.source.shape, step.axis)
        self.length = self.rows.length
        self.source = self.rows.view(step.source)
        self.target = self.rows.view(step.target)
        self.tasks = self._tasks(tasks)
        self.locals: list[Buffer] = []
        self.temporaries: list[Buffer] = []
        self.task: Expr = build.index(0)
        self.row: Expr = build.index(0)
        dtype = step.source.dtype
        self.encodes = dtype.is_float and not self._is_short
        if self.encodes:
            dtype = signed_of(dtype) if self.positions else unsigned_of(dtype)
        self.keys = self._workspace("keys", dtype)
        self.origins = self._workspace("origins", self._position_dtype())
        self.width, self.half, self.start = (self._register(n) for n in ("width", "half", "start"))
        self.fronts = self._register("left_front"), self._register("right_front")
        self.backs = self._register("left_back"), self._register("right_back")
        self.left = self._register("left", dtype)
        self.right = self._register("right", dtype)
        self.swap = self._register("swap", BOOL)

    def lowered(self, name: str) -> Lowered:
        def body(task: Expr, row: Expr) -> list[Stmt]:
            self.task, self.row = task, row
            return self.sort_row()

        kernel: Kernel = finish_kernel(
            name, over_rows(self.rows.count, self.tasks, body), self.locals
        )
        used = set(kernel.parameters)
        return Lowered(kernel, tuple(t for t in self.temporaries if t in used))

    # Storage.

    @property
    def _is_short(self) -> bool:
        """Whether a row is one block, which never leaves the registers."""
        return isinstance(self.length, int) and self.length <= BLOCK

    def _tasks(self, most: int) -> int:
        count, length = self.rows.count, self.length
        if isinstance(count, int):
            most = max(1, min(most, count))
            if isinstance(length, int) and count * length < PARALLEL_ELEMENTS:
                return 1
        return most

    def _position_dtype(self) -> DType:
        return I32 if isinstance(self.length, int) and self.length < 1 << 31 else I64

    def _workspace(self, name: str, dtype: DType) -> Buffer:
        """Two rows: on the stack ``[2, length]``, else ``[task, 2, length]``."""
        length = self.length
        if isinstance(length, int) and 2 * length * dtype.itemsize <= STACK_BYTES:
            buffer = Buffer(name, (2, length), dtype, "scratch")
            self.locals.append(buffer)
        else:
            buffer = Buffer(name, (self.tasks, 2, length), dtype)
            self.temporaries.append(buffer)
        return buffer

    def _register(self, name: str, dtype: DType = INDEX) -> Buffer:
        buffer = Buffer(name, (), dtype, "register")
        self.locals.append(buffer)
        return buffer

    def _place(self, buffer: Buffer, half: Expr, element: Expr) -> tuple[Expr, ...]:
        return (half, element) if buffer.space == "scratch" else (self.task, half, element)

    def key(self, half: Expr, element: Expr) -> Expr:
        return Load(self.keys, self._place(self.keys, half, element))

    def origin(self, half: Expr, element: Expr) -> Expr:
        return Load(self.origins, self._place(self.origins, half, element))

    def put(self, half: Expr, element: Expr, record: Record) -> list[Stmt]:
        stores: list[Stmt] = [Store(self.keys, self._place(self.keys, half, element), record.key)]
        if record.position is not None:
            place = self._place(self.origins, half, element)
            stores.append(Store(self.origins, place, record.position))
        return stores

    def given(self, element: Expr) -> Record:
        """An element of the unsorted row."""
        key = self.unsorted(element)
        if self.encodes:
            key = rank_of(key) if self.positions else encoded(key)
        return Record(key, build.cast(element, self.origins.dtype) if self.positions else None)

    def unsorted(self, element: Expr) -> Expr:
        return Load(self.source, self.rows.at(self.row, element))

    def finish(self, element: Expr, record: Record) -> Stmt:
        """Write one element of the sorted row."""
        value = record.key
        if record.position is not None:
            value = build.cast(record.position, I64)
        return Store(self.target, self.rows.at(self.row, element), value)

    # One row.

    def sort_row(self) -> list[Stmt]:
        length = self.length
        if isinstance(length, int) and self._is_short:
            elements = [build.index(k) for k in range(length)]
            ready = sorted_records([self.given(e) for e in elements])
            return [self.finish(e, r) for e, r in zip(elements, ready, strict=True)]
        half = Load(self.half, ())
        width = Load(self.width, ())
        return [
            *self.sort_blocks(),
            Store(self.width, (), build.index(BLOCK)),
            Store(self.half, (), build.index(0)),
            WhileLoop(
                build.lt(width, build.index(length)),
                [
                    *self.merge_runs(),
                    Store(self.width, (), build.add(width, width)),
                    Store(self.half, (), build.sub(build.index(1), half)),
                ],
            ),
            *self.finish_row(),
        ]

    def finish_row(self) -> list[Stmt]:
        """Copy the sorted half of the workspace to the target."""
        half, element = Load(self.half, ()), Var("element", self.length)
        origin = self.origin(half, element) if self.positions else None
        key = self.key(half, element)
        if self.positions or not self.encodes:
            return [For(element, "serial", [self.finish(element, Record(key, origin))])]
        value, next_zero = decoded(key, self.source.dtype), Load(self.start, ())
        zero = build.zero(value.dtype)
        # Zeros of both signs are taken from the row as it was: the order among them must stay.
        take_zero = [
            WhileLoop(
                Apply(ops.NE, (self.unsorted(next_zero), zero)),
                [Store(self.start, (), plus(next_zero, 1))],
            ),
            self.finish(element, Record(self.unsorted(next_zero), None)),
            Store(self.start, (), plus(next_zero, 1)),
        ]
        finish = If(build.eq(value, zero), take_zero, [self.finish(element, Record(value, None))])
        return [Store(self.start, (), build.index(0)), For(element, "serial", [finish])]

    def sort_blocks(self) -> list[Stmt]:
        """Runs of `BLOCK` elements in the first half of the workspace."""
        if isinstance(self.length, int):
            blocks: Size = self.length // BLOCK
            rest = self.sort_block(
                build.index(self.length - self.length % BLOCK), self.length % BLOCK
            )
        else:
            whole = Apply(ops.QUO, (self.length, build.index(BLOCK)))
            blocks = whole
            rest = self.insert_rest(build.mul(whole, build.index(BLOCK)))
        block = Var("block", blocks)
        origin = build.mul(block, build.index(BLOCK))
        return [For(block, "serial", self.sort_block(origin, BLOCK)), *rest]

    def sort_block(self, origin: Expr, size: int) -> list[Stmt]:
        elements = [plus(origin, k) for k in range(size)]
        ready = sorted_records([self.given(e) for e in elements])
        stores: list[Stmt] = []
        for element, record in zip(elements, ready, strict=True):
            stores += self.put(build.index(0), element, record)
        return stores

    def insert_rest(self, origin: Expr) -> list[Stmt]:
        """Insertion sort of what follows the last whole block of an open row."""
        zero, at = build.index(0), Load(self.start, ())
        number = Var("number", build.sub(build.index(self.length), origin))
        element = build.add(origin, number)
        # The condition is evaluated at the first place too, where nothing stands before.
        before = plus(build.maximum(at, plus(origin, 1)), -1)
        moved = Record(
            self.key(zero, before), self.origin(zero, before) if self.positions else None
        )
        new = self.given(element)
        inserts = build.logical_and(
            Apply(ops.GT, (at, origin)), precedes(Load(self.left, ()), moved.key)
        )
        body = [
            Store(self.left, (), new.key),
            Store(self.start, (), element),
            WhileLoop(inserts, [*self.put(zero, at, moved), Store(self.start, (), plus(at, -1))]),
            *self.put(zero, at, Record(Load(self.left, ()), new.position)),
        ]
        return [
            Store(self.start, (), zero),
            Store(self.left, (), build.zero(self.left.dtype)),
            For(number, "serial", body),
        ]

    # Merging.

    def merge_runs(self) -> list[Stmt]:
        """One round: pairs of whole runs, then what is left at the end of the row."""
        start, width = Load(self.start, ()), Load(self.width, ())
        following = build.add(build.add(start, width), width)
        pair = [*self.merge_pair(), Store(self.start, (), following)]
        return [
            Store(self.start, (), build.index(0)),
            WhileLoop(Apply(ops.LE, (following, build.index(self.length))), pair),
            *self.merge_rest(),
        ]

    def merge_pair(self) -> list[Stmt]:
        """Two runs of `width` elements from `start` on, from both ends at once."""
        start, width = Load(self.start, ()), Load(self.width, ())
        middle = build.add(start, width)
        end = build.add(middle, width)
        number = Var("number", width)
        front = build.add(start, number)
        back = build.sub(plus(end, -1), number)
        return [
            Store(self.fronts[0], (), start),
            Store(self.fronts[1], (), middle),
            Store(self.backs[0], (), plus(middle, -1)),
            Store(self.backs[1], (), plus(end, -1)),
            For(number, "serial", [*self.step_front(front), *self.step_back(back)]),
        ]

    def step_front(self, target: Expr) -> list[Stmt]:
        """The smaller of the two first elements; of equal ones the left."""
        left, right = (Load(r, ()) for r in self.fronts)
        return [*self.compare(left, right), *self.take_smaller(target, left, right)]

    def take_smaller(self, target: Expr, left: Expr, right: Expr) -> list[Stmt]:
        swap = Load(self.swap, ())
        key = build.select(swap, Load(self.right, ()), Load(self.left, ()))
        moved = self.move(target, key, build.select(swap, right, left))
        return [*moved, *self.advance(self.fronts, 1)]

    def step_back(self, target: Expr) -> list[Stmt]:
        """The greater of the two last elements; of equal ones the right."""
        left, right = (Load(r, ()) for r in self.backs)
        swap = Load(self.swap, ())
        key = build.select(swap, Load(self.left, ()), Load(self.right, ()))
        return [
            *self.compare(left, right),
            *self.move(target, key, build.select(swap, left, right)),
            *self.advance(self.backs[::-1], -1),
        ]

    def compare(self, left: Expr, right: Expr) -> list[Stmt]:
        """Load the keys at `left` and `right`; `swap` says that the right one precedes."""
        half = Load(self.half, ())
        return [
            Store(self.left, (), self.key(half, left)),
            Store(self.right, (), self.key(half, right)),
            Store(self.swap, (), precedes(Load(self.right, ()), Load(self.left, ()))),
        ]

    def move(self, target: Expr, key: Expr, at: Expr) -> list[Stmt]:
        """Write the record with `key` that lies at `at` to the other half."""
        half = Load(self.half, ())
        position = self.origin(half, at) if self.positions else None
        return self.put(build.sub(build.index(1), half), target, Record(key, position))

    def advance(self, cursors: tuple[Buffer, Buffer], amount: int) -> list[Stmt]:
        """Move the second cursor if `swap` is set, else the first."""
        swapped = build.mul(build.cast(Load(self.swap, ()), INDEX), build.index(amount))
        first, second = (Load(c, ()) for c in cursors)
        return [
            Store(cursors[0], (), build.sub(plus(first, amount), swapped)),
            Store(cursors[1], (), build.add(second, swapped)),
        ]

    def merge_rest(self) -> list[Stmt]:
        """The elements from `start` on: a whole run and a part of one, or part of one run."""
        start, length = Load(self.start, ()), build.index(self.length)
        middle = build.minimum(build.add(start, Load(self.width, ())), length)
        number = Var("number", build.sub(length, start))
        left, right = (Load(r, ()) for r in self.fronts)
        # Cursors at the end of their run are compared at its last element, to no effect.
        last_left, last_right = plus(middle, -1), plus(length, -1)
        safe_left, safe_right = build.minimum(left, last_left), build.minimum(right, last_right)
        swap = Apply(ops.AND, (Load(self.swap, ()), build.lt(right, length)))
        return [
            Store(self.fronts[0], (), start),
            Store(self.fronts[1], (), middle),
            For(
                number,
                "serial",
                [
                    *self.compare(safe_left, safe_right),
                    Store(self.swap, (), Apply(ops.OR, (swap, Apply(ops.GE, (left, middle))))),
                    *self.take_smaller(build.add(start, number), left, right),
                ],
            ),
        ]
