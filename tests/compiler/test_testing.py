"""`tw.testing.check`: passes what is right, names what is wrong, skips nothing."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler import testing
from tilewright.compiler.specialization import Specialization
from tilewright.ir.analysis.error_rules import Bounded
from tilewright.ir.errors import DeviceError

X = np.linspace(-3, 3, 60, dtype=np.float32).reshape(6, 10)


def mixed(x: Any) -> Any:
    return np.exp(x).sum(axis=0), x > 0, np.argmax(x, axis=1), x @ x.T


def test_a_right_kernel_is_reported_in_units_of_its_allowance() -> None:
    report = tw.testing.check(tw.kernel(mixed), (X,), ("cpu",))
    assert 0 < report.worst["cpu"] <= 1
    assert report.checked["cpu"] == 10 + 60 + 6 + 36
    assert report.free["cpu"] == 0


@pytest.mark.wasm
@pytest.mark.wgsl
@pytest.mark.glsl
def test_all_targets_keep_the_promise() -> None:
    report = tw.testing.check(mixed, (X,), ("cpu", "wasm", "wgsl", "glsl"))
    assert set(report.worst) == {"cpu", "wasm", "wgsl", "glsl"}
    assert max(report.worst.values()) <= 1


def test_a_wrong_element_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Specialization.run

    def wrong(self: Specialization, *args: Any) -> list[np.ndarray]:
        results = right(self, *args)
        results[0][2, 3] += 1e-4
        return results

    monkeypatch.setattr(Specialization, "run", wrong)
    with pytest.raises(AssertionError, match=r"cpu: output 0\[2, 3\] is .* expected .* at most"):
        tw.testing.check(lambda x: x + 1, (X,))


def test_nan_in_place_of_a_number_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Specialization.run

    def wrong(self: Specialization, *args: Any) -> list[np.ndarray]:
        results = right(self, *args)
        results[0][0, 0] = np.nan
        return results

    monkeypatch.setattr(Specialization, "run", wrong)
    with pytest.raises(AssertionError, match="nan"):
        tw.testing.check(lambda x: np.sqrt(x * x), (X,))


def test_every_mode_has_promises_and_others_are_errors() -> None:
    with pytest.raises(ValueError, match="numerics is 'exact'; it may be 'accurate', 'repro"):
        tw.testing.check(mixed, (X,), numerics="exact")
    assert tw.testing.check(mixed, (X,), numerics="reproducible").worst["cpu"] <= 1
    assert tw.testing.check(mixed, (X,), numerics="fast").worst["cpu"] <= 1


def test_unknown_targets_are_errors() -> None:
    with pytest.raises(tw.UnsupportedError, match="no target 'metal'"):
        tw.testing.check(mixed, (X,), ("metal",))


def test_a_missing_device_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(self: Specialization, *_: Any) -> Any:
        raise DeviceError("there is no adapter")

    monkeypatch.setattr(Specialization, "run", absent)
    with pytest.raises(DeviceError, match="no adapter"):
        tw.testing.check(mixed, (X,), ("wgsl",))


def test_a_lost_sign_of_zero_is_a_disagreement_where_ieee_is_promised() -> None:
    found, allowed = np.zeros(2, np.float32), Bounded(np.array([0.0, -0.0]), np.zeros(2))
    for target, wrong in (("cpu", True), ("wasm", True), ("wgsl", False), ("glsl", False)):
        assert (testing.compare(target, 0, found, allowed) is not None) == wrong
    free = Bounded(allowed.value, allowed.bound, np.array([False, True]))
    assert testing.compare("cpu", 0, found, free) is None
    assert testing.compare("cpu", 0, -found, free) is not None


def test_open_dimensions_and_scalars() -> None:
    size = tw.dim("N")
    kernel = tw.kernel(x=tw.f32[size, 10])(lambda x, factor: (x * factor).mean(axis=0))
    assert tw.testing.check(kernel, (X, 0.3)).worst["cpu"] <= 1


def test_the_examples_of_the_documentation() -> None:
    names = {"check": testing.check, "np": np}
    assert doctest.testmod(testing, extraglobs=names).failed == 0


def test_a_number_in_place_of_nan_is_wrong() -> None:
    nan, number = np.array([np.nan], np.float32), np.array([1.0], np.float32)
    expected = Bounded(nan.astype(np.float64), np.zeros(1))
    assert testing.compare("cpu", 0, nan, expected) is None
    assert testing.compare("cpu", 0, number, expected) is not None
    assert testing.compare("cpu", 0, nan, Bounded(np.ones(1), np.full(1, 9.0))) is not None


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x))),
        lambda x: 1 - np.tanh(x),
        lambda x: np.tanh(x[::-1].reshape(64, 64)) + 1,
    ],
)
def test_a_tangent_beside_a_one_has_the_bound_of_its_form(function: Callable[..., Any]) -> None:
    x = np.linspace(-0.2, 0.2, 4096, dtype=np.float32)
    assert tw.testing.check(function, (x,), targets=("cpu", "wasm")).worst["cpu"] > 0.1
