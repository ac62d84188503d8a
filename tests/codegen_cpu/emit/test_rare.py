"""What is seldom needed is computed where it is needed, by one function for all places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import Compiled, run_function
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.rare import BranchEmitter
from tilewright.codegen_cpu.emit.types import Types
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F32
from tilewright.ir.emit.environment import Value
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var

NATIVE = [n for n in ("host", "x86-64-v3", "x86-64-v2") if cpu_target(n).runs_here]
TARGETS = [*NATIVE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]


def compiled(function: Callable[..., Any], arrays: tuple[np.ndarray, ...], target: str) -> Compiled:
    machine = cpu_target(target)
    lowered = backend.lower(program_of(function, arrays), machine)
    return Compiled(lowered.program, machine)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 15, 63, 64, 127, 128, 140, 142])
def test_one_large_angle_among_small_ones(place: int, dtype: type, target: str) -> None:
    x: np.ndarray = np.linspace(-3, 3, 143).astype(dtype)
    x[place] = 1e30
    code, out = compiled(lambda a: np.sin(a), (x,), target), np.empty_like(x)
    code.run((x,), (out,))
    np.testing.assert_allclose(out, np.sin(x.astype(np.float64)), rtol=0, atol=2e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_a_power_with_one_exponent_for_all(target: str) -> None:
    """The exponent is a scalar among vectors."""
    x = np.array([*np.linspace(0, 2, 40), -0.0, -8.0, np.inf, np.nan, 1e-45], np.float32)

    def third(a: np.ndarray) -> np.ndarray:
        return a**3.0

    code, out = compiled(third, (x,), target), np.empty_like(x)
    code.run((x,), (out,))
    np.testing.assert_allclose(out, x.astype(np.float64) ** 3, rtol=2.4e-7, atol=1e-45)


def test_places_share_a_function() -> None:
    x = np.linspace(-3, 3, 1000).astype(np.float32)
    text = compiled(lambda a: np.sin(a) * np.sin(a + 1), (x,), "x86-64-v3").text
    assert text.count("define internal <8 x float> @rare") == 1
    assert text.count("call <8 x float> @rare0(") > 2


def sum_of_both_sides(x: Expr) -> Expr:
    """``likely(x < 2, x, sqrt(x) * x) + sqrt(x) * x``: the rare side is needed afterwards, too."""
    rare = Apply(ops.MUL, (Apply(ops.SQRT, (x,)), x))
    choice = Apply(ops.LIKELY, (build.lt(x, build.const(2.0, F32)), x, rare))
    return Apply(ops.ADD, (choice, rare))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_what_a_branch_computed_is_not_known_behind_it(target: str, lanes: int) -> None:
    x = np.array([*np.linspace(0, 1.9, 30), 3, 100], np.float32)
    rare = np.sqrt(x) * x
    found = run_function(sum_of_both_sides, [x], cpu_target(target), lanes)
    np.testing.assert_array_equal(found, np.where(x < 2, x, rare) + rare)


class OnlyValues(BranchEmitter):
    def load(self, node: Load) -> Value:
        raise IRError("there is no memory here")


@pytest.mark.parametrize("register_bits", [0, 256])
@pytest.mark.parametrize("lanes", [1, 8, 32])
def test_a_branch_ends_where_its_sides_join(lanes: int, register_bits: int) -> None:
    """In the scope in which it began, in a block that both sides reach."""
    types, function = Types(64, 256), FunctionText("define void @f()")
    emitter = OnlyValues(function, types, Spelling(types, register_bits=register_bits))
    x, flag = Var("x", dtype=F32), Var("flag", dtype=BOOL)
    emitter.environment.bindings |= {x: Value("%x", lanes, 0), flag: Value("%flag", lanes, 0)}
    function.begin("nothing")
    choice = Apply(ops.LIKELY, (flag, x, Apply(ops.SQRT, (x,))))
    found = emitter.evaluate(choice)
    assert (found.lanes, found.depth, function.depth) == (lanes, 1, 1)
    _, rare, join = function.blocks
    assert function.current is join
    assert f"label %{join.name}, label %{rare.name}" in function.entry.terminator
    assert rare.terminator == f"br label %{join.name}"
    assert found.text in join.lines[0]
    assert emitter.evaluate(choice) == found
    assert len(function.blocks) == 3
