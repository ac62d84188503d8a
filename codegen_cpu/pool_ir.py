"""The thread pool's machine code: platform facts -> LLVM IR text.

Workers and the caller *claim* chunks of a loop. The claim word holds ``epoch << 32 | chunks left``;
taking a chunk is one compare-and-swap on it. Two things follow. A worker that read the job of an
older epoch fails its swap, so it can never run a stale task. And the caller waits only for chunks
that a worker has claimed, never for a worker that is asleep or not scheduled: with a busy neighbour
on the second core a static split was measured to be four times slower than serial code.

A caller takes the `BUSY` flag for the length of its loop. Whoever finds it taken, a second Python
thread or a loop inside of a task, runs its loop serially: nothing queues, so nothing deadlocks.

Workers spin for `SPIN_NANOSECONDS` after work, then sleep on the epoch half of the claim word,
which every new loop changes. Threads start at the first parallel loop, so a forked child only has
to forget its parent's (`ThreadPool` does that).
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from string import Template
from typing import Final, Literal

SPIN_NANOSECONDS: Final = 100_000
JOIN_SPINS: Final = 4096
"""How often the caller looks for the end of claimed chunks before it sleeps; some 50 us."""

Waiting = Literal["futex", "condvar"]

# Offsets in the pool's state; what different threads write lies on different cache lines.
STATE_BYTES: Final = 512
OFFSETS: Final = {
    "CLAIM": 0,  # i64: epoch << 32 | chunks not yet claimed
    "EPOCH": 4,  # i32: its upper half
    "TASK": 64,  # ptr, ptr, i64: the job of this epoch
    "CONTEXT": 72,
    "CHUNKS": 80,
    "DONE": 128,  # i32: chunks that workers finished in this epoch
    "CALLER_WAITS": 132,  # i32: the caller sleeps on DONE
    "SLEEPERS": 192,  # i32: workers that sleep, or are about to
    "STOP": 196,  # i32: workers shall end
    "BUSY": 256,  # i32: a caller, or a resize, has the pool
    "WORKERS": 260,  # i32: how many to start
    "RUNNING": 264,  # i32: how many were started
    "STARTED": 268,  # i32: 0 until the first parallel loop
    "THREADS": 272,  # ptr: room for the pthread_t of every worker
    "MUTEX": 320,  # both only where there is no futex
    "CONDITION": 384,
}


@dataclass(frozen=True, slots=True)
class Platform:
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
        "join_spins": JOIN_SPINS,
        "pause": system.pause,
        "clock": system.clock_monotonic,
        "sig_block": system.sig_block,
        "sig_setmask": system.sig_setmask,
        "futex": system.futex_syscall,
    }
    sleeping = {"futex": _FUTEX, "condvar": _CONDVAR}[system.waiting]
    parts = (_DECLARATIONS, sleeping, _PARALLEL_FOR, _WORKER, _START, _RESIZE)
    return Template("".join(parts)).substitute(OFFSETS, **facts)


_DECLARATIONS = """
declare void @llvm.x86.sse2.pause()
declare void @llvm.aarch64.hint(i32)
declare i32 @llvm.smin.i32(i32, i32)
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)

define internal i64 @now() nounwind {
  %time = alloca [2 x i64]
  %status = call i32 @clock_gettime(i32 $clock, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr i8, ptr %time, i64 8
  %nanoseconds = load i64, ptr %rest
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %nanoseconds
  ret i64 %sum
}
"""

# @wait returns at once when the word is not the expected one; it may also return early.
_FUTEX = """
declare i64 @syscall(i64, ...)

define internal void @wait(ptr %pool, ptr %word, i32 %expected) nounwind {
  %value = zext i32 %expected to i64
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 128, i64 %value, ptr null)
  ret void
}

define internal void @wake(ptr %pool, ptr %word, i32 %count) nounwind {
  %limit = zext i32 %count to i64
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 129, i64 %limit)
  ret void
}
"""

_CONDVAR = """
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

define internal void @wait(ptr %pool, ptr %word, i32 %expected) nounwind {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %value = load atomic i32, ptr %word seq_cst, align 4
  %unchanged = icmp eq i32 %value, %expected
  br i1 %unchanged, label %sleep, label %leave
sleep:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %leave
leave:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define internal void @wake(ptr %pool, ptr %word, i32 %count) nounwind {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %sent = call i32 @pthread_cond_broadcast(ptr %condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}
"""

_PARALLEL_FOR = """
define void @tw_parallel_for(ptr %pool, ptr %task, ptr %context, i64 %chunks) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %done_word = getelementptr i8, ptr %pool, i64 $DONE
  %caller_waits = getelementptr i8, ptr %pool, i64 $CALLER_WAITS
  %busy = getelementptr i8, ptr %pool, i64 $BUSY
  %at_least_two = sub i64 %chunks, 2
  %worth_it = icmp ult i64 %at_least_two, 2147483646  ; also: the count fits its half word
  br i1 %worth_it, label %acquire, label %serial

acquire:
  %taken = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %acquired = extractvalue { i32, i1 } %taken, 1
  br i1 %acquired, label %check_started, label %serial

check_started:
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  %started = load i32, ptr %started_word
  %running = icmp ne i32 %started, 0
  br i1 %running, label %publish, label %start

start:
  call void @start(ptr %pool)
  br label %publish

publish:
  %task_word = getelementptr i8, ptr %pool, i64 $TASK
  %context_word = getelementptr i8, ptr %pool, i64 $CONTEXT
  %chunks_word = getelementptr i8, ptr %pool, i64 $CHUNKS
  store atomic ptr %task, ptr %task_word monotonic, align 8
  store atomic ptr %context, ptr %context_word monotonic, align 8
  store atomic i64 %chunks, ptr %chunks_word monotonic, align 8
  store atomic i32 0, ptr %done_word monotonic, align 4
  store atomic i32 0, ptr %caller_waits monotonic, align 4
  %old_epoch = load atomic i32, ptr %epoch_word monotonic, align 4
  %epoch = add i32 %old_epoch, 1
  %epoch_wide = zext i32 %epoch to i64
  %epoch_high = shl i64 %epoch_wide, 32
  %fresh = or i64 %epoch_high, %chunks
  ; Sequentially consistent with the sleepers' count: either the worker that is about to sleep
  ; sees this epoch, or it is counted here.
  %previous = atomicrmw xchg ptr %claim, i64 %fresh seq_cst
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %sleepers = load atomic i32, ptr %sleepers_word seq_cst, align 4
  %any_asleep = icmp sgt i32 %sleepers, 0
  br i1 %any_asleep, label %wake_some, label %next

wake_some:
  %chunks_narrow = trunc i64 %chunks to i32
  %others = sub i32 %chunks_narrow, 1
  %wanted = call i32 @llvm.smin.i32(i32 %sleepers, i32 %others)
  call void @wake(ptr %pool, ptr %epoch_word, i32 %wanted)
  br label %next

next:
  %mine = phi i32 [ 0, %publish ], [ 0, %wake_some ], [ %mine, %retry ], [ %mine_more, %run ]
  %seen = load atomic i64, ptr %claim monotonic, align 8
  %left = and i64 %seen, 4294967295
  %none_left = icmp eq i64 %left, 0
  br i1 %none_left, label %join, label %retry

retry:
  %less = sub i64 %seen, 1
  %swap = cmpxchg ptr %claim, i64 %seen, i64 %less acq_rel monotonic
  %claimed = extractvalue { i64, i1 } %swap, 1
  br i1 %claimed, label %run, label %next

run:
  %chunk = sub i64 %chunks, %left
  call void %task(ptr %context, i64 %chunk)
  %mine_more = add i32 %mine, 1
  br label %next

join:
  %all = trunc i64 %chunks to i32
  %by_workers = sub i32 %all, %mine
  br label %spin

spin:
  %spins = phi i32 [ 0, %join ], [ %spins_more, %relax ]
  %done = load atomic i32, ptr %done_word acquire, align 4
  %finished = icmp eq i32 %done, %by_workers
  br i1 %finished, label %release, label %relax

relax:
  $pause
  %spins_more = add i32 %spins, 1
  %patient = icmp ult i32 %spins_more, $join_spins
  br i1 %patient, label %spin, label %announce

announce:
  store atomic i32 1, ptr %caller_waits seq_cst, align 4
  br label %doze

doze:
  %done_now = load atomic i32, ptr %done_word seq_cst, align 4
  %finished_now = icmp eq i32 %done_now, %by_workers
  br i1 %finished_now, label %release, label %sleep

sleep:
  call void @wait(ptr %pool, ptr %done_word, i32 %done_now)
  br label %doze

release:
  store atomic i32 0, ptr %busy release, align 4
  ret void

serial:
  %any = icmp sgt i64 %chunks, 0
  br i1 %any, label %serial_run, label %leave

serial_run:
  %index = phi i64 [ 0, %serial ], [ %index_next, %serial_run ]
  call void %task(ptr %context, i64 %index)
  %index_next = add i64 %index, 1
  %more = icmp slt i64 %index_next, %chunks
  br i1 %more, label %serial_run, label %leave

leave:
  ret void
}
"""

_WORKER = """
define internal ptr @worker(ptr %pool) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %task_word = getelementptr i8, ptr %pool, i64 $TASK
  %context_word = getelementptr i8, ptr %pool, i64 $CONTEXT
  %chunks_word = getelementptr i8, ptr %pool, i64 $CHUNKS
  %done_word = getelementptr i8, ptr %pool, i64 $DONE
  %caller_waits = getelementptr i8, ptr %pool, i64 $CALLER_WAITS
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %stop_word = getelementptr i8, ptr %pool, i64 $STOP
  br label %idle

idle:
  %since = call i64 @now()
  br label %look

look:
  %spins = phi i32 [ 0, %idle ], [ %spins, %take ], [ %spins_more, %relax ], [ %spins_more, %tick ]
  %seen = load atomic i64, ptr %claim acquire, align 8
  %left = and i64 %seen, 4294967295
  %work = icmp ne i64 %left, 0
  br i1 %work, label %take, label %relax

take:
  ; Read before the swap: if it succeeds, this epoch was still open, and so was its job.
  %task = load atomic ptr, ptr %task_word monotonic, align 8
  %context = load atomic ptr, ptr %context_word monotonic, align 8
  %chunks = load atomic i64, ptr %chunks_word monotonic, align 8
  %less = sub i64 %seen, 1
  %swap = cmpxchg ptr %claim, i64 %seen, i64 %less acq_rel monotonic
  %claimed = extractvalue { i64, i1 } %swap, 1
  br i1 %claimed, label %run, label %look

run:
  %chunk = sub i64 %chunks, %left
  call void %task(ptr %context, i64 %chunk)
  %before = atomicrmw add ptr %done_word, i32 1 seq_cst
  %waits = load atomic i32, ptr %caller_waits seq_cst, align 4
  %must_wake = icmp ne i32 %waits, 0
  br i1 %must_wake, label %wake_caller, label %idle

wake_caller:
  call void @wake(ptr %pool, ptr %done_word, i32 1)
  br label %idle

relax:
  $pause
  %spins_more = add i32 %spins, 1
  %phase = and i32 %spins_more, 63
  %due = icmp eq i32 %phase, 0
  br i1 %due, label %tick, label %look

tick:
  %time = call i64 @now()
  %idle_time = sub i64 %time, %since
  %tired = icmp sgt i64 %idle_time, $spin
  br i1 %tired, label %doze, label %look

doze:
  %counted = atomicrmw add ptr %sleepers_word, i32 1 seq_cst
  %last = load atomic i64, ptr %claim seq_cst, align 8
  %stop = load atomic i32, ptr %stop_word seq_cst, align 4
  %stopped = icmp ne i32 %stop, 0
  br i1 %stopped, label %leave, label %look_again

look_again:
  %last_left = and i64 %last, 4294967295
  %still_idle = icmp eq i64 %last_left, 0
  br i1 %still_idle, label %sleep, label %rise

sleep:
  %last_epoch = lshr i64 %last, 32
  %epoch = trunc i64 %last_epoch to i32
  call void @wait(ptr %pool, ptr %epoch_word, i32 %epoch)
  br label %rise

rise:
  %uncounted = atomicrmw sub ptr %sleepers_word, i32 1 seq_cst
  br label %idle

leave:
  ret ptr null
}
"""

# Signals stay with the threads that Python knows, or Ctrl-C might not interrupt a sleep.
_START = """
define internal void @start(ptr %pool) nounwind {
  %all_signals = alloca [128 x i8], align 16
  %old_signals = alloca [128 x i8], align 16
  %filled = call i32 @sigfillset(ptr %all_signals)
  %masked = call i32 @pthread_sigmask(i32 $sig_block, ptr %all_signals, ptr %old_signals)
  %workers_word = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i32, ptr %workers_word
  %threads_word = getelementptr i8, ptr %pool, i64 $THREADS
  %threads = load ptr, ptr %threads_word
  br label %next

next:
  %k = phi i32 [ 0, %0 ], [ %k_next, %create ]
  %more = icmp slt i32 %k, %workers
  br i1 %more, label %create, label %leave

create:
  %thread = getelementptr i64, ptr %threads, i32 %k
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %pool)
  %k_next = add i32 %k, 1
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %leave, label %next

leave:
  %running_word = getelementptr i8, ptr %pool, i64 $RUNNING
  store i32 %k, ptr %running_word
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  store i32 1, ptr %started_word
  %unmasked = call i32 @pthread_sigmask(i32 $sig_setmask, ptr %old_signals, ptr null)
  ret void
}
"""

_RESIZE = """
; End all workers; the next loop starts `workers` new ones. 0, without effect, while a loop runs.
define i32 @tw_resize(ptr %pool, i32 %workers) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %stop_word = getelementptr i8, ptr %pool, i64 $STOP
  %busy = getelementptr i8, ptr %pool, i64 $BUSY
  %taken = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %acquired = extractvalue { i32, i1 } %taken, 1
  br i1 %acquired, label %stop, label %refuse

refuse:
  ret i32 0

stop:
  store atomic i32 1, ptr %stop_word seq_cst, align 4
  %bumped = atomicrmw add ptr %claim, i64 4294967296 seq_cst
  call void @wake(ptr %pool, ptr %epoch_word, i32 2147483647)
  %running_word = getelementptr i8, ptr %pool, i64 $RUNNING
  %running = load i32, ptr %running_word
  %threads_word = getelementptr i8, ptr %pool, i64 $THREADS
  %threads = load ptr, ptr %threads_word
  br label %next

next:
  %k = phi i32 [ 0, %stop ], [ %k_next, %join ]
  %more = icmp slt i32 %k, %running
  br i1 %more, label %join, label %leave

join:
  %thread = getelementptr i64, ptr %threads, i32 %k
  %id = load i64, ptr %thread
  %status = call i32 @pthread_join(i64 %id, ptr null)
  %k_next = add i32 %k, 1
  br label %next

leave:
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  %workers_word = getelementptr i8, ptr %pool, i64 $WORKERS
  store i32 0, ptr %sleepers_word
  store i32 0, ptr %running_word
  store i32 0, ptr %started_word
  store i32 %workers, ptr %workers_word
  store atomic i32 0, ptr %stop_word seq_cst, align 4
  store atomic i32 0, ptr %busy release, align 4
  ret i32 1
}
"""
