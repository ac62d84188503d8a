"""Statistics, finance and audio: one-dimensional series."""

# Written as users write it, hence:
# ruff: noqa: B007, E741
from __future__ import annotations

import numpy as np

import tilewright as tw
from tests.corpus.cases import array, case


@case(array(30, "f8"))
def describe(x):
    q = np.percentile(x, [0, 25, 50, 75, 100])
    m3 = ((x - x.mean()) ** 3).mean()
    return {
        "mean": x.mean(),
        "std": x.std(ddof=1),
        "q": q,
        "iqr": q[3] - q[1],
        "skew": m3 / x.std() ** 3,
        "kurt": ((x - x.mean()) ** 4).mean() / x.var() ** 2 - 3,
        "mad": np.median(np.abs(x - np.median(x))),
        "n": len(x),
        "range": (x.min(), x.max()),
        "cv": x.std() / abs(x.mean()),
        "se": x.std(ddof=1) / np.sqrt(len(x)),
        "z": (x - x.mean()) / x.std(),
        "trim": np.sort(x)[3:-3].mean(),
        "mode": np.argmax(np.bincount(np.abs(x).astype(int), minlength=5)),
    }


@case(np.cumsum(np.abs(array(40, "f8"))) + 10)
def finance(p):
    r = p[1:] / p[:-1] - 1
    lr = np.log(p[1:] / p[:-1])
    lr2 = np.diff(np.log(p))
    cum = np.cumprod(1 + r) - 1
    peak = np.maximum.accumulate(p)
    dd = (p - peak) / peak
    sma = np.convolve(p, np.ones(5) / 5, "valid")
    cs = np.cumsum(np.insert(p, 0, 0))
    sma2 = (cs[5:] - cs[:-5]) / 5
    up = np.where(r > 0, r, 0)
    dn = np.where(r < 0, -r, 0)
    rsi = 100 - 100 / (1 + up[-14:].mean() / (dn[-14:].mean() + 1e-12))
    return (
        r,
        lr,
        lr2,
        cum,
        dd.min(),
        sma,
        sma2,
        rsi,
        np.sqrt(252) * r.mean() / r.std(),
        r.std() * np.sqrt(252),
        np.percentile(r, 5),
        r[r <= np.percentile(r, 5)].mean(),
    )


@case(np.cumsum(np.abs(array(40, "f8"))) + 10)
def ema(p, span=10):
    a = 2 / (span + 1)
    out = np.empty_like(p)
    out[0] = p[0]
    for i in range(1, len(p)):
        out[i] = a * p[i] + (1 - a) * out[i - 1]
    return out


@case(100.0, 105.0, 0.05, 0.2, 1.0)
def bs(S, K, r, s, T):
    d1 = (np.log(S / K) + (r + s**2 / 2) * T) / (s * np.sqrt(T))
    d2 = d1 - s * np.sqrt(T)
    N = lambda z: 0.5 * (1 + tw.erf(z / np.sqrt(2)))
    return S * N(d1) - K * np.exp(-r * T) * N(d2)


@case(np.array([-100.0, 30, 40, 50]), 0.1)
def npv(cf, rate):
    d = 1 / (1 + rate) ** np.arange(len(cf))
    return (
        (cf * d).sum(),
        np.sum(cf / (1 + rate) ** np.arange(cf.size)),
        np.polyval(cf[::-1], 1 / (1 + rate)),
    )


@case(100.0, 100.0, 1.0, 0.05, 0.2)
def binom(S, K, T, r, sig, n=20):
    dt = T / n
    u = np.exp(sig * np.sqrt(dt))
    d_ = 1 / u
    p = (np.exp(r * dt) - d_) / (u - d_)
    ST = S * u ** np.arange(n, -1, -1) * d_ ** np.arange(0, n + 1)
    V = np.maximum(K - ST, 0)
    for i in range(n - 1, -1, -1):
        V = np.exp(-r * dt) * (p * V[:-1] + (1 - p) * V[1:])
        ST = ST[:-1] * d_
        V = np.maximum(V, K - ST)
    return V[0]


@case(array((4, 4), "f8"), np.array([0.1, 0.2, 0.3, 0.4]))
def portfolio(R, w):
    C = R.T @ R / 3
    return (
        w @ R.mean(0),
        np.sqrt(w @ C @ w),
        w.T @ C @ w,
        C @ w / np.sqrt(w @ C @ w),
        np.dot(w, np.dot(C, w)),
    )


@case(array(400, "f8"))
@case(array(400, "f4"))
def frames(x, n=64, hop=32):
    k = 1 + (len(x) - n) // hop
    idx = np.arange(n)[None, :] + hop * np.arange(k)[:, None]
    f = x[idx] * np.hanning(n).astype(x.dtype)
    rms = np.sqrt(np.mean(f**2, axis=1))
    zcr = np.mean(np.abs(np.diff(np.sign(f), axis=1)) > 0, axis=1)
    db = 20 * np.log10(np.maximum(1e-10, rms))
    ang = 2 * np.pi * np.outer(np.arange(n), np.arange(n // 2 + 1)) / n
    re = f @ np.cos(ang)
    im = -f @ np.sin(ang)
    return (rms, zcr, db - db.max(), re**2 + im**2)


@case(array(100, "f8"))
@case(array(100, "f4"))
def preemph(x):
    y = np.append(x[0], x[1:] - 0.97 * x[:-1])
    return (
        y,
        x / np.max(np.abs(x)),
        x.astype(np.float32) / 32768,
        np.clip(x * 2, -1, 1),
        np.concatenate(([0], np.diff(x))),
    )


@case(array(60, "f8"))
def autocorr(x):
    x = x - np.mean(x)
    r = np.correlate(x, x, mode="full")[len(x) - 1 :]
    return (r / r[0], np.argmax(r[5:]) + 5, [np.sum(x[: len(x) - l] * x[l:]) for l in range(4)])


@case(array(60, "f8"))
def biquad(x, b=(0.2, 0.3, 0.1), a=(1.0, -0.4, 0.2)):
    y = np.zeros(len(x))
    for n in range(len(x)):
        y[n] = b[0] * x[n]
        if n > 0:
            y[n] += b[1] * x[n - 1] - a[1] * y[n - 1]
        if n > 1:
            y[n] += b[2] * x[n - 2] - a[2] * y[n - 2]
    return y


@case(np.linspace(0, 4000, 9).astype("f4"))
@case(np.linspace(0, 4000, 9))
def mel(f):
    return (2595 * np.log10(1 + f / 700), 700 * (10 ** (f / 2595) - 1))


@case(array(50, "f8"))
def moving(x, w=5):
    k = np.ones(w) / w
    return (
        np.convolve(x, k, "same"),
        np.lib.stride_tricks.sliding_window_view(x, w).std(-1),
        np.array([x[max(0, i - 2) : i + 3].mean() for i in range(len(x))]),
        np.median(np.lib.stride_tricks.sliding_window_view(np.pad(x, 2, mode="edge"), 5), axis=1),
    )


@case(array(50, "f8"))
def peaks(x):
    p = (x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])
    return (
        p,
        p.sum(),
        np.r_[False, p, False],
        np.where(np.r_[False, p, False], x, np.nan),
        np.nanmax(np.where(np.r_[False, p, False], x, np.nan)),
    )


@case(array(16, "f8"))
def haar(x):
    a = (x[0::2] + x[1::2]) / np.sqrt(2)
    d_ = (x[0::2] - x[1::2]) / np.sqrt(2)
    r = np.empty(x.shape)
    r[0::2] = (a + d_) / np.sqrt(2)
    r[1::2] = (a - d_) / np.sqrt(2)
    return (a, d_, r)


@case(array(16, "f8"))
def dct2(x):
    N = len(x)
    n = np.arange(N)
    k = n.reshape((N, 1))
    M = np.cos(np.pi * (n + 0.5) * k / N)
    return (2 * M @ x, np.dot(M, x) * np.sqrt(2 / N), M.T @ x)
