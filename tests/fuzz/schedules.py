"""Random legal schedules for a program's nests: none of them may change what is computed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.fuzz.program import FuzzProgram
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu.backend import lower
from tilewright.codegen_cpu.target import cpu_target, host_target
from tilewright.compiler.arguments import describe
from tilewright.compiler.driver import prepare, trace_for
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import GPU_TARGETS, BuildOptions
from tilewright.ir.errors import LimitError, ShapeError, TilewrightError
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
    if target in GPU_TARGETS:
        return _from_spaces(program, target, seed)
    rng = np.random.default_rng(seed)
    lowered = program_of(program.function(), list(program.arguments.values()))
    machine = host_target() if target == "cpu" else cpu_target("wasm32-simd128")
    found: dict[str, Schedule] = {}
    for name, default in lower(lowered, machine).schedules:
        for _ in range(ATTEMPTS if default.tile else 0):
            choice = random_schedule(rng, len(default.tile))
            try:
                lower(lowered, machine, {**found, name: choice})
            except (ShapeError, LimitError):
                continue
            found[name] = choice
            break
    return found


def _from_spaces(program: FuzzProgram, target: str, seed: int) -> Mapping[str, Schedule]:
    """Random points of the spaces that a GPU target searches."""
    rng = np.random.default_rng(seed)
    arguments = program.arguments
    specs = {name: describe(value, name)[0] for name, value in arguments.items()}
    try:
        traced = trace_for(program.function(), specs, {}, target, runtime())
        made = prepare(traced, target, runtime())
        spaces = made.target.schedule_spaces(made.program, BuildOptions())
    except TilewrightError:  # what the target has no dtypes for
        return {}
    found: dict[str, Schedule] = {}
    for nest, space in spaces:
        for _ in range(ATTEMPTS if space.size > 1 else 0):
            choice = space.schedule(tuple(int(rng.integers(len(k.values))) for k in space.knobs))
            if choice is not None:
                found[nest.name] = choice
                break
    return found
