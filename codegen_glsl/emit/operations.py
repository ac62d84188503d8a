"""How each legal operation is spelled in GLSL ES 3.00: one row per operation and kind.

A row is a template for operands ``{0}``, ``{1}``, ``{2}`` of one lane count. `LANEWISE` rows hold
for vectors too; the others exist for scalars only and are written out lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tilewright.codegen_glsl.emit.types import COMPONENTS, type_name
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.errors import IRError
from tilewright.ir.ops import Op


class Row(Struct, frozen=True):
    """`scalar` and `vector` templates; no vector template means lane by lane.

    `mixes` tells that a scalar operand may meet a vector as it is.
    """

    scalar: str
    vector: str | None = None
    mixes: bool = False


def _infix(symbol: str) -> Row:
    return Row(f"{{0}} {symbol} {{1}}", f"{{0}} {symbol} {{1}}", mixes=True)


def _call(name: str, operands: int) -> Row:
    text = f"{name}({', '.join(f'{{{k}}}' for k in range(operands))})"
    return Row(text, text)


def _compare(symbol: str, function: str) -> Row:
    return Row(f"{{0}} {symbol} {{1}}", f"{function}({{0}}, {{1}})")


_ARITHMETIC = {ops.ADD: _infix("+"), ops.SUB: _infix("-"), ops.MUL: _infix("*")}
_COMPARE = {
    ops.EQ: _compare("==", "equal"),
    ops.NE: _compare("!=", "notEqual"),
    ops.LT: _compare("<", "lessThan"),
    ops.LE: _compare("<=", "lessThanEqual"),
    ops.GT: _compare(">", "greaterThan"),
    ops.GE: _compare(">=", "greaterThanEqual"),
}
_INTEGER = {
    **_ARITHMETIC,
    **_COMPARE,
    ops.MIN: _call("min", 2),
    ops.MAX: _call("max", 2),
    ops.QUO: _infix("/"),
    ops.AND: _infix("&"),
    ops.OR: _infix("|"),
    ops.XOR: _infix("^"),
    ops.SHL_RAW: Row("{0} << {1}", "{0} << {1}"),  # a scalar cannot be shifted by a vector
    ops.SHR_RAW: Row("{0} >> {1}", "{0} >> {1}"),
    ops.NOT: Row("~{0}", "~{0}"),
    ops.NEG: Row("-{0}", "-{0}"),
    ops.SELECT: Row("{0} ? {1} : {2}"),
}
# `%` of signed operands is undefined where one is negative; index operands never are.
_UNSIGNED = {**_INTEGER, ops.REM: _infix("%")}
ROWS: dict[str, dict[Op, Row]] = {
    "b": {
        ops.EQ: Row("{0} == {1}", "equal({0}, {1})"),
        ops.NE: Row("{0} != {1}", "notEqual({0}, {1})"),
        ops.AND: Row("{0} && {1}"),
        ops.OR: Row("{0} || {1}"),
        ops.XOR: Row("{0} != {1}", "notEqual({0}, {1})"),
        ops.NOT: Row("!{0}", "not({0})"),
        ops.SELECT: Row("{0} ? {1} : {2}"),
    },
    "i": _INTEGER,
    "u": _UNSIGNED,
    "x": _UNSIGNED,
    "f": {
        **_ARITHMETIC,
        **_COMPARE,
        ops.DIV: _infix("/"),
        ops.MAD: Row("{0} * {1} + {2}", "{0} * {1} + {2}", mixes=True),
        ops.NEG: Row("-{0}", "-{0}"),
        ops.ABS: _call("abs", 1),
        ops.FLOOR: _call("floor", 1),
        ops.CEIL: _call("ceil", 1),
        ops.TRUNC: _call("trunc", 1),
        ops.RINT: _call("roundEven", 1),
        ops.SQRT: _call("sqrt", 1),
        ops.NATIVE_EXP: _call("exp", 1),
        ops.NATIVE_EXP2: _call("exp2", 1),
        ops.NATIVE_LOG: _call("log", 1),
        ops.NATIVE_LOG2: _call("log2", 1),
        ops.NATIVE_SIN: _call("sin", 1),
        ops.NATIVE_COS: _call("cos", 1),
        ops.NATIVE_RSQRT: _call("inversesqrt", 1),
        ops.NATIVE_MIN: _call("min", 2),
        ops.NATIVE_MAX: _call("max", 2),
        ops.FMOD: Row("exact_fmod(vec4({0}), vec4({1})).x", "exact_fmod({0}, {1})"),
        ops.SELECT: Row("{0} ? {1} : {2}", "mix({2}, {1}, {0})"),
    },
}
_BITCASTS = {"fi": "floatBitsToInt", "fu": "floatBitsToUint", "if": "intBitsToFloat"}
_BITCASTS["uf"] = "uintBitsToFloat"

# Functions that an operation calls: their definitions, by operation and kind.
HELPERS: dict[Op, str] = {
    ops.FMOD: """\
vec4 exact_fmod(vec4 x, vec4 y) {
  uvec4 a = floatBitsToUint(x), b = floatBitsToUint(y), sign = a & 0x80000000u;
  a &= 0x7fffffffu;
  b &= 0x7fffffffu;
  uvec4 rest = (a & 0x7fffffu) | 0x800000u, divisor = (b & 0x7fffffu) | 0x800000u;
  ivec4 scale = ivec4(b >> uvec4(23)), left = ivec4(a >> uvec4(23)) - scale;
  for (int k = max(max(left.x, left.y), max(left.z, left.w)); k > 0; --k) {
    uvec4 next = rest - divisor * uvec4(greaterThanEqual(rest, divisor));
    rest += (next + next - rest) * uvec4(greaterThanEqual(left, ivec4(k)));
  }
  rest -= divisor * uvec4(greaterThanEqual(rest, divisor));
  for (int k = 16; k > 0; k >>= 1) {
    bvec4 low = lessThan(rest, uvec4(0x1000000 >> k)), fits = greaterThanEqual(scale, ivec4(k));
    ivec4 by = ivec4(low) * ivec4(fits) * k;
    rest <<= by;
    scale -= by;
  }
  bvec4 whole = greaterThanEqual(rest, uvec4(0x800000u)), normal = greaterThan(scale, ivec4(0));
  uvec4 bits = (uvec4(scale) << uvec4(23) | rest & 0x7fffffu) * uvec4(whole) * uvec4(normal);
  vec4 found = mix(uintBitsToFloat(sign | bits), x, lessThan(a, b));
  uvec4 odd = uvec4(lessThan(b, uvec4(0x800000u))) | uvec4(greaterThan(b, uvec4(0x7f800000u)));
  odd |= uvec4(greaterThanEqual(a, uvec4(0x7f800000u)));
  return mix(found, vec4(uintBitsToFloat(0x7fc00000u)), bvec4(odd));
}
""",
}


def is_legal(op: Op, operand: DType, result: DType) -> bool:
    """Whether the operation can be printed for operands of this dtype."""
    if op is ops.CAST:
        return True
    if op is ops.BITCAST:
        return operand.kind == result.kind or operand.kind + result.kind in {*_BITCASTS, "iu", "ui"}
    return op in ROWS[operand.kind]


def spell(
    op: Op,
    result: DType,
    dtypes: Sequence[DType],
    lanes: int,
    texts: Sequence[str],
    wide: Sequence[int],
) -> str:
    """The expression for ``op(texts)``; operand k has ``wide[k]`` lanes (1 or `lanes`)."""
    if op in (ops.CAST, ops.BITCAST):
        return _conversion(op, dtypes[0], result, lanes, texts[0])
    row = ROWS[dtypes[-1].kind].get(op)
    if row is None:
        raise IRError(f"{op.name} on {dtypes[-1]} was not legalised for GLSL")
    if op is ops.NEG and texts[0].startswith("-"):
        return f"-({texts[0]})"
    if lanes == 1:
        return row.scalar.format(*texts)
    if op is ops.SELECT and wide[0] == 1:
        return row.scalar.format(texts[0], *_splat(dtypes[1:], lanes, texts[1:], wide[1:]))
    if row.vector is None:
        return _lane_by_lane(row.scalar, result, texts, wide)
    if row.mixes:
        return row.vector.format(*texts)
    return row.vector.format(*_splat(dtypes, lanes, texts, wide))


def _splat(
    dtypes: Sequence[DType], lanes: int, texts: Sequence[str], wide: Sequence[int]
) -> list[str]:
    return [
        text if w == lanes else f"{type_name(dtype, lanes)}({text})"
        for text, w, dtype in zip(texts, wide, dtypes, strict=True)
    ]


def _lane_by_lane(template: str, result: DType, texts: Sequence[str], wide: Sequence[int]) -> str:
    lanes = [
        template.format(*(t if w == 1 else f"{t}.{c}" for t, w in zip(texts, wide, strict=True)))
        for c in COMPONENTS
    ]
    return f"{type_name(result, len(COMPONENTS))}({', '.join(lanes)})"


def _conversion(op: Op, source: DType, target: DType, lanes: int, text: str) -> str:
    """Constructors keep the bits between int and uint, and truncate floats that fit."""
    if op is ops.BITCAST and source.kind + target.kind in _BITCASTS:
        return f"{_BITCASTS[source.kind + target.kind]}({text})"
    if type_name(source) == type_name(target):
        return text
    if target is BOOL:
        raise IRError(f"a cast of {source} to bool was not legalised for GLSL")
    return f"{type_name(target, lanes)}({text})"
