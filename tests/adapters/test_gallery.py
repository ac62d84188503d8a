"""Kernels of the gallery on every adapter, those that compute and move little."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest

import tilewright as tw
from benchmarks.gallery import Entry, entries
from tests.adapters.adapters import ADAPTERS, Adapter, Array, Job, by_adapter
from tests.adapters.gallery import wrong_results
from tilewright.compiler.bench.work import work_of

MOST_BYTES = 4 << 20
MOST_OPERATIONS = 30_000_000


@functools.cache
def light_kernels() -> tuple[Entry, ...]:
    """What browsers on a processor do in a second or two each."""

    def is_light(entry: Entry) -> bool:
        compiled = tw.kernel(entry.kernel).compile(*entry.inputs(), target="wgsl")
        work = work_of(compiled.specialization.traced.graph, {})
        return work.bytes <= MOST_BYTES and work.flops <= MOST_OPERATIONS

    return tuple(entry for entry in entries() if is_light(entry))


@by_adapter
def test_results_are_right(adapter: str) -> None:
    chosen = light_kernels()
    assert len({entry.family for entry in chosen}) >= 5
    assert wrong_results(ADAPTERS[adapter], chosen) == {}


@pytest.mark.wgsl
def test_a_wrong_result_is_found() -> None:
    entry = light_kernels()[0]

    def spoiled(jobs: Sequence[Job]) -> list[Sequence[Array]]:
        return [[array + 1 for array in result] for result in ADAPTERS["wgpu"].run(jobs)]

    wrong = wrong_results(Adapter("wgsl", "wgsl", spoiled), [entry])
    assert wrong.keys() == {entry.name}
