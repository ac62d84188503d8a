"""The text of a function's body under construction: nested scopes, and names of expressions.

The lines of a scope (`ir/emit/scopes.py`) join its parent's when it is left, so that what was
placed in the parent meanwhile stands above it.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count

from msgspec import field

from tilewright.ir.emit.scopes import Holds, Scope, Scopes
from tilewright.ir.kernel import Buffer

_INDENT = "  "


class Region(Scope, eq=False):
    """A scope and its text so far."""

    lines: list[str] = field(default_factory=list)


class FunctionText(Scopes[Region]):
    """The regions that are open, outermost first."""

    def __init__(self) -> None:
        super().__init__(Region())
        self._names = count()

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
        """As `let`, but what has a name already keeps it."""
        found = self.name_of(key, depth)
        if found is None:
            found = self.stack[depth].names[key] = self.let(right, depth)
        return found

    def begin(self, holds: Holds, stored: frozenset[Buffer] = frozenset()) -> None:
        """Enter a scope."""
        self.enter(Region(holds, stored))

    def end(self, header: str, footer: str = "}") -> None:
        """Leave the current scope: its lines go into the parent between `header` and `footer`."""
        inner = self.leave()
        self.line(header)
        self.stack[-1].lines += [_INDENT + line for line in inner.lines]
        self.line(footer)
