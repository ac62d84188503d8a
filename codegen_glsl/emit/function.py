"""The text of a function under construction: nested blocks, and values that were named in them."""

from __future__ import annotations

import re
from collections.abc import Hashable

from msgspec import field

from tilewright.codegen_glsl.emit.fold import Assign, Define, Line, Loop
from tilewright.ir.emit.scopes import Scope, Scopes

# Registers change: what is computed from one must not be taken for the same later on.
_REGISTER = re.compile(r"\br\d")


class Block(Scope, eq=False):
    """Lines of one block, and the variables that hold registers."""

    lines: list[Line] = field(default_factory=list)
    registers: dict[Hashable, str] = field(default_factory=dict)


class FunctionText(Scopes[Block]):
    """Blocks from the function's own to the innermost open one."""

    def __init__(self) -> None:
        super().__init__(Block())
        self._counters: dict[str, int] = {}

    def name(self, prefix: str) -> str:
        """A new name: ``v0``, ``v1`` …"""
        number = self._counters.get(prefix, 0)
        self._counters[prefix] = number + 1
        return f"{prefix}{number}"

    def write(self, left: str, right: str) -> None:
        """``left = right;`` in the innermost block."""
        self.stack[-1].lines.append(Assign(left, right))

    def assign(self, kind: str, right: str, depth: int) -> str:
        """A name for an expression in the block at `depth`; the same text gets the same name."""
        lasting = _REGISTER.search(right) is None
        found = self.name_of((kind, right), depth) if lasting else None
        if found is not None:
            return found
        name = self.name("v")
        self.stack[depth].lines.append(Define(kind, name, right))
        if lasting:
            self.stack[depth].names[kind, right] = name
        return name

    def close_loop(self, head: str) -> None:
        """Put the innermost block after `head` into the one around it."""
        inner = self.leave()
        self.stack[-1].lines.append(Loop(head, inner.lines))

    def declared(self, key: Hashable) -> str | None:
        """The variable of a register, if an open block has it."""
        return next((b.registers[key] for b in self.stack if key in b.registers), None)
