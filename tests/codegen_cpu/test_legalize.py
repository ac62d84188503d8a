"""Every operation on every dtype: legal on every CPU target, and NumPy's answer on those here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import RUNNABLE, run_function
from tests.ir.operation_cases import operands, samples
from tilewright.codegen_cpu.emit.operations import LEGAL
from tilewright.codegen_cpu.legalize import check_legal, legalize, rules_for
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, dtypes, ops
from tilewright.ir.dtypes import BOOL, F16, F32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, Kernel, Store
from tilewright.ir.traverse import rewrite_to_fixpoint

DTYPES = (
    *(BOOL, dtypes.I8, dtypes.U8, dtypes.I16, dtypes.U16, dtypes.I32, dtypes.U32),
    *(dtypes.I64, dtypes.U64, F16, F32, dtypes.F64),
)
# Made by legalisation itself, with operands that keep its promises.
INTERNAL: tuple[ops.Op, ...] = (
    *(ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.FMA, ops.MAD),
    *(ops.SCALE, ops.EXPONENT, ops.MANTISSA, ops.PICK, *ops.NATIVE),
)
PLAIN = [o for o in ops.OPS.values() if o.result != "given" and o not in INTERNAL]
TARGETS = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64-neon", "wasm32-simd128")
LANES = 8


def named(case: object) -> str:
    return case.short if isinstance(case, DType) else str(case)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("op", PLAIN, ids=named)
def test_every_operation_becomes_legal(op: ops.Op, target: str) -> None:
    rules = rules_for(cpu_target(target))
    for dtype in DTYPES:
        if dtype.kind not in op.domain:
            continue
        names = [Var(f"x{k}", dtype=dtype) for k in range(op.arity)]
        if op in (ops.SELECT, ops.LIKELY):
            names[0] = Var("condition", dtype=BOOL)
        legal = rewrite_to_fixpoint(Apply(op, tuple(names)), rules, {})
        applied = [n for n in post_order((legal,)) if isinstance(n, Apply)]
        assert all(n.op in LEGAL for n in applied)
        assert not any(F16 in (n.dtype, *_dtypes(n)) for n in applied if n.op in _ARITHMETIC)


_ARITHMETIC = (ops.ADD, ops.SUB, ops.MUL, ops.DIV, ops.FMA, ops.SQRT)


def _dtypes(node: Expr) -> list[DType]:
    return [o.dtype for o in node.operands]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("op", [o for o in PLAIN if not o.elementary], ids=named)
def test_operation_is_numpys(op: ops.Op, target: str) -> None:
    for dtype in DTYPES:
        if dtype.kind not in op.domain or (op is ops.NEXTAFTER and dtype is F16):
            continue
        arrays, _ = operands(op, dtype)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            want = np.asarray(op.reference(*arrays))
        got = run_function(lambda *parts: Apply(op, parts), arrays, cpu_target(target), lanes=LANES)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want, err_msg=f"{op.name} on {dtype}")


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("source", DTYPES, ids=named)
def test_conversion_is_ours(source: DType, target: str) -> None:
    values = samples(source)
    for result in (d for d in DTYPES if d is not source):
        want = ops.convert(values, result.numpy)
        got = run_function(
            lambda x, result=result: Apply(ops.CAST, (x,), result),
            [values],
            cpu_target(target),
            lanes=LANES,
        )
        np.testing.assert_array_equal(got, want, err_msg=f"{source} to {result}")


def test_what_is_not_legal_is_named() -> None:
    out = Buffer("out", (), F32)
    with pytest.raises(IRError, match="exp on float32 was not legalised for the CPU"):
        check_legal([Store(out, (), Apply(ops.EXP, (Var("x", dtype=F32),)))])


def test_functions_of_functions_are_shortened() -> None:
    """Also where only an operand is an elementary function, or only the node."""
    x = Load(Buffer("x", (), F32), ())
    target = cpu_target("x86-64-v3")

    def count(value: Expr) -> int:
        out = Buffer("out", (), F32)
        kernel = Kernel("k", (out,), (), (), (Store(out, (), value),))
        (store,) = legalize(kernel, target).body
        assert isinstance(store, Store)
        return sum(isinstance(node, Apply) for node in post_order((store.value,)))

    tanh = Apply(ops.TANH, (x,))
    assert count(Apply(ops.ADD, (build.const(1.0, F32), tanh))) < count(tanh)
    power = Apply(ops.EXP, (Apply(ops.NEG, (Apply(ops.ABS, (x,)),)),))
    logarithm = Apply(ops.LOG1P, (power,))
    assert count(logarithm) < count(power) + count(Apply(ops.LOG1P, (x,))) - 1
    softplus = Apply(ops.ADD, (logarithm, Apply(ops.MAX, (x, build.zero(F32)))))
    assert count(Apply(ops.TANH, (softplus,))) < count(softplus)
