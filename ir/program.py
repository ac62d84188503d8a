"""Program level: buffers, and what is launched over them in which order.

A `Nest` says what one launch computes without saying how: a domain of shared outer axes, and at
each of its points a list of stages. A stage that reduces or that other stages of the nest read
writes to a *local* buffer, which exists once per outer point (its shape is the stage's own axes').
Schedules turn a nest into a kernel (`ir/lower`): tile sizes, vectors, threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from tilewright.ir.expr import Expr, Size, Var

if TYPE_CHECKING:
    import numpy as np

    from tilewright.ir.graph import Check
    from tilewright.ir.kernel import Buffer, Kernel
    from tilewright.ir.location import Location


class Stage(Struct, frozen=True, eq=False):
    """``target[indices] = value`` at every point of `axes`, combined over `reduce_axes` if any.

    `combiner` is None for a map; ``"scan:add"`` and the like run along the last of `axes` in order.
    Indices of a local target do not name the outer axes.
    """

    axes: tuple[Var, ...]
    reduce_axes: tuple[Var, ...]
    combiner: str | None
    value: Expr
    target: Buffer
    indices: tuple[Expr, ...]
    label: str = ""
    loc: Location | None = None

    @property
    def scans(self) -> bool:
        """Whether it keeps what it has combined so far at every point of its last axis."""
        return self.combiner is not None and self.combiner.startswith("scan:")

    @property
    def combined_by(self) -> str:
        """Which of `COMBINERS` a reduction or a scan uses."""
        assert self.combiner is not None, self.target.name
        return self.combiner.removeprefix("scan:")


class Nest(Struct, frozen=True, eq=False):
    """One launch: `stages` in order at every point of `outer`. Outer points are independent."""

    name: str
    outer: tuple[Var, ...]
    stages: tuple[Stage, ...]
    locals: tuple[Buffer, ...]


class Ordered(Struct, frozen=True, eq=False):
    """One launch whose points must be visited in row-major order by one thread (a scatter).

    ``target[indices] = combine(target[indices], value)`` over `axes`.
    """

    name: str
    axes: tuple[Var, ...]
    target: Buffer
    indices: tuple[Expr, ...]
    value: Expr
    combiner: str | None


class SortRows(Struct, frozen=True, eq=False):
    """One launch: a stable sort (or argsort) of `source` along `axis` into `target`."""

    name: str
    source: Buffer
    target: Buffer
    axis: int
    positions: bool


class Copy(Struct, frozen=True, eq=False):
    """Copy all elements of one buffer to another of the same size and dtype."""

    source: Buffer
    target: Buffer


class Repeat(Struct, frozen=True, eq=False):
    """Run `steps` for ``counter = 0 … extent - 1``; the counter may stand in their expressions."""

    counter: Var
    steps: tuple[Step, ...]


class RepeatWhile(Struct, frozen=True, eq=False):
    """``test; while condition: body; test`` where `condition` is a bool buffer of rank 0."""

    test: tuple[Step, ...]
    condition: Buffer
    body: tuple[Step, ...]


class Launch(Struct, frozen=True, eq=False):
    """Run a lowered kernel; its parameters are buffers of the program."""

    kernel: Kernel


Step = Launch | Nest | Ordered | SortRows | Copy | Repeat | RepeatWhile


class Program(Struct, frozen=True, eq=False):
    """What a kernel does on a device: bind the parameters, run `init` once, then `steps` per call.

    `inputs`, `outputs` and `constants` are the caller's storage, `temporaries` ours (placed by
    the memory plan). `packed` are temporaries that `init` fills and that live as long as the
    program.
    """

    name: str
    symbols: tuple[Var, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    constants: tuple[tuple[Buffer, np.ndarray], ...]
    temporaries: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    checks: tuple[Check, ...] = ()
    packed: tuple[Buffer, ...] = ()
    init: tuple[Step, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        from tilewright.ir.printer import print_program

        return print_program(self)


def leaves(steps: Sequence[Step]) -> list[Step]:
    """The steps that are no repeats, inside of repeats too, in order."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Repeat():
                found += leaves(step.steps)
            case RepeatWhile():
                found += leaves((*step.test, *step.body))
            case _:
                found.append(step)
    return found


def nests(steps: Sequence[Step]) -> list[Nest]:
    """Every nest below `steps`, in order."""
    return [step for step in leaves(steps) if isinstance(step, Nest)]


def kernels(steps: Sequence[Step]) -> list[Kernel]:
    """The kernels of all launches below `steps`, in order."""
    return [step.kernel for step in leaves(steps) if isinstance(step, Launch)]


def extents(axes: Sequence[Var]) -> tuple[Size, ...]:
    """The sizes of the axes' ranges."""
    sizes: list[Size] = []
    for axis in axes:
        assert axis.extent is not None, axis.name
        sizes.append(axis.extent)
    return tuple(sizes)


def map_steps(steps: Sequence[Step], change: Callable[[Step], Sequence[Step]]) -> tuple[Step, ...]:
    """The steps with every leaf (anything but a repeat) replaced by ``change(leaf)``."""
    result: list[Step] = []
    for step in steps:
        match step:
            case Repeat():
                result.append(Repeat(step.counter, map_steps(step.steps, change)))
            case RepeatWhile():
                test, body = map_steps(step.test, change), map_steps(step.body, change)
                result.append(RepeatWhile(test, step.condition, body))
            case _:
                result += change(step)
    return tuple(result)
