"""Bugs found while the documentation was written."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.ir.errors import UnsupportedError

N = tw.dim("N")


def quarter(x):
    y = np.exp(x[: x.shape[0] // 4])
    return np.cumsum(y) / y.sum()


def test_temporaries_of_divided_open_sizes():
    kernel = tw.kernel(x=tw.f32[N])(quarter)
    for size in (32, 35, 4, 1000):
        x = np.linspace(-1, 1, size, dtype=np.float32)
        np.testing.assert_allclose(kernel(x), quarter(x), rtol=1e-5)


WEIGHTS = np.array([1.0, 2.0, 3.0], np.float32)


def test_elements_of_known_arrays_at_an_index_variable():
    @tw.kernel
    def weighted(x):
        return tw.compute((3,), lambda i: (WEIGHTS[i] * WEIGHTS[i]) * x[i])

    np.testing.assert_array_equal(weighted(WEIGHTS), WEIGHTS**3)


def test_stages_print_as_ir():
    compiled = tw.kernel(quarter).compile(tw.f32[32])
    for stage, word in (("graph", "graph "), ("program", "program "), ("kernel", "for vector")):
        assert word in str(compiled.stage(stage))


def test_advice_for_a_function_that_numpy_has():
    @tw.kernel
    def spectrum(x):
        return np.linalg.eigvals(x)

    with pytest.raises(UnsupportedError) as caught:
        spectrum(np.eye(3))
    assert "did you mean" not in str(caught.value)
    assert "outside of the kernel" in str(caught.value)
