"""Scatters: in order, with and without a combiner, compared with NumPy's unbuffered loops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import Compiled, compile_kernel
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build
from tilewright.ir.dtypes import F32, I64, INDEX
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.ordered import lower_ordered
from tilewright.ir.program import Copy, Launch, Ordered, Program

UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, None: None}


@pytest.mark.parametrize("target", ["host", "wasm32-simd128"])
@pytest.mark.parametrize("combiner", UFUNCS)
def test_repeated_targets_are_visited_in_order(combiner: str | None, target: str) -> None:
    rng = np.random.default_rng(1)
    where, values = Buffer("where", (5, 7), I64), Buffer("values", (5, 7), F32)
    base, out = Buffer("base", (4,), F32), Buffer("out", (4,), F32)
    i, j = Var("i", 5), Var("j", 7)
    at = build.cast(Load(where, (i, j)), INDEX)
    step = Ordered("s", (i, j), out, (at,), Load(values, (i, j)), combiner)
    indices = rng.integers(0, 4, (5, 7))
    updates = rng.standard_normal((5, 7)).astype(np.float32)
    updates[2, 3] = np.nan
    expected = np.ones(4, np.float32)
    ufunc = UFUNCS[combiner]
    if ufunc is None:
        for index, update in zip(indices.ravel(), updates.ravel(), strict=True):
            expected[index] = update
    else:
        ufunc.at(expected, indices, updates)
    steps = (Copy(base, out), Launch(lower_ordered(step, "s")))
    program = Program("s", (), (where, values, base), (out,), (), (), steps)
    result = np.zeros(4, np.float32)
    start = np.ones(4, np.float32)
    Compiled(program, cpu_target(target)).run([indices, updates, start], [result])
    np.testing.assert_array_equal(result, expected)


def test_open_axes_may_be_empty() -> None:
    n = Var("n", least=0)
    values, out = Buffer("values", (n,), F32), Buffer("out", (2,), F32)
    i = Var("i", n)
    step = Ordered("s", (i,), out, (build.mod(i, build.index(2)),), Load(values, (i,)), "add")
    compiled = compile_kernel(lower_ordered(step, "s"), [values], [out])
    for size in (0, 1, 5):
        updates = np.arange(1, size + 1, dtype=np.float32)
        result = np.zeros(2, np.float32)
        compiled.run([updates], [result], symbols=[size])
        np.testing.assert_array_equal(result, [updates[::2].sum(), updates[1::2].sum()])
