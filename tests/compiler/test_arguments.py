"""What each kind of value is as an argument, and what becomes of it before a call."""

from __future__ import annotations

import enum
import warnings
from array import array
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.argument_trees import is_tree
from tilewright.compiler.arguments import Binder, contiguous, describe
from tilewright.compiler.converted_arguments import is_leaf
from tilewright.compiler.declared_arguments import DeclaredArguments
from tilewright.ir import dtypes
from tilewright.ir.dtypes import F32, I64
from tilewright.ir.errors import (
    DTypeError,
    IntegerRangeError,
    ShapeError,
    TilewrightError,
    TraceError,
)
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec


class Colour(enum.Enum):
    RED = 1


class Convertible:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.arange(3, dtype=np.int16)


class Framed:
    """As a picture of Pillow: other attributes, and an interface that only NumPy asks for."""

    def __init__(self) -> None:
        self.pixels = np.arange(6, dtype=np.uint8)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        shape, typestr = self.pixels.shape, self.pixels.dtype.str
        return {"version": 3, "shape": shape, "typestr": typestr, "data": self.pixels.tobytes()}


class Broken:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("on another device")


def function(v: Any) -> Any:
    return v


ARRAYS: list[tuple[Any, ArraySpec]] = [
    (np.zeros((2, 0, 3), np.float32), tw.f32[2, 0, 3]),
    (np.zeros((), np.uint8), tw.u8[()]),
    (np.zeros(2, bool), ArraySpec(dtypes.BOOL, (2,))),
    (np.zeros(2, ">i4"), tw.i32[2]),
    (np.zeros(2, ">f8"), tw.f64[2]),
    (np.float16(1), tw.f16[()]),
    (np.int64(1), tw.i64[()]),
    (np.bool_(True), ArraySpec(dtypes.BOOL, ())),
    ([1, 2], tw.i64[2]),
    ([[1.5], [2.5]], tw.f64[2, 1]),
    ([], tw.f64[0]),
    (Convertible(), tw.i16[3]),
    (Framed(), tw.u8[6]),
    (array("h", [1, 2]), tw.i16[2]),
    (memoryview(b"ab"), tw.u8[2]),
    ((np.float32(1), np.float32(2)), tw.f32[2]),
]
STATIC: list[Any] = [
    *(True, None, "text", b"bytes", (), (1, 2.5, True), (1, ("a", None)), np.dtype("f4")),
    *(slice(1, None, 2), Ellipsis, Colour.RED, function, len, np.float32, (Colour.RED, 1)),
]


@pytest.mark.parametrize(("value", "spec"), ARRAYS, ids=lambda v: type(v).__name__)
def test_arrays(value: Any, spec: ArraySpec) -> None:
    found, passed = describe(value, "x")
    assert found == spec
    assert is_leaf(value) or isinstance(value, tuple)
    assert not is_tree(value)
    np.testing.assert_array_equal(passed, np.asarray(value))


@pytest.mark.parametrize("value", STATIC, ids=lambda v: getattr(v, "__name__", repr(v)))
def test_static_values(value: Any) -> None:
    assert describe(value, "x") == (StaticSpec(value), value)
    assert is_leaf(value)


def test_numbers() -> None:
    for number in (0, -1, (1 << 63) - 1, -(1 << 63)):
        assert describe(number, "n") == (ScalarSpec("int"), number)
    assert describe(1.5, "n") == (ScalarSpec("float"), 1.5)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (1 << 63, IntegerRangeError, "9223372036854775808 does not fit into int64"),
        (-(1 << 63) - 1, IntegerRangeError, "does not fit into int64"),
        (np.ma.masked_array([1.0]), DTypeError, "is a masked array"),
        (object(), DTypeError, "is of type object, which is not an array"),
        (iter([1]), DTypeError, "iterator, which is not an array"),
        ([[1], [1, 2]], ShapeError, "cannot be made an array"),
        (Broken(), DTypeError, "cannot be made an array: on another device"),
        (np.zeros(2, complex), DTypeError, "has dtype complex128, which kernels cannot hold"),
        (np.array(["a"]), DTypeError, "has dtype <U1, which kernels cannot hold"),
        (np.zeros(2, "datetime64[s]"), DTypeError, "which kernels cannot hold"),
        (np.zeros(2, [("a", "i4")]), DTypeError, "which kernels cannot hold"),
        (np.zeros(2, np.longdouble), DTypeError, "which kernels cannot hold"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_argument(value: Any, kind: type[TilewrightError], said: str) -> None:
    with pytest.raises(kind, match=said):
        describe(value, "x")


def test_matrices_mean_something_else() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = np.matrix([[1.0]])
    with pytest.raises(DTypeError, match=r"is an np\.matrix, whose"):
        describe(matrix, "x")


def test_what_is_passed_lies_in_one_piece() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    spec = tw.f32[3, 4]
    assert contiguous(x, spec, "x") is x
    raw = np.zeros(4 * 12 + 1, np.uint8)[1:].view(np.float32)
    for other in (
        x.T.copy().T,
        x.copy()[::-1],
        x.astype(">f4"),
        x.astype(np.float64),
        raw.reshape(3, 4),
    ):
        other[...] = x
        made = contiguous(other, spec, "x")
        assert made is not other
        assert made.flags.c_contiguous
        assert made.flags.aligned
        assert made.dtype == np.float32
        assert made.dtype.isnative
        np.testing.assert_array_equal(made, x)
    assert type(contiguous(np.array(x).view(np.recarray), spec, "x")) is np.ndarray
    number = contiguous(3, ScalarSpec("int"), "n")
    assert number.dtype == np.int64
    assert number.shape == ()
    assert contiguous(3, ScalarSpec("float"), "n").dtype == np.float64


def test_numbers_fit_the_arrays_that_they_meet() -> None:
    spec = ScalarSpec("int", (dtypes.U8, dtypes.I16))
    for fits in (0, 255):
        assert contiguous(fits, spec, "n") == fits
    for does_not in (-1, 256):
        with pytest.raises(IntegerRangeError, match=f"{does_not} out of bounds for uint8"):
            contiguous(does_not, spec, "n")
    with pytest.raises(IntegerRangeError, match="out of bounds for int16"):
        contiguous(-40_000, ScalarSpec("int", (dtypes.I16,)), "n")


N, M = tw.dim("N"), tw.dim("M")


def test_declared_arguments() -> None:
    declared = DeclaredArguments(
        {"x": tw.f32[N, 3], "s": tw.f32, "k": ArraySpec(I64)}, ("x", "s", "k", "y")
    )
    assert declared.apply("x", tw.f32[7, 3]) == tw.f32[N, 3]
    assert declared.apply("y", tw.f64[2]) == tw.f64[2]
    assert declared.apply("s", tw.f32[()]) == ArraySpec(F32)
    assert declared.apply("s", ScalarSpec("float")) == ArraySpec(F32)
    assert declared.apply("k", ScalarSpec("int")) == ArraySpec(I64)
    wrong: list[tuple[str, ArgumentSpec, type[TilewrightError]]] = [
        ("x", tw.f64[7, 3], DTypeError),
        ("x", tw.f32[7, 4], ShapeError),
        ("x", tw.f32[7], ShapeError),
        ("x", tw.f32[7, 3, 1], ShapeError),
        ("x", ScalarSpec("float"), DTypeError),
        ("x", StaticSpec(None), DTypeError),
        ("s", StaticSpec("a"), DTypeError),
    ]
    for name, found, kind in wrong:
        with pytest.raises(kind, match=f"argument '{name}' is .*, but was declared as"):
            declared.apply(name, found)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"z": tw.f32[3]}, "the kernel has no argument 'z'"),
        ({"x": "f32[3]"}, r"argument 'x' is declared as 'f32\[3\]'"),
        ({"x": np.zeros(3)}, "argument 'x' is declared as"),
    ],
)
def test_what_cannot_be_declared(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TraceError, match=said):
        DeclaredArguments(given, ("x", "y"))


def test_open_dimensions_are_closed_by_a_call() -> None:
    declared = DeclaredArguments({"x": tw.f32[N, M], "y": tw.f32[M, 2]}, ("x", "y", "z"))
    values = {"x": np.zeros((4, 5), "f4"), "y": np.zeros((5, 2), "f4"), "z": 3}
    specs: dict[str, ArgumentSpec] = {**declared.specs, "z": ScalarSpec("int")}
    assert declared.closed(specs, values) == {
        "x": tw.f32[4, 5],
        "y": tw.f32[5, 2],
        "z": ScalarSpec("int"),
    }
    with pytest.raises(ShapeError, match="M"):
        declared.closed(specs, {**values, "y": np.zeros((6, 2), "f4")})


def test_binding() -> None:
    def three(a: Any, b: Any = 2, *, c: Any = 3) -> Any:
        return a, b, c

    def two(a: Any, out: Any) -> Any:
        return a, out

    binder = Binder(three)
    assert binder.names == binder.all_names == ("a", "b", "c")
    assert not binder.by_position
    assert not binder.takes_out
    assert binder.bind((1,), {}) == {"a": 1}
    assert binder.bind((1,), {"c": 4}) == {"a": 1, "c": 4}
    with pytest.raises(TypeError, match=r"three\(\) .*; its arguments are \(a"):
        binder.bind((1, 2, 3), {})
    assert Binder(two).takes_out
    assert Binder(two).by_position
    assert Binder(two).bind((1, 2), {}) == {"a": 1, "out": 2}
    bound = Binder(three, ("a",))
    assert (bound.names, bound.all_names) == (("b", "c"), ("a", "b", "c"))
    assert bound.bind((5,), {}) == {"b": 5}
    again = Binder.of_signature(binder.signature)
    assert again.names == binder.names
    with pytest.raises(TypeError, match=r"the kernel\(\) missing a required argument: 'a'"):
        again.bind((), {})
