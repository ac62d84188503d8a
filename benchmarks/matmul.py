"""Float32 matrix products against NumPy's BLAS with as many threads: prints a table of ratios.

    python benchmarks/matmul.py [threads]

The two are timed in turns, so that what else the machine does meets both. With several threads
each runs for a while before its time is taken: OpenBLAS's threads poll for work for 0.2 s after
a product, on cores that the other then lacks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)  # read once, when NumPy is imported

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import tilewright as tw  # noqa: E402
from tilewright.compiler.runtime import runtime  # noqa: E402

Product = Callable[[Any, Any], Any]
SQUARES = (64, 96, 128, 256, 384, 512, 768, 1024)
SKINNY = (
    (1, 1024, 1024), (128, 3072, 768), (49, 160, 960), (3136, 64, 64),
    (1000, 10, 1000), (7, 512, 512), (512, 512, 1), (1, 4096, 4096),
)  # fmt: skip
ROUNDS = 15 if THREADS == 1 else 7
SECONDS_PER_ROUND = 0.006 if THREADS == 1 else 0.02
SECONDS_TO_SETTLE = 0.0 if THREADS == 1 else 0.3


def cases() -> list[tuple[str, tuple[int, ...], tuple[int, ...], Product]]:
    plain: Product = lambda a, b: a @ b
    sizes = [(n, n, n) for n in SQUARES] + list(SKINNY)
    found: list[tuple[str, tuple[int, ...], tuple[int, ...], Product]]
    found = [(f"{m} x {k} x {n}", (m, k), (k, n), plain) for m, k, n in sizes]
    found.append(("a @ b.T 256", (256, 256), (256, 256), lambda a, b: a @ b.T))
    found.append(("a.T @ b 256", (256, 256), (256, 256), lambda a, b: a.T @ b))
    found.append(("16 of 64 x 64 x 64", (16, 64, 64), (16, 64, 64), plain))
    return found


def rounds(ours: Product, numpy: Product, a: Any, b: Any) -> np.ndarray:
    """Seconds per call: one row for ours, one for NumPy's, a column for each round."""
    start = time.perf_counter()
    numpy(a, b)
    calls = max(1, int(SECONDS_PER_ROUND / (time.perf_counter() - start)))
    seconds = np.empty((2, ROUNDS))
    for turn in range(ROUNDS):
        for which, product in enumerate((ours, numpy)):
            settle = time.perf_counter() + SECONDS_TO_SETTLE
            while time.perf_counter() < settle:
                product(a, b)
            start = time.perf_counter()
            for _ in range(calls):
                product(a, b)
            seconds[which, turn] = (time.perf_counter() - start) / calls
    return seconds


def main() -> None:
    runtime().pool.set_num_threads(THREADS)
    random = np.random.default_rng(0)
    table = Table("product", "GFLOP/s", "NumPy", "best ratio", "median ratio")
    for name, shape_a, shape_b, product in cases():
        a, b = (random.random(s, dtype=np.float32) - 0.5 for s in (shape_a, shape_b))
        ours = tw.kernel(product)
        work = 2e-9 * a.size * ours(a, b).shape[-1]
        seconds = rounds(ours, product, a, b)
        mine, theirs = seconds.min(axis=1)
        median = np.median(seconds[1] / seconds[0])
        speeds = (f"{work / mine:.1f}", f"{work / theirs:.1f}")
        table.add_row(name, *speeds, f"{theirs / mine:.2f}", f"{median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
