"""A schedule never changes what is computed: random legal ones against the promises of numerics."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.fuzz.compare import run_program
from tests.fuzz.generate import generate
from tests.fuzz.program import copies
from tests.fuzz.schedules import random_schedules
from tilewright.compiler.api import Kernel
from tilewright.compiler.targets import GPU_TARGETS, BuildOptions


def _check(seeds: range, target: str) -> None:
    wrong, tried = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            program = generate(seed)
            schedules = random_schedules(program, target, seed)
            tried += len(schedules)
            options = BuildOptions(schedules=schedules)
            for finding in run_program(program, [target], options).findings:
                text = f"seed {seed}: {finding.kind}: {finding.detail}\n{schedules}"
                wrong.append(f"{text}\n{program.source}")
    assert tried > len(seeds) // 3
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("batch", range(4))
def test_random_schedules_on_the_cpu(batch: int) -> None:
    _check(range(3000 + batch * 15, 3015 + batch * 15), "cpu")


@pytest.mark.wasm
def test_random_schedules_on_wasm() -> None:
    _check(range(3100, 3112), "wasm")


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=getattr(pytest.mark, t)) for t in GPU_TARGETS]
)
def test_random_schedules_on_gpu_targets(target: str) -> None:
    _check(range(3300, 3340), target)


def test_reproducible_results_are_the_same_bits_under_any_schedule() -> None:
    for seed in range(3200, 3225):
        program = generate(seed)
        schedules = random_schedules(program, "cpu", seed)
        results = []
        for given in (None, schedules):
            options = BuildOptions("reproducible", schedules=given)
            kernel = Kernel(program.function(), options=options)
            found = kernel(*copies(program.arguments).values())
            results.append([np.asarray(r).tobytes() for r in found])
        assert results[0] == results[1], f"{schedules}\n{program.source}"
