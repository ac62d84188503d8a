"""Which operation is found to differ."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler import compare_targets as module
from tilewright.compiler import driver
from tilewright.compiler.compare_targets import compare, compare_targets
from tilewright.ir.dtypes import F32
from tilewright.ir.graph import Tensor

TENSOR = Tensor("t", (3,), F32)


def test_every_operation_is_compared_in_order() -> None:
    @tw.kernel
    def kernel(x):
        return np.sqrt(np.abs(x) + 1).sum(axis=0)

    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    found = compare_targets(kernel, {"x": x}, ("cpu", "wasm"))
    assert [c.tensor.label for c in found.nodes][-1] == "np.add.reduce"
    assert len(found.nodes) >= 4
    assert found.agree
    assert found.first is None


def test_the_first_wrong_operation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second target computes with a square root that is wrong, as a broken driver's."""

    @tw.kernel
    def kernel(x):
        return np.sqrt(x + 1) * 2

    right = driver.compile_traced

    class Broken:
        def __init__(self, made) -> None:
            self.made = made

        def run(self, inputs):
            nodes = self.made.traced.graph.outputs
            return [
                r * 1.001 if n.label in ("np.sqrt", "np.multiply") else r
                for n, r in zip(nodes, self.made.run(inputs), strict=True)
            ]

    def compile_traced(traced, target, options, runtime):
        made = right(traced, "cpu", options, runtime)
        return Broken(made) if target == "wasm" else made

    monkeypatch.setattr(module, "compile_traced", compile_traced)
    found = compare_targets(kernel, {"x": np.arange(3, dtype=np.float32)}, ("cpu", "wasm"))
    assert found.first is not None
    assert found.first.tensor.label == "np.sqrt"
    assert found.first.tensor.loc is not None
    assert found.first.difference == pytest.approx(0.001, rel=0.01)
    assert not found.agree


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ([1, 2, 3], [1, 2, 3], True),
        ([1, 2, 3], [1, 2.000001, 3], True),
        ([1, 2, 3], [1, 2.001, 3], False),
        ([np.nan, np.inf, 0], [np.nan, np.inf, -0.0], True),
        ([np.nan, 1, 1], [1, 1, 1], False),
        ([1, 1, 1], [np.nan, 1, 1], False),
        ([np.inf, 1, 1], [-np.inf, 1, 1], False),
        ([1000, 1e-5, 0], [1000, 2e-5, 1e-5], True),  # what cancellation leaves over
    ],
)
def test_floats(one: list[float], other: list[float], agree: bool) -> None:
    a, b = np.array(one, np.float32), np.array(other, np.float32)
    assert compare(TENSOR, a, b, 1e-5).agree is agree


def test_the_worst_element_is_shown() -> None:
    a = np.zeros((2, 3), np.float32)
    b = a.copy()
    b[1, 2] = 7
    found = compare(TENSOR, a, b, 1e-5)
    assert found.index == (1, 2)
    assert found.values == (0, 7)


def test_integers_must_be_equal() -> None:
    a = np.array([1 << 60], np.int64)
    assert compare(TENSOR, a, a.copy(), 1.0).agree
    assert not compare(TENSOR, a, a + 1, 1.0).agree


def test_half_precision_may_differ_by_its_own_rounding() -> None:
    a = np.array([1.0], np.float16)
    assert compare(TENSOR, a, np.nextafter(a, np.float16(2)), 1e-5).agree


def test_empty_arrays_agree() -> None:
    assert compare(TENSOR, np.ones((0, 3)), np.ones((0, 3)), 0).agree
