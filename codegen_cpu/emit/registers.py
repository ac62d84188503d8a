"""Register buffers during emission: which SSA value holds which elements.

A row (all indices but the last) is a list of chunks of consecutive elements. Reads and writes
usually fit a chunk exactly; where they do not, chunks are cut and joined by shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.types import Types
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Buffer


class Chunk(Struct):
    """Elements ``start … start + count - 1`` of a row, in one SSA value."""

    start: int
    count: int
    text: str


Row = tuple[Buffer, tuple[int, ...]]


def _holds(chunk: Chunk, element: int) -> bool:
    return chunk.start <= element < chunk.start + chunk.count


class Registers:
    """The contents of all register buffers at the current point of the function."""

    def __init__(self, function: FunctionText, types: Types) -> None:
        self.function = function
        self.types = types
        self.rows: dict[Row, list[Chunk]] = {}

    def read(self, row: Row, start: int, count: int) -> str:
        """Elements ``start … start + count - 1`` as one value."""
        chunks = self.rows.get(row, [])
        parts: list[str] = []
        sizes: list[int] = []
        position = start
        for chunk in chunks:
            end = chunk.start + chunk.count
            if end <= position or chunk.start >= start + count:
                continue
            if chunk.start > position:
                break
            take = min(end, start + count) - position
            parts.append(self._cut(row[0], chunk, position - chunk.start, take))
            sizes.append(take)
            position += take
        if position != start + count:
            raise IRError(f"register {row[0].name}{list(row[1])} is read before it is written")
        return self._join(row[0], parts, sizes)

    def write(self, row: Row, start: int, count: int, text: str) -> None:
        """Replace the elements; what is left of chunks that overlap is cut off."""
        kept: list[Chunk] = []
        for chunk in self.rows.get(row, []):
            end = chunk.start + chunk.count
            if end <= start or chunk.start >= start + count:
                kept.append(chunk)
                continue
            if chunk.start <= start and end >= start + count and chunk.count > count:
                self._blend(row[0], chunk, start - chunk.start, count, text)
                return
            if chunk.start < start:
                size = start - chunk.start
                kept.append(Chunk(chunk.start, size, self._cut(row[0], chunk, 0, size)))
            if end > start + count:
                size = end - start - count
                cut = self._cut(row[0], chunk, chunk.count - size, size)
                kept.append(Chunk(start + count, size, cut))
        kept.append(Chunk(start, count, text))
        self.rows[row] = sorted(kept, key=lambda c: c.start)

    def pick(self, row: Row, elements: Sequence[int]) -> str:
        """These elements in this order as one value: a shuffle of the chunks that hold them."""
        first, last = min(elements), max(elements)
        near = (c for c in self.rows.get(row, []) if c.start <= last and first < c.start + c.count)
        held = [c for c in near if any(_holds(c, e) for e in elements)]
        if not all(any(_holds(c, e) for c in held) for e in elements):
            raise IRError(f"register {row[0].name}{list(row[1])} is read before it is written")
        if len(held) > 2 or len({c.count for c in held}) > 1 or held[0].count == 1:
            held = [Chunk(first, last - first + 1, self.read(row, first, last - first + 1))]
        width = held[0].count
        if width == 1:
            text, width = self._widen(row[0], held[0].text, 1, len(elements)), len(elements)
            held = [Chunk(held[0].start, width, text)]
        lanes = [
            next(k * width + e - c.start for k, c in enumerate(held) if _holds(c, e))
            for e in elements
        ]
        kind = self.types.value(row[0].dtype, width)
        return self._shuffle(kind, held[0].text, held[1].text if held[1:] else "poison", lanes)

    def snapshot(self) -> dict[Row, list[Chunk]]:
        """A copy of the contents."""
        return {
            row: [Chunk(c.start, c.count, c.text) for c in chunks]
            for row, chunks in self.rows.items()
        }

    def _cut(self, buffer: Buffer, chunk: Chunk, first: int, count: int) -> str:
        if count == chunk.count:
            return chunk.text
        kind = self.types.value(buffer.dtype, chunk.count)
        if count == 1:
            return self.function.assign(f"extractelement {kind} {chunk.text}, i64 {first}")
        return self._shuffle(kind, chunk.text, "poison", range(first, first + count))

    def _join(self, buffer: Buffer, parts: list[str], sizes: list[int]) -> str:
        while len(parts) > 1:
            merged = self._concatenate(buffer, parts[0], sizes[0], parts[1], sizes[1])
            parts[:2] = [merged]
            sizes[:2] = [sizes[0] + sizes[1]]
        return parts[0]

    def _concatenate(self, buffer: Buffer, a: str, m: int, b: str, n: int) -> str:
        width = max(m, n)
        if width == 1:
            kind = self.types.value(buffer.dtype, 2)
            element = self.types.scalar(buffer.dtype)
            one = self.function.assign(f"insertelement {kind} poison, {element} {a}, i64 0")
            return self.function.assign(f"insertelement {kind} {one}, {element} {b}, i64 1")
        wide_a, wide_b = self._widen(buffer, a, m, width), self._widen(buffer, b, n, width)
        kind = self.types.value(buffer.dtype, width)
        lanes = [*range(m), *range(width, width + n)]
        return self._shuffle(kind, wide_a, wide_b, lanes)

    def _widen(self, buffer: Buffer, text: str, count: int, width: int) -> str:
        if count == width:
            return text
        if count == 1:
            kind = self.types.value(buffer.dtype, width)
            element = self.types.scalar(buffer.dtype)
            return self.function.assign(f"insertelement {kind} poison, {element} {text}, i64 0")
        kind = self.types.value(buffer.dtype, count)
        lanes = [k if k < count else -1 for k in range(width)]
        return self._shuffle(kind, text, "poison", lanes)

    def _blend(self, buffer: Buffer, chunk: Chunk, first: int, count: int, text: str) -> None:
        """Put `count` elements into the middle of a larger chunk."""
        kind = self.types.value(buffer.dtype, chunk.count)
        if count == 1:
            element = self.types.scalar(buffer.dtype)
            chunk.text = self.function.assign(
                f"insertelement {kind} {chunk.text}, {element} {text}, i64 {first}"
            )
            return
        wide = self._widen(buffer, text, count, chunk.count)
        lanes = list(range(chunk.count))
        lanes[first : first + count] = range(chunk.count, chunk.count + count)
        chunk.text = self._shuffle(kind, chunk.text, wide, lanes)

    def _shuffle(self, kind: str, a: str, b: str, lanes: range | list[int]) -> str:
        mask = ", ".join("i32 poison" if k < 0 else f"i32 {k}" for k in lanes)
        return self.function.assign(
            f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{mask}>"
        )
