"""Signals that come while LLVM must not be left half way."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

from tilewright.codegen_cpu.interrupts import interrupts_deferred


class Interrupted(BaseException):
    pass


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def test_an_interrupt_arrives_when_the_body_has_ended() -> None:
    done = []

    def work() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_any_handler_is_deferred_and_restored() -> None:
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted), interrupts_deferred(), interrupts_deferred():
            signal.raise_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is interrupt
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_other_threads_have_nothing_to_defer() -> None:
    ran = []

    def work() -> None:
        with interrupts_deferred():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran
