"""How each legal operation is spelled in WGSL."""

from __future__ import annotations

import pytest

from tests.conftest import Golden
from tests.ir.operation_cases import spelling_table
from tilewright.codegen_wgsl.emit.operations import LEGAL, is_call, operation, packed_half
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, F16, F32, I32, INDEX, U32, DType
from tilewright.ir.errors import IRError

DTYPES = (BOOL, I32, U32, F32, INDEX)
TEXTS = ("a", "b", "c")


def test_every_operation(golden: Golden) -> None:
    def spell(op: ops.Op, result: DType, kinds: list[DType], lanes: int) -> str:
        text = operation(op, result, kinds[-1], lanes, TEXTS[: len(kinds)])
        return text if is_call(op, kinds[-1]) else f"({text})"

    golden("wgsl/operations", spelling_table(DTYPES, spell))


def test_halves_are_words() -> None:
    assert packed_half(ops.CAST, F16, 1, "a") == "pack2x16float(vec2<f32>(a, 0.0f))"
    assert packed_half(ops.CAST, F32, 1, "a") == "unpack2x16float(a).x"
    assert packed_half(ops.CAST, F32, 2, "a") == (
        "vec2<f32>(unpack2x16float(a.x).x, unpack2x16float(a.y).x)"
    )
    assert packed_half(ops.BITCAST, F16, 1, "a") == "a"
    assert packed_half(ops.BITCAST, U32, 4, "a") == "a"


def test_halves_that_are_a_type() -> None:
    assert operation(ops.CAST, F16, F32, 4, ["a"]) == "vec4<f16>(a)"
    assert operation(ops.CAST, F32, F16, 1, ["a"]) == "f32(a)"
    assert operation(ops.BITCAST, U32, F16, 1, ["a"]) == "pack2x16float(vec2<f32>(f32(a), 0.0f))"
    assert operation(ops.BITCAST, F16, U32, 2, ["a"]) == (
        "vec2<f16>(f16(unpack2x16float(a.x).x), f16(unpack2x16float(a.y).x))"
    )


def test_amounts_of_shifts_are_unsigned() -> None:
    assert operation(ops.SHL_RAW, I32, I32, 1, ["a", "3"]) == "a << 3u"
    assert operation(ops.SHR_RAW, I32, I32, 4, ["a", "b"]) == "a >> vec4<u32>(b)"
    assert operation(ops.SHR_RAW, U32, U32, 4, ["a", "b"]) == "a >> b"


def test_what_is_not_legal_is_refused() -> None:
    for op in ops.OPS.values():
        if op not in LEGAL:
            with pytest.raises(IRError, match=f"{op.name} on float32 is not legal in WGSL"):
                operation(op, F32, F32, 1, TEXTS[: op.arity])
