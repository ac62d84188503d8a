"""Loads and stores: addresses, vectors of consecutive, strided and gathered elements."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.registers import Registers, Row
from tilewright.codegen_cpu.emit.types import Types, vector
from tilewright.codegen_cpu.emit.values import Lanes, Value, ValueEmitter
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer

_WIDEST_SHUFFLED_STRIDE = 4


@dataclass(frozen=True, slots=True)
class Access:
    """Where lanes lie: at ``pointer + stride * lane``, or at ``pointer + offsets[lane]``.

    `pointer` is `constant` elements beyond `base`.
    """

    pointer: str
    depth: int
    lanes: int
    stride: int
    offsets: str | None
    base: str
    constant: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Stores that fill every ``stride``-th element of one stretch, waiting for the others."""

    buffer: Buffer
    base: str
    depth: int
    stride: int
    lanes: int
    stretch: int


class MemoryEmitter(ValueEmitter):
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
        self._gaps: dict[Gap, dict[int, str]] = {}

    # Addresses.

    def access(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Access:
        """The place of an access under the current bindings."""
        form = self.environment.offset(buffer, indices)
        element = self.types.memory(buffer.dtype)
        constant, stride, lanes = form.constant, 0, 1
        uniform: list[tuple[Value, int]] = []
        varying: list[tuple[Value, int]] = []
        for atom, factor in form.terms.items():
            binding = self.environment.bindings.get(atom) if isinstance(atom, Var) else None
            if isinstance(binding, Lanes):
                constant += factor * binding.start
                stride += factor
                lanes = binding.count
                continue
            value = self.evaluate(atom)
            if value.known is not None:
                constant += factor * value.known
            elif value.lanes == 1:
                uniform.append((value, factor))
            else:
                varying.append((value, factor))
        base, depth = self._pointer(buffer.root, element, uniform)
        offsets = None
        if varying:
            lanes = varying[0][0].lanes
            inner = max(value.depth for value, _ in varying)
            offsets = self._offset_vector(varying, stride, lanes, inner)
            stride = 0
        elif not stride:
            lanes = 1
        pointer = self._shifted(base, depth, element, constant)
        if varying:
            depth = max(depth, inner)
        return Access(pointer, depth, lanes, stride, offsets, base, constant)

    def _pointer(
        self, root: Buffer, element: str, terms: list[tuple[Value, int]]
    ) -> tuple[str, int]:
        """``root + sum(terms)``: terms are added scope by scope, so that outer parts are shared."""
        pointer, depth = self.pointers[root], 0
        by_depth: dict[int, list[tuple[Value, int]]] = {}
        for value, factor in terms:
            by_depth.setdefault(value.depth, []).append((value, factor))
        for depth_here in sorted(by_depth):
            depth = max(depth, depth_here)
            for value, factor in by_depth[depth_here]:
                step = self._scaled(value, factor, depth)
                pointer = self.function.once(
                    ("gep", pointer, step, element),
                    f"getelementptr {element}, ptr {pointer}, {self.types.index} {step}",
                    depth,
                )
        return pointer, depth

    def _scaled(self, value: Value, factor: int, depth: int) -> str:
        if factor == 1:
            return value.text
        right = f"mul {self.types.index} {value.text}, {factor}"
        return self.function.once(("mul", value.text, factor), right, depth)

    def _shifted(self, pointer: str, depth: int, element: str, constant: int) -> str:
        if not constant:
            return pointer
        right = f"getelementptr {element}, ptr {pointer}, {self.types.index} {constant}"
        return self.function.once(("shift", pointer, constant, element), right, depth)

    def _offset_vector(
        self, varying: list[tuple[Value, int]], stride: int, lanes: int, depth: int
    ) -> str:
        """Per-lane element offsets, where an index is not linear in the lane."""
        kind = vector(self.types.index, lanes)
        total = ""
        for value, factor in varying:
            step = value.text
            if factor != 1:
                splat = f"splat ({self.types.index} {factor})"
                step = self.function.assign(f"mul {kind} {step}, {splat}", depth)
            if total:
                step = self.function.assign(f"add {kind} {total}, {step}", depth)
            total = step
        if stride:
            ramp = ", ".join(f"{self.types.index} {stride * k}" for k in range(lanes))
            total = self.function.assign(f"add {kind} {total}, <{ramp}>", depth)
        return total

    # Loads.

    def load(self, node: Load) -> Value:
        buffer = node.source
        assert isinstance(buffer, Buffer)
        if buffer.space == "register":
            return self._read_register(buffer, node.indices)
        self.fill_gaps(buffer.root)
        place = self.access(buffer, node.indices)
        depth = max(place.depth, self.function.load_floor(id(buffer.root)))
        if place.offsets is not None:
            return Value(self._gather(buffer.dtype, place, depth), place.lanes, depth)
        if place.lanes == 1:
            text = self._load(buffer.dtype, place.pointer, 1, depth)
            return Value(text, 1, depth)
        if place.stride == 1:
            return Value(
                self._load(buffer.dtype, place.pointer, place.lanes, depth), place.lanes, depth
            )
        return Value(self._strided(buffer.dtype, place, depth), place.lanes, depth)

    def _load(self, dtype: DType, pointer: str, lanes: int, depth: int) -> str:
        kind = vector(self.types.memory(dtype), lanes)
        right = f"load {kind}, ptr {pointer}, align {dtype.itemsize}"
        return self._from_memory(self.function.assign(right, depth), dtype, lanes, depth)

    def _from_memory(self, text: str, dtype: DType, lanes: int, depth: int) -> str:
        if dtype is not BOOL:
            return text
        return self.function.assign(f"icmp ne {vector('i8', lanes)} {text}, zeroinitializer", depth)

    def _strided(self, dtype: DType, place: Access, depth: int) -> str:
        """Small strides: the whole span is loaded and the lanes are picked out of it."""
        stride, lanes = abs(place.stride), place.lanes
        if stride > _WIDEST_SHUFFLED_STRIDE:
            return self._one_by_one(dtype, place, depth)
        span = (lanes - 1) * stride + 1
        element = self.types.memory(dtype)
        pointer = place.pointer
        if place.stride < 0:
            pointer = self._shifted(pointer, place.depth, element, 1 - span)
        kind = vector(element, span)
        whole = self.function.assign(f"load {kind}, ptr {pointer}, align {dtype.itemsize}", depth)
        picked = [stride * k for k in range(lanes)]
        if place.stride < 0:
            picked.reverse()
        mask = ", ".join(f"i32 {k}" for k in picked)
        text = self.function.assign(
            f"shufflevector {kind} {whole}, {kind} poison, <{lanes} x i32> <{mask}>", depth
        )
        return self._from_memory(text, dtype, lanes, depth)

    def _one_by_one(self, dtype: DType, place: Access, depth: int) -> str:
        element = self.types.memory(dtype)
        kind = vector(element, place.lanes)
        text = "poison"
        for lane in range(place.lanes):
            pointer = self._shifted(place.pointer, place.depth, element, lane * place.stride)
            one = self.function.assign(
                f"load {element}, ptr {pointer}, align {dtype.itemsize}", depth
            )
            text = self.function.assign(
                f"insertelement {kind} {text}, {element} {one}, i64 {lane}", depth
            )
        return self._from_memory(text, dtype, place.lanes, depth)

    def _gather(self, dtype: DType, place: Access, depth: int) -> str:
        """Elements at unrelated offsets, one scalar load each."""
        element = self.types.memory(dtype)
        kind = vector(element, place.lanes)
        index = vector(self.types.index, place.lanes)
        text = "poison"
        for lane in range(place.lanes):
            at = self.function.assign(f"extractelement {index} {place.offsets}, i64 {lane}", depth)
            pointer = self.function.assign(
                f"getelementptr {element}, ptr {place.pointer}, {self.types.index} {at}", depth
            )
            one = self.function.assign(
                f"load {element}, ptr {pointer}, align {dtype.itemsize}", depth
            )
            text = self.function.assign(
                f"insertelement {kind} {text}, {element} {one}, i64 {lane}", depth
            )
        return self._from_memory(text, dtype, place.lanes, depth)

    # Stores.

    def store(self, buffer: Buffer, indices: tuple[Expr, ...], value: Value, lanes: int) -> None:
        """Store `value` (splat to `lanes` where the place varies with the lane)."""
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
        pointer = self._shifted(gap.base, gap.depth, element, gap.stretch * gap.stride)
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
                pointer = self._shifted(gap.base, gap.depth, element, constant)
                place = Access(pointer, gap.depth, gap.lanes, gap.stride, None, gap.base, constant)
                self._store_one_by_one(gap.buffer, place, text)

    def _store_one_by_one(self, buffer: Buffer, place: Access, text: str) -> None:
        element = self.types.memory(buffer.dtype)
        align = f"align {buffer.dtype.itemsize}"
        kind = vector(element, place.lanes)
        index = vector(self.types.index, place.lanes)
        for lane in range(place.lanes):
            one = self.function.assign(f"extractelement {kind} {text}, i64 {lane}")
            if place.offsets is None:
                pointer = self._shifted(place.pointer, place.depth, element, lane * place.stride)
            else:
                at = self.function.assign(f"extractelement {index} {place.offsets}, i64 {lane}")
                pointer = self.function.assign(
                    f"getelementptr {element}, ptr {place.pointer}, {self.types.index} {at}"
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
            binding = self.environment.bindings.get(atom) if isinstance(atom, Var) else None
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
        row, start, count = self._row(buffer, indices)
        return Value(self.registers.read(row, start, count), count, self.function.depth)

    def _write_register(self, buffer: Buffer, indices: tuple[Expr, ...], value: Value) -> None:
        row, start, count = self._row(buffer, indices)
        if value.lanes > 1 and count == 1:
            raise IRError(f"{value.lanes} lanes are stored to one element of {buffer.name}")
        self.registers.write(row, start, count, self.splat(value, buffer.dtype, count))

    def lane_reduce(self, node: LaneReduce) -> Value:
        buffer = node.source
        assert isinstance(buffer, Buffer)
        row = (buffer, tuple(self._literal(buffer, i) for i in node.indices))
        size = buffer.shape[-1]
        assert isinstance(size, int)
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
_LAST = Buffer("row", (1,), INDEX, "register")
