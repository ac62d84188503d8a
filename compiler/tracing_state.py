"""Which tracer is at work in this thread: the public index form runs in NumPy if none is."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.compiler.tracer import Tracer

_CURRENT: ContextVar[Tracer | None] = ContextVar("tilewright_tracer", default=None)


def current() -> Tracer | None:
    """The tracer of the kernel that is being traced in this context, or None."""
    return _CURRENT.get()


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """Make `tracer` current while the body runs."""
    token = _CURRENT.set(tracer)
    try:
        yield
    finally:
        _CURRENT.reset(token)
