"""Operands on which every operation of the table is tried, whatever the target."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, DType

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
