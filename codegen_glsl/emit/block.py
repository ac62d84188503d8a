"""The text of a function under construction: nested blocks, and values that were named in them.

A value is written into the outermost block that knows everything it depends on, so that loops do
not repeat what does not change in them.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field

from tilewright.codegen_glsl.emit.fold import Assign, Define, Line, Loop

# Registers change: what is computed from one must not be taken for the same later on.
_REGISTER = re.compile(r"\br\d")


@dataclass(frozen=True, slots=True)
class Value:
    """A name or literal, its number of lanes, and the outermost block that knows it.

    `known` is the value of an index that is a literal.
    """

    text: str
    lanes: int
    depth: int
    known: int | None = None


@dataclass(slots=True)
class Block:
    """Lines of one block, and what was computed in it."""

    lines: list[Line] = field(default_factory=list)
    values: dict[Hashable, Value] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    registers: dict[Hashable, str] = field(default_factory=dict)


class FunctionText:
    """Blocks from the function's own to the innermost open one."""

    def __init__(self) -> None:
        self.blocks = [Block()]
        self._counters: dict[str, int] = {}

    @property
    def depth(self) -> int:
        return len(self.blocks) - 1

    def name(self, prefix: str) -> str:
        """A new name: ``v0``, ``v1`` …"""
        number = self._counters.get(prefix, 0)
        self._counters[prefix] = number + 1
        return f"{prefix}{number}"

    def write(self, left: str, right: str) -> None:
        """``left = right;`` in the innermost block."""
        self.blocks[-1].lines.append(Assign(left, right))

    def assign(self, kind: str, right: str, depth: int) -> str:
        """A name for an expression in the block at `depth`; the same text gets the same name."""
        lasting = _REGISTER.search(right) is None
        for block in self.blocks[: depth + 1] if lasting else ():
            found = block.names.get((kind, right))
            if found is not None:
                return found
        name = self.name("v")
        self.blocks[depth].lines.append(Define(kind, name, right))
        if lasting:
            self.blocks[depth].names[kind, right] = name
        return name

    def open_loop(self) -> None:
        self.blocks.append(Block())

    def close_loop(self, head: str) -> None:
        """Put the innermost block after `head` into the one around it."""
        inner = self.blocks.pop()
        self.blocks[-1].lines.append(Loop(head, inner.lines))

    def declared(self, key: Hashable) -> str | None:
        """The variable of a register, if an open block has it."""
        for block in reversed(self.blocks):
            found = block.registers.get(key)
            if found is not None:
                return found
        return None
