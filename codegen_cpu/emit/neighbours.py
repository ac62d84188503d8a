"""Neighbours at computed places, gathered together: 64 bits for the taps of an interpolation.

Where in every lane the loads of a group (`beside.py`) lie as close as they seem to, one gather of
64 bits at the first of them holds them all, and words are cut out of it; else each is gathered on
its own, in a branch that is seldom taken.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from msgspec import Struct

from tilewright.codegen_cpu.emit.addresses import Access, Offsets
from tilewright.codegen_cpu.emit.beside import Group, groups_of_neighbours
from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.gathers import WORD, GatherEmitter, first_in_word
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.types import Types, vector
from tilewright.ir.emit.environment import buffer_of
from tilewright.ir.expr import Expr, Load
from tilewright.ir.kernel import Buffer

_LEAST_LANES = 8


class Tap(Struct, frozen=True):
    """A word of a group, of one load or of several: it begins at ``base + offsets + constant``,
    `distance` elements behind the first tap's, if they lie as they seem to."""

    place: Access
    offsets: Offsets
    constant: int
    distance: int
    key: Hashable


class NeighbourEmitter(GatherEmitter):
    """Gathers, of which those that neighbours need are done at once."""

    def __init__(self, function: FunctionText, types: Types, spelling: Spelling) -> None:
        super().__init__(function, types, spelling)
        self._groups: dict[Load, Group] = {}
        self._found: dict[Expr, dict[Load, Group]] = {}

    def begin_statement(self) -> None:
        super().begin_statement()
        self._groups = {}

    def find_neighbours(self, value: Expr) -> None:
        """Look for groups among the loads of `value`, which is about to be evaluated."""
        found = self._found.get(value)
        if found is None:
            found = self._found[value] = groups_of_neighbours(value, self.environment)
        self._groups = found

    def gather_neighbours(self, node: Load, place: Access, depth: int) -> None:
        """Remember the words of `node` and of its neighbours, if there are any."""
        group = self._groups.get(node)
        if group is None or depth != self.function.depth:
            return
        lanes, buffer = place.lanes, buffer_of(node)
        if lanes < _LEAST_LANES or lanes & (lanes - 1) or self.static_bytes(buffer.root) < 8:
            return
        taps = self._taps(group, buffer)
        if taps is None or any(self.function.name_of(t.key, depth) is not None for t in taps):
            return
        self._gather_taps(buffer, taps)

    def _taps(self, group: Group, buffer: Buffer) -> list[Tap] | None:
        """The words of a group, each once; None where their places cannot be compared."""
        bits = self.element_bits(buffer)
        taps: dict[Hashable, Tap] = {}
        start = 0
        for load, distance in group.members:
            place = self.access(buffer, load.indices)
            if place.offsets is None or place.offsets.element != "i32":
                return None
            first = first_in_word(place, bits)
            if not taps:
                start, common = -first, (place.base, place.lanes)
            if (place.base, place.lanes) != common:
                return None
            key = self.word_key(buffer, place, place.constant - first)
            behind = distance - first - start
            if not taps or 0 < behind * bits <= WORD:
                tap = Tap(place, place.offsets, place.constant - first, behind, key)
                taps.setdefault(key, tap)
        return list(taps.values()) if len(taps) > 1 else None

    def _gather_taps(self, buffer: Buffer, taps: Sequence[Tap]) -> None:
        function = self.function
        lanes, depth = taps[0].place.lanes, function.depth
        behind = [self._behind(tap, taps[0]) for tap in taps[1:]]
        close = self._all_close(buffer, taps, behind)
        self.lanes_apart((taps[0].offsets.text, "i32"), lanes, depth)  # for several groups
        before = function.current
        fast, slow, after = (function.new_block(n) for n in ("close", "apart", "join"))
        before.terminator = f"br i1 {close}, label %{fast.name}, label %{slow.name}"
        function.begin("loads", lazy=True)
        function.open(fast)
        words = self._cut(buffer, taps, behind)
        function.current.terminator = f"br label %{after.name}"
        function.leave()
        function.current = before
        function.begin("loads", lazy=True)
        function.open(slow)
        others = [self._alone(buffer, tap) for tap in taps]
        function.current.terminator = f"br label %{after.name}"
        function.leave()
        function.open(after)
        kind = vector(self._word_type(buffer), lanes)
        for tap, one, other in zip(taps, words, others, strict=True):
            right = f"phi {kind} [{one}, %{fast.name}], [{other}, %{slow.name}]"
            function.stack[depth].names[tap.key] = function.assign(right)

    def _word_type(self, buffer: Buffer) -> str:
        whole = buffer.dtype.bits == WORD
        return self.types.memory(buffer.dtype) if whole else "i32"

    def _behind(self, tap: Tap, first: Tap) -> str:
        """How many elements a tap lies behind the first, in each lane."""
        kind = vector("i32", tap.place.lanes)
        here, there = tap.offsets.text, first.offsets.text
        text = self.function.assign(f"sub {kind} {here}, {there}")
        step = tap.constant - first.constant
        return self.function.assign(f"add {kind} {text}, splat (i32 {step})") if step else text

    def _all_close(self, buffer: Buffer, taps: Sequence[Tap], behind: Sequence[str]) -> str:
        """Whether 64 bits at the first tap lie in the buffer and hold all taps, in every lane."""
        function, first = self.function, taps[0]
        lanes = first.place.lanes
        kind, flags = vector("i32", lanes), vector("i1", lanes)
        most = self.last_place(buffer, 2 * WORD, first.place, first.constant, function.depth)
        every = function.assign(f"icmp sle {kind} {first.offsets.text}, {most}")
        for tap, text in zip(taps[1:], behind, strict=True):
            same = function.assign(f"icmp eq {kind} {text}, zeroinitializer")
            near = function.assign(f"icmp eq {kind} {text}, splat (i32 {tap.distance})")
            either = function.assign(f"or {flags} {same}, {near}")
            every = function.assign(f"and {flags} {every}, {either}")
        name = f"llvm.vector.reduce.and.v{lanes}i1"
        return function.assign(self.spelling.call(name, "i1", [(flags, every)]))

    def _cut(self, buffer: Buffer, taps: Sequence[Tap], behind: Sequence[str]) -> list[str]:
        """The words of taps that are close."""
        function, first = self.function, taps[0]
        lanes, depth = first.place.lanes, function.depth
        unit = self.types.memory(buffer.dtype)
        kind, wide, flags = vector("i32", lanes), vector("i64", lanes), vector("i1", lanes)
        pointer = self.shifted(first.place.base, first.place.depth, unit, first.constant)
        offsets = (first.offsets.text, "i32")
        both = self.one_by_one("i64", unit, pointer, offsets, lanes, depth)
        halves = function.assign(f"bitcast {wide} {both} to {vector('i32', 2 * lanes)}")
        low, high = (self._every_second(halves, lanes, side) for side in (0, 1))
        words = [low]
        for tap, text in zip(taps[1:], behind, strict=True):
            shifted, shift = high, tap.distance * self.element_bits(buffer)
            if shift < WORD:
                operands = [(kind, high), (kind, low), (kind, f"splat (i32 {shift})")]
                call = self.spelling.call(f"llvm.fshr.v{lanes}i32", kind, operands)
                shifted = function.assign(call)
            same = function.assign(f"icmp eq {kind} {text}, zeroinitializer")
            right = f"select {flags} {same}, {kind} {low}, {kind} {shifted}"
            words.append(function.assign(right))
        made = vector(self._word_type(buffer), lanes)
        if made == kind:
            return words
        return [function.assign(f"bitcast {kind} {word} to {made}") for word in words]

    def _every_second(self, words: str, lanes: int, side: int) -> str:
        """The lower (0) or upper (1) halves of elements of 64 bits."""
        pairs = vector("i32", 2 * lanes)
        mask = ", ".join(f"i32 {2 * lane + side}" for lane in range(lanes))
        right = f"shufflevector {pairs} {words}, {pairs} poison, <{lanes} x i32> <{mask}>"
        return self.function.assign(right)

    def _alone(self, buffer: Buffer, tap: Tap) -> str:
        """The words of one tap, gathered for it alone."""
        bits, depth, place = self.element_bits(buffer), self.function.depth, tap.place
        if bits < WORD:
            return self.word(buffer, bits, place, tap.constant, depth)
        unit = self.types.memory(buffer.dtype)
        return self.elements(
            unit, unit, place.pointer, (tap.offsets.text, "i32"), place.lanes, depth
        )
