"""`python -m tests.fuzz.worker FD TARGETS`: seeds in, `SeedResult`s out, through a pipe.

A process of its own under a command line of its own: it may crash, and whoever stops the fuzzer by
name stops it too.
"""

from __future__ import annotations

import faulthandler
import gc
import resource
import signal
import sys
import warnings
from multiprocessing.connection import Connection

from tests.fuzz.passes import PassCounter
from tests.fuzz.seed import run_seed
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.runtime import runtime

PATIENCE = 60
"""Seconds of CPU time for one program, on all targets: a process that is stopped uses none."""


def main() -> None:
    pipe, targets = Connection(int(sys.argv[1])), sys.argv[2].split(",")
    faulthandler.enable()
    warnings.simplefilter("ignore")
    runtime().__dict__["cache"] = ArtifactCache(None)  # nothing is compiled twice here
    passes = PassCounter()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)  # what a compilation makes lives as long as it does
    while (seed := pipe.recv()) is not None:
        _allow_time()
        pipe.send(run_seed(seed, targets, passes))


def _allow_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = int(used.ru_utime + used.ru_stime) + PATIENCE
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
