"""Literals of 64 bits on targets that carry them in 32."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tilewright.ir import build
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Const, Expr


def check_wide_literals(
    legal: Callable[[Expr], Expr], wide: DType, narrow: DType, target: str
) -> None:
    """`legal` keeps the ends of the range and what fits into `narrow`, and refuses the rest."""
    ends = ((wide.min, narrow.min), (wide.max, narrow.max))
    for value, wanted in (*ends, *((n, n) for n in (0, 1, 7, narrow.min, narrow.max))):
        found = legal(build.const(value, wide))
        assert isinstance(found, Const)
        assert (found.value, found.dtype) == (wanted, narrow)
    below = (narrow.min - 1, wide.min + 1) if wide.min else ()
    for value in (narrow.max + 1, wide.max - 1, *below):
        with pytest.raises(UnsupportedError) as caught:
            legal(build.const(value, wide))
        assert str(caught.value) == (
            f"the constant {value} needs 64-bit integers, which target '{target}' does not have "
            "(it is written in the kernel, or a power or product of such, as in 2 ** i)\n"
            'help: compute with int32, as in i.astype(np.int32), or use target="cpu"'
        )
