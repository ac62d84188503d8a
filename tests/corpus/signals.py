"""Audio and time series."""

# Written as users write it, hence:
from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.corpus.cases import below, case, doubles, floats


@case(floats(100), gpu=True)
def preemphasis(sig, coeff=0.97):
    return np.append(sig[0], sig[1:] - coeff * sig[:-1])


@case(floats(64))
def frames_hann_power(x, n=16, hop=4):
    f = sliding_window_view(x, n)[::hop] * np.hanning(n)
    k = np.arange(n // 2 + 1)
    ang = -2 * np.pi * k[:, None] * np.arange(n)[None] / n
    re, im = f @ np.cos(ang).T, f @ np.sin(ang).T
    return 10 * np.log10(np.maximum(re**2 + im**2, 1e-10))


@case(8, 32, 16000, gpu=True)
def mel_filterbank(n_mels, n_fft, sr):
    hz2mel = lambda f: 2595 * np.log10(1 + f / 700)
    mel2hz = lambda m: 700 * (10 ** (m / 2595) - 1)
    mels = np.linspace(hz2mel(0), hz2mel(sr / 2), n_mels + 2)
    bins = np.floor((n_fft + 1) * mel2hz(mels) / sr).astype(int)
    fb = np.zeros((n_mels, n_fft // 2 + 1))
    for m in range(1, n_mels + 1):
        for k in range(bins[m - 1], bins[m]):
            fb[m - 1, k] = (k - bins[m - 1]) / (bins[m] - bins[m - 1])
        for k in range(bins[m], bins[m + 1]):
            fb[m - 1, k] = (bins[m + 1] - k) / (bins[m + 1] - bins[m])
    return fb


@case(floats(7, 16), gpu=True)
def overlap_add(frames, hop=8):
    n, L = frames.shape
    out = np.zeros((n - 1) * hop + L, dtype=frames.dtype)
    for i, frame in enumerate(frames):
        out[i * hop : i * hop + L] += frame
    return out


@case(doubles(20), (0.2, 0.4, 0.2), (1.0, -0.3, 0.1))
def biquad(x, b, a):
    y = np.zeros_like(x)
    x1 = x2 = y1 = y2 = 0.0
    for n in range(len(x)):
        y[n] = b[0] * x[n] + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2
        x2, x1 = x1, x[n]
        y2, y1 = y1, y[n]
    return y


@case(floats(50), gpu=True)
def zero_crossings(x):
    return np.sum(np.abs(np.diff(np.sign(x)))) / (2 * len(x)), (np.diff(np.signbit(x)) != 0).sum()


@case(floats(40), gpu=True)
def autocorr(x):
    r = np.correlate(x - x.mean(), x - x.mean(), mode="full")
    r = r[r.size // 2 :]
    return r / r[0]


@case(floats(20))
def resample_interp(x, ratio=1.5):
    n = int(len(x) * ratio)
    return np.interp(np.linspace(0, len(x) - 1, n), np.arange(len(x)), x)


@case(below(30000, 20).astype(np.int16), gpu=True)
def pcm16_to_float(pcm):
    x = pcm.astype(np.float32) / 32768.0
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16), x


@case(floats(20), gpu=True)
def mu_law(x, mu=255):
    y = np.sign(x) * np.log1p(mu * np.abs(np.clip(x, -1, 1))) / np.log1p(mu)
    return ((y + 1) / 2 * mu + 0.5).astype(np.int32)


@case(doubles(30))
def rolling_mean(a, n=5):
    ret = np.cumsum(a, dtype=float)
    ret[n:] = ret[n:] - ret[:-n]
    return ret[n - 1 :] / n


@case(np.abs(doubles(30)) + 1)
def max_drawdown(prices):
    peak = np.maximum.accumulate(prices)
    dd = (prices - peak) / peak
    end = np.argmin(dd)
    return dd.min(), end, np.log(prices[1:] / prices[:-1]).std() * np.sqrt(252)


@case(np.abs(doubles(30)) + 1)
def ema(prices, span=10):
    alpha = 2 / (span + 1)
    out = np.empty_like(prices)
    out[0] = prices[0]
    for i in range(1, len(prices)):
        out[i] = alpha * prices[i] + (1 - alpha) * out[i - 1]
    return out


@case(np.abs(doubles(30)) + 1)
def rsi(prices, period=5):
    deltas = np.diff(prices)
    gain = np.where(deltas > 0, deltas, 0)
    loss = np.where(deltas < 0, -deltas, 0)
    kern = np.ones(period) / period
    ag = np.convolve(gain, kern, mode="valid")
    al = np.convolve(loss, kern, mode="valid")
    rs = ag / al
    return 100 - 100 / (1 + rs)


def norm_cdf(x):
    a1, a2, a3, a4, a5 = 0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429
    L = np.abs(x)
    K = 1.0 / (1.0 + 0.2316419 * L)
    w = 1.0 - 1.0 / np.sqrt(2 * np.pi) * np.exp(-L * L / 2) * (
        a1 * K + a2 * K**2 + a3 * K**3 + a4 * K**4 + a5 * K**5
    )
    return np.where(x < 0, 1.0 - w, w)


@case(np.abs(doubles(9)) * 10 + 90, 100.0, 0.5)
def black_scholes(S, K, T, r=0.05, sigma=0.2):
    d1 = (np.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    call = S * norm_cdf(d1) - K * np.exp(-r * T) * norm_cdf(d2)
    put = K * math.exp(-r * T) * norm_cdf(-d2) - S * norm_cdf(-d1)
    return call, put


@case(100.0, 110.0, 1.0)
def black_scholes_scalar(S, K, T, r=0.05, sigma=0.2):
    N = lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2)))
    d1 = (math.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * math.sqrt(T))
    d2 = d1 - sigma * math.sqrt(T)
    return S * N(d1) - K * math.exp(-r * T) * N(d2)


@case(doubles(20, 12))
def monte_carlo_paths(z, s0=100.0, mu=0.05, sigma=0.2):
    dt = 1 / z.shape[1]
    paths = s0 * np.exp(np.cumsum((mu - 0.5 * sigma**2) * dt + sigma * np.sqrt(dt) * z, axis=1))
    payoff = np.maximum(paths[:, -1] - 105, 0)
    return payoff.mean(), payoff.std(ddof=1) / np.sqrt(len(payoff))


@case(doubles(30, 4), np.full(4, 0.25))
def portfolio(returns, w):
    mu = np.mean(returns, axis=0)
    cov = np.cov(returns, rowvar=False)
    return w @ mu, np.sqrt(w.T @ cov @ w), np.corrcoef(returns.T)
