"""Emitting loads and stores: registers are variables, other buffers arrays."""

from __future__ import annotations

from msgspec import Struct

from tilewright.codegen_wgsl.emit import types
from tilewright.codegen_wgsl.emit.layout import WIDTH, register_widths, wide_buffers
from tilewright.codegen_wgsl.emit.uses import CountingEnvironment
from tilewright.codegen_wgsl.emit.values import ValueEmitter
from tilewright.ir.analysis.affine import Linear, linear
from tilewright.ir.emit.environment import Value, buffer_of
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load
from tilewright.ir.kernel import Buffer, Kernel, Store

_COMPONENTS = "xyzw"


class Place(Struct, frozen=True):
    """An element offset: ``sum(factor * name) + constant``, and what it gains from lane to lane.

    `steps` are set instead where the lanes are known to lie at these places from there, `vector`
    where their offsets follow no rule: the name of a vector of them. `is_part`: what lies there was
    computed, and may hold several elements.
    """

    terms: tuple[tuple[str, int], ...]
    constant: int
    step: int
    lanes: int
    depth: int
    vector: str = ""
    steps: tuple[int, ...] = ()
    is_part: bool = False

    def moved(self, lane: int) -> Place:
        """The place of one lane."""
        constant = self.constant + (self.steps[lane] if self.steps else lane * self.step)
        return Place(self.terms, constant, 0, 1, self.depth, is_part=self.is_part)

    @property
    def aligned(self) -> bool:
        """Whether the offset less its constant is a multiple of a ``vec4``."""
        return all(factor % WIDTH == 0 for _, factor in self.terms)


class MemoryEmitter(ValueEmitter):
    """Adds loads and stores. `names` are those of the roots in memory."""

    def __init__(
        self, kernel: Kernel, environment: CountingEnvironment, names: dict[Buffer, str]
    ) -> None:
        super().__init__(environment)
        self.names = names
        self.wide = wide_buffers(kernel, environment)
        self.widths = register_widths(kernel, environment)
        self.registers: dict[tuple[Buffer, tuple[int, ...], int], str] = {}
        self.declarations: list[str] = []

    # Loads.

    def load(self, node: Load) -> Value:
        buffer = buffer_of(node)
        if buffer.space == "register":
            return self._load_register(buffer, node)
        place = self._place(buffer, node.indices)
        depth = self.depth_of(node)
        if place.lanes == 1:
            text = self._element(buffer, place, depth)
            if place.is_part:
                return Value(self._once(buffer, text, depth), 1, depth)
            return self.place(node, text, 1, depth)
        if self._is_vector(buffer, place):
            text = self._vector(buffer, place, depth) + _swizzle(place.constant, place.lanes)
            return Value(text, place.lanes, depth)
        parts = [self._element(buffer, lane, depth) for lane in self._lanes(place)]
        if place.is_part:
            parts = [self._once(buffer, text, depth) for text in parts]
        right = f"{types.value(buffer.dtype, place.lanes)}({', '.join(parts)})"
        return self.place(node, right, place.lanes, depth)

    def _is_vector(self, buffer: Buffer, place: Place) -> bool:
        inside = place.constant % WIDTH + place.lanes <= WIDTH
        return buffer.root in self.wide and place.step == 1 and place.aligned and inside

    def _element(self, buffer: Buffer, place: Place, depth: int) -> str:
        """The text that reads one element."""
        name = self.names[buffer.root]
        if buffer.root not in self.wide:
            return f"{name}[{self._offset(place)}]"
        if place.aligned:
            vector = self._vector(buffer, place, depth)
            return f"{vector}.{_COMPONENTS[place.constant % WIDTH]}"
        offset = self._offset(place)
        return f"{name}[({offset}) >> 2u][({offset}) & 3]"

    def _vector(self, buffer: Buffer, place: Place, depth: int) -> str:
        """The name of the ``vec4`` around an aligned place."""
        text = f"{self.names[buffer.root]}[{self._offset(_quarter(place))}]"
        return self._once(buffer, text, depth)

    def _once(self, buffer: Buffer, text: str, depth: int) -> str:
        """The name of what `text` loads."""
        version = self.environment.versions.get(buffer.root, 0)
        return self.function.once((text, version), text, depth)

    # Stores.

    def store(self, stmt: Store) -> None:
        """A store for each lane, if the value or an index has lanes."""
        buffer, indices = stmt.buffer, stmt.indices
        value = self.evaluate(stmt.value)
        if buffer.space == "register":
            self.store_register(buffer, indices, value)
            return
        place = self._place(buffer, indices)
        self.environment.stored(buffer.root)
        if place.lanes == 1:
            if value.lanes != 1:
                raise IRError(f"{value.lanes} lanes are stored to one element of {buffer.name}")
            self.function.line(f"{self._target(buffer, place)} = {value.text};")
            return
        text = self.splat(value, buffer.dtype, place.lanes)
        if self._is_vector(buffer, place) and place.lanes == WIDTH:
            quarter = self._offset(_quarter(place))
            self.function.line(f"{self.names[buffer.root]}[{quarter}] = {text};")
            return
        named = self.function.let(text, self.function.depth)
        for lane, part in zip(_COMPONENTS, self._lanes(place), strict=False):
            self.function.line(f"{self._target(buffer, part)} = {named}.{lane};")

    def _target(self, buffer: Buffer, place: Place) -> str:
        name = self.names[buffer.root]
        if buffer.root not in self.wide:
            return f"{name}[{self._offset(place)}]"
        if place.aligned:
            quarter = self._offset(_quarter(place))
            return f"{name}[{quarter}].{_COMPONENTS[place.constant % WIDTH]}"
        offset = self._offset(place)
        return f"{name}[({offset}) >> 2u][({offset}) & 3]"

    # Offsets.

    def _place(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Place:
        return self._resolved(self.environment.offset(buffer, indices))

    def _resolved(self, form: Linear) -> Place:
        form, steps = self.by_lane(form)
        offset = self.resolve(form)
        terms: dict[str, int] = {}
        for value, factor in offset.scalars:
            terms[value.text] = terms.get(value.text, 0) + factor
        depth = max((v.depth for v, _ in (*offset.scalars, *offset.vectors)), default=0)
        lanes = max(len(steps), offset.lanes)
        is_part = bool(steps)
        if is_part:
            steps = tuple(steps[k % len(steps)] + offset.step * k for k in range(lanes))
        if len(set(steps)) == 1 and not offset.vectors:
            offset.constant, steps, lanes = offset.constant + steps[0], (), 1
        step = 0 if steps or lanes == 1 else offset.step
        place = Place(tuple(terms.items()), offset.constant, step, lanes, depth, "", steps, is_part)
        return self._irregular(place, offset.vectors) if offset.vectors else place

    def _irregular(self, place: Place, vectors: list[tuple[Value, int]]) -> Place:
        kind = f"vec{place.lanes}<i32>"
        parts = [_product(value.text, factor) for value, factor in vectors]
        if place.step or place.steps:
            first = place.constant
            steps = ", ".join(str(place.moved(k).constant - first) for k in range(place.lanes))
            parts.append(f"{kind}({steps})")
        if place.terms or place.constant:
            scalar = Place(place.terms, place.constant, 0, 1, place.depth)
            parts.append(f"{kind}({self._offset(scalar)})")
        text = " + ".join(parts)
        name = self.function.once((kind, text), text, max(place.depth, self.function.floor))
        return Place((), 0, 0, place.lanes, place.depth, name)

    def _lanes(self, place: Place) -> list[Place]:
        if place.vector:
            names = (f"{place.vector}.{c}" for c in _COMPONENTS[: place.lanes])
            return [Place(((name, 1),), 0, 0, 1, place.depth) for name in names]
        return [place.moved(k) for k in range(place.lanes)]

    def _offset(self, place: Place) -> str:
        """The offset as a literal, a name, or a name plus a literal."""
        if not place.terms:
            return str(place.constant)
        text = " + ".join(_product(name, factor) for name, factor in place.terms)
        text = text.replace("+ -", "- ")
        if len(place.terms) > 1 or place.terms[0][1] != 1:
            text = self.function.once(text, text, max(place.depth, self.function.floor))
        if place.constant:
            sign = "+" if place.constant > 0 else "-"
            text = f"{text} {sign} {abs(place.constant)}"
        return text

    # Registers.

    def _load_register(self, buffer: Buffer, node: Load) -> Value:
        row, start, lanes = self._register_place(buffer, node.indices)
        text = self._register_text(buffer, row, start, lanes)
        return Value(text, lanes, self.function.depth)

    def store_register(self, buffer: Buffer, indices: tuple[Expr, ...], value: Value) -> None:
        row, start, lanes = self._register_place(buffer, indices)
        text = self.splat(value, buffer.dtype, lanes)
        target = self._register_text(buffer, row, start, lanes)
        if lanes in (1, self.widths.get(buffer, 1)):
            self.function.line(f"{target} = {text};")
            return
        named = self.function.let(text, self.function.depth)  # several components take no value
        for lane in range(lanes):
            part = self._register_text(buffer, row, start + lane, 1)
            self.function.line(f"{part} = {named}.{_COMPONENTS[lane]};")

    def _register_place(
        self, buffer: Buffer, indices: tuple[Expr, ...]
    ) -> tuple[tuple[int, ...], int, int]:
        """The row (all indices but the last), the first element and the number of lanes."""
        if not indices:
            return (), 0, 1
        places = [self._resolved(linear(index)) for index in indices]
        last = places[-1]
        if any(p.terms or p.vector for p in places) or any(p.lanes > 1 for p in places[:-1]):
            raise IRError(f"an index into register {buffer.name} is not a literal")
        if last.lanes > 1 and last.step != 1:
            raise IRError(f"the lanes of register {buffer.name} are not consecutive")
        return tuple(p.constant for p in places[:-1]), last.constant, last.lanes

    def _register_text(self, buffer: Buffer, row: tuple[int, ...], start: int, lanes: int) -> str:
        width = self.widths.get(buffer, 1)
        chunk, first = start - start % width, start % width
        key = (buffer, row, chunk)
        name = self.registers.get(key)
        if name is None:
            name = self.registers[key] = f"r{len(self.registers)}"
            self.declarations.append(f"var {name}: {types.value(buffer.dtype, width)};")
        if first + lanes > width:
            raise IRError(f"lanes of register {buffer.name} lie in two vectors")
        if lanes == width:
            return name
        return f"{name}.{_COMPONENTS[first : first + lanes]}"


def _quarter(place: Place) -> Place:
    """The place in units of ``vec4``."""
    terms = tuple((name, factor // WIDTH) for name, factor in place.terms)
    return Place(terms, place.constant // WIDTH, 0, 1, place.depth)


def _product(name: str, factor: int) -> str:
    return name if factor == 1 else f"{name} * {factor}"


def _swizzle(constant: int, lanes: int) -> str:
    first = constant % WIDTH
    return "" if lanes == WIDTH else "." + _COMPONENTS[first : first + lanes]
