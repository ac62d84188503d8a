"""The invocations of a workgroup as teams, each of which shares the work of an outer point."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.lower.workgroup.grid import WORKGROUP


class Teams:
    """`count` teams of `threads` invocations; `local` numbers all of them, `thread` those of a
    team, `number` the teams.

    `interleaved`: neighbouring invocations are of neighbouring teams, not of the same one. Memory
    that holds something of each team is laid out in the same way.
    """

    __slots__ = ("count", "interleaved", "local", "number", "thread", "threads")

    def __init__(self, workgroup: Sequence[int], *, interleaved: bool) -> None:
        """`workgroup` is that of a schedule: (threads) or (teams, threads)."""
        *teams, self.threads = workgroup or (WORKGROUP,)
        self.count = teams[0] if teams else 1
        if self.threads & (self.threads - 1) or len(teams) > 1:
            raise IRError(f"a tree over {workgroup} invocations: they must be a power of two")
        self.interleaved = interleaved
        self.local = Var("lane", self.count * self.threads)
        inner = build.index(self.count if interleaved else self.threads)
        outer, inside = build.floordiv(self.local, inner), build.mod(self.local, inner)
        self.thread: Expr = self.local
        self.number: Expr = build.index(0)
        if self.count > 1:
            self.thread, self.number = (outer, inside) if interleaved else (inside, outer)

    def shape(self, own: Sequence[Size]) -> tuple[Size, ...]:
        """Of memory that holds something of a shape for each team."""
        if self.count == 1:
            return tuple(own)
        return (*own, self.count) if self.interleaved else (self.count, *own)

    def place(self, *own: Expr) -> tuple[Expr, ...]:
        """Where this team's element at some indices is in such memory."""
        if self.count == 1:
            return own
        return (*own, self.number) if self.interleaved else (self.number, *own)
