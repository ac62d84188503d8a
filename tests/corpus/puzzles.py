"""Exercises, puzzles on grids, and small algorithms."""

# Written as users write it, hence:
# ruff: noqa: B007, E741, RUF059, SIM300
from __future__ import annotations

import itertools

import numpy as np

import tilewright as tw
from tests.corpus.cases import RNG, array, case


@case(array((5, 5), "f8"))
def ex1(Z):
    Z = Z.copy()
    Z[1:-1, 1:-1] = 0
    a = np.zeros(10)
    a[4] = 1
    b = np.arange(10, 50)[::-1]
    c = np.arange(9).reshape(3, 3)
    d = np.eye(3)
    e = np.ones((10, 10))
    e[1:-1, 1:-1] = 0
    f = np.diag(1 + np.arange(4), k=-1)
    g = np.zeros((8, 8), dtype=int)
    g[1::2, ::2] = 1
    g[::2, 1::2] = 1
    h = np.tile(np.array([[0, 1], [1, 0]]), (4, 4))
    i = np.unravel_index(99, (6, 7, 8))
    j = (Z - np.mean(Z)) / np.std(Z)
    return (Z, a, b, c, d, e, f, g, h, i, j)


@case(array((10,), "f8"))
def ex2(Z):
    Z1 = np.arange(11)
    Z1[(3 < Z1) & (Z1 < 8)] *= -1
    Z2 = Z.copy()
    Z2[Z2.argmax()] = 0
    Z3 = Z.copy()
    Z3.sort()
    Z4 = np.linspace(0, 1, 11, endpoint=False)[1:]
    Z5 = Z[np.abs(Z - 0.5).argmin()]
    Z6 = Z.copy()
    np.add(Z6, 1, out=Z6)
    np.negative(Z6, out=Z6)
    Z7 = np.zeros((5, 5))
    Z7 += np.arange(5)
    Z8 = np.fromiter(range(10), dtype=float, count=-1)
    X, Y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    C = 1.0 / (np.arange(8).reshape(8, 1) - (np.arange(8) + 0.5))
    return (
        Z1,
        Z2,
        Z3,
        Z4,
        Z5,
        Z6,
        Z7,
        Z8,
        X,
        Y,
        np.linalg.det(C),
        np.allclose(Z, Z),
        np.array_equal(Z, Z2),
        np.copysign(np.ceil(np.abs(Z)), Z),
        Z - Z % 1,
        np.trunc(Z),
        Z // 1,
    )


@case(array((10, 2), "f8"))
def ex3(Z):
    X, Y = (Z[:, 0], Z[:, 1])
    R_ = np.sqrt(X**2 + Y**2)
    T = np.arctan2(Y, X)
    x, y = np.atleast_2d(Z[:, 0], Z[:, 1])
    D = np.sqrt((x - x.T) ** 2 + (y - y.T) ** 2)
    dd = Z.reshape(Z.shape[0], 1, Z.shape[1]) - Z
    D2 = np.sqrt((dd**2).sum(axis=2))
    near = D2 + np.eye(10) * 1000000000.0
    return (
        R_,
        T,
        D,
        D2,
        near.argmin(1),
        np.hypot(X, Y),
        np.argsort(D2, axis=1)[:, :3],
        np.argpartition(near, 2, axis=1).shape,
    )


@case(array((5, 5), "f8"), RNG.integers(0, 5, 20), array(20, "f8"))
def ex4(A, I, v):
    F = np.bincount(I, v, 5)
    Z = np.ones(5) + np.bincount(I, minlength=5)
    A2 = A.copy()
    A2[[0, 1]] = A2[[1, 0]]
    n = np.argsort(A[:, 1])
    B = A[n]
    e = A - A.mean(axis=1, keepdims=True)
    nulls = (~A.any(axis=0)).any()
    P = np.zeros(10)
    np.add.at(P, I % 10, 1)
    G = A.ravel()[np.argsort(A.ravel())[-3:]]
    rank = np.trace(A @ A)
    s = np.sum(A.reshape(-1) ** 2)
    dd = np.diag(np.dot(A, A))
    dd2 = np.einsum("ij,ji->i", A, A)
    dd3 = np.sum(A * A.T, axis=1)
    Z3 = np.zeros(len(v) + (len(v) - 1) * 3)
    Z3[::4] = v
    AA = A[:, :, None] * np.ones((5, 5, 3))
    M = np.lib.stride_tricks.sliding_window_view(A, (3, 3))
    return (
        F,
        Z,
        A2,
        B,
        e,
        nulls,
        P,
        G,
        rank,
        s,
        dd,
        dd2,
        dd3,
        Z3,
        AA,
        M.sum((2, 3)),
        np.add.reduceat(
            np.add.reduceat(np.ones((16, 16)), np.arange(0, 16, 4), axis=0),
            np.arange(0, 16, 4),
            axis=1,
        ),
    )


@case(array((16, 16), "f8"))
def reduceat(Z):
    return (
        np.add.reduceat(
            np.add.reduceat(Z, np.arange(0, 16, 4), axis=0), np.arange(0, 16, 4), axis=1
        ),
        np.maximum.reduceat(Z[0], [0, 3, 7]),
        np.add.reduceat(Z[0], [0, 5, 3, 9]),
        np.add.reduceat(Z, [0, 8], axis=-1),
    )


@case(RNG.integers(0, 50, (10,)))
def bits(I):
    B = (I.reshape(-1, 1) & 2 ** np.arange(8) != 0).astype(int)
    I8 = I.astype(np.uint8)
    U = np.unpackbits(I8[:, np.newaxis], axis=1)
    return (
        B[:, ::-1],
        U,
        np.bitwise_xor.reduce(I),
        np.bitwise_or.reduce(I),
        I ^ 1,
        I & -I,
        I & I - 1 == 0,
        I << 2,
        ~I,
        np.bitwise_count(I),
        np.left_shift(1, I % 5),
        np.packbits(U, axis=-1),
    )


@case(RNG.integers(0, 10, (6, 8)))
def aoc_trees(g):
    h, w = g.shape
    vis = np.zeros_like(g, dtype=bool)
    for k in range(4):
        m = np.maximum.accumulate(g, axis=1)
        prev = np.hstack([np.full((g.shape[0], 1), -1), m[:, :-1]])
        vis |= g > prev
        g = np.rot90(g)
        vis = np.rot90(vis)
    return (vis, vis.sum(), int(vis.sum()), np.count_nonzero(vis))


@case(RNG.integers(0, 10, (6, 8)))
def aoc_low(g):
    p = np.pad(g, 1, constant_values=9)
    low = (g < p[:-2, 1:-1]) & (g < p[2:, 1:-1]) & (g < p[1:-1, :-2]) & (g < p[1:-1, 2:])
    return ((g[low] + 1).sum(), np.sum((g + 1) * low))


@case(RNG.integers(0, 10, (6, 8)))
def aoc_octopus(g):
    g = g.copy()
    flashes = 0
    for step in range(2):
        g += 1
        flashed = np.zeros(g.shape, bool)
        for _ in range(3):
            new = (g > 9) & ~flashed
            flashed |= new
            p = np.pad(new.astype(int), 1)
            for dy in range(3):
                for dx in range(3):
                    g += p[dy : dy + g.shape[0], dx : dx + g.shape[1]]
        g[flashed] = 0
        flashes += flashed.sum()
    return (g, flashes)


@case(RNG.integers(0, 9, (12,)))
def aoc_lantern(ages, days=18):
    c = np.bincount(ages, minlength=9)
    for _ in range(days):
        c = np.roll(c, -1)
        c[6] += c[8]
    return (c.sum(), c)


@case(RNG.integers(0, 9, (5, 4)))
def aoc_dist(pts):
    d = np.abs(pts[:, None, :] - pts[None, :, :]).sum(-1)
    return (
        d,
        d.max(),
        d[np.triu_indices(len(pts), k=1)].sum(),
        np.where(d == 0, 9999, d).min(axis=1),
        np.cumsum(np.diff(np.sort(pts[:, 0]))),
    )


@case(RNG.integers(0, 2, (5, 12)))
def aoc_bits(b):
    g = (b.mean(axis=0) >= 0.5).astype(int)
    w = 1 << np.arange(b.shape[1])[::-1]
    return (
        g @ w,
        (1 - g) @ w,
        g @ w * ((1 - g) @ w),
        b.dot(2 ** np.arange(b.shape[-1])[::-1]),
        np.packbits(b.astype(bool), axis=1),
    )


@case(RNG.integers(0, 2, (6, 6)))
def floodfill(g):
    lab = np.where(g > 0, np.arange(1, g.size + 1).reshape(g.shape), 0)

    def body(i, l):
        p = np.pad(l, 1)
        m_ = np.maximum.reduce(
            [p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]]
        )
        return (np.where(g > 0, m_, 0),)

    return tw.loop(36, body, lab)[0]


@case(np.abs(array((5, 5), "f8")))
def floyd2(D):
    D = D.copy()
    for k in range(len(D)):
        D = np.minimum(D, D[:, k, None] + D[k])
    E = D.copy()
    for k in range(len(D)):
        np.minimum(E, E[:, [k]] + E[[k], :], out=E)
    return (D, E)


@case(RNG.integers(1, 20, (6,)), RNG.integers(1, 50, (6,)))
def knapsack(w, v, cap=30):
    dp = np.zeros(cap + 1, dtype=v.dtype)
    j = np.arange(cap + 1)
    for i in range(len(w)):
        prev = np.where(j >= w[i], dp[np.maximum(j - w[i], 0)] + v[i], 0)
        dp = np.maximum(dp, prev)
    return (dp[-1], dp)


@case(np.array([3, 1, 2, 3, 1]), np.array([1, 2, 3, 1]))
def lev(a, b):
    n, m = (len(a), len(b))
    D = np.zeros((n + 1, m + 1), dtype=int)
    D[:, 0] = np.arange(n + 1)
    D[0, :] = np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            D[i, j] = min(
                D[i - 1, j] + 1, D[i, j - 1] + 1, D[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            )
    return D[n, m]


@case(30)
def sieve(n):
    s = np.ones(n, dtype=bool)
    s[:2] = False
    for i in range(2, int(n**0.5) + 1):
        s[i * i :: i] = False
    return (s, np.cumsum(s))


@case(np.arange(10.0))
def sievex(x):
    s = np.ones(30, dtype=bool)
    s[:2] = False
    for i in range(2, int(30**0.5) + 1):
        if s[i]:
            s[i * i :: i] = False
    return np.nonzero(s)[0] * x


@case(array((6, 6), "f8"))
def magic(A):
    return (
        np.trace(A[:, ::-1]),
        np.fliplr(A).diagonal(),
        A.diagonal(1),
        np.diag(A, -1),
        np.triu(A),
        np.tril(A, -1),
        np.diag(np.diag(A)),
        A[np.diag_indices(6)],
        A[np.tril_indices(6, -1)],
        A[np.arange(6), ::-1][:, 0],
        A[::-1, ::-1].T,
        np.block([[A, A], [A.T, np.zeros((6, 6))]]).sum(),
        A[::2, 1::2],
        np.delete(A, 1, axis=0),
        np.insert(A, 1, 0, axis=1),
        np.delete(A, [0, 2], 1),
        np.append(A, A, axis=0).shape,
        np.append(A, 5),
        np.array_split(A, 4),
        np.hsplit(A, 2),
        np.vsplit(A, [2, 3]),
        np.dstack([A, A]).shape,
    )


@case(6)
def pascal(n):
    P = np.zeros((n, n), int)
    P[:, 0] = 1
    for i in range(1, n):
        P[i, 1:] = P[i - 1, 1:] + P[i - 1, :-1]
    F = np.array([[1, 1], [1, 0]])
    M = np.linalg.matrix_power(F, n)
    H = 1 / (np.arange(1, n + 1)[:, None] + np.arange(n))
    hd = np.array([[1]])
    for _ in range(3):
        hd = np.block([[hd, hd], [hd, -hd]])
    coll = n
    steps = 0
    while coll != 1:
        coll = coll // 2 if coll % 2 == 0 else 3 * coll + 1
        steps += 1
    return (P, M, H, hd, steps)


@case(array((3, 3), "f8"))
def spiral(A):
    out = []
    M = A
    while M.size:
        out.extend(M[0])
        M = np.rot90(M[1:])
    zz = np.concatenate(
        [np.diagonal(A[::-1, :], i)[:: 2 * (i % 2) - 1] for i in range(1 - A.shape[0], A.shape[0])]
    )
    return (np.array(out), zz)


@case(array((4,), "f8"))
def cart(x):
    g = np.array(np.meshgrid(x, x)).T.reshape(-1, 2)
    pr = np.array(list(itertools.product([0, 1], repeat=3)))
    cb = np.array(list(itertools.combinations(range(4), 2)))
    return (
        g,
        pr,
        x[cb],
        x[cb].sum(1),
        np.indices((2, 2)).reshape(2, -1).T,
        np.stack(np.meshgrid(x, x, indexing="ij"), -1),
    )


@case(array((4, 6), "f8"))
def softsel(x):
    i = np.argmax(x, axis=1)
    j = x.argmin(axis=0)
    return (
        x[np.arange(4), i],
        np.take_along_axis(x, i[:, None], axis=1).squeeze(1),
        x[j, np.arange(6)],
        np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
        np.choose(i % 2, [x[:, 0], x[:, 1]]),
        np.select([x < 0, x < 1], [x * 0, x], default=-1),
        np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: v * 2]),
        np.digitize(x, [-1, 0, 1]),
        np.searchsorted([-1, 0, 1], x, side="right"),
        np.heaviside(x, 0.5),
        np.extract if False else 0,
    )


@case(RNG.integers(0, 5, (9,)), array(9, "f8"))
def groupby(k, v):
    s = np.zeros(5)
    np.add.at(s, k, v)
    c = np.bincount(k, minlength=5)
    mx = np.full(5, -np.inf)
    np.maximum.at(mx, k, v)
    m2 = np.bincount(k, weights=v, minlength=5) / np.maximum(c, 1)
    oh = k[:, None] == np.arange(5)
    h, e = np.histogram(v, bins=4, range=(-2, 2))
    idx = np.digitize(v, np.linspace(-2, 2, 5))
    return (
        s,
        c,
        mx,
        m2,
        (oh * v[:, None]).sum(0),
        h,
        e,
        idx,
        np.histogram(k, bins=np.arange(6))[0],
        np.cumsum(oh, axis=0),
        np.histogram(v, bins=4, range=(-2, 2), weights=v)[0],
    )


@case(RNG.integers(0, 3, (9,)))
def rle(x):
    ch = np.r_[True, x[1:] != x[:-1]]
    ids = np.cumsum(ch) - 1
    return (
        ch,
        ids,
        np.flatnonzero(ch).size,
        np.bincount(ids, minlength=9),
        np.where(ch, np.arange(9), 0).max(),
        np.maximum.accumulate(np.where(ch, np.arange(9), 0)),
    )


@case(array((3, 3), "f4"), array((3, 3), "f4"))
def bcast0(a, b):
    return (
        a + b[0],
        a * b[:, :1],
        np.add(a, b.sum()),
        a - a.mean(1)[:, None],
        a / a.sum(axis=1).reshape(-1, 1),
        a @ b[0],
        a[0] @ b,
        a[0] @ b[0],
        np.outer(a[0], b[0]),
        a ** b.astype(int) % 7,
        np.array(5) + a,
        np.array([1]) * a,
        a == b,
        (a > b).sum(),
        np.array(a.sum()),
        np.asarray(b, dtype=np.float64),
        np.array(a, dtype=int),
        np.array([a, b]),
        np.array([[a[0, 0], 1], [2, b[1, 1]]]),
        np.array([a.sum(), b.sum()]),
        np.array([1, a[0, 0]]),
        np.array([a[0], b[0]], dtype=np.float64),
        np.float64(a[0, 0]) * b,
    )


@case(array((0, 3), "f4"))
@case(array((0,), "f4"))
def empties(x):
    return (
        x.sum(),
        x.sum(axis=0),
        x * 2,
        x.prod(),
        x.any(),
        x.all(),
        np.concatenate([x, x]),
        x.reshape(-1),
        x.cumsum(),
        np.sort(x, axis=0),
        x.T,
        np.dot(x.T, x),
        x.mean(axis=-1) if x.ndim == 2 and x.shape[1] else 0,
        np.where(x > 0, x, 1),
        x.copy(),
        np.zeros_like(x),
        x[:0],
        x[::-1],
        np.count_nonzero(x),
        np.pad(x, 1),
        np.stack([x, x]),
        np.linalg.norm(x),
    )


@case(array((1, 1), "f8"))
@case(array((1,), "f4"))
def ones_(x):
    return (
        x.sum(),
        x.std(),
        x.var(),
        np.diff(x),
        x.squeeze(),
        x.reshape(()),
        float(x.ravel()[0]),
        x.item(),
        np.median(x),
        x.max(),
        np.percentile(x, 30),
        x.tolist(),
    )
