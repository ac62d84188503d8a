"""Every operation of the table, on every dtype: NumPy's answer, or an `UnsupportedError`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, buffer_like, compute, mapped, program_of, run
from tilewright.codegen_glsl.backend import build
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.emit.operations import is_legal
from tilewright.codegen_glsl.legalize import RULES
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.ir import build as b
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, DType
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Apply, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.ops import OPS, Op, convert
from tilewright.ir.traverse import rewrite_to_fixpoint

Array = np.ndarray[Any, Any]

NARROW = (BOOL, I8, I16, I32, U8, U16, U32, F16, F32)
GUARDED = {"quo", "rem", "shl_raw", "shr_raw"}  # their operands are harmless by contract
FOR_CPUS = (ops.EXPONENT, ops.MANTISSA, ops.PICK)  # made by legalisation for their registers
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, -7.25, 1e3, np.inf, -np.inf, np.nan]


def samples(dtype: DType, count: int = 400, seed: int = 0) -> Array:
    """Corner values first, then random ones of all magnitudes."""
    random = np.random.default_rng(seed)
    if dtype is BOOL:
        return random.integers(0, 2, count).astype(bool)
    if dtype.is_float:
        spread = random.standard_normal(count) * 10.0 ** random.integers(-3, 4, count)
        return np.concatenate([FLOATS, spread]).astype(dtype.numpy)
    low, high = max(dtype.min, -(2**31)), min(dtype.max, 2**31 - 1 if dtype.min else 2**32 - 1)
    corners = [low, low + 1, high, high - 1, 0, 1, 2, 7]
    corners += [-1, -2, -7] if low else []
    magnitude = 2.0 ** random.uniform(0, np.log2(high), count)
    spread = (magnitude * random.choice([-1, 1] if low else [1], count)).astype(np.int64)
    return np.concatenate([corners, spread]).astype(dtype.numpy)


def operands_for(op: Op, dtype: DType) -> list[Array]:
    """All pairs of corner values, and random ones."""
    pools = [samples(dtype, seed=k) for k in range(op.arity)]
    if op.result == "select":
        pools[0] = samples(BOOL, len(pools[1]))
        return [p[: min(map(len, pools))] for p in pools]
    if op.arity == 2:
        left, right = np.meshgrid(pools[0][:30], pools[1][:30])
        pools = [np.concatenate([p, g.ravel()]) for p, g in zip(pools, (left, right), strict=True)]
    if op in (ops.SHL, ops.SHR):
        pools[1] = np.resize([0, 1, 3, 7, 8, 15, 31, 32, 33, 100], len(pools[1]))
        pools[1] = pools[1].astype(dtype.numpy)
    return pools


def apply_on_device(device: GlDevice, op: Op, arrays: list[Array], result: DType) -> Array:
    def make(target: Buffer, *inputs: Buffer):
        return mapped(target, lambda i: Apply(op, tuple(at(x, i) for x in inputs)))

    return compute(device, arrays, arrays[0].shape, result, make)


def expected(op: Op, arrays: list[Array]) -> Array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(op.reference(*arrays))


def check(actual: Array, wanted: Array, op: Op, arrays: list[Array]) -> None:
    """Bounds of numerics.md; a product that is added errs by its own size, not the sum's."""
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(actual, wanted)
        return
    epsilon = float(np.finfo(wanted.dtype).eps)
    size = np.abs(wanted.astype(np.float64)) * {ops.DIV: 3, ops.FLOORDIV: 3, ops.SQRT: 3}.get(op, 1)
    if op in (ops.FMA, ops.MAD):
        a, b, c = (np.abs(x.astype(np.float64)) for x in arrays)
        with np.errstate(all="ignore"):
            size = a * b + c
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(actual[~finite], wanted[~finite])
    error = np.abs(actual[finite].astype(np.float64) - wanted[finite].astype(np.float64))
    assert (error <= epsilon * size[finite] + 2.0**-120).all()


TABLE = [
    (op, dtype)
    for op in OPS.values()
    for dtype in NARROW
    if op.result != "given" and dtype.kind in op.domain and op.name not in GUARDED
    if not (op is ops.NEXTAFTER and dtype is F16)
    if not op.elementary and op not in {*FOR_CPUS, *ops.NATIVE}
]


@pytest.mark.glsl
@pytest.mark.parametrize(("op", "dtype"), TABLE, ids=lambda p: getattr(p, "name", str(p)))
def test_operation_is_numpys(device: GlDevice, op: Op, dtype: DType) -> None:
    arrays = operands_for(op, dtype)
    if op is ops.SCALE:
        arrays = [samples(F32)[:9], np.resize([-3.0, 0.0, 5.0], 9).astype(dtype.numpy)]
        arrays[0] = arrays[0].astype(dtype.numpy)
    wanted = expected(op, arrays)
    result = dtypes.from_numpy(wanted.dtype)
    assert result is not None
    check(apply_on_device(device, op, arrays, result), wanted, op, arrays)


@pytest.mark.parametrize(
    "op", [op for op in OPS.values() if op not in {*FOR_CPUS, *ops.NATIVE}], ids=lambda op: op.name
)
def test_every_operation_becomes_legal(op: Op) -> None:
    """On each of GLSL's own types every operation of the table can be printed in the end."""
    for dtype in (BOOL, I32, U32, F32):
        if dtype.kind not in op.domain or op.result == "given":
            continue
        operands = [Var(f"x{k}", dtype=dtype) for k in range(op.arity)]
        if op.result == "select":
            operands[0] = Var("c", dtype=BOOL)
        legal = rewrite_to_fixpoint(Apply(op, tuple(operands)), RULES, {})
        assert isinstance(legal, (Apply, Var))
        if isinstance(legal, Apply):
            assert is_legal(legal.op, legal.operands[-1].dtype, legal.dtype)


@pytest.mark.glsl
@pytest.mark.parametrize("target", NARROW, ids=str)
@pytest.mark.parametrize("source", NARROW, ids=str)
def test_cast_is_numpys_and_saturates(device: GlDevice, source: DType, target: DType) -> None:
    values = samples(source)
    if source is F32 and target is F16:
        values = np.concatenate([values, np.array([65519.9, 65520, 6e-8, 2e-8, 1e-5], np.float32)])
    wanted = convert(values, target.numpy)
    actual = compute(
        device,
        [values],
        values.shape,
        target,
        lambda y, x: mapped(y, lambda i: b.cast(at(x, i), target)),
    )
    np.testing.assert_array_equal(actual, wanted)


@pytest.mark.glsl
@pytest.mark.parametrize("dtype", [I64, U64], ids=str)
def test_64_bit_integers_are_carried_in_32(device: GlDevice, dtype: DType) -> None:
    values = np.array([0, 1, 5, 100_000, 2**31 - 4], dtype.numpy)
    actual = compute(
        device,
        [values],
        values.shape,
        dtype,
        lambda y, x: mapped(y, lambda i: b.add(at(x, i), b.const(3, dtype))),
    )
    assert actual.dtype == dtype.numpy
    np.testing.assert_array_equal(actual, values + dtype.numpy.type(3))


def test_float64_is_refused_with_the_way_out() -> None:
    x, y = Buffer("x", (4,), F32), Buffer("y", (4,), F32)
    step = mapped(y, lambda i: b.cast(b.cast(at(x, i), F64), F32), name="mean")
    with pytest.raises(UnsupportedError, match=r"mean computes with float64") as caught:
        build(program_of([x], [y], [step]))
    assert 'f64="f32"' in str(caught.value)


@pytest.mark.glsl
def test_float64_inside_can_be_demoted(device: GlDevice) -> None:
    values = samples(F32)[:11]
    x, y = buffer_like("x", values), Buffer("y", values.shape, F32)

    def body(i):
        wide = b.cast(at(x, i), F64)
        return b.cast(Apply(ops.MUL, (wide, b.const(0.5, F64))), F32)

    (actual,) = run(
        device, program_of([x], [y], [mapped(y, body)]), [values], GlslOptions(f64="f32")
    )
    np.testing.assert_array_equal(actual, values * np.float32(0.5))


def test_an_int64_literal_that_does_not_fit_is_refused() -> None:
    x, y = Buffer("x", (4,), I64), Buffer("y", (4,), I64)
    step = mapped(y, lambda i: b.add(at(x, i), b.const(10**12, I64)))
    with pytest.raises(UnsupportedError, match="1000000000000"):
        build(program_of([x], [y], [step]))


@pytest.mark.glsl
def test_nan_is_found_by_comparing_a_value_with_itself(device: GlDevice) -> None:
    values = np.array(FLOATS, np.float32)

    def body(x, i):
        value = at(x, i)
        return Apply(ops.NE, (value, value))

    actual = compute(
        device, [values], values.shape, BOOL, lambda y, x: mapped(y, lambda i: body(x, i))
    )
    np.testing.assert_array_equal(actual, np.isnan(values))
