"""What is called for the first time: plain functions and their arguments. Only NumPy is imported
here, so that the import of tilewright falls into what is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Case = tuple[Callable[..., Any], list[Any]]
BLOCKS = 10


def small(a, b, c):
    return a + b * c


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sine(x):
    return np.sin(x)


def layer_norm(x, gain, bias):
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def attention(x, qkv, out):
    """One head: three products, the scores' softmax, two more products."""
    q, k, v = x @ qkv[0], x @ qkv[1], x @ qkv[2]
    return softmax(q @ k.T * 0.125) @ v @ out


def transformer(x, gains, biases, qkv, out, up, down):
    """Ten blocks of about thirty NumPy operations each."""
    for k in range(BLOCKS):
        x = x + attention(layer_norm(x, gains[k, 0], biases[k, 0]), qkv[k], out[k])
        h = layer_norm(x, gains[k, 1], biases[k, 1]) @ up[k]
        h = 0.5 * h * (1 + np.tanh(0.7978846 * (h + 0.044715 * h * h * h)))
        x = x + h @ down[k]
    return x


def residual(x, scales, shifts, kernels):
    """Ten blocks of two 3 x 3 convolutions as sums of shifted products over channels (HWC)."""
    for k in range(BLOCKS):
        h = x
        for j in range(2):
            h = convolution(np.pad(h, ((1, 1), (1, 1), (0, 0))), kernels[k, j])
            h = np.maximum(h * scales[k, j] + shifts[k, j], 0)
        x = np.maximum(x + h, 0)
    return x


def convolution(padded, weights):
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    total = padded[:height, :width] @ weights[0, 0]
    for i, j in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        total = total + padded[i : i + height, j : j + width] @ weights[i, j]
    return total


def case(name: str) -> Case:
    """A function and arguments for it."""
    rng = np.random.default_rng(0)

    def f32(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    n, width = BLOCKS, 64
    makers: dict[str, Callable[[], Case]] = {
        "small": lambda: (small, [f32(16), f32(16), f32(16)]),
        "softmax": lambda: (softmax, [f32(64, 1000)]),
        "sine": lambda: (sine, [f32(1000)]),
        "transformer": lambda: (
            transformer,
            [
                *(f32(32, width), f32(n, 2, width), f32(n, 2, width)),
                *(f32(n, 3, width, width), f32(n, width, width)),
                *(f32(n, width, 4 * width), f32(n, 4 * width, width)),
            ],
        ),
        "residual": lambda: (
            residual,
            [f32(16, 16, 16), f32(n, 2, 16), f32(n, 2, 16), f32(n, 2, 3, 3, 16, 16)],
        ),
    }
    return makers[name]()
