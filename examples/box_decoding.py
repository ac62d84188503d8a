"""What a detection network says -> boxes: decoding, scores, and suppression of overlapping ones.

python examples/box_decoding.py
"""

from __future__ import annotations

import numpy as np

import tilewright as tw

GRID, STRIDE, KEPT = 20, 16, 50


@tw.kernel
def decode(raw):
    """(GRID * GRID, 4 + classes) -> corners, best score and its class, best first."""
    cell = np.arange(GRID * GRID, dtype=np.int32)
    centre = np.stack([cell % GRID, cell // GRID], axis=-1).astype(np.float32)
    xy = (centre + tw.sigmoid(raw[:, :2])) * STRIDE
    size = np.exp(raw[:, 2:4]) * (4 * STRIDE)
    boxes = np.concatenate([xy - size / 2, xy + size / 2], axis=1)
    scores = tw.sigmoid(raw[:, 4:])
    best = scores.max(axis=1)
    order = np.argsort(-best, kind="stable")[:KEPT]
    return boxes[order], best[order], scores.argmax(axis=1)[order]


@tw.kernel
def suppress(boxes, limit):
    """Which boxes stay: each one removes the later ones that overlap it by more than `limit`."""
    low = np.maximum(boxes[:, np.newaxis, :2], boxes[np.newaxis, :, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], boxes[np.newaxis, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
    overlap = shared / (area[:, np.newaxis] + area - shared)
    count = boxes.shape[0]
    later = np.arange(count) > np.arange(count)[:, np.newaxis]
    removes = (overlap > limit) & later
    (kept,) = tw.loop(count, lambda i, k: (k & ~(removes[i] & k[i]),), np.ones(count, bool))
    return kept


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(GRID * GRID, 4 + 3)).astype(np.float32)
    boxes, scores, classes = decode(raw)
    kept = suppress(boxes, 0.3)
    print(f"{kept.sum()} of {len(boxes)} boxes stay")
    for box, score, label in list(zip(boxes[kept], scores[kept], classes[kept], strict=True))[:3]:
        print(f"class {label}, score {score:.2f}, corners {box.round(1)}")
