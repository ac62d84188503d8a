"""Networks of the size that people run in pages, to count what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

import tilewright as tw

# Channels in and out of each block, and its stride.
BLOCKS: Final = (
    (32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
    *[(512, 512, 1)] * 5, (512, 1024, 2), (1024, 1024, 1),
)  # fmt: skip


def separable_network(image: Any, weights: Sequence[Any]) -> Any:
    """A convolution, thirteen blocks of a depthwise and a 1 x 1 one, and a classifier."""
    stem, stem_bias, *rest, classes, classes_bias = weights
    x = _relu(_convolution(image, stem, 2) + stem_bias)
    for (_, _, stride), k in zip(BLOCKS, range(0, len(rest), 4), strict=True):
        x = _relu(_depthwise(x, rest[k], stride) + rest[k + 1])
        x = _relu(_convolution(x, rest[k + 2], 1) + rest[k + 3])
    e = x.mean(axis=(0, 1)) @ classes + classes_bias
    e = np.exp(e - e.max())
    return e / e.sum()


def separable_arguments() -> tuple[np.ndarray, list[np.ndarray]]:
    """An image of 224 x 224, and weights."""
    weights = [_zeros(3, 3, 3, 32), _zeros(32)]
    for before, after, _ in BLOCKS:
        weights += [_zeros(3, 3, before), _zeros(before), _zeros(1, 1, before, after)]
        weights.append(_zeros(after))
    return _zeros(224, 224, 3), [*weights, _zeros(1024, 1000), _zeros(1000)]


def encoder(x: Any, layers: Sequence[Sequence[Any]]) -> Any:
    """Layers of attention with eight heads, and of two products."""
    for query, key, value, out, up, down, first, second in layers:
        y = _normalised(x, first)
        q, k, v = (_heads(y @ w) for w in (query, key, value))
        scores = q @ k.transpose(0, 2, 1) * np.float32(0.125)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = e / e.sum(axis=-1, keepdims=True) @ v
        x = x + mixed.transpose(1, 0, 2).reshape(x.shape) @ out
        x = x + _relu(_normalised(x, second) @ up) @ down
    return x


def encoder_arguments(layers: int) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """128 tokens of width 256, and weights."""
    width = 256
    square = [_zeros(width, width) for _ in range(4)]
    layer = [
        *square, _zeros(width, 4 * width), _zeros(4 * width, width), _zeros(width), _zeros(width),
    ]  # fmt: skip
    return _zeros(128, width), [[a.copy() for a in layer] for _ in range(layers)]


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _relu(x: Any) -> Any:
    return np.maximum(x, np.float32(0))


def _padded(x: Any, window: int) -> Any:
    around = (window // 2, window // 2)
    return np.pad(x, (around, around, (0, 0)))


def _convolution(x: Any, w: Any, stride: int) -> Any:
    height, width, channels = x.shape
    side, filters = w.shape[0], w.shape[3]
    p = _padded(x, side)
    return tw.compute(
        (-(-height // stride), -(-width // stride), filters),
        lambda i, j, o: tw.sum(
            lambda u, v, c: p[i * stride + u, j * stride + v, c] * w[u, v, c, o],
            (side, side, channels),
        ),
    )


def _depthwise(x: Any, w: Any, stride: int) -> Any:
    height, width, channels = x.shape
    side = w.shape[0]
    p = _padded(x, side)
    return tw.compute(
        (-(-height // stride), -(-width // stride), channels),
        lambda i, j, c: tw.sum(
            lambda u, v: p[i * stride + u, j * stride + v, c] * w[u, v, c], (side, side)
        ),
    )


def _normalised(x: Any, scale: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(1e-5)) * scale


def _heads(x: Any) -> Any:
    tokens, width = x.shape
    return x.reshape(tokens, 8, width // 8).transpose(1, 0, 2)
