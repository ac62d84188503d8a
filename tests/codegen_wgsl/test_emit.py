"""The text of shaders: golden files, names, literals, and what naga says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.codegen_wgsl.nests import (
    compile_program,
    convolution,
    elementwise,
    linear_relu,
    normalise,
    reduction,
    scan,
    softmax,
)
from tilewright.codegen_wgsl.backend import source
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.emit import emit_kernel
from tilewright.codegen_wgsl.emit.shader import GROUPS_PER_DIMENSION, fold_grid
from tilewright.codegen_wgsl.emit.types import is_literal, literal
from tilewright.codegen_wgsl.keywords import is_reserved
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import BOOL, F32, I32, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store, WhileLoop
from tilewright.ir.program import Program
from tilewright.ir.schedule import Schedule

if TYPE_CHECKING:
    from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

X = Buffer("x", (64, 128), F32)
PROGRAMS: dict[str, Callable[[], Program]] = {
    "relu": lambda: elementwise("relu", [X], lambda x: Apply(ops.MAX, (x, b.const(0, F32))), F32),
    "silu": lambda: elementwise(
        "silu", [X], lambda x: Apply(ops.MUL, (x, Apply(ops.SIGMOID, (x,)))), F32
    ),
    "softmax": lambda: softmax(64, 1000),
    "linear_relu": lambda: linear_relu(128, 96, 64),
    "convolution": lambda: convolution(34, 16, 32),
    "normalise": lambda: normalise(64, 64),
    "column_sums": lambda: reduction((100, 2048), 0, "add"),
    "cumulative_sum": lambda: scan(2, 4096),
}

# Texts with elementary functions in them change whenever a polynomial is improved.
ELEMENTARY = {"silu", "softmax"}


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - ELEMENTARY))
def test_golden(golden: Callable[[str, str], None], name: str) -> None:
    golden(f"wgsl/{name}", source(compile_program(PROGRAMS[name]()).program))


@pytest.mark.wgsl
@pytest.mark.parametrize("name", PROGRAMS)
def test_naga_accepts(device: Device, name: str) -> None:
    device.validate(source(compile_program(PROGRAMS[name]()).program), name)


@pytest.mark.chromium
def test_tint_accepts(webgpu_browser: WebGpuBrowserDevice) -> None:
    texts = [source(compile_program(make()).program) for make in PROGRAMS.values()]
    assert webgpu_browser.logs(texts) == [[] for _ in texts]


def test_no_name_means_something_in_wgsl() -> None:
    """A loop counter once was called i32."""
    long = elementwise("chain", [X], lambda x: _chain(x, 40), F32)
    texts = [source(compile_program(make()).program) for make in (*PROGRAMS.values(), lambda: long)]
    declared = re.findall(r"\b(?:let|var(?:<\w+>)?|fn)\s+(\w+)", "\n".join(texts))
    assert len(set(declared)) > 50
    assert not [name for name in declared if is_reserved(name)]


def _chain(x: Expr, steps: int) -> Expr:
    for k in range(steps):
        x = Apply(ops.ADD, (x, Apply(ops.MUL, (x, b.const(k + 0.5, F32)))))
    return x


def test_equal_kernels_have_equal_texts() -> None:
    """Names of the program do not appear, so pipelines are shared."""
    one = elementwise("one", [Buffer("a", (8,), F32)], lambda x: Apply(ops.NEG, (x,)), F32)
    two = elementwise("two", [Buffer("b", (8,), F32)], lambda x: Apply(ops.NEG, (x,)), F32)
    first, second = (compile_program(p).program.steps[0] for p in (one, two))
    assert first.source == second.source  # type: ignore[union-attr]


def test_shared_expressions_are_computed_once() -> None:
    def twice(x: Expr) -> Expr:
        root = Apply(ops.SQRT, (x,))
        return Apply(ops.ADD, (root, Apply(ops.MUL, (root, root))))

    text = source(compile_program(elementwise("twice", [X], twice, F32)).program)
    assert text.count("sqrt(") == 1


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1.0, F32, "1.0f"),
        (0.1, F32, "0x1.99999ap-4f"),
        (-2.5, F32, "-2.5f"),
        (0.0, F32, "0.0f"),
        (2.0**-8, F32, "0.00390625f"),
        (2.0**-9, F32, "0x1p-9f"),
        (1e10, F32, "0x1.2a05f2p+33f"),
        (1e30, F32, "0x1.93e594p+99f"),
        (-0.0, F32, "bitcast<f32>(0x80000000u)"),
        (1e-45, F32, "bitcast<f32>(0x00000001u)"),
        (2.0**-126, F32, "0x1p-126f"),
        (2.0**-126 - 2.0**-149, F32, "bitcast<f32>(0x007fffffu)"),
        (-(2.0**-127), F32, "bitcast<f32>(0x80400000u)"),
        (7, U32, "7u"),
        (-(1 << 31), I32, "i32(-2147483648)"),
        (True, BOOL, "true"),
    ],
)
def test_literals(value: float, dtype: DType, text: str) -> None:
    assert literal(b.const(value, dtype).value, dtype) == text


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_has_no_literal(value: float) -> None:
    assert not is_literal(value, F32)


@pytest.mark.wgsl
def test_literals_arrive_exactly(device: Device) -> None:
    from tests.codegen_wgsl.nests import run

    values = np.array([0.1, 1 / 3, 1e30, 3.4028235e38, 1.1754944e-38, -0.0], np.float32)
    for value in values:
        made = elementwise(
            "literal",
            [Buffer("x", (4,), F32)],
            lambda x, v=value: b.select(b.eq(x, x), b.const(v, F32), x),
            F32,
        )
        (got,) = run(device, made, [np.ones(4, np.float32)])
        np.testing.assert_array_equal(got.view(np.uint32), np.full(4, value).view(np.uint32))


@pytest.mark.parametrize("groups", [0, 1, 65535, 65536, 200_000, 65535 * 65535])
def test_folded_grids_keep_the_limit(groups: int) -> None:
    x, y, z = fold_grid(groups)
    assert max(x, y, z) <= GROUPS_PER_DIMENSION
    assert groups <= x * y * z <= groups + y


@pytest.mark.wgsl
def test_a_grid_of_two_dimensions(device: Device) -> None:
    from tests.codegen_wgsl.nests import run

    x = Buffer("x", (70_001,), F32)
    made = elementwise("many", [x], lambda v: Apply(ops.NEG, (v,)), F32)
    values = np.arange(70_001, dtype=np.float32)
    (got,) = run(device, made, [values], Schedule(workgroup=(1,)))
    np.testing.assert_array_equal(got, -values)


def test_dtypes_that_were_not_legalised_are_refused() -> None:
    x = Buffer("x", (4,), dtypes.F64)
    i = Var("i", 4)
    store = Store(x, (i,), Load(x, (i,)))
    with pytest.raises(IRError, match="float64 was not legalised"):
        emit_kernel(Kernel("k", (x,), (), (), (For(i, "serial", [store]),)))


@pytest.mark.parametrize(("operations", "names"), [(1, 0), (5, 0), (6, 1), (12, 1), (13, 2)])
def test_expressions_are_nested_up_to_a_depth(operations: int, names: int) -> None:
    """What is used once is written where it is used; the store's value needs no name."""

    def chain(x: Expr) -> Expr:
        for k in range(operations):
            x = Apply(ops.MUL if k % 2 else ops.ADD, (x, b.const(k + 1, F32)))
        return x

    x = Buffer("x", (7,), F32)
    text = source(compile_program(elementwise("chain", [x], chain, F32)).program)
    plain = source(compile_program(elementwise("none", [x], lambda x: x, F32)).program)
    assert text.count("let ") - plain.count("let ") == names


def test_statements_of_other_machines_are_refused() -> None:
    class Unknown(Stmt):
        pass

    flag = Buffer("flag", (), BOOL, "register")
    for stmt, name in ((Unknown(), "Unknown"), (WhileLoop(Load(flag, ()), ()), "WhileLoop")):
        with pytest.raises(IRError, match=f"{name} cannot be emitted here"):
            emit_kernel(Kernel("k", (), (), (flag,), (stmt,)))
