"""A schedule decides how a nest runs, never what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen_cpu.kernel_runner import Compiled
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target, host_target
from tilewright.ir.errors import IRError
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.program import Nest, nests
from tilewright.ir.schedule import Schedule

CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    # Sums of small integers are exact in every order: any difference is a bug.
    "map": (lambda a, b: a * 2 + b, (numbers(7, 19), numbers(19))),
    "transpose": (lambda a: a.T - 1, (numbers(9, 21),)),
    "shifted": (lambda a: a[:, 1:-1] + a[:, 2:] - a[:, :-2], (numbers(5, 37),)),
    "row sums": (lambda a: a.sum(axis=1), (numbers(6, 83),)),
    "column sums": (lambda a: a.sum(axis=0), (numbers(83, 21),)),
    "rows used twice": (lambda a: a - a.max(axis=1, keepdims=True), (numbers(6, 37),)),
    "matrix product": (lambda a, b: a @ b, (numbers(9, 33), numbers(33, 21))),
    "batched product": (lambda a, b: a @ b, (numbers(2, 5, 17), numbers(2, 17, 19))),
    "bytes": (lambda a: np.maximum(a[1:], a[:-1]), (numbers(9, 40, dtype=np.int8),)),
    "argmax": (lambda a: a.argmax(axis=1), (numbers(5, 45),)),
    "running sum": (lambda a: a.cumsum(axis=1), (numbers(6, 21),)),
}


@st.composite
def schedules(draw: Any, nest: Nest) -> Schedule:
    """Any schedule that is legal for a nest."""
    rank = len(nest.outer)
    scans = any((s.combiner or "").startswith("scan:") for s in nest.stages)
    inner = any(s.axes or s.reduce_axes for s in nest.stages) and not scans
    kinds: list[Any] = [None, *range(rank), *(["inner"] if inner else [])]
    vector = draw(st.sampled_from(kinds))
    return Schedule(
        tile=tuple(draw(st.integers(1, 20)) for _ in range(rank)),
        vector=vector,
        width=1 if vector is None else draw(st.sampled_from((1, 2, 4, 8, 16))),
        unroll=draw(st.integers(1, 4)) if vector == "inner" else 1,
        order=tuple(draw(st.permutations(range(rank)))),
        chunks=draw(st.sampled_from((1, 2, 3, 7, 64))),
        reduce_block=draw(st.sampled_from((0, 1, 5, 16))),
        unroll_reduce=draw(st.sampled_from((0, 8, 32))),
    )


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_any_legal_schedule_gives_the_same_result(name: str, data: st.DataObject) -> None:
    function, arrays = CASES[name]
    program = program_of(function, arrays)
    chosen = {n.name: data.draw(schedules(collapse_axes(n))) for n in nests(program.steps)}
    lowered = backend.lower(program, host_target(), chosen)
    wanted = np.asarray(function(*arrays))
    got = np.empty(wanted.shape, wanted.dtype)
    Compiled(lowered.program).run(list(arrays), [got])
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("tile", [(0, 4), (-1, 4), (4,), (4, 4, 4)])
def test_tiles_that_do_not_fit(tile: tuple[int, ...]) -> None:
    program = program_of(lambda a: a.T - 1, (numbers(9, 21),))
    (nest,) = nests(program.steps)
    with pytest.raises(IRError, match="does not fit 2 outer axes"):
        backend.lower(program, host_target(), {nest.name: Schedule(tile=tile)})


def scheduled(function: Callable[..., Any], *arrays: np.ndarray, target: str) -> Schedule:
    program = program_of(function, arrays)
    return default_schedule(collapse_axes(nests(program.steps)[-1]), cpu_target(target))


@pytest.mark.parametrize(
    ("target", "width"), [("x86-64-v2", 4), ("x86-64-v3", 8), ("x86-64-v4", 16)]
)
def test_vectors_are_as_wide_as_the_machine(target: str, width: int) -> None:
    assert scheduled(lambda a: a + 1, numbers(1000), target=target).width == width
    doubles = numbers(1000, dtype=np.float64)
    assert scheduled(lambda a: a + 1, doubles, target=target).width == width // 2


def test_the_vector_axis_is_the_contiguous_one() -> None:
    rows, columns = numbers(64, 256), numbers(256, 64)
    assert scheduled(lambda a: a.sum(axis=1), rows, target="x86-64-v3").vector == "inner"
    assert scheduled(lambda a: a.sum(axis=0), columns, target="x86-64-v3").vector == 0


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-neon"])
def test_accumulators_of_a_product_fit_into_registers(target: str) -> None:
    machine = cpu_target(target)
    chosen = scheduled(lambda a, b: a @ b, numbers(256, 256), numbers(256, 256), target=target)
    rows, columns = chosen.tile
    assert chosen.vector == 1
    assert rows > 1
    assert rows * columns // chosen.width + columns // chosen.width < machine.vector_registers


def test_small_work_stays_on_one_thread() -> None:
    assert scheduled(lambda a: a + 1, numbers(1000), target="x86-64-v3").chunks == 1
    assert scheduled(lambda a: a + 1, numbers(1 << 20), target="x86-64-v3").chunks > 1
    assert scheduled(lambda a: a + 1, numbers(1 << 20), target="wasm32-simd128").chunks == 1
