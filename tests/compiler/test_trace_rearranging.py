"""Functions that rearrange and gather on traced arrays, against NumPy: one line per case."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tests.compiler.function_cases import INTS, B, Cases, E, F, M, P, S, U, V, W
from tests.compiler.trace_oracle import check

CASES = Cases()
case = CASES.add

# Manipulation.
case(
    "reshape",
    lambda x: (
        x.reshape(-1),
        x.reshape(4, 15),
        np.reshape(x, (2, -1)),
        x.reshape((3, 2, 2, 5)),
        x.reshape(3, 20, order="F"),
    ),
    F,
)
case(
    "reshape units",
    lambda x: (x.reshape(3, 1, 4, 5, 1), x[:1].reshape(4, 5), x.reshape(3, 4, 5)),
    F,
)
case("ravel", lambda x: (x.ravel(), np.ravel(x.T), x.flatten(), x.T.ravel(order="F")), F)
case(
    "transpose",
    lambda x: (
        x.T,
        x.transpose(1, 0, 2),
        np.transpose(x, (2, 0, 1)),
        x.transpose(),
        x.swapaxes(0, 2),
        x.mT,
    ),
    F,
)
case(
    "moveaxis",
    lambda x: (
        np.moveaxis(x, 0, -1),
        np.moveaxis(x, [0, 1], [-1, 0]),
        np.rollaxis(x, 2),
        np.rollaxis(x, 0, 3),
    ),
    F,
)
case(
    "expand squeeze",
    lambda x: (
        np.expand_dims(x, 0),
        np.expand_dims(x, (1, -1)),
        x[:, None],
        np.squeeze(x[:1]),
        x[:, :1].squeeze(1),
    ),
    F,
)
case(
    "broadcast", lambda x, v: (np.broadcast_to(v, (2, 6)), *np.broadcast_arrays(v, x[:, :1])), M, V
)
case(
    "atleast",
    lambda x: (
        np.atleast_1d(x[0, 0]),
        np.atleast_2d(x[0]),
        np.atleast_3d(x),
        *np.atleast_1d(x, x[0]),
    ),
    M,
)
case(
    "concatenate",
    lambda x, y: (
        np.concatenate([x, y]),
        np.concatenate((x, x, y), axis=0),
        np.concatenate([x, x], axis=1),
        np.concatenate([x, y], axis=None),
    ),
    M,
    M[:2],
)
case("concatenate dtypes", lambda x, y: np.concatenate([x, y]), np.arange(3), np.ones(2, "f4"))
case("concatenate empty", lambda x, y: np.concatenate([x[:0], y, x[:0]]), M, M)
case(
    "stack",
    lambda x: (
        np.stack([x, x * 2]),
        np.stack([x, x], axis=-1),
        np.stack((x[0], x[1], x[2]), axis=1),
    ),
    M,
)
case(
    "vstack",
    lambda x, v: (
        np.vstack([x, x]),
        np.hstack([x, x]),
        np.dstack([x, x]),
        np.vstack([v, v]),
        np.hstack([v, v]),
        np.column_stack([v, v]),
    ),
    M,
    V,
)
case(
    "block append",
    lambda x: (np.block([[x, x], [x, x]]), np.append(x, x, axis=0), np.append(x, 1.0)),
    M,
)
case(
    "split",
    lambda x: (
        *np.split(x, 2),
        *np.split(x, [1, 3], axis=1),
        *np.array_split(x, 3, axis=1),
        *np.hsplit(x, 5),
        *np.vsplit(x, 2),
    ),
    M,
)
case(
    "flip", lambda x: (np.flip(x), np.flip(x, 0), np.fliplr(x), np.flipud(x), np.flip(x, (0, 1))), M
)
case("rot90", lambda x: (np.rot90(x), np.rot90(x, 2), np.rot90(x, -1), np.rot90(x, 4)), M)
case(
    "roll",
    lambda x: (
        np.roll(x, 2),
        np.roll(x, -1, axis=0),
        np.roll(x, (1, 2), axis=(0, 1)),
        np.roll(x, 7, axis=1),
    ),
    M,
)
for _mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    case(
        f"pad {_mode}",
        lambda x, m=_mode: (
            np.pad(x, 1, mode=m),
            np.pad(x, ((2, 1), (0, 3)), mode=m),
            np.pad(x, (1, 2), mode=m),
        ),
        M,
    )
    case(f"pad {_mode} far", lambda x, m=_mode: np.pad(x, 9, mode=m), M)
case(
    "pad values",
    lambda x: (
        np.pad(x, 1, constant_values=5),
        np.pad(x, ((1, 2), (3, 4)), constant_values=((1, 2), (3, 4))),
    ),
    M,
)
case("pad empty", lambda x: np.pad(x, 1), E)
case("pad ints", lambda x: np.pad(x, 1, constant_values=7), U)
case(
    "tile repeat",
    lambda x: (
        np.tile(x, 2),
        np.tile(x, (2, 3)),
        np.tile(x, (2, 1, 1)),
        np.repeat(x, 3),
        np.repeat(x, 2, axis=0),
        np.repeat(x, [1, 0, 2, 1], axis=0),
    ),
    M,
)
case("tril triu", lambda x: (np.tril(x), np.triu(x), np.tril(x, 1), np.triu(x, -1)), F)
case(
    "diagonals",
    lambda x: (
        np.diagonal(x),
        np.diagonal(x, 1),
        np.diag(x),
        np.diag(x, -1),
        np.diag(x[0]),
        np.diag(x[0], 2),
        np.diag(x[0], -1),
    ),
    M,
)
case("diagonal 3d", lambda x: (np.diagonal(x, axis1=1, axis2=2), np.diagonal(x, 1, 0, 2)), F)
case(
    "diff gradient",
    lambda x: (
        np.diff(x),
        np.diff(x, 2, axis=0),
        np.gradient(x[0]),
        *np.gradient(x),
        np.diff(x, prepend=0.0),
    ),
    M,
)
case("windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)).sum((2, 3)), M)
case(
    "insert delete",
    lambda x: (np.delete(x, 1, axis=0), np.insert(x, 1, 9.0, axis=1), np.delete(x, [0, 2], axis=1)),
    M,
)
case(
    "unravel",
    lambda i: (*np.unravel_index(i, (3, 4)), np.ravel_multi_index((i % 3, i % 4), (3, 4))),
    np.arange(12),
)

case("isin", lambda x: (np.isin(x, [1, 5, -3]), np.isin(x, x[0], invert=True)), INTS)
case(
    "polyval piecewise",
    lambda x: (
        np.polyval([1.0, -2.0, 3.0], x),
        np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: v * 2, 5]),
    ),
    S,
)
case("ix_", lambda x, i: x[np.ix_(i[:2], i[2:] % 3)], M, np.array([0, 3, 1, 2]))
case(
    "indices from",
    lambda x: (
        x[np.tril_indices_from(x)],
        x[np.triu_indices_from(x, 1)],
        x[np.diag_indices_from(x)],
    ),
    S,
)
case("geomspace corrcoef", lambda x: (np.geomspace(abs(x[0, 0]), 10.0, 5), np.corrcoef(x)), S)
case("sum of bools as bools", lambda x: (np.sum(x, axis=0, dtype=bool), np.prod(x, dtype=bool)), B)

# Gathering.
case(
    "take",
    lambda x, i: (
        np.take(x, i),
        np.take(x, i, axis=0),
        np.take(x, 2, axis=1),
        x.take(i, axis=1, mode="wrap"),
        np.take(x, i + 9, axis=0, mode="clip"),
    ),
    M,
    P,
)
case(
    "take_along_axis",
    lambda x: (
        np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
        np.take_along_axis(x, np.argmax(x, axis=0)[None], axis=0),
    ),
    M,
)
case("choose", lambda i, x: np.choose(i, [x, x * 2, x * 3], mode="clip"), np.array([0, 1, 2, 5]), W)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    CASES.check(name)


def test_two_axes_moved_anywhere() -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    pairs = [*permutations(range(4), 2)]
    check(lambda x: [np.moveaxis(x, a, b) for a in pairs for b in pairs], x)


def test_three_axes_moved_anywhere() -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    triples = [*permutations((0, 1, -1)), *permutations((-4, 2, 1))]
    check(lambda x: [np.moveaxis(x, a, b) for a in triples for b in triples], x)
    check(lambda x: [np.rollaxis(x, a, b) for a in range(4) for b in range(5)], x)
