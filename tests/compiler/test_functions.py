"""The functions that NumPy lacks, against the C library's and against float64 formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tilewright.compiler import functions as tw
from tilewright.compiler.eager import functions as eager
from tilewright.ir.errors import DTypeError, KernelError

X = np.concatenate([np.linspace(-30, 30, 6001), np.linspace(-0.6, 0.6, 999), [1e-300, 5e-324]])


def ulps(got: Any, want: Any) -> Any:
    """The distance in units of the last place of `want`, leaving out subnormals."""
    got, want = np.asarray(got), np.asarray(want)
    normal = np.abs(want) >= np.finfo(want.dtype).tiny
    return np.max(np.abs(got[normal] - want[normal]) / np.spacing(np.abs(want[normal])))


def test_erf_is_within_2_ulp() -> None:
    assert ulps(tw.erf(X), np.array([math.erf(v) for v in X])) <= 2


def test_erfc_is_within_4_ulp_down_to_the_smallest() -> None:
    assert ulps(tw.erfc(X), np.array([math.erfc(v) for v in X])) <= 4


@pytest.mark.parametrize("f", [tw.erf, tw.erfc])
def test_erf_of_special_values(f: Any) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    want = [getattr(math, f.__name__)(v) for v in x]
    np.testing.assert_array_equal(f(x), want)
    np.testing.assert_array_equal(np.signbit(f(x)[1:]), np.signbit(want)[1:])


REFERENCES: dict[str, Any] = {
    "sigmoid": lambda v: 1 / (1 + math.exp(-v)) if v > -700 else 0.0,
    "silu": lambda v: v / (1 + math.exp(-v)) if v > -700 else -0.0,
    "softplus": lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))),
    "gelu": lambda v: 0.5 * v * math.erfc(-v / math.sqrt(2)),
    "relu": lambda v: max(v, 0.0),
    "leaky_relu": lambda v: v if v > 0 else 0.01 * v,
    "cbrt": math.cbrt,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_float32_results_are_rounded_once(name: str) -> None:
    x = np.concatenate([X, [-1e3, 1e3]]).astype(np.float32)
    got = getattr(tw, name)(x)
    want = np.array([REFERENCES[name](float(v)) for v in x]).astype(np.float32)
    assert got.dtype == np.float32
    assert ulps(got, want) <= 1


@pytest.mark.parametrize("name", ["sigmoid", "silu", "softplus", "gelu"])
def test_activations_reach_their_limits(name: str) -> None:
    got = getattr(tw, name)(np.array([-np.inf, np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(got, [0, 1 if name == "sigmoid" else np.inf, np.nan])


def test_gelu_by_tanh() -> None:
    x = np.linspace(-3, 3, 101)
    want = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(tw.gelu(x, approximate="tanh"), want, rtol=1e-12, atol=1e-15)
    with pytest.raises(KernelError, match="no approximation 'erf'"):
        tw.gelu(x, approximate="erf")


def test_integers_become_floats_as_under_exp() -> None:
    for dtype in ("bool", "int8", "uint16", "int32", "int64"):
        x = np.ones(2, dtype)
        assert tw.sigmoid(x).dtype == np.exp(x).dtype
    assert tw.relu(np.array([-1, 2], np.int8)).dtype == np.int8
    assert isinstance(tw.rsqrt(4), np.float64)
    with pytest.raises(DTypeError, match="complex"):
        tw.sigmoid(1j)


def test_softmax_and_its_kin_neither_overflow_nor_lose_small_values() -> None:
    x = np.array([[1e4, 1e4 - 1, -1e4], [0, 1, 2]], np.float32)
    np.testing.assert_allclose(tw.softmax(x).sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(tw.log_softmax(x)), tw.softmax(x), rtol=1e-5, atol=1e-30)
    assert tw.log_softmax(x)[0, 2] < -1e4
    np.testing.assert_allclose(tw.logsumexp(x, axis=1)[1], np.log(np.exp(x[1]).sum()), rtol=1e-6)
    assert tw.logsumexp(x, axis=0, keepdims=True).shape == (1, 3)
    assert tw.softmax(x).dtype == np.float32


def test_logsumexp_of_infinities() -> None:
    assert tw.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    assert tw.logsumexp(np.array([np.inf, 1.0])) == np.inf


class Recorder:
    """Stands for a tracer and for one of its arrays."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.__tilewright_tracer__ = self

    def call(self, name: str, args: Any, keywords: Any) -> str:
        self.calls.append((name, args, keywords))
        return "traced"


def test_traced_arguments_go_to_their_tracer() -> None:
    x = Recorder()
    assert tw.gelu(x, approximate="tanh") == "traced"
    assert tw.logsumexp(x, axis=1) == "traced"
    assert x.calls == [
        ("gelu", (x,), {"approximate": "tanh"}),
        ("logsumexp", (x,), {"axis": 1, "keepdims": False}),
    ]


def test_every_public_function_has_its_numpy_twin() -> None:
    public = {n for n, f in vars(tw).items() if callable(f) and f.__module__ == tw.__name__}
    twins = {n for n, f in vars(eager).items() if callable(f) and f.__module__ == eager.__name__}
    assert {n for n in public if n[0] != "_"} == {n for n in twins if n[0] != "_"}
