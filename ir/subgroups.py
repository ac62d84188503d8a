"""What an invocation of a workgroup knows of the subgroup that it is in.

The device divides a workgroup into subgroups, whose invocations run together and can read each
other's registers. How many there are in each is known when the kernel runs, and a power of two;
which of them are together is the device's affair.
"""

from __future__ import annotations

from tilewright.ir.errors import IRError
from tilewright.ir.expr import Var

LEAST_SUBGROUP = 4
MOST_SUBGROUP = 128
"""The sizes that WGSL allows."""


class Subgroups:
    """Variables that a ``local`` loop over `threads` invocations binds beside its own.

    There are ``size = 2 ** rounds`` invocations in each of the `count` subgroups, never fewer than
    `least` and none missing; this one is at `place` in the subgroup with that `number`.
    """

    __slots__ = ("count", "least", "number", "place", "rounds", "size")

    def __init__(self, threads: int, least: int) -> None:
        if least < 1 or threads % least:
            raise IRError(f"{threads} invocations are no whole subgroups of {least}")
        self.least = least
        self.rounds = Var("rounds", threads.bit_length())
        self.size = Var("size", threads + 1)
        self.count = Var("count", threads // least + 1)
        self.number = Var("number", threads // least)
        self.place = Var("place", threads)

    @property
    def uniform(self) -> tuple[Var, ...]:
        """Those that all invocations of a workgroup agree on."""
        return self.rounds, self.size, self.count

    @property
    def private(self) -> tuple[Var, ...]:
        """Those that differ."""
        return self.number, self.place

    @property
    def variables(self) -> tuple[Var, ...]:
        """All of them, as they are printed."""
        return *self.uniform, *self.private
