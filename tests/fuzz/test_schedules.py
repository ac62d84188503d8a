"""A schedule never changes what is computed: random legal ones against the promises of numerics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pytest

from tests.fuzz.compare import run_program
from tests.fuzz.generate import generate
from tests.fuzz.program import FuzzProgram
from tilewright.compiler.api import Kernel
from tilewright.compiler.targets import BuildOptions
from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.schedule import INNER, Schedule

ATTEMPTS = 6


def random_schedule(rng: np.random.Generator, rank: int) -> Schedule:
    """Any schedule of a nest with `rank` outer axes; `lower/check_schedule.py` says which fit."""
    sizes = rng.choice([1, 1, 2, 3, 4, 8, 16], rank)
    axes = [None, INNER, *range(rank)]
    return Schedule(
        tile=tuple(int(s) for s in sizes),
        vector=axes[int(rng.integers(len(axes)))],
        width=int(rng.choice([1, 2, 4, 8, 16])),
        unroll=int(rng.choice([1, 2, 4])),
        order=tuple(int(k) for k in rng.permutation(rank)),
        chunks=int(rng.choice([1, 1, 3])),
        unroll_reduce=int(rng.choice([0, 4, 32])),
        reduce_block=int(rng.choice([0, 5, 64, 1000])),
    )


def random_schedules(program: FuzzProgram, target: str, seed: int) -> Mapping[str, Schedule]:
    """Another legal schedule for every nest of a program, where a few attempts find one."""
    rng = np.random.default_rng(seed)
    kernel = _run(program, target)
    assert kernel is not None
    given = kernel.specializations[-1].stage("schedule")
    found: dict[str, Schedule] = {}
    for name, default in given:  # type: ignore[attr-defined]
        for _ in range(ATTEMPTS if default.tile else 0):
            choice = random_schedule(rng, len(default.tile))
            if _run(program, target, {**found, name: choice}) is not None:
                found[name] = choice
                break
    return found


def _run(
    program: FuzzProgram, target: str, schedules: Mapping[str, Schedule] | None = None
) -> Kernel | None:
    """The kernel, compiled and called; None if the schedules are not legal."""
    kernel = Kernel(program.function(), options=BuildOptions(schedules=schedules)).on(target)
    try:
        kernel(*(a.copy() for a in program.arguments.values()))
    except (ShapeError, LimitError):
        return None
    return kernel


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
    assert tried > len(seeds) // 2
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("batch", range(4))
def test_random_schedules_on_the_cpu(batch: int) -> None:
    _check(range(3000 + batch * 15, 3015 + batch * 15), "cpu")


@pytest.mark.wasm
def test_random_schedules_on_wasm() -> None:
    _check(range(3100, 3112), "wasm")


def test_reproducible_results_are_the_same_bits_under_any_schedule() -> None:
    for seed in range(3200, 3225):
        program = generate(seed)
        schedules = random_schedules(program, "cpu", seed)
        results = []
        for given in (None, schedules):
            options = BuildOptions("reproducible", schedules=given)
            kernel = Kernel(program.function(), options=options)
            found = kernel(*(a.copy() for a in program.arguments.values()))
            results.append([np.asarray(r).tobytes() for r in found])
        assert results[0] == results[1], f"{schedules}\n{program.source}"
