"""Matrix products, attention and convolutions: limited by arithmetic."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tilewright as tw
from benchmarks.gallery.entry import Entry, Function, MakeInputs, in_float64, normal


def matmul(a, b):
    """A matrix product."""
    return a @ b


def linear_relu(x, w, b):
    """One dense layer: relu(x @ w + b)."""
    return np.maximum(x @ w + b, 0)


def linear_relu_numpy(x, w, b):
    out = x @ w
    out += b
    return np.maximum(out, 0, out=out)


def attention(q, k, v):
    """Scaled dot-product attention, heads first."""
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def attention_numpy(q, k, v):
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.swapaxes(-1, -2)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    out = scores @ v
    out /= scores.sum(axis=-1, keepdims=True)  # on the output, which has fewer columns
    return out


def pairwise_squared_distance(a, b):
    """Squared distances between all rows of two matrices."""
    return ((a[:, np.newaxis] - b) ** 2).sum(axis=-1)


def pairwise_squared_distance_numpy(a, b):
    out = a @ b.T
    out *= -2
    out += np.vecdot(a, a)[:, np.newaxis]
    out += np.vecdot(b, b)
    return out


def covariance(x):
    """The covariance matrix of the columns."""
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (x.shape[0] - 1)


def covariance_numpy(x):
    centred = x - x.mean(axis=0)
    out = centred.T @ centred  # one array and its own transpose: BLAS computes half of it
    out *= 1 / (x.shape[0] - 1)
    return out


def conv1x1(x, w):
    """A pointwise convolution, channels last."""
    return np.einsum("hwc,co->hwo", x, w)


def conv1x1_numpy(x, w):
    return (x.reshape(-1, x.shape[2]) @ w).reshape(*x.shape[:2], -1)


def conv3x3(x, w):
    """A 3x3 convolution without padding, channels last."""
    height, width, channels = x.shape
    return tw.compute(
        (height - 2, width - 2, w.shape[3]),
        lambda y, x_, o: tw.sum(
            lambda i, j, c: x[y + i, x_ + j, c] * w[i, j, c, o], (3, 3, channels)
        ),
    )


def conv3x3_numpy(x, w):
    height, width, channels = x.shape
    columns = sliding_window_view(x, (3, 3), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    product = columns.reshape(-1, 9 * channels) @ w.reshape(9 * channels, -1)
    return product.reshape(height - 2, width - 2, -1)


def depthwise3x3(x, w):
    """A 3x3 depthwise convolution without padding, channels last."""
    height, width, channels = x.shape
    return tw.compute(
        (height - 2, width - 2, channels),
        lambda y, x_, c: tw.sum(lambda i, j: x[y + i, x_ + j, c] * w[i, j, c], (3, 3)),
    )


def depthwise3x3_numpy(x, w):
    height, width, _ = x.shape
    out = x[: height - 2, : width - 2] * w[0, 0]
    term = np.empty_like(out)
    for i in range(3):
        for j in range(3):
            if i or j:
                window = x[i : height - 2 + i, j : width - 2 + j]
                out += np.multiply(window, w[i, j], out=term)
    return out


def stem_convolution(image, w, bias):
    """The first layer of a small network: 3x3, stride 2, zero padding, relu6."""
    height, width, channels = image.shape
    return tw.compute(
        (height // 2, width // 2, w.shape[3]),
        lambda y, x, o: np.clip(
            tw.sum(
                lambda i, j, c: (
                    tw.at(image, (2 * y + i - 1, 2 * x + j - 1, c), boundary="constant")
                    * w[i, j, c, o]
                ),
                (3, 3, channels),
            )
            + bias[o],
            0,
            6,
        ),
    )


def stem_convolution_numpy(image, w, bias):
    height, width, channels = image.shape
    padded = np.zeros((height + 2, width + 2, channels), image.dtype)
    padded[1:-1, 1:-1] = image
    windows = sliding_window_view(padded, (3, 3), axis=(0, 1))[:height:2, :width:2]
    columns = windows.transpose(0, 1, 3, 4, 2).reshape(-1, 9 * channels)
    out = columns @ w.reshape(9 * channels, -1)
    out += bias
    np.clip(out, 0, 6, out=out)
    return out.reshape(height // 2, width // 2, -1)


def _entry(name: str, kernel: Function, baseline: Function, make_inputs: MakeInputs) -> Entry:
    reference = in_float64(baseline)
    return Entry(name, "contractions", kernel, baseline, make_inputs, reference, "contraction")


ENTRIES = (
    _entry("matmul_256", matmul, np.matmul, normal((256, 256), (256, 256))),
    _entry("matmul_512", matmul, np.matmul, normal((512, 512), (512, 512))),
    _entry("batched_matmul", matmul, np.matmul, normal((16, 128, 64), (16, 64, 128))),
    _entry("skinny_matmul", matmul, np.matmul, normal((2048, 1024), (1024, 8))),
    _entry("matrix_vector", matmul, np.matmul, normal((1024, 1024), (1024,))),
    _entry("linear_relu", linear_relu, linear_relu_numpy, normal((64, 784), (784, 128), (128,))),
    _entry("attention", attention, attention_numpy, normal(*[(8, 128, 64)] * 3)),
    _entry(
        "pairwise_squared_distance",
        pairwise_squared_distance,
        pairwise_squared_distance_numpy,
        normal((512, 64), (512, 64)),
    ),
    _entry("covariance", covariance, covariance_numpy, normal((2000, 128))),
    _entry("conv1x1", conv1x1, conv1x1_numpy, normal((56, 56, 64), (64, 128))),
    _entry("conv3x3", conv3x3, conv3x3_numpy, normal((56, 56, 32), (3, 3, 32, 32))),
    _entry("depthwise3x3", depthwise3x3, depthwise3x3_numpy, normal((112, 112, 32), (3, 3, 32))),
    _entry(
        "stem_convolution",
        stem_convolution,
        stem_convolution_numpy,
        normal((224, 224, 3), (3, 3, 3, 16), (16,)),
    ),
)
