"""``numerics="reproducible"``: the same bits on every CPU level, for any threads, and in wasm."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.execute import CpuFunction
from tilewright.codegen_cpu.loader import object_loader
from tilewright.codegen_cpu.target import cpu_target
from tilewright.compiler.runtime import runtime
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes
from tilewright.ir.schedule import Schedule


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def statistics(x):
    return x.mean(), x.std(axis=0), np.sin(x).sum(axis=1)


def product(x):
    return np.tanh(x @ x.T)


@pytest.fixture
def x():
    return np.random.default_rng(5).standard_normal((67, 1003), np.float32)


@pytest.mark.wasm
@pytest.mark.parametrize("function", [softmax, statistics, product])
def test_cpu_levels_and_wasm_agree_bit_for_bit(function, x):
    kernel = tw.kernel(numerics="reproducible")(function)
    expected = _tuple(kernel(x))
    for found, wanted in zip(_tuple(kernel.on("wasm")(x)), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
    graph = kernel.specializations[0].traced.graph
    for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        target = cpu_target(level)
        if not target.runs_here:
            continue
        program = build_program(run_passes(graph), CPU, "program")
        artifact = backend.build(program, target.with_numerics("reproducible"))
        results = CpuFunction(artifact, object_loader(), 0)([x])
        for found, wanted in zip(results, expected, strict=True):
            np.testing.assert_array_equal(found, np.asarray(wanted))


@pytest.mark.wasm
@pytest.mark.parametrize("function", [lambda x: x.max(axis=1), lambda x: x.min(axis=1)])
def test_the_schedule_does_not_show_in_the_sign_of_a_zero(function):
    x = np.zeros((3, 37), np.float32)
    x[1, 5:] = -0.0
    x[2, ::3] = -0.0
    kernels = [tw.kernel(numerics="reproducible")(function)]
    for schedule in (Schedule(vector="inner", width=4, unroll=4), Schedule(vector=0, width=4)):
        made = tw.kernel(numerics="reproducible", schedule={"t1": schedule})(function)
        kernels += [made, made.on("wasm")]
    signs = [np.signbit(kernel(x)).tolist() for kernel in kernels]
    assert signs == signs[:1] * len(signs)


def test_the_number_of_threads_does_not_show(x):
    kernel = tw.kernel(numerics="reproducible")(statistics)
    pool = runtime().pool
    before = pool.num_threads
    try:
        pool.set_num_threads(1)
        one = kernel(x)
        pool.set_num_threads(2)
        two = kernel(x)
    finally:
        pool.set_num_threads(before)
    for found, wanted in zip(one, two, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_gpu_targets_refuse(target):
    kernel = tw.kernel(numerics="reproducible", target=target)(softmax)
    with pytest.raises(UnsupportedError, match="cannot give reproducible results"):
        kernel.compile(tw.f32[4, 8])


def _tuple(result):
    return result if isinstance(result, tuple) else (result,)
