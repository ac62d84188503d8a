"""That a captured value which changes, also deep inside and in place, is never used stale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.cache.contents import contents_of, is_same_plain

LARGE = np.zeros(100_003)


@pytest.mark.parametrize("place", [0, 7, 5000, 99_999, 100_002])
def test_every_element_of_a_large_array_counts(place: int) -> None:
    array = LARGE.copy()
    held = contents_of(array)
    assert held is not None
    assert held.same(array)
    assert held.same(array.copy())
    array[place] = -0.0
    assert not held.same(array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, np.nan]),
        np.zeros(0),
        np.array(3),
        np.arange(12).reshape(3, 4).T,
        np.zeros(3, np.uint8),
    ],
)
def test_arrays_are_the_same_as_themselves(array: Any) -> None:
    held = contents_of(array)
    assert held is not None
    assert held.same(array)
    assert not held.same(array.reshape(1, *array.shape))
    assert not held.same(array.astype(np.float16))
    assert not held.same(list(array.flat))


def test_arrays_that_nobody_can_write_to_are_not_copied() -> None:
    array = np.ones(3)
    array.flags.writeable = False
    assert contents_of(array) is None
    base = np.ones(3)
    view = base[:]
    view.flags.writeable = False
    assert contents_of(view) is not None


class Settings:
    factor = 1
    weights = np.ones(3, np.float32)
    nested = {"k": [1]}  # noqa: RUF012


class MoreSettings(Settings):
    pass


def scaled(a: Any) -> Any:
    return a * scaled.factor  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Settings, MoreSettings])
def test_attributes_of_classes_are_never_used_stale(kind: Any) -> None:
    ones = np.ones(3, np.float32)
    kernel = tw.kernel(lambda a: a * kind.factor + kind.weights * kind.nested["k"][0])

    def check() -> None:
        for _ in range(3):
            np.testing.assert_array_equal(kernel(ones), kernel.python(ones))

    check()
    for change in (
        lambda: setattr(Settings, "factor", Settings.factor + 1),
        lambda: Settings.weights.__setitem__(1, Settings.weights[1] + 1),
        lambda: Settings.nested["k"].append(Settings.nested["k"].pop() + 1),
    ):
        change()
        check()


class Options:
    def __init__(self) -> None:
        self.factor = 1


class Everything:
    class Inner:
        factor = 1

    options = Options()

    @staticmethod
    def scaled(a: Any) -> Any:
        return a * OUTER["factor"]

    @classmethod
    def scaled_twice(cls, a: Any) -> Any:
        return a * cls.Inner.factor * OUTER["factor"]


OUTER = {"factor": 1}


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (lambda a: a * Everything.Inner.factor, lambda v: setattr(Everything.Inner, "factor", v)),
        (
            lambda a: a * Everything.options.factor,
            lambda v: setattr(Everything.options, "factor", v),
        ),
        (lambda a: Everything.scaled(a), lambda v: OUTER.update(factor=v)),
        (lambda a: Everything.scaled_twice(a), lambda v: OUTER.update(factor=v)),
    ],
    ids=["class in it", "object in it", "static method", "class method"],
)
def test_what_is_read_through_a_class_is_never_used_stale(function: Any, change: Any) -> None:
    kernel = tw.kernel(function)
    for factor in (1, 1, 1, 2, 2, 3, 1):
        change(factor)
        np.testing.assert_array_equal(kernel(np.ones(3)), function(np.ones(3)))


def test_attributes_of_functions_are_never_used_stale() -> None:
    kernel = tw.kernel(scaled)
    for factor in (1, 1, 1, 2, 2, 3):
        scaled.factor = factor  # type: ignore[attr-defined]
        np.testing.assert_array_equal(kernel(np.ones(3)), np.full(3, float(factor)))


def test_containers() -> None:
    value: dict[str, Any] = {"a": [1, 2.0, np.ones(2)], "b": None}
    held = contents_of(value)
    assert held is not None
    assert held.same({"a": [1, 2.0, np.ones(2)], "b": None})
    assert not held.same({"b": None, "a": [1, 2.0, np.ones(2)]})
    value["a"][2][0] = 5
    assert not held.same(value)


def test_plain_values() -> None:
    assert is_same_plain(float("nan"), float("nan"))
    assert not is_same_plain(0.0, -0.0)
    assert not is_same_plain(1, True)
    assert not is_same_plain(object(), object())


class Gain:
    scale = 2.0

    def __init__(self) -> None:
        self.table = np.ones(3)

    def __call__(self, x):
        return np.zeros(3) + x * self.table * self.scale


def test_kernels_see_changes_of_captured_objects() -> None:
    gain = Gain()
    kernel = tw.kernel(lambda x: gain(x))
    x = np.ones(3)

    def expect(value: float) -> None:
        for _ in range(3):  # the third call may take the fast path
            np.testing.assert_array_equal(kernel(x), np.full(3, value))

    expect(2)
    gain.table[:] = 3
    expect(6)
    gain.table = np.full(3, 4.0)
    expect(8)
    gain.scale = 1.0
    expect(4)
    del gain.scale
    expect(8)


def test_captured_objects_are_read_only() -> None:
    gain: Any = Gain()

    class Writes:
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def keep(self, x: Any) -> Any:
            setattr(self, "last", x)  # noqa: B010
            return x

    writes = Writes()
    with pytest.raises(tw.TraceError):
        tw.kernel(lambda x: writes.keep(x) + gain(x))(np.ones(3))


def test_an_index_equal_to_both_extremes_is_in_range() -> None:
    kernel = tw.kernel(lambda x, i: x[i])
    assert kernel(np.arange(9.0), np.array([3])) == 3
    assert kernel(np.arange(9.0), np.array([-9])) == 0
    with pytest.raises(tw.BoundsError, match="index 9 is out of bounds"):
        kernel(np.arange(9.0), np.array([9]))


def test_defaults_that_change_in_place_are_seen() -> None:
    array, listed, named = np.ones(3, np.float32), [1.0, 2.0], {"a": 1.0}

    def helper(x: Any, w: Any = array) -> Any:
        return x + w

    @tw.kernel
    def kernel(x: Any, w: Any = array, c: Any = listed, *, d: Any = named) -> Any:
        return helper(x) * w * c[1] * d["a"]

    x = np.ones(3, np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(kernel(x), kernel.python(x))
    for change in (lambda: array.fill(3), lambda: listed.append(1.0), lambda: named.update(a=5.0)):
        change()
        np.testing.assert_array_equal(kernel(x), kernel.python(x))
    listed[1] = 4.0
    np.testing.assert_array_equal(kernel(x), kernel.python(x))


def test_a_helper_that_is_given_new_code_or_defaults_is_seen() -> None:
    def helper(x: Any, c: float = 2.0, *, d: float = 0.0) -> Any:
        return x * c + d

    def other(x: Any, c: float = 2.0, *, d: float = 0.0) -> Any:
        return x - c - d

    kernel = tw.kernel(lambda x: helper(x))
    x = np.ones(3)

    def agrees() -> None:
        for _ in range(3):  # the later calls take the path in machine code
            np.testing.assert_array_equal(kernel(x), helper(x))

    agrees()
    helper.__defaults__ = (5.0,)
    agrees()
    helper.__kwdefaults__ = {"d": 1.0}
    agrees()
    helper.__code__ = other.__code__
    agrees()
