"""What compiling costs, counted instead of timed: imports, runs of LLVM, walks over graphs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.elf_image import load_image
from tilewright.codegen_cpu.emit import module
from tilewright.codegen_cpu.loader import compile_for_host
from tilewright.codegen_cpu.target import cpu_target
from tilewright.compiler.arguments import describe
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.cache.info import cache_info
from tilewright.compiler.runtime import runtime
from tilewright.compiler.trace.run import trace
from tilewright.ir.fuse import group
from tilewright.ir.fuse.inline import Inliner
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes

OBJECT = compile_for_host("define void @nothing() { ret void }")
X = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
FIRST_CALL = """
import sys
import numpy as np
import tilewright as tw
def small(a, b, c):
    return a + b * c
x = np.ones(16, np.float32)
assert (tw.kernel(small)(x, x, x) == 2).all()
prefixes = ("tilewright", "json", "signal", "hashlib")
print(*sorted(name for name in sys.modules if name.startswith(prefixes)))
"""


class Counted:
    """A function that counts its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: object, name: str) -> None:
        self.calls = 0
        original = getattr(home, name)

        def counting(*args, **kwargs):
            self.calls += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(home, name, counting)


def program_of(function, *arrays):
    names = function.__code__.co_varnames
    specs = {n: describe(a, n)[0] for n, a in zip(names, arrays, strict=False)}
    return build_program(run_passes(trace(function, specs).graph), CPU, "program")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactCache:
    cache = ArtifactCache.default(tmp_path)
    monkeypatch.setattr(runtime(), "cache", cache)
    return cache


MANY_CALLS = """
import sys
import numpy as np
import tilewright as tw
@tw.kernel
def wave(x):
    return np.exp(x) * np.sin(x)
x = np.ones(1 << 20, np.float32)
for _ in range(3):
    wave(x)
assert tw.compiler.runtime.runtime().pool.num_threads
print("llvmlite.binding" in sys.modules)
"""


def modules_of_a_first_call(tmp_path: Path, program: str = FIRST_CALL) -> set[str]:
    file = tmp_path / "program.py"
    file.write_text(program)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, file], env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_a_cached_start_imports_neither_tracer_nor_compiler(tmp_path: Path) -> None:
    cold = modules_of_a_first_call(tmp_path)
    cached = modules_of_a_first_call(tmp_path)
    prefixes = (
        *("compiler.trace.run", "compiler.tracer", "compiler.driver", "compiler.results"),
        *("codegen_cpu.backend", "codegen_cpu.emit", "codegen_cpu.jit", "codegen_cpu.target"),
        *("codegen_wgsl", "codegen_glsl", "ir.graph", "ir.kernel", "ir.passes", "ir.ops"),
        *("ir.errors", "ir.expr", "ir.sizes", "ir.element_types", "codegen_cpu.python_abi"),
        *("codegen_cpu.encode_artifact", "compiler.encode_interface", "compiler.cache.contents"),
        *("compiler.cache.store_entry", "compiler.cache.writing", "compiler.cache.upkeep"),
        *("compiler.converted_arguments", "compiler.declared_arguments"),
    )
    for prefix in prefixes:
        assert not [m for m in cached if m.startswith(f"tilewright.{prefix}")], prefix
    assert len([m for m in cached if m.startswith("tilewright")]) <= 27
    # What a small kernel does not need is not imported for it either.
    needless = (
        *("ir.elementary", "ir.verify", "ir.lower.sort", "ir.interpret", "ir.parser"),
        *("ir.passes.narrow_positions", "compiler.trace.numpy_", "compiler.trace.special"),
        *("compiler.trace.indexing", "compiler.trace.positions", "compiler.trace.weak"),
        *("codegen_cpu.contraction_schedule", "codegen_cpu.stencil_schedule", "ir.lower.reducer"),
        *("ir.lower.first_extreme", "ir.lower.pack_", "ir.lower.bands", "ir.analysis.size_proofs"),
    )
    for prefix in needless:
        assert not [m for m in cold if m.startswith(f"tilewright.{prefix}")], prefix
    assert "json" not in cached  # 1.5 ms; msgspec reads and writes the cache's
    assert "signal" not in cached  # 0.5 ms
    assert "hashlib" not in cached  # 4 ms, for OpenSSL


@pytest.mark.skipif(load_image(OBJECT, {}) is None, reason="LLVM loads objects of this platform")
def test_a_cached_process_does_not_load_llvm(tmp_path: Path) -> None:
    assert modules_of_a_first_call(tmp_path, MANY_CALLS) == {"True"}
    assert modules_of_a_first_call(tmp_path, MANY_CALLS) == {"False"}


def test_one_module_is_compiled_and_one_artifact_kept(
    empty_cache: ArtifactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = Counted(monkeypatch, backend, "compile_object")
    kernel = tw.kernel(lambda x: np.exp(x) + 1)
    kernel.compile(X)
    assert compiled.calls == 1
    assert empty_cache.misses == 1
    assert cache_info(empty_cache).entries == 1
    kernel.compile(X)
    assert compiled.calls == 1


def test_each_stage_is_timed(empty_cache: ArtifactCache) -> None:
    def function(x):
        return np.exp(x) + 1

    made = tw.kernel(function).compile(X).specialization
    stages = ["graph", "optimized", "program", "kernel", "schedule", "llvm", "code"]
    assert list(made.timings) == stages
    assert all(milliseconds >= 0 for milliseconds in made.timings.values())
    assert made.timings["code"] > 0
    cached = tw.kernel(function).compile(X).specialization
    assert list(cached.timings) == ["graph", "cache"]
    wasm = tw.kernel(function).compile(X, target="wasm").specialization
    assert {"kernel", "llvm", "wat", "code"} <= set(wasm.timings)


def test_equal_kernels_are_emitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted = Counted(monkeypatch, module, "emit_kernel")

    def chain(x, w):
        for _ in range(6):
            x = np.tanh(x @ w) + x
        return x

    machine = cpu_target("x86-64-v3")
    lowered = backend.lower(program_of(chain, X, X), machine)
    text = backend.emit(lowered, machine)
    assert text.count("call void @k") >= 6
    assert emitted.calls == text.count("define internal void @k") == 1


def test_blocks_that_read_other_parts_of_one_array_share_their_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitted = Counted(monkeypatch, module, "emit_kernel")

    def chain(x, w):
        for k in range(6):
            x = np.tanh(x @ w[k // 3, k % 3]) + x
        return x

    machine = cpu_target("x86-64-v3")
    weights = np.ones((2, 3, 8, 8), np.float32)
    lowered = backend.lower(program_of(chain, X, weights), machine)
    assert backend.emit(lowered, machine).count("call void @k") >= 6
    assert emitted.calls == 1


def test_a_long_chain_read_at_other_places_is_inlined_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sums that are padded are read at computed positions. Each level of the chain used to be
    inlined anew for each copy of such a position: 2 ** 24 times here."""
    expanded = Counted(monkeypatch, Inliner, "_expand")

    def padded_sum(x, w):
        total = x[0:6, 0:6] @ w[0]
        for k in range(24):
            total = total + x[k % 3 : k % 3 + 6, 1:7] @ w[k]
        return np.pad(total, 1) * 2

    program_of(padded_sum, X, np.ones((24, 6, 6), np.float32))
    assert expanded.calls <= 50


def test_units_that_join_a_row_are_walked_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rows(x, count):
        for _ in range(count):
            x = x / (1 + np.abs(x).sum(axis=-1, keepdims=True))
        return x

    walks = []
    for count in (10, 20):
        walked = Counted(monkeypatch, group, "post_order")
        program_of(lambda x, count=count: rows(x, count), X)
        walks.append(walked.calls)
        monkeypatch.undo()
    assert walks[1] <= 2.2 * walks[0]
