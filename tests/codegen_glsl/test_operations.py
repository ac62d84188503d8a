"""How each legal operation is spelled in GLSL."""

from __future__ import annotations

from itertools import product

import pytest

from tests.conftest import Golden
from tests.ir.operation_cases import spelling_table
from tilewright.codegen_glsl.emit.operations import ROWS, is_legal, spell
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, F32, I32, INDEX, U32, DType
from tilewright.ir.errors import IRError

DTYPES = (BOOL, I32, U32, F32, INDEX)
TEXTS = ("a", "b", "c")


def test_every_operation(golden: Golden) -> None:
    def text(op: ops.Op, result: DType, kinds: list[DType], lanes: int) -> str:
        return spell(op, result, kinds, lanes, TEXTS[: len(kinds)], [lanes] * len(kinds))

    golden("glsl/operations", spelling_table(DTYPES, text))


def test_one_value_beside_four(golden: Golden) -> None:
    """Operands without lanes are spread over four, where GLSL does not do so itself."""
    lines = []
    for dtype in (BOOL, I32, U32, F32):
        for op, row in ROWS[dtype.kind].items():
            kinds = [BOOL if op is ops.SELECT and k == 0 else dtype for k in range(op.arity)]
            for wide in product((1, 4), repeat=op.arity):
                if 1 in wide and 4 in wide:
                    made = spell(op, dtype, kinds, 4, TEXTS[: op.arity], wide)
                    lines.append(f"{op.name} {dtype} {wide} {row.mixes}: {made}")
    golden("glsl/mixed_operations", "\n".join(lines))


def test_what_is_not_legal_is_refused() -> None:
    for op in ops.OPS.values():
        if op.result != "given" and op not in ROWS["f"]:
            assert not is_legal(op, F32, F32)
            with pytest.raises(IRError, match=f"{op.name} on float32 was not legalised"):
                spell(op, F32, [F32] * op.arity, 1, TEXTS[: op.arity], [1] * op.arity)
    assert is_legal(ops.CAST, F32, BOOL)
    with pytest.raises(IRError, match="a cast of float32 to bool was not legalised"):
        spell(ops.CAST, BOOL, [F32], 1, ["a"], [1])
    assert is_legal(ops.BITCAST, F32, U32)
    assert is_legal(ops.BITCAST, I32, U32)
    assert not is_legal(ops.BITCAST, BOOL, U32)


def test_minus_signs_do_not_meet() -> None:
    assert spell(ops.NEG, F32, [F32], 1, ["-a"], [1]) == "-(-a)"
    assert spell(ops.NEG, F32, [F32], 1, ["a"], [1]) == "-a"
