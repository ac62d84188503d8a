"""Emitting loads: a linear offset -> fetches of texels and choices of their components.

The offset is split into terms. Where everything but the lane is a multiple of four, lanes find
their elements at fixed components of few texels, and texels are shared between loads; elsewhere
the components are chosen at run time.
"""

from __future__ import annotations

from itertools import groupby

from msgspec import Struct

from tilewright.codegen_glsl.emit.textures import Sampler, Samplers
from tilewright.codegen_glsl.emit.types import COMPONENTS, type_name
from tilewright.codegen_glsl.emit.values import LANES, ValueEmitter
from tilewright.ir.analysis.intervals import Interval
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.emit.environment import Value, buffer_of
from tilewright.ir.emit.expressions import Offset
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load


class LoadEmitter(ValueEmitter):
    """Loads from textures."""

    def __init__(self, samplers: Samplers) -> None:
        super().__init__(samplers)
        self._ranges: dict[Expr, Interval] = {}

    def load(self, node: Load) -> Value:
        buffer = buffer_of(node)
        if buffer.space == "register":
            return self.read_register(node)
        sampler = self.samplers.of(buffer)
        offset = self.resolve(self.environment.offset(buffer, node.indices))
        fetch = Fetch(self, sampler, *interval(node.indices[0], self._ranges))
        if offset.vectors:
            return fetch.gather(offset)
        if offset.step == 0:
            return fetch.element(offset)
        return fetch.static_lanes(offset) if _aligned(offset) else fetch.unaligned_lanes(offset)

    def read_register(self, node: Load) -> Value:
        raise NotImplementedError


class Fetch(Struct, frozen=True):
    """Fetches from one texture for an offset within ``least … most`` (None: not known)."""

    emitter: ValueEmitter
    sampler: Sampler
    least: int | None
    most: int | None

    def element(self, offset: Offset) -> Value:
        """One element for all lanes."""
        if _aligned(offset):
            texel = self._texel(_texels(offset), offset.constant // LANES)
            return Value(f"{texel.text}.{COMPONENTS[offset.constant % LANES]}", 1, texel.depth)
        place = self._sum(offset.scalars, offset.constant)
        return self._call("element", self._guarded(place, LANES), 1)

    def static_lanes(self, offset: Offset) -> Value:
        """Lanes whose components are known here."""
        places = [offset.constant + offset.step * lane for lane in range(LANES)]
        texels = {place // LANES: None for place in places}
        fetched = {k: self._texel(_texels(offset), k) for k in texels}
        chosen = [(fetched[p // LANES], COMPONENTS[p % LANES]) for p in places]
        depth = max(texel.depth for texel, _ in chosen)
        if len(texels) > 1:
            runs = groupby(chosen, key=lambda pair: pair[0].text)
            parts = ", ".join(f"{text}.{''.join(c for _, c in run)}" for text, run in runs)
            return self._named(f"{self._vector}({parts})", LANES, depth)
        only = next(iter(fetched.values()))
        components = "".join(component for _, component in chosen)
        if components == COMPONENTS:
            return only
        return self._named(f"{only.text}.{components}", LANES, depth)

    def unaligned_lanes(self, offset: Offset) -> Value:
        """Lanes a fixed step apart, from an element whose component is not known."""
        if offset.step == 1:
            place = self._sum(offset.scalars, offset.constant)
            return self._call("span", self._guarded(place, LANES), LANES)
        places = [
            self._sum(offset.scalars, offset.constant + offset.step * lane) for lane in range(LANES)
        ]
        calls = [self.sampler.call("element", self._guarded(p, LANES).text) for p in places]
        return self._named(f"{self._vector}({', '.join(calls)})", LANES, places[0].depth)

    def gather(self, offset: Offset) -> Value:
        """Lanes at four offsets that only the run time knows."""
        place = self._sum(offset.vectors + offset.scalars, offset.constant, LANES)
        if offset.step:
            steps = ", ".join(str(offset.step * lane) for lane in range(LANES))
            place = self._name(f"{place.text} + ivec4({steps})", LANES, place.depth)
        place = self._guarded(place, LANES)
        calls = [self.sampler.call("element", f"{place.text}.{c}") for c in COMPONENTS]
        return self._named(f"{self._vector}({', '.join(calls)})", LANES, place.depth)

    # Pieces.

    @property
    def _vector(self) -> str:
        return type_name(self.sampler.dtype, LANES)

    def _texel(self, terms: list[tuple[Value, int]], constant: int) -> Value:
        return self._call("texel", self._guarded(self._sum(terms, constant), 1), LANES)

    def _call(self, function: str, place: Value, lanes: int) -> Value:
        return self._named(self.sampler.call(function, place.text), lanes, place.depth)

    def _named(self, right: str, lanes: int, depth: int) -> Value:
        return self.emitter.assign(type_name(self.sampler.dtype, lanes), right, lanes, depth)

    def _name(self, right: str, lanes: int, depth: int) -> Value:
        return self.emitter.assign("int" if lanes == 1 else "ivec4", right, lanes, depth)

    def _guarded(self, place: Value, unit: int) -> Value:
        """`place`, kept inside of the texture unless that is proven; it counts texels or, where
        `unit` is four, elements."""
        last = self.sampler.last_texel * unit + unit - 1
        text = place.text
        if self.most is None or self.most >= (self.sampler.last_texel + 1) * LANES:
            text = f"min({text}, {last})" if place.lanes == 1 else f"min({text}, ivec4({last}))"
        if self.least is None or self.least < 0:
            text = f"max({text}, 0)" if place.lanes == 1 else f"max({text}, ivec4(0))"
        return place if text == place.text else self._name(text, place.lanes, place.depth)

    def _sum(self, terms: list[tuple[Value, int]], constant: int, lanes: int = 1) -> Value:
        """The sum of the terms; what is known in outer blocks is added up there."""
        if not terms:
            return Value(str(constant), 1, 0, constant)
        total: Value | None = None
        for depth, here in groupby(sorted(terms, key=_depth), key=_depth):
            total = self._add(total, list(here), depth)
        assert total is not None
        if constant:
            sign = "+" if constant > 0 else "-"
            total = self._name(f"{total.text} {sign} {abs(constant)}", total.lanes, total.depth)
        if total.lanes < lanes:
            raise IRError("a sum of scalars is not a vector")
        return total

    def _add(self, total: Value | None, terms: list[tuple[Value, int]], depth: int) -> Value:
        texts = [] if total is None else [total.text]
        lanes = 1 if total is None else total.lanes
        for value, factor in terms:
            texts.append(value.text if factor == 1 else f"{value.text} * {factor}")
            lanes = max(lanes, value.lanes)
        if total is None and len(terms) == 1 and terms[0][1] == 1:
            return terms[0][0]
        return self._name(" + ".join(texts), lanes, depth)


def _depth(term: tuple[Value, int]) -> int:
    return term[0].depth


def _aligned(offset: Offset) -> bool:
    """Whether, lane and literal aside, the offset is a multiple of four."""
    return all(factor % LANES == 0 for _, factor in offset.scalars)


def _texels(offset: Offset) -> list[tuple[Value, int]]:
    """The terms of an aligned offset in units of texels."""
    return [(value, factor // LANES) for value, factor in offset.scalars]
