"""How long draws take by the device's clock, through OpenGL's timer queries.

In: draws, issued inside of `around`. Out: their seconds by the keys they were given. Everything
here runs on the context's thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import moderngl

    from tilewright.codegen_glsl.context import GlContext, HostTimer

_MOST_OPEN: Final = 256
# A query's result is read as 32 bits of nanoseconds.
_MOST_SECONDS: Final = 4.0


class DrawTimers:
    """Seconds of draws by key. Timers must not overlap."""

    def __init__(self, context: GlContext) -> None:
        self._context = context
        self._open: list[tuple[Hashable, float, moderngl.Query | HostTimer]] = []
        self._seconds_of: defaultdict[Hashable, float] = defaultdict(float)

    @contextmanager
    def around(self, key: Hashable) -> Iterator[None]:
        """What is issued inside counts for `key`."""
        if len(self._open) == _MOST_OPEN:
            self._collect()
        timer = self._context.take_timer()
        begin = time.perf_counter()
        with timer:
            yield
        self._open.append((key, begin, timer))

    def seconds_of(self, key: Hashable) -> float:
        """All that was issued for `key`, once it is done; 0 where the driver has no clock."""
        self._collect()
        return self._seconds_of[key]

    def _collect(self) -> None:
        for key, begin, timer in self._open:
            seconds = timer.elapsed * 1e-9  # waits
            passed = time.perf_counter() - begin
            self._seconds_of[key] += passed if passed > _MOST_SECONDS else seconds
            self._context.give_timer(timer)
        self._open.clear()
