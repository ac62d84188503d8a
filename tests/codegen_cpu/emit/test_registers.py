"""Registers hold what was written last, however reads and writes cut them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.registers import Registers, Row
from tilewright.codegen_cpu.emit.types import Types
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Buffer

SIZE = 12
ROW: Row = (Buffer("r", (SIZE,), F32, "register"), ())
_OPERAND = r"(?:<\d+ x float>|float) ([%\w.]+)"
_SHUFFLE = re.compile(rf"shufflevector {_OPERAND}, {_OPERAND}, <(\d+) x i32> <(.*)>")
_INSERT = re.compile(rf"insertelement <(\d+) x float> ([%\w.]+), {_OPERAND}, i64 (\d+)")
_EXTRACT = re.compile(rf"extractelement {_OPERAND}, i64 (\d+)")


class Machine:
    """Registers of one row, and what the values in their text are; None is poison."""

    def __init__(self) -> None:
        self.function = FunctionText("define void @f()")
        self.registers = Registers(self.function, Types(64, 512))
        self.values: dict[str, list[int | None]] = {}
        self.written = 0

    def write(self, start: int, count: int) -> list[int | None]:
        """Put new numbers there."""
        numbers: list[int | None] = [*range(self.written, self.written + count)]
        self.written += count
        name = f"%w{self.written}"
        self.values[name] = numbers
        self.registers.write(ROW, start, count, name)
        return numbers

    def read(self, start: int, count: int) -> list[int | None]:
        return self._value(self.registers.read(ROW, start, count))

    def pick(self, elements: Sequence[int]) -> list[int | None]:
        return self._value(self.registers.pick(ROW, elements))

    def _value(self, name: str) -> list[int | None]:
        for line in self.function.entry.lines:
            left, _, right = line.partition(" = ")
            if left not in self.values:
                self.values[left] = self._evaluated(right)
        return self.values[name]

    def _evaluated(self, right: str) -> list[int | None]:
        if found := _SHUFFLE.fullmatch(right):
            a, b, count, mask = found.groups()
            first = self.values[a]
            both = first + (self.values[b] if b != "poison" else [None] * len(first))
            lanes = [lane.removeprefix("i32 ") for lane in mask.split(", ")]
            assert len(lanes) == int(count)
            return [None if lane == "poison" else both[int(lane)] for lane in lanes]
        if found := _INSERT.fullmatch(right):
            count, old, element, at = found.groups()
            made: list[int | None] = list(self.values.get(old, [None] * int(count)))
            assert len(made) == int(count)
            (made[int(at)],) = self.values[element]
            return made
        found = _EXTRACT.fullmatch(right)
        assert found is not None
        return [self.values[found[1]][int(found[2])]]

    @property
    def instructions(self) -> int:
        return len(self.function.entry.lines)


PLACES = st.integers(0, SIZE - 1).flatmap(
    lambda start: st.tuples(st.just(start), st.integers(1, SIZE - start))
)


@given(
    st.lists(st.tuples(st.booleans(), PLACES), max_size=12),
    st.lists(st.lists(st.integers(0, SIZE - 1), min_size=2, max_size=8), max_size=3),
)
def test_elements_are_what_was_written_last(
    steps: list[tuple[bool, tuple[int, int]]], picks: list[list[int]]
) -> None:
    machine = Machine()
    held: list[int | None] = [None] * SIZE
    for writes, (start, count) in steps:
        end = start + count
        if writes:
            held[start:end] = machine.write(start, count)
        elif None in held[start:end]:
            with pytest.raises(IRError, match="is read before it is written"):
                machine.read(start, count)
        else:
            assert machine.read(start, count) == held[start:end]
    for elements in picks:
        wanted = [held[e] for e in elements]
        if None in wanted or None in held[min(elements) : max(elements) + 1]:
            continue
        assert machine.pick(elements) == wanted


@pytest.mark.parametrize(
    ("chunks", "read", "instructions"),
    [
        ([(0, 4)], (0, 4), 0),
        ([(0, 4)], (1, 1), 1),
        ([(0, 4)], (1, 2), 1),
        ([(0, 4), (4, 4)], (4, 4), 0),
        ([(0, 4), (4, 4)], (0, 8), 1),
        ([(0, 1), (1, 1)], (0, 2), 2),
        ([(0, 4), (4, 2)], (0, 6), 2),  # the shorter one is filled up
        ([(0, 4), (4, 4)], (2, 4), 3),
        ([(0, 8), (2, 1)], (0, 8), 1),  # an element is put into the middle
        ([(0, 8), (2, 2)], (0, 8), 2),
        ([(0, 8), (0, 8)], (0, 8), 0),  # replaced as a whole
        ([(0, 4), (2, 4)], (2, 4), 1),  # what is left of the first one is cut off
        ([(4, 4), (2, 4)], (2, 4), 1),
    ],
)
def test_no_more_instructions_than_needed(
    chunks: list[tuple[int, int]], read: tuple[int, int], instructions: int
) -> None:
    machine = Machine()
    for start, count in chunks:
        machine.write(start, count)
    machine.read(*read)
    assert machine.instructions == instructions


@pytest.mark.parametrize(
    ("chunks", "elements", "instructions"),
    [
        ([(0, 4)], [3, 1, 1, 0], 1),
        ([(0, 4), (4, 4)], [7, 0, 5, 2], 1),
        ([(0, 4), (4, 4), (8, 4)], [4, 4, 8, 8], 1),  # those that hold none are left out
        ([(0, 4), (4, 4), (8, 4)], [0, 4, 8, 8], 5),  # three are joined first
        ([(0, 4), (4, 2)], [0, 5], 3),
        ([(3, 1)], [3, 3, 3, 3], 2),  # one element, everywhere
    ],
)
def test_picks_take_one_shuffle_of_two_chunks(
    chunks: list[tuple[int, int]], elements: list[int], instructions: int
) -> None:
    machine = Machine()
    held: dict[int, int | None] = {}
    for start, count in chunks:
        held |= dict(zip(range(start, start + count), machine.write(start, count), strict=True))
    assert machine.pick(elements) == [held[e] for e in elements]
    assert machine.instructions == instructions


def test_a_pick_of_what_nobody_wrote_is_an_error() -> None:
    machine = Machine()
    machine.write(0, 4)
    with pytest.raises(IRError, match="is read before it is written"):
        machine.pick([0, 4])


def test_a_snapshot_does_not_change() -> None:
    machine = Machine()
    machine.write(0, 4)
    before = machine.registers.snapshot()
    machine.write(1, 1)
    assert before[ROW][0].text != machine.registers.rows[ROW][0].text
    assert [c.text for c in machine.registers.snapshot()[ROW]] == [
        c.text for c in machine.registers.rows[ROW]
    ]
