"""Raising errors that point at the user's line, and the two that only the tracer knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from tilewright.compiler.tracing_state import current
from tilewright.ir.errors import KernelError, LimitError, TraceError, UnsupportedError

if TYPE_CHECKING:
    from tilewright.ir.location import Location

E = TypeVar("E", bound=KernelError)


class SpecializeScalars(BaseException):
    """The values of these arguments are needed while tracing: trace again with them static.

    Not an `Exception`: the kernel's own ``except Exception`` must not catch it.
    """

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(names)
        self.names = names


_OURS = (TraceError, UnsupportedError, LimitError)
"""Errors that NumPy never raises: a kernel must not catch one and go on."""


def failure(
    kind: type[E],
    message: str,
    *,
    help: str | None = None,
    notes: Sequence[tuple[str, Location | None]] = (),
) -> E:
    """An error of `kind` at the line of the kernel that is being traced."""
    tracer = current()
    loc = None if tracer is None else tracer.here()
    error = kind(message, loc=loc, notes=notes, help=help)
    if tracer is not None and kind in _OURS:
        tracer.refusals.append(error)
    return error


def values_needed(names: frozenset[str]) -> SpecializeScalars:
    """The signal that scalar arguments must become static."""
    tracer = current()
    needed = SpecializeScalars(names)
    if tracer is not None:
        tracer.refusals.append(needed)
    return needed
