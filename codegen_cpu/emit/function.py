"""The text of one LLVM function under construction: blocks, names, and scopes to place code in.

An instruction that belongs into an outer scope (`ir/emit/scopes.py`) is placed at the end of the
block that was open when the next scope began.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count

from msgspec import Struct, field

from tilewright.ir.emit.scopes import Holds, Scope, Scopes
from tilewright.ir.kernel import Buffer


class Block(Struct, eq=False):
    """A basic block; the terminator is kept apart so that code can still be placed before it."""

    name: str
    lines: list[str] = field(default_factory=list)
    terminator: str = ""


class Region(Scope, eq=False):
    """A scope that is entered from `preheader`."""

    preheader: Block | None = None


class FunctionText(Scopes[Region]):
    """Blocks and scopes of one function."""

    def __init__(self, header: str) -> None:
        super().__init__(Region())
        self.header = header
        self.entry = Block("entry")
        self.blocks = [self.entry]
        self.current = self.entry
        self._names = count()

    def name(self) -> str:
        """A fresh local name."""
        return f"%v{next(self._names)}"

    def new_block(self, hint: str) -> Block:
        """A block that is not yet part of the function."""
        return Block(f"{hint}{next(self._names)}")

    def open(self, block: Block) -> None:
        """Append `block` and make it current."""
        self.blocks.append(block)
        self.current = block

    def begin(
        self, holds: Holds, stored: frozenset[Buffer] = frozenset(), lazy: bool = False
    ) -> None:
        """Enter a scope whose preheader is the current block."""
        self.enter(Region(holds, stored, lazy, preheader=self.current))

    def line(self, text: str) -> None:
        """Append an instruction with side effects to the current block."""
        self.current.lines.append(text)

    def assign(self, right: str, depth: int | None = None) -> str:
        """``name = right`` placed in the scope at `depth` (the current one by default)."""
        name = self.name()
        at = self.depth if depth is None else depth
        if at == self.depth:
            self.current.lines.append(f"{name} = {right}")
        else:
            preheader = self.stack[at + 1].preheader
            assert preheader is not None
            preheader.lines.append(f"{name} = {right}")
        return name

    def once(self, key: Hashable, right: str, depth: int) -> str:
        """As `assign`, but the same key at the same depth gives the same name."""
        found = self.name_of(key, depth)
        if found is None:
            found = self.stack[depth].names[key] = self.assign(right, depth)
        return found

    def text(self) -> str:
        parts = [self.header + " {"]
        for block in self.blocks:
            parts.append(f"{block.name}:")
            parts += [f"  {line}" for line in block.lines]
            parts.append(f"  {block.terminator}")
        parts.append("}")
        return "\n".join(parts)
