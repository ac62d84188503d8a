"""What is made legal means what it meant: every operation on every dtype, with variables and with
literals, which have rules of their own. Nothing is compiled: both sides are interpreted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tests.ir.operation_cases import operands, samples
from tilewright.codegen_cpu.emit.operations import LEGAL
from tilewright.codegen_cpu.legalize import rules_for
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_glsl import legalize as glsl
from tilewright.codegen_glsl.emit.operations import is_legal as is_legal_in_glsl
from tilewright.codegen_wgsl import rules as wgsl
from tilewright.codegen_wgsl.emit.operations import LEGAL as LEGAL_IN_WGSL
from tilewright.ir import build, dtypes, ops
from tilewright.ir.dtypes import BOOL, F16, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, Var, post_order
from tilewright.ir.legal.integers import expand_integer_division
from tilewright.ir.traverse import Rule, rewrite_to_fixpoint

DTYPES = (
    *(BOOL, dtypes.I8, dtypes.U8, dtypes.I16, dtypes.U16, dtypes.I32, dtypes.U32),
    *(dtypes.I64, dtypes.U64, F16, dtypes.F32, dtypes.F64),
)
INTERNAL = (ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.FMA, ops.MAD, ops.SCALE)
EXPANDED = [
    op
    for op in ops.OPS.values()
    if op.result != "given" and not op.elementary and op.arity in (1, 2) and op not in INTERNAL
    if op not in (ops.EXPONENT, ops.MANTISSA, ops.PICK, *ops.NATIVE)
]
# Of two zeros NumPy takes either, as its loops for vectors and for what is left of them differ.
EXTREMES = (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX)
CASES = [(op, dtype) for op in EXPANDED for dtype in DTYPES if dtype.kind in op.domain]
GPU_DTYPES = (BOOL, dtypes.I32, dtypes.U32, dtypes.F32)


def _rules(dtype: DType) -> dict[str, tuple[Rule, ...]]:
    """Those of every target that has the dtype."""
    found = {name: rules_for(cpu_target(name)) for name in ("x86-64-v3", "wasm32-simd128")}
    if dtype in GPU_DTYPES:
        found |= {"glsl": glsl.RULES, "wgsl": wgsl.Rules().all()}
    return found


def _is_legal(target: str, node: Expr) -> bool:
    """Whether the target's emitter spells an operation."""
    if not isinstance(node, Apply):
        return True
    if target == "glsl":
        return is_legal_in_glsl(node.op, node.operands[-1].dtype, node.dtype)
    return node.op in (LEGAL_IN_WGSL if target == "wgsl" else LEGAL)


def _name(value: object) -> str:
    return value.short if isinstance(value, DType) else str(getattr(value, "name", value))


def _literals(dtype: DType) -> Iterator[bool | int | float]:
    if dtype is BOOL:
        yield from (False, True)
    elif dtype.is_float:
        yield from (0.0, -0.0, 1.0, -1.0, 2.5, -3.0, math.inf, -math.inf, math.nan)
    else:
        near = (0, 1, 2, 3, 7, dtype.bits - 1, dtype.bits, -1, -2, -5)
        yield from (n for n in near if n >= dtype.min)
        yield from {dtype.min, dtype.max}


def _check(op: ops.Op, parts: tuple[Expr, ...], values: dict[Var, np.ndarray]) -> None:
    count = max((len(v) for v in values.values()), default=1)
    arrays = [
        np.full(count, p.value, p.dtype.numpy) if isinstance(p, Const) else values[p]  # type: ignore[index]
        for p in parts
    ]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        want = np.asarray(op.reference(*arrays))
        for name, rules in _rules(parts[-1].dtype).items():
            legal = rewrite_to_fixpoint(Apply(op, parts), rules, {})
            assert all(_is_legal(name, node) for node in post_order((legal,))), f"{legal!r}"
            got = np.broadcast_to(evaluate(legal, values), want.shape)
            said = f"{Apply(op, parts)!r} for {name}"
            assert got.dtype == want.dtype, said
            np.testing.assert_array_equal(got, want, said)
            if want.dtype.kind == "f" and op not in EXTREMES and name not in ("glsl", "wgsl"):
                # The sign of NaN means nothing, and on GPUs that of zero.
                negative, wanted = (np.signbit(v) & ~np.isnan(v) for v in (got, want))
                np.testing.assert_array_equal(negative, wanted, said)


@pytest.mark.parametrize(("op", "dtype"), CASES, ids=_name)
def test_between_variables(op: ops.Op, dtype: DType) -> None:
    arrays, kinds = operands(op, dtype)
    names = tuple(Var(f"x{k}", dtype=kind) for k, kind in enumerate(kinds))
    _check(op, names, dict(zip(names, arrays, strict=True)))


@pytest.mark.parametrize(("op", "dtype"), [(o, d) for o, d in CASES if o.arity == 2], ids=_name)
def test_beside_literals(op: ops.Op, dtype: DType) -> None:
    x, values = Var("x", dtype=dtype), samples(dtype)
    for value in _literals(dtype):
        literal = build.const(value, dtype)
        _check(op, (x, literal), {x: values})
        _check(op, (literal, x), {x: values})


@pytest.mark.parametrize("op", [ops.FLOORDIV, ops.MOD], ids=_name)
def test_positions_below_zero(op: ops.Op) -> None:
    """Positions are divided without signs, by literals and by what is known at run time."""
    for below in range(8):
        for extent in (1, 2, 9):
            axis, size = Var("i", extent), Var("n", least=1)
            position = build.sub(axis, build.index(below))
            for divisor in range(1, 6):
                for by in (build.index(divisor), size):
                    legal = rewrite_to_fixpoint(
                        Apply(op, (position, by)), (expand_integer_division,), {}
                    )
                    at = np.arange(extent)
                    got = evaluate(legal, {axis: at, size: np.full(extent, divisor)})
                    np.testing.assert_array_equal(got, op.reference(at - below, divisor))
    assert position.dtype is INDEX
