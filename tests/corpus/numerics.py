"""Geometry and numerical methods."""

# Written as users write it, hence:
# ruff: noqa: B007, E741
from __future__ import annotations

import numpy as np

from tests.corpus.cases import array, case


@case(array((4, 4), "f8"), array(4, "f8"))
def gauss(A, b):
    n = len(b)
    M = np.hstack([A, b.reshape(-1, 1)]).astype(float)
    for i in range(n):
        M[i] = M[i] / M[i, i]
        for j in range(n):
            if i != j:
                M[j] -= M[i] * M[j, i]
    return M[:, -1]


@case(array((4, 4), "f8"))
def lu(A):
    n = len(A)
    L = np.eye(n)
    U = A.copy()
    for k in range(n - 1):
        for i in range(k + 1, n):
            L[i, k] = U[i, k] / U[k, k]
            U[i, k:] -= L[i, k] * U[k, k:]
    return (L, U, L @ U)


@case(array((4, 3), "f4"))
@case(array((4, 3), "f8"))
def gramschmidt(A):
    Q = np.zeros(A.shape)
    for j in range(A.shape[1]):
        v = A[:, j].copy()
        for i in range(j):
            v -= np.dot(Q[:, i], A[:, j]) * Q[:, i]
        Q[:, j] = v / np.linalg.norm(v)
    return (Q, Q.T @ A)


@case(array((4, 4), "f8"), array(4, "f8"))
def jacobi(A, b):
    A = A + 10 * np.eye(4)
    D = np.diag(A)
    Rr = A - np.diagflat(D)
    x = np.zeros_like(b)
    for _ in range(20):
        x = (b - np.dot(Rr, x)) / D
    return x


@case(array((4, 4), "f8"), array(4, "f8"))
def cg(A, b):
    A = A @ A.T + np.eye(4)
    x = np.zeros_like(b)
    r = b - A @ x
    p = r
    rs = r @ r
    for i in range(3):
        Ap = A @ p
        al = rs / (p @ Ap)
        x = x + al * p
        r = r - al * Ap
        rn = r @ r
        p = r + rn / rs * p
        rs = rn
    return (x, rs)


@case(array((4, 4), "f8"))
def power(A):
    A = A @ A.T
    v = np.ones(4) / 2
    for _ in range(30):
        v = A @ v
        v /= np.linalg.norm(v)
    return (v @ A @ v, v)


@case(np.sort(array(6, "f8")), array(6, "f8"), array(4, "f8"))
def lagrange(xs, ys, x):
    tot = 0
    for i in range(len(xs)):
        l = 1
        for j in range(len(xs)):
            if j != i:
                l = l * (x - xs[j]) / (xs[i] - xs[j])
        tot = tot + ys[i] * l
    return tot


@case(0.0, 2.0)
def simpson(a, b, n=20):
    x = np.linspace(a, b, n + 1)
    y = np.exp(-(x**2))
    h = (b - a) / n
    return (
        h / 3 * (y[0] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum() + y[-1]),
        h * (0.5 * y[0] + 0.5 * y[-1] + y[1:-1].sum()),
        np.trapezoid(y, x),
        np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)),
    )


@case(2.0)
def newton(a):
    f = lambda x: x**2 - a
    x = a
    for _ in range(6):
        x = x - f(x) / (2 * x)
    return x


@case(array((8, 2), "f8"))
def polyarea(p):
    x, y = (p[:, 0], p[:, 1])
    return (
        0.5 * np.abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))),
        np.sqrt(((p - np.roll(p, 1, axis=0)) ** 2).sum(1)).sum(),
        p.mean(0),
        np.cross(p, np.roll(p, -1, 0)).sum() / 2 if False else 0,
    )


@case(array((8, 2), "f8"), array((5, 2), "f8"))
def pip(poly, pts):
    x, y = (pts[:, 0], pts[:, 1])
    inside = np.zeros(len(pts), dtype=bool)
    n = len(poly)
    j = n - 1
    for i in range(n):
        xi, yi = poly[i]
        xj, yj = poly[j]
        inside ^= ((yi > y) != (yj > y)) & (x < (xj - xi) * (y - yi) / (yj - yi) + xi)
        j = i
    return inside


@case(array((5, 3), "f8"), array((4,), "f8"))
def quat(v, q):
    q = q / np.linalg.norm(q)
    w, x, y, z = q
    Rm = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    u = q[1:]
    r2 = v + 2 * np.cross(u, np.cross(u, v) + w * v)
    T = np.eye(4)
    T[:3, :3] = Rm
    T[:3, 3] = [1, 2, 3]
    ph = np.concatenate([v, np.ones((v.shape[0], 1))], axis=1) @ T.T
    return (v @ Rm.T, r2, T, ph[:, :3])


@case(array(3, "f8"), array(3, "f8"), 0.4)
def rodrigues(v, k, th):
    k = k / np.sqrt(k.dot(k))
    K = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return (
        v * np.cos(th) + np.cross(k, v) * np.sin(th) + k * np.dot(k, v) * (1 - np.cos(th)),
        np.eye(3) + np.sin(th) * K + (1 - np.cos(th)) * K @ K,
    )


@case(array((6, 3), "f8"), array((4, 3), "i4") % 6)
def meshn(V, F):
    tri = V[F]
    n = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    a = 0.5 * np.linalg.norm(n, axis=1)
    nn = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-12)
    vn = np.zeros(V.shape)
    np.add.at(vn, F[:, 0], nn)
    vn2 = np.zeros_like(V)
    for k in range(3):
        np.add.at(vn2, F[:, k], nn)
    return (a, vn, vn2, V[F].mean(axis=1), np.einsum("ij,ij->i", n, tri[:, 0]).sum() / 6)


@case(np.array([48.8, 2.3]), np.array([[40.7, -74.0], [35.6, 139.7]]))
def haversine(a, b):
    lat1, lon1 = np.radians(a)
    lat2, lon2 = np.radians(b).T
    h = (
        np.sin((lat2 - lat1) / 2) ** 2
        + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    )
    return 6371 * 2 * np.arcsin(np.sqrt(h))
