"""Where elements lie in words: quotients and remainders of offsets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.codegen_wgsl.storage import Storage, divide
from tilewright.ir import dtypes, ops
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I8, I64, U8, U16, DType
from tilewright.ir.errors import LimitError
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.kernel import Buffer

ROW, LANE, FREE = Var("row", 9), Var("lane", 4), Var("free", dtype=dtypes.INDEX)


@pytest.mark.parametrize(
    ("form", "divides"),
    [
        (Linear({ROW: 4, LANE: 1}, 0), False),
        (Linear({ROW: 4, LANE: 1}, 8), False),
        (Linear({ROW: 8}, 7), False),
        (Linear({ROW: 4, LANE: 1}, 1), True),  # lane + 1 reaches the next word
        (Linear({ROW: 4, LANE: -1}, 3), False),
        (Linear({ROW: 4, LANE: -1}, 6), True),  # 2 - lane may be below zero
        (Linear({ROW: 3}, 0), True),
        (Linear({ROW: 4, FREE: 1}, 0), True),  # nothing is known of it
        (Linear({ROW: 4, FREE: 4}, 2), False),
    ],
)
def test_words_are_found_without_a_division(form: Linear, divides: bool) -> None:
    quotient, rest = divide(form, 4)
    used = {n.op for n in post_order([quotient, rest]) if isinstance(n, Apply)}
    assert bool(used & {ops.QUO, ops.REM}) == divides
    points = np.array(list(itertools.product(range(9), range(4), range(3)))).T
    at: dict[Expr, np.ndarray] = dict(zip((ROW, LANE, FREE), points, strict=True))
    whole = np.asarray(form.constant + sum(at[v] * k for v, k in form.terms.items()))
    values = {v: at[v] for v in (ROW, LANE, FREE)}
    for expr, wanted in ((quotient, whole // 4), (rest, whole % 4)):
        found = np.broadcast_to(evaluate(expr, values), whole.shape)
        np.testing.assert_array_equal(found[whole >= 0], wanted[whole >= 0])


@pytest.mark.parametrize(
    ("dtype", "packed"), [(BOOL, 4), (I8, 4), (U8, 4), (U16, 2), (F16, 2), (F32, 1), (I64, 1)]
)
def test_what_is_packed(dtype: DType, packed: int) -> None:
    """What no kernel writes, and of what they write what was chosen."""
    chosen = Buffer("x", (3, 5), dtype)
    assert Storage([chosen]).declare(chosen, "output").packed == packed
    for role, count in (("input", packed), ("constant", packed), ("output", 1), ("temporary", 1)):
        buffer = Buffer("x", (3, 5), dtype)
        storage = Storage()
        spec = storage.declare(buffer, role)  # type: ignore[arg-type]
        assert (spec.packed, spec.size, spec.shape) == (count, 15, (3, 5))
        words = -(-15 // count)
        bound = storage.bound(buffer)
        assert bound.shape == ((words,) if count > 1 else (3, 5))
        assert spec.storage == bound.dtype.name


def test_arrays_that_indices_of_32_bits_reach() -> None:
    Storage().declare(Buffer("x", ((1 << 31) - 1,), U8), "input")
    with pytest.raises(LimitError, match="an array of 2147483648 elements is more than indices"):
        Storage().declare(Buffer("x", (1 << 16, 1 << 15), F64), "input")
