"""Weights that a kernel is bound to are packed once, when its code is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.cache import ArtifactCache
from tilewright.compiler.runtime import runtime
from tilewright.ir.program import Program

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((700, 300)).astype(np.float32)
ROWS = [RNG.standard_normal((300, 300)).astype(np.float32) for _ in range(3)]


@tw.kernel
def dense(x, w):
    return np.maximum(x @ w.T, 0)


def check(call) -> None:
    for x in (*ROWS, ROWS[0]):  # the calls after the first take the way in machine code
        wanted = np.maximum(x.astype(np.float64) @ WEIGHTS.T.astype(np.float64), 0)
        np.testing.assert_allclose(call(x), wanted, rtol=1e-4, atol=1e-3)


def test_packing_is_in_the_part_that_runs_once() -> None:
    bound = dense.bind(w=WEIGHTS)
    check(bound)
    program = bound.specializations[0].stage("kernel")
    assert isinstance(program, Program)
    assert len(program.init) == len(program.packed) == 1
    assert len(program.steps) == 1
    free = dense.compile(ROWS[0], WEIGHTS).stage("kernel")
    assert isinstance(free, Program)
    assert not free.init
    assert not free.packed
    assert len(free.steps) == 2


def test_saved_and_cached_code_packs_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime().pool  # code of ours that the cache holds, too
    assert runtime().calls
    monkeypatch.setattr(runtime(), "cache", ArtifactCache.default(tmp_path / "cache"))
    compiled = dense.bind(w=WEIGHTS).compile(ROWS[0])
    compiled.save(tmp_path / "dense.tw")
    check(tw.load(tmp_path / "dense.tw"))
    again = dense.bind(w=WEIGHTS)
    check(again)
    assert runtime().cache.misses == 1
    assert runtime().cache.hits >= 1
