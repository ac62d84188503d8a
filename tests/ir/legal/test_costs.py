"""What each operation becomes on each target: the number of operations that are left of it.

`tests/golden/legal/TARGET.txt` has a line for each operation and a column for each dtype. Another
number means that a rule does more or less than it did, as where a float16 is rounded twice.
"""

from __future__ import annotations

import pytest

from tests.conftest import Golden
from tilewright.codegen_cpu import legalize as cpu
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_glsl import legalize as glsl
from tilewright.codegen_wgsl import legalize as wgsl
from tilewright.codegen_wgsl.storage import Storage
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.errors import TilewrightError
from tilewright.ir.expr import Apply, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Store, expressions, statements

DTYPES = (
    *(BOOL, dtypes.I8, dtypes.U8, dtypes.I16, dtypes.U16, dtypes.I32, dtypes.U32),
    *(dtypes.I64, dtypes.U64, dtypes.F16, dtypes.F32, dtypes.F64),
)
LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64-neon", "wasm32-simd128")
# Made by legalisation itself, with operands that keep its promises.
INTERNAL = (
    *(ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.FMA, ops.SCALE, ops.EXPONENT),
    *(ops.MANTISSA, ops.PICK, *ops.NATIVE),
)
NATIVE_HALF = "wgsl-f16"
"""WGSL for devices that have float16."""
PLAIN = [op for op in ops.OPS.values() if op not in INTERNAL]


def kernel_of(op: ops.Op, kinds: list[DType], result: DType) -> Kernel:
    """``out[i] = op(x0[i], …)``."""
    inputs = [Buffer(f"x{k}", (64,), kind) for k, kind in enumerate(kinds)]
    out, point = Buffer("out", (64,), result), Var("i", 64)
    given = result if op.result == "given" else None
    value = Apply(op, tuple(Load(x, (point,)) for x in inputs), given)
    body = (For(point, "serial", [Store(out, (point,), value)]),)
    return Kernel("k", (*inputs, out), (), (), body)


def legal(kernel: Kernel, target: str) -> Kernel:
    if target == "glsl":
        return glsl.legalize(kernel)
    if target not in ("wgsl", NATIVE_HALF):
        return cpu.legalize(kernel, cpu_target(target))
    storage = Storage(native_half=target == NATIVE_HALF)
    for parameter in kernel.parameters:
        storage.declare(parameter, "output" if parameter.name == "out" else "input")
    return wgsl.legalize(kernel, storage)


def cost(op: ops.Op, kinds: list[DType], result: DType, target: str) -> str:
    try:
        made = legal(kernel_of(op, kinds, result), target)
    except TilewrightError as error:
        return type(error).__name__.removesuffix("Error").lower()[:7]
    roots = [e for s in statements(made.body) for e in expressions(s)]
    return str(sum(isinstance(node, Apply) for node in post_order(roots)))


def line(name: str, cells: list[str]) -> str:
    return f"{name:16}" + "".join(f"{cell:>8}" for cell in cells)


@pytest.mark.parametrize("target", [*LEVELS, "wgsl", NATIVE_HALF, "glsl"])
def test_operations(golden: Golden, target: str) -> None:
    table = [line("", [d.short for d in DTYPES])]
    for op in (o for o in PLAIN if o.result != "given"):
        cells = []
        for dtype in DTYPES:
            kinds = [dtype] * op.arity
            if op in (ops.SELECT, ops.LIKELY):
                kinds[0] = BOOL
            if dtype.kind not in op.domain:
                cells.append("-")
                continue
            result = Apply(op, tuple(Var("x", dtype=kind) for kind in kinds)).dtype
            cells.append(cost(op, kinds, result, target))
        table.append(line(op.name, cells))
    for source in DTYPES:
        name = f"cast {source.short}"
        table.append(line(name, [cost(ops.CAST, [source], to, target) for to in DTYPES]))
    golden(f"legal/{target}", "\n".join(table))
