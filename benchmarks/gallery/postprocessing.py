"""From the output of a network to boxes, key points, labels and pictures."""

from __future__ import annotations

import functools

import numpy as np

import tilewright as tw
from benchmarks.gallery.entry import Array, Entry, Function, MakeInputs, in_float64, normal
from benchmarks.gallery.photograph import photograph

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
TOP = 5
STRIDE = 16
MASK_COLOUR = np.array([30, 144, 255], np.float32)
OPACITY = 0.6
SCORE_THRESHOLD = 0.25


def ssd_box_decode(deltas, anchors):
    """Corner coordinates from SSD's predictions and anchors (centre and size)."""
    centre = anchors[:, :2] + deltas[:, :2] * CENTRE_VARIANCE * anchors[:, 2:]
    half = anchors[:, 2:] * np.exp(deltas[:, 2:] * SIZE_VARIANCE) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def ssd_box_decode_numpy(deltas, anchors):
    out = np.empty_like(deltas)
    low, high = out[:, :2], out[:, 2:]
    half = deltas[:, 2:] * SIZE_VARIANCE
    np.exp(half, out=half)
    half *= anchors[:, 2:]
    half *= 0.5
    centre = deltas[:, :2] * CENTRE_VARIANCE
    centre *= anchors[:, 2:]
    centre += anchors[:, :2]
    np.subtract(centre, half, out=low)
    np.add(centre, half, out=high)
    return out


def iou_matrix(a, b):
    """Intersection over union of all pairs of boxes (x0, y0, x1, y1)."""
    low = np.maximum(a[:, np.newaxis, :2], b[np.newaxis, :, :2])
    high = np.minimum(a[:, np.newaxis, 2:], b[np.newaxis, :, 2:])
    overlap = np.maximum(high - low, 0).prod(axis=-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=-1), (b[:, 2:] - b[:, :2]).prod(axis=-1)
    return overlap / (area_a[:, np.newaxis] + area_b - overlap)


def iou_matrix_numpy(a, b):
    def overlap_along(axis):
        high = np.minimum.outer(a[:, axis + 2], b[:, axis + 2])
        high -= np.maximum.outer(a[:, axis], b[:, axis])
        return np.maximum(high, 0, out=high)

    overlap = overlap_along(0)
    overlap *= overlap_along(1)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = np.add.outer(area_a, area_b)
    union -= overlap
    overlap /= union
    return overlap


def heatmap_keypoints(heat):
    """The peak of each heat map, moved a quarter pixel towards its higher neighbour."""
    count, _, width = heat.shape
    peak = heat.reshape(count, -1).argmax(axis=1)
    y, x = peak // width, peak % width
    k = np.arange(count)

    def slope(dy, dx):
        after = tw.at(heat, (k, y + dy, x + dx), boundary="clamp")
        before = tw.at(heat, (k, y - dy, x - dx), boundary="clamp")
        return np.sign(after - before)

    return np.stack(
        [
            x.astype(np.float32) + 0.25 * slope(0, 1),
            y.astype(np.float32) + 0.25 * slope(1, 0),
            heat[k, y, x],
        ],
        axis=1,
    )


def heatmap_keypoints_numpy(heat):
    count, height, width = heat.shape
    flat = heat.reshape(count, -1)
    peak = flat.argmax(axis=1)
    y, x = np.divmod(peak, width)
    k = np.arange(count)
    out = np.empty((count, 3), heat.dtype)
    right, left = np.minimum(x + 1, width - 1), np.maximum(x - 1, 0)
    below, above = np.minimum(y + 1, height - 1), np.maximum(y - 1, 0)
    out[:, 0] = x + 0.25 * np.sign(heat[k, y, right] - heat[k, y, left])
    out[:, 1] = y + 0.25 * np.sign(heat[k, below, x] - heat[k, above, x])
    out[:, 2] = flat[k, peak]
    return out


def soft_argmax(heat):
    """The mean position under the softmax of each heat map."""
    _, height, width = heat.shape
    e = np.exp(heat - heat.max(axis=(1, 2), keepdims=True))
    p = e / e.sum(axis=(1, 2), keepdims=True)
    x = (p.sum(axis=1) * np.arange(width, dtype=np.float32)).sum(axis=1)
    y = (p.sum(axis=2) * np.arange(height, dtype=np.float32)).sum(axis=1)
    return np.stack([x, y], axis=1)


def soft_argmax_numpy(heat):
    count, height, width = heat.shape
    e = heat - heat.max(axis=(1, 2), keepdims=True)
    np.exp(e, out=e)
    rows = e.sum(axis=2)
    out = np.empty((count, 2), heat.dtype)
    np.matmul(e.sum(axis=1), np.arange(width, dtype=heat.dtype), out=out[:, 0])
    np.matmul(rows, np.arange(height, dtype=heat.dtype), out=out[:, 1])
    out /= rows.sum(axis=1, keepdims=True)
    return out


def top_k(scores):
    """The five best of each row, in order, and where they are."""
    order = np.argsort(-scores, axis=1)[:, :TOP]
    return np.take_along_axis(scores, order, axis=1), order


def top_k_numpy(scores):
    best = np.argpartition(scores, -TOP, axis=1)[:, -TOP:]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(best, order, axis=1)


def mask_overlay(image, mask):
    """A coarse mask of logits, upsampled and blended over a picture in one colour."""
    height, width, _ = image.shape
    rows, columns = np.float32(mask.shape[0] / height), np.float32(mask.shape[1] / width)

    def logit(y, x):
        sy, sx = rows * (y + 0.5) - np.float32(0.5), columns * (x + 0.5) - np.float32(0.5)
        top, left = np.floor(sy), np.floor(sx)
        row, column = top.astype(np.int32), left.astype(np.int32)
        read = lambda i, j: tw.at(mask, (row + i, column + j), boundary="clamp")
        upper = read(0, 0) + (read(0, 1) - read(0, 0)) * (sx - left)
        lower = read(1, 0) + (read(1, 1) - read(1, 0)) * (sx - left)
        return upper + (lower - upper) * (sy - top)

    alpha = OPACITY * tw.sigmoid(tw.compute((height, width), logit))[..., np.newaxis]
    pixels = image.astype(np.float32)
    return np.rint(pixels + (MASK_COLOUR - pixels) * alpha).astype(np.uint8)


def mask_overlay_numpy(image, mask, dtype=np.float32):
    def taps(extent, count):
        position = (np.arange(count, dtype=dtype) + 0.5) * dtype(extent / count) - 0.5
        first = np.floor(position)
        index = first.astype(np.intp)
        return np.maximum(index, 0), np.minimum(index + 1, extent - 1), position - first

    mask = mask.astype(dtype)
    top, bottom, fy = taps(mask.shape[0], image.shape[0])
    left, right, fx = taps(mask.shape[1], image.shape[1])
    # Along x first, while there are only the rows of the mask.
    across = mask.take(left, axis=1)
    across += (mask.take(right, axis=1) - across) * fx
    alpha = across.take(top, axis=0)
    step = across.take(bottom, axis=0)
    step -= alpha
    step *= fy[:, np.newaxis]
    alpha += step
    np.negative(alpha, out=alpha)
    np.exp(alpha, out=alpha)
    alpha += 1
    np.divide(OPACITY, alpha, out=alpha)
    out = np.empty_like(image)
    channel = np.empty(alpha.shape, dtype)
    for c in range(3):
        np.subtract(MASK_COLOUR[c], image[..., c], out=channel, dtype=dtype)
        channel *= alpha
        channel += image[..., c]
        np.rint(channel, out=channel)
        out[..., c] = channel
    return out


def yolo_decode(raw):
    """Centre, size and class scores of a YOLO head, in pixels."""
    height, width, _ = raw.shape
    s = tw.sigmoid(raw)
    grid_x = np.arange(width, dtype=np.float32)
    grid_y = np.arange(height, dtype=np.float32)[:, np.newaxis]
    x = (2 * s[..., 0] - 0.5 + grid_x) * STRIDE
    y = (2 * s[..., 1] - 0.5 + grid_y) * STRIDE
    size = (2 * s[..., 2:4]) ** 2 * STRIDE
    scores = s[..., 4:5] * s[..., 5:]
    return np.concatenate([x[..., np.newaxis], y[..., np.newaxis], size, scores], axis=-1)


def yolo_decode_numpy(raw):
    height, width, depth = raw.shape
    s = np.negative(raw)
    np.exp(s, out=s)
    s += 1
    np.reciprocal(s, out=s)
    out = np.empty((height, width, depth - 1), raw.dtype)
    s[..., :4] *= 2
    np.add(s[..., 0], np.arange(width, dtype=raw.dtype) - 0.5, out=out[..., 0])
    np.add(s[..., 1], (np.arange(height, dtype=raw.dtype) - 0.5)[:, np.newaxis], out=out[..., 1])
    np.square(s[..., 2:4], out=out[..., 2:4])
    out[..., :4] *= STRIDE
    np.multiply(s[..., 4:5], s[..., 5:], out=out[..., 4:])
    return out


def best_class(logits):
    """Each box's best class and its softmax score; weak boxes get class -1 and score 0."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    score = (e / e.sum(axis=1, keepdims=True)).max(axis=1)
    keep = score > SCORE_THRESHOLD
    return np.where(keep, logits.argmax(axis=1), -1), np.where(keep, score, 0)


def best_class_numpy(logits):
    # The largest softmax is 1 / sum(exp(x - max)).
    best = logits.argmax(axis=1)
    e = logits - np.take_along_axis(logits, best[:, np.newaxis], axis=1)
    np.exp(e, out=e)
    score = 1 / e.sum(axis=1)
    drop = score <= SCORE_THRESHOLD
    best[drop] = -1
    score[drop] = 0
    return best, score


def segmentation_colours(logits, palette):
    """The colour of the best class of each pixel."""
    return palette[logits.argmax(axis=-1)]


def segmentation_colours_numpy(logits, palette):
    return palette.take(logits.argmax(axis=-1), axis=0)


def depth_to_points(depth, camera):
    """A depth image to points in space; `camera` holds fx, fy, cx, cy."""
    height, width = depth.shape
    x = (np.arange(width, dtype=np.float32) - camera[2]) / camera[0] * depth
    y = (np.arange(height, dtype=np.float32)[:, np.newaxis] - camera[3]) / camera[1] * depth
    return np.stack([x, y, depth], axis=-1)


def depth_to_points_numpy(depth, camera):
    height, width = depth.shape
    fx, fy, cx, cy = camera
    out = np.empty((height, width, 3), depth.dtype)
    np.multiply((np.arange(width, dtype=depth.dtype) - cx) / fx, depth, out=out[..., 0])
    rows = (np.arange(height, dtype=depth.dtype) - cy) / fy
    np.multiply(rows[:, np.newaxis], depth, out=out[..., 1])
    out[..., 2] = depth
    return out


def make_anchored(rng: np.random.Generator) -> tuple[Array, ...]:
    deltas = rng.standard_normal((8732, 4), np.float32)
    return deltas, (rng.random((8732, 4), np.float32) * 0.5 + 0.1).astype(np.float32)


def make_boxes(rng: np.random.Generator) -> tuple[Array, ...]:
    corners = rng.random((2, 512, 2), np.float32)
    sizes = 0.02 + 0.3 * rng.random((2, 512, 2), np.float32)
    a, b = np.concatenate([corners, corners + sizes], axis=-1).astype(np.float32)
    return a, b


def make_overlay(rng: np.random.Generator) -> tuple[Array, ...]:
    return photograph(720, 1280), 4 * rng.standard_normal((160, 160), np.float32)


def make_segmentation(rng: np.random.Generator) -> tuple[Array, ...]:
    logits = rng.standard_normal((256, 256, 21), np.float32)
    return logits, rng.integers(0, 256, (21, 3), dtype=np.uint8)


def make_depth(rng: np.random.Generator) -> tuple[Array, ...]:
    depth = 0.5 + 5 * rng.random((480, 640), np.float32)
    return depth.astype(np.float32), np.array([525, 524, 319.5, 239.5], np.float32)


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs,
    reference: Function | None = None,
    tolerance: str = "elementwise",
) -> Entry:
    reference = reference or in_float64(baseline)
    name = kernel.__name__
    return Entry(name, "postprocessing", kernel, baseline, make_inputs, reference, tolerance)


ENTRIES = (
    _entry(ssd_box_decode, ssd_box_decode_numpy, make_anchored),
    _entry(iou_matrix, iou_matrix_numpy, make_boxes, tolerance="reduction"),
    _entry(heatmap_keypoints, heatmap_keypoints_numpy, normal((17, 64, 48))),
    _entry(soft_argmax, soft_argmax_numpy, normal((17, 64, 48), scale=3), tolerance="reduction"),
    _entry(top_k, top_k_numpy, normal((256, 1000)), tolerance="exact"),
    _entry(
        mask_overlay,
        mask_overlay_numpy,
        make_overlay,
        functools.partial(mask_overlay_numpy, dtype=np.float64),
        "one_level",
    ),
    _entry(yolo_decode, yolo_decode_numpy, normal((40, 40, 85), scale=2)),
    _entry(best_class, best_class_numpy, normal((8732, 21), scale=1.5), tolerance="reduction"),
    _entry(segmentation_colours, segmentation_colours_numpy, make_segmentation, tolerance="exact"),
    _entry(depth_to_points, depth_to_points_numpy, make_depth),
)
