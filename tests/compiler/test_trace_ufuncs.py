"""Every ufunc on every dtype that NumPy defines it on, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, same, traced
from tilewright.compiler.trace.ufunc_rules import RULES
from tilewright.ir.errors import DTypeError, UnsupportedError

DTYPES = ["bool", "i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
BINARY_PAIRS = [
    *((d, d) for d in DTYPES),
    ("u1", "i1"),
    ("i4", "f4"),
    ("f2", "i8"),
    ("bool", "u1"),
    ("u8", "i8"),
    ("f4", "f8"),
]
ADD: Any = np.add
EXP: Any = np.exp
RNG = np.random.default_rng(7)


def sample(dtype: str, seed: int) -> np.ndarray:
    """Ordinary and special values."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, 24).astype(bool)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        edge = [0, 1, 2, 3, 7, info.max, info.max - 1, info.min]
        least = -5 if kind.kind == "i" else 0
        return np.array([*(int(e) for e in edge), *rng.integers(least, 9, 16).tolist()], kind)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5]
    return np.array([*special, *rng.standard_normal(16) * 2]).astype(kind)


UNARY = sorted((u for u in RULES if u.nin == 1), key=lambda u: u.__name__)
BINARY = sorted((u for u in RULES if u.nin == 2), key=lambda u: u.__name__)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ufunc", UNARY, ids=lambda u: u.__name__)
def test_unary(ufunc: np.ufunc, dtype: str) -> None:
    def function(x):
        return ufunc(x)

    x = sample(dtype, 1)
    if ufunc is np.reciprocal and x.dtype.kind in "iu":
        x = x[x != 0]
    try:
        with np.errstate(all="ignore"):
            ufunc(x)
    except TypeError:
        with pytest.raises(DTypeError):
            traced(function, x)
        return
    check(function, x)


@pytest.mark.parametrize("dtypes", BINARY_PAIRS, ids="-".join)
@pytest.mark.parametrize("ufunc", BINARY, ids=lambda u: u.__name__)
def test_binary(ufunc: np.ufunc, dtypes: tuple[str, str]) -> None:
    def function(x, y):
        return ufunc(x, y)

    x, y = sample(dtypes[0], 1), sample(dtypes[1], 2)
    if ufunc is np.power and np.result_type(x, y).kind in "iu":
        y = np.abs(y) % 5
    if ufunc is np.ldexp:
        y = y.astype("i4") % 40 if y.dtype.kind in "iu" else y
    try:
        with np.errstate(all="ignore"):
            ufunc(x, y)
    except TypeError:
        with pytest.raises(DTypeError):
            traced(function, x, y)
        return
    check(function, x, y, tolerance=4e-3 if "f2" in dtypes else 4e-6)


@pytest.mark.parametrize(
    "operator", ["+", "-", "*", "/", "//", "%", "**", "<", "==", "&", "|", "^", "<<", ">>"]
)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4"])
def test_python_numbers_are_weak(operator: str, dtype: str) -> None:
    if dtype == "f4" and operator in ("&", "|", "^", "<<", ">>"):
        pytest.skip("bits of floats")
    source = f"lambda x: (x {operator} 3, 3 {operator} x)"
    if operator == "**":
        source = "lambda x: (x ** 2, x ** 3)"
    function = eval(source, {"np": np})
    check(function, sample(dtype, 3)[8:])


def test_power_operator_takes_numpys_short_cuts() -> None:
    x = np.array([0.25, 2.0, 9.0, -0.0, np.inf], np.float32)
    check(lambda x: (x**0.5, x**-1, x**2, x**3, x**4, x**1, x**2.5), x)


def test_a_python_int_that_does_not_fit_is_an_overflow() -> None:
    x = np.zeros(3, np.uint8)
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for uint8"):
        traced(lambda x: x + 300, x)


def test_comparisons_with_large_python_ints_are_by_value() -> None:
    x = sample("u1", 4)
    check(lambda x: (x < 300, x == -1, x >= -5, x != 1000), x)
    check(lambda x: (x < 2**70, x > -(2**70)), sample("i8", 4))
    check(lambda x: (x < 2**63, x == 2**64 - 1, x > -1), sample("u8", 4))


def test_out_and_where() -> None:
    def function(x, y):
        out = np.zeros_like(x)
        np.add(x, y, out=out)
        np.multiply(x, 2, out=out, where=x > 0)
        return out

    check(function, sample("f4", 1), sample("f4", 2))


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "multiply",
        "maximum",
        "minimum",
        "logical_and",
        "logical_or",
        "fmax",
        "bitwise_or",
        "bitwise_xor",
    ],
)
def test_ufunc_methods(name: str) -> None:
    ufunc = getattr(np, name)
    x = np.arange(1, 13, dtype="i4").reshape(3, 4)

    def function(x):
        return (
            ufunc.reduce(x),
            ufunc.reduce(x, axis=1),
            ufunc.reduce(x, axis=None, keepdims=True),
            ufunc.outer(x[0], x[1]),
        )

    check(function, x)
    if not name.startswith("logical"):
        check(lambda x: (ufunc.accumulate(x), ufunc.accumulate(x, axis=1)), x)


def test_ufunc_at_counts_repeated_indices() -> None:
    def function(i, v):
        out = np.zeros(5, np.float32)
        np.add.at(out, i, v)
        np.maximum.at(out, i, v)
        np.subtract.at(out, i, 1)
        return out

    check(function, np.array([0, 1, 1, 4, -1]), np.ones(5, np.float32))


def test_two_results() -> None:
    x, y = sample("f4", 1)[8:], sample("f4", 2)[8:]
    check(lambda x, y: (np.divmod(x, y), np.modf(x)), x, y)
    check(lambda x, y: divmod(x, y), sample("i4", 1), sample("i4", 2))


def test_dtype_argument() -> None:
    check(lambda x: np.add(x, x, dtype=np.float64), sample("f4", 1))


def test_same_rejects_other_dtypes() -> None:
    with pytest.raises(AssertionError):
        same(np.zeros(2, "f4"), np.zeros(2))


def test_results_may_be_given_by_position() -> None:
    def function(a, b):
        total, whole, rest = np.zeros_like(a), np.zeros_like(a), np.zeros_like(a)
        np.add(a, b, total)
        np.divmod(a, b, whole, rest)
        return total, whole, rest

    check(function, sample("f4", 1)[8:], sample("f4", 2)[8:])
    with pytest.raises(DTypeError, match="takes 2 arrays and 1 for results"):
        traced(lambda a: np.add(*[a] * 4), sample("f4", 1))


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("i4", "u1"), ("f2", "i8")], ids="-".join)
@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "//", "%", "**", "<", ">=", "!="])
def test_operators_between_arrays_and_arguments(operator: str, dtypes: tuple[str, str]) -> None:
    """An exponent that is data takes none of the short cuts of powers."""
    between = eval(f"lambda x, y: (x {operator} y, y {operator} x)")
    right = eval(f"lambda x, y: x {operator} y")
    x, y = np.array([1, 2, 3], dtypes[0]), np.array([2, 1, 0], dtypes[1])
    check(between, x, y, tolerance=4e-3 if "f2" in dtypes else None)
    for number in (2, 0.5, -1.0):
        check(right, x, number, tolerance=4e-3 if "f2" in dtypes else 4e-6)


@pytest.mark.parametrize("dtype", ["bool", "i4", "f2", "f4"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -1.0, 2.0, True])
def test_powers_that_are_known(dtype: str, exponent: float) -> None:
    x = np.array([1, 0, 1], dtype) if dtype == "bool" else np.array([1, 2, 4], dtype)
    check(lambda x: x**exponent, x, tolerance=4e-3 if dtype == "f2" else 4e-6)
    check(lambda x: x[1] ** exponent, x, tolerance=4e-3 if dtype == "f2" else 4e-6)


@pytest.mark.parametrize("casting", ["same_kind", "safe"])
@pytest.mark.parametrize("ufunc", UNARY + BINARY, ids=lambda u: u.__name__)
def test_dtype_and_casting(ufunc: np.ufunc, casting: Any) -> None:
    """`dtype` is that of the results: it chooses the loop, and `casting` says what fits it."""
    second = np.array([1, 1, 0]) > 0

    def function(x: Any, dtype: Any) -> Any:
        given = (x, second)[: ufunc.nin]
        return ufunc(*given, dtype=dtype, casting=casting)

    for kind in ("bool", "i2", "i8", "f4", "f8"):
        x = np.array([1, 2, 1]).astype(kind)
        for dtype in (None, "bool", "i1", "i4", "f4", "f8"):
            try:
                with np.errstate(all="ignore"):
                    function(x, dtype)
            except TypeError:
                with pytest.raises((DTypeError, UnsupportedError)):
                    traced(function, x, dtype)
            else:
                check(function, x, dtype, tolerance=1e-5)


def test_a_comparison_whose_dtype_is_given_compares_what_it_was_given() -> None:
    x = np.array([2.0, 0.0, 1.0])
    check(lambda x: (np.equal(x, x[::-1], dtype=bool), np.greater(x, 1, dtype=bool)), x)
    check(lambda x: np.logical_and(x, x > 1, dtype=bool), x)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: np.add(x, x, dtype=np.int64), "float64, float64 with dtype=int64"),
        (lambda x: np.exp(x, dtype="f4", casting="safe"), "dtype=float32 with casting='safe'"),
        (lambda x: ADD(x, x, other=1), "np.add got an unexpected keyword argument 'other'"),
        (lambda x: ADD(x), "np.add takes 2 arrays and 1 for results, not 1"),
        (lambda x: EXP(x, x.copy(), x.copy()), "np.exp takes 1 arrays and 1 for results, not 3"),
    ],
)
def test_arguments_that_ufuncs_refuse(function: Any, said: str) -> None:
    x = np.ones(3)
    with pytest.raises(TypeError):
        function(x)
    with pytest.raises(DTypeError) as caught:
        traced(function, x)
    assert said in caught.value.message
