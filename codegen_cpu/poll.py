"""Signals during long loops: how ``tw.loop`` and ``tw.while_loop`` end at Ctrl-C.

Python runs signal handlers between two of its own instructions, in its main thread, which may be
inside of a compiled loop for ever. So generated loops call ``tw_poll`` now and then, which looks at
a coarse clock, and after `OFTEN_NANOSECONDS` asks Python to run handlers (``poll.ll``). What a
handler raises is kept, the code returns `INTERRUPTED`, and `SignalPoll.raise_pending` raises it.

A call may hold the GIL (the call path does, for what looks short) or have released it; the poll
takes it where it must. Threads other than the main one never see a signal, as in Python; they only
let others have the GIL, should they hold it. Handlers may call kernels, that one too.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from tilewright.codegen_cpu.loader import compile_for_host, load_object

if TYPE_CHECKING:
    from collections.abc import Callable

OFTEN_NANOSECONDS: Final = 50_000_000
RARELY_NANOSECONDS: Final = 200_000_000
MOST_ROUNDS: Final = 4096
"""A poll takes some 10 ns, rounds 2 ns at least; later ones may take much longer."""

_POSIX_CLOCK: Final = """\
declare i32 @clock_gettime(i32, ptr)

define internal i64 @now() nounwind {
  %time = alloca [2 x i64]
  %status = call i32 @clock_gettime(i32 $clock_number, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr i8, ptr %time, i64 8
  %nanoseconds = load i64, ptr %rest
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %nanoseconds
  ret i64 %sum
}"""
_WINDOWS_CLOCK: Final = """\
declare i64 @GetTickCount64()

define internal i64 @now() nounwind {
  %milliseconds = call i64 @GetTickCount64()
  %scaled = mul i64 %milliseconds, 1000000
  ret i64 %scaled
}"""
_COARSE_CLOCKS: Final = {"linux": 6, "darwin": 5}
"""CLOCK_MONOTONIC_COARSE and CLOCK_MONOTONIC_RAW_APPROX, which take a few ns."""

_PYTHON_API: Final = (
    "PyThread_get_thread_ident",
    "PyGILState_Check",
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyErr_CheckSignals",
    "PyErr_Fetch",
)


class SignalPoll:
    """The machine code of ``poll.ll``, loaded. `compile` may come from a disk cache."""

    def __init__(self, compile: Callable[[str], bytes] = compile_for_host) -> None:
        exports = ("tw_poll", "tw_main_thread", "tw_raised")
        self._code = load_object(compile(poll_module()), exports, _imports())
        self.imports = {"tw_poll": self._code.address("tw_poll")}
        """What code with loops refers to."""
        self._raised = (ctypes.c_void_p * 3).from_address(self._code.address("tw_raised"))
        prototype = ctypes.PYFUNCTYPE(None, *[ctypes.c_void_p] * 3)
        self._restore = prototype(("PyErr_Restore", ctypes.pythonapi))
        main = ctypes.c_ulong.from_address(self._code.address("tw_main_thread"))
        main.value = threading.main_thread().ident or 0
        _follow_forks(self, main)

    def raise_pending(self) -> None:
        """Raise what the handler of a signal raised; to be called where code returned
        `INTERRUPTED`."""
        kept = tuple(self._raised)
        self._raised[:] = [None, None, None]
        self._restore(*kept)


def poll_module() -> str:
    """The module; it defines ``tw_poll`` and exports the two variables."""
    from importlib.resources import files
    from string import Template

    windows = sys.platform == "win32"
    number = _COARSE_CLOCKS.get(sys.platform) or getattr(time, "CLOCK_MONOTONIC", 1)
    clock = Template(_WINDOWS_CLOCK if windows else _POSIX_CLOCK)
    text = (files("tilewright.codegen_cpu") / "poll.ll").read_text(encoding="utf-8")
    return Template(text).substitute(
        clock=clock.substitute(clock_number=number),
        long="i32" if windows else "i64",
        often=OFTEN_NANOSECONDS,
        rarely=RARELY_NANOSECONDS,
        most_rounds=MOST_ROUNDS,
    )


def _imports() -> dict[str, int]:
    addresses = {name: _address(getattr(ctypes.pythonapi, name)) for name in _PYTHON_API}
    if sys.platform == "win32":
        addresses["GetTickCount64"] = _address(ctypes.windll.kernel32.GetTickCount64)
    return addresses


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _follow_forks(poll: SignalPoll, main: ctypes.c_ulong) -> None:
    """In a forked child the thread that forked is the main thread."""
    reference = weakref.ref(poll)

    def follow() -> None:
        if reference() is not None:
            main.value = threading.get_ident()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=follow)
