"""Which kernels the call path in machine code serves, and that the others are called as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import records_of
from tilewright.codegen_cpu.fastcall_ir import MAX_OUTPUTS

X = np.arange(6, dtype=np.float32)
needs_records = pytest.mark.skipif(
    python_abi.unusable() is not None, reason=f"not made for {python_abi.unusable()}"
)


def called(kernel: tw.Kernel, *args: Any) -> Any:
    """The last of three calls: the second prepares the way that it takes."""
    results = [kernel(*args) for _ in range(3)]
    return results[-1]


def counts_slow_calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []
    describe = tw.Kernel._describe

    def counting(self: tw.Kernel, args: Any, kwargs: Any) -> Any:
        seen.append(args)
        return describe(self, args, kwargs)

    monkeypatch.setattr(tw.Kernel, "_describe", counting)
    return seen


@pytest.mark.parametrize("count", [MAX_OUTPUTS, MAX_OUTPUTS + 1, 3 * MAX_OUTPUTS])
def test_any_number_of_results(count: int) -> None:
    kernel = tw.kernel(lambda x: tuple(x + k for k in range(count)))
    x = np.arange(4, dtype=np.float32)
    for _ in range(3):
        results = kernel(x)
        assert len(results) == count
        np.testing.assert_array_equal(results[-1], x + np.float32(count - 1))


@needs_records
def test_calls_by_name_and_with_views_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tw.kernel(lambda x, y, s: x * s - y)
    expected = X * np.float32(2) - X[::-1]
    called(kernel, X, X[::-1].copy(), 2.0)
    slow = counts_slow_calls(monkeypatch)
    out = np.empty_like(X)
    np.testing.assert_array_equal(kernel(s=2.0, y=X[::-1], x=X), expected)
    assert kernel(X, X[::-1], s=2.0, out=out) is out
    np.testing.assert_array_equal(out, expected)
    wide = np.repeat(X, 2)[::2]
    np.testing.assert_array_equal(kernel(wide, y=X[::-1], s=2.0), expected)
    assert slow == []


@needs_records
def test_results_in_containers_and_python_numbers_are_native(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def results(x):
        return {"sum": float(x.sum()), "parts": [x + 1, (x[0], None)]}

    kernel = tw.kernel(results)
    called(kernel, X)
    slow = counts_slow_calls(monkeypatch)
    made = kernel(X)
    assert slow == []
    assert made["sum"] == 15.0
    assert type(made["sum"]) is float
    np.testing.assert_array_equal(made["parts"][0], X + 1)
    assert isinstance(made["parts"], list)
    assert made["parts"][1] == (np.float32(0), None)
    assert type(made["parts"][1][0]) is np.float32


@needs_records
def test_checked_positions_are_native_and_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tw.kernel(lambda x, i: x[i])
    good, bad = np.array([0, 5, -6]), np.array([0, 6, 1])
    called(kernel, X, good)
    slow = counts_slow_calls(monkeypatch)
    np.testing.assert_array_equal(kernel(X, good), X[good])
    with pytest.raises(tw.BoundsError, match="index 6 is out of bounds for axis 0 with size 6"):
        kernel(X, bad)
    np.testing.assert_array_equal(kernel(X, good[::-1]), X[good[::-1]])
    assert slow == []
    out = np.full(3, 7, np.float32)
    with pytest.raises(tw.BoundsError):
        kernel(X, bad, out=out)
    assert out.tolist() == [7, 7, 7]
    assert kernel(X, good, out=out) is out
    np.testing.assert_array_equal(out, X[good])


def test_checks_of_open_dimensions_take_the_ordinary_way() -> None:
    n = tw.dim("n")
    kernel = tw.kernel(x=tw.f32[n])(lambda x, i: x[i])
    for _ in range(3):
        np.testing.assert_array_equal(kernel(X, np.array([5])), X[5:])
        with pytest.raises(tw.BoundsError, match="size 4"):
            kernel(X[:4].copy(), np.array([5]))
    assert records_of(kernel) == ()


@needs_records
def test_open_dimensions_are_served_and_keep_their_least_values() -> None:
    n, m = tw.dim("N"), tw.dim("M", least=4)
    free = tw.kernel(x=tw.f32[n])(lambda x: x * 2)
    at_least = tw.kernel(x=tw.f32[m])(lambda x: x[:4] * 2)
    two = tw.kernel(x=tw.f32[n])(lambda x: x[1:].max())
    for kernel in (free, at_least, two):
        called(kernel, X)
        assert records_of(kernel)
    assert free(X[:0]).size == 0
    with pytest.raises(tw.ShapeError, match="dimension M is 3, but at least 4"):
        at_least(X[:3].copy())
    assert two(X[:2].copy()) == X[1]
    with pytest.raises(tw.ShapeError, match="zero-size array"):
        two(X[:1].copy())
