"""The index form and loops under tracing, against the same functions in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, run, traced
from tilewright.ir.dtypes import F32
from tilewright.ir.element_types import dim
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError
from tilewright.ir.graph import Loop, Reduction
from tilewright.ir.signature import ArraySpec

RNG = np.random.default_rng(11)
IMG = RNG.standard_normal((9, 11)).astype(np.float32)
K = RNG.standard_normal((3, 3)).astype(np.float32)
U = RNG.integers(0, 255, (9, 11)).astype(np.uint8)
A = RNG.standard_normal((4, 6)).astype(np.float32)
B = RNG.standard_normal((6, 5)).astype(np.float32)
IDX = np.array([3, 0, -1, 2])


def conv(img, w):
    height, width = img.shape
    return tw.compute(
        (height - 2, width - 2),
        lambda y, x: tw.sum(lambda i, j: img[y + i, x + j] * w[i, j], (3, 3)),
    )


def matmul(a, b):
    return tw.compute(
        (a.shape[0], b.shape[1]), lambda i, j: tw.sum(lambda k: a[i, k] * b[k, j], a.shape[1])
    )


def softmax(a, b):
    n = a.shape[1]
    return tw.compute(
        a.shape,
        lambda i, j: (
            np.exp(a[i, j] - tw.max(lambda k: a[i, k], n))
            / tw.sum(lambda k: np.exp(a[i, k] - tw.max(lambda m: a[i, m], n)), n)
        ),
    )


def boundaries(a, b):
    return tuple(
        tw.compute((7, 9), lambda y, x, m=mode: tw.at(a, (y - 2, x - 1), boundary=m, fill=-7))
        for mode in ("clamp", "constant", "reflect", "wrap")
    )


def box_blur(a, b):
    return tw.compute(
        a.shape,
        lambda y, x: (
            tw.sum(lambda i, j: tw.at(a, (y + i - 1, x + j - 1), boundary="reflect"), (3, 3)) / 9
        ),
    )


def weak_indices(a, b):
    return (
        tw.compute((4, 6), lambda y, x: a[y, x] * y + x),
        tw.compute((4, 6), lambda y, x: y * 2.5 + x),
        tw.compute((4, 6), lambda y, x: y // 2 + x % 3 - (y > 1)),
        tw.compute((4, 6), lambda y, x: np.where(y == x, 1.0, a[y, x])),
        tw.compute((4, 6), lambda y, x: np.sqrt(y)),
        tw.compute((4,), lambda y: -y),
    )


def positions(a, b):
    return (
        tw.compute(4, lambda i: tw.argmax(lambda k: a[i, k], 6)),
        tw.compute(6, lambda j: tw.argmin(lambda k: a[k, j], (4,))),
        tw.sum(lambda i, j: a[i, j], a.shape),
        tw.prod(lambda i: a[i, 0], 4),
        tw.min(lambda i, j: a[i, j] * b[j, 0], (4, 6)),
    )


def wrapped_reads(a, b):
    return tw.compute((4, 6), lambda i, j: a[i - 1, -j - 1] + a[-1, j])


def gather(a, i):
    return tw.compute((4, 6), lambda y, x: a[i[y], x] + a[i[i[y]], 0])


def local_function(a, b):
    def value(y, x):
        center = a[y, x]
        out = center * 2
        if center.dtype == np.float32:
            out = out + tw.sum(lambda k: b[x, k] * center, 5)
        return min(out, 1) if True else out

    return value


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "conv": (conv, (IMG, K)),
    "matmul": (matmul, (A, B)),
    "softmax": (softmax, (A, B)),
    "boundaries": (boundaries, (A, B)),
    "blur": (box_blur, (A, B)),
    "weak": (weak_indices, (A, B)),
    "positions": (positions, (A, B)),
    "wrapped": (wrapped_reads, (A, B)),
    "gather": (gather, (A, IDX)),
    "uint8": (lambda a: tw.compute((9,), lambda y: tw.sum(lambda x: a[y, x], 11)), (U,)),
    "float16": (
        lambda a: tw.compute((4,), lambda y: tw.sum(lambda x: a[y, x], 6)),
        (A.astype("f2"),),
    ),
    "empty": (lambda a: tw.compute((0, 3), lambda y, x: a[y, x]), (A,)),
    "sum of nothing": (lambda a: tw.compute(3, lambda y: tw.sum(lambda k: a[y, k], 0)), (A,)),
    "constant": (lambda a: tw.compute((3, 2), lambda y, x: 1.5), (A,)),
    "transposed": (lambda a: tw.compute((6, 4), lambda y, x: a.T[y, x] + a[1:][0, y]), (A,)),
    "bool": (lambda a: tw.compute((4, 6), lambda y, x: a[y, x] > 0), (A,)),
    "hoisted": (lambda a: tw.compute((4, 6), lambda y, x: np.exp(a)[y, x] + a.sum()), (A,)),
    "functions": (
        lambda a: tw.compute((4, 6), lambda y, x: tw.sigmoid(a[y, x]) + tw.gelu(a[y, x])),
        (A,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_numpy(name: str) -> None:
    function, args = CASES[name]
    check(function, *args, tolerance=3e-3 if name == "float16" else 4e-6)


def test_a_contraction_is_one_reduction() -> None:
    graph = traced(conv, IMG, K).graph
    (node,) = graph.outputs
    assert isinstance(node, Reduction)
    assert len(graph.nodes()) == 3
    assert not graph.checks


@pytest.mark.parametrize("size", [3, 9])
def test_open_dimensions(size: int) -> None:
    n = dim("N", least=3)
    x = RNG.standard_normal((size, 11)).astype(np.float32)
    result = check(conv, x, K, symbols={n: size}, img=ArraySpec(F32, (n, 11)), tolerance=4e-6)
    assert not result.graph.checks


def test_reading_certainly_outside_is_an_error_with_advice() -> None:
    def function(a):
        return tw.compute((4, 6), lambda y, x: a[y + 1, x])

    with pytest.raises(
        BoundsError, match="index i0 \\+ 1 goes out of bounds for axis 0 with size 4"
    ) as info:
        traced(function, A)
    assert "give tw.at a boundary" in str(info.value)
    with pytest.raises(BoundsError):
        traced(lambda a: tw.compute(4, lambda y: tw.at(a, (y - 1, 0))), A)


def test_data_dependent_reads_are_checked() -> None:
    result = traced(gather, A, IDX)
    assert len(result.graph.checks) == 3
    with pytest.raises(BoundsError, match="index 4 is out of bounds for axis 0 with size 4"):
        run(result, gather, (A, np.array([0, 1, 2, 4])))


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (
            lambda a: tw.compute((4,), lambda y: a[y]),
            ShapeError,
            "an index function must return one number",
        ),
        (
            lambda a: tw.compute((4,), lambda y: tw.compute((2,), lambda x: a[y, x])),
            TraceError,
            "compute cannot be called inside",
        ),
        (
            lambda a: tw.compute((4,), lambda y: a[y, :y]),
            TraceError,
            "a slice's bound cannot depend on an index variable",
        ),
        (
            lambda a: tw.compute((4,), lambda y: a[y, 0] if y > 2 else 0),
            TraceError,
            r"write np.where\(y > 2, a\[y, 0\], 0\)",
        ),
        (
            lambda a: tw.compute((4,), lambda y: sum(a[y, x] for x in range(y))),
            TraceError,
            "the range of a Python loop must be known",
        ),
        (lambda a: tw.at(a, (0, 0), boundary="mirror"), Exception, "unknown boundary 'mirror'"),
        (lambda a: tw.at(a, (0.5, 0)), DTypeError, "an index must be an integer"),
        (lambda a: tw.max(lambda i: a[0, i], 0), ShapeError, "has no value"),
        (lambda a: tw.compute((-1,), lambda y: y), ShapeError, "negative dimensions"),
    ],
)
def test_misuse(function: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, A)


def leak_index(a):
    kept: Any = []
    tw.compute((4,), lambda y: kept.append(y) or a[y, 0])
    return a[0] * kept[0]


def write_outer(a):
    total = np.zeros(4) + a[0, 0]

    def body(y):
        total[0] += 1
        return a[y, 0]

    return tw.compute((4,), body) + total


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (leak_index, "index variable 'i0' is used outside"),
        (write_outer, "cannot write into an array from outside"),
    ],
)
def test_index_variables_do_not_escape(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        traced(function, A)


# Loops.


def newton(a):
    (x,) = tw.loop(6, lambda i, x: 0.5 * (x + abs(a) / x), np.ones_like(a))
    return x


def fibonacci(a):
    return tw.loop(10, lambda i, p, q: (q, p + q), 0, 1)


def step_numbers(a):
    def body(i, x):
        y = x.copy()
        y[i] = a[i] * i
        return y

    (x,) = tw.loop(4, body, np.zeros_like(a))
    return x


def nested_loops(a):
    def outer(i, s):
        (t,) = tw.loop(3, lambda j, t: t + a[i] * j, s)
        return t

    (s,) = tw.loop(4, outer, a[0])
    return s


def collatz(a):
    n, steps = tw.while_loop(
        lambda n, steps: n > 1,
        lambda n, steps: (np.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1),
        np.int64(27),
        0,
    )
    return n, steps


def while_array(a):
    x, count = tw.while_loop(lambda x, n: (abs(x) > 0.01).any(), lambda x, n: (x / 2, n + 1), a, 0)
    return x, count


def mandelbrot(a):
    def pixel(y, x):
        cr, ci = x * 0.2 - 2.0, y * 0.2 - 1.0
        _, _, n = tw.while_loop(
            lambda zr, zi, n: (zr * zr + zi * zi < 4.0) & (n < 20),
            lambda zr, zi, n: (zr * zr - zi * zi + cr, 2.0 * zr * zi + ci, n + 1),
            0.0,
            0.0,
            0,
        )
        return n

    return tw.compute((10, 15), pixel)


def loop_in_compute(a):
    def value(y, x):
        (s,) = tw.loop(3, lambda i, s: s * np.float32(0.5) + a[y, i], a[y, x])
        return s

    return tw.compute((4, 6), value)


def loop_none(a):
    return tw.loop(0, lambda i, s: s + 1, a)[0] * 1


LOOPS = [
    newton,
    fibonacci,
    step_numbers,
    nested_loops,
    collatz,
    while_array,
    mandelbrot,
    loop_in_compute,
    loop_none,
]


@pytest.mark.parametrize("function", LOOPS, ids=lambda f: f.__name__)
def test_loops(function: Callable[..., Any]) -> None:
    check(function, A, tolerance=4e-6)


def test_loop_over_an_open_dimension() -> None:
    n = dim("N")

    def function(x):
        (s,) = tw.loop(x.shape[0], lambda i, s: s * np.float32(0.5) + x[i], np.zeros(6, np.float32))
        return s

    result = check(function, A, symbols={n: 4}, x=ArraySpec(F32, (n, 6)))
    assert not result.graph.checks
    assert any(isinstance(node, Loop) for node in result.graph.nodes())


def test_checks_in_loops_cover_all_steps() -> None:
    def function(a, i):
        (s,) = tw.loop(4, lambda n, s: s + a[i[n]], np.zeros(6, np.float32))
        return s

    result = check(function, A, IDX)
    assert result.graph.checks
    with pytest.raises(BoundsError, match="index 9"):
        run(result, function, (A, np.array([0, 9, 1, 1])))


@pytest.mark.parametrize(
    ("start", "body", "message"),
    [
        (1, lambda i, s: np.float32(s), "a NumPy scalar where the state is a Python number"),
        (0.5, lambda i, s: s * np.ones(2), "an array where the state is a Python number"),
        (1, lambda i, s: s * 0.5, "a float where the state is an int"),
        (1, lambda i, s: s / 2, "a float where the state is an int"),
        (np.int32(1), lambda i, s: s * 0.5, "float64 where the state is int32"),
    ],
)
def test_numbers_keep_their_kind_in_loops(start: Any, body: Any, message: str) -> None:
    with pytest.raises(DTypeError) as caught:
        traced(lambda a: tw.loop(3, body, start), A)
    assert caught.value.message == f"the loop body returns {message} (value 0 of the state)"
    with pytest.raises(DTypeError) as caught:
        traced(
            lambda a: tw.while_loop(lambda n, s: n < 3, lambda n, s: (n + 1, body(n, s)), 0, start),
            A,
        )
    assert caught.value.message == f"the loop body returns {message} (value 1 of the state)"


def test_numbers_in_loops() -> None:
    def function(a: Any, n: Any) -> Any:
        return (
            tw.loop(n, lambda i, s: s * 2 + i, 1),
            tw.loop(n, lambda i, s: s + i, 0.5),
            tw.loop(n, lambda i, s: s + 1, 0.5),
            tw.loop(n, lambda i, s: s * np.float32(0.5) + i, np.float32(1)),
        )

    check(function, A, 4)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (lambda i, s: s.sum(), ShapeError, "the state keeps its shapes"),
        (lambda i, s: s[:-1], ShapeError, "the state keeps its shapes"),
        (lambda i, s: s.astype(np.float64), DTypeError, "float64 where the state is float32"),
        (lambda i, s: (s, s), TraceError, "returned 2 values for a state of 1"),
        (lambda i, s: s + math.sqrt(s[0, 0]) if s[0, 0] > 0 else s, TraceError, "np.where"),
    ],
)
def test_loop_misuse(body: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(lambda a: tw.loop(3, body, a), A)
