"""Looking for signals in loops: how often, and what becomes of what a handler raises."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from tilewright.codegen_cpu.poll import MOST_ROUNDS, SignalPoll


class Raised(Exception):
    pass


@pytest.fixture(scope="module")
def poll() -> SignalPoll:
    return SignalPoll()


@pytest.fixture
def handler() -> Iterator[None]:
    """Where the platform has it, SIGUSR1 raises; its default ends the process."""

    def fail(number: int, frame: FrameType | None) -> None:
        raise Raised(number)

    before = signal.signal(signal.SIGUSR1, fail)
    yield
    signal.signal(signal.SIGUSR1, before)


def entry(poll: SignalPoll, holds_gil: bool = False) -> ctypes._FuncPointer:
    kind = ctypes.PYFUNCTYPE if holds_gil else ctypes.CFUNCTYPE
    types = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_uint32)
    return kind(ctypes.c_uint32, *types)(poll.imports["tw_poll"])


def long_ago() -> ctypes.c_int64:
    """What `last` holds when the last poll was before the machine was started."""
    return ctypes.c_int64(1)


def test_the_first_poll_only_looks_at_the_clock(poll: SignalPoll) -> None:
    last = ctypes.c_int64(0)
    assert entry(poll)(None, last, 8) == 32
    assert last.value > 0


def test_polls_in_quick_succession_become_rare(poll: SignalPoll) -> None:
    last, call, rounds, seen = ctypes.c_int64(0), entry(poll), 1, []
    for _ in range(8):
        rounds = call(None, last, rounds)
        seen.append(rounds)
    assert max(seen) <= MOST_ROUNDS
    assert seen[0] == 4


def test_polls_that_came_late_become_frequent(poll: SignalPoll) -> None:
    call = entry(poll)
    assert call(None, long_ago(), 64) == 16
    assert call(None, long_ago(), 1) == 1  # not 0, which would stop the loop


posix = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals are POSIX")


@posix
@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("holds_gil", [False, True])
def test_what_a_handler_raises_stops_the_loop(poll: SignalPoll, holds_gil: bool) -> None:
    stopped = []
    call = entry(poll, holds_gil)

    def loop() -> None:
        """Bytecode would run the handler: the signal has to come while the code polls."""
        main = threading.main_thread().ident
        assert main is not None
        threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1)).start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if call(None, long_ago(), 1) == 0:
                stopped.append(True)
                poll.raise_pending()

    with pytest.raises(Raised):
        loop()


@posix
def test_other_threads_see_no_signals(poll: SignalPoll) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(entry(poll)(None, long_ago(), 64)))
    thread.start()
    thread.join()
    assert found == [16]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_thread_that_forks_is_the_main_one_in_the_child(poll: SignalPoll) -> None:
    main = ctypes.c_ulong.from_address(poll._code.address("tw_main_thread"))
    seen = []

    def fork() -> None:
        child = os.fork()
        if child == 0:
            os._exit(0 if main.value == threading.get_ident() else 1)
        seen.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    assert seen == [0]
