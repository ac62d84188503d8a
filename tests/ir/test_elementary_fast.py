"""Fast forms: within what `fast_rules` promises, on every kind of machine, and only where asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ir.elementary_cases import MACHINES, pairs, samples
from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.analysis.error_rules import unit
from tilewright.ir.analysis.fast_rules import fast_error
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.elementary import Machine, expand, fast_form, fast_power
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.ops import Op
from tilewright.ir.traverse import rewrite_to_fixpoint

Array = NDArray[Any]
COUNT = 1 << 16
# The functions that every machine, or a machine with built-in functions, computes differently.
EVERYWHERE = {ops.EXP, ops.SIGMOID, ops.SIN, ops.COS}
BUILT_IN = {ops.EXP2, ops.LOG, ops.LOG2, ops.LOG10, ops.RSQRT, ops.TANH}


def expanded(node: Expr, machine: Machine) -> Expr:
    """`node` as a back end would have it: what is not fast, by the accurate functions."""

    def rule(inner: Expr) -> Expr | None:
        if isinstance(inner, Apply) and inner.op.elementary:
            return expand(inner.op, inner.operands, machine)
        return None

    return rewrite_to_fixpoint(node, (rule,), {})


def fast(op: Op, machine: Machine, *operands: Expr) -> Expr | None:
    return fast_form(build.apply(op, *operands), machine)


def assert_inside(op: Op, got: Array, *operands: Array) -> None:
    """Within the promise, wherever there is one."""
    wide = [o.astype(np.float64) for o in operands]
    with np.errstate(all="ignore"):
        true = np.asarray(op.reference(*wide))
        error = fast_error(op, F32, true, wide)
        assert error is not None
        allowed = np.where(true == 0, 0.0, error[0] * unit(true, F32)) + error[1]
        found = np.nan_to_num(np.where(got == true, 0.0, np.abs(got - true)), nan=np.inf)
    wrong = np.flatnonzero(~(found <= np.nan_to_num(allowed, nan=np.inf, posinf=np.inf)))
    assert np.isfinite(allowed).mean() > 0.2
    assert wrong.size == 0, [(*(o[k] for o in operands), got[k], true[k]) for k in wrong[:5]]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("op", sorted(EVERYWHERE | BUILT_IN, key=str), ids=str)
def test_functions_of_one_number(op: Op, machine: str) -> None:
    facts, x = MACHINES[machine], Var("x", dtype=F32)
    node = fast(op, facts, x)
    if node is None:
        assert op in BUILT_IN
        return
    values = samples(op.name, np.float32, COUNT)
    got = evaluate(expanded(node, facts), {x: values}, fused_mad=facts.has_fma)
    assert_inside(op, got, values)


@pytest.mark.parametrize("machine", MACHINES)
def test_powers_of_what_is_not_negative(machine: str) -> None:
    facts = MACHINES[machine]
    x, y = Var("x", dtype=F32), Var("y", dtype=F32)
    node = fast_power(build.apply(ops.POW, build.apply(ops.ABS, x), y), facts)
    assert node is not None
    base, exponent = pairs("pow", np.float32, COUNT)
    got = evaluate(expanded(node, facts), {x: base, y: exponent}, fused_mad=facts.has_fma)
    assert_inside(ops.POW, got, np.abs(base), exponent)
    assert fast_power(build.apply(ops.POW, x, y), facts) is None  # -8 to the power of 3


@pytest.mark.parametrize("machine", MACHINES)
def test_quotients_by_roots(machine: str) -> None:
    """Where there is an instruction or a function for the inverse of a root."""
    facts, x, y = MACHINES[machine], Var("x", dtype=F32), Var("y", dtype=F32)
    node = fast(ops.DIV, facts, x, build.apply(ops.SQRT, y))
    assert (node is None) == (ops.NATIVE_RSQRT not in facts.native)
    assert fast(ops.DIV, facts, x, y) is None
    if node is None:
        return
    rng = np.random.default_rng(2)
    above = rng.standard_normal(COUNT).astype(np.float32)
    below = np.exp(rng.uniform(-80, 80, COUNT)).astype(np.float32)
    got = evaluate(node, {x: above, y: below}, fused_mad=facts.has_fma)
    true = above / np.sqrt(below.astype(np.float64))
    assert (np.abs(got - true) <= 6 * unit(true, F32)).all()
    one = build.const(1.0, F32)
    inverse = fast(ops.DIV, facts, one, build.apply(ops.SQRT, y))
    assert inverse is not None
    assert not any(isinstance(n, Apply) and n.op is ops.DIV for n in post_order([inverse]))


def test_a_step_after_an_estimate_of_14_bits() -> None:
    """The estimate may be off by 2**-14; an evaluation by NumPy has none of that error."""
    x, estimate = Var("x", dtype=F32), Var("e", dtype=F32)
    node = fast(ops.RSQRT, MACHINES["avx512"], x)
    assert node is not None

    def rule(inner: Expr) -> Expr | None:
        return estimate if isinstance(inner, Apply) and inner.op is ops.NATIVE_RSQRT else None

    step = rewrite_to_fixpoint(node, (rule,), {})
    values = np.exp(np.random.default_rng(4).uniform(-80, 80, COUNT)).astype(np.float32)
    for off in (-(2.0**-14), 2.0**-14):
        guess = ((1 + off) / np.sqrt(values.astype(np.float64))).astype(np.float32)
        got = evaluate(step, {x: values, estimate: guess}, fused_mad=True)
        assert_inside(ops.RSQRT, got, values)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_masks_rely_on(machine: str) -> None:
    """The power of -infinity is 0, or at most the smallest normal number; that of 0 is 1."""
    facts, x = MACHINES[machine], Var("x", dtype=F32)
    node = fast(ops.EXP, facts, x)
    assert node is not None
    values = np.array([-np.inf, -1e9, -1e30, 0.0, -0.0], np.float32)
    got = evaluate(expanded(node, facts), {x: values}, fused_mad=facts.has_fma)
    assert (got[:3] <= 2.0**-125).all()
    assert (got[3:] == 1).all()


@pytest.mark.parametrize("op", [ops.MIN, ops.MAX, ops.FMIN, ops.FMAX], ids=str)
def test_extremes_take_one_operation(op: Op) -> None:
    for dtype in (F32, F64):
        operands = Var("x", dtype=dtype), Var("y", dtype=dtype)
        node = fast(op, MACHINES["avx2"], *operands)
        assert isinstance(node, Apply)
        assert node.op is ops.SELECT
        values = np.array([[1, 5], [3, 2]], dtype.numpy)
        got = evaluate(node, dict(zip(operands, values, strict=True)))
        np.testing.assert_array_equal(got, op.reference(np.array([1, 5]), np.array([3, 2])))
    node = fast(op, MACHINES["gpu"], Var("x", dtype=F32), Var("y", dtype=F32))
    assert isinstance(node, Apply)
    assert node.op in (ops.NATIVE_MIN, ops.NATIVE_MAX)


@pytest.mark.parametrize("dtype", [F16, F64])
def test_other_floats_stay_accurate(dtype: DType) -> None:
    x = Var("x", dtype=dtype)
    for op in EVERYWHERE | BUILT_IN:
        assert fast(op, MACHINES["gpu"], x) is None
    assert fast_power(build.apply(ops.POW, build.apply(ops.ABS, x), x), MACHINES["avx2"]) is None


@pytest.mark.parametrize("machine", MACHINES)
def test_only_what_the_machine_has(machine: str) -> None:
    facts, x = MACHINES[machine], Var("x", dtype=F32)
    for op in EVERYWHERE | BUILT_IN:
        node = fast(op, facts, x)
        used = {n.op for n in post_order([node or x]) if isinstance(n, Apply)}
        assert used & ops.NATIVE <= facts.native
