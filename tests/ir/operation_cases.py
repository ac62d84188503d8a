"""Operands on which every operation of the table is tried, whatever the target."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Var

Array = NDArray[Any]

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 7.0, 0.1, 100.0, 1e-3, -40.0, 1e4]
SPECIAL = [np.inf, -np.inf, np.nan]
INTEGERS = [0, 1, 2, 3, 5, 7, 8, 31, 32, 33, 100, 127]


def samples(dtype: DType) -> Array:
    """Values at which operations are likely to go wrong."""
    if dtype is BOOL:
        return np.array([False, True])
    if dtype.is_float:
        return np.array(FLOATS + SPECIAL, dtype.numpy)
    extremes = [dtype.min, dtype.min + 1, dtype.max, dtype.max - 1]
    signed = [-v for v in INTEGERS] if dtype.kind == "i" else []
    return np.array([*INTEGERS, *signed, *extremes], dtype.numpy)


def operands(op: ops.Op, dtype: DType) -> tuple[list[Array], list[DType]]:
    """Every combination of the samples."""
    kinds = [dtype] * op.arity
    if op in (ops.SELECT, ops.LIKELY):
        kinds[0] = BOOL
    columns = list(zip(*itertools.product(*(samples(k) for k in kinds)), strict=True))
    return [np.array(c, k.numpy) for c, k in zip(columns, kinds, strict=True)], kinds


Spell = Callable[[ops.Op, DType, list[DType], int], str]


def spelling_table(dtypes: Sequence[DType], spell: Spell) -> str:
    """How each operation on each of `dtypes` is spelled for one value and for four: a line each,
    conversions last. What `spell` raises an `IRError` for is left out."""
    lines = []
    for op in ops.OPS.values():
        for dtype in dtypes:
            if dtype.kind not in op.domain or op is ops.PICK:
                continue
            if op.result == "given":
                lines += [_spelled(op, [dtype], to, spell) for to in dtypes if to is not dtype]
            else:
                kinds = [dtype] * op.arity
                if op in (ops.SELECT, ops.LIKELY):
                    kinds[0] = BOOL
                made = Apply(op, tuple(Var(f"x{n}", dtype=k) for n, k in enumerate(kinds)))
                lines.append(_spelled(op, kinds, made.dtype, spell))
    return "\n".join(filter(None, lines))


def _spelled(op: ops.Op, kinds: list[DType], result: DType, spell: Spell) -> str:
    if op is ops.BITCAST and kinds[0].bits != result.bits:
        return ""
    name = f"{op.name} {kinds[-1]}" + (f" to {result}" if op.result == "given" else "")
    try:
        return f"{name}: " + "  |  ".join(spell(op, result, kinds, lanes) for lanes in (1, 4))
    except IRError:
        return ""
