"""How each legal operation is spelled in LLVM's language."""

from __future__ import annotations

import pytest

from tests.conftest import Golden
from tests.ir.operation_cases import spelling_table
from tilewright.codegen_cpu.emit.operations import LEGAL, Spelling
from tilewright.codegen_cpu.emit.types import Types
from tilewright.ir import dtypes, ops
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import IRError

DTYPES = (
    *(dtypes.BOOL, dtypes.I8, dtypes.U8, dtypes.I16, dtypes.U16, dtypes.I32, dtypes.U32),
    *(dtypes.I64, dtypes.U64, dtypes.INDEX, dtypes.F16, dtypes.F32, dtypes.F64),
)
TEXTS = ("%a", "%b", "%c")


@pytest.mark.parametrize("index_bits", [32, 64])
def test_every_operation(golden: Golden, index_bits: int) -> None:
    spelling = Spelling(Types(index_bits, 256))

    def spell(op: ops.Op, result: DType, kinds: list[DType], lanes: int) -> str:
        return spelling.operation(op, result, kinds[-1], lanes, TEXTS[: len(kinds)])

    text = spelling_table([d for d in DTYPES if index_bits == 64 or d.kind == "x"], spell)
    declared = "\n".join(sorted(spelling.declarations))
    golden(f"cpu/operations/{index_bits}", f"{text}\n\n{declared}")


@pytest.mark.parametrize("dtype", [dtypes.F32, dtypes.F64], ids=str)
def test_operations_on_whole_registers(golden: Golden, dtype: DType) -> None:
    spelling = Spelling(Types(64, 512))
    lines = []
    for op in (ops.SCALE, ops.EXPONENT, ops.MANTISSA, ops.NATIVE_RSQRT):
        for bits in (128, 256, 512):
            operands = TEXTS[: op.arity]
            lines.append(spelling.on_registers(op, dtype, bits // dtype.bits, operands))
    table = ", ".join(f"t{k}" for k in range(16))
    lines += [spelling.pick(dtype, table, "%n"), *sorted(spelling.declarations)]
    golden(f"cpu/operations/registers-{dtype.short}", "\n".join(lines))


def test_what_is_not_legal_is_refused() -> None:
    spelling = Spelling(Types(64, 256))
    for op in ops.OPS.values():
        if op not in LEGAL:
            with pytest.raises(IRError, match=f"{op.name} on float32 is not legal for LLVM"):
                spelling.operation(op, dtypes.F32, dtypes.F32, 1, TEXTS[: op.arity])


def test_functions_have_names_of_their_own() -> None:
    spelling = Spelling(Types(64, 256))
    first, again = spelling.define("body NAME", "NAME"), spelling.define("body NAME", "NAME")
    other = spelling.define("other NAME", "NAME")
    assert (first, again, other) == ("name0", "name0", "name1")
    assert spelling.functions("NAME") == ["body name0", "other name1"]
