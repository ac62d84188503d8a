"""Loads of lanes that lie at offsets of their own.

Elements of 32 and 64 bits are gathered by an instruction where the machine has one, else one by
one. No machine gathers smaller ones: the 32 bits that begin at an element are gathered, once for
all elements in them. The channels of a pixel that are read at one computed place cost one gather.
"""

from __future__ import annotations

from collections.abc import Hashable

from tilewright.codegen_cpu.emit.addresses import Access, AddressEmitter
from tilewright.codegen_cpu.emit.types import vector
from tilewright.ir.dtypes import BOOL, I32
from tilewright.ir.kernel import Buffer

WORD = 32


class GatherEmitter(AddressEmitter):
    """Gathered elements, as vectors of their type in memory."""

    def gather(self, buffer: Buffer, place: Access, depth: int) -> str:
        """The elements at ``place.pointer + place.offsets``."""
        bits = self.element_bits(buffer)
        found = self._from_table(buffer, bits, place, depth)
        if found is not None:
            return found
        if bits < WORD and self.static_bytes(buffer.root) * 8 >= WORD:
            return self._from_words(buffer, bits, place, depth)
        assert place.offsets is not None
        found = self.function.name_of(self.word_key(buffer, place, place.constant), depth)
        if found is not None:
            return found
        element = self.types.memory(buffer.dtype)
        offsets = place.offsets.text, place.offsets.element
        return self.elements(element, element, place.pointer, offsets, place.lanes, depth)

    def word_key(self, buffer: Buffer, place: Access, constant: int) -> Hashable:
        """What is remembered of the words that begin `constant` elements after
        ``base + offsets``: of smaller elements and of those that fill one."""
        assert place.offsets is not None
        version = self.environment.versions.get(buffer.root, 0)
        element = self.types.memory(buffer.dtype)
        return ("word", element, place.base, place.offsets.text, constant, place.lanes, version)

    def _from_table(self, buffer: Buffer, bits: int, place: Access, depth: int) -> str | None:
        """Bytes at places that are bytes themselves, from a table that fits into registers."""
        assert place.offsets is not None
        byte, most = place.offsets.byte, place.offsets.most
        pointer = self.pointers[buffer.root]
        if byte is None or most is None or place.pointer != pointer or bits != 8:
            return None
        if not self.spelling.has_byte_tables:
            return None
        from tilewright.codegen_cpu.emit.byte_tables import LANES, SIZES, ByteTable

        size = next((s for s in SIZES if most < s), 0)
        if not size or size > self.static_bytes(buffer.root) or place.lanes != LANES:
            return None
        key = self.environment.versions.get(buffer.root, 0)
        outside = self.function.load_floor(buffer.root)
        table = ByteTable(self.function, self.spelling, pointer, size, key, outside)
        return table.look_up(byte.text, depth)

    def element_bits(self, buffer: Buffer) -> int:
        """The size of an element in memory."""
        return 8 if buffer.dtype is BOOL else buffer.dtype.bits

    def static_bytes(self, root: Buffer) -> int:
        """The size of a buffer, 0 where an extent of it is open."""
        size = root.dtype.itemsize
        for extent in root.shape:
            if not isinstance(extent, int):
                return 0
            size *= extent
        return size

    def elements(
        self,
        loaded: str,
        unit: str,
        pointer: str,
        offsets: tuple[str, str],
        lanes: int,
        depth: int,
    ) -> str:
        """A `loaded` from each ``pointer + offset``, counted in `unit`s."""
        text, kind = offsets
        places = f"getelementptr {unit}, ptr {pointer}, {vector(kind, lanes)} {text}"
        whole = lanes >= 4 and lanes & (lanes - 1) == 0
        if self.spelling.has_gather and whole and loaded in ("i32", "float", "i64", "double"):
            pointers = self.function.assign(places, depth)
            return self.function.assign(self._gathered(loaded, pointers, lanes), depth)
        return self.one_by_one(loaded, unit, pointer, offsets, lanes, depth)

    def _gathered(self, element: str, pointers: str, lanes: int) -> str:
        kind, addresses = vector(element, lanes), vector("ptr", lanes)
        short = {"float": "f32", "double": "f64"}.get(element, element)
        every = ", ".join(["i1 true"] * lanes)
        align = 1 if element == "i32" else 4 if element == "float" else 8
        mask = (vector("i1", lanes), f"<{every}>")
        operands = [(addresses, pointers), ("i32", str(align)), mask, (kind, "poison")]
        return self.spelling.call(f"llvm.masked.gather.v{lanes}{short}.v{lanes}p0", kind, operands)

    def one_by_one(
        self,
        loaded: str,
        unit: str,
        pointer: str,
        offsets: tuple[str, str],
        lanes: int,
        depth: int,
    ) -> str:
        """As `elements`, by a load for each."""
        function, kind = self.function, vector(loaded, lanes)
        index = offsets[1]
        align = 1 if loaded != unit else _bytes(loaded)
        made = "poison"
        for lane, at in enumerate(self.lanes_apart(offsets, lanes, depth)):
            right = f"getelementptr {unit}, ptr {pointer}, {index} {at}"
            address = function.assign(right, depth)
            one = function.assign(f"load {loaded}, ptr {address}, align {align}", depth)
            right = f"insertelement {kind} {made}, {loaded} {one}, i64 {lane}"
            made = function.assign(right, depth)
        return made

    def lanes_apart(self, offsets: tuple[str, str], lanes: int, depth: int) -> list[str]:
        """The offset of each lane."""
        text, index = offsets
        return [
            self.function.once(
                ("lane", text, lane),
                f"extractelement {vector(index, lanes)} {text}, i64 {lane}",
                depth,
            )
            for lane in range(lanes)
        ]

    # Elements of less than a word.

    def _from_words(self, buffer: Buffer, bits: int, place: Access, depth: int) -> str:
        assert place.offsets is not None
        first = first_in_word(place, bits)
        lanes, words = place.lanes, vector("i32", place.lanes)
        word = self.word(buffer, bits, place, place.constant - first, depth)
        if first:
            shift = f"splat (i32 {first * bits})"
            word = self.function.assign(f"lshr {words} {word}, {shift}", depth)
        narrow = vector(f"i{bits}", lanes)
        made = self.function.assign(f"trunc {words} {word} to {narrow}", depth)
        element = self.types.memory(buffer.dtype)
        if element == f"i{bits}":
            return made
        right = f"bitcast {narrow} {made} to {vector(element, lanes)}"
        return self.function.assign(right, depth)

    def word(self, buffer: Buffer, bits: int, place: Access, constant: int, depth: int) -> str:
        """The 32 bits that begin `constant` elements after ``base + offsets``.

        The last elements of the buffer are read from a place a little before, and shifted down.
        """
        assert place.offsets is not None
        key = self.word_key(buffer, place, constant)
        found = self.function.name_of(key, depth)
        if found is not None:
            return found
        function, kind = self.function, place.offsets.element
        lanes, unit = place.lanes, f"i{bits}"
        wide = vector(kind, lanes)
        most = self.last_place(buffer, WORD, place, constant, depth)
        right = self.spelling.call(
            f"llvm.smin.v{lanes}{kind}" if lanes > 1 else f"llvm.smin.{kind}",
            wide,
            [(wide, place.offsets.text), (wide, most)],
        )
        at = function.assign(right, depth)
        pointer = self.shifted(place.base, depth, unit, constant)
        word = self.elements("i32", unit, pointer, (at, kind), lanes, depth)
        late = function.assign(f"sub {wide} {place.offsets.text}, {at}", depth)
        words = vector("i32", lanes)
        if kind != "i32":
            late = function.assign(f"trunc {wide} {late} to {words}", depth)
        shift = function.assign(f"mul {words} {late}, splat (i32 {bits})", depth)
        made = function.assign(f"lshr {words} {word}, {shift}", depth)
        function.stack[depth].names[key] = made
        return made

    def last_place(
        self, buffer: Buffer, size: int, place: Access, constant: int, depth: int
    ) -> str:
        """The largest offset at which `size` bits lie in the buffer, in every lane."""
        assert place.offsets is not None
        bits, kind = self.element_bits(buffer), place.offsets.element
        room = (self.static_bytes(buffer.root) * 8 - size) // bits - constant
        root = self.pointers[buffer.root]
        if place.base == root:
            return f"splat ({kind} {room})"
        key = ("room", place.base, room, bits, kind, place.lanes)
        found = self.function.name_of(key, depth)
        if found is None:
            found = self._room_left(place, root, room, bits // 8, kind, depth)
            self.function.stack[depth].names[key] = found
        return found

    def _room_left(
        self, place: Access, root: str, room: int, size: int, kind: str, depth: int
    ) -> str:
        """``room - (base - root)`` in elements of `size` bytes, in every lane."""
        function, index, lanes = self.function, self.types.index, place.lanes
        begin = function.assign(f"ptrtoint ptr {root} to {index}", depth)
        end = function.assign(f"ptrtoint ptr {place.base} to {index}", depth)
        done = function.assign(f"sub {index} {end}, {begin}", depth)
        done = function.assign(f"sdiv exact {index} {done}, {size}", depth)
        left = function.assign(f"sub {index} {room}, {done}", depth)
        if kind != index:
            most = [(index, left), (index, str(I32.max))]
            left = function.assign(self.spelling.call(f"llvm.smin.{index}", index, most), depth)
            left = function.assign(f"trunc {index} {left} to {kind}", depth)
        wide = vector(kind, lanes)
        one = function.assign(f"insertelement {wide} poison, {kind} {left}, i64 0", depth)
        right = f"shufflevector {wide} {one}, {wide} poison, <{lanes} x i32> zeroinitializer"
        return function.assign(right, depth)


def first_in_word(place: Access, bits: int) -> int:
    """How far behind the beginning of a word the element lies whose channels share it."""
    assert place.offsets is not None
    least, base = place.offsets.least, place.base_least
    inside = least is not None and base is not None and least + base >= 0 <= place.constant
    # A word that begins before the element must not begin before the buffer.
    return place.constant % (WORD // bits) if inside else 0


def _bytes(element: str) -> int:
    """The size in memory of a type of LLVM."""
    return {"half": 2, "float": 4, "double": 8}.get(element) or int(element[1:]) // 8
