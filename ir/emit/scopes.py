"""Where code goes while a kernel is emitted: the open scopes, and what was placed in each.

A scope is the inside of a loop or a branch. Code without side effects is placed in the outermost
scope that knows what it depends on, which is loop-invariant code motion; what was placed is
remembered per scope, which is common-subexpression elimination. How a scope keeps its text is the
back end's affair: it derives its own from `Scope`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Literal, TypeVar

from msgspec import Struct, field

from tilewright.ir.emit.environment import Value
from tilewright.ir.kernel import Buffer

Holds = Literal["nothing", "loads", "everything"]


class Scope(Struct, eq=False):
    """A loop body or a branch.

    `holds` says what must not move out because the scope may not run: nothing, loads (whose
    address may be none), or everything. `stored` are the storage roots that are written inside,
    which holds loads from them. What a `lazy` scope needs is computed inside of it, even where it
    could stand just before: the scope is seldom entered. `guests` counts the vectors
    that were loaded here for a scope inside.
    """

    holds: Holds = "nothing"
    stored: frozenset[Buffer] = frozenset()
    lazy: bool = False
    guests: int = 0
    values: dict[Hashable, Value] = field(default_factory=dict)
    names: dict[Hashable, str] = field(default_factory=dict)


S = TypeVar("S", bound=Scope)


class Scopes(Generic[S]):
    """The scopes that are open, outermost first."""

    def __init__(self, outermost: S) -> None:
        self.stack = [outermost]
        self._floors = [0]

    @property
    def depth(self) -> int:
        """The number of the innermost scope."""
        return len(self.stack) - 1

    @property
    def floor(self) -> int:
        """The outermost depth at which code of the current place may stand."""
        return self._floors[-1]

    def enter(self, scope: S) -> None:
        """Begin a scope."""
        self.stack.append(scope)
        self._floors.append(self.depth if scope.holds == "everything" else self.floor)

    def leave(self) -> S:
        """End the innermost scope."""
        self._floors.pop()
        return self.stack.pop()

    def load_floor(self, root: Buffer) -> int:
        """The outermost depth at which a load from the storage `root` may stand."""
        for depth in range(self.depth, 0, -1):
            scope = self.stack[depth]
            if scope.holds != "nothing" or root in scope.stored:
                return depth
        return 0

    def for_guest(self, depth: int, most: int) -> int:
        """`depth`, unless that many vectors wait there already: then the innermost scope.

        What is loaded outside of a loop waits in a register for its use; where those run out it
        is kept on the stack, which costs more than to load it again.
        """
        if depth == self.depth:
            return depth
        if self.stack[depth].guests >= most:
            return self.depth
        self.stack[depth].guests += 1
        return depth

    def into_lazy(self, depth: int) -> int:
        """`depth`, or that of the lazy scopes that begin right there."""
        while depth < self.depth and self.stack[depth + 1].lazy:
            depth += 1
        return depth

    def find(self, key: Hashable) -> Value | None:
        """The value that an open scope remembers under `key`."""
        for scope in reversed(self.stack):
            found = scope.values.get(key)
            if found is not None:
                return found
        return None

    def name_of(self, key: Hashable, depth: int) -> str | None:
        """The name that the scopes down to `depth` remember under `key`."""
        for scope in self.stack[depth::-1]:
            found = scope.names.get(key)
            if found is not None:
                return found
        return None
