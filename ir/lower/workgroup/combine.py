"""One value for each invocation of a workgroup -> what they are together, known to all of them.

In: stages, and for each of them a register that holds an invocation's share of its reduction. Out:
statements, and the results as expressions. `MemoryTree` halves the values in workgroup memory.
`SubgroupTree` exchanges them within subgroups first, so that there is one for each subgroup in
memory, and one barrier.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Barrier, Buffer, Exchange, For, If, Stmt, Store
from tilewright.ir.lower.reducer import combine
from tilewright.ir.lower.workgroup.team import Teams
from tilewright.ir.ops import Op
from tilewright.ir.program import Stage
from tilewright.ir.subgroups import Subgroups

MOST_ROUNDS = 16
"""Values that an invocation may have to combine by itself, once there is one for each subgroup."""
RUN = 4
"""Of these, so many one after the other: their tree is at most 2 higher than a balanced one."""


class Combination(Struct, frozen=True):
    """`results` are known after `body`; after `end` the memory may be used again."""

    body: list[Stmt]
    results: list[Expr]
    end: list[Stmt]


class Tree(Protocol):
    """How values are combined."""

    @property
    def height_reserved(self) -> bool:
        """Whether the tree may be a little higher than a balanced one."""

    def combine(
        self, stages: Sequence[Stage], values: Sequence[Buffer], *, repeated: bool
    ) -> Combination:
        """Combine the registers `values` as the `stages` say; `repeated`: in a loop."""


class Partials:
    """Workgroup memory for values that are combined. What is made is added to `local`."""

    def __init__(self, shape: tuple[Size, ...], local: list[Buffer]) -> None:
        self._shape = shape
        self._local = local
        self._made: dict[tuple[DType, int], Buffer] = {}

    def of(self, dtype: DType, number: int = 0) -> Buffer:
        """Memory of that number for elements of a dtype: always the same."""
        found = self._made.get((dtype, number))
        if found is None:
            found = Buffer("partial", self._shape, dtype, "workgroup")
            self._made[dtype, number] = found
            self._local.append(found)
        return found


class MemoryTree:
    """Of the invocations of each team, which are a power of two."""

    height_reserved = False

    def __init__(self, teams: Teams, partials: Partials) -> None:
        self.teams = teams
        self.partials = partials

    def combine(
        self, stages: Sequence[Stage], values: Sequence[Buffer], *, repeated: bool
    ) -> Combination:
        """By halving."""
        if self.teams.threads == 1:
            return Combination([], [Load(value, ()) for value in values], [])
        partials = [self.partials.of(v.dtype, k) for k, v in enumerate(values)]
        mine = self.teams.place(self.teams.thread)
        body: list[Stmt] = [
            Store(partial, mine, Load(value, ()))
            for partial, value in zip(partials, values, strict=True)
        ]
        body += [Barrier(), *self._halve(partials, [operation(s) for s in stages])]
        first = self.teams.place(build.index(0))
        return Combination(body, [Load(p, first) for p in partials], [Barrier()])

    def _halve(self, partials: Sequence[Buffer], operations: Sequence[Op]) -> list[Stmt]:
        body: list[Stmt] = []
        thread = self.teams.thread
        mine = self.teams.place(thread)
        half = self.teams.threads // 2
        while half:
            theirs = self.teams.place(build.add(thread, build.index(half)))
            steps: list[Stmt] = []
            for partial, op in zip(partials, operations, strict=True):
                value = combine(op, Load(partial, mine), Load(partial, theirs))
                steps.append(Store(partial, mine, value))
            body += [If(build.lt(thread, build.index(half)), steps), Barrier()]
            half //= 2
        return body


class SubgroupTree:
    """Of `threads` invocations in subgroups. What is made is added to `local`.

    The sizes of subgroups are known when the kernel runs, so the rounds are loops. Two sets of
    memory take turns: the barrier of one combination shows that all have read that before it.
    Those in loops, which may not run, have a set of their own and a barrier at their end.
    """

    height_reserved = True

    def __init__(self, threads: int, subgroups: Subgroups, local: list[Buffer]) -> None:
        self.subgroups = subgroups
        self.rounds = -(-threads // subgroups.least**2)
        if self.rounds > MOST_ROUNDS:
            raise IRError(f"{threads} invocations in subgroups of {subgroups.least}")
        count = threads // subgroups.least
        self.is_one = count == 1
        self.local = local
        self.turns = itertools.cycle((Partials((count,), local), Partials((count,), local)))
        self.in_loops = Partials((count,), local)

    def combine(
        self, stages: Sequence[Stage], values: Sequence[Buffer], *, repeated: bool
    ) -> Combination:
        """Within subgroups; through memory; the subgroups' results, in every subgroup."""
        operations = [operation(s) for s in stages]
        results: list[Expr] = [Load(value, ()) for value in values]
        if self.is_one:
            return Combination(self._exchanges(values, operations), results, [])
        memory = self.in_loops if repeated else next(self.turns)
        partials = [memory.of(v.dtype, k) for k, v in enumerate(values)]
        facts = self.subgroups
        stores: list[Stmt] = [
            Store(partial, (facts.number,), Load(value, ()))
            for partial, value in zip(partials, values, strict=True)
        ]
        neutral = [identity(s.combined_by, v.dtype) for s, v in zip(stages, values, strict=True)]
        body = [
            *self._exchanges(values, operations),
            If(build.eq(facts.place, build.index(0)), stores),
            Barrier(),
            *(Store(v, (), n) for v, n in zip(values, neutral, strict=True)),
            *self._collect(partials, values, operations, neutral),
            *self._exchanges(values, operations),
        ]
        return Combination(body, results, [Barrier()] if repeated else [])

    def _exchanges(self, values: Sequence[Buffer], operations: Sequence[Op]) -> list[Stmt]:
        """A butterfly: after each round twice as many invocations know what they are together."""
        number = Var("round", self.subgroups.rounds)
        body: list[Stmt] = []
        for value, op in zip(values, operations, strict=True):
            other = self._register(f"{value.name}_other", value.dtype)
            mine = Load(value, ())
            body.append(Exchange(other, mine, number))
            body.append(Store(value, (), combine(op, mine, Load(other, ()))))
        return [For(number, "serial", body)]

    def _collect(
        self,
        partials: Sequence[Buffer],
        values: Sequence[Buffer],
        operations: Sequence[Op],
        neutral: Sequence[Expr],
    ) -> list[Stmt]:
        """What the invocation at each place takes of the memory: every ``size``-th element."""
        facts = self.subgroups

        def take(turn: Expr, into: Sequence[Buffer]) -> list[Stmt]:
            place = (build.add(facts.place, build.mul(turn, facts.size)),)
            return _accumulate(into, operations, [Load(p, place) for p in partials])

        if self.rounds == 1:
            return [If(build.lt(facts.place, facts.count), take(build.index(0), values))]
        rest = build.sub(build.add(facts.count, facts.size), facts.place)
        mine = Apply(ops.SHR_RAW, (build.sub(rest, build.index(1)), facts.rounds))
        if self.rounds <= RUN:
            turn = Var("turn", mine)
            return [For(turn, "serial", take(turn, values))]
        runs = [self._register(f"{v.name}_run", v.dtype) for v in values]
        run = Var("run", build.floordiv(build.add(mine, build.index(RUN - 1)), build.index(RUN)))
        first = build.mul(run, build.index(RUN))
        turn = Var("turn", build.minimum(build.sub(mine, first), build.index(RUN)))
        return [
            For(
                run,
                "serial",
                [
                    *(Store(r, (), n) for r, n in zip(runs, neutral, strict=True)),
                    For(turn, "serial", take(build.add(first, turn), runs)),
                    *_accumulate(values, operations, [Load(r, ()) for r in runs]),
                ],
            )
        ]

    def _register(self, name: str, dtype: DType) -> Buffer:
        made = Buffer(name, (), dtype, "register")
        self.local.append(made)
        return made


def _accumulate(
    into: Sequence[Buffer], operations: Sequence[Op], values: Sequence[Expr]
) -> list[Stmt]:
    return [
        Store(total, (), combine(op, Load(total, ()), value))
        for total, op, value in zip(into, operations, values, strict=True)
    ]


def operation(stage: Stage) -> Op:
    """How partial results of a reduction or a scan are combined."""
    op = COMBINERS[stage.combined_by].op
    if op is None:
        raise IRError(f"{stage.target.name} is combined by {stage.combiner}, which is no operation")
    return op
