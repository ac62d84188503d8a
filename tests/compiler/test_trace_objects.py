"""Objects and classes of the user's under tracing: what is data of a class, and what it decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced
from tilewright.compiler.argument_trees import attributes_of, is_object
from tilewright.compiler.trace.objects import class_constants, held_by_class
from tilewright.ir.errors import TraceError

OFFSET = 2.0
X = np.arange(4.0)


class Base:
    """Documented, which no kernel reads."""

    gain = 3.0
    limits: ClassVar[tuple[float, float]] = (0.0, 5.0)

    def scaled(self, x: Any) -> Any:
        return x * self.gain + OFFSET

    @staticmethod
    def halved(x: Any) -> Any:
        return x / 2

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return x - cls.gain


class Filter(Base):
    __slots__ = ("taps",)
    gain = 4.0
    steps = 2

    def __init__(self, taps: Any) -> None:
        self.taps = taps

    def __call__(self, x: Any) -> Any:
        return self.scaled(x) * self.taps

    def __add__(self, other: Any) -> Any:
        return self.taps + other

    @property
    def total(self) -> Any:
        return self.taps.sum() * self.steps


class Colour(Enum):
    RED = 1


def test_the_data_of_a_class_is_that_of_its_bases_too() -> None:
    assert [*class_constants(Filter)] == [
        *((Filter, "gain", 4.0), (Filter, "steps", 2)),
        *((Base, "gain", 3.0), (Base, "limits", (0.0, 5.0))),
    ]
    assert not [*class_constants(Colour)]
    assert not [*class_constants(dict)]


def test_what_methods_read_is_held_by_the_class() -> None:
    package = __name__.partition(".")[0]
    found = [(where, name, value) for where, name, _, value in held_by_class(Base, vars, package)]
    assert found == [
        *(("class Base", "gain", 3.0), ("class Base", "limits", (0.0, 5.0))),
        (f"global of {__name__}", "OFFSET", 2.0),
    ]
    other = [name for _, name, _, _ in held_by_class(Base, vars, "another")]
    assert other == ["gain", "limits"]


def test_attributes_methods_and_operators() -> None:
    made = Filter(np.array([1.0, 2.0, 0.5, 3.0]))

    def function(x: Any) -> Any:
        return made(x), made + x, made.total + x, made.halved(x), made.of_class(x), made.limits[1]

    check(function, X)
    check(lambda x: (Filter.halved(x), Filter.of_class(x), x * Filter.steps), X)
    check(lambda x: x if isinstance(made, Base) and type(made) is Filter else -x, X)


def test_a_changed_class_compiles_anew() -> None:
    class Held(Base):
        gain = 1.0

    held = Held()
    kernel = tw.kernel(lambda x: held.scaled(x))
    for gain in (1.0, 7.0, 1.0):
        Held.gain = gain
        np.testing.assert_array_equal(kernel(X), X * gain + OFFSET)
    Held.__doc__ = "changed"
    before = len(kernel.specializations)
    kernel(X)
    assert len(kernel.specializations) == before


def assigned(made: Any) -> None:
    made.taps = 1


def added(made: Any) -> None:
    made.other = 1


def deleted(made: Any) -> None:
    del made.taps


@pytest.mark.parametrize("change", [assigned, added, deleted])
def test_objects_cannot_be_changed(change: Any) -> None:
    made = Filter(np.ones(4))

    def function(x: Any) -> Any:
        change(made)
        return x

    with pytest.raises(TraceError, match=r"(assigns to|deletes) the attribute '(taps|other)'"):
        traced(function, X)
    assert made.taps.sum() == 4


@dataclass(slots=True)
class Line:
    slope: Any
    start: float = 1.0

    def __call__(self, x: Any) -> Any:
        return x * self.slope + self.start


@dataclass(slots=True)
class Curve(Line):
    bend: float = 0.5

    def __call__(self, x: Any) -> Any:
        return x * x * self.bend + Line.__call__(self, x)


class Private:
    __slots__ = ("__gain", "empty")
    empty: int

    def __init__(self, gain: float) -> None:
        self.__gain = gain

    def set(self, gain: float) -> None:
        self.__gain = gain

    def __call__(self, x: Any) -> Any:
        return x * self.__gain * (2 if hasattr(self, "empty") else 1)


class Mixed(Private):
    """Its attributes are in slots and in a dict."""

    offset = 0.0

    def __call__(self, x: Any) -> Any:
        return Private.__call__(self, x) + self.offset


def made_in_slots() -> list[Any]:
    mixed = Mixed(3.0)
    mixed.offset = 5.0
    return [Line(2.0), Line(np.arange(4.0)), Curve(3.0, 2.0), Private(4.0), mixed]


@pytest.mark.parametrize("held", made_in_slots(), ids=lambda v: type(v).__name__)
def test_attributes_in_slots(held: Any) -> None:
    check(lambda x: held(x), X)
    np.testing.assert_array_equal(tw.kernel(lambda x, f: f(x))(X, held), held(X))


@pytest.mark.parametrize(
    ("held", "change"),
    [
        (Line(2.0), lambda f: setattr(f, "slope", 7.0)),
        (Line(np.ones(4)), lambda f: f.slope.fill(7.0)),
        (Curve(3.0), lambda f: setattr(f, "start", 9.0)),
        (Private(4.0), lambda f: f.set(6.0)),
        (Private(4.0), lambda f: setattr(f, "empty", 1)),
        (Mixed(4.0), lambda f: f.set(6.0)),
        (Mixed(4.0), lambda f: setattr(f, "offset", 8.0)),
    ],
)
def test_a_changed_slot_compiles_anew(held: Any, change: Any) -> None:
    kernel = tw.kernel(lambda x: held(x))
    for _ in range(3):  # the later calls may take the path in machine code
        np.testing.assert_array_equal(kernel(X), held(X))
    before = held(X)
    change(held)
    assert (before != held(X)).any()
    for _ in range(3):
        np.testing.assert_array_equal(kernel(X), held(X))


def test_the_attributes_of_an_object() -> None:
    assert dict(attributes_of(Curve(1.0))) == {"slope": 1.0, "start": 1.0, "bend": 0.5}
    mixed = Mixed(3.0)
    found = attributes_of(mixed)
    assert dict(found) == {"_Private__gain": 3.0}
    mixed.offset, mixed.empty = 2.0, 1
    assert dict(found) == {"_Private__gain": 3.0, "empty": 1, "offset": 2.0}
    assert len(found) == 3
    assert found.get("missing") is None
    del mixed.empty
    assert "empty" not in found


@pytest.mark.parametrize(
    ("value", "taken_apart"),
    [
        (Line(1.0), True),
        (Private(1.0), True),
        (Filter(1.0), True),
        *((re.compile("a"), False), (Path("a"), False), (date(2026, 1, 1), False)),
        *((Decimal(1), False), (Colour.RED, False), (Line, False), (np.float32(1), False)),
        *((tw.dim("N"), False), (object(), False), (slice(1), False), (iter([1]), False)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_objects_of_the_users_are_taken_apart(value: Any, taken_apart: bool) -> None:
    assert is_object(value) is taken_apart


# Kernels as methods, and methods of what is no function.


class Layer:
    """Its methods are kernels."""

    gain = 3.0

    def __init__(self) -> None:
        self.weights = np.array([1.0, 2.0, 0.5, 3.0])

    @tw.kernel
    def scaled(self, x: Any, more: Any = 1.0) -> Any:
        return x * self.weights + more

    @tw.kernel
    def by_two(self, x: Any, times: Any = 2.0) -> Any:
        """Reads nothing of its object: a lost `self` would shift the arguments unnoticed."""
        return x * times

    @tw.kernel
    def __call__(self, x: Any) -> Any:
        return x - self.weights

    @staticmethod
    @tw.kernel
    def halved(x: Any) -> Any:
        return x / 2

    @classmethod
    @tw.kernel
    def of_class(cls, x: Any) -> Any:
        return x - cls.gain

    total = property(tw.kernel(lambda self: self.weights.sum()))
    first = property(attrgetter("weights"))


LAYER = Layer()
BOUND = (LAYER.scaled, LAYER.by_two, LAYER.of_class)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: LAYER.scaled(x),
        lambda x: LAYER.by_two(x, 5.0),
        lambda x: LAYER(x),
        lambda x: LAYER.halved(x) + LAYER.of_class(x),
        lambda x: x * LAYER.total + LAYER.first,
        lambda x: BOUND[0](x, x),
        lambda x: BOUND[1](x, 5.0) + BOUND[1](x),
        lambda x: BOUND[2](x),
    ],
)
def test_kernels_as_methods(function: Any) -> None:
    check(function, X)


def test_kernels_as_methods_of_arguments() -> None:
    def run(layer: Any, x: Any) -> Any:
        return layer.by_two(x, 5.0) + layer.scaled(x, more=x) + layer(x) + layer.total

    np.testing.assert_array_equal(tw.kernel(run)(LAYER, X), run(LAYER, X))


@pytest.mark.parametrize(
    ("method", "others"),
    [
        (MethodType(tw.kernel(lambda a, b: a - b * OFFSET), X + 1), lambda x: [x]),
        (
            MethodType(partial(lambda factor, a, b: factor * a - b * OFFSET, 3.0), X + 1),
            lambda x: [x],
        ),
        (MethodType(np.linalg.norm, X + 1), lambda x: []),
        (MethodType(max, 3.0), lambda x: [2.0]),
    ],
    ids=["a kernel", "a partial", "NumPy's", "a builtin"],
)
def test_methods_of_any_callable(method: Any, others: Any) -> None:
    """The object comes first, and what the function reads from outside is traced."""
    check(lambda x: x * method(*others(x)), X)
