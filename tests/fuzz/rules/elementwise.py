"""Expressions that compute each element on its own."""

from __future__ import annotations

import numpy as np

from tests.fuzz.builder import Builder, Made, Rule
from tests.fuzz.values import INTEGERS

_ANY = ("np.negative", "np.abs", "np.sign", "np.square", "np.positive", "np.logical_not", "-")
_OF_FLOATS = (
    *("np.floor", "np.ceil", "np.trunc", "np.rint", "np.isnan", "np.isfinite", "np.isinf"),
    *("np.signbit", "np.reciprocal", "np.sqrt", "np.fabs", "np.round", "np.nan_to_num"),
    *("np.isposinf", "np.isneginf", "np.fix"),
)
_OF_INTEGERS = ("np.invert", "np.bitwise_count", "~")
_FUNCTIONS = (
    *("np.exp", "np.exp2", "np.expm1", "np.log", "np.log2", "np.log10", "np.log1p", "np.sin"),
    *("np.cos", "np.tan", "np.tanh", "np.sinh", "np.cosh", "np.arctan", "np.arcsin", "np.arccos"),
    *("np.arcsinh", "np.arccosh", "np.arctanh", "np.cbrt", "np.deg2rad", "np.sinc"),
    *("tw.sigmoid", "tw.erf", "tw.erfc", "tw.rsqrt", "tw.relu", "tw.gelu", "tw.silu"),
    *("tw.softplus", "tw.leaky_relu"),
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_ARITHMETIC = ("+", "+", "-", "-", "*", "*", "/", "//", "//", "%", "%", "minimum", "maximum")
_OF_TWO_FLOATS = (
    *("fmin", "fmax", "power", "arctan2", "hypot", "copysign", "fmod", "logaddexp", "heaviside"),
    *("nextafter", "float_power"),
)
_OF_TWO_INTEGERS = ("gcd", "lcm", "fmod", "floor_divide", "remainder")


def unary(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None:
        return None
    more = _OF_FLOATS if b.values[x].dtype.kind == "f" else _OF_INTEGERS
    name = b.one_of(*_ANY, *more)
    return (f"{name}({x})", name)


def function(b: Builder) -> Made:
    x = b.pick("f")
    name = b.one_of(*_FUNCTIONS)
    return (f"{name}({x})", name) if x else None


def binary(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None:
        return None
    y = b.partner(x, "iuf")
    if b.chance(0.4):
        x, y = y, x
    op = b.one_of(*_ARITHMETIC, *_COMPARISONS[:: b.one_of(1, 2)])
    if op.startswith("m"):
        return f"np.{op}({x}, {y})", f"np.{op}"
    return f"{x} {op} {y}", op


def float_binary(b: Builder) -> Made:
    x = b.pick("f")
    if x is None:
        return None
    op = f"np.{b.one_of(*_OF_TWO_FLOATS)}"
    return f"{op}({x}, {b.partner(x, 'f')})", op


def integer_binary(b: Builder) -> Made:
    x = b.pick("iu")
    if x is None:
        return None
    op = f"np.{b.one_of(*_OF_TWO_INTEGERS)}"
    return f"{op}({x}, {b.partner(x, b.values[x].dtype.kind)})", op


def two_results(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None:
        return None
    part = b.integer(0, 1)
    if b.values[x].dtype.kind == "f" and b.chance(0.4):
        return f"np.modf({x})[{part}]", "np.modf"
    return f"np.divmod({x}, {b.partner(x, b.values[x].dtype.kind)})[{part}]", "np.divmod"


def bits(b: Builder) -> Made:
    x = b.pick("iu" if b.chance(0.7) else "b")
    if x is None:
        return None
    kind = b.values[x].dtype.kind
    if kind == "b":
        op = b.one_of("&", "|", "^", "!=")
        return f"{x} {op} {b.partner(x, 'b')}", op
    op = b.one_of("&", "|", "^", "<<", ">>", "<<", ">>")
    return f"{x} {op} {b.partner(x, kind)}", op


def logical(b: Builder) -> Made:
    x = b.pick()
    op = f"np.logical_{b.one_of('and', 'or', 'xor')}"
    return (f"{op}({x}, {b.partner(x, 'biuf')})", op) if x else None


def with_scalar(b: Builder) -> Made:
    """Literals, NumPy scalars, and Python numbers that are arguments."""
    x = b.pick("iuf")
    if x is None:
        return None
    op = b.one_of("+", "-", "*", "//", "%", "**", ">", "<=", "/")
    number = b.one_of(0, 1, 2, 3, 7, -1, -2, 0.5, 2.5)
    if b.values[x].dtype.kind in "iu" and op == "**":
        number = b.one_of(0, 1, 2, 3)
    text, kind = str(number), "scalar"
    if b.chance(0.2) and op != "**" and len(b.arguments) < 6:
        text, kind = b.add_argument(number), "scalar argument"
        return f"{text} {op} {x}" if b.chance(0.3) else f"{x} {op} {text}", f"{kind} {op}"
    if b.chance(0.15):
        text, kind = f"np.{b.dtype_of('iuf')}({number})", "NumPy scalar"
    if b.chance(0.3) and op != "**":
        return f"{text} {op} {x}", f"{kind} {op}"
    return f"{x} {op} {text}", f"{kind} {op}"


def cast(b: Builder) -> Made:
    x = b.pick()
    if x is None:
        return None
    dtype = b.one_of(*b.dtypes)
    source = b.values[x].dtype
    if source.kind == "f" and dtype in INTEGERS:
        if b.chance(0.2):  # NumPy leaves what does not fit to the processor
            return f"{x}.astype(np.{dtype})", f"raw cast {source} {dtype}"
        info = np.iinfo(dtype)
        low, high = max(info.min, -30000), min(info.max, 30000)
        return f"np.clip(np.nan_to_num({x}), {low}, {high}).astype(np.{dtype})", "clip cast"
    name = "bool_" if dtype == "bool" else dtype
    return f"{x}.astype(np.{name})", f"cast {source} {dtype}"


def reinterpret(b: Builder) -> Made:
    x = b.pick("iuf", least_rank=1)
    if x is None:
        return None
    size = b.values[x].dtype.itemsize
    same = [d for d in b.dtypes if np.dtype(d).itemsize == size and d != "bool"]
    return (f"{x}.view(np.{b.one_of(*same)})", "view of dtype") if same else None


def select(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None:
        return None
    y = b.partner(x, "iuf")
    masks = [f"{x} > {y}", f"{x} != {x}", f"{y} == 0", f"{x} > {b.one_of(0, 1, 2)}"]
    masks += [b.partner(x, "b")] if b.chance(0.4) else []
    condition, other = b.one_of(*masks), b.one_of(*masks)
    form = b.integer(0, 9)
    if form == 0:
        return f"np.select([{condition}, {other}], [{x}, {y}], default=1)", "np.select"
    if form == 1:
        return f"np.where({condition}, {x}, {b.one_of(0, 1, 7)})", "where"
    if form == 2:
        return f"np.choose(({condition}).astype(np.int32), [{x}, {y}])", "np.choose"
    return f"np.where({condition}, {x}, {y})", "where"


def clip(b: Builder) -> Made:
    x = b.pick("iuf")
    if x is None:
        return None
    if b.chance(0.3):
        return f"np.clip({x}, {b.partner(x, 'iuf')}, {b.partner(x, 'iuf')})", "np.clip"
    low = b.integer(0, 4)
    return f"np.clip({x}, {low}, {low + b.integer(0, 8)})", "np.clip"


RULES: dict[Rule, int] = {
    unary: 6, function: 6, binary: 14, float_binary: 3, integer_binary: 2, two_results: 1, bits: 5,
    logical: 1, with_scalar: 8, cast: 9, reinterpret: 1, select: 5, clip: 2,
}  # fmt: skip
