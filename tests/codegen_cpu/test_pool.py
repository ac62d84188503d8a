"""The thread pool: every chunk runs once, whoever calls, however often, also after a fork."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tilewright.codegen_cpu.loader import compile_for_host, load_object
from tilewright.codegen_cpu.pool import (
    MAX_THREADS,
    Pool,
    SerialPool,
    ThreadPool,
    default_num_threads,
    make_pool,
)
from tilewright.codegen_cpu.pool_ir import OFFSETS, Waiting, this_platform
from tilewright.ir.errors import LimitError

needs_threads = pytest.mark.skipif(this_platform() is None, reason="this platform has no pool")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
pytestmark = [
    needs_threads,
    # CPython 3.12 and later: that a child may deadlock is what these tests look at.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

# args[i] += 1 for each chunk i; symbols = (chunks, repetitions, 1: nest a loop of 3 in each chunk).
COUNT = """
%frame = type { ptr, ptr, ptr }

define internal void @count(ptr %counters, i64 %i) nounwind {
  %counter = getelementptr i64, ptr %counters, i64 %i
  %before = atomicrmw add ptr %counter, i64 1 monotonic
  ret void
}

define internal void @nest(ptr %frame, i64 %i) nounwind {
  %runtime = load ptr, ptr %frame
  %counters_at = getelementptr %frame, ptr %frame, i64 0, i32 1
  %counters = load ptr, ptr %counters_at
  %parallel_for = load ptr, ptr %runtime
  %pool_at = getelementptr i8, ptr %runtime, i64 8
  %pool = load ptr, ptr %pool_at
  call void %parallel_for(ptr %pool, ptr @count, ptr %counters, i64 3)
  ret void
}

define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) nounwind {
  %parallel_for = load ptr, ptr %runtime
  %pool_at = getelementptr i8, ptr %runtime, i64 8
  %pool = load ptr, ptr %pool_at
  %chunks = load i64, ptr %symbols
  %repetitions_at = getelementptr i64, ptr %symbols, i64 1
  %repetitions = load i64, ptr %repetitions_at
  %nested_at = getelementptr i64, ptr %symbols, i64 2
  %nested = load i64, ptr %nested_at
  %flat = icmp eq i64 %nested, 0
  %frame = alloca %frame
  store ptr %runtime, ptr %frame
  %counters_at = getelementptr %frame, ptr %frame, i64 0, i32 1
  store ptr %args, ptr %counters_at
  %task = select i1 %flat, ptr @count, ptr @nest
  %context = select i1 %flat, ptr %args, ptr %frame
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %loop ]
  call void %parallel_for(ptr %pool, ptr %task, ptr %context, i64 %chunks)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %repetitions
  br i1 %more, label %loop, label %done
done:
  ret i32 0
}
"""

# args[i] = the thread that ran chunk i, which takes 20 ms.
WHO = """
declare i64 @pthread_self()
declare i32 @usleep(i32)

define internal void @who(ptr %threads, i64 %i) nounwind {
  %slept = call i32 @usleep(i32 20000)
  %thread = call i64 @pthread_self()
  %at = getelementptr i64, ptr %threads, i64 %i
  store i64 %thread, ptr %at
  ret void
}

define i32 @tw_main(ptr %runtime, ptr %args, ptr %symbols, ptr %workspace) nounwind {
  %parallel_for = load ptr, ptr %runtime
  %pool_at = getelementptr i8, ptr %runtime, i64 8
  %pool = load ptr, ptr %pool_at
  call void %parallel_for(ptr %pool, ptr @who, ptr %args, i64 4)
  ret i32 0
}
"""

ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
CODE = load_object(compile_for_host(COUNT))


def count(pool: Pool, chunks: int, repetitions: int = 1, nested: bool = False) -> list[int]:
    """Run the loop on `pool`; how often each chunk ran."""
    counters = (ctypes.c_int64 * max(chunks, 4))()
    symbols = (ctypes.c_int64 * 3)(chunks, repetitions, nested)
    ENTRY(CODE.address())(pool.runtime, ctypes.addressof(counters), ctypes.addressof(symbols), None)
    return list(counters)


@pytest.fixture(params=["futex", "condvar"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    waiting: Waiting = request.param
    system = this_platform(waiting)
    assert system is not None
    if system.waiting != waiting:
        pytest.skip(f"this platform has no {waiting}")
    made = ThreadPool(system, 4)
    yield made
    made.close()


@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 7, 64, 1000])
def test_every_chunk_runs_once(pool: Pool, chunks: int) -> None:
    assert count(pool, chunks)[:chunks] == [1] * chunks


def test_many_loops_in_a_row(pool: Pool) -> None:
    assert count(pool, 5, repetitions=20_000) == [20_000] * 5


def test_loops_after_the_workers_have_gone_to_sleep(pool: Pool) -> None:
    for _ in range(30):
        assert count(pool, 4) == [1] * 4
        time.sleep(0.002)


def test_sleeping_workers_are_woken_and_share_the_work(pool: Pool) -> None:
    code = load_object(compile_for_host(WHO))
    count(pool, 4)
    time.sleep(0.01)
    threads = (ctypes.c_int64 * 4)()
    ENTRY(code.address())(pool.runtime, ctypes.addressof(threads), None, None)
    assert len(set(threads)) > 1


@needs_proc
def test_a_short_loop_after_a_pause_wakes_nobody(pool: Pool) -> None:
    """Other processes may stop the caller in its first chunk, which makes the loop look long: so
    one of many loops is enough."""
    count(pool, 4)
    assert any(switches_of_workers_in_a_loop_after_a_pause(pool) == 0 for _ in range(50))


def switches_of_workers_in_a_loop_after_a_pause(pool: Pool) -> int:
    def switches() -> int:
        own = str(threading.get_native_id())
        tasks = (t for t in Path("/proc/self/task").iterdir() if t.name != own)
        lines = [line for t in tasks for line in (t / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    time.sleep(0.01)
    before = switches()
    count(pool, 4)
    time.sleep(0.01)
    return switches() - before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be placed here")
def test_workers_give_way_on_the_processor_of_the_caller() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        made = make_pool(3)
        assert isinstance(made, ThreadPool)
        for _ in range(20):
            assert count(made, 4, repetitions=10) == [10] * 4
            time.sleep(0.001)
        until = ctypes.c_int64.from_address(made._state + OFFSETS["CROWDED"])
        assert until.value > 0
        made.close()
    finally:
        os.sched_setaffinity(0, allowed)


def test_nested_loops_run_serially_and_do_not_deadlock(pool: Pool) -> None:
    assert count(pool, 50, repetitions=20, nested=True)[:4] == [1000, 1000, 1000, 0]


def test_many_python_threads_at_once(pool: Pool) -> None:
    results: list[list[int]] = []

    def work() -> None:
        results.append(count(pool, 6, repetitions=2_000))

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert results == [[2_000] * 6] * 32


def test_num_threads_can_change_between_and_during_loops(pool: Pool) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            assert count(pool, 4, repetitions=200) == [200] * 4

    thread = threading.Thread(target=work)
    thread.start()
    for number in (1, 2, 7, 3) * 5:
        pool.set_num_threads(number)
        assert pool.num_threads == number
        assert count(pool, 9) == [1] * 9
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("number", [0, -1, MAX_THREADS + 1])
def test_impossible_numbers_of_threads(pool: Pool, number: int) -> None:
    with pytest.raises(LimitError, match=f"cannot run on {number} threads"):
        pool.set_num_threads(number)
    assert pool.num_threads == 4


@needs_proc
def test_threads_start_at_the_first_loop_and_end_with_the_pool() -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    made = make_pool(5)
    assert threads() == before
    count(made, 2)
    assert threads() == before + 4
    made.close()
    assert threads() == before
    assert count(made, 2)[:2] == [1, 1]
    del made
    assert threads() == before


def test_idle_workers_use_no_processor(pool: Pool) -> None:
    count(pool, 4)
    time.sleep(0.02)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.03


@needs_fork
def test_a_forked_child_starts_threads_of_its_own(pool: Pool) -> None:
    assert count(pool, 8, repetitions=100) == [100] * 8
    child = os.fork()
    if child == 0:
        right = count(pool, 8, repetitions=100) == [100] * 8
        os._exit(0 if right else 1)
    assert wait_for(child) == 0
    assert count(pool, 8) == [1] * 8


@needs_fork
def test_fork_while_another_thread_runs_loops(pool: Pool) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            count(pool, 4, repetitions=1000)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if count(pool, 4, repetitions=10) == [10] * 4 else 1)
            assert wait_for(child) == 0
    finally:
        stop.set()
        thread.join()


def wait_for(child: int, seconds: float = 30) -> int:
    """The exit status of a child, which is killed where it hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def test_exit_while_workers_spin_and_another_thread_loops() -> None:
    program = f"""
import threading, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_pool import count, make_pool
pool = make_pool(4)
def forever():
    while True: count(pool, 4, repetitions=100)
threading.Thread(target=forever, daemon=True).start()
count(pool, 8, repetitions=1000)
print("end")
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")


def test_a_disk_cache_can_supply_the_code() -> None:
    asked: list[str] = []

    def compile(text: str) -> bytes:
        asked.append(text)
        return compile_for_host(text)

    assert count(make_pool(2, compile), 4) == [1] * 4
    assert len(asked) == 1


def test_descriptions_name_fallbacks() -> None:
    assert make_pool(3).description.startswith("3 threads, spin then ")
    assert make_pool(2, waiting="condvar").description == (
        "2 threads, spin then condvar (fallback: no futex on this platform)"
    )
    serial = SerialPool()
    assert "fallback" in serial.description
    assert (serial.runtime, serial.num_threads) == (0, 1)


def test_default_is_one_thread_per_usable_core() -> None:
    assert make_pool().num_threads == default_num_threads()


def test_default_where_a_process_may_use_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cores, threads in ((3, 3), (None, 1), (MAX_THREADS, MAX_THREADS), (4096, MAX_THREADS)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert default_num_threads() == threads
