"""Tables of bytes that are indexed by bytes: looked up in registers.

In: a table in memory of 64, 128 or 256 bytes, and 64 indices into it. Out: 64 bytes. The table is
loaded once, outside of the loop; AVX-512 VBMI picks 64 bytes out of 128 in one instruction.
"""

from __future__ import annotations

from collections.abc import Hashable

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling

LANES = 64
SIZES = (64, 128, 256)
_KIND = f"<{LANES} x i8>"


class ByteTable:
    """A table whose registers are placed at `depth`; `key` tells its contents from others'."""

    def __init__(
        self,
        function: FunctionText,
        spelling: Spelling,
        pointer: str,
        size: int,
        key: Hashable,
        depth: int,
    ) -> None:
        self.function = function
        self.spelling = spelling
        self.parts = [self._part(pointer, first, key, depth) for first in range(0, size, LANES)]

    def _part(self, pointer: str, first: int, key: Hashable, depth: int) -> str:
        at = pointer
        if first:
            right = f"getelementptr i8, ptr {pointer}, i64 {first}"
            at = self.function.once(("table", pointer, first), right, depth)
        right = f"load {_KIND}, ptr {at}, align 1"
        return self.function.once(("table part", at, key), right, depth)

    def look_up(self, index: str, depth: int) -> str:
        """The bytes at the indices, which are all within the table."""
        if len(self.parts) == 1:
            return self._assign("permvar.qi.512", [self.parts[0], index], depth)
        halves = [
            self._assign("vpermi2var.qi.512", [low, index, high], depth)
            for low, high in zip(self.parts[::2], self.parts[1::2], strict=True)
        ]
        if len(halves) == 1:
            return halves[0]
        flags = f"<{LANES} x i1>"
        upper = self.function.assign(f"icmp slt {_KIND} {index}, zeroinitializer", depth)
        right = f"select {flags} {upper}, {_KIND} {halves[1]}, {_KIND} {halves[0]}"
        return self.function.assign(right, depth)

    def _assign(self, name: str, operands: list[str], depth: int) -> str:
        pairs = [(_KIND, operand) for operand in operands]
        return self.function.assign(
            self.spelling.call(f"llvm.x86.avx512.{name}", _KIND, pairs), depth
        )
