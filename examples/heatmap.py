"""Heat maps of a pose network -> joints at sub-pixel positions: a softmax over each map.

    python examples/heatmap.py

The same kernel as WGSL: `compile` needs no device, so the shader can be made anywhere.
"""

from __future__ import annotations

import numpy as np

import tilewright as tw

JOINTS, HEIGHT, WIDTH = 17, 64, 48


@tw.kernel
def joints(maps):
    """(JOINTS, H, W) -> expected x and y of each joint, and the height of its peak."""
    count, height, width = maps.shape
    flat = maps.reshape(count, height * width)
    weight = np.exp(flat - flat.max(axis=1, keepdims=True)).reshape(maps.shape)
    total = weight.sum(axis=(1, 2))
    x = (weight * np.arange(width, dtype=np.float32)).sum(axis=(1, 2)) / total
    y = (weight * np.arange(height, dtype=np.float32)[:, np.newaxis]).sum(axis=(1, 2)) / total
    return np.stack([x, y], axis=-1), flat.max(axis=1)


def peaks(centres: np.ndarray) -> np.ndarray:
    """Maps with a Gaussian peak at each centre."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    dx, dy = x - centres[:, 0, None, None], y - centres[:, 1, None, None]
    return np.asarray(12 * np.exp(-(dx * dx + dy * dy) / 8), np.float32)


if __name__ == "__main__":
    centres = np.random.default_rng(0).uniform((8, 8), (WIDTH - 8, HEIGHT - 8), (JOINTS, 2))
    found, height = joints(peaks(centres))
    print("largest error:", np.abs(found - centres).max().round(3), "pixels")
    print("lowest peak:", height.min().round(2))
    shader = joints.compile(tw.f32[JOINTS, HEIGHT, WIDTH], target="wgsl").source
    print("WGSL:", shader.count("@compute"), "launches,", len(shader), "bytes")
