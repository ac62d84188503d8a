"""Simulations: particles, fields, lattices, automata."""

# Written as users write it, hence:
# ruff: noqa: B007, B905
from __future__ import annotations

import numpy as np

import tilewright as tw
from tests.corpus.cases import array, case


@case(array((6, 3), "f4"), array((6, 3), "f4"), np.abs(array(6, "f4")))
@case(array((6, 3), "f8"), array((6, 3), "f8"), np.abs(array(6, "f8")))
def nbody(pos, vel, mass, dt=0.01, G=1.0, soft=0.1):
    x = pos[:, 0:1]
    y = pos[:, 1:2]
    z = pos[:, 2:3]
    dx = x.T - x
    dy = y.T - y
    dz = z.T - z
    inv = dx**2 + dy**2 + dz**2 + soft**2
    inv[inv > 0] = inv[inv > 0] ** (-1.5)
    a = np.hstack(
        (
            G * (dx * inv) @ mass[:, None],
            G * (dy * inv) @ mass[:, None],
            G * (dz * inv) @ mass[:, None],
        )
    )
    vel = vel + a * dt
    pos = pos + vel * dt
    KE = 0.5 * np.sum(np.sum(mass[:, None] * vel**2))
    rinv = np.sqrt(dx**2 + dy**2 + dz**2)
    PE = G * np.sum(np.triu(-(mass[:, None] * mass[None]) / (rinv + soft), 1))
    return (pos, vel, KE, PE, vel - np.mean(mass[:, None] * vel, 0) / np.mean(mass))


@case(array((8, 9), "f8"))
def heat(u, a=0.1, steps=4):
    u = u.copy()
    for _ in range(steps):
        u[1:-1, 1:-1] = u[1:-1, 1:-1] + a * (
            u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
        )
        u[0] = u[1]
        u[-1, :] = 0
        u[:, 0] = u[:, -2]
        u[:, -1] = u[:, 1]
    return u


@case(array((8, 9), "f8"), array((8, 9), "f8"))
def grayscott(U, V, f=0.06, k=0.062):
    lap = lambda Z: (
        np.roll(Z, 1, 0) + np.roll(Z, -1, 0) + np.roll(Z, 1, 1) + np.roll(Z, -1, 1) - 4 * Z
    )
    for _ in range(3):
        uvv = U * V * V
        U = U + 0.16 * lap(U) - uvv + f * (1 - U)
        V = V + 0.08 * lap(V) + uvv - (f + k) * V
    return (U, V)


@case(array((9, 8, 8), "f8"))
def lbm(F):
    cxs = np.array([0, 0, 1, 1, 1, 0, -1, -1, -1])
    cys = np.array([0, 1, 1, 0, -1, -1, -1, 0, 1])
    w = np.array([4 / 9, 1 / 9, 1 / 36, 1 / 9, 1 / 36, 1 / 9, 1 / 36, 1 / 9, 1 / 36])
    F = np.moveaxis(np.abs(F) + 1, 0, -1).copy()
    for i, cx, cy in zip(range(9), cxs, cys):
        F[:, :, i] = np.roll(F[:, :, i], cx, axis=1)
        F[:, :, i] = np.roll(F[:, :, i], cy, axis=0)
    rho = np.sum(F, 2)
    ux = np.sum(F * cxs, 2) / rho
    uy = np.sum(F * cys, 2) / rho
    Feq = np.zeros(F.shape)
    for i, cx, cy, wi in zip(range(9), cxs, cys, w):
        Feq[:, :, i] = (
            rho
            * wi
            * (
                1
                + 3 * (cx * ux + cy * uy)
                + 9 * (cx * ux + cy * uy) ** 2 / 2
                - 3 * (ux**2 + uy**2) / 2
            )
        )
    F += -(1.0 / 0.6) * (F - Feq)
    return (
        F,
        np.roll(ux, -1, axis=0)
        - np.roll(ux, 1, axis=0)
        - (np.roll(uy, -1, axis=1) - np.roll(uy, 1, axis=1)),
    )


@case(np.array([1.0, 0.0]))
def rk4(y, dt=0.1):
    f = lambda t_, y: np.array([y[1], -y[0]])
    out = [y]
    for i in range(5):
        t_ = i * dt
        k1 = f(t_, y)
        k2 = f(t_ + dt / 2, y + dt / 2 * k1)
        k3 = f(t_ + dt / 2, y + dt * k2 / 2)
        k4 = f(t_ + dt, y + dt * k3)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        out.append(y)
    return np.array(out)


@case(np.array([1.0, 1.0, 1.0]))
def lorenz(s):

    def d_(i, s):
        x, y, z = s
        return (s + 0.01 * np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]),)

    return tw.loop(50, d_, s)[0]


@case((array((7, 7), "f4") > 0).astype("u1"))
@case(array((7, 7), "i8"))
def life(g):
    g = (g > 0).astype(int)
    n = sum(
        np.roll(np.roll(g, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    new = ((n == 3) | (g == 1) & (n == 2)).astype(int)
    return new, np.where((n == 3) | g & (n == 2), 1, 0)


@case(-1.5, 0.5)
def mandel(a, b, n=20):
    x = np.linspace(a, b, 6)
    y = np.linspace(-1, 1, 5)[:, None]
    cr = x + 0 * y
    ci = y + 0 * x
    zr = np.zeros_like(cr)
    zi = np.zeros_like(ci)
    it = np.zeros(cr.shape, int)
    for k in range(n):
        m_ = zr**2 + zi**2 <= 4
        zr, zi = (np.where(m_, zr**2 - zi**2 + cr, zr), np.where(m_, 2 * zr * zi + ci, zi))
        it[m_] += 1
    return it


@case(array((6, 5), "f8"))
def ising(s):
    s = np.where(s > 0, 1, -1)
    nb = np.roll(s, 1, 0) + np.roll(s, -1, 0) + np.roll(s, 1, 1) + np.roll(s, -1, 1)
    return (
        -np.sum(s * nb) / 2,
        s.sum() / s.size,
        np.where((np.add(*np.indices(s.shape)) % 2 == 0) & (2 * s * nb < 0), -s, s),
    )


@case(array((6,), "f8"))
def wave(u0, c=0.5):
    u = np.zeros((4, len(u0)))
    u[0] = u0
    u[1] = u0
    for n in range(1, 3):
        for i in range(1, len(u0) - 1):
            u[n + 1, i] = (
                2 * u[n, i] - u[n - 1, i] + c**2 * (u[n, i + 1] - 2 * u[n, i] + u[n, i - 1])
            )
    return u
