"""What each operation becomes, in full, on the dtypes that rules are written for.

`tests/golden/legal/forms/TARGET.txt` has the lines of each, over operands `x0`, `x1`, `x2`. What
they mean is tested elsewhere; here nothing is done that another rule or a later correction undoes.
Operations that stay what they are and elementary functions are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conftest import Golden
from tests.ir.legal.test_costs import NATIVE_HALF, PLAIN, kernel_of, legal
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, F16, F32, I8, I32, U16, U32, U64, DType
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Var
from tilewright.ir.printer import print_kernel

DTYPES = (BOOL, I32, U32, F32)
MADE_BY_RULES = (ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW, ops.FMA, ops.SCALE)
CONVERTED = (BOOL, I8, U16, I32, U32, U64, F16, F32)


def form(op: ops.Op, kinds: list[DType], result: DType, target: str) -> str:
    """The lines of ``out = op(…)`` once they are legal; none if they are what they were."""
    kernel = kernel_of(op, kinds, result)
    try:
        lines = _body(print_kernel(legal(kernel, target)))
    except (UnsupportedError, IRError):  # IRError: made for other targets alone
        return ""
    return "" if lines == _body(print_kernel(kernel)) else lines


def _body(text: str) -> str:
    """What is inside of the loop, without its variable."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("    ")]
    return "\n".join(lines).replace("[i]", "")


@pytest.mark.parametrize("target", ["x86-64-v3", "wgsl", "glsl"])
def test_forms(golden: Golden, target: str) -> None:
    golden(f"legal/forms/{target}", _table(target, DTYPES, CONVERTED))


def test_forms_of_float16(golden: Golden) -> None:
    """On WebGPU devices that have it."""
    golden(f"legal/forms/{NATIVE_HALF}", _table(NATIVE_HALF, (F16,), (F16,)))


def _table(target: str, dtypes: Sequence[DType], converted: Sequence[DType]) -> str:
    """What becomes of operations on `dtypes`, and of conversions from and to `converted`."""
    made = []
    for op in (*(o for o in PLAIN if not o.elementary and o.result != "given"), *MADE_BY_RULES):
        for dtype in (d for d in dtypes if d.kind in op.domain):
            kinds = [dtype] * op.arity
            if op in (ops.SELECT, ops.LIKELY):
                kinds[0] = BOOL
            result = Apply(op, tuple(Var("x", dtype=kind) for kind in kinds)).dtype
            made.append((f"{op.name} {dtype}", form(op, kinds, result, target)))
    for source in CONVERTED:
        for to in (d for d in CONVERTED if d is not source and {d, source} & {*converted}):
            text = form(ops.CAST, [source], to, target)
            made.append((f"cast {source} to {to}", text))
    return "\n".join(f"{name}\n{text}" for name, text in made if text)
