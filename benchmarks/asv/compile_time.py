"""How long it takes until a kernel can be called, by stage."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import tilewright as tw
from benchmarks.asv.gallery import ENTRIES, TYPICAL
from benchmarks.first_call.__main__ import CASES, ROOT, run
from tilewright.compiler.arguments import describe
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.runtime import runtime
from tilewright.compiler.trace.run import trace
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes


class Stages:
    """Python function -> graph -> passed graph -> program."""

    params = TYPICAL
    param_names = ("kernel",)

    def setup(self, name):
        entry = ENTRIES[name]
        self.function = entry.kernel
        self.specs = [describe(a, "argument")[0] for a in entry.inputs()]
        self.graph = trace(self.function, self.specs).graph
        self.passed = run_passes(self.graph)

    def time_trace(self, name):
        trace(self.function, self.specs)

    def time_passes(self, name):
        run_passes(self.graph)

    def time_build_program(self, name):
        build_program(self.passed, CPU, "program")


class Fresh:
    """A kernel, and a cache of its own that is empty."""

    params = TYPICAL
    param_names = ("kernel",)
    number = 1  # a second call would find what the first has left
    warmup_time = 0.0

    def setup(self, name):
        self.folder = tempfile.TemporaryDirectory()
        runtime().cache = ArtifactCache.default(Path(self.folder.name))
        entry = ENTRIES[name]
        self.inputs = entry.inputs()
        self.function = entry.kernel
        self.compile("wasm")  # so that the compiler itself has been imported

    def teardown(self, name):
        self.folder.cleanup()

    def compile(self, target="cpu"):
        tw.kernel(self.function).compile(*self.inputs, target=target)


class Cold(Fresh):
    """With nothing on disk."""

    def time_compile(self, name):
        self.compile()


class Cached(Fresh):
    """As in another process that finds everything on disk."""

    def setup(self, name):
        super().setup(name)
        self.compile()

    def time_compile(self, name):
        self.compile()


class FirstCall:
    """The first call in a new process, imports of ours included. `python -m benchmarks.first_call`
    prints more."""

    params = CASES
    param_names = ("kernel",)
    unit = "ms"
    timeout = 300
    rounds = 5

    def first_call(self, name, prepared):
        found = []
        with tempfile.TemporaryDirectory() as shared:
            for _ in range(self.rounds + 1):  # the first fills the cache, and compiles our files
                with tempfile.TemporaryDirectory() as own:
                    found.append(run(name, ROOT / "src", shared if prepared else own)["first call"])
        return median(found[1:])

    def track_nothing_cached(self, name):
        return self.first_call(name, prepared=False)

    def track_cached(self, name):
        return self.first_call(name, prepared=True)
