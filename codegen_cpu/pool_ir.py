"""The thread pool's machine code: platform facts -> LLVM IR text, from ``pool.ll``.

Workers and the caller *claim* chunks of a loop. The claim word holds the epoch, the first chunk
that nobody has claimed, and how many there are from it on: taking one is a compare-and-swap. The
caller takes chunks from the front and workers take them from the back, so that in loops that follow
each other the same part of the data is mostly met by the same thread, which has it in its cache.
Two more things follow. A worker that read the job of an
older epoch fails its swap, so it can never run a stale task. And the caller waits only for chunks
that a worker has claimed, never for a worker that is asleep or not scheduled: with a busy neighbour
on the second core a static split was measured to be four times slower than serial code.

A caller takes the `BUSY` flag for the length of its loop. Whoever finds it taken, a second Python
thread or a loop inside of a task, runs its loop serially: nothing queues, so nothing deadlocks.

Workers spin for `SPIN_NANOSECONDS` after work, then sleep on the epoch half of the claim word,
which every new loop changes. To wake one costs its caller as much as some 10 us of work, and it
comes 30 us later: a loop after a pause wakes nobody before its first chunk has shown that the rest
is long. Loops in a row wake workers at once, and find them awake from then on.

Where other processes keep all other processors busy, a worker may be given the caller's own. There
it gives way: it sleeps instead of spinning, and for `CROWDED_NANOSECONDS` only loops wake it that
last as long. (When it spun, loops of 20 us were measured to last milliseconds.)

Threads start at the first parallel loop, so a forked child only has
to forget its parent's (`ThreadPool` does that).
"""

from __future__ import annotations

import platform
import sys
from importlib.resources import files
from string import Template
from typing import Final, Literal

from msgspec import Struct

SPIN_NANOSECONDS: Final = 100_000
WORTH_WAKING_NANOSECONDS: Final = 40_000
CROWDED_NANOSECONDS: Final = 5_000_000
FEW_CHUNKS: Final = 4
"""Of fewer chunks the first is too large a part of the loop to be tried alone."""
JOIN_SPINS: Final = 4096
"""How often the caller looks for the end of claimed chunks before it sleeps; some 50 us."""

Waiting = Literal["futex", "condvar"]

# Offsets in the pool's state; what different threads write lies on different cache lines.
STATE_BYTES: Final = 512
OFFSETS: Final = {
    "CLAIM": 0,  # i64: epoch << 32 | first unclaimed chunk << 16 | unclaimed chunks
    "EPOCH": 4,  # i32: its upper half
    "TASK": 64,  # ptr, ptr: the job of this epoch
    "CONTEXT": 72,
    "CALLER_CPU": 80,  # i32: where the caller of this epoch runs
    "DONE": 128,  # i32: chunks that workers finished in this epoch
    "CALLER_WAITS": 132,  # i32: the caller sleeps on DONE
    "SLEEPERS": 192,  # i32: workers that sleep, or are about to
    "STOP": 196,  # i32: workers shall end
    "CROWDED": 200,  # i64: until when workers that sleep would be in the caller's way
    "BUSY": 256,  # i32: a caller, or a resize, has the pool
    "WORKERS": 260,  # i32: how many to start
    "RUNNING": 264,  # i32: how many were started
    "STARTED": 268,  # i32: 0 until the first parallel loop
    "THREADS": 272,  # ptr: room for the pthread_t of every worker
    "ENDED": 280,  # i64: when the last loop ended
    "MUTEX": 320,  # both only where there is no futex
    "CONDITION": 384,
}


class Platform(Struct, frozen=True):
    """The few numbers in which the systems differ."""

    waiting: Waiting
    pause: str
    clock_monotonic: int
    sig_block: int
    sig_setmask: int
    futex_syscall: int = 0


def this_platform(waiting: Waiting | None = None) -> Platform | None:
    """The facts of this system, or None where the pool is not available (no POSIX threads).

    `waiting` chooses how threads sleep; by default by futex where there is one.
    """
    if sys.platform == "win32":
        return None
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    pause = {
        "x86_64": "call void @llvm.x86.sse2.pause()",
        "aarch64": "call void @llvm.aarch64.hint(i32 1)",
    }.get(machine)
    if pause is None:
        return None
    if sys.platform == "darwin":
        return Platform("condvar", pause, clock_monotonic=6, sig_block=1, sig_setmask=3)
    futex = {"x86_64": 202, "aarch64": 98}[machine] if sys.platform == "linux" else 0
    chosen = waiting or ("futex" if futex else "condvar")
    return Platform(chosen, pause, 1, sig_block=0, sig_setmask=2, futex_syscall=futex)


def pool_module(system: Platform) -> str:
    """The module; it defines ``tw_parallel_for`` and ``tw_resize``, the rest is internal."""
    facts = {
        "spin": SPIN_NANOSECONDS,
        "worth_waking": WORTH_WAKING_NANOSECONDS,
        "crowded": CROWDED_NANOSECONDS,
        "few": FEW_CHUNKS,
        "join_spins": JOIN_SPINS,
        "pause": system.pause,
        "clock": system.clock_monotonic,
        "sig_block": system.sig_block,
        "sig_setmask": system.sig_setmask,
        "futex": system.futex_syscall,
    }
    folder = files("tilewright.codegen_cpu")
    names = ("pool.ll", f"pool_{system.waiting}.ll")
    texts = [(folder / name).read_text(encoding="utf-8") for name in names]
    return Template("\n".join(texts)).substitute(OFFSETS, **facts)
