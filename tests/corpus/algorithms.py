"""Filters, decoders, fits and codes: algorithms that are known by name."""

# Written as users write it, hence:
# ruff: noqa: B905, E741, RUF059
from __future__ import annotations

import numpy as np

import tilewright as tw
from tests.corpus.cases import RNG, array, case


@case(array((20, 2), "f8"), np.eye(4), np.eye(4) * 0.1, np.eye(2) * 0.5)
def kalman(zs, P, Q, Rm, dt=1.0):
    F = np.array([[1, 0, dt, 0], [0, 1, 0, dt], [0, 0, 1, 0], [0, 0, 0, 1]])
    H = np.eye(2, 4)
    x = np.zeros(4)
    out = []
    for z in zs[:5]:
        x = F @ x
        P = F @ P @ F.T + Q
        S = H @ P @ H.T + Rm
        K = P @ H.T @ np.linalg.inv(S)
        x = x + K @ (z - H @ x)
        P = (np.eye(4) - K @ H) @ P
        out.append(x[:2])
    return (np.array(out), P)


@case(RNG.random((3, 3)), RNG.random((3, 4)), np.array([1 / 3] * 3), RNG.integers(0, 4, 7))
def viterbi(A, B, pi, obs):
    A = A / A.sum(1, keepdims=True)
    B = B / B.sum(1, keepdims=True)
    T, N = (len(obs), len(pi))
    d = np.zeros((T, N))
    psi = np.zeros((T, N), dtype=int)
    d[0] = np.log(pi) + np.log(B[:, obs[0]])
    for t_ in range(1, T):
        sc = d[t_ - 1][:, None] + np.log(A)
        psi[t_] = sc.argmax(0)
        d[t_] = sc.max(0) + np.log(B[:, obs[t_]])
    path = np.zeros(T, dtype=int)
    path[-1] = d[-1].argmax()
    for t_ in range(T - 2, -1, -1):
        path[t_] = psi[t_ + 1, path[t_ + 1]]
    return (path, d[-1].max())


@case(RNG.random((3, 3)), RNG.random((3, 4)), np.array([1 / 3] * 3), RNG.integers(0, 4, 7))
def hmm_forward(A, B, pi, obs):
    A = A / A.sum(1, keepdims=True)
    B = B / B.sum(1, keepdims=True)
    a = pi * B[:, obs[0]]
    c = [a.sum()]
    a = a / c[0]
    for o in obs[1:]:
        a = a @ A * B[:, o]
        c.append(a.sum())
        a /= c[-1]
    return (np.log(c).sum(), a)


@case(array(8, "f8"), array(9, "f8"))
def dtw(x, y):
    n, m = (len(x), len(y))
    D = np.full((n + 1, m + 1), np.inf)
    D[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            D[i, j] = abs(x[i - 1] - y[j - 1]) + min(D[i - 1, j], D[i, j - 1], D[i - 1, j - 1])
    return D[n, m]


@case(array((12, 2), "f8"), array((2, 2), "f8"))
def gmm_em(X, mu):
    K, D = mu.shape
    n = len(X)
    pi = np.ones(K) / K
    cov = np.stack([np.eye(D)] * K)
    for _ in range(2):
        resp = np.zeros((n, K))
        for k in range(K):
            diff = X - mu[k]
            inv = np.linalg.inv(cov[k])
            det = np.linalg.det(cov[k])
            resp[:, k] = (
                pi[k]
                * np.exp(-0.5 * np.sum(diff @ inv * diff, axis=1))
                / np.sqrt((2 * np.pi) ** D * det)
            )
        resp /= resp.sum(axis=1, keepdims=True)
        Nk = resp.sum(axis=0)
        pi = Nk / n
        mu = resp.T @ X / Nk[:, None]
        cov = np.array(
            [
                (resp[:, k, None] * (X - mu[k])).T @ (X - mu[k]) / Nk[k] + 1e-06 * np.eye(D)
                for k in range(K)
            ]
        )
    return (mu, cov, pi, resp.argmax(1))


@case(array((10, 3), "f8"), RNG.integers(0, 2, 10), array((4, 3), "f8"))
def gnb_mask(X, y, Xt):
    mu = np.array([X[y == c].mean(axis=0) for c in range(2)])
    sd = np.array([X[y == c].std(axis=0) for c in range(2)])
    pr = np.array([np.mean(y == c) for c in (0, 1)])
    ll = -0.5 * (((Xt[:, None] - mu) / sd) ** 2).sum(-1) - np.log(sd).sum(-1) + np.log(pr)
    return ll.argmax(1)


@case(array((10, 3), "f8"), RNG.integers(0, 3, 10), array((4, 3), "f8"))
def knn(X, y, Q, k=3):
    d = ((Q[:, np.newaxis] - X) ** 2).sum(axis=-1)
    idx = np.argpartition(d, k, axis=1)[:, :k]
    votes = y[np.sort(idx, axis=1)]
    return (
        np.apply_along_axis(lambda v: np.bincount(v, minlength=3).argmax(), 1, votes),
        np.sort(d, axis=1)[:, :k],
    )


@case(array((10, 3), "f8"), np.sign(array(10, "f8")))
def perceptron(X, y):
    w = np.zeros(X.shape[1] + 1)
    Xb = np.insert(X, 0, 1, axis=1)
    for xi, yi in zip(Xb, y):
        pred = np.where(xi @ w >= 0, 1, -1)
        w += 0.1 * (yi - pred) * xi
    return (w, np.sign(Xb @ w))


@case(array((2, 5, 8), "f4"))
def rope(x):
    B, T, D = x.shape
    pos = np.arange(T)[:, None]
    inv = 1.0 / 10000 ** (np.arange(0, D, 2) / D)
    ang = (pos * inv).astype(np.float32)
    c, s = (np.cos(ang), np.sin(ang))
    a, b = (x[..., 0::2], x[..., 1::2])
    out = np.empty_like(x)
    out[..., 0::2] = a * c - b * s
    out[..., 1::2] = a * s + b * c
    return out


@case(array(10, "f8"))
@case(array(10, "f4"))
def topp(logits, p=0.8, temp=0.7):
    l = logits / temp
    pr = np.exp(l - l.max())
    pr /= pr.sum()
    order = np.argsort(pr)[::-1]
    cs = np.cumsum(pr[order])
    keep = cs - pr[order] < p
    out = np.zeros_like(pr)
    out[order] = np.where(keep, pr[order], 0)
    return (out / out.sum(), keep.sum())


@case(array((8, 9), "u1"), np.array([[1.0, 0.2, -0.5], [0.1, 0.9, 1.0]]))
def warp_affine(img, M):
    H, W = img.shape
    yy, xx = np.mgrid[0:H, 0:W]
    A = np.vstack([M, [0, 0, 1]])
    inv = np.linalg.inv(A)
    c = np.stack([xx.ravel(), yy.ravel(), np.ones(H * W)])
    sx, sy, _ = inv @ c
    x0 = np.floor(sx).astype(int)
    y0 = np.floor(sy).astype(int)
    fx = sx - x0
    fy = sy - y0

    def at(y, x):
        ok = (x >= 0) & (x < W) & (y >= 0) & (y < H)
        return np.where(ok, img[np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)], 0)

    v = (
        at(y0, x0) * (1 - fx) * (1 - fy)
        + at(y0, x0 + 1) * fx * (1 - fy)
        + at(y0 + 1, x0) * (1 - fx) * fy
        + at(y0 + 1, x0 + 1) * fx * fy
    )
    return np.round(v).reshape(H, W).astype(np.uint8)


@case(array((9, 9), "f8"))
def harris(im, k=0.04):
    gy, gx = np.gradient(im)
    box = lambda a: sum(np.roll(np.roll(a, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    Sxx, Syy, Sxy = (box(gx * gx), box(gy * gy), box(gx * gy))
    R_ = Sxx * Syy - Sxy**2 - k * (Sxx + Syy) ** 2
    mx = np.max([R_[1 + i : 8 + i, 1 + j : 8 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    return (R_, (R_[1:-1, 1:-1] == mx) & (mx > 0.01 * R_.max()))


@case(array((8, 8), "f4"))
def canny_nms(im):
    gx = np.zeros_like(im)
    gy = np.zeros_like(im)
    gx[:, 1:-1] = im[:, 2:] - im[:, :-2]
    gy[1:-1] = im[2:] - im[:-2]
    mag = np.hypot(gx, gy)
    ang = (np.rad2deg(np.arctan2(gy, gx)) + 180) % 180
    q = np.zeros(im.shape, int)
    q[(ang >= 22.5) & (ang < 67.5)] = 1
    q[(ang >= 67.5) & (ang < 112.5)] = 2
    q[(ang >= 112.5) & (ang < 157.5)] = 3
    p = np.pad(mag, 1)
    offs = [(0, 1), (1, 1), (1, 0), (1, -1)]
    out = np.zeros_like(mag)
    for d_, (dy, dx) in enumerate(offs):
        a = p[1 + dy : 9 + dy, 1 + dx : 9 + dx]
        b = p[1 - dy : 9 - dy, 1 - dx : 9 - dx]
        out = np.where((q == d_) & (mag >= a) & (mag >= b), mag, out)
    return (out, (out > 0.7 * out.max()).astype(np.uint8) * 255)


@case(array((10, 10), "f4"), array((3, 3), "f4"))
def ncc(im, tp):
    w = np.lib.stride_tricks.sliding_window_view(im, tp.shape)
    wm = w - w.mean((2, 3), keepdims=True)
    tm = tp - tp.mean()
    s = (wm * tm).sum((2, 3)) / np.sqrt((wm**2).sum((2, 3)) * (tm**2).sum())
    y, x = np.unravel_index(s.argmax(), s.shape)
    return (s, y, x)


@case(array((8, 8), "u1"), array((8, 8), "u1"))
def hist_match(src, ref):
    hs = np.bincount(src.ravel(), minlength=256)
    hr = np.bincount(ref.ravel(), minlength=256)
    cs = np.cumsum(hs) / src.size
    cr = np.cumsum(hr) / ref.size
    lut = np.interp(cs, cr, np.arange(256))
    return (lut[src].astype(np.uint8), np.searchsorted(cr, cs).clip(0, 255).astype("u1")[src])


@case(array((6, 6), "b"))
def hough(edges, nt=8):
    ys, xs = np.indices(edges.shape)
    th = np.deg2rad(np.linspace(-90, 89, nt))
    diag = int(np.ceil(np.hypot(*edges.shape)))
    rho = np.rint(xs[..., None] * np.cos(th) + ys[..., None] * np.sin(th)).astype(int) + diag
    acc = np.zeros((2 * diag + 1, nt), dtype=np.uint64)
    np.add.at(acc, (rho, np.arange(nt)), edges[..., None].astype(np.uint64))
    return acc


@case(array((7, 7), "b"))
def dist_transform(m):
    d = np.where(m, np.inf, 0.0)
    for _ in range(7):
        p = np.pad(d, 1, constant_values=np.inf)
        d = np.minimum(
            d, np.minimum.reduce([p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]]) + 1
        )
    return d


@case(array((5, 2), "f8"), array((3, 2), "f8"))
def barycentric(P, T):
    a, b, c = T
    v0, v1, v2 = (b - a, c - a, P - a)
    d00 = v0 @ v0
    d01 = v0 @ v1
    d11 = v1 @ v1
    d20 = v2 @ v0
    d21 = v2 @ v1
    den = d00 * d11 - d01 * d01
    v = (d11 * d20 - d01 * d21) / den
    w = (d00 * d21 - d01 * d20) / den
    return (np.column_stack([1 - v - w, v, w]), (v >= 0) & (w >= 0) & (v + w <= 1))


@case(array(4, "f8"), array(4, "f8"), 0.3)
def slerp(a, b, t_):
    a = a / np.linalg.norm(a)
    b = b / np.linalg.norm(b)
    d_ = np.dot(a, b)
    b = np.where(d_ < 0, -b, b)
    d_ = np.abs(d_)
    th = np.arccos(np.clip(d_, -1, 1))
    s = np.sin(th)
    return np.where(s > 1e-06, (np.sin((1 - t_) * th) * a + np.sin(t_ * th) * b) / s, a)


@case(np.abs(array(6, "f8")) + 3, array(5, "f8"), array(5, "f8"), array(6, "f8"))
def thomas(b, a, c, d_):
    n = len(b)
    cp = np.zeros(n - 1)
    dp = np.zeros(n)
    cp[0] = c[0] / b[0]
    dp[0] = d_[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i - 1] * cp[i - 1]
        if i < n - 1:
            cp[i] = c[i] / m
        dp[i] = (d_[i] - a[i - 1] * dp[i - 1]) / m
    x = np.zeros(n)
    x[-1] = dp[-1]
    for i in range(n - 2, -1, -1):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return x


@case(np.sort(array(6, "f8")), array(6, "f8"), np.linspace(-1, 1, 5))
def spline(x, y, q):
    h = np.diff(x)
    n = len(x)
    A = np.zeros((n, n))
    r = np.zeros(n)
    A[0, 0] = A[-1, -1] = 1
    for i in range(1, n - 1):
        A[i, i - 1 : i + 2] = (h[i - 1], 2 * (h[i - 1] + h[i]), h[i])
        r[i] = 3 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    c = np.linalg.solve(A, r)
    b = (y[1:] - y[:-1]) / h - h * (2 * c[:-1] + c[1:]) / 3
    d_ = (c[1:] - c[:-1]) / (3 * h)
    i = np.clip(np.searchsorted(x, q) - 1, 0, n - 2)
    t_ = q - x[i]
    return y[i] + t_ * (b[i] + t_ * (c[i] + t_ * d_[i]))


@case(array((4, 4), "f8"))
def householder(A):
    m, n = A.shape
    Rm = A.copy()
    Q = np.eye(m)
    for k in range(n - 1):
        x = Rm[k:, k]
        e = np.zeros_like(x)
        e[0] = np.copysign(np.linalg.norm(x), x[0])
        v = x + e
        v = v / np.linalg.norm(v)
        Rm[k:, k:] -= 2 * np.outer(v, v @ Rm[k:, k:])
        Q[:, k:] -= 2 * np.outer(Q[:, k:] @ v, v)
    return (Q, Rm, Q @ Rm)


@case(0.0, 2.0)
def bisect(a, b):
    f = lambda x: x**3 - x - 2

    def body(lo, hi, n):
        mid = 0.5 * (lo + hi)
        left = f(lo) * f(mid) <= 0
        return (np.where(left, lo, mid), np.where(left, mid, hi), n + 1)

    return tw.while_loop(
        lambda lo, hi, n: (hi - lo > 1e-10) & (n < 100), body, np.float64(a), np.float64(b), 0
    )


@case(1.0)
def romberg(b, n=5):
    f = lambda x: np.exp(-x * x)
    T = np.zeros((n, n))
    h = b
    T[0, 0] = h / 2 * (f(0.0) + f(b))
    for i in range(1, n):
        h = h / 2
        T[i, 0] = T[i - 1, 0] / 2 + h * sum(f((2 * k + 1) * h) for k in range(2 ** (i - 1)))
        for j in range(1, i + 1):
            T[i, j] = T[i, j - 1] + (T[i, j - 1] - T[i - 1, j - 1]) / (4**j - 1)
    return (T[-1, -1], T)


@case(array(4, "f8"), 0.05)
def pendulum(s, dt):

    def f(s):
        t1, t2, w1, w2 = s
        c, sn = (np.cos(t1 - t2), np.sin(t1 - t2))
        d_ = 2 - c * c
        return np.array(
            [
                w1,
                w2,
                (-9.8 * (2 * np.sin(t1) - c * np.sin(t2)) - sn * (w2**2 + c * w1**2)) / d_,
                (9.8 * 2 * (c * np.sin(t1) - np.sin(t2)) + sn * (2 * w1**2 + c * w2**2)) / d_,
            ]
        )

    def step(i, s):
        k1 = f(s)
        k2 = f(s + dt / 2 * k1)
        k3 = f(s + dt / 2 * k2)
        k4 = f(s + dt * k3)
        return (s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4),)

    return tw.loop(10, step, s)[0]


@case(RNG.integers(0, 256, 20).astype("u1"))
def crc32(data):
    tb = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        tb = np.where(tb & 1, np.uint32(3988292384) ^ tb >> np.uint32(1), tb >> np.uint32(1))
    c = np.uint32(4294967295)
    for b in data:
        c = tb[(c ^ b) & np.uint32(255)] ^ c >> np.uint32(8)
    return c ^ np.uint32(4294967295)


@case(RNG.integers(0, 1024, 9), RNG.integers(0, 1024, 9))
def morton(x, y):

    def part(n):
        n = n & 1023
        n = (n ^ n << 16) & 50331903
        n = (n ^ n << 8) & 50393103
        n = (n ^ n << 4) & 51130563
        return (n ^ n << 2) & 153391689

    return (
        part(x) | part(y) << 1,
        x ^ x >> 1,
        x * 2654435761 % 2**32 >> 20,
        x // 100 * 100 + x % 100,
        -(-x // 7),
        divmod(x, 60),
    )


@case(RNG.integers(1900, 2100, 9), RNG.integers(1, 13, 9), RNG.integers(1, 29, 9))
def zeller(y, m, d_):
    y = np.where(m < 3, y - 1, y)
    m = np.where(m < 3, m + 12, m)
    k = y % 100
    j = y // 100
    return (
        (d_ + 13 * (m + 1) // 5 + k + k // 4 + j // 4 + 5 * j) % 7,
        (y % 4 == 0) & (y % 100 != 0) | (y % 400 == 0),
        365 * y + y // 4 - y // 100 + y // 400 + (153 * m - 457) // 5 + d_ - 306,
    )
