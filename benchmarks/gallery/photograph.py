"""A picture like a photograph: smooth light, hard edges, fine texture, sensor noise."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Plane = NDArray[np.float32]

HEIGHT, WIDTH = 1080, 1920
SEED = 1080


def photograph(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """The RGB picture, `height` x `width` x 3: always the same one of each size."""
    return _taken(height, width).copy()


def gray_photograph(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """Its green channel."""
    return np.ascontiguousarray(_taken(height, width)[..., 1])


@functools.lru_cache(maxsize=4)
def _taken(height: int, width: int) -> Picture:
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y /= height
    x /= width
    light = _smooth_light(rng, y, x)
    for _ in range(40):
        inside = _random_shape(rng, y, x)
        light[inside] = 0.35 * light[inside] + 0.65 * rng.random(3, np.float32)
    light += 0.03 * np.sin(900 * x * y + 200 * y)[..., np.newaxis]
    light += 0.02 * rng.standard_normal(light.shape, np.float32)
    return (255 * np.clip(light, 0, 1)).astype(np.uint8)


def _smooth_light(rng: np.random.Generator, y: Plane, x: Plane) -> Plane:
    light = np.full((*y.shape, 3), 0.5, np.float32)
    for _ in range(6):
        fy, fx, phase = rng.random(3) * (3, 3, 6)
        wave = np.cos(2 * np.pi * (fy * y + fx * x) + phase)
        light += 0.1 * wave[..., np.newaxis] * rng.random(3, np.float32)
    return light


def _random_shape(rng: np.random.Generator, y: Plane, x: Plane) -> Any:
    """Which pixels lie in a random disc or box."""
    cy, cx, ry, rx = rng.random(4) * (1, 1, 0.15, 0.1) + (0, 0, 0.02, 0.01)
    if rng.random() < 0.5:
        return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    return (np.abs(y - cy) < ry) & (np.abs(x - cx) < rx)
