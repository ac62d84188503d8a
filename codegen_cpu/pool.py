"""The thread pool that compiled loops run on: a number of threads -> the `runtime` of ``tw_main``.

Compiled code calls ``runtime->parallel_for(runtime->pool, task, context, chunks)``. No Python runs
on the way: the pool is machine code of ours (`pool_ir` explains it), on raw POSIX threads. Where
there are none, `make_pool` returns a `SerialPool`, which says so.
"""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from typing import TYPE_CHECKING, Final

from tilewright.codegen_cpu.loader import compile_for_host, load_object
from tilewright.codegen_cpu.pool_ir import (
    OFFSETS,
    STATE_BYTES,
    Platform,
    Waiting,
    pool_module,
    this_platform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_THREADS: Final = 1024
_RETRY_SECONDS: Final = 50e-6


class _RuntimeStruct(ctypes.Structure):
    """What ``tw_main`` receives as its first argument."""

    _fields_ = (
        ("parallel_for", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("max_threads", ctypes.c_int64),
    )


class SerialPool:
    """The fallback: no threads, every loop runs on its caller."""

    description = "serial (fallback: no thread pool for this platform)"
    runtime = 0
    num_threads = 1

    def set_num_threads(self, count: int) -> None:
        """Check `count`; this pool stays serial whatever it is."""
        _checked(count)

    def close(self) -> None:
        """Nothing to end."""


class ThreadPool:
    """Worker threads that claim chunks of loops; see `pool_ir` for how.

    `compile` turns IR into object code; a caller that has a disk cache passes its own.
    """

    def __init__(
        self,
        system: Platform,
        count: int | None = None,
        compile: Callable[[str], bytes] = compile_for_host,
    ) -> None:
        count = _checked(default_num_threads() if count is None else count)
        code = compile(pool_module(system))
        self._code = load_object(code, ("tw_parallel_for", "tw_resize"))
        self._waiting = system.waiting
        self._memory = ctypes.create_string_buffer(STATE_BYTES + 64)
        self._state = (ctypes.addressof(self._memory) + 63) & ~63
        self._threads = (ctypes.c_int64 * MAX_THREADS)()
        self._resize = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32)(
            self._code.address("tw_resize")
        )
        self._struct = _RuntimeStruct(self._code.address("tw_parallel_for"), self._state, count)
        self._reset()
        _forget_threads_in_children(self)
        # Runs when the pool dies, or at exit before Python takes modules apart; the threads
        # execute the code and poll the memory that it keeps alive.
        kept = (self._code, self._memory, self._threads, self._struct)
        weakref.finalize(self, _stop_threads, self._resize, self._state, 0, kept)

    @property
    def description(self) -> str:
        """One line: how many threads, and how they sleep."""
        note = "" if self._waiting == "futex" else " (fallback: no futex on this platform)"
        return f"{self.num_threads} threads, spin then {self._waiting}{note}"

    @property
    def runtime(self) -> int:
        """Address of the runtime structure; valid for as long as this pool lives."""
        return ctypes.addressof(self._struct)

    @property
    def num_threads(self) -> int:
        """Threads that share a loop, the caller included."""
        return int(self._struct.max_threads)

    def set_num_threads(self, count: int) -> None:
        """Change it, for all later loops. Waits for a running loop."""
        _stop_threads(self._resize, self._state, _checked(count) - 1)
        self._struct.max_threads = count

    def close(self) -> None:
        """End the threads; a later loop starts them again."""
        _stop_threads(self._resize, self._state, self.num_threads - 1)

    def _reset(self) -> None:
        """The state of a pool whose threads have not been started."""
        ctypes.memset(self._state, 0, STATE_BYTES)
        self._field("WORKERS").value = self.num_threads - 1
        threads = ctypes.c_void_p.from_address(self._state + OFFSETS["THREADS"])
        threads.value = ctypes.addressof(self._threads)
        if self._waiting == "condvar":
            libc = ctypes.CDLL(None)
            libc.pthread_mutex_init(ctypes.c_void_p(self._state + OFFSETS["MUTEX"]), None)
            libc.pthread_cond_init(ctypes.c_void_p(self._state + OFFSETS["CONDITION"]), None)

    def _field(self, name: str) -> ctypes.c_int32:
        return ctypes.c_int32.from_address(self._state + OFFSETS[name])


Pool = ThreadPool | SerialPool
"""What the rest of the back end knows of a pool is what both have."""


def make_pool(
    count: int | None = None,
    compile: Callable[[str], bytes] = compile_for_host,
    waiting: Waiting | None = None,
) -> Pool:
    """The best pool of this platform, with `count` threads (default: one per usable core)."""
    system = this_platform(waiting)
    return SerialPool() if system is None else ThreadPool(system, count, compile)


def default_num_threads() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(MAX_THREADS, len(os.sched_getaffinity(0)))
    return min(MAX_THREADS, os.cpu_count() or 1)


def _checked(count: int) -> int:
    if not 1 <= count <= MAX_THREADS:
        from tilewright.ir.errors import LimitError

        raise LimitError(
            f"cannot run on {count} threads", help=f"choose a number from 1 to {MAX_THREADS}"
        )
    return count


def _stop_threads(
    resize: Callable[[int, int], int], state: int, workers: int, kept: object = None
) -> None:
    """End all threads, after the loop that runs; the next loop starts `workers` new ones."""
    while not resize(state, workers):
        time.sleep(_RETRY_SECONDS)


def _forget_threads_in_children(pool: ThreadPool) -> None:
    """A forked child has none of its parent's threads, and may have inherited a busy flag."""
    reference = weakref.ref(pool)

    def reset() -> None:
        alive = reference()
        if alive is not None:
            alive._reset()

    os.register_at_fork(after_in_child=reset)
