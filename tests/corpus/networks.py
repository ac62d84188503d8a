"""Networks, regressions and clustering from scratch."""

# Written as users write it, hence:
# ruff: noqa: RUF059
from __future__ import annotations

import numpy as np

import tilewright as tw
from tests.corpus.cases import array, case


@case(
    array((6, 4), "f8"),
    array((4, 5), "f8"),
    array(5, "f8"),
    array((5, 3), "f8"),
    array(3, "f8"),
    np.array([0, 2, 1, 1, 0, 2], "i4"),
)
@case(
    array((6, 4), "f4"),
    array((4, 5), "f4"),
    array(5, "f4"),
    array((5, 3), "f4"),
    array(3, "f4"),
    np.array([0, 2, 1, 1, 0, 2]),
)
def train_step(X, W1, b1, W2, b2, y, lr=0.1):
    n = X.shape[0]
    z1 = X.dot(W1) + b1
    a1 = np.tanh(z1)
    z2 = a1.dot(W2) + b2
    ex = np.exp(z2)
    probs = ex / np.sum(ex, axis=1, keepdims=True)
    loss = -np.log(probs[range(n), y]).sum() / n
    delta3 = probs.copy()
    delta3[range(n), y] -= 1
    dW2 = a1.T.dot(delta3)
    db2 = np.sum(delta3, axis=0, keepdims=True)
    delta2 = delta3.dot(W2.T) * (1 - np.power(a1, 2))
    dW1 = np.dot(X.T, delta2)
    db1 = np.sum(delta2, axis=0)
    W1 = W1 - lr * dW1
    b1 = b1 - lr * db1
    W2 = W2 - lr * dW2
    b2 = b2 - lr * db2.ravel()
    return (loss, W1, b1, W2, b2)


@case(array((4, 6), "f4"), array(6, "f4"), array(6, "f4"), np.zeros(6, "f4"), np.ones(6, "f4"))
def batchnorm(x, gamma, beta, rm, rv, momentum=0.9, eps=1e-05):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    xh = (x - mu) / np.sqrt(var + eps)
    out = gamma * xh + beta
    rm = momentum * rm + (1 - momentum) * mu
    rv = momentum * rv + (1 - momentum) * var
    return (out, rm, rv, {"xh": xh, "inv": 1.0 / np.sqrt(var + eps)})


@case(array((2, 3, 8), "f4"), array(8, "f4"), array(8, "f4"))
def layernorm(x, g, b, eps=1e-05):
    m = np.mean(x, axis=-1, keepdims=True)
    v = np.var(x, axis=-1, keepdims=True)
    return g * (x - m) / np.sqrt(v + eps) + b


@case(array((2, 5, 8), "f4"), array((8, 24), "f4"), array((8, 8), "f4"))
def mha(x, wqkv, wo, n_head=2):
    B, T, C = x.shape
    qkv = np.split(x @ wqkv, 3, axis=-1)
    q, k, v = [z.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3) for z in qkv]
    mask = (1 - np.tri(T, dtype=x.dtype)) * -10000000000.0
    att = q @ k.swapaxes(-1, -2) / np.sqrt(C // n_head) + mask
    att = np.exp(att - att.max(-1, keepdims=True))
    att /= att.sum(-1, keepdims=True)
    y = (att @ v).transpose(0, 2, 1, 3).reshape(B, T, C)
    return y @ wo


@case(array((5, 8), "f4"))
def gpt2gelu(x):
    return (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        x / (1 + np.exp(-1.702 * x)),
        np.maximum(0.01 * x, x),
        np.where(x > 0, x, np.exp(x) - 1),
        np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0),
        x * (x > 0),
        np.sign(x) * np.log1p(np.abs(x)),
        np.clip(0.2 * x + 0.5, 0, 1),
    )


@case(array((2, 3, 8, 8), "f4"), array((4, 3, 3, 3), "f4"), array(4, "f4"))
def conv_im2col(x, w, b, stride=2, pad=1):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    oh = 1 + (H + 2 * pad - HH) // stride
    ow = 1 + (W + 2 * pad - WW) // stride
    i0 = np.tile(np.repeat(np.arange(HH), WW), C)
    i1 = stride * np.repeat(np.arange(oh), ow)
    j0 = np.tile(np.arange(WW), HH * C)
    j1 = stride * np.tile(np.arange(ow), oh)
    i = i0.reshape(-1, 1) + i1.reshape(1, -1)
    j = j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), HH * WW).reshape(-1, 1)
    cols = xp[:, k, i, j].transpose(1, 2, 0).reshape(HH * WW * C, -1)
    res = w.reshape(F, -1) @ cols + b.reshape(-1, 1)
    return res.reshape(F, oh, ow, N).transpose(3, 0, 1, 2)


@case(array((2, 3, 8, 8), "f4"))
def maxpool(x, k=2):
    N, C, H, W = x.shape
    xr = x.reshape(N, C, H // k, k, W // k, k)
    out = xr.max(axis=3).max(axis=4)
    mask = xr == out[:, :, :, None, :, None]
    return (out, mask.sum(axis=(3, 5)), x[:, :, ::2, ::2], np.amax(xr, axis=(3, 5)))


@case(array((2, 3, 8, 8), "f4"), array((4, 3, 3, 3), "f4"))
def conv_naive(x, w):
    N, C, H, W = x.shape
    F, C_, kh, kw = w.shape
    out = np.zeros((N, F, H - kh + 1, W - kw + 1), dtype=x.dtype)
    for i in range(kh):
        for j in range(kw):
            out += np.einsum(
                "nchw,fc->nfhw", x[:, :, i : i + out.shape[2], j : j + out.shape[3]], w[:, :, i, j]
            )
    return out


@case(array((5, 4), "f8"), array((3, 4), "f8"))
def kmeans_step(X, C):
    d = np.linalg.norm(X[:, None] - C[None], axis=2)
    lab = np.argmin(d, axis=1)
    oh = np.eye(C.shape[0])[lab]
    newC = oh.T @ X / np.maximum(oh.sum(0)[:, None], 1)
    inertia = (d[np.arange(len(X)), lab] ** 2).sum()
    return (lab, newC, inertia)


@case(array((5, 4), "f8"), array((3, 4), "f8"))
def kmeans_mask(X, C):
    lab = np.argmin(((X[:, None] - C) ** 2).sum(-1), 1)
    return np.array([X[lab == k].mean(axis=0) for k in range(len(C))])


@case(array((5, 4), "f4"), array((3, 4), "f4"))
def pairwise(a, b):
    return (
        np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)),
        np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)),
        a @ b.T / (np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)),
        np.abs(a[:, None] - b).max(-1),
        np.exp(-0.5 * np.sum((a[:, None] - b) ** 2, -1)),
    )


@case(array((20, 3), "f8"))
def pca_cov(X):
    Xc = X - X.mean(0)
    return (
        np.cov(Xc.T),
        np.cov(X, rowvar=False),
        np.corrcoef(X, rowvar=False),
        Xc.T @ Xc / (len(X) - 1),
        np.cov(X[:, 0], X[:, 1])[0, 1],
        np.corrcoef(X[:, 0], X[:, 1]),
    )


@case(array(20, "f8"), array(20, "f8"))
def linreg(x, y):
    n = len(x)
    slope = (n * np.sum(x * y) - np.sum(x) * np.sum(y)) / (n * np.sum(x**2) - np.sum(x) ** 2)
    inter = np.mean(y) - slope * np.mean(x)
    pred = slope * x + inter
    r2 = 1 - ((y - pred) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return (slope, inter, r2, np.sqrt(np.mean((y - pred) ** 2)), np.abs(y - pred).mean())


@case(array((20, 3), "f8"), array(20, "f8"))
def normal_eq(X, y):
    A = np.c_[np.ones(len(X)), X]
    A2 = np.column_stack((np.ones(X.shape[0]), X))
    A3 = np.hstack([np.ones((X.shape[0], 1)), X])
    A4 = np.insert(X, 0, 1, axis=1)
    th = np.linalg.inv(A.T @ A) @ A.T @ y
    return (th, np.linalg.solve(A2.T @ A2, A2.T @ y), A3, A4, A @ th)


@case(array((20, 3), "f8"), (array(20, "f8") > 0).astype(float))
def logreg(X, y, lr=0.1, iters=10):
    w = np.zeros(X.shape[1])
    b = 0
    for _ in range(iters):
        z = np.dot(X, w) + b
        a = 1 / (1 + np.exp(-z))
        dw = np.dot(X.T, a - y) / len(y)
        db = np.sum(a - y) / len(y)
        w -= lr * dw
        b -= lr * db
    cost = -(1 / len(y)) * np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
    return (w, b, cost, (a >= 0.5).astype(int))


@case(array((20, 3), "f8"), (array(20, "f8") > 0).astype(float))
def logreg_loop(X, y):

    def step(i, w):
        return (w - 0.1 * X.T @ (1 / (1 + np.exp(-X @ w)) - y) / len(y),)

    return tw.loop(100, step, np.zeros(3))[0]


@case(array(10, "f8"), array(10, "f8"))
def adam(p, g, lr=0.001, b1=0.9, b2=0.999, eps=1e-08):
    m = np.zeros_like(p)
    v = np.zeros_like(p)
    for t_ in range(1, 4):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        mh = m / (1 - b1**t_)
        vh = v / (1 - b2**t_)
        p = p - lr * mh / (np.sqrt(vh) + eps)
    return (p, m, v)


@case(array(5, "f4"), array((5, 5), "f4"), array((3, 5), "f4"), array(5, "f4"))
def rnn(h, Wh, Wx, b):
    xs = np.eye(3, dtype=np.float32)
    hs = []
    for x in xs:
        h = np.tanh(x @ Wx + h @ Wh + b)
        hs.append(h)
    return (np.array(hs), hs[-1])


@case(array((3, 5), "f4"), array((2, 6), "f4"), array((11, 24), "f4"))
def lstm(x, h, W):
    c = np.zeros_like(h)
    z = np.hstack((x[:2], h)) @ W
    i, f, g, o = np.split(z, 4, axis=1)
    sig = lambda a: 1 / (1 + np.exp(-a))
    c = sig(f) * c + sig(i) * np.tanh(g)
    h = sig(o) * np.tanh(c)
    return (h, c)


@case(array((6, 5), "f4"), np.array([0, 4, 2, 2, 1, 3]))
def xent(logits, t_):
    s = logits - np.max(logits, axis=1, keepdims=True)
    lp = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
    return (
        -np.mean(lp[np.arange(len(t_)), t_]),
        -np.take_along_axis(lp, t_[:, None], 1).mean(),
        np.logaddexp.reduce(logits, axis=1),
        -np.sum(np.eye(5)[t_] * lp) / len(t_),
    )


@case(np.abs(array(20, "f8")) + 0.1, np.abs(array(20, "f8")) + 0.1)
def klstats(p, q):
    p = p / p.sum()
    q = q / np.sum(q)
    m_ = (p + q) / 2
    kl = lambda a, b: np.sum(np.where(a != 0, a * np.log(a / b), 0))
    return (
        kl(p, q),
        0.5 * kl(p, m_) + 0.5 * kl(q, m_),
        -np.sum(p * np.log2(p)),
        np.sum(np.abs(np.cumsum(p) - np.cumsum(q))),
        1 - np.sum(np.sqrt(p * q)),
    )
