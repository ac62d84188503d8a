"""What users feed a kernel by mistake, row by row of the list of bad inputs.

The number in a test's name is the row's. Whatever happens, the arrays that were passed stay as they
were (`call` checks that), and an error is one that is documented.
"""

from __future__ import annotations

import decimal
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest

import tilewright as tw

X = np.arange(6, dtype=np.float32)
WIDTHS = (np.int8, np.int16, np.int32, np.int64)


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of the compiled function; no argument may change, error or not."""
    kernel = function if isinstance(function, tw.Kernel) else tw.kernel(function)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    before = [a.tobytes() for a in arrays]
    try:
        with np.errstate(all="ignore"):
            return kernel(*args, **kwargs)
    finally:
        assert [a.tobytes() for a in arrays] == before


def as_numpy(function: Callable[..., Any], *args: Any) -> Any:
    """The kernel's result, which must be NumPy's own, dtype and bits."""
    got = call(function, *args)
    with np.errstate(all="ignore"):
        wanted = function(*args)
    assert np.asarray(got).dtype == np.asarray(wanted).dtype
    np.testing.assert_array_equal(got, wanted)
    if np.asarray(wanted).dtype.kind == "f":
        numbers = ~np.isnan(np.asarray(wanted))
        signs = np.signbit(np.asarray(wanted))
        np.testing.assert_array_equal(np.signbit(np.asarray(got))[numbers], signs[numbers])
    return got


def defined(source: str, **names: Any) -> Any:
    """A function that was made by `exec`: it has no source file."""
    space: dict[str, Any] = {"np": np, "tw": tw, **names}
    exec(textwrap.dedent(source), space)
    return space["f"]


def body(*lines: str) -> Any:
    return defined("def f(a):\n" + "".join(f"    {line}\n" for line in lines))


def refused(function: Any, *args: Any, kind: type[Exception] = tw.TraceError) -> str:
    """The message of the error that a call gives."""
    with pytest.raises(kind) as caught:
        call(function, *args)
    return str(caught.value)


# Kernel source.


def test_row_1_a_function_without_a_source_file_works() -> None:
    as_numpy(defined("def f(a): return np.exp(a) * 0 + 1"), X)


def test_row_1_its_errors_name_the_line_without_an_excerpt() -> None:
    message = refused(body("b = a + 1", "return undefined_name(b)"), X)
    assert message == "<string>:3:12: error: name 'undefined_name' is not defined"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def f(a): return a", "kernel 'f' is an async function"),
        ("def f(a): yield a", "kernel 'f' is a generator (it uses yield)"),
        ("async def f(a): yield a", "kernel 'f' is an async generator"),
        ("def f(*a): return a[0]", "kernel 'f' takes *args"),
        ("def f(**a): return a['a']", "kernel 'f' takes **kwargs"),
    ],
)
def test_row_2_constructs_that_cannot_be_kernels(source: str, said: str) -> None:
    kernel = tw.kernel(defined(source))
    arguments: dict[str, Any] = {"a": X} if "**" in source else {}
    with pytest.raises(tw.TraceError) as caught:
        call(kernel, *([] if arguments else [X]), **arguments)
    assert str(caught.value) == (
        f"<string>:1: error: {said}\n"
        "help: a kernel is a plain function that names its parameters and returns arrays"
    )


def test_row_2_lambdas_and_nested_functions_work() -> None:
    def inner(b: Any) -> Any:
        return b * 2

    as_numpy(lambda a: inner(a) + (lambda b: b + 1)(a), X)


def test_row_2_methods_are_refused() -> None:
    class Model:
        @tw.kernel
        def forward(self, a):
            return a

    with pytest.raises(tw.TraceError, match="kernel 'forward' is called as a method"):
        Model().forward(X)


def test_row_3_decorated_twice() -> None:
    with pytest.raises(tw.TraceError) as caught:
        tw.kernel(tw.kernel(lambda a: a))
    assert str(caught.value) == "'<lambda>' is decorated twice\nhelp: decorate it once"


def test_row_3_wrapped_by_another_decorator() -> None:
    def logged(function: Any) -> Any:
        @wraps(function)
        def inner(*args: Any) -> Any:
            return function(*args)

        return inner

    message = refused(logged(lambda a: a + 1), X)
    assert "takes *args" in message
    assert message.endswith("it is wrapped by another decorator: put that one above @tw.kernel")


@pytest.mark.parametrize("thing", [len, np.sin, 3, int, object()])
def test_row_3_what_is_not_a_function(thing: Any) -> None:
    with pytest.raises(tw.TraceError, match="a kernel is made from a plain function, not from"):
        tw.kernel(thing)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("np.softmx(a)", "module 'numpy' has no attribute 'softmx'"),
        ("np.sinn(a)", "module 'numpy' has no attribute 'sinn'\nhelp: did you mean 'sin'?"),
        ("tw.sigmoidd(a)", "no attribute 'sigmoidd'\nhelp: did you mean 'sigmoid'?"),
        ("a.summ()", "arrays have no attribute 'summ' that can be traced"),
        ("a.summ()", "help: did you mean 'sum'?"),
        ("nump(a)", "name 'nump' is not defined"),
        ("rnge(3)", "name 'rnge' is not defined\nhelp: did you mean 'range'?"),
    ],
)
def test_row_4_unknown_names(expression: str, said: str) -> None:
    assert said in refused(body(f"return {expression}"), X)


def test_row_6_recursion_without_end() -> None:
    def even(a: Any) -> Any:
        return odd(a)

    def odd(a: Any) -> Any:
        return even(a)

    said = "calls itself without end, or its Python nests too deeply"
    assert said in refused(body("return f(a)"), X)
    assert said in refused(even, X)


def test_row_6_recursion_with_an_end_works() -> None:
    def power(a: Any, n: Any) -> Any:
        return a if n == 0 else power(a, n - 1) * a

    np.testing.assert_array_equal(call(power, X, 3), X**4)


def test_row_8_used_before_assignment() -> None:
    message = refused(body("if False: q = 1", "return a + q"), X)
    assert message.startswith("<string>:3:16: error: cannot access local variable 'q'")
    assert "help" not in message


@pytest.mark.parametrize("line", ["if a.sum() > 0: return a", "while a.sum() > 0: a = a - 1"])
def test_row_8_a_branch_on_data(line: str) -> None:
    message = refused(body(line, "return -a"), X)
    assert "the truth of a value is known at run time only" in message
    assert message.startswith("<string>:2:")


def test_row_9_no_result() -> None:
    assert refused(body("a + 1"), X) == (
        "<string>:1: error: the kernel returns None\n"
        "help: end it with return and the resulting array"
    )


@pytest.mark.parametrize("line", ["return 'x'", "return a, 'x'", "return str(a)", "return {1}"])
def test_row_9_results_that_are_not_arrays(line: str) -> None:
    assert "a kernel returns arrays and numbers, not" in refused(body(line), X)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["print(a)", "return a"], "print() cannot be compiled"),
        (["open('f')", "return a"], "open() cannot be compiled"),
        (["a.name = 1", "return a"], "'f' assigns to the attribute 'name'"),
        (["global Q", "Q = a", "return a"], "'f' assigns to the global 'Q'"),
        (["a[0] = 1", "return a"], "a kernel cannot write into its argument 'a'"),
        (["return a + np.random.rand(6)"], "np.random.rand would give the same numbers"),
        (["return a[a > 1]"], "the size of x[mask] depends on data"),
    ],
)
def test_row_10_python_that_cannot_be_compiled(lines: list[str], said: str) -> None:
    message = refused(body(*lines), X)
    assert said in message
    assert message.startswith("<string>:")
    assert "\nhelp: " in message


@pytest.mark.parametrize(
    "lines",
    [
        ["try: b = a + 1", "except Exception: pass", "return b"],
        ["with np.errstate(all='ignore'): b = a + 1", "return b"],
        ["b = f'{a.shape}'", "return a + len(b)"],
        ["d = {'u': a}", "return d['u'] + 1"],
        ["rows = []", "rows.append(a)", "return rows[0] * 2"],
        ["import numpy", "return numpy.negative(a)"],
        ["t = 0", "for v in a: t = t + v", "return t"],
    ],
)
def test_row_10_python_that_runs_while_tracing_means_what_it_says(lines: list[str]) -> None:
    as_numpy(body(*lines), X)


def test_row_11_hundreds_of_terms_and_nested_parentheses() -> None:
    np.testing.assert_array_equal(
        call(body("return " + "+".join(["a"] * 400)), X), X * np.float32(400)
    )
    nested = body("return " + "(" * 90 + "a" + "+1)" * 90)
    np.testing.assert_array_equal(call(nested, X), X + 90)


def test_row_11_a_deep_chain_of_operations() -> None:
    def chain(a: Any) -> Any:
        for _ in range(250):
            a = a * 1.5
            a = a - 1
        return a

    assert np.shape(call(chain, np.zeros(2))) == (2,)


def test_row_12_no_parameters_many_parameters_and_keyword_only() -> None:
    as_numpy(lambda: np.arange(3.0))
    names = [f"p{k}" for k in range(200)]
    total = defined(f"def f({', '.join(names)}): return {' + '.join(names)}")
    np.testing.assert_array_equal(call(total, *[X] * 200), X * np.float32(200))
    np.testing.assert_array_equal(call(lambda a, *, b=2: a * b, X, b=3), X * 3)


@pytest.mark.parametrize("target", ["cpu", "wgsl", "glsl"])
@pytest.mark.parametrize(
    "name", ["fn", "loop", "active", "self", "null", "_", "__a", "gl_X", "a__b", "ключ", "v" * 3000]
)
def test_row_13_names_never_reach_generated_code(name: str, target: str) -> None:
    kernel = tw.kernel(defined(f"def f({name}):\n    return {name} * 2"))
    text = kernel.compile(tw.f32[4], target=target).source
    if len(name) > 4 or not name.isascii():
        assert name not in text
    if target == "cpu":
        np.testing.assert_array_equal(call(kernel, X), X * 2)


def test_row_14_hostile_function_names() -> None:
    function = defined("def f(a): return a + 1")
    function.__name__ = 'x"\n}\ndefine void @evil() {'
    kernel = tw.kernel(function)
    np.testing.assert_array_equal(call(kernel, X), X + 1)
    assert "evil" not in kernel.compile(tw.f32[4]).source


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.int32, 1 << 31), (np.int32, -(1 << 31) - 1), (np.uint8, 256), (np.uint8, -1)],
)
def test_row_16_literals_that_do_not_fit(dtype: Any, value: int) -> None:
    message = refused(lambda a: a + value, X.astype(dtype), kind=OverflowError)
    assert f"Python integer {value} out of bounds for {np.dtype(dtype)}" in message


def test_row_16_promotion_is_numpys() -> None:
    as_numpy(lambda a: a + 2**63, X)
    as_numpy(lambda a: True + a, X.astype(np.int8))
    as_numpy(lambda a: (a > 1) + 1, X)
    as_numpy(lambda a: a.astype(np.uint64) + a.astype(np.int64), X)
    with pytest.raises(OverflowError, match="argument 'n': 9223372036854775808 does not fit"):
        call(lambda a, n: a + n, X, 1 << 63)


def test_row_17_new_types_specialise() -> None:
    kernel = tw.kernel(lambda a, flag=False: a * 2 if flag else a + 1)
    for _ in range(3):  # the third round takes the fast path
        for array in (X, X.astype(np.int32), X[:3], X.reshape(2, 3), X.astype(np.float64)):
            got = call(kernel, array)
            assert got.dtype == array.dtype
            np.testing.assert_array_equal(got, array + 1)
            np.testing.assert_array_equal(call(kernel, array, True), array * 2)


def test_row_18_several_iterations_add_to_one_element() -> None:
    def halves(a: Any) -> Any:
        out = np.zeros(a.shape[0] // 2, a.dtype)
        np.add.at(out, np.arange(a.shape[0]) // 2, a)
        return out

    long = np.arange(1 << 16, dtype=np.float32)
    first = as_numpy(halves, long)
    for _ in range(5):
        np.testing.assert_array_equal(call(halves, long), first)


# Shapes, dtypes, layout, aliasing.


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_row_20_empty_arrays(shape: tuple[int, ...]) -> None:
    empty = np.empty(shape, np.float32)
    as_numpy(lambda a: a + 1, empty)
    as_numpy(lambda a: a.sum(), empty)
    as_numpy(lambda a: a.prod(axis=-1), empty)
    as_numpy(lambda a: np.exp(a).sum(axis=0), empty)
    as_numpy(lambda a: a.any() | a.all(), empty)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_row_20_extremes_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=r"zero-size|empty"):
        call(lambda a: getattr(np, name)(a), np.empty(0, np.float32))


def test_row_21_rank_zero_and_scalars() -> None:
    for value in (np.array(3.0, np.float32), np.float32(3), 3.0, 3, np.int8(3), True):
        got = call(lambda a: a * 2 + 1, value)
        assert got == 7 if value is not True else got == 3
        assert type(got) is type((lambda a: a * 2 + 1)(value))


@pytest.mark.parametrize("rank", range(1, 9))
def test_row_22_ranks_up_to_eight(rank: int) -> None:
    array = np.arange(2**rank, dtype=np.float64).reshape((2,) * rank)
    as_numpy(lambda a: a.sum(axis=0) * 2 + a[-1], array)
    as_numpy(lambda a: a.T + 1, array)


def test_row_22_a_rank_beyond_the_limit() -> None:
    message = refused(lambda a: a + 1, np.zeros((1,) * 33), kind=tw.LimitError)
    assert message == "33 dimensions are more than the limit of 32"


GRID = np.arange(48, dtype=np.float32).reshape(6, 8)
LAYOUTS = {
    "negative": GRID[::-1, ::-2],
    "fortran": np.asfortranarray(GRID),
    "broadcast": np.broadcast_to(GRID[0], (5, 8)),
    "transposed": GRID.T,
    "sliced": GRID[1:5:2, 3:],
    "windows": np.lib.stride_tricks.sliding_window_view(GRID, (2, 3)),
    "misaligned": np.frombuffer(b"\0" + GRID.tobytes(), np.uint8, offset=1).view(np.float32),
    "big-endian": GRID.astype(">f4"),
    "read-only": np.frombuffer(GRID.tobytes(), np.float32),
    "matrix": np.asmatrix(GRID),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_23_24_any_layout_gives_the_answer_of_a_contiguous_copy(layout: str) -> None:
    kernel = tw.kernel(lambda a: np.exp(-a).sum(axis=0) + a[0])
    view = LAYOUTS[layout]
    plain = np.array(view, np.float32, order="C", subok=False)
    wanted = kernel(plain)
    for _ in range(3):
        got = call(kernel, view)
        assert type(got) is type(wanted)
        np.testing.assert_array_equal(got, wanted)


UNHOLDABLE = {
    "structured": np.zeros(3, [("a", "f4")]),
    "object": np.array([1, None]),
    "datetime": np.array(["2020-01-01"], "M8[D]"),
    "timedelta": np.array([1], "m8[s]"),
    "str": np.array(["a"]),
    "bytes": np.array([b"a"]),
    "complex": np.zeros(2, np.complex64),
    "void": np.void(b"ab"),
}


@pytest.mark.parametrize("name", UNHOLDABLE)
def test_row_24_dtypes_that_kernels_cannot_hold(name: str) -> None:
    array: Any = UNHOLDABLE[name]
    assert refused(lambda a: a + 1, array, kind=tw.DTypeError) == (
        f"argument 'a' has dtype {array.dtype}, which kernels cannot hold\n"
        "help: convert it to a bool, integer or float dtype"
    )


def test_row_28_shapes_that_do_not_fit() -> None:
    def product(left: Any, right: Any) -> Any:
        return left @ right

    message = refused(lambda a, b: a + b, X, X[:4], kind=tw.ShapeError)
    assert "(6,)" in message
    assert "(4,)" in message
    message = refused(product, GRID, GRID, kind=tw.ShapeError)
    assert "left" in message
    assert "right" in message


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_row_29_float64_is_refused_where_it_does_not_exist(target: str) -> None:
    kernel = tw.kernel(lambda a: a / 3)
    with pytest.raises(tw.UnsupportedError, match="float64"):
        kernel.compile(tw.f64[4], target=target)


def test_rows_31_33_results_too_large_to_exist() -> None:
    for size in (1 << 62, 1 << 40):
        with pytest.raises((tw.LimitError, MemoryError)):
            call(lambda a: np.zeros((size, 4)) + a.sum(), X)
    huge = np.broadcast_to(np.float32(0), (1 << 30, 1 << 30))
    with pytest.raises((tw.LimitError, MemoryError)):
        tw.kernel(lambda a: a + 1)(huge)


class Framed:
    """Converts itself, as a data frame does."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return GRID


def test_row_35_what_converts_itself_is_converted() -> None:
    np.testing.assert_array_equal(call(lambda a: a + 1, Framed()), GRID + 1)
    np.testing.assert_array_equal(call(lambda a: a + 1, [[1, 2], [3, 4]]), [[2, 3], [4, 5]])
    np.testing.assert_array_equal(call(lambda a: a + 1, []), [])


@pytest.mark.parametrize(
    "value", [range(3), (i for i in range(3)), {}, {1}, 1j, decimal.Decimal(1), memoryview(b"ab")]
)
def test_row_35_what_is_not_an_array(value: Any) -> None:
    assert refused(lambda a: a + 1, value, kind=tw.DTypeError) == (
        f"argument 'a' is a {type(value).__name__}, which is not an array\n"
        "help: pass a NumPy array, a number, or something that NumPy can convert"
    )


def test_row_35_masked_arrays_and_ragged_lists() -> None:
    masked = np.ma.masked_array([1.0, 2], [False, True])
    assert "is a masked array" in refused(lambda a: a + 1, masked, kind=TypeError)
    ragged: Any = [[1], [1, 2]]
    assert "cannot be made an array" in refused(lambda a: a + 1, ragged, kind=tw.ShapeError)


# Values.

SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-45, -1e-40, 3e38, 0.5, -2.5], np.float32
)
PAIRS = tuple(np.array(side, np.float32) for side in np.meshgrid(SPECIAL, SPECIAL))


@pytest.mark.parametrize(
    "function",
    [np.maximum, np.minimum, np.fmax, np.fmin, lambda a, b: np.clip(a, -1, b)],
    ids=["maximum", "minimum", "fmax", "fmin", "clip"],
)
def test_row_38_nan_in_extremes(function: Any) -> None:
    a, b = PAIRS
    wanted = function(a, b)
    got = call(lambda p, q: function(p, q), a, b)
    np.testing.assert_array_equal(got, wanted)


def test_row_38_nan_in_reductions_and_sorting() -> None:
    with_nan = np.array([[1, np.nan, 3], [4, 5, 6]], np.float32)
    for function in (np.max, np.min, np.argmax, np.argmin, np.sort, np.argsort, np.nanmax):
        as_numpy(lambda a: function(a, axis=1), with_nan)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a != a,
        lambda a: (a < 1) | (a > 1),
        lambda a: np.where(a, 1, 2),
        lambda a: a.astype(bool),
        np.sign,
        np.isnan,
        np.signbit,
    ],
)
def test_row_39_nan_in_tests(function: Any) -> None:
    as_numpy(lambda a: function(a), SPECIAL)


def test_row_40_limits_of_exponentials() -> None:
    ends = np.array([np.inf, -np.inf, 1e4, -1e4], np.float32)
    np.testing.assert_array_equal(call(lambda a: np.exp(a), ends), [np.inf, 0, np.inf, 0])
    np.testing.assert_array_equal(call(lambda a: np.tanh(a), ends), [1, -1, 1, -1])
    np.testing.assert_array_equal(call(lambda a: tw.sigmoid(a), ends), [1, 0, 1, 0])


def test_row_41_stable_formulas() -> None:
    large = np.full(8, 1e4, np.float32)
    np.testing.assert_allclose(call(lambda a: tw.softmax(a), large), 0.125)
    near = (1e8 + np.arange(64)).astype(np.float64)
    np.testing.assert_allclose(call(lambda a: a.var(), near), np.arange(64.0).var())
    np.testing.assert_allclose(call(lambda a: np.hypot(a, a), large * 1e30), np.hypot(1, 1) * 1e34)
    ones = np.ones(70000, np.float16)
    assert call(lambda a: a.mean(), ones) == 1


def test_rows_42_43_subnormals_and_the_sign_of_zero_are_kept() -> None:
    for function in (np.negative, np.sqrt, np.abs, lambda a: a * 1, lambda a: a + -0.0):
        as_numpy(lambda a: function(a), SPECIAL)
    zeros = np.array([-0.0, 0.0, 1e-45, -1e-45], np.float32)
    for function in (np.tanh, np.sin, np.tan, np.arctan, np.sinh, np.expm1, np.log1p):
        got = call(lambda a: function(a), zeros)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(zeros))
        np.testing.assert_allclose(got, zeros, atol=3e-45)  # two units of the last place


def test_row_44_powers() -> None:
    base = np.array([0, -8, -2, 0, 1, 1, 2, 0.5, -0.0, -1, np.nan, np.inf], np.float32)
    exponent = np.array(
        [0, 1 / 3, 3, -1, np.nan, np.inf, np.inf, np.inf, -3, np.inf, 0, -1], np.float32
    )
    as_numpy(lambda a, b: np.power(a, b), base, exponent)


def test_row_45_domain_edges_do_not_trap() -> None:
    edges = np.array([0, -0.0, -1, 2, np.inf], np.float32)
    for function in (np.log, np.sqrt, np.arcsin, np.log2, np.arccosh, lambda a: 1 / a):
        got, wanted = call(lambda a: function(a), edges), None
        with np.errstate(all="ignore"):
            wanted = function(edges)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(wanted))


@pytest.mark.parametrize("dtype", [*WIDTHS, np.uint8, np.uint32, np.uint64])
def test_rows_46_49_integers_wrap_and_never_trap(dtype: Any) -> None:
    info = np.iinfo(dtype)
    corners = np.array([info.min, info.min + 1, 0, 1, 7, info.max - 1, info.max], dtype)
    a, b = (np.ascontiguousarray(side) for side in np.meshgrid(corners, corners))
    if info.min < 0:
        a, b = np.append(a, dtype(-1)), np.append(b, dtype(-1))
    for function in (np.floor_divide, np.remainder, np.add, np.subtract, np.multiply):
        as_numpy(lambda p, q: function(p, q), a.ravel(), b.ravel())
    as_numpy(lambda p: np.abs(p), corners)
    as_numpy(lambda p: p.sum(), corners)
    as_numpy(lambda p: -p, corners)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_row_48_shifts_beyond_the_width(dtype: Any) -> None:
    values = np.array([1, -1, 5, -100], dtype)[:, None]
    amounts = np.array([0, 1, 7, 8, 31, 32, 33, 63, 64, 100], dtype)
    as_numpy(lambda a, n: a << n, values, amounts)
    as_numpy(lambda a, n: a >> n, values, amounts)


def test_row_50_floats_that_no_integer_can_hold() -> None:
    wild = np.array([1e20, -1e20, np.nan, np.inf, -np.inf, 300, -1], np.float32)
    for dtype in (*WIDTHS, np.uint8, np.uint32):
        got = call(lambda a: a.astype(dtype), wild)
        again = call(lambda a: (a + 0).astype(dtype)[::-1], wild)[::-1]
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, again)  # one rule, in vectors and alone


@pytest.mark.parametrize("index", [6, -7, 1 << 31, 1 << 62, -(1 << 63)])
def test_row_52_indices_out_of_bounds(index: int) -> None:
    indices = np.array([0, index, 1])
    out = np.full(3, 9, np.float32)
    kernel = tw.kernel(lambda a, i: a[i])
    with pytest.raises(tw.BoundsError, match="out of bounds for axis 0 with size 6") as caught:
        call(kernel, X, indices, out=out)
    assert f"index {index} " in str(caught.value)
    assert (out == 9).all()
    with pytest.raises(IndexError):
        call(lambda a: a[7], X)


def test_row_53_duplicate_indices() -> None:
    def put(a: Any, i: Any) -> Any:
        out = np.zeros(4, a.dtype)
        out[i] = a
        return out

    indices = np.array([0, 1, 1, 3, 3, 3])
    as_numpy(put, X, indices)


def test_row_55_ties() -> None:
    ties = np.array([[1, 3, 3], [np.nan] * 3, [2, 2, 2]], np.float32)
    as_numpy(lambda a: a.argmax(axis=1), ties)
    as_numpy(lambda a: a.argmin(axis=1), ties)
    as_numpy(lambda a: a.argmax(), np.full(1000, 7, np.float32))


def test_row_56_far_arguments() -> None:
    far = np.array([1e22, -1e22, 1e308, 3.0], np.float64)
    np.testing.assert_allclose(call(lambda a: np.sin(a), far), np.sin(far), rtol=1e-15)
    ends = np.array([88.8, -104, 88.7, -103.9], np.float32)
    wanted = np.exp(ends.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(call(lambda a: np.exp(a), ends), wanted, rtol=3e-7)
    tiny = np.array([1e-20], np.float32)
    np.testing.assert_array_equal(call(lambda a: np.tanh(a), tiny), tiny)


# Threads, processes, devices.


def test_row_94_thirty_two_threads_make_the_first_call() -> None:
    kernel = tw.kernel(lambda a: np.tanh(a) * 3)
    start = threading.Barrier(32)
    results: list[Any] = [None] * 32

    def work(k: int) -> None:
        start.wait()
        for _ in range(5):
            results[k] = kernel(X + k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(kernel.specializations) == 1
    for k, result in enumerate(results):
        np.testing.assert_allclose(result, np.tanh(X + k) * 3, rtol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_row_94_kernels_work_in_a_forked_child() -> None:
    program = """
        import os, sys
        import numpy as np
        import tilewright as tw
        kernel = tw.kernel(lambda a: np.exp(a).sum(axis=1))
        x = np.ones((512, 512), np.float32)
        before = kernel(x)
        kernel(x)
        child = os.fork()
        if not child:
            same = np.array_equal(kernel(x), before) and np.array_equal(kernel(x + 0), before)
            fresh = np.array_equal(tw.kernel(lambda a: a * 2)(x), x * 2)
            os._exit(0 if same and fresh else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    child = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(child, timeout=60, check=False).returncode == 0


def test_row_97_an_unknown_target_lists_what_there_is() -> None:
    with pytest.raises(tw.UnsupportedError) as caught:
        tw.kernel(lambda a: a).on("cuda")
    assert str(caught.value) == (
        "there is no target 'cuda'\nhelp: the targets are cpu, wasm, wgsl, glsl"
    )
