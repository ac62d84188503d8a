"""Loads and stores: addresses, vectors of consecutive, strided and gathered elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_cpu.emit import turned
from tilewright.codegen_cpu.emit.addresses import Access
from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.neighbours import NeighbourEmitter
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.picks import Part, picked, register_starts, wanted_parts
from tilewright.codegen_cpu.emit.registers import Registers, Row
from tilewright.codegen_cpu.emit.types import Types, vector
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.emit.environment import Lanes, Value, buffer_of
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.kernel import Buffer, Store

_WIDEST_SHUFFLED_STRIDE = 4
_TURNED_BITS = 32
_MOST_GUESTS = 12
"""Vectors loaded outside of a loop for its inside, of some 16 or 32 registers."""


class Gap(Struct, frozen=True):
    """Stores that fill every ``stride``-th element of one stretch, waiting for the others."""

    buffer: Buffer
    base: str
    depth: int
    stride: int
    lanes: int
    stretch: int


class MemoryEmitter(NeighbourEmitter):
    """Expressions with loads from memory and registers."""

    def __init__(
        self,
        function: FunctionText,
        types: Types,
        spelling: Spelling,
        pointers: dict[Buffer, str],
    ) -> None:
        super().__init__(function, types, spelling)
        self.pointers = pointers
        self.registers = Registers(function, types)
        self.runs: dict[turned.Line, tuple[int, ...]] = {}
        self._gaps: dict[Gap, dict[int, str]] = {}

    # Loads.

    def load(self, node: Load) -> Value:
        buffer = buffer_of(node)
        if buffer.space == "register":
            return self._read_register(buffer, node.indices)
        self.fill_gaps(buffer.root)
        place = self.access(buffer, node.indices)
        depth = max(place.depth, self.function.load_floor(buffer.root))
        if place.lanes > 1:
            depth = self.function.for_guest(depth, _MOST_GUESTS)
        if place.offsets is not None:
            self.gather_neighbours(node, place, depth)
            text = self.gather(buffer, place, depth)
            text = self._from_memory(text, buffer.dtype, place.lanes, depth)
            return Value(text, place.lanes, depth)
        if place.picked:
            text = self._picked_lanes(buffer, place, depth)
            return Value(text, place.lanes, depth)
        if place.lanes == 1:
            return Value(self._load(buffer, place.pointer, 1, depth), 1, depth)
        if place.stride == 1:
            text = self._load(buffer, place.pointer, place.lanes, depth)
            return Value(text, place.lanes, depth)
        if abs(place.stride) > _WIDEST_SHUFFLED_STRIDE:
            text = self._with_neighbours(node, place, depth)
            return Value(text, place.lanes, depth)
        return Value(self._strided(buffer, place, depth), place.lanes, depth)

    def _load(self, buffer: Buffer, pointer: str, lanes: int, depth: int) -> str:
        """Neighbouring elements; what was read there before and is still the same is not read
        again (a row of a stencil that the row above has read)."""
        dtype = buffer.dtype
        kind = vector(self.types.memory(dtype), lanes)
        right = f"load {kind}, ptr {pointer}, align {dtype.itemsize}"
        version = self.environment.versions.get(buffer.root, 0)
        text = self.function.once(("load", kind, pointer, version), right, depth)
        return self._from_memory(text, dtype, lanes, depth)

    def _from_memory(self, text: str, dtype: DType, lanes: int, depth: int) -> str:
        if dtype is not BOOL:
            return text
        return self.function.assign(f"icmp ne {vector('i8', lanes)} {text}, zeroinitializer", depth)

    def _strided(self, buffer: Buffer, place: Access, depth: int) -> str:
        """Small strides: the whole span is loaded and the lanes are picked out of it."""
        picked = tuple(abs(place.stride) * k for k in range(place.lanes))
        pointer = place.pointer
        if place.stride < 0:
            element = self.types.memory(buffer.dtype)
            pointer = self.shifted(pointer, place.depth, element, -max(picked))
            picked = picked[::-1]
        return self._picked_lanes(buffer, replace(place, pointer=pointer, picked=picked), depth)

    def _with_neighbours(self, node: Load, place: Access, depth: int) -> str:
        """Lanes far apart; with those of the places next to them, if these are asked for too."""
        buffer = buffer_of(node)
        lane = next(a for a in self._atoms(node) if isinstance(self._bound(a), Lanes))
        line, constant = turned.line_of(node, lane, self.environment)
        places = self.runs.get(line, ())
        whole = place.lanes >= turned.SIDE and place.lanes & (place.lanes - 1) == 0
        if constant not in places or buffer.dtype.bits != _TURNED_BITS or not whole:
            return self._one_by_one(buffer.dtype, place, depth)
        first = turned.first_of_four(constant, places)
        version = self.environment.versions.get(buffer.root, 0)
        start = place.constant - constant + first
        keys = [
            ("turned", place.base, place.stride, place.lanes, start + k, version) for k in range(4)
        ]
        found = self.function.name_of(keys[constant - first], depth)
        if found is None:
            made = self._turned(buffer.dtype, place, start, depth)
            self.function.stack[depth].names.update(zip(keys, made, strict=True))
            found = made[constant - first]
        return found

    def _turned(self, dtype: DType, place: Access, start: int, depth: int) -> list[str]:
        element = self.types.memory(dtype)
        columns = []
        for lane in range(place.lanes):
            pointer = self.shifted(place.base, place.depth, element, start + lane * place.stride)
            right = f"load <{turned.SIDE} x {element}>, ptr {pointer}, align {dtype.itemsize}"
            columns.append(self.function.assign(right, depth))
        return turned.turned(columns, element, lambda right: self.function.assign(right, depth))

    def _atoms(self, node: Load) -> list[Expr]:
        return list(self.environment.offset(buffer_of(node), node.indices).terms)

    def _bound(self, atom: Expr) -> object:
        return self.environment.bindings.get(atom)

    def _picked_lanes(self, buffer: Buffer, place: Access, depth: int) -> str:
        """Lanes out of the stretch that they lie in, which is loaded whole."""
        dtype, span = buffer.dtype, max(place.picked) + 1
        element = self.types.memory(dtype)
        most = self.types.vector_bits // (8 * dtype.itemsize)
        # Wider vectors than registers are cut by LLVM, and their shuffles with them.
        size, starts = register_starts(span, most) if place.lanes <= most else (span, [0])
        kind, version = vector(element, size), self.environment.versions.get(buffer.root, 0)
        parts: list[Part] = []
        for start, lanes in zip(starts, wanted_parts(starts, size, place.picked), strict=True):
            pointer = self.shifted(place.pointer, place.depth, element, start)
            right = f"load {kind}, ptr {pointer}, align {dtype.itemsize}"
            text = self.function.once(("load", kind, pointer, version), right, depth)
            parts.append(Part(text, lanes))
        text = picked(parts, kind, size, place.picked, lambda r: self.function.assign(r, depth))
        return self._from_memory(text, dtype, place.lanes, depth)

    def _one_by_one(self, dtype: DType, place: Access, depth: int) -> str:
        element = self.types.memory(dtype)
        kind = vector(element, place.lanes)
        text = "poison"
        for lane in range(place.lanes):
            pointer = self.shifted(place.pointer, place.depth, element, lane * place.stride)
            one = self.function.assign(
                f"load {element}, ptr {pointer}, align {dtype.itemsize}", depth
            )
            text = self.function.assign(
                f"insertelement {kind} {text}, {element} {one}, i64 {lane}", depth
            )
        return self._from_memory(text, dtype, place.lanes, depth)

    # Stores.

    def store(self, stmt: Store) -> None:
        """A store of as many lanes as the place has."""
        buffer, indices = stmt.buffer, stmt.indices
        self.find_neighbours(stmt.value)
        value = self.evaluate(stmt.value)
        if buffer.space == "register":
            self._write_register(buffer, indices, value)
            return
        for atom in self.environment.offset(buffer, indices).terms:
            self.evaluate(atom)
        place = self.access(buffer, indices)
        if value.lanes > 1 and place.lanes == 1:
            raise IRError(f"{value.lanes} lanes are stored to one element of {buffer.name}")
        text = self.splat(value, buffer.dtype, place.lanes)
        if buffer.dtype is BOOL:
            source = vector("i1", place.lanes)
            text = self.function.assign(f"zext {source} {text} to {vector('i8', place.lanes)}")
        self._store(buffer, place, text)
        self.environment.stored(buffer.root)

    def _store(self, buffer: Buffer, place: Access, text: str) -> None:
        element = self.types.memory(buffer.dtype)
        align = f"align {buffer.dtype.itemsize}"
        mixes = place.lanes > 1 and 1 < place.stride <= _WIDEST_SHUFFLED_STRIDE
        if place.offsets is None and mixes:
            self._store_with_gaps(buffer, place, text)
            return
        self.fill_gaps(buffer.root)
        if place.offsets is None and (place.lanes == 1 or place.stride == 1):
            kind = vector(element, place.lanes)
            self.function.line(f"store {kind} {text}, ptr {place.pointer}, {align}")
            return
        self._store_one_by_one(buffer, place, text)

    def _store_with_gaps(self, buffer: Buffer, place: Access, text: str) -> None:
        """Remember the store; with the last of its stretch one shuffled vector is stored."""
        stretch, position = divmod(place.constant, place.stride)
        gap = Gap(buffer, place.base, place.depth, place.stride, place.lanes, stretch)
        found = self._gaps.setdefault(gap, {})
        found[position] = text
        if len(found) == place.stride:
            del self._gaps[gap]
            self._store_interleaved(gap, [found[k] for k in range(place.stride)])

    def _store_interleaved(self, gap: Gap, texts: list[str]) -> None:
        element, lanes = self.types.memory(gap.buffer.dtype), gap.lanes
        joined, have = texts[0], lanes
        for text in texts[1:]:
            joined = self._joined(element, joined, have, text, lanes)
            have += lanes
        order = [k * lanes + lane for lane in range(lanes) for k in range(gap.stride)]
        kind = vector(element, have)
        mask = ", ".join(f"i32 {k}" for k in order)
        mixed = self.function.assign(
            f"shufflevector {kind} {joined}, {kind} poison, <{have} x i32> <{mask}>"
        )
        pointer = self.shifted(gap.base, gap.depth, element, gap.stretch * gap.stride)
        align = gap.buffer.dtype.itemsize
        self.function.line(f"store {kind} {mixed}, ptr {pointer}, align {align}")

    def _joined(self, element: str, a: str, m: int, b: str, n: int) -> str:
        """Vectors of m and of n <= m elements end to end."""
        small, kind = vector(element, n), vector(element, m)
        if n < m:
            mask = ", ".join(f"i32 {k}" if k < n else "i32 poison" for k in range(m))
            b = self.function.assign(
                f"shufflevector {small} {b}, {small} poison, <{m} x i32> <{mask}>"
            )
        mask = ", ".join(f"i32 {k}" for k in range(m + n))
        return self.function.assign(
            f"shufflevector {kind} {a}, {kind} {b}, <{m + n} x i32> <{mask}>"
        )

    def fill_gaps(self, root: Buffer | None = None) -> None:
        """Do the stores that still wait (those to `root`): their stretch stays incomplete."""
        for gap in [g for g in self._gaps if root is None or g.buffer.root is root]:
            element = self.types.memory(gap.buffer.dtype)
            for position, text in self._gaps.pop(gap).items():
                constant = gap.stretch * gap.stride + position
                pointer = self.shifted(gap.base, gap.depth, element, constant)
                place = Access(
                    pointer, gap.depth, gap.lanes, gap.stride, None, gap.base, constant, None
                )
                self._store_one_by_one(gap.buffer, place, text)

    def _store_one_by_one(self, buffer: Buffer, place: Access, text: str) -> None:
        element = self.types.memory(buffer.dtype)
        align = f"align {buffer.dtype.itemsize}"
        kind = vector(element, place.lanes)
        for lane in range(place.lanes):
            one = self.function.assign(f"extractelement {kind} {text}, i64 {lane}")
            if place.offsets is None:
                step = place.picked[lane] if place.picked else lane * place.stride
                pointer = self.shifted(place.pointer, place.depth, element, step)
            else:
                index, offsets = place.offsets.element, place.offsets.text
                wide = vector(index, place.lanes)
                at = self.function.assign(f"extractelement {wide} {offsets}, i64 {lane}")
                pointer = self.function.assign(
                    f"getelementptr {element}, ptr {place.pointer}, {index} {at}"
                )
            self.function.line(f"store {element} {one}, ptr {pointer}, {align}")

    # Registers.

    def _row(self, buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[Row, int, int]:
        """The row, first element and lane count that register indices mean."""
        leading = tuple(self._literal(buffer, i) for i in indices[:-1])
        if not indices:
            return (buffer, ()), 0, 1
        last = self.environment.offset(_LAST, (indices[-1],))
        start, count = last.constant, 1
        for atom, factor in last.terms.items():
            binding = self.environment.bindings.get(atom)
            match binding:
                case Lanes(first, lanes) if factor == 1:
                    start += first
                    count = lanes
                case int():
                    start += factor * binding
                case _:
                    start += factor * self._literal(buffer, atom)
        return (buffer, leading), start, count

    def _literal(self, buffer: Buffer, index: Expr) -> int:
        value = self.evaluate(index)
        if value.known is None:
            raise IRError(f"an index of register buffer {buffer.name} is not a literal")
        return value.known

    def _read_register(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Value:
        if indices and self._permutes(indices[-1]):
            leading = tuple(self._literal(buffer, i) for i in indices[:-1])
            elements = self._literal_lanes(buffer, indices[-1])
            text = self.registers.pick((buffer, leading), elements)
            return Value(text, len(elements), self.function.depth)
        row, start, count = self._row(buffer, indices)
        return Value(self.registers.read(row, start, count), count, self.function.depth)

    def _write_register(self, buffer: Buffer, indices: tuple[Expr, ...], value: Value) -> None:
        row, start, count = self._row(buffer, indices)
        if value.lanes > 1 and count == 1:
            raise IRError(f"{value.lanes} lanes are stored to one element of {buffer.name}")
        self.registers.write(row, start, count, self.splat(value, buffer.dtype, count))

    def _permutes(self, index: Expr) -> bool:
        """Whether neighbouring lanes read elements of a register that are no neighbours."""
        if isinstance(index, (Const, Var)):
            return False
        bindings = self.environment.bindings

        def varies(atom: Expr) -> bool:
            found = [bindings.get(v) for v in self.environment.facts(atom).variables]
            return any(isinstance(b, Lanes) and b.count > 1 for b in found)

        terms = self.environment.offset(_LAST, (index,)).terms
        lanes = [(atom, factor) for atom, factor in terms.items() if varies(atom)]
        return any(factor != 1 or not isinstance(atom, Var) for atom, factor in lanes)

    def _literal_lanes(self, buffer: Buffer, index: Expr) -> list[int]:
        """An index into a register in each lane: arithmetic on literals."""
        values: dict[Expr, Any] = {}
        for node in post_order((index,)):
            if isinstance(node, Apply) and node.dtype is INDEX:
                values[node] = node.op.reference(*(values[o] for o in node.operands))
            elif isinstance(binding := self.environment.bindings.get(node), Lanes):
                values[node] = np.arange(binding.start, binding.start + binding.count)
            else:
                values[node] = np.int64(self._literal(buffer, node))
        return [int(k) for k in values[index]]

    def lane_reduce(self, node: LaneReduce) -> Value:
        buffer = buffer_of(node)
        row = (buffer, tuple(self._literal(buffer, i) for i in node.indices))
        size = buffer.shape[-1]
        assert isinstance(size, int)
        if buffer.dtype is BOOL:
            return Value(self._reduce_flags(node, row), 1, self.function.depth)
        scratch = Registers(self.function, self.types)
        scratch.rows[row] = self.registers.snapshot()[row]
        while size > 1:
            half = (size + 1) // 2
            low = scratch.read(row, 0, size - half)
            high = scratch.read(row, half, size - half)
            both = self._combined(node, low, high, size - half)
            scratch.write(row, 0, size - half, both)
            size = half
        return Value(scratch.read(row, 0, 1), 1, self.function.depth)

    def _reduce_flags(self, node: LaneReduce, row: Row) -> str:
        """Whether any or all lanes are set: the order does not matter, and masks have no halves."""
        by_count: dict[int, str] = {}
        for chunk in self.registers.rows[row]:
            text = chunk.text
            if chunk.count in by_count:
                text = self._combined_flags(node, by_count[chunk.count], text, chunk.count)
            by_count[chunk.count] = text
        result = ""
        for count, text in by_count.items():
            if count > 1:
                name = f"llvm.vector.reduce.{_LOGIC[node.op]}.v{count}i1"
                call = self.spelling.call(name, "i1", [(self.types.value(BOOL, count), text)])
                text = self.function.assign(call)
            result = self._combined_flags(node, result, text, 1) if result else text
        return result

    def _combined_flags(self, node: LaneReduce, a: str, b: str, lanes: int) -> str:
        return self.function.assign(f"{_LOGIC[node.op]} {self.types.value(BOOL, lanes)} {a}, {b}")

    def _combined(self, node: LaneReduce, a: str, b: str, lanes: int) -> str:
        if node.op in _ORDERED and node.dtype.is_float:
            return self._ordered(node, a, b, lanes)
        right = self.spelling.operation(node.op, node.dtype, node.dtype, lanes, [a, b])
        return self.function.assign(right)

    def _ordered(self, node: LaneReduce, a: str, b: str, lanes: int) -> str:
        """min and max let a NaN on either side win, fmin and fmax the number."""
        compare, kept_on_nan_of = _ORDERED[node.op]
        kind = self.types.value(node.dtype, lanes)
        flag = self.types.value(BOOL, lanes)
        better = self.function.assign(self.spelling.compare(compare, node.dtype, kind, f"{a}, {b}"))
        chosen = self.function.assign(f"select {flag} {better}, {kind} {a}, {kind} {b}")
        tested = (a, b)[kept_on_nan_of]
        nan = self.function.assign(f"fcmp uno {kind} {tested}, {tested}")
        return self.function.assign(f"select {flag} {nan}, {kind} {a}, {kind} {chosen}")


# Operation -> (comparison that prefers the left side, whose NaN makes the left side win).
_ORDERED = {
    ops.MIN: (ops.LT, 0),
    ops.MAX: (ops.GT, 0),
    ops.FMIN: (ops.LT, 1),
    ops.FMAX: (ops.GT, 1),
}
_LOGIC = {ops.AND: "and", ops.MIN: "and", ops.OR: "or", ops.MAX: "or", ops.XOR: "xor"}
_LAST = Buffer("row", (1,), INDEX, "register")
