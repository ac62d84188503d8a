"""The table of scalar operations: what each is called, takes and returns, and its NumPy meaning.

Semantics are NumPy's at every level: integers wrap, integer division by zero gives 0, shifts by
the width or more give 0 (or the sign), `min`/`max` propagate NaN, comparisons with NaN are false.
The operations in the last group are what legalisation produces: their operands are already known
to be harmless (no zero divisor, shift amounts in range), so a target can print them directly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

Reference = Callable[..., Any]


class Op(Struct, frozen=True, eq=False):
    """One operation.

    `result` is ``"same"`` (the operands' one dtype), ``"bool"``, ``"select"`` or ``"pick"`` (of the
    second operand), or ``"given"`` (named by the node). `domain` holds the kinds (`DType.kind`)
    that the operands may have. `cost` is a rough count of machine operations, used by fusion.
    `reference` evaluates it on NumPy arrays of the operands' dtype.
    """

    name: str
    arity: int
    result: str
    domain: str
    cost: int
    reference: Reference
    symbol: str = ""
    elementary: bool = False

    def __repr__(self) -> str:
        return self.name


OPS: dict[str, Op] = {}


def _op(
    name: str,
    arity: int,
    domain: str,
    reference: Reference,
    *,
    result: str = "same",
    cost: int = 1,
    symbol: str = "",
    elementary: bool = False,
) -> Op:
    OPS[name] = op = Op(name, arity, result, domain, cost, reference, symbol, elementary)
    return op


def _quiet(function: Reference) -> Reference:
    """NumPy's floating-point warnings are noise for an interpreter."""

    def run(*operands: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*operands)

    return run


def _vectorized(function: Callable[..., float]) -> Reference:
    def run(*operands: Any) -> Any:
        dtype = np.result_type(*operands)
        wide = np.vectorize(function, otypes=[np.float64])(*(np.float64(o) for o in operands))
        with np.errstate(all="ignore"):
            return wide.astype(dtype)

    return run


def _in_float64(function: Reference) -> Reference:
    """Floats narrower than 64 bits are evaluated in float64 and rounded once."""

    def run(*operands: Any) -> Any:
        dtype = np.result_type(*operands)
        with np.errstate(all="ignore"):
            return np.asarray(function(*(np.float64(o) for o in operands))).astype(dtype)

    return run


def _fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """Exact for float32 (a product of two fits in float64); float64 rounds twice."""
    dtype = np.result_type(a, b, c)
    with np.errstate(all="ignore"):
        return (np.float64(a) * np.float64(b) + np.float64(c)).astype(dtype)


# Arithmetic.
ADD = _op("add", 2, "iufx", _quiet(np.add), symbol="+")
SUB = _op("sub", 2, "iufx", _quiet(np.subtract), symbol="-")
MUL = _op("mul", 2, "iufx", _quiet(np.multiply), symbol="*")
DIV = _op("div", 2, "f", _quiet(np.divide), symbol="/", cost=4)
FLOORDIV = _op("floordiv", 2, "iufx", _quiet(np.floor_divide), symbol="//", cost=8)
MOD = _op("mod", 2, "iufx", _quiet(np.remainder), symbol="%", cost=8)
FMOD = _op("fmod", 2, "iufx", _quiet(np.fmod), cost=8)
NEG = _op("neg", 1, "iufx", _quiet(np.negative))
ABS = _op("abs", 1, "iufx", _quiet(np.absolute))
SIGN = _op("sign", 1, "iufx", np.sign, cost=2)
MIN = _op("min", 2, "biufx", np.minimum, cost=2)
MAX = _op("max", 2, "biufx", np.maximum, cost=2)
FMIN = _op("fmin", 2, "f", np.fmin, cost=2)
FMAX = _op("fmax", 2, "f", np.fmax, cost=2)
FMA = _op("fma", 3, "f", _fused_multiply_add)
MAD = _op("mad", 3, "f", _quiet(lambda a, b, c: a * b + c))

# Comparison, logic and bits. On bool `and or xor not` are logical.
EQ = _op("eq", 2, "biufx", np.equal, result="bool", symbol="==")
NE = _op("ne", 2, "biufx", np.not_equal, result="bool", symbol="!=")
LT = _op("lt", 2, "biufx", np.less, result="bool", symbol="<")
LE = _op("le", 2, "biufx", np.less_equal, result="bool", symbol="<=")
GT = _op("gt", 2, "biufx", np.greater, result="bool", symbol=">")
GE = _op("ge", 2, "biufx", np.greater_equal, result="bool", symbol=">=")
AND = _op("and", 2, "biux", np.bitwise_and, symbol="&")
OR = _op("or", 2, "biux", np.bitwise_or, symbol="|")
XOR = _op("xor", 2, "biux", np.bitwise_xor, symbol="^")
NOT = _op("not", 1, "biux", np.invert)
SHL = _op("shl", 2, "iux", np.left_shift, cost=3)
SHR = _op("shr", 2, "iux", np.right_shift, cost=3)
POPCOUNT = _op("popcount", 1, "iu", lambda x: np.bitwise_count(x).astype(x.dtype))
ISNAN = _op("isnan", 1, "f", np.isnan, result="bool")
ISINF = _op("isinf", 1, "f", np.isinf, result="bool")
ISFINITE = _op("isfinite", 1, "f", np.isfinite, result="bool")
SIGNBIT = _op("signbit", 1, "f", np.signbit, result="bool")
SELECT = _op("select", 3, "biufx", np.where, result="select")
# As select; the last operand is costly and seldom needed: a CPU skips it where no lane does.
LIKELY = _op("likely", 3, "biufx", np.where, result="select")

# Rounding and the structure of floats.
FLOOR = _op("floor", 1, "f", np.floor)
CEIL = _op("ceil", 1, "f", np.ceil)
TRUNC = _op("trunc", 1, "f", np.trunc)
RINT = _op("rint", 1, "f", np.rint)
SQRT = _op("sqrt", 1, "f", _quiet(np.sqrt), cost=6)
COPYSIGN = _op("copysign", 2, "f", np.copysign)
NEXTAFTER = _op("nextafter", 2, "f", np.nextafter, cost=8)

# Elementary functions: expanded by `ir/elementary/` on every target.
EXP = _op("exp", 1, "f", _in_float64(np.exp), cost=16, elementary=True)
EXP2 = _op("exp2", 1, "f", _in_float64(np.exp2), cost=14, elementary=True)
EXPM1 = _op("expm1", 1, "f", _in_float64(np.expm1), cost=20, elementary=True)
LOG = _op("log", 1, "f", _in_float64(np.log), cost=20, elementary=True)
LOG2 = _op("log2", 1, "f", _in_float64(np.log2), cost=20, elementary=True)
LOG10 = _op("log10", 1, "f", _in_float64(np.log10), cost=20, elementary=True)
LOG1P = _op("log1p", 1, "f", _in_float64(np.log1p), cost=24, elementary=True)
SIN = _op("sin", 1, "f", _in_float64(np.sin), cost=24, elementary=True)
COS = _op("cos", 1, "f", _in_float64(np.cos), cost=24, elementary=True)
TAN = _op("tan", 1, "f", _in_float64(np.tan), cost=32, elementary=True)
ASIN = _op("asin", 1, "f", _in_float64(np.arcsin), cost=24, elementary=True)
ACOS = _op("acos", 1, "f", _in_float64(np.arccos), cost=24, elementary=True)
ATAN = _op("atan", 1, "f", _in_float64(np.arctan), cost=24, elementary=True)
ATAN2 = _op("atan2", 2, "f", _in_float64(np.arctan2), cost=32, elementary=True)
SINH = _op("sinh", 1, "f", _in_float64(np.sinh), cost=28, elementary=True)
COSH = _op("cosh", 1, "f", _in_float64(np.cosh), cost=24, elementary=True)
TANH = _op("tanh", 1, "f", _in_float64(np.tanh), cost=24, elementary=True)
ASINH = _op("asinh", 1, "f", _in_float64(np.arcsinh), cost=30, elementary=True)
ACOSH = _op("acosh", 1, "f", _in_float64(np.arccosh), cost=30, elementary=True)
ATANH = _op("atanh", 1, "f", _in_float64(np.arctanh), cost=30, elementary=True)
ERF = _op("erf", 1, "f", _vectorized(math.erf), cost=28, elementary=True)
ERFC = _op("erfc", 1, "f", _vectorized(math.erfc), cost=36, elementary=True)
POW = _op("pow", 2, "f", _in_float64(np.power), cost=48, elementary=True)
CBRT = _op("cbrt", 1, "f", _in_float64(np.cbrt), cost=20, elementary=True)
RSQRT = _op("rsqrt", 1, "f", _in_float64(lambda x: 1 / np.sqrt(x)), cost=10, elementary=True)
HYPOT = _op("hypot", 2, "f", _in_float64(np.hypot), cost=14, elementary=True)
SIGMOID = _op(
    "sigmoid",
    1,
    "f",
    _in_float64(lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))),
    cost=22,
    elementary=True,
)

# Conversions: the node names the result's dtype.


def convert(value: Any, dtype: np.dtype) -> Any:
    """Cast as every target does: floats become integers by truncation, saturating, NaN to 0."""
    array = np.asarray(value)
    if array.dtype.kind != "f" or dtype.kind not in "iu":
        with np.errstate(all="ignore"):
            return array.astype(dtype)
    info = np.iinfo(dtype)
    with np.errstate(all="ignore"):
        whole = np.nan_to_num(np.trunc(array.astype(np.float64)), nan=0.0)
        below, above = whole <= float(info.min), whole >= float(info.max)
        result = np.where(below | above, 0.0, whole).astype(dtype)
    return np.where(below, info.min, np.where(above, info.max, result)).astype(dtype)


def _not_alone(*_: Any) -> Any:
    raise AssertionError("conversions need the node's dtype: see ir/interpret.py")


CAST = _op("cast", 1, "biufx", _not_alone, result="given")
BITCAST = _op("bitcast", 1, "biuf", _not_alone, result="given")


def _truncating_quotient(a: Any, b: Any) -> Any:
    return ((a - np.fmod(a, b)) // b).astype(np.asarray(a).dtype)


def _scale(x: Any, n: Any) -> Any:
    return np.ldexp(x, np.floor(np.clip(n, -4096, 4096)).astype(np.int32))


def _exponent(x: Any) -> Any:
    """floor(log2(abs(x))), subnormals included."""
    fraction, above = np.frexp(x)
    special = np.where(x == 0, -np.inf, np.abs(fraction))  # infinity and NaN stay
    return np.where((x == 0) | ~np.isfinite(x), special, above - 1).astype(np.asarray(x).dtype)


def _mantissa(x: Any) -> Any:
    """x as a number in [3/4, 3/2) by a power of two; 1 for 0 and infinity, NaN below 0."""
    fraction, _ = np.frexp(x)
    m = np.where(fraction < 0.75, fraction + fraction, fraction)
    m = np.where((x == 0) | (x == np.inf), 1.0, m)
    return np.where(x < 0, np.nan, m).astype(np.asarray(x).dtype)


def _pick(number: Any, *table: Any) -> Any:
    which = np.asarray(number) & (len(table) - 1)
    rows = np.stack([np.broadcast_to(entry, which.shape) for entry in table])
    return np.take_along_axis(rows, which[np.newaxis], axis=0)[0]


# What a machine offers beside the accurate functions: built-in functions of shading languages, and
# instructions that estimate. Only ``numerics="fast"`` asks for them; a NaN may get lost.
NATIVE_EXP = _op("native_exp", 1, "f", _in_float64(np.exp), cost=4)
NATIVE_EXP2 = _op("native_exp2", 1, "f", _in_float64(np.exp2), cost=4)
NATIVE_LOG = _op("native_log", 1, "f", _in_float64(np.log), cost=4)
NATIVE_LOG2 = _op("native_log2", 1, "f", _in_float64(np.log2), cost=4)
NATIVE_SIN = _op("native_sin", 1, "f", _in_float64(np.sin), cost=4)
NATIVE_COS = _op("native_cos", 1, "f", _in_float64(np.cos), cost=4)
NATIVE_RSQRT = _op("native_rsqrt", 1, "f", _in_float64(lambda x: 1 / np.sqrt(x)), cost=2)
NATIVE_MIN = _op("native_min", 2, "f", _quiet(np.fmin))
NATIVE_MAX = _op("native_max", 2, "f", _quiet(np.fmax))
NATIVE = frozenset(op for name, op in OPS.items() if name.startswith("native_"))

# After legalisation: cheap and without guards. `scale(x, n)` is x * 2**floor(n), overflow and
# subnormals included; `exponent` and `mantissa` take a float apart; `pick(i, t0, … t15)` is the
# literal whose number the low four bits of i give.
QUO = _op("quo", 2, "iux", _quiet(_truncating_quotient), cost=4)
REM = _op("rem", 2, "iux", _quiet(np.fmod), cost=4)
SHL_RAW = _op("shl_raw", 2, "iux", np.left_shift)
SHR_RAW = _op("shr_raw", 2, "iux", np.right_shift)
SCALE = _op("scale", 2, "f", _quiet(_scale), cost=2)
EXPONENT = _op("exponent", 1, "f", _quiet(_exponent))
MANTISSA = _op("mantissa", 1, "f", _quiet(_mantissa))
PICK = _op("pick", 17, "f", _pick, result="pick")

COMPARISONS = (EQ, NE, LT, LE, GT, GE)
