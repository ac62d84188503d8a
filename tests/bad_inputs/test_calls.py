"""Rows 25, 26 and what the list leaves out: calls with the wrong arguments or the wrong `out`."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import GRID, X, call, defined, refused


@tw.kernel
def doubled(a):
    return a * 2


@tw.kernel
def scaled(a, factor):
    return a * factor


# Rows 25 and 26: out.

OUT = {
    "read-only": (np.frombuffer(bytes(24), np.float32), ValueError, "out is read-only"),
    "broadcast": (np.broadcast_to(np.float32(0), 6), ValueError, "out is read-only"),
    "masked": (np.ma.zeros(6, np.float32), tw.DTypeError, "masked array"),
    "dtype": (np.zeros(6), tw.DTypeError, "out has dtype float64, the result has float32"),
    "byte order": (np.zeros(6, ">f4"), tw.DTypeError, "out has dtype >f4"),
    "length": (np.zeros(5, np.float32), tw.ShapeError, r"out has shape \(5,\)"),
    "rank": (np.zeros((1, 6), np.float32), tw.ShapeError, r"out has shape \(1, 6\)"),
    "list": ([0.0] * 6, tw.ShapeError, "out has 6 arrays for 1 results"),
    "text": ("out", tw.DTypeError, "out is a str, not a NumPy array"),
    "nothing": ((), tw.ShapeError, "out has 0 arrays for 1 results"),
}


@pytest.mark.parametrize("case", OUT)
def test_row_25_an_out_that_cannot_take_the_result(case: str) -> None:
    out, kind, said = OUT[case]
    before = copy.deepcopy(out)
    for _ in range(3):  # the third call is one that machine code would take
        with pytest.raises(kind, match=said) as caught:
            call(doubled, X, out=out)
    assert "np.empty((6,), np.float32)" in str(caught.value) or "give" in str(caught.value)
    np.testing.assert_array_equal(out, before)


def test_row_25_elements_that_share_memory() -> None:
    shared = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (6,), (0,))
    with pytest.raises(ValueError, match="share memory"):
        call(doubled, X, out=shared)
    halves = np.lib.stride_tricks.as_strided(np.zeros(8, np.float32), (6,), (2,))
    rows = np.lib.stride_tricks.as_strided(np.zeros(13, np.float32), (6, 8), (4, 4))
    for array, out in ((X, halves), (GRID, rows)):
        with pytest.raises(ValueError, match="share memory"):
            call(doubled, array, out=out)
        assert not out.any()


def test_row_25_strides_in_any_order_are_written() -> None:
    memory = np.zeros((5, 9, 7), np.float32)
    out = memory[1:3, ::-4, 1:7].transpose(1, 2, 0)
    array = np.arange(36, dtype=np.float32).reshape(3, 6, 2)
    np.testing.assert_array_equal(call(doubled, array, out=out), array * 2)


def test_row_25_a_parameter_that_is_named_out() -> None:
    loss = tw.kernel(lambda inp, out: (inp - out) ** 2)
    shifted = tw.kernel(lambda a, out=None: np.add(a, 1, out=out))
    for _ in range(3):
        np.testing.assert_array_equal(loss(X + 2, out=X), np.full(6, 4.0))
        np.testing.assert_array_equal(loss(inp=X + 2, out=X), np.full(6, 4.0))
        np.testing.assert_array_equal(loss(X + 2, X), np.full(6, 4.0))
        given = np.zeros(6, np.float32)
        assert shifted(X, out=given) is given
        np.testing.assert_array_equal(given, X + 1)
    compiled = loss.compile(tw.f32[6], tw.f32[6])
    np.testing.assert_array_equal(compiled(X + 2, out=X), np.full(6, 4.0))


def test_row_13_a_parameter_that_is_named_self() -> None:
    kernel = tw.kernel(lambda self: self * 2)
    for _ in range(3):
        np.testing.assert_array_equal(kernel(self=X), X * 2)
    np.testing.assert_array_equal(kernel.bind(self=X)(), X * 2)
    np.testing.assert_array_equal(kernel.compile(self=tw.f32[6])(self=X), X * 2)


# Arguments.


def test_wrong_numbers_of_arguments_are_pythons_own_error() -> None:
    for _ in range(3):
        call(doubled, X)
        with pytest.raises(
            TypeError,
            match=r"doubled\(\) missing a required argument: 'a'; its arguments are \(a\)",
        ):
            doubled()
        with pytest.raises(TypeError, match="too many positional arguments"):
            call(doubled, X, X)
        with pytest.raises(TypeError, match="multiple values for argument 'a'"):
            call(doubled, X, a=X)
        with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
            call(scaled, X, 2.0, axis=0)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "None"), ("text", "'text'"), (b"text", "b'text'")]
)
def test_static_arguments_where_arrays_belong(value: Any, shown: str) -> None:
    kernel = tw.kernel(lambda a: -a)
    with pytest.raises(TypeError, match="bad operand type for unary -") as caught:
        kernel(value)
    assert caught.value.__notes__ == [f"note: argument 'a' of kernel '<lambda>' is {shown}"]


class Lazy:
    """An array on another device, as torch has them."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error


@pytest.mark.parametrize("kind", [TypeError, RuntimeError, ValueError])
def test_conversions_that_fail_name_the_argument(kind: type[Exception]) -> None:
    lazy: Any = Lazy(kind("use .cpu() first"))
    message = refused(lambda a, b: a + b, X, lazy, kind=tw.KernelError)
    assert message.startswith("argument 'b' cannot be made an array: use .cpu() first")


def test_masked_arrays_are_refused_wherever_they_come_from() -> None:
    masked = np.ma.masked_array(X, X > 2)
    for kernel in (
        tw.kernel(lambda a: a + masked),
        tw.kernel(lambda a, b: a + b).bind(b=masked),
    ):
        with pytest.raises(tw.DTypeError, match="a kernel cannot compute with a masked array"):
            call(kernel, X)


def test_shapes_and_dtypes_that_were_not_compiled() -> None:
    compiled = scaled.compile(tw.f32[6], 2.0)
    np.testing.assert_array_equal(compiled(X, 3.0), X * 3)
    with pytest.raises(tw.ShapeError, match=r"'a' is f32\[3\], compiled was f32\[6\]"):
        compiled(X[:3], 2.0)
    with pytest.raises(tw.DTypeError, match=r"'a' is i64\[6\], compiled was f32\[6\]"):
        compiled(X.astype(np.int64), 2.0)
    with pytest.raises(tw.DTypeError, match=r"'a' is None, compiled was f32\[6\]"):
        compiled(None, 2.0)
    with pytest.raises(tw.DTypeError, match="'n' is not among those that were compiled"):
        tw.kernel(lambda a, n=2: a * n).compile(tw.f32[6])(X, 3)


@pytest.mark.parametrize("size", [-1, 1.5, "N", None, True, ...])
def test_dimensions_that_are_none(size: Any) -> None:
    with pytest.raises(tw.ShapeError, match="a dimension is a number from 0 up or an open"):
        tw.f32[size]


@pytest.mark.parametrize("name", [3, "", "a b", None])
def test_names_of_dimensions(name: Any) -> None:
    with pytest.raises(tw.ShapeError, match="the name of a dimension is an identifier"):
        tw.dim(name)


def test_options_of_the_decorator() -> None:
    with pytest.raises(ValueError, match="numerics is 'exact'; it may be 'accurate', 'repro"):
        tw.kernel(numerics="exact")(lambda a: a)
    with pytest.raises(tw.UnsupportedError, match="there is no target 'gpu'"):
        tw.kernel(target="gpu")(lambda a: a)
    targets: Any = ["cpu"]
    with pytest.raises(tw.UnsupportedError, match=r"there is no target \['cpu'\]"):
        tw.kernel(target=targets)(lambda a: a)
    name: Any = "cpu"
    with pytest.raises(tw.TraceError, match=r"name the option: @tw.kernel\(target='cpu'\)"):
        tw.kernel(name)
    with pytest.raises(tw.TraceError, match=r"'tagret'\nhelp: .*options .* are target,"):
        tw.kernel(tagret="cpu")(lambda a: a)
    with pytest.raises(tw.TraceError, match="the kernel has no argument 'c'\nhelp: they are a"):
        tw.kernel(lambda a: a).bind(c=1)


@pytest.mark.parametrize(
    ("thing", "way_out"),
    [
        (partial(np.add, 1), r"fix arguments of the kernel: tw.kernel\(add\).bind\(name=value\)"),
        (type("Net", (), {}), "put @tw.kernel directly above def"),
        (staticmethod(len), "put @staticmethod above @tw.kernel"),
        (classmethod(lambda kind: kind), "put @classmethod above @tw.kernel"),
        (np.sin, r"write a function that calls it: tw.kernel\(lambda x: …\)"),
        (type("Net", (), {"__call__": len})(), "write a function that calls it"),
        (3, "put @tw.kernel directly above def"),
    ],
)
def test_decorated_things_that_are_no_functions(thing: Any, way_out: str) -> None:
    said = "a kernel is made from a plain function, not from"
    with pytest.raises(tw.TraceError, match=f"{said} .*\nhelp: {way_out}"):
        tw.kernel(thing)


# Kernels as Python objects.


def test_kernels_defined_in_a_loop_keep_their_own_values() -> None:
    kernels = [tw.kernel(lambda a, k=k: a * k) for k in range(4)]
    made = []
    for k in range(4):

        @tw.kernel
        def captured(a, k=k):
            return a + k

        made.append(captured)
    for k in range(4):
        np.testing.assert_array_equal(call(kernels[k], X), X * k)
        np.testing.assert_array_equal(call(made[k], X), X + k)


def test_copies_are_the_kernel_itself() -> None:
    compiled = doubled.compile(tw.f32[6])
    for thing in (doubled, compiled, tw.kernel(lambda a: a)):
        assert copy.copy(thing) is thing
        assert copy.deepcopy({"k": [thing]})["k"][0] is thing


def test_pickles() -> None:
    doubled(X)
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    bound = pickle.loads(pickle.dumps(scaled.bind(factor=X).on("wasm")))
    assert bound.target == "wasm"
    np.testing.assert_array_equal(bound.on("cpu")(X), X * X)
    compiled = pickle.loads(pickle.dumps(doubled.compile(tw.f32[6])))
    np.testing.assert_array_equal(compiled(X), X * 2)
    with pytest.raises(pickle.PicklingError, match="define it at the top of a module"):
        pickle.dumps(tw.kernel(lambda a: a))


def test_a_kernel_can_be_collected_and_weakly_referenced() -> None:
    def use() -> weakref.ref[Any]:
        kernel = tw.kernel(lambda a: a * 5)
        for _ in range(3):
            kernel(X)
        return weakref.ref(kernel)

    reference = use()
    gc.collect()
    assert reference() is None


def test_collections_during_calls_do_no_harm() -> None:
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:
        kernel = tw.kernel(lambda a: (a + 1, {"half": a / 2}))
        for _ in range(3):
            one, other = call(kernel, X)
            np.testing.assert_array_equal(one, X + 1)
            np.testing.assert_array_equal(other["half"], X / 2)
    finally:
        gc.set_threshold(*old)


def test_a_storm_of_shapes_is_one_warning_and_every_result_is_right() -> None:
    kernel = tw.kernel(lambda a: a + 1)
    for size in range(31):
        kernel(np.zeros(size, np.float32))
    with pytest.warns(tw.RespecializationWarning, match="'a' keeps changing .*tw.dim"):
        kernel(np.zeros(31, np.float32))
    with warnings.catch_warnings(action="error"):
        for size in range(40):
            np.testing.assert_array_equal(kernel(np.zeros(size)), np.ones(size))


def test_a_large_captured_array_is_a_constant_and_changes_are_seen() -> None:
    table = np.arange(1 << 20, dtype=np.float32)
    kernel = tw.kernel(lambda a: a + table[-6:])
    np.testing.assert_array_equal(kernel(X), X + table[-6:])
    table[-1] = 0
    np.testing.assert_array_equal(kernel(X), X + table[-6:])


def test_a_kernel_that_calls_itself_by_its_global_name() -> None:
    space: dict[str, Any] = {}
    source = "@tw.kernel\ndef again(a): return again(a)\nf = again"
    kernel = defined(source, **space)
    with pytest.raises(tw.TraceError):
        kernel(X)


def test_an_exception_of_the_kernels_own_comes_as_it_is_and_leaves_no_trace() -> None:
    calls = count()

    class OwnError(Exception):
        pass

    @tw.kernel
    def fussy(a, size=6):
        if a.shape[0] != size:
            raise OwnError(f"want {size}")
        return a + 1

    for _ in range(3):
        next(calls)
        with pytest.raises(OwnError, match="want 6"):
            call(fussy, X[:3])
        np.testing.assert_array_equal(call(fussy, X), X + 1)
    assert len(fussy.specializations) == 1
