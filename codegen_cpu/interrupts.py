"""Keeps Python's signal handlers, which may raise anywhere, out of calls that LLVM needs whole.

An exception between two of them leaves objects that are freed twice, or in the wrong order.
"""

from __future__ import annotations

# Not `signal`: it makes enumerations of all names, which takes longer than to load a kernel.
import _signal as signal  # type: ignore[import-not-found]
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

Call = tuple[Any, int, FrameType | None]

_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
"""Those that programs handle in Python; asking for all 64 would take longer than some loads."""


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Run the body to its end; a signal that comes meanwhile is handled then.

    Only the main thread of the main interpreter runs Python's handlers; elsewhere there is nothing
    to defer.
    """
    came: list[Call] = []
    handlers = _python_handlers() if threading.current_thread() is threading.main_thread() else {}
    try:
        for number, handler in handlers.items():
            signal.signal(number, _keeper(handler, came))
    except ValueError:  # another interpreter's main thread: the first call has changed nothing
        handlers = {}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for handler, number, frame in came:
            handler(number, frame)


def _python_handlers() -> dict[int, Any]:
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _keeper(handler: Any, came: list[Call]) -> Callable[[int, FrameType | None], None]:
    return lambda number, frame: came.append((handler, number, frame))
