"""Reading and writing parts of arrays, and views, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, run, same, traced
from tilewright.ir.element_types import dim
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError
from tilewright.ir.signature import ArraySpec

RNG = np.random.default_rng(5)
M = RNG.standard_normal((4, 6)).astype(np.float32)
F = RNG.standard_normal((3, 4, 5)).astype(np.float32)
P = np.array([[2, 0], [-1, 3]])
Q = np.array([1, -2])
V = np.arange(7.0)

READS: dict[str, Callable[..., Any]] = {
    "ints": lambda x, p, q: (x[0], x[-1], x[1, 2], x[-1, -1, -1], x[..., 0], x[1, ..., 2]),
    "slices": lambda x, p, q: (
        x[1:],
        x[:-1],
        x[::2],
        x[:, 1:3],
        x[..., ::-1],
        x[::-1, ::-2, 1:4:2],
    ),
    "slices out of range": lambda x, p, q: (
        x[5:],
        x[-100:100],
        x[2:1],
        x[:, 10:2:-1],
        x[:, -1:-9:-2],
    ),
    "new axes": lambda x, p, q: (x[None], x[:, None, 1], x[..., None], x[None, ..., None, 0]),
    "gather": lambda x, p, q: (x[p], x[q], x[:, p], x[..., p], x[p % 3]),
    "two arrays": lambda x, p, q: (
        x[p, p],
        x[p, :, p],
        x[:, p, p],
        x[q[:, None], p],
        x[0, p],
        x[p, 0],
    ),
    "split arrays lead": lambda x, p, q: (
        x[0, :, p],
        x[p, :, 0],
        x[q, :, q],
        x[q, None, q],
        x[None, q, 1],
    ),
    "arrays and slices": lambda x, p, q: (x[q, 1:3], x[1:, q], x[::-1, q, ::2], x[..., q, None]),
    "lists": lambda x, p, q: (x[[0, 2]], x[[0, 1], [1, -1]], x[:, [True, False, True, True]]),
    "chained": lambda x, p, q: (
        x[1:][::-1][0],
        x.T[1:][:, 0],
        x[:, 1][q],
        x.reshape(12, 5)[q],
        x[p][0, 1],
    ),
    "computed scalar": lambda x, p, q: (x[q[0]], x[p[1, 0], 2], x[:, q[1]], x[x.argmax() % 3]),
    "constant indices": lambda x, p, q: (
        x[np.arange(3), np.arange(3)],
        x[np.array([-1, 0])],
        x[np.ix_([0, 2], [1, 3])],
    ),
    "empty": lambda x, p, q: (x[[]], x[0:0], x[:, np.zeros((0, 2), int)]),
}


@pytest.mark.parametrize("name", READS)
def test_reads(name: str) -> None:
    function = READS[name]
    check(lambda x, p, q: function(x, p, q), F, np.minimum(P, 2), Q)


def _write(body: Callable[..., Any]) -> Callable[..., Any]:
    def function(x, p, q):
        y = x.copy()
        body(y, p, q)
        return y

    return function


def w_slices(y, p, q):
    y[1:3] = 7
    y[:, ::2] = y[:, 1::2] * 2
    y[-1, ::-1] = y[0]
    y[0, 1] = y[2, 2]
    y[..., -1] += 5


def w_in_place(y, p, q):
    y += 1
    y *= y
    y[1] -= y[2]
    y[:, 2:4] /= 2
    y[::2, ::-3] **= 2


def w_views(y, p, q):
    row = y[1]
    row[2:4] = 9
    row += y[0]
    t = y.T
    t[0] = -1
    flat = y.reshape(-1)
    flat[::5] = 3
    flat.reshape(2, 12)[1, 0] = 8
    block = y[1:, 1:]
    block[1, 1] = 4
    block[...] = block[:, ::-1]


def w_scatter(y, p, q):
    y[p] = 1.5
    y[q, 2] = y[0, :2]
    y[:, p] = y[:, p] * 2
    y[p, p] += 1
    y[q, 1:3] = np.array([[1, 2], [3, 4]])


def w_mask(y, p, q):
    y[y > 0] = 0
    y[y < -1] = y[0, 0]
    y[np.array([True, False, False, True])] = 5
    y[y[:, 0] < 0] = y[1]


def w_duplicates(y, p, q):
    y[np.array([0, 0, 1]), np.array([1, 1, 2])] = np.array([10, 20, 30])


def w_diagonal(y, p, q):
    np.fill_diagonal(y, 0)
    y.fill(y.sum())
    np.put_along_axis(y, np.array([[0], [1], [2], [3]]), 6.0, axis=1)
    np.copyto(y[0], y[1])


def w_long_diagonals(y, p, q):
    cube = np.stack([y[:, :4]] * 4)
    np.fill_diagonal(cube, 7)
    tall = np.concatenate([y, y, y])[:, :3]
    np.fill_diagonal(tall, -1, wrap=True)
    np.fill_diagonal(y, cube[:, 1, 1], wrap=True)
    y[3, :3] = tall.sum(0) + cube.sum((0, 1))[:3]


def w_known(y, p, q):
    table = np.zeros((3, 2))
    table[1] = 4
    table[0, 0] = 1
    view = table.T
    view[1, 2] = 9
    flat = table.reshape(-1)
    flat[3] = 2.5
    y[:3, :2] = table
    y[3, :2] = table[int(table[0, 0])]
    table[2] = y[0, :2]
    y[2, 2:4] = table[2] + flat[4:]


WRITES = {
    f.__name__: f
    for f in (
        *(w_slices, w_in_place, w_views, w_scatter, w_mask, w_duplicates, w_diagonal),
        *(w_long_diagonals, w_known),
    )
}


@pytest.mark.parametrize("name", WRITES)
def test_writes(name: str) -> None:
    check(_write(WRITES[name]), M, P, Q)


def test_assignment_casts_as_numpy() -> None:
    def function(x):
        y = np.zeros(4, np.int32)
        y[...] = x[0, :4] * 3
        z = x.astype(np.float16)
        z[0] = x[1]
        return y, z

    check(function, M)


def test_names_share_storage_and_results_do_not() -> None:
    def function(x):
        y = x * 1
        z = y
        z[0] = 0
        w = y + 0
        w[1] = 0
        y += 1
        return y, z, w

    check(function, M)


def test_unpacking_and_iteration() -> None:
    def function(x):
        a, b, *rest = x
        total = sum(row[0] for row in x)
        return a + b, total, [r * 2 for r in rest], {"max": max(a[0], b[0]), "n": len(x)}

    check(function, M)


N = dim("N", least=1)

OPEN: dict[str, Callable[..., Any]] = {
    "slices": lambda x: (x[1:], x[:-1], x[::2], x[::-1], x[:3], x[-2:], x[1:-1, ::-1]),
    "elements": lambda x: (x[0], x[-1], x[:, 0], x[x.shape[0] - 1]),
    "reductions": lambda x: (x.sum(0), x.mean(), x.mean(axis=0), x.var(), x.argmax(0), x.max(1)),
    "shapes": lambda x: (
        x.reshape(-1),
        x.reshape(-1, 2),
        x.T,
        x.reshape(x.shape[0], 3, 2),
        x.ravel(),
    ),
    "joins": lambda x: (
        np.concatenate([x, x]),
        np.stack([x, x]),
        np.pad(x, 1),
        np.roll(x, 1, 0),
        np.tile(x, (2, 1)),
    ),
    "creation": lambda x: (
        np.zeros(x.shape),
        np.arange(x.shape[0]),
        np.ones_like(x) * x.shape[0],
        np.eye(x.shape[0]),
    ),
    "arithmetic": lambda x: (
        x * (x.shape[0] + 1),
        x / x.size,
        x[: x.shape[0] - 1],
        x + len(x) // 2,
    ),
    "products": lambda x: (
        x @ x.T,
        x.T @ x,
        np.einsum("ij,ij->i", x, x),
        np.cumsum(x, 0),
        np.sort(x, 0),
    ),
    "pads": lambda x: (
        np.pad(x, ((1, 2), (0, 0)), "edge"),
        np.pad(x, ((1, 2), (0, 0)), "reflect"),
        np.pad(x, ((1, 2), (0, 0)), "wrap"),
    ),
    "gather": lambda x: (
        x[np.arange(x.shape[0])],
        x[x.argmax(0)],
        np.take_along_axis(x, x.argsort(0), 0),
    ),
}


@pytest.mark.parametrize("size", [3, 4, 7])
@pytest.mark.parametrize("name", OPEN)
def test_open_dimensions(name: str, size: int) -> None:
    from tilewright.ir.dtypes import F32

    function = OPEN[name]
    x = RNG.standard_normal((size, 6)).astype(np.float32)
    check(function, x, symbols={N: size}, x=ArraySpec(F32, (N, 6)), tolerance=4e-6)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 8])
def test_neighbours_along_an_open_dimension_have_one_size(size: int) -> None:
    """Although of an empty axis, or a short one, neither slice has its full length."""
    from tilewright.ir.dtypes import F32

    def function(x):
        return (
            x[1:] - x[:-1],
            x[2:] + x[1:-1] + x[:-2],
            x[3::2] - x[1:-2:2],
            np.diff(x, axis=0),
            x[5:-4],
        )

    n = dim("n")
    x = RNG.standard_normal((size, 6)).astype(np.float32)
    check(function, x, symbols={n: size}, x=ArraySpec(F32, (n, 6)))


def test_an_open_dimension_is_not_equal_to_another() -> None:
    from tilewright.ir.dtypes import F32

    other = dim("K")
    with pytest.raises(ShapeError, match="open dimension equals only itself"):
        traced(
            lambda x, y: x + y,
            M,
            M,
            x=ArraySpec(F32, (N,)),
            y=ArraySpec(F32, (other,)),
        )


def test_data_dependent_indices_are_checked() -> None:
    def function(x, i):
        return x[i]

    result = traced(function, V, np.array([0, 1]))
    assert len(result.graph.checks) == 1
    same(run(result, function, (V, np.array([-7, 6]))), V[[-7, 6]])
    with pytest.raises(BoundsError, match="index 7 is out of bounds for axis 0 with size 7"):
        run(result, function, (V, np.array([0, 7])))
    with pytest.raises(BoundsError, match="index -8 is out of bounds for axis 0 with size 7"):
        run(result, function, (V, np.array([0, -8])))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x[np.argmax(x)],
        lambda x, i: x[np.argsort(x)],
        lambda x, i: x[np.clip(i, 0, 6)],
        lambda x, i: x[i % 7],
        lambda x, i: x[np.arange(7)],
        lambda x, i: np.zeros(256)[i.astype(np.uint8)],
        lambda x, i: np.sort(x)[np.searchsorted(x, x) % len(x)],
    ],
)
def test_proven_indices_are_not_checked(function: Callable[..., Any]) -> None:
    result = check(function, V, np.array([3, 9]))
    assert not result.graph.checks


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda x: x[4], BoundsError, "index 4 is out of bounds for axis 0 with size 4"),
        (lambda x: x[0, -7], BoundsError, "index -7 is out of bounds for axis 1 with size 6"),
        (lambda x: x[0, 0, 0], BoundsError, r"too many indices: 3 for an array of shape \(4, 6\)"),
        (lambda x: x[[1, 9]], BoundsError, "index 9 is out of bounds for axis 0 with size 4"),
        (lambda x: x[0.5], BoundsError, "an index must be an int, a slice"),
        (lambda x: x[x], BoundsError, "arrays used as indices must be of integer or bool dtype"),
        (lambda x: x[::0], ShapeError, "a slice's step cannot be zero"),
        (lambda x: x[x > 0], TraceError, r"the size of x\[mask\] depends on data"),
        (lambda x: x["a"], BoundsError, "not str"),
        (lambda x: x[..., ...], BoundsError, "single ellipsis"),
        (lambda x: x[np.array([0, 1]), np.array([0, 1, 2])], ShapeError, r"\(2,\) and \(3,\)"),
    ],
)
def test_wrong_reads(function: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, M)


def bad_argument(x):
    x[0] = 1
    return x


def bad_in_place(x):
    x += 1
    return x


def bad_view_of_argument(x):
    x.reshape(-1)[0] = 1
    return x


def bad_shape(x):
    y = x.copy()
    y[0] = np.zeros(3)
    return y


def bad_cast(x):
    y = x.astype(np.int32)
    y += 0.5
    return y


def bad_broadcast(x):
    y = np.broadcast_to(x.copy(), (2, 4, 6))
    y[0] = 1
    return y


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (bad_argument, TraceError, "cannot write into its argument 'x'"),
        (bad_in_place, TraceError, "cannot write into its argument 'x'"),
        (bad_view_of_argument, TraceError, "cannot write into its argument 'x'"),
        (bad_shape, ShapeError, r"cannot assign shape \(3,\) to shape \(6,\)"),
        (bad_cast, DTypeError, r"\(\+=\) is float64, which does not go into an array of int32"),
        (bad_broadcast, TraceError, "made by broadcasting is read-only"),
    ],
)
def test_wrong_writes(function: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, M)


CAPTURED: dict[str, Callable[..., Any]] = {
    "sum": lambda k: M[k].sum(),
    "mean": lambda k: np.mean(M[k, 1:]),
    "position": lambda k: M[k].argmax(),
    "columns": lambda k: (M[:, k].max(), M.T[k].min(), M[None, k].T.sum()),
    "conversion": lambda k: np.float64(M[k, 1]) + 1,
}


@pytest.mark.parametrize("name", CAPTURED)
def test_a_known_array_at_a_position_of_the_run_is_not_known(name: str) -> None:
    """NumPy was given None for it, whose sum is None and whose largest element is the first."""
    check(CAPTURED[name], np.array(2))


def test_a_known_array_at_a_point_of_an_index_function_is_not_known() -> None:
    def function():
        return tw.compute((4,), lambda k: M[k].sum() + M[k].argmax())

    same(run(traced(function), function, ()), M.sum(1) + M.argmax(1))
