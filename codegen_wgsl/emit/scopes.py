"""The text of a function's body under construction: nested scopes, names, and where code goes.

A scope is the inside of a loop or a branch. An expression is named in the outermost scope that
knows its operands (but never outside of a branch that it stands in), which is loop-invariant code
motion done while emitting; the lines of a scope join its parent's when it is left, so that what
was placed in the parent meanwhile stands above it. What was named is remembered per scope, which
is common-subexpression elimination.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count

_INDENT = "  "


@dataclass(eq=False, slots=True)
class Scope:
    """`pins` is set for a branch: nothing inside may move out. `stored` are the storage roots
    that are written inside, which pins loads from them."""

    pins: bool
    stored: frozenset[int]
    lines: list[str] = field(default_factory=list)
    known: dict[Hashable, object] = field(default_factory=dict)


class Scopes:
    """The scopes that are open, outermost first."""

    def __init__(self) -> None:
        self.stack = [Scope(True, frozenset())]
        self._names = count()

    @property
    def depth(self) -> int:
        return len(self.stack) - 1

    def name(self) -> str:
        """A fresh name for a value."""
        return f"v{next(self._names)}"

    def line(self, text: str) -> None:
        """Append a statement to the current scope."""
        self.stack[-1].lines.append(text)

    def let(self, right: str, depth: int) -> str:
        """Name an expression in the scope at `depth`."""
        name = self.name()
        self.stack[depth].lines.append(f"let {name} = {right};")
        return name

    def once(self, key: Hashable, right: str, depth: int) -> str:
        """As `let`, but the same key at the same depth gives the same name."""
        known = self.stack[depth].known
        found = known.get(key)
        if found is None:
            found = known[key] = self.let(right, depth)
        return str(found)

    def enter(self, pins: bool, stored: frozenset[int] = frozenset()) -> None:
        """Begin a scope."""
        self.stack.append(Scope(pins, stored))

    def leave(self, header: str, footer: str = "}") -> None:
        """End the current scope: its lines go into the parent between `header` and `footer`."""
        inner = self.stack.pop()
        self.line(header)
        self.stack[-1].lines += [_INDENT + line for line in inner.lines]
        self.line(footer)

    def branch_depth(self) -> int:
        """The outermost depth at which code of the current place may stand."""
        return next(d for d in range(self.depth, -1, -1) if self.stack[d].pins)

    def load_depth(self, root: int) -> int:
        """The same for a load from the storage `root`."""
        for depth in range(self.depth, -1, -1):
            scope = self.stack[depth]
            if scope.pins or root in scope.stored:
                return depth
        return 0
