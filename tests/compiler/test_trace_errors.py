"""What a kernel cannot do: the class and the text of each error while tracing."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import traced
from tilewright.compiler.trace.run import trace
from tilewright.ir.errors import (
    DTypeError,
    LimitError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from tilewright.ir.signature import StaticSpec

RNG = np.random.default_rng(2)
X = RNG.standard_normal((4, 6)).astype(np.float32)
TABLE = RNG.standard_normal(6).astype(np.float32)
SCALE = 3
OPTIONS: dict[str, Any] = {"bias": 0.5, "weights": [TABLE, TABLE * 2]}
SPACE: Any = SimpleNamespace(kept=None)


def helper(x, factor=2.0):
    return x * factor


# Errors. Each: the function, its class, and the whole message below the first line's location.


def branch(x):
    if x[0, 0] > 0:  # noqa: SIM108
        y = x * 2
    else:
        y = x + 1
    return y


def branch_return(x):
    if x.sum() > 0:
        return x
    else:
        return -x


def truth_of_array(x):
    return x if x > 0 else -x


def chained(x):
    return 0 < x < 1


def both(x):
    return x > 0 and x < 1


def negated(x):
    return not x[0, 0]


def branch_on_both(x):
    y = x
    if x[0, 0] > 0 and not 0 < x[0, 1] < 1:
        y = x * 2
    return y


def loop_on_data(x):
    while x[0, 0] > 1:
        x = x / 2
    return x


def built_in_max(x):
    return max(x, 0)


def shapes(x):
    y = x[:3]
    return x + y


def product(x):
    return x @ x


def misspelt(x):
    return np.maximun(x, 0)  # type: ignore[attr-defined]


def misspelt_name(x):
    return halper(x)  # type: ignore[name-defined]  # noqa: F821


def misspelt_method(x):
    return x.mear()


def unsupported(x):
    return np.unique(x)


def unsupported_values(x):
    return np.linalg.eigvals(x @ x.T)


def random(x):
    return x + np.random.random(6)


def printing(x):
    print(x)
    return x


def stores_global(x):
    global SCALE
    SCALE = 4
    return x


def stores_attribute(x):
    SPACE.kept = x
    return x


def stores_outer():
    count = 0

    def function(x):
        nonlocal count
        count += 1
        return x

    return function


def appends(x):
    OPTIONS["weights"].append(x)
    return x


def recursive(x):
    return recursive(x) + 1


def returns_nothing(x):
    x + 1


def returns_text(x):
    return "text"


def unassigned(x):
    if x.ndim > 5:
        y = 1
    return x + y


def long_loop(x):
    for _ in range(10**9):
        x = x + 1
    return x


def many_nodes(x):
    for _ in range(60_000):
        x = x + 1
    return x


def writes_table(x):
    TABLE[0] = 1
    return x


def writes_traced_into_table(x):
    OPTIONS["weights"][0][0] = x[0, 0]
    return x


def text_operand(x):
    return x + "a"


def none_operand(x):
    return x * None


def complex_operand(x):
    return x * 1j


def wrong_axis(x):
    return x.sum(axis=2)


def wrong_reshape(x):
    return x.reshape(5, 5)


def wrong_keyword(x):
    return np.mean(x, axes=1)  # type: ignore[call-overload]


def concatenates(x):
    return np.concatenate([x, x[:, :2]])


def size_from_data(x):
    return np.zeros(int(x[0, 0]))


def empty_max(x):
    return x[:0].max(axis=0)


ERRORS: list[tuple[Callable[..., Any], type[Exception], str, str]] = [
    (
        branch,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write y = np.where(x[0, 0] > 0, x * 2, x + 1)",
    ),
    (
        branch_return,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write return np.where(x.sum() > 0, x, -x)",
    ),
    (
        truth_of_array,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.where(x > 0, x, -x)",
    ),
    (
        chained,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.logical_and(0 < x, x < 1)",
    ),
    (
        both,
        TraceError,
        "the truth of an array is one per element, so Python cannot branch on it",
        "write np.logical_and(x > 0, x < 1)",
    ),
    (
        negated,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write np.logical_not(x[0, 0])",
    ),
    (
        branch_on_both,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write y = np.where(np.logical_and(x[0, 0] > 0, "
        "np.logical_not(np.logical_and(0 < x[0, 1], x[0, 1] < 1))), x * 2, y)",
    ),
    (
        loop_on_data,
        TraceError,
        "the truth of a value is known at run time only, so Python cannot branch on it",
        "write it as tw.while_loop(condition, body, *state)",
    ),
    (
        built_in_max,
        TraceError,
        "max() of arrays would need the truth of an array",
        "use np.maximum (element by element) or x.max()",
    ),
    (shapes, ShapeError, "cannot add shapes (4, 6) and (3, 6)", "axis -2 must be equal or 1"),
    (
        product,
        ShapeError,
        "np.matmul cannot contract shapes (4, 6) and (4, 6)",
        "sizes (6, 4) must be equal",
    ),
    (misspelt, TraceError, "module 'numpy' has no attribute 'maximun'", "did you mean 'maximum'?"),
    (misspelt_name, TraceError, "name 'halper' is not defined", "did you mean 'helper'?"),
    (
        misspelt_method,
        TraceError,
        "arrays have no attribute 'mear' that can be traced",
        "did you mean 'mean'?",
    ),
    (
        unsupported,
        UnsupportedError,
        "np.unique is not supported on traced arrays",
        "its result's size depends on the data; sort, then mark where neighbours differ",
    ),
    (
        unsupported_values,
        UnsupportedError,
        "np.linalg.eigvals is not supported on traced arrays",
        "",
    ),
    (
        random,
        TraceError,
        "np.random.random would give the same numbers at every call of a compiled kernel",
        "make the random numbers outside and pass them as an argument",
    ),
    (
        printing,
        TraceError,
        "print() cannot be compiled",
        "return the value, or print it while running kernel.python(…)",
    ),
    (
        stores_global,
        TraceError,
        "'stores_global' assigns to the global 'SCALE'",
        "return the value instead",
    ),
    (
        stores_attribute,
        TraceError,
        "'stores_attribute' assigns to the attribute 'kept'",
        "a compiled kernel runs without Python objects: return the value instead",
    ),
    (
        stores_outer(),
        TraceError,
        "'function' assigns to the outer variable 'count'",
        "return the value instead",
    ),
    (
        appends,
        TraceError,
        "the kernel changes \"OPTIONS['weights']\", which lives outside of it",
        "a compiled kernel runs without Python: return the value instead",
    ),
    (
        recursive,
        TraceError,
        "'recursive' calls itself without end, or its Python nests too deeply",
        "use tw.loop or tw.while_loop",
    ),
    (
        returns_nothing,
        TraceError,
        "the kernel returns None",
        "end it with return and the resulting array",
    ),
    (
        returns_text,
        TraceError,
        "a kernel returns arrays and numbers, not str",
        "return arrays, or tuples, lists, dicts and dataclasses of them",
    ),
    (
        long_loop,
        LimitError,
        "a Python loop of 1000000000 steps is unrolled; the limit is 65536",
        "use tw.loop(n, lambda i, *state: (…), *state)",
    ),
    (
        many_nodes,
        LimitError,
        "the kernel has more than 50000 operations",
        "a Python loop is unrolled while tracing; use tw.loop for long ones",
    ),
    (
        writes_table,
        TraceError,
        "a kernel cannot write into its captured array 'TABLE'",
        "work on a copy: TABLE = TABLE.copy(), and return it",
    ),
    (text_operand, DTypeError, "np.add takes arrays and numbers, not 'a'", ""),
    (none_operand, DTypeError, "np.multiply takes arrays and numbers, not None", ""),
    (complex_operand, UnsupportedError, "complex numbers are not supported", ""),
    (wrong_axis, Exception, "axis 2 is out of bounds for an array of 2 dimensions", ""),
    (
        wrong_reshape,
        ShapeError,
        "cannot reshape (4, 6) into (5, 5)",
        "the numbers of elements must be equal",
    ),
    (
        wrong_keyword,
        DTypeError,
        "np.mean got an unexpected keyword argument 'axes'",
        "did you mean 'axis'?",
    ),
    (
        concatenates,
        ShapeError,
        "cannot concatenate shapes (4, 6) and (4, 2) along axis 0",
        "all other axes must be equal",
    ),
    (
        size_from_data,
        TraceError,
        "a dimension must be known when the kernel is compiled, but it depends on data (int64 ())",
        "take it from a shape, a static argument or a constant",
    ),
    (
        empty_max,
        ShapeError,
        "zero-size array to reduction operation maximum which has no identity: (0, 6)",
        "give initial=",
    ),
]


@pytest.mark.parametrize(
    ("function", "kind", "message", "help"), ERRORS, ids=lambda v: getattr(v, "__name__", None)
)
def test_errors(function: Any, kind: type[Exception], message: str, help: str) -> None:
    with pytest.raises(kind) as info:
        traced(function, X)
    error: Any = info.value
    assert error.message == message
    assert error.loc is not None
    assert error.loc.file == __file__
    if help:
        assert error.help == help


GIVEN: list[tuple[Callable[..., Any], str, str]] = [
    (
        lambda x: tw.loop(3, lambda s: s + 1, x),
        "the given function is called with 2 arguments: too many positional arguments",
        "give a function of the step and all of the state: lambda i, *state: (…)",
    ),
    (
        lambda x: tw.while_loop(lambda: True, lambda s: s + 1, x),
        "the given function is called with 1 arguments: too many positional arguments",
        "give a function of all of the state: lambda *state: (…)",
    ),
    (
        lambda x: tw.compute((4,), lambda i, j: x[i, j]),
        "the given function is called with 1 arguments: missing a required argument: 'j'",
        "give one of 1 index variables, one for each axis: lambda i, …: …",
    ),
    (
        lambda x: tw.compute((4,), 3),  # type: ignore[arg-type]
        "a function is needed here, not 3",
        "give one of 1 index variables, one for each axis: lambda i, …: …",
    ),
    (
        lambda x: -(x > 0),
        "np.negative is not defined on bool",
        "for the opposite of a bool use ~x; for a number, x.astype(int)",
    ),
    (
        lambda x: (x > 0) - (x > 1),
        "np.subtract is not defined on bool, bool",
        "for where two bools differ use a ^ b; for numbers, a.astype(int) - b",
    ),
    (
        lambda x: sorted(x[0], key=abs),
        "sorted() with a key that depends on data",
        "use order = np.argsort(keys), and index with it",
    ),
]


def asserts(x):
    assert np.isfinite(x).all()
    return x


def raises_on_data(x):
    if np.any(x > 100):
        raise ValueError("too large")
    return x


@pytest.mark.parametrize(
    ("function", "help"),
    [
        (asserts, "an assert on data cannot be compiled; test it before the call"),
        (
            raises_on_data,
            "compiled code raises no errors on data; test it before the call, or return the test",
        ),
    ],
)
def test_tests_of_data(function: Callable[..., Any], help: str) -> None:
    with pytest.raises(TraceError, match="known at run time only") as info:
        traced(function, X)
    assert info.value.help == help


@pytest.mark.parametrize(("function", "message", "help"), GIVEN)
def test_what_is_given(function: Callable[..., Any], message: str, help: str) -> None:
    with pytest.raises(DTypeError if "sorted" not in message else TraceError) as info:
        traced(function, X)
    assert info.value.message == message
    assert info.value.help == help


def test_a_message_in_full() -> None:
    with pytest.raises(ShapeError) as info:
        traced(shapes, X)
    line = shapes.__code__.co_firstlineno + 2
    assert str(info.value).splitlines() == [
        f"{__file__}:{line}:12: error: cannot add shapes (4, 6) and (3, 6)",
        "    return x + y",
        "           ^^^^^",
        "note: 'x' has shape (4, 6)",
        "note: 'x' has shape (3, 6)",
        "help: axis -2 must be equal or 1",
    ]


def test_used_before_assignment() -> None:
    with pytest.raises(TraceError, match="cannot access local variable 'y'") as info:
        traced(unassigned, X)
    assert info.value.loc is not None
    assert info.value.loc.line == unassigned.__code__.co_firstlineno + 3


async def asynchronous(x):
    return x


def generator(x):
    yield x


@functools.wraps(helper)
def wrapper(*args, **kwargs):
    return helper(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (asynchronous, "is an async function"),
        (generator, "is a generator"),
        (lambda *xs: xs, r"takes \*args"),
        (lambda **xs: xs, r"takes \*\*kwargs"),
        (wrapper, "wrapped by another decorator"),
        (SPACE.__init__, "a kernel must be a Python function"),
        (np.exp, "a kernel must be a Python function, not a ufunc"),
        (functools.partial(helper), "not a partial"),
    ],
)
def test_what_cannot_be_a_kernel(function: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(function, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": StaticSpec(1)}, "has no argument 'y'"),
        ({}, "misses its argument 'x'"),
        ([StaticSpec(1)] * 9, "takes 2 positional arguments, not 9"),
    ],
)
def test_wrong_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(helper, arguments)


def test_leaked_arrays_are_refused() -> None:
    kept: deque[Any] = deque()
    traced(lambda x: (x * 2, kept.append(x * 3))[0], X)  # type: ignore[func-returns-value]
    with pytest.raises(TraceError, match="outside of the kernel"):
        kept[0] + 1


class Holder:
    """Holds a real array, out of the tracer's sight."""

    def __init__(self) -> None:
        self.array = np.zeros(6)

    def assign(self, x: Any) -> Any:
        self.array[0] = x[0, 0]
        return x


TABLE_HOLDER: Any = Holder()


@pytest.mark.parametrize(
    "foreign",
    [
        lambda x: TABLE_HOLDER.assign(x),
        lambda x: math.fsum(x[0]),
    ],
)
def test_real_arrays_never_take_traced_values_silently(foreign: Callable[..., Any]) -> None:
    with pytest.raises((TraceError, UnsupportedError, DTypeError)):
        traced(foreign, X)
