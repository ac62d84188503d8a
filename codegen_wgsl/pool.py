"""Device buffers that are used again instead of allocated again.

In: a size in bytes. Out: a `PooledBuffer`, which goes back by `release`, from any thread and from
the garbage collector. A released buffer may still be read by work in the queue: whoever gets it
next submits later, and the queue keeps the order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import wgpu

IDLE_BYTES_LIMIT = 256 << 20


class PooledBuffer(Struct, frozen=True, eq=False):
    """A buffer; `serial` is unique on its device, so bind-group caches can key on it."""

    raw: wgpu.GPUBuffer
    nbytes: int
    serial: int


class BufferPool:
    """Idle buffers of one usage, by exact size; the oldest are destroyed beyond `idle_limit`."""

    def __init__(
        self, create: Callable[[int], PooledBuffer], idle_limit: int = IDLE_BYTES_LIMIT
    ) -> None:
        self._create = create
        self._idle_limit = idle_limit
        self._idle: dict[int, deque[PooledBuffer]] = {}
        self._idle_bytes = 0
        # Appending is atomic: the collector may run `release` while this thread holds the lock.
        self._released: deque[PooledBuffer] = deque()
        self._lock = threading.Lock()

    def acquire(self, nbytes: int) -> PooledBuffer:
        """An idle buffer of exactly `nbytes`, its old contents still in it, or a new one."""
        with self._lock:
            self._collect()
            idle = self._idle.get(nbytes)
            if idle:
                self._idle_bytes -= nbytes
                return idle.pop()
        return self._create(nbytes)

    def release(self, buffer: PooledBuffer) -> None:
        """Hand a buffer back; its owner must not use it again."""
        self._released.append(buffer)

    def keep(self, nbytes: int) -> None:
        """Let at least `nbytes` be idle: what one program needs must not be made anew each call."""
        with self._lock:
            self._idle_limit = max(self._idle_limit, nbytes)

    def idle_bytes(self) -> int:
        """How much device memory waits for another use."""
        with self._lock:
            self._collect()
            return self._idle_bytes

    def _collect(self) -> None:
        while self._released:
            buffer = self._released.popleft()
            # Most recently used last within a size, and sizes likewise: dicts keep their order.
            idle = self._idle.pop(buffer.nbytes, None) or deque()
            idle.append(buffer)
            self._idle[buffer.nbytes] = idle
            self._idle_bytes += buffer.nbytes
        while self._idle_bytes > self._idle_limit:
            self._destroy_oldest()

    def _destroy_oldest(self) -> None:
        nbytes, idle = next(iter(self._idle.items()))
        idle.popleft().raw.destroy()
        self._idle_bytes -= nbytes
        if not idle:
            del self._idle[nbytes]
