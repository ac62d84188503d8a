"""How each legal operation is spelled in LLVM IR: one row per operation.

A row takes the operand dtype, the lane count and the operands' texts and returns the right-hand
side of the assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codegen_cpu.emit.types import Types, vector
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.errors import IRError
from tilewright.ir.ops import Op

_FLOAT = {ops.ADD: "fadd", ops.SUB: "fsub", ops.MUL: "fmul", ops.DIV: "fdiv"}
_INTEGER = {
    ops.ADD: "add",
    ops.SUB: "sub",
    ops.MUL: "mul",
    ops.AND: "and",
    ops.OR: "or",
    ops.XOR: "xor",
    ops.SHL_RAW: "shl",
}
_BY_SIGN = {ops.QUO: ("sdiv", "udiv"), ops.REM: ("srem", "urem"), ops.SHR_RAW: ("ashr", "lshr")}
_COMPARE = {
    ops.EQ: ("oeq", "eq"),
    ops.NE: ("une", "ne"),
    ops.LT: ("olt", "lt"),
    ops.LE: ("ole", "le"),
    ops.GT: ("ogt", "gt"),
    ops.GE: ("oge", "ge"),
}
_FLOAT_INTRINSIC = {
    ops.ABS: "fabs",
    ops.FLOOR: "floor",
    ops.CEIL: "ceil",
    ops.TRUNC: "trunc",
    ops.RINT: "rint",
    ops.SQRT: "sqrt",
    ops.COPYSIGN: "copysign",
    ops.FMA: "fma",
}
LEGAL = frozenset(
    {
        *_FLOAT,
        *_INTEGER,
        *_BY_SIGN,
        *_COMPARE,
        *_FLOAT_INTRINSIC,
        ops.NEG,
        ops.NOT,
        ops.MIN,
        ops.MAX,
        ops.ISNAN,
        ops.SELECT,
        ops.LIKELY,
        ops.CAST,
        ops.BITCAST,
        ops.POPCOUNT,
        ops.SCALE,
        ops.EXPONENT,
        ops.MANTISSA,
        ops.PICK,
        ops.NATIVE_RSQRT,
    }
)
_ON_REGISTERS = {ops.SCALE: "scalef", ops.EXPONENT: "getexp", ops.MANTISSA: "getmant"}
_THREE_QUARTERS_NAN_BELOW_ZERO = 15  # getmant: the interval [3/4, 3/2) and what the sign does

Instruction = Callable[[str], str]


class Spelling:
    """Right-hand sides for one machine; collects the intrinsics and the functions that they use.

    `register_bits` is the size of the vectors that functions are given, 0 where they are not.
    """

    def __init__(
        self,
        types: Types,
        has_gather: bool = False,
        has_byte_tables: bool = False,
        register_bits: int = 0,
    ) -> None:
        self.types = types
        self.has_gather = has_gather
        self.has_byte_tables = has_byte_tables
        self.register_bits = register_bits
        self.declarations: set[str] = set()
        self._functions: dict[str, str] = {}

    def define(self, text: str, name: str) -> str:
        """The name of a function of this text, which says `name` where its own name belongs."""
        return self._functions.setdefault(text, f"{name.lower()}{len(self._functions)}")

    def functions(self, name: str) -> list[str]:
        """The texts of the functions that were defined under `name`, with their own names."""
        return [text.replace(name, own) for text, own in self._functions.items()]

    def operation(
        self, op: Op, result: DType, dtype: DType, lanes: int, operands: Sequence[str]
    ) -> str:
        """The instruction for `op` on operands of `dtype`."""
        kind = self.types.value(dtype, lanes)
        both = ", ".join(operands)
        if dtype.is_float and op in _FLOAT:
            return f"{_FLOAT[op]} {kind} {both}"
        if not dtype.is_float and op in _INTEGER:
            return f"{_INTEGER[op]} {kind} {both}"
        if op in _BY_SIGN:
            # Legalisation has made index operands of divisions non-negative.
            signed = dtype.kind == "i" or (dtype.kind == "x" and op is ops.SHR_RAW)
            return f"{_BY_SIGN[op][0 if signed else 1]} {kind} {both}"
        if op in _COMPARE:
            return self.compare(op, dtype, kind, both)
        if dtype.is_float and op in _FLOAT_INTRINSIC:
            return self.intrinsic(_FLOAT_INTRINSIC[op], dtype, lanes, operands)
        return self._special(op, result, dtype, lanes, operands)

    def compare(self, op: Op, dtype: DType, kind: str, both: str) -> str:
        float_name, integer_name = _COMPARE[op]
        if dtype.is_float:
            return f"fcmp {float_name} {kind} {both}"
        if op in (ops.EQ, ops.NE):
            return f"icmp {integer_name} {kind} {both}"
        return f"icmp {'s' if dtype.kind in 'ix' else 'u'}{integer_name} {kind} {both}"

    def intrinsic(
        self, name: str, dtype: DType, lanes: int, operands: Sequence[str], tail: str = ""
    ) -> str:
        """A call of ``llvm.name`` on operands of one type."""
        kind = self.types.value(dtype, lanes)
        return self.call(
            f"llvm.{name}.{_mangled(self.types.scalar(dtype), lanes)}",
            kind,
            [(kind, o) for o in operands],
            tail,
        )

    def call(
        self, name: str, result: str, operands: Sequence[tuple[str, str]], tail: str = ""
    ) -> str:
        """A call of an intrinsic, declared on the way. `tail` holds further literal operands."""
        shown = ", ".join(f"{kind} {text}" for kind, text in operands)
        kinds = ", ".join(kind for kind, _ in operands)
        if tail:
            shown += f", {tail}"
            kinds += ", " + ", ".join(part.split()[0] for part in tail.split(", "))
        self.declarations.add(f"declare {result} @{name}({kinds})")
        return f"call {result} @{name}({shown})"

    def _special(
        self, op: Op, result: DType, dtype: DType, lanes: int, operands: Sequence[str]
    ) -> str:
        kind = self.types.value(dtype, lanes)
        match op:
            case ops.NEG:
                if dtype.is_float:
                    return f"fneg {kind} {operands[0]}"
                return f"sub {kind} zeroinitializer, {operands[0]}"
            case ops.NOT:
                return f"xor {kind} {operands[0]}, {self._all_ones(dtype, lanes)}"
            case ops.ISNAN:
                return f"fcmp uno {kind} {operands[0]}, {operands[0]}"
            case ops.MIN | ops.MAX if not dtype.is_float:
                name = ("s" if dtype.kind in "ix" else "u") + op.name
                return self.intrinsic(name, dtype, lanes, operands)
            case ops.ABS:
                return self.intrinsic("abs", dtype, lanes, operands, "i1 false")
            case ops.POPCOUNT:
                return self.intrinsic("ctpop", dtype, lanes, operands)
            case ops.CAST:
                return self.cast(dtype, result, lanes, operands[0])
            case ops.BITCAST:
                return f"bitcast {kind} {operands[0]} to {self.types.value(result, lanes)}"
        raise IRError(f"{op.name} on {dtype} is not legal for LLVM")

    def _all_ones(self, dtype: DType, lanes: int) -> str:
        return "-1" if lanes == 1 else f"splat ({self.types.scalar(dtype)} -1)"

    def cast(self, source: DType, target: DType, lanes: int, operand: str) -> str:
        """Integers wrap; floats to integers saturate with NaN to 0 (as ``trunc_sat`` of wasm)."""
        old, new = self.types.value(source, lanes), self.types.value(target, lanes)
        if target is BOOL:
            zero = "zeroinitializer"
            if source.is_float:
                return f"fcmp une {old} {operand}, {zero}"
            return f"icmp ne {old} {operand}, {zero}"
        if source.is_float and target.is_float:
            return f"{'fpext' if target.bits > source.bits else 'fptrunc'} {old} {operand} to {new}"
        if source.is_float:
            name = "fptoui" if target.kind == "u" else "fptosi"
            to = _mangled(self.types.scalar(target), lanes)
            of = _mangled(self.types.scalar(source), lanes)
            return self.call(f"llvm.{name}.sat.{to}.{of}", new, [(old, operand)])
        if target.is_float:
            return f"{'sitofp' if source.kind in 'ix' else 'uitofp'} {old} {operand} to {new}"
        old_bits, new_bits = self._bits(source), self._bits(target)
        if old_bits == new_bits:
            return f"bitcast {old} {operand} to {new}"
        if new_bits < old_bits:
            return f"trunc {old} {operand} to {new}"
        return f"{'sext' if source.kind in 'ix' else 'zext'} {old} {operand} to {new}"

    def _bits(self, dtype: DType) -> int:
        if dtype is BOOL:
            return 1
        return self.types.index_bits if dtype.kind == "x" else dtype.bits

    def on_registers(self, op: Op, dtype: DType, lanes: int, operands: Sequence[str]) -> str:
        """`scale`, `exponent`, `mantissa` or `native_rsqrt` by AVX-512, on a whole register."""
        bits = lanes * dtype.bits
        suffix = "ps" if dtype.bits == 32 else "pd"
        kind = self.types.value(dtype, lanes)
        parts = [f"{kind} {o}" for o in operands]
        if op is ops.MANTISSA:
            parts.append(f"i32 {_THREE_QUARTERS_NAN_BELOW_ZERO}")
        parts += [f"{kind} zeroinitializer", "i16 -1" if lanes == 16 else "i8 -1"]
        if op is ops.NATIVE_RSQRT:
            return self._avx512(f"rsqrt14.{suffix}.{bits}", kind, parts)
        parts += ["i32 4"] if bits == 512 else []
        return self._avx512(f"mask.{_ON_REGISTERS[op]}.{suffix}.{bits}", kind, parts)

    def pick(self, dtype: DType, table: str, number: str) -> str:
        """Lanes of a table of sixteen literals, by the low bits of a register's lanes."""
        lanes, bits = 512 // dtype.bits, dtype.bits
        kind, numbers = self.types.value(dtype, lanes), f"<{lanes} x i{bits}>"
        entries = table.split(", ")
        low, high = (f"<{', '.join(part)}>" for part in (entries[:lanes], entries[lanes:]))
        if not entries[lanes:]:
            return self._avx512("permvar.sf.512", kind, [f"{kind} {low}", f"{numbers} {number}"])
        operands = [f"{kind} {low}", f"{numbers} {number}", f"{kind} {high}"]
        return self._avx512("vpermi2var.pd.512", kind, operands)

    def _avx512(self, name: str, kind: str, operands: Sequence[str]) -> str:
        """A call of an intrinsic, declared on the way. An operand is a type and a text."""
        kinds = ", ".join(o[: o.index(">") + 1] if o[0] == "<" else o.split()[0] for o in operands)
        self.declarations.add(f"declare {kind} @llvm.x86.avx512.{name}({kinds})")
        return f"call {kind} @llvm.x86.avx512.{name}({', '.join(operands)})"


def _mangled(scalar: str, lanes: int) -> str:
    short = {"half": "f16", "float": "f32", "double": "f64"}.get(scalar, scalar)
    return short if lanes == 1 else f"v{lanes}{short}"


__all__ = ["LEGAL", "Spelling", "vector"]
