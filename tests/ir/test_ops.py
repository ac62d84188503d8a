"""The op table: every reference keeps its dtype, and means what NumPy means (or what is stated)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.operation_cases import operands
from tilewright.ir import build, ops
from tilewright.ir.dtypes import ALL, BOOL, I32, INDEX, DType
from tilewright.ir.expr import Apply, Expr, Load
from tilewright.ir.interpret.values import apply_operation
from tilewright.ir.kernel import Buffer
from tilewright.ir.ops import OPS, Op

GIVEN = (ops.CAST, ops.BITCAST)
CASES = [
    (op, dtype)
    for op in OPS.values()
    if op not in GIVEN
    for dtype in (*ALL, INDEX)
    if dtype.kind in op.domain
]


def node(op: Op, dtype: DType) -> Apply:
    operands: list[Expr] = [Load(Buffer("x", (), dtype), ()) for _ in range(op.arity)]
    if op.result == "select":
        operands[0] = build.TRUE
    if op.result == "pick":
        operands[0] = build.const(5, I32)
    return Apply(op, tuple(operands))


def samples(op: Op, dtype: DType, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Operands that are harmless even for operations without guards."""
    arrays = [np.full(shape, k + 1, dtype.numpy) for k in range(op.arity)]
    if op.result == "select":
        arrays[0] = np.ones(shape, bool)
    if op.result == "pick":
        arrays[0] = np.full(shape, 5, np.int32)
    return arrays


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_results_have_the_nodes_dtype(op: Op, dtype: DType) -> None:
    for shape in ((), (3,)):
        operands = samples(op, dtype, shape)
        result = apply_operation(node(op, dtype), operands)
        assert np.shape(result) == shape
        scalars = [a.reshape(-1)[0] for a in operands]
        one = apply_operation(node(op, dtype), scalars)
        assert np.asarray(one).tobytes() == np.asarray(result).reshape(-1)[:1].tobytes()


NUMPY: dict[str, Callable[..., Any]] = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide},
    **{"floordiv": np.floor_divide, "mod": np.remainder, "fmod": np.fmod, "neg": np.negative},
    **{"abs": np.abs, "sign": np.sign, "min": np.minimum, "max": np.maximum, "fmin": np.fmin},
    **{"fmax": np.fmax, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal},
    **{"gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or},
    **{"xor": np.bitwise_xor, "not": np.invert, "popcount": np.bitwise_count, "isnan": np.isnan},
    **{"isinf": np.isinf, "isfinite": np.isfinite, "signbit": np.signbit, "select": np.where},
    **{"likely": np.where, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint},
    **{"sqrt": np.sqrt, "copysign": np.copysign, "nextafter": np.nextafter, "shl": np.left_shift},
    **{"shr": np.right_shift, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log},
    **{"log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sin": np.sin, "cos": np.cos},
    **{"tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan},
    **{"atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh},
    **{"asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power},
    **{"cbrt": np.cbrt, "rsqrt": lambda x: 1 / np.sqrt(x), "hypot": np.hypot},
    **{"mad": lambda a, b, c: a * b + c, "shl_raw": np.left_shift, "shr_raw": np.right_shift},
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # NumPy's own name for each; its shifts are ours for distances below the width


@pytest.mark.parametrize("name", NUMPY)
def test_every_operation_is_numpys(name: str) -> None:
    op = OPS[name]
    for dtype in (d for d in (*ALL, INDEX) if d.kind in op.domain):
        given, _ = operands(op, dtype)
        if name.startswith("sh"):
            given = [g[(given[1] >= 0) & (given[1] < dtype.bits)] for g in given]
        wide = [g.astype(np.float64) if op.elementary else g for g in given]
        with np.errstate(all="ignore"):
            found = op.reference(*given)
            wanted = NUMPY[name](*wide).astype(node(op, dtype).dtype.numpy)
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
        if wanted.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_names_and_symbols_are_unique() -> None:
    assert all(OPS[name].name == name for name in OPS)
    symbols = [op.symbol for op in OPS.values() if op.symbol]
    assert len(symbols) == len(set(symbols))
    assert all(op.arity == 2 for op in OPS.values() if op.symbol)


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


LEAST = -(2**31)


@pytest.mark.parametrize(
    ("op", "a", "b", "wanted"),
    [
        (ops.ADD, i32(2**31 - 1), i32(1), [LEAST]),
        (ops.FLOORDIV, i32(7, -7, 7, 5, LEAST), i32(2, 2, -2, 0, -1), [3, -4, -4, 0, LEAST]),
        (ops.MOD, i32(7, -7, 7, 5, LEAST), i32(3, 3, -3, 0, -1), [1, 2, -2, 0, 0]),
        (ops.FMOD, i32(7, -7, 7, 5), i32(3, 3, -3, 0), [1, -1, 1, 0]),
        (ops.QUO, i32(7, -7, 7), i32(2, 2, -2), [3, -3, -3]),
        (ops.REM, i32(7, -7, 7), i32(3, 3, -3), [1, -1, 1]),
        (ops.SHL, i32(1, 1, 1, 3), i32(31, 32, -1, 1), [LEAST, 0, 0, 6]),
        (ops.SHR, i32(-8, -8, 8, -8), i32(1, 40, 40, -1), [-4, -1, 0, -1]),
        (ops.MIN, f32(1, math.nan, 1), f32(2, 2, math.nan), [1, math.nan, math.nan]),
        (ops.FMAX, f32(1, math.nan, 1), f32(2, 2, math.nan), [2, 2, 1]),
        (ops.LT, f32(1, math.nan), f32(2, math.nan), [True, False]),
        (ops.NE, f32(math.nan, 0.0), f32(math.nan, -0.0), [True, False]),
        (ops.FLOORDIV, f32(7, -7, 1), f32(2, 2, 0), [3, -4, math.inf]),
        (ops.SCALE, f32(1.5, 1, 1), f32(2, 200, -149), [6, math.inf, 2.0**-149]),
        (ops.HYPOT, f32(3e38, 3), f32(0, 4), [3e38, 5]),
        (ops.COPYSIGN, f32(1, 1), f32(-0.0, 2), [-1, 1]),
    ],
)
def test_corner_cases(op: Op, a: np.ndarray, b: np.ndarray, wanted: list[float]) -> None:
    result = op.reference(a, b)
    np.testing.assert_array_equal(result, np.array(wanted, result.dtype))


def test_pick_takes_the_low_bits() -> None:
    table = f32(*range(100, 116))
    picked = ops.PICK.reference(i32(0, 3, 15, 16, 35, -1), *table)
    assert picked.tolist() == [100, 103, 115, 100, 103, 115]


def test_exponent_and_mantissa() -> None:
    x = f32(1, 1.5, 0.75, 6, 2.0**-149, 0, -0.0, math.inf, -math.inf, -2, math.nan)
    exponents = [0, 0, -1, 2, -149, -math.inf, -math.inf, math.inf, math.inf, 1, math.nan]
    np.testing.assert_array_equal(ops.EXPONENT.reference(x), f32(*exponents))
    mantissas = [1, 0.75, 0.75, 0.75, 1, 1, 1, 1, *[math.nan] * 3]
    np.testing.assert_array_equal(ops.MANTISSA.reference(x), f32(*mantissas))


def test_fused_and_unfused() -> None:
    a = f32(1 + 2.0**-12)
    c = -(a * a)
    assert ops.MAD.reference(a, a, c) == 0
    assert ops.FMA.reference(a, a, c) == 2.0**-24


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-40, 88.0, -104.0, 1000.0, -math.inf, math.nan])
def test_sigmoid_never_overflows(value: float) -> None:
    with np.errstate(all="ignore"):
        exact = 1 / (1 + np.exp(-np.float64(value)))
    np.testing.assert_array_equal(ops.SIGMOID.reference(f32(value)), np.float32(exact))


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        (300.7, np.uint8, 255),
        (-1.0, np.uint8, 0),
        (-1.9, np.int8, -1),
        (math.nan, np.int32, 0),
        (math.inf, np.int64, 2**63 - 1),
        (-math.inf, np.int64, -(2**63)),
        (2.0**63, np.uint64, 2**63),
        (2.0**31, np.int32, 2**31 - 1),
    ],
)
def test_floats_saturate(value: float, dtype: type, wanted: int) -> None:
    for width in (np.float32, np.float64):
        assert int(ops.convert(width(value), np.dtype(dtype))) == wanted


def test_integers_wrap_and_bools_test_for_zero() -> None:
    assert int(ops.convert(np.int32(300), np.dtype(np.uint8))) == 44
    assert int(ops.convert(np.int64(-1), np.dtype(np.uint32))) == 2**32 - 1
    values = ops.convert(f32(0, -0.0, 0.5, math.nan), np.dtype(bool))
    assert values.tolist() == [False, False, True, True]


def test_comparisons_are_bool_everywhere() -> None:
    for op in ops.COMPARISONS:
        for dtype in ALL:
            assert node(op, dtype).dtype is BOOL
