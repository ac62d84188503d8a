"""Layers and steps of neural networks."""

# Written as users write it, hence:
# ruff: noqa: B905, F841, RUF059
from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from tests.corpus.cases import below, case, doubles, floats

NEG_INF = -1e9


@case(floats(16, 5), floats(5), floats(5), gpu=True)
def layernorm_forward(x, gamma, beta, ln_param=None):
    eps = 1e-5 if ln_param is None else ln_param["eps"]
    mu = x.mean(-1, keepdims=True)
    xmu = x - mu
    var = (xmu**2).mean(-1, keepdims=True)
    std = np.sqrt(var + eps)
    return gamma * (xmu / std) + beta


class LSTMState(NamedTuple):
    h: np.ndarray
    c: np.ndarray


@case(
    floats(4, 6),
    LSTMState(floats(4, 5), floats(4, 5)),
    floats(6, 20),
    floats(5, 20),
    floats(20),
    gpu=True,
)
def lstm_step(x, state, Wx, Wh, b):
    H = state.h.shape[1]
    a = x @ Wx + state.h @ Wh + b
    ai, af, ao, ag = np.split(a, 4, axis=1)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    next_c = f * state.c + i * g
    next_h = o * np.tanh(next_c)
    return LSTMState(next_h, next_c)


@case(floats(3, 7, 6), floats(3, 5), floats(6, 15), floats(5, 15), floats(15), gpu=True)
def gru_sequence(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    hs = np.zeros((N, T, H), dtype=np.float32)
    h = h0
    for t in range(T):
        gx = x[:, t, :] @ Wx + b
        gh = h @ Wh
        r = 1.0 / (1.0 + np.exp(-(gx[:, :H] + gh[:, :H])))
        z = 1.0 / (1.0 + np.exp(-(gx[:, H : 2 * H] + gh[:, H : 2 * H])))
        n = np.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
        h = (1 - z) * n + z * h
        hs[:, t, :] = h
    return hs, h


@case(floats(2, 4, 6, 8), floats(2, 4, 6, 8), floats(2, 4, 6, 8), gpu=True)
def causal_attention(q, k, v, mask=None, causal=True):
    d_k = q.shape[-1]
    scores = np.matmul(q, k.transpose(0, 1, 3, 2)) / math.sqrt(d_k)
    if causal:
        T = scores.shape[-1]
        tri = np.triu(np.ones((T, T), dtype=bool), k=1)
        scores = np.where(tri, NEG_INF, scores)
    if mask is not None:
        scores = scores + mask
    scores -= scores.max(-1, keepdims=True)
    w = np.exp(scores)
    w = w / w.sum(-1, keepdims=True)
    return w @ v


@case(floats(6, 12))
def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@case(floats(2, 6, 4, 8), gpu=True)
def rope_half(x, base=10000.0):
    B, T, H, D = x.shape
    inv_freq = 1.0 / (base ** (np.arange(0, D, 2).astype(np.float32) / D))
    t = np.arange(T, dtype=np.float32)
    freqs = np.outer(t, inv_freq)
    emb = np.concatenate([freqs, freqs], axis=-1)
    cos, sin = np.cos(emb)[None, :, None, :], np.sin(emb)[None, :, None, :]
    x1, x2 = x[..., : D // 2], x[..., D // 2 :]
    rotated = np.concatenate((-x2, x1), axis=-1)
    return x * cos + rotated * sin


@case(floats(2, 6, 8), gpu=True)
def rope_interleaved(x):
    d = x.shape[-1]
    theta = np.power(10000, -2 * np.arange(d // 2) / d)
    pos = np.arange(x.shape[1])[:, None]
    ang = (pos * theta).astype(x.dtype)
    out = np.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * np.cos(ang) - x[..., 1::2] * np.sin(ang)
    out[..., 1::2] = x[..., 0::2] * np.sin(ang) + x[..., 1::2] * np.cos(ang)
    return out


@case(floats(8, 16), gpu=True)
def l2_normalize(x, axis=-1, order=2):
    l2 = np.atleast_1d(np.linalg.norm(x, order, axis))
    l2[l2 == 0] = 1
    return x / np.expand_dims(l2, axis)


@case(floats(3, 4, 5), gpu=True)
def instance_norm(x, eps=1e-5):
    m = x.mean((1, 2), keepdims=True)
    s = x.std((1, 2), keepdims=True)
    return (x - m) / (s + eps)


@case(floats(2, 8, 4, 4), floats(8), floats(8), gpu=True)
def group_norm(x, gamma, beta, G=4, eps=1e-5):
    N, C, H, W = x.shape
    x = np.reshape(x, [N, G, C // G, H, W])
    mean = np.mean(x, axis=(2, 3, 4), keepdims=True)
    var = np.var(x, axis=(2, 3, 4), keepdims=True)
    x = (x - mean) / np.sqrt(var + eps)
    x = np.reshape(x, [N, C, H, W])
    return x * gamma.reshape(1, -1, 1, 1) + beta.reshape(1, -1, 1, 1)


@case(below(10, 2, 5), floats(10, 8), floats(5, 8), gpu=True)
def embedding(tokens, wte, wpe):
    return wte[tokens] + wpe[range(tokens.shape[1])]


@case(floats(10, 4), below(10, 6), floats(6, 4), gpu=True)
def embedding_grad(W, idx, dout):
    dW = np.zeros_like(W)
    np.add.at(dW, idx, dout)
    return dW


@case(floats(2, 5, 6), gpu=True)
def swiglu(x):
    a, b = np.array_split(x, 2, axis=-1)
    return a * (1 / (1 + np.exp(-a))) * b


@case(floats(4, 4), floats(4), floats(6, 4), gpu=True)
def elman_comprehension(W, b, xs):
    h = np.zeros(4, dtype=np.float32)
    hs = [h := np.tanh(W @ h + x + b) for x in xs]
    return np.stack(hs, axis=0)


@case(floats(8, 8), gpu=True)
def dropout_mask_given(x, p=0.5):
    mask = (x > 0) / (1 - p)
    return x * mask


def _act(name):
    return {
        "relu": lambda v: np.maximum(0, v),
        "tanh": np.tanh,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    }[name]


@case(floats(4, 4), "relu", gpu=True)
@case(floats(4, 4), "tanh", gpu=True)
def act_by_name(x, name):
    return _act(name)(x)


leaky = functools.partial(lambda x, a: np.where(x > 0, x, a * x), a=0.1)


@case(floats(4, 4), gpu=True)
def uses_partial(x):
    return leaky(x)


@case(floats(4, 4), gpu=True)
def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


@case(floats(4, 4), gpu=True)
def selu_mask(x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    y = x.copy()
    neg = y < 0
    y[neg] = alpha * (np.exp(y[neg]) - 1)
    return scale * y


@case(doubles(4, 4))
def attention_bias_alibi(scores, n_heads=4):
    slopes = np.array([2 ** (-8 * (i + 1) / n_heads) for i in range(n_heads)])
    n = scores.shape[0]
    rel = np.arange(n)[None, :] - np.arange(n)[:, None]
    return scores[None] + slopes[:, None, None] * np.minimum(rel, 0)


@case(
    {"W1": floats(6, 8), "b1": floats(8), "W2": floats(8, 3), "b2": floats(3)},
    floats(5, 6),
    gpu=True,
)
def mlp_forward(params, X):
    W1, b1 = params["W1"], params["b1"]
    W2, b2 = params["W2"], params["b2"]
    h1 = np.maximum(0, X.dot(W1) + b1)
    scores = h1.dot(W2) + b2
    return scores


@case([floats(3, 4), floats(4)], [floats(3, 4), floats(4)], gpu=True)
def sgd_update(params, grads, lr=0.1):
    new = []
    for p, g in zip(params, grads):
        new.append(p - lr * g)
    return new


class Layer:
    @staticmethod
    def forward(x, w):
        return x @ w

    def __init__(self):
        self.scale = 2.0

    def relu(self, x):
        return np.maximum(x, 0) * self.scale


LAYER = Layer()


@case(floats(4, 5), floats(5, 3), gpu=True)
def uses_methods(x, w):
    return LAYER.relu(Layer.forward(x, w))
