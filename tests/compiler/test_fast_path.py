"""Kernels that the call path in machine code cannot serve are called the ordinary way."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_cpu.fastcall_ir import MAX_OUTPUTS


@pytest.mark.parametrize("count", [MAX_OUTPUTS, MAX_OUTPUTS + 1, 3 * MAX_OUTPUTS])
def test_any_number_of_results(count: int) -> None:
    kernel = tw.kernel(lambda x: tuple(x + k for k in range(count)))
    x = np.arange(4, dtype=np.float32)
    for _ in range(3):
        results = kernel(x)
        assert len(results) == count
        np.testing.assert_array_equal(results[-1], x + np.float32(count - 1))
