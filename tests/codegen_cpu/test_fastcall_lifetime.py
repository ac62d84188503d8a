"""Calls through the dispatcher: memory, threads and processes."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.fastcall_kernels import (
    F32,
    Kernel,
    add3_spec,
    arrays,
    build,
    failing,
    load_pointers,
    unexpected,
)
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import FastCallable
from tilewright.codegen_cpu.fast_record import Record
from tilewright.codegen_cpu.fast_spec import (
    ArrayArgument,
    FastSpec,
    Open,
    Output,
)
from tilewright.codegen_cpu.fastcall import Dispatcher

pytestmark = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)


def test_reference_counts_and_memory_are_stable(dispatcher: Dispatcher, kernel: Kernel) -> None:
    dispatcher.install(kernel, Record(failing(lambda status, *_: None)))
    add = Kernel()
    dispatcher.install(add, record := Record(add3_spec()))
    given = arrays(3, (4, 6))
    out = np.empty((4, 6), F32)
    x = np.zeros(2, F32)

    def calls() -> None:
        for _ in range(500):
            add(*given)
            add(*given, out=out)
            kernel(5_000, x)
            add(1, 2)
        add.slow_calls.clear()

    watched = [*given, out, x, record, F32, add, kernel, None]
    calls()
    tracemalloc.start()
    calls()
    gc.collect()
    before = [sys.getrefcount(value) for value in watched]
    start = tracemalloc.get_traced_memory()[0]
    calls()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    after = [sys.getrefcount(value) for value in watched]
    assert all(abs(x - y) < 20 for x, y in zip(before, after, strict=True)), (before, after)
    assert grown < 2000


def test_the_result_owns_its_only_reference(add: Kernel) -> None:
    result = add(*arrays(3, (4, 6)))
    assert sys.getrefcount(result) == 2
    dropped = weakref.ref(result)
    del result
    assert dropped() is None


def test_a_kernel_and_its_records_die_together(dispatcher: Dispatcher) -> None:
    kernel, record = Kernel(), Record(add3_spec())
    dispatcher.install(kernel, record)
    assert kernel(*arrays(3, (4, 6))) is not None
    assert kernel() == "slow"
    watched = weakref.ref(record)
    del kernel, record
    gc.collect()
    assert watched() is None


# Sleeps by polling the clock: out[0] = 1 after `symbol 0` (the length of x) milliseconds.
WAIT = f"""{load_pointers("x", "out")}
  %milliseconds = load i64, ptr %symbols
  %limit = mul i64 %milliseconds, 1000000
  %time = alloca [2 x i64]
  %nanoseconds_at = getelementptr i64, ptr %time, i64 1
  %s0 = call i32 @clock_gettime(i32 1, ptr %time)
  %start_s = load i64, ptr %time
  %start_n = load i64, ptr %nanoseconds_at
  br label %poll
poll:
  %s1 = call i32 @clock_gettime(i32 1, ptr %time)
  %s = load i64, ptr %time
  %n = load i64, ptr %nanoseconds_at
  %ds = sub i64 %s, %start_s
  %dn = sub i64 %n, %start_n
  %ds_n = mul i64 %ds, 1000000000
  %passed = add i64 %ds_n, %dn
  %early = icmp slt i64 %passed, %limit
  br i1 %early, label %poll, label %done
done:
  store float 1.0, ptr %out
  ret i32 0
}}
declare i32 @clock_gettime(i32, ptr)
define void @unused() {{
  ret void"""
needs_clock = pytest.mark.skipif(sys.platform != "linux", reason="polls Linux's clock")


def waiting(long_running: bool) -> FastSpec:
    code = build(WAIT.replace("{{", "{").replace("}}", "}"))
    return FastSpec(
        (ArrayArgument(F32, (Open(0),)),),
        (Output(F32, (1,)),),
        code.address(),
        unexpected,
        long_running=long_running,
        keep=(code,),
    )


def until_busy(kernel: Kernel) -> None:
    """Wait until another thread's call is under way: calls beside it take the slow path."""
    deadline = time.monotonic() + 60
    while kernel(np.zeros(1, F32)) != "slow":
        assert time.monotonic() < deadline
        time.sleep(0.001)


def long_call(kernel: Kernel) -> Any:
    """A call of 300 ms by the fast path: again, where a short call of `until_busy` was in it."""
    while isinstance(result := kernel(np.zeros(300, F32)), str):
        pass
    return result


@needs_clock
@pytest.mark.parametrize("long_running", [False, True])
def test_long_running_code_releases_the_gil(
    dispatcher: Dispatcher, kernel: Kernel, long_running: bool
) -> None:
    dispatcher.install(kernel, Record(waiting(long_running)))
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.01)
    start = time.perf_counter()
    kernel(np.zeros(200, F32))
    end = time.perf_counter()
    stop.set()
    thread.join()
    during = sum(start + 0.02 < at < end - 0.02 for at in ticks)
    assert during > 5 if long_running else during == 0


@needs_clock
def test_a_busy_record_sends_other_threads_the_slow_way(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    dispatcher.install(kernel, Record(waiting(True)))
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(long_call(kernel)))
    thread.start()
    until_busy(kernel)
    assert kernel(np.zeros(1, F32)) == "slow"
    thread.join()
    np.testing.assert_array_equal(results[0], [1])
    np.testing.assert_array_equal(kernel(np.zeros(1, F32)), [1])


@needs_clock
def test_a_record_may_be_dropped_while_it_runs(dispatcher: Dispatcher, kernel: Kernel) -> None:
    record = Record(waiting(True))
    dispatcher.install(kernel, record)
    alive = weakref.ref(record)
    del record
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(long_call(kernel)))
    thread.start()
    until_busy(kernel)
    dispatcher.clear(kernel)
    gc.collect()
    assert alive() is not None or not thread.is_alive()  # it may be over: machines are slow
    thread.join()
    np.testing.assert_array_equal(results[0], [1])
    gc.collect()
    assert alive() is None


@needs_clock
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_does_not_inherit_busy_records(
    dispatcher: Dispatcher, kernel: Kernel
) -> None:
    dispatcher.install(kernel, Record(waiting(True)))
    thread = threading.Thread(target=lambda: long_call(kernel))
    thread.start()
    until_busy(kernel)
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(kernel(np.zeros(1, F32)), np.ndarray) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


@pytest.mark.parametrize("long_running", [False, True])
def test_many_threads_call_one_kernel(dispatcher: Dispatcher, long_running: bool) -> None:
    class Falling(FastCallable):
        def __call__(self, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Any:
            return a + b + c

    kernel = Falling()
    dispatcher.install(kernel, Record(add3_spec((100, 100), long_running=long_running)))
    wrong: list[int] = []

    def work(seed: int) -> None:
        a, b, c = arrays(3, (100, 100), seed)
        expected = a + b + c
        wrong.extend(seed for _ in range(100) if not np.array_equal(kernel(a, b, c), expected))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_records_change_while_threads_call(dispatcher: Dispatcher, kernel: Kernel) -> None:
    stop = threading.Event()
    wrong: list[object] = []

    def work(size: int) -> None:
        given = arrays(3, (size,))
        while not stop.is_set():
            result = kernel(*given)
            if not isinstance(result, str) and not np.array_equal(result, sum(given)):
                wrong.append(result)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    specs = [add3_spec((size,), long_running=size % 2 == 0) for size in (1, 2, 3, 4, 5, 6)]
    for turn in range(600):
        dispatcher.install(kernel, Record(specs[turn % len(specs)]))
        if turn % 50 == 0:
            dispatcher.clear(kernel)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
