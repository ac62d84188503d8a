"""The measured process: calls one kernel once, and prints what took how long as one line of JSON.

    python -m benchmarks.first_call.process CASE

Third-party packages are imported before the clock starts; `import tilewright` and all that it
does later count. The disk cache is where the environment says.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import llvmlite.binding  # noqa: F401
import msgspec  # noqa: F401
import numpy as np  # noqa: F401
import platformdirs  # noqa: F401
import portalocker  # noqa: F401

from benchmarks.first_call.kernels import case

function, arguments = case(sys.argv[1])


def milliseconds(since: float) -> float:
    return (time.perf_counter() - since) * 1e3


start, start_cpu = time.perf_counter(), time.process_time()
import tilewright as tw  # noqa: E402

found: dict[str, Any] = {"import": milliseconds(start)}
kernel = tw.kernel(function)
kernel(*arguments)
found["first call"] = milliseconds(start)
found["of the processor"] = (time.process_time() - start_cpu) * 1e3

from tilewright.compiler.runtime import runtime  # noqa: E402

found["compilations"] = runtime().cache.misses
(made,) = kernel.specializations
found |= getattr(made, "timings", {})  # --package may name an older version
print(json.dumps(found))
