"""Simulation, geometry and linear systems."""

# Written as users write it, hence:
# ruff: noqa: B007, E741, RUF005
from __future__ import annotations

import math

import numpy as np

from tests.corpus.cases import RNG, below, case, doubles


@case(doubles(7, 3), doubles(7, 3), np.abs(doubles(7)) + 1)
def nbody_copy(pos, vel, mass):
    d = pos[None, :, :] - pos[:, None, :]
    r2 = (d**2).sum(-1) + 0.01
    np.fill_diagonal(r2, 1.0)
    acc = (d * (mass[None, :, None] * r2[..., None] ** -1.5)).sum(axis=1)
    vel = vel + 0.01 * acc
    return pos + 0.01 * vel, vel, 0.5 * (mass * (vel**2).sum(1)).sum()


@case(doubles(8, 8))
def heat_2d(u, steps=4, alpha=0.1):
    u = u.copy()
    for _ in range(steps):
        un = u.copy()
        u[1:-1, 1:-1] = un[1:-1, 1:-1] + alpha * (
            un[2:, 1:-1]
            - 2 * un[1:-1, 1:-1]
            + un[:-2, 1:-1]
            + un[1:-1, 2:]
            - 2 * un[1:-1, 1:-1]
            + un[1:-1, :-2]
        )
        u[0, :] = 1
        u[-1, :] = 1
        u[:, 0] = 1
        u[:, -1] = 1
    return u


@case(doubles(20), doubles(20))
def wave_1d(u, u_prev, c=0.5, nt=5):
    for n in range(nt):
        u_next = np.zeros_like(u)
        u_next[1:-1] = 2 * u[1:-1] - u_prev[1:-1] + c**2 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u_prev, u = u, u_next
    return u


@case(np.linspace(-2, 1, 12), np.linspace(-1, 1, 8), gpu=True)
def mandelbrot_masked(xs, ys, maxiter=10):
    X, Y = np.meshgrid(xs, ys, indexing="xy")
    Z = np.zeros_like(X)
    W = np.zeros_like(X)
    C = np.zeros(X.shape, int)
    for n in range(maxiter):
        I = Z**2 + W**2 < 4.0
        C[I] = n
        Z[I], W[I] = (Z**2 - W**2 + X)[I], (2 * Z * W + Y)[I]
    return C


@case(doubles(5, 5) + 5 * np.eye(5), doubles(5))
def jacobi_solver(A, b, iterations=10):
    x = np.zeros_like(b)
    D = np.diag(A)
    rest = A - np.diagflat(D)
    for _ in range(iterations):
        x = (b - np.dot(rest, x)) / D
    return x


@case(doubles(5, 5) + 5 * np.eye(5), doubles(5))
def conjugate_gradient(A, b, n=5):
    A = A @ A.T
    x = np.zeros(len(b))
    r = b - A @ x
    p = r.copy()
    rs = r @ r
    for i in range(n):
        Ap = A @ p
        alpha = rs / (p @ Ap)
        x += alpha * p
        r -= alpha * Ap
        rs_new = r @ r
        p = r + (rs_new / rs) * p
        rs = rs_new
    return x


@case(doubles(6, 3) * 3)
def lennard_jones(pos, eps=1.0, sigma=1.0):
    rij = pos[:, np.newaxis] - pos[np.newaxis]
    r2 = np.sum(rij**2, axis=-1)
    iu = np.triu_indices(len(pos), k=1)
    r2 = r2[iu]
    s6 = (sigma**2 / r2) ** 3
    return 4 * eps * np.sum(s6**2 - s6)


@case(np.where(doubles(6, 6) > 0, 1, -1), doubles(6, 6), gpu=True)
def ising_sweep(spins, rnd, beta=0.4):
    s = spins.copy()
    for color in (0, 1):
        nb = np.roll(s, 1, 0) + np.roll(s, -1, 0) + np.roll(s, 1, 1) + np.roll(s, -1, 1)
        dE = 2 * s * nb
        i, j = np.indices(s.shape)
        flip = ((i + j) % 2 == color) & (rnd < np.exp(-beta * dE))
        s[flip] *= -1
    return s


@case(RNG.integers(0, 2, (8, 9)), gpu=True)
def game_of_life(Z):
    N = (
        Z[0:-2, 0:-2]
        + Z[0:-2, 1:-1]
        + Z[0:-2, 2:]
        + Z[1:-1, 0:-2]
        + Z[1:-1, 2:]
        + Z[2:, 0:-2]
        + Z[2:, 1:-1]
        + Z[2:, 2:]
    )
    birth = (N == 3) & (Z[1:-1, 1:-1] == 0)
    survive = ((N == 2) | (N == 3)) & (Z[1:-1, 1:-1] == 1)
    Z = np.zeros_like(Z)
    Z[1:-1, 1:-1][birth | survive] = 1
    return Z


@case(0.3, 0.2, -0.5)
def euler_rotation(roll, pitch, yaw):
    Rx = np.array(
        [[1, 0, 0], [0, math.cos(roll), -math.sin(roll)], [0, math.sin(roll), math.cos(roll)]]
    )
    Ry = np.array(
        [[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]]
    )
    Rz = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    return Rz @ Ry @ Rx


@case(doubles(3), 0.7)
def rodrigues(axis, theta):
    k = axis / np.linalg.norm(axis)
    K = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(theta) * K + (1 - np.cos(theta)) * K @ K


@case(doubles(4), doubles(4))
def quat_mul(q1, q2):
    w1, x1, y1, z1 = q1
    w2, x2, y2, z2 = q2
    return np.array(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ]
    )


@case(doubles(5, 4))
def quat_to_matrix(q):
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(q, -1, 0)
    M = np.empty(q.shape[:-1] + (3, 3), dtype=q.dtype)
    M[..., 0, 0] = 1 - 2 * (y * y + z * z)
    M[..., 0, 1] = 2 * (x * y - z * w)
    M[..., 0, 2] = 2 * (x * z + y * w)
    M[..., 1, 0] = 2 * (x * y + z * w)
    M[..., 1, 1] = 1 - 2 * (x * x + z * z)
    M[..., 1, 2] = 2 * (y * z - x * w)
    M[..., 2, 0] = 2 * (x * z - y * w)
    M[..., 2, 1] = 2 * (y * z + x * w)
    M[..., 2, 2] = 1 - 2 * (x * x + y * y)
    return M


@case(doubles(20, 2), doubles(6, 2), gpu=True)
def points_in_polygon(pts, poly):
    x, y = pts[:, 0], pts[:, 1]
    inside = np.zeros(len(pts), dtype=bool)
    j = len(poly) - 1
    for i in range(len(poly)):
        xi, yi = poly[i]
        xj, yj = poly[j]
        cond = ((yi > y) != (yj > y)) & (x < (xj - xi) * (y - yi) / (yj - yi) + xi)
        inside ^= cond
        j = i
    return inside


@case(doubles(9, 3), doubles(3, 3))
def barycentric(p, tri):
    a, b, c = tri
    v0, v1, v2 = b - a, c - a, p - a
    d00, d01, d11 = v0 @ v0, v0 @ v1, v1 @ v1
    d20, d21 = v2 @ v0, v2 @ v1
    den = d00 * d11 - d01 * d01
    v = (d11 * d20 - d01 * d21) / den
    w = (d00 * d21 - d01 * d20) / den
    return np.stack([1 - v - w, v, w], axis=1)


@case(doubles(7, 3), below(7, 5, 3))
def mesh_normals(verts, faces):
    tris = verts[faces]
    n = np.cross(tris[::, 1] - tris[::, 0], tris[::, 2] - tris[::, 0])
    lens = np.sqrt(n[:, 0] ** 2 + n[:, 1] ** 2 + n[:, 2] ** 2)
    n /= lens[:, None] + 1e-12
    norm = np.zeros(verts.shape, dtype=verts.dtype)
    np.add.at(norm, faces[:, 0], n)
    np.add.at(norm, faces[:, 1], n)
    np.add.at(norm, faces[:, 2], n)
    return norm


@case(doubles(8, 3), doubles(8, 3))
def kabsch_cov(P, Q):
    Pc, Qc = P - P.mean(0), Q - Q.mean(0)
    H = Pc.T @ Qc
    return H, np.sqrt(((Pc - Qc) ** 2).sum() / len(P)), np.linalg.det(H)


@case(doubles(4, 3, 3) + 3 * np.eye(3), doubles(4, 3))
def batched_solve(A, b):
    return np.linalg.solve(A, b[..., None])[..., 0]


@case(doubles(12, 3), doubles(12))
def ols(X, y):
    Xb = np.column_stack((np.ones(len(X)), X))
    beta = np.linalg.inv(Xb.T @ Xb) @ Xb.T @ y
    resid = y - Xb @ beta
    r2 = 1 - (resid**2).sum() / ((y - y.mean()) ** 2).sum()
    return beta, r2


@case(doubles(4, 4))
def kalman_predict(P):
    F = np.array([[1, 0, 0.1, 0], [0, 1, 0, 0.1], [0, 0, 1, 0], [0, 0, 0, 1]])
    H = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    P = P @ P.T + np.eye(4)
    P = F.dot(P).dot(F.T) + 0.01 * np.eye(4)
    S = H @ P @ H.T + np.diag([0.1, 0.2])
    K = P @ H.T @ np.linalg.inv(S)
    return K, (np.eye(4) - K @ H) @ P


@case(doubles(4, 4))
def gauss_elim_det(a):
    a = a.copy()
    n = a.shape[0]
    det = 1.0
    for i in range(n):
        det = det * a[i, i]
        for j in range(i + 1, n):
            a[j] = a[j] - a[i] * (a[j, i] / a[i, i])
    return det


@case(doubles(4, 4))
def cholesky_loops(a):
    A = a @ a.T + 4 * np.eye(4)
    n = len(A)
    L = np.zeros((n, n))
    for i in range(n):
        for k in range(i + 1):
            s = sum(L[i][j] * L[k][j] for j in range(k))
            if i == k:
                L[i][k] = np.sqrt(A[i][i] - s)
            else:
                L[i][k] = (1.0 / L[k][k]) * (A[i][k] - s)
    return L


@case(doubles(5, 3))
def gram_schmidt(A):
    Q: list[np.ndarray] = []
    for a in A.T:
        for q in Q:
            a = a - np.dot(q, a) * q
        Q.append(a / np.linalg.norm(a))
    return np.array(Q).T


@case(doubles(4, 4))
def power_iteration(A, n=10):
    A = A + A.T
    b = np.ones(A.shape[0])
    for _ in range(n):
        b = A @ b
        b /= np.linalg.norm(b)
    return b, b @ A @ b
