"""Random kernels on every target; `python -m tests.fuzz` runs many more."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import pytest

from tests.fuzz.compare import run_program
from tests.fuzz.generate import LARGE_SEEDS, generate
from tests.fuzz.modes import run_mode
from tests.fuzz.program import FuzzProgram, Statement, shrink
from tilewright.compiler.api import Kernel
from tilewright.compiler.runtime import runtime

SEEDS, BATCH = 500, 25


def _check(seeds: range, targets: tuple[str, ...]) -> None:
    wrong = []
    for seed in seeds:
        program = generate(seed)
        outcome = run_program(program, targets)
        if "cpu" in targets:
            run_mode(program, outcome)
        for finding in outcome.findings:
            wrong.append(f"seed {seed}: {finding.kind}: {finding.detail}\n{program.source}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.wasm
@pytest.mark.parametrize("batch", range(SEEDS // BATCH))
def test_random_kernels_on_cpu_and_wasm(batch: int) -> None:
    _check(range(batch * BATCH, (batch + 1) * BATCH), ("cpu", "wasm"))


@pytest.mark.wgsl
@pytest.mark.glsl
@pytest.mark.parametrize("batch", range(SEEDS // BATCH))
def test_random_kernels_on_gpu_targets(batch: int) -> None:
    _check(range(batch * BATCH, (batch + 1) * BATCH), ("wgsl", "glsl"))


@pytest.mark.wasm
@pytest.mark.wgsl
@pytest.mark.glsl
def test_random_kernels_with_large_arrays() -> None:
    _check(range(LARGE_SEEDS, LARGE_SEEDS + BATCH), ("cpu", "wasm", "wgsl", "glsl"))


@pytest.fixture
def threads() -> Iterator[None]:
    before = runtime().pool.num_threads
    yield
    runtime().pool.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor")
def test_the_number_of_threads_changes_no_bit() -> None:
    for seed in range(2000, 2030):
        program = generate(seed)
        kernel = Kernel(program.function())
        arguments = list(program.arguments.values())
        found = []
        for count in (1, 2):
            runtime().pool.set_num_threads(count)
            found.append([np.asarray(r).tobytes() for r in kernel(*arguments)])
        assert found[0] == found[1], program.source


def test_reproducible_kernels_give_the_same_bits_again() -> None:
    for seed in range(2100, 2120):
        program = generate(seed)
        arguments = list(program.arguments.values())
        runs = [Kernel(program.function())(*arguments) for _ in range(2)]
        assert [np.asarray(r).tobytes() for r in runs[0]] == [
            np.asarray(r).tobytes() for r in runs[1]
        ]


def test_a_seed_always_makes_the_same_program() -> None:
    one, other = generate(17), generate(17)
    assert one.source == other.source
    for name, array in one.arguments.items():
        assert array.tobytes() == other.arguments[name].tobytes()


def test_shrinking_keeps_only_what_fails() -> None:
    statements = (
        Statement("v0", "v0 = a0 + 1", "+"),
        Statement("v1", "v1 = v0 * 2", "*"),
        Statement("v2", "v2 = np.flip(v1)", "np.flip"),
        Statement("v3", "v3 = a1 - 1", "-"),
    )
    arguments = {"a0": np.arange(3), "a1": np.arange(4)}
    program = FuzzProgram(0, arguments, statements, ("v2", "v3"))
    small = shrink(program, lambda p: any("flip" in s.text for s in p.statements))
    assert [s.op for s in small.statements] == ["np.flip"]
    assert list(small.arguments) == ["v1"]
    assert small.arguments["v1"].tolist() == [2]


def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself works: a kernel that computes something else is reported."""
    program = dataclasses.replace(
        generate(0),
        arguments={"a0": np.arange(5, dtype=np.int32)},
        statements=(Statement("v0", "v0 = a0 * 3", "*"),),
        returned=("v0",),
    )
    assert not run_program(program, ["cpu"]).findings
    wrong = dataclasses.replace(program, statements=(Statement("v0", "v0 = a0 * 4", "*"),))
    functions = iter((wrong.function(), program.function()))  # the kernel's, then NumPy's
    monkeypatch.setattr(FuzzProgram, "function", lambda _: next(functions))
    kinds = [f.kind for f in run_program(program, ["cpu"]).findings]
    assert kinds == ["not as NumPy"]
