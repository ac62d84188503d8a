"""The same number of threads for everybody."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tilewright.codegen_cpu.pool import default_num_threads
from tilewright.compiler.runtime import runtime


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Inside, our loops, NumPy's matrix products and the other contenders use `count` threads.

    NumPy offers no way to say so: threadpoolctl finds its BLAS library in the process.
    """
    pool = runtime().pool
    before = pool.num_threads
    with ExitStack() as stack:
        stack.enter_context(_limit_blas(count))
        pool.set_num_threads(count)
        stack.callback(pool.set_num_threads, before)
        for module in ("numexpr", "numba"):
            if module in sys.modules:
                stack.enter_context(_limit(module, count))
        yield


def load_warning() -> str:
    """What to say where other processes were busy in the last minute; empty where they were not."""
    if not hasattr(os, "getloadavg"):
        return ""
    load, cores = os.getloadavg()[0], default_num_threads()
    if load < 0.5 * cores:
        return ""
    return f"this machine is busy (load {load:.1f} on {cores} cores): do not trust several threads"


def controls_numpy() -> bool:
    """Whether the threads of NumPy's matrix products can be set."""
    return importlib.util.find_spec("threadpoolctl") is not None


@contextmanager
def _limit_blas(count: int) -> Iterator[None]:
    if not controls_numpy():
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count):
        yield


@contextmanager
def _limit(module: str, count: int) -> Iterator[None]:
    library = sys.modules[module]
    before = library.get_num_threads()
    library.set_num_threads(count)
    try:
        yield
    finally:
        library.set_num_threads(before)
