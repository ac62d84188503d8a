"""The text of one LLVM function under construction: blocks, names, and scopes to place code in.

A scope is a loop body or a branch. An instruction without side effects is placed in the outermost
scope that knows its operands, at the end of the block that was open when the next scope began: that
is loop-invariant code motion, done while emitting. What was placed is remembered per scope, which
is common-subexpression elimination.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count


@dataclass(eq=False, slots=True)
class Block:
    """A basic block; the terminator is kept apart so that code can still be placed before it."""

    name: str
    lines: list[str] = field(default_factory=list)
    terminator: str = ""


@dataclass(eq=False, slots=True)
class Scope:
    """A region of the function that is entered from `preheader`.

    `pins_loads` is set where a load must not move out (a branch, or a loop that may not run);
    `stored` are the storage roots written inside. What a `lazy` scope needs is computed inside of
    it, even where it could be placed just before: the scope is seldom entered.
    """

    preheader: Block | None
    pins_loads: bool
    stored: frozenset[int]
    lazy: bool = False
    cache: dict[Hashable, object] = field(default_factory=dict)


class FunctionText:
    """Blocks and scopes of one function."""

    def __init__(self, header: str) -> None:
        self.header = header
        self.entry = Block("entry")
        self.blocks = [self.entry]
        self.current = self.entry
        self.scopes = [Scope(None, False, frozenset())]
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

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    def enter(self, pins_loads: bool, stored: frozenset[int], lazy: bool = False) -> None:
        """Begin a scope whose preheader is the current block."""
        self.scopes.append(Scope(self.current, pins_loads, stored, lazy))

    def leave(self) -> None:
        self.scopes.pop()

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
            preheader = self.scopes[at + 1].preheader
            assert preheader is not None
            preheader.lines.append(f"{name} = {right}")
        return name

    def once(self, key: Hashable, right: str, depth: int) -> str:
        """As `assign`, but the same key at the same depth gives the same name."""
        cache = self.scopes[depth].cache
        found = cache.get(key)
        if found is None:
            found = cache[key] = self.assign(right, depth)
        return str(found)

    def load_floor(self, root: int) -> int:
        """The outermost depth at which a load from storage `root` may be placed."""
        for depth in range(self.depth, 0, -1):
            scope = self.scopes[depth]
            if scope.pins_loads or root in scope.stored:
                return depth
        return 0

    def text(self) -> str:
        parts = [self.header + " {"]
        for block in self.blocks:
            parts.append(f"{block.name}:")
            parts += [f"  {line}" for line in block.lines]
            parts.append(f"  {block.terminator}")
        parts.append("}")
        return "\n".join(parts)
