"""Lanes picked out of vectors, filled up and joined: LLVM's ``shufflevector`` by what it is for.

In: texts of vectors. Out: texts of vectors of another number of lanes.
"""

from __future__ import annotations

from collections.abc import Iterable

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.types import Types
from tilewright.ir.dtypes import DType


class Shuffles:
    """Emits into one function, at a given depth of its scopes."""

    def __init__(self, function: FunctionText, types: Types) -> None:
        self.function = function
        self.types = types

    def part(self, text: str, dtype: DType, lanes: int, part: range, depth: int) -> str:
        """Some of the lanes of a vector."""
        return self._shuffled(self.types.value(dtype, lanes), text, "poison", part, depth)

    def joined(self, low: str, high: str, dtype: DType, lanes: int, depth: int) -> str:
        """Two vectors of `lanes` lanes end to end."""
        return self._shuffled(self.types.value(dtype, lanes), low, high, range(2 * lanes), depth)

    def widened(self, text: str, dtype: DType, lanes: int, width: int, depth: int) -> str:
        """A vector of `width` lanes that begins with these; the others may hold anything."""
        if lanes == width:
            return text
        wide = self.types.value(dtype, width)
        if lanes == 1:
            right = f"insertelement {wide} poison, {self.types.scalar(dtype)} {text}, i64 0"
            return self.function.assign(right, depth)
        numbers = (min(k, lanes) for k in range(width))
        return self._shuffled(self.types.value(dtype, lanes), text, "poison", numbers, depth)

    def narrowed(self, text: str, dtype: DType, width: int, lanes: int, depth: int) -> str:
        """The first lanes of a vector of `width`; of one lane, a scalar."""
        if lanes == width:
            return text
        kind = self.types.value(dtype, width)
        if lanes == 1:
            return self.function.assign(f"extractelement {kind} {text}, i64 0", depth)
        return self._shuffled(kind, text, "poison", range(lanes), depth)

    def _shuffled(self, kind: str, a: str, b: str, lanes: Iterable[int], depth: int) -> str:
        mask = [f"i32 {k}" for k in lanes]
        right = f"shufflevector {kind} {a}, {kind} {b}, <{len(mask)} x i32> <{', '.join(mask)}>"
        return self.function.assign(right, depth)
