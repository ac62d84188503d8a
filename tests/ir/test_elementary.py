"""The elementary functions keep their promises on every kind of machine."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ir.elementary_cases import (
    FLOAT64_PROMISE,
    MACHINES,
    NEAREST_TO_HALF_PI,
    PROMISES,
    pairs,
    samples,
    special_values,
    ulps,
)
from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.elementary import Machine, expand
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Var, post_order

Array = NDArray[Any]
ELEMENTARY = sorted(op.name for op in ops.OPS.values() if op.elementary)
UNARY = [name for name in ELEMENTARY if ops.OPS[name].arity == 1]
BINARY = [name for name in ELEMENTARY if ops.OPS[name].arity == 2]
IEEE = [name for name, machine in MACHINES.items() if machine.ieee]
COUNT = 1 << 16
TINY = 2.0**-126


def expanded(name: str, machine: Machine, dtype: DType) -> tuple[Expr, tuple[Var, ...]]:
    op = ops.OPS[name]
    variables = tuple(Var(f"x{i}", dtype=dtype) for i in range(op.arity))
    return expand(op, variables, machine), variables


def run(name: str, machine: Machine, operands: tuple[Array, ...], **options: bool) -> Array:
    dtype = {2: F16, 4: F32, 8: F64}[operands[0].dtype.itemsize]
    expr, variables = expanded(name, machine, dtype)
    env = dict(zip(variables, operands, strict=True))
    return evaluate(expr, env, fused_mad=machine.has_fma, **options)


def in_float64(name: str, operands: tuple[Array, ...]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(ops.OPS[name].reference(*(o.astype(np.float64) for o in operands)))


def worst(error: Array, operands: tuple[Array, ...], got: Array, true: Array) -> str:
    i = int(np.argmax(error))
    at = ", ".join(repr(o[i]) for o in operands)
    return f"{error[i]:.3f} ulp at {at}: {got[i]!r}, not {true[i]!r}"


def operands_of(name: str, dtype: type[np.floating], count: int) -> tuple[Array, ...]:
    if ops.OPS[name].arity == 2:
        return pairs(name, dtype, count)
    return (samples(name, dtype, count),)


def test_every_elementary_function_has_a_promise() -> None:
    assert sorted(PROMISES) == ELEMENTARY


@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_float32_error(name: str, machine: str) -> None:
    operands = operands_of(name, np.float32, COUNT)
    got, true = run(name, MACHINES[machine], operands), in_float64(name, operands)
    error = ulps(got, true)
    assert error.max() <= PROMISES[name][0], worst(error, operands, got, true)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_shader_error(name: str, fused: bool) -> None:
    """Subnormals flush, and `mad` may be fused or not."""
    operands = operands_of(name, np.float32, COUNT)
    operands = tuple(np.where(np.abs(o) < TINY, np.copysign(0, o), o) for o in operands)
    expr, variables = expanded(name, MACHINES["gpu"], F32)
    env = dict(zip(variables, operands, strict=True))
    got = evaluate(expr, env, fused_mad=fused, flush_subnormals=True)
    true = in_float64(name, operands)
    with np.errstate(invalid="ignore"):
        error = np.where(np.abs(got - true) <= TINY, 0.0, ulps(got, true))
    if name in ("sin", "cos"):
        far = np.abs(operands[0]) > 1e5
        assert np.nanmax(np.abs(got - true)[far]) <= 1e-6
        error = np.where(far, 0.0, error)
    assert error.max() <= PROMISES[name][1], worst(error, operands, got, true)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_special_values_are_as_in_numpy(name: str, machine: str, dtype: type[np.floating]) -> None:
    """Wherever NumPy gives a zero, an infinity or NaN, so do we, of the same sign."""
    special = special_values(dtype)
    operands: tuple[Array, ...] = (special,)
    if name in BINARY:
        operands = tuple(grid.ravel() for grid in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        want = in_float64(name, operands).astype(dtype)
    got = run(name, MACHINES[machine], operands)
    exact = (want == 0) | ~np.isfinite(want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    same &= np.isnan(want) | (np.signbit(got) == np.signbit(want))
    wrong = np.flatnonzero(exact & ~same)
    assert wrong.size == 0, [(*(o[i] for o in operands), got[i], want[i]) for i in wrong[:5]]


@pytest.mark.parametrize("name", UNARY)
def test_shader_nan_and_infinity(name: str) -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf], np.float32)
    want = in_float64(name, (x,)).astype(np.float32)
    assert np.array_equal(run(name, MACHINES["gpu"], (x,)), want, equal_nan=True)


# Of these NaN goes through arithmetic, so that it is kept where arithmetic keeps it.
NAN_BY_ARITHMETIC = ("acosh", "asinh", "cos", "log1p", "sigmoid", "sin", "tan")


@pytest.mark.parametrize("name", [n for n in ELEMENTARY if n not in NAN_BY_ARITHMETIC])
def test_shader_nan_does_not_depend_on_arithmetic(name: str) -> None:
    """Neither that of the operands, nor that of what has no value."""
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 2.5, -3], np.float32)
    operands = (x,) if name in UNARY else tuple(g.ravel() for g in np.meshgrid(x, x))
    want = in_float64(name, operands).astype(np.float32)
    got = run(name, MACHINES["gpu"], operands, loses_nan=True)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))


@pytest.mark.parametrize("name", UNARY)
def test_float16_error(name: str) -> None:
    """All of them: computed in float32, so off by little more than the rounding."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    true = in_float64(name, (x,))
    got = run(name, MACHINES["avx2"], (x,))
    error = ulps(got, true)
    assert error.max() <= 1.0, worst(error, (x,), got, true)


@pytest.mark.parametrize("machine", ["avx512", "avx2", "wasm"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_float64_error(name: str, machine: str) -> None:
    operands = operands_of(name, np.float64, 4096)
    keep = np.random.default_rng(3).permutation(operands[0].size)[:1500]
    operands = tuple(o[keep] for o in operands)
    got = run(name, MACHINES[machine], operands)
    errors = [exact_ulps(name, value, *point) for value, *point in zip(got, *operands, strict=True)]
    error = np.array(errors)
    assert error.max() <= FLOAT64_PROMISE, worst(error, operands, got, got)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_hardest_angle(name: str, machine: str, dtype: type[np.floating]) -> None:
    """So near to a multiple of pi / 2 that 60 leading bits of the reduction cancel."""
    x = np.array([NEAREST_TO_HALF_PI[dtype]], dtype)
    got = run(name, MACHINES[machine], (x,))[0]
    with mpmath.workprec(2000):
        true = getattr(mpmath, name)(mpmath.mpf(float(x[0])))
        relative = abs(mpmath.mpf(float(got)) / true - 1)
    assert relative <= PROMISES[name][0] * np.finfo(dtype).eps


@pytest.mark.parametrize("machine", IEEE)
def test_exact_results(machine: str) -> None:
    """What users notice: powers of two, roots of cubes, integers raised to integers."""
    whole = np.arange(-126, 128, dtype=np.float32)
    power_of_two = np.ldexp(np.float32(1), whole.astype(np.int32))
    assert np.array_equal(run("exp2", MACHINES[machine], (whole,)), power_of_two)
    assert np.array_equal(run("log2", MACHINES[machine], (power_of_two,)), whole)
    small = np.arange(1, 100, dtype=np.float32)
    assert np.array_equal(run("cbrt", MACHINES[machine], (small**3,)), small)
    two = np.full_like(small, 2)
    assert np.array_equal(run("pow", MACHINES[machine], (small, two)), small**2)
    zero = np.zeros(1, np.float32)
    for name in ("exp", "cos", "cosh", "erfc"):
        assert run(name, MACHINES[machine], (zero,))[0] == 1.0
    infinite = np.array([np.inf, -np.inf], np.float32)
    for name in ("tanh", "erf"):
        assert np.array_equal(run(name, MACHINES[machine], (infinite,)), [1, -1])


@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("name", ["sin", "tan", "tanh", "sinh", "asin", "atan", "expm1", "log1p"])
def test_subnormal_numbers_are_kept(name: str, machine: str) -> None:
    """These functions are x near zero."""
    x = np.array([1e-45, -1e-45, 3e-39, -3e-39, -0.0, 0.0], np.float32)
    assert np.array_equal(run(name, MACHINES[machine], (x,)).view(np.int32), x.view(np.int32))


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("name", UNARY)
def test_subnormal_numbers_may_count_as_zero(name: str, flush: bool) -> None:
    """On GPUs, in whole or in part: `cbrt` was NaN of some and 0.007 of others."""
    small = np.array([1e-45, 7e-45, 1e-41, 3e-39, 1.17549e-38], np.float32)
    x = np.concatenate([small, -small])
    got = run(name, MACHINES["gpu"], (x,), flush_subnormals=flush)
    allowed = np.stack([in_float64(name, (v,)) for v in (x, np.zeros_like(x), x * 0)])
    with np.errstate(invalid="ignore"):
        near = np.abs(got - allowed) <= 1e-6 * np.abs(allowed) + TINY
        between = (allowed.min(0) - TINY <= got) & (got <= allowed.max(0) + TINY)
    same = (got == allowed) | (np.isnan(got) & np.isnan(allowed))
    assert (near | same | between).any(axis=0).all(), (x, got)


@pytest.mark.parametrize("machine", IEEE)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_stays_within_one(name: str, machine: str) -> None:
    """Where it is nearest to 1: roots of ``1 - sin(x)**2`` must exist."""
    turns = np.arange(20_000) * (np.pi / 2)
    beside = (turns[:, None] + np.linspace(-1e-3, 1e-3, 11)).ravel()
    assert np.abs(run(name, MACHINES[machine], (beside.astype(np.float32),))).max() == 1.0


TABLES_OF_DOUBLES = ("log", "log2", "log10", "log1p")
TABLES = (*TABLES_OF_DOUBLES, "exp", "sigmoid", "tanh", "erf", "erfc", "cbrt", "pow")
"""Functions that look up where they begin, where a register holds a table."""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_only_what_the_machine_has(name: str, machine: str) -> None:
    facts = MACHINES[machine]
    for dtype in (F16, F32, F64) if facts.has_f64 else (F16, F32):
        expr, _ = expanded(name, facts, dtype)
        nodes = list(post_order([expr]))
        used = {node.op for node in nodes if isinstance(node, Apply)}
        assert not {op for op in used if op.elementary}
        assert facts.has_fma or ops.FMA not in used
        assert facts.scale or not used & {ops.SCALE, ops.EXPONENT, ops.MANTISSA}
        tables = TABLES_OF_DOUBLES if dtype is F64 else TABLES
        assert (ops.PICK in used) == (facts.pick and name in tables)
        assert facts.has_f64 or all(node.dtype.bits <= 32 for node in nodes)
        assert expr.dtype is dtype


def test_other_operations_are_refused() -> None:
    x = Var("x", dtype=F32)
    with pytest.raises(IRError, match="add is not an elementary function"):
        expand(ops.ADD, (x, x), MACHINES["avx2"])


MPMATH: dict[str, Any] = {
    "exp2": lambda x: mpmath.power(2, x),
    "log2": lambda x: mpmath.log(x, 2),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "pow": mpmath.power,
}


def exact_ulps(name: str, got: np.float64, *point: np.float64) -> float:
    """The error of one float64 result; none where NumPy has a special value or overflows."""
    operands = [np.array([value]) for value in point]
    rough = in_float64(name, tuple(operands))[0]
    if not np.isfinite(rough) or abs(rough) >= np.finfo(np.float64).max or 0 in (rough, *point):
        return 0.0  # test_special_values_are_as_in_numpy looks after those; mpmath has no -0
    function = MPMATH.get(name) or getattr(mpmath, name)
    with mpmath.workprec(1400 if name in ("sin", "cos", "tan") else 200):
        true = function(*(mpmath.mpf(float(value)) for value in point))
        exponent = max(mpmath.frexp(true)[1], np.finfo(np.float64).minexp + 1)
        return float(abs(mpmath.mpf(float(got)) - true) / mpmath.ldexp(1, int(exponent) - 53))


@pytest.mark.parametrize("exponent", [2.4, -2.5, 1 / 3, 3.99, -4.0, 63.5, -64.0, 65.0])
@pytest.mark.parametrize("machine", IEEE)
def test_powers_with_a_literal_exponent(machine: str, exponent: float) -> None:
    """Small ones need no bounds on the product with a logarithm, if powers are scaled natively."""
    x, facts = Var("x", dtype=F32), MACHINES[machine]
    literal = build.const(exponent, F32)
    values = samples("pow", np.float32, COUNT // 4)
    got = evaluate(expand(ops.POW, (x, literal), facts), {x: values}, fused_mad=facts.has_fma)
    with np.errstate(all="ignore"):
        true = values.astype(np.float64) ** np.float64(np.float32(exponent))
    assert ulps(got, true).max() <= PROMISES["pow"][0]
