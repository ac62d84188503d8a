"""The run time of typical kernels on one thread, and their speed against NumPy."""

from __future__ import annotations

import tilewright as tw
from benchmarks.asv.gallery import ENTRIES, TYPICAL
from tilewright.compiler.bench.measure import Effort, measure
from tilewright.compiler.bench.threads import thread_count


class Kernels:
    """`time_call` depends on the machine; `track_ratio`, measured against NumPy in the same
    rounds, does so less."""

    params = TYPICAL
    param_names = ("kernel",)

    def setup(self, name):
        entry = ENTRIES[name]
        self.inputs = entry.inputs()
        self.baseline = entry.baseline
        self.kernel = tw.kernel(entry.kernel)
        self.limit = thread_count(1)
        self.limit.__enter__()
        self.kernel(*self.inputs)
        self.baseline(*self.inputs)

    def teardown(self, name):
        self.limit.__exit__(None, None, None)

    def time_call(self, name):
        self.kernel(*self.inputs)

    def track_ratio(self, name):
        calls = {
            "ours": lambda: self.kernel(*self.inputs),
            "numpy": lambda: self.baseline(*self.inputs),
        }
        return measure(calls, Effort(seconds=0.3)).ratio("ours", "numpy")

    track_ratio.unit = "times as fast as NumPy"  # type: ignore[attr-defined]  # asv reads it
