"""Rows 11, 12 and 30 to 37: source, signatures and arrays of extreme size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import HEAVY, X, as_numpy, call, defined, refused
from tilewright.compiler.targets import NAMES

HUGE = np.broadcast_to(np.float32(0), (1 << 30, 1 << 30))


# Row 11: depth.


@pytest.mark.parametrize("target", NAMES)
def test_row_11_hundreds_of_operations_one_after_the_other(target: str) -> None:
    def chain(a: Any) -> Any:
        for k in range(400):
            a = a * 1.5 + k
        return a

    text = tw.kernel(chain).compile(tw.f32[4], target=target).source
    assert len(text) > 1000


def test_row_11_thousands_of_terms() -> None:
    terms = 10_000 if HEAVY else 1000
    wanted = X * np.float32(terms)
    np.testing.assert_array_equal(call(lambda a: sum([a] * terms), X), wanted)


def test_row_11_a_chain_beyond_the_limit() -> None:
    def chain(a: Any) -> Any:
        for _ in range(10):
            for _ in range(10_000):
                a = a + a
        return a

    message = refused(chain, X, kind=tw.LimitError)
    assert "the kernel has more than" in message
    assert "help: a Python loop is unrolled while tracing; use tw.loop" in message


@pytest.mark.parametrize("steps", [10**6, 10**12])
def test_row_11_a_loop_beyond_the_limit(steps: int) -> None:
    def unrolled(a: Any) -> Any:
        for _ in range(steps):
            a = a + 1
        return a

    assert f"a Python loop of {steps} steps" in refused(unrolled, X, kind=tw.LimitError)


@pytest.mark.parametrize("target", ["cpu", "wasm", "wgsl", "glsl"])
def test_row_11_loops_within_loops(target: str) -> None:
    def nested(depth: int, a: Any) -> Any:
        if depth == 0:
            return a + 1
        return tw.loop(2, lambda i, s: nested(depth - 1, s), a)[0]

    compiled = tw.kernel(lambda a: nested(8, a)).compile(tw.f32[6], target=target)
    assert compiled.source
    if target == "cpu":
        np.testing.assert_array_equal(compiled(X), X + 2**8)


@pytest.mark.parametrize("form", [tw.loop, tw.sum])
def test_row_11_three_hundred_loops_deep(form: Any) -> None:
    def deep(depth: int, a: Any) -> Any:
        if depth == 0:
            return a
        if form is tw.sum:
            return tw.sum(lambda i: deep(depth - 1, a), (1,))
        return tw.loop(1, lambda i, s: deep(depth - 1, s), a)[0]

    message = refused(lambda a: tw.compute((3,), lambda i: deep(300, a[i])), X)
    assert "its Python nests too deeply" in message


def test_row_11_what_python_itself_refuses_to_parse() -> None:
    with pytest.raises(SyntaxError, match="too many nested parentheses"):
        defined(f"def f(a): return {'(' * 1000}a{'+1)' * 1000}")


# Row 12: parameters.


def sum_of(count: int) -> Any:
    names = ", ".join(f"p{k}" for k in range(count))
    return defined(f"def f({names}): return sum([{names}])")


def test_row_12_many_parameters_on_the_cpu() -> None:
    count = 5000 if HEAVY else 300
    np.testing.assert_array_equal(call(sum_of(count), *[X] * count), X * np.float32(count))


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_row_12_more_parameters_than_a_shader_can_bind(target: str) -> None:
    kernel = tw.kernel(sum_of(300))
    try:
        compiled = kernel.compile(*[tw.f32[6]] * 300, target=target)
    except (tw.LimitError, tw.UnsupportedError) as error:
        assert error.help  # noqa: PT017 (either answer is right)
    else:
        assert compiled.source


def test_row_12_a_thousand_results() -> None:
    made = call(lambda a: [a + k for k in range(300)], X)
    np.testing.assert_array_equal(made, [X + k for k in range(300)])


# Rows 31 to 33: arrays that nothing can hold.


@pytest.mark.parametrize("function", [lambda a: a + 1, lambda a: a.sum()], ids=["map", "sum"])
def test_row_31_an_argument_that_memory_cannot_hold(function: Any) -> None:
    kernel = tw.kernel(lambda array: function(array))
    for _ in range(2):
        with pytest.raises(tw.OutOfMemoryError, match="argument 'array' must be copied") as caught:
            kernel(HUGE)
    assert "help: broadcast it inside of the kernel" in str(caught.value)
    as_numpy(function, X)


def test_row_31_a_result_that_memory_cannot_hold() -> None:
    message = refused(lambda a: np.zeros((1 << 40, 4)) + a.sum(), X, kind=tw.OutOfMemoryError)
    assert "does not fit in memory" in message
    assert "help: call the kernel on parts of its arguments" in message


def test_row_31_a_temporary_that_memory_cannot_hold() -> None:
    many = np.zeros(1 << 20, np.int8)
    sorting = tw.kernel(lambda a: np.sort(np.add.outer(a, a).ravel())[0])
    with pytest.raises(tw.LimitError, match="does not fit in memory"):
        sorting(many)
    np.testing.assert_array_equal(call(sorting, np.zeros(4, np.int8)), 0)


def test_row_31_a_constant_that_memory_cannot_hold() -> None:
    message = refused(lambda n: np.arange(n), 10**15, kind=tw.LimitError)
    assert "does not fit in memory" in message
    with pytest.raises(MemoryError):
        call(lambda a: np.arange(10**15) + a, X[:1])


@pytest.mark.parametrize("target", NAMES)
def test_row_33_shapes_whose_product_overflows(target: str) -> None:
    kernel = tw.kernel(lambda a: a + 1)
    for shape in [(1 << 32, 1 << 32), (1 << 62, 4), (1 << 64,)]:
        with pytest.raises(tw.LimitError, match="more elements than fit in 64 bits"):
            kernel.compile(tw.f32[shape], target=target)
    with pytest.raises(tw.LimitError, match="more elements than fit in 64 bits"):
        tw.kernel(lambda a: np.zeros((1 << 32, 1 << 32)) + a).compile(tw.f32[1], target=target)


@pytest.mark.parametrize("target", ["wasm", "wgsl", "glsl"])
@pytest.mark.parametrize("size", [1 << 33, 1 << 62])
def test_rows_31_33_more_than_32_bits_can_count(target: str, size: int) -> None:
    with pytest.raises(tw.LimitError) as caught:
        tw.kernel(lambda a: a + 1).compile(tw.f32[size], target=target)
    assert caught.value.help


@pytest.mark.glsl
def test_row_32_a_vector_longer_than_a_texture_is_wide() -> None:
    long = np.arange(300_000, dtype=np.float32)
    np.testing.assert_array_equal(tw.kernel(lambda a: a[::-1] + 1).on("glsl")(long), long[::-1] + 1)


@pytest.mark.wasm
def test_row_37_an_instance_that_could_not_grow_is_still_usable() -> None:
    kernel = tw.kernel(target="wasm")(lambda a, b: a[:, None] + b[None, :])
    large = np.zeros(1 << 17, np.float32)
    np.testing.assert_array_equal(kernel(X, X), np.add.outer(X, X))
    with pytest.raises(tw.LimitError) as caught:
        kernel(large, large)  # a result of 64 GiB
    assert caught.value.help
    np.testing.assert_array_equal(kernel(X, X), np.add.outer(X, X))
    n = tw.dim("N")
    open_ended = tw.kernel(target="wasm", a=tw.f32[n])(lambda a: a[:, None] + a[None, :])
    for _ in range(2):
        np.testing.assert_array_equal(open_ended(X), np.add.outer(X, X))
        with pytest.raises(tw.LimitError):
            open_ended(large)


def test_row_33_an_open_dimension_whose_size_does_not_fit() -> None:
    n = tw.dim("N")
    kernel = tw.kernel(a=tw.f32[n])(lambda a: a[:, None] + a[None, :])
    for _ in range(3):
        as_numpy(lambda a: a + 1, X)
        np.testing.assert_array_equal(kernel(X), np.add.outer(X, X))
        with pytest.raises(MemoryError):
            kernel(np.zeros(1 << 24, np.float32))


# Row 30: what GPUs keep 64-bit integers in.

GPU = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("wgsl", "glsl")]


@pytest.mark.parametrize("target", GPU)
@pytest.mark.parametrize("value", [1 << 31, -(1 << 31) - 1, 1 << 62])
def test_row_30_values_that_32_bits_cannot_hold_are_refused(target: str, value: int) -> None:
    kernel = tw.kernel(lambda a: a[::-1]).on(target)
    with pytest.raises(tw.LimitError, match=f"argument 'a' holds {value} at index") as caught:
        call(kernel, np.array([1, value]))
    assert "cpu" in (caught.value.help or "")
    edges = np.array([(1 << 31) - 1, -(1 << 31)])
    np.testing.assert_array_equal(call(kernel, edges), edges[::-1])


@pytest.mark.parametrize("target", GPU)
def test_row_30_indices_that_32_bits_cannot_hold(target: str) -> None:
    kernel = tw.kernel(lambda a, i: a[i]).on(target)
    for index in (1 << 31, 1 << 62, 6):
        with pytest.raises((tw.LimitError, tw.BoundsError), match=str(index)):
            call(kernel, X, np.array([0, index]))
    np.testing.assert_array_equal(call(kernel, X, np.array([0, -1])), X[[0, -1]])


@pytest.mark.parametrize("target", GPU)
def test_row_30_int32_is_exact_beyond_what_float32_holds(target: str) -> None:
    values = np.array([(1 << 24) + 1, (1 << 31) - 2, -(1 << 31)], np.int32)
    kernel = tw.kernel(lambda a: a + np.int32(1)).on(target)
    np.testing.assert_array_equal(call(kernel, values), values + 1)
