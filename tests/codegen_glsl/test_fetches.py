"""Fetches that are counted while a shader is emitted, against those in its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

import tilewright as tw
from benchmarks.gallery import Entry, entries
from tests.code_quality.test_shader_texts import CASES
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_glsl import backend as glsl
from tilewright.codegen_glsl.emit.textures import FETCHES
from tilewright.codegen_glsl.fetches import count_fetches
from tilewright.ir.analysis.program_figures import gpu_figures
from tilewright.ir.artifact import GpuProgram, launches
from tilewright.ir.fuse.options import FRAGMENT
from tilewright.ir.kernel import Kernel
from tilewright.ir.program import Program, kernels

_LOOP = re.compile(r"\s*for \(int (\w+) = 0; \w+ < (.*); \+\+\w+\) \{$")
_CALL = re.compile(r"\b([a-z]+)\d+\(")


def built(
    function: Callable[..., Any], arrays: list[np.ndarray]
) -> tuple[GpuProgram, list[Kernel]]:
    stages: dict[str, Any] = {}
    made = glsl.build(program_of(function, arrays, FRAGMENT), observe=stages.__setitem__)
    return made, kernels(stages["kernel"].steps)


def fetches_in(source: str) -> int:
    """Of one fragment: every call in `main`, in every round of the loops around it."""
    lines = iter(source.split("void main() {")[1].splitlines())
    return run_block(list(nested(lines)), {})


def nested(lines: Iterator[str]) -> Iterator[str | tuple[str, str, list[Any]]]:
    """The lines up to the end of a block; loops as counter, end and body."""
    for line in lines:
        loop = _LOOP.match(line)
        if line.strip() == "}":
            return
        yield (loop[1], loop[2], list(nested(lines))) if loop else line


def run_block(block: list[Any], counters: dict[str, int]) -> int:
    total = 0
    for line in block:
        if isinstance(line, str):
            assert not line.endswith("{"), line
            total += sum(FETCHES.get(name, 0) for name in _CALL.findall(line))
            continue
        counter, end, body = line
        rounds = int(end) if end.isdigit() else eval(end, {"min": min}, counters)
        total += sum(run_block(body, {**counters, counter: k}) for k in range(rounds))
    return total


@pytest.mark.parametrize(("function", "arrays"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_small_functions(function: Callable[..., Any], arrays: list[np.ndarray]) -> None:
    check(*built(function, arrays))


@pytest.mark.parametrize("entry", entries()[::5], ids=lambda e: e.name)
def test_gallery(entry: Entry) -> None:
    made = tw.kernel(target="glsl", f64="f32")(entry.kernel).compile(*entry.inputs())
    stages = made.specialization
    check(stages.artifact.program, kernels(cast("Program", stages.stage("kernel")).steps))


def check(program: GpuProgram, made: list[Kernel]) -> None:
    for launch, kernel in zip(launches(program.steps), made, strict=True):
        fragments = launch.grid[0] * launch.grid[1]
        assert count_fetches(kernel) == fragments * fetches_in(launch.source), launch.name


def test_an_elementwise_kernel() -> None:
    """Two fetches and four multiplications a fragment."""
    x = np.ones(4096, np.float32)
    program, made = built(lambda a, b: a * b, [x, x])
    found = gpu_figures(program, made, [count_fetches(k) for k in made])
    assert found.fetches == 2 * 1024
    assert found.fetches_per_multiply == 0.5
    assert (found.bytes_read, found.bytes_written) == (2 * 4096 * 4, 4096 * 4)
    assert found.launches[0].each.invocations == 1024
    assert found.launches[0].targets == 1


def test_nothing_is_multiplied() -> None:
    x = np.ones(16, np.float32)
    program, made = built(lambda a: a + 1, [x])
    found = gpu_figures(program, made, [count_fetches(k) for k in made])
    assert found.fetches_per_multiply is None
