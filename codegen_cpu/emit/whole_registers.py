"""Operations of AVX-512 that LLVM offers on whole registers only: `scale`, `exponent`, `mantissa`,
`pick`, and the estimate of inverse roots.

In: the operation and the texts of its operands, of any number of lanes. Out: the text of the
result. Fewer lanes than a register has are filled up, more are halved.
"""

from __future__ import annotations

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.shuffles import Shuffles
from tilewright.codegen_cpu.emit.types import Types, literal
from tilewright.ir import ops
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr

REGISTER_BITS = 512
WHOLE_REGISTER_OPS = frozenset({ops.SCALE, ops.EXPONENT, ops.MANTISSA, ops.PICK, ops.NATIVE_RSQRT})


class WholeRegisters:
    """Emits these operations into one function."""

    def __init__(self, function: FunctionText, types: Types, spelling: Spelling) -> None:
        self.function = function
        self.types = types
        self.spelling = spelling
        self.shuffles = Shuffles(function, types)

    def emit(self, node: Apply, texts: list[str], lanes: int, depth: int) -> str:
        """`node` on operands of `lanes` lanes; of a `pick`, the first text is what counts."""
        dtypes = [o.dtype for o in node.operands]
        if node.op is ops.PICK:
            texts, dtypes = texts[:1], dtypes[:1]
        least = REGISTER_BITS if node.op is ops.PICK else 128
        width = max(least // node.dtype.bits, 1 << (lanes - 1).bit_length())
        shuffles = self.shuffles
        wide = [
            shuffles.widened(t, d, lanes, width, depth) for t, d in zip(texts, dtypes, strict=True)
        ]
        made = self._registers(node, wide, dtypes, width, depth)
        return shuffles.narrowed(made, node.dtype, width, lanes, depth)

    def _registers(
        self, node: Apply, texts: list[str], dtypes: list[DType], lanes: int, depth: int
    ) -> str:
        """The same for a power of two of lanes that fills a register."""
        if lanes * node.dtype.bits <= REGISTER_BITS:
            return self.function.assign(self._instruction(node, texts, lanes), depth)
        half = lanes // 2
        parts = []
        for first in (0, half):
            lower = range(first, first + half)
            part = [
                self.shuffles.part(t, d, lanes, lower, depth)
                for t, d in zip(texts, dtypes, strict=True)
            ]
            parts.append(self._registers(node, part, dtypes, half, depth))
        low, high = parts
        return self.shuffles.joined(low, high, node.dtype, half, depth)

    def _instruction(self, node: Apply, texts: list[str], lanes: int) -> str:
        if node.op is ops.PICK:
            return self.spelling.pick(node.dtype, self._table(node.operands[1:]), texts[0])
        return self.spelling.on_registers(node.op, node.dtype, lanes, texts)

    def _table(self, entries: tuple[Expr, ...]) -> str:
        shown = []
        for entry in entries:
            if not isinstance(entry, Const):
                raise IRError("the table of a pick holds literals only")
            shown.append(f"{self.types.scalar(entry.dtype)} {literal(entry.value, entry.dtype)}")
        return ", ".join(shown)
