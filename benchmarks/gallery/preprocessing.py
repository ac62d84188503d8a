"""From a camera's 1920x1080 bytes to what a network takes in."""

from __future__ import annotations

import functools

import numpy as np

import tilewright as tw
from benchmarks.gallery.entry import Array, Entry, Function, MakeInputs
from benchmarks.gallery.photograph import photograph

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
TO_YUV = np.array(
    [[0.299, -0.14713, 0.615], [0.587, -0.28886, -0.51499], [0.114, 0.436, -0.10001]], np.float32
)
PAD_GRAY = 114 / 255
LETTERBOX = 640
CROP = 224


def normalise_chw(image):
    """Bytes, channels last, to normalised floats, channels first."""
    return ((image.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def normalise_chw_numpy(image, dtype=np.float32):
    out = np.empty((3, *image.shape[:2]), dtype)
    scale, shift = (1 / (255 * STD.astype(dtype))), MEAN.astype(dtype) / STD
    for channel in range(3):
        np.multiply(image[..., channel], scale[channel], out=out[channel])
        out[channel] -= shift[channel]
    return out


def read_bilinear(image, y, x, channel):
    """One channel at a fractional position; edges are repeated."""
    top, left = np.floor(y), np.floor(x)
    row, column = top.astype(np.int32), left.astype(np.int32)

    def read(i, j):
        return tw.at(image, (row + i, column + j, channel), boundary="clamp").astype(np.float32)

    upper = read(0, 0) + (read(0, 1) - read(0, 0)) * (x - left)
    lower = read(1, 0) + (read(1, 1) - read(1, 0)) * (x - left)
    return upper + (lower - upper) * (y - top)


def resize(image, height, width):
    """Bilinear, with the centres of the outer pixels half a pixel from the edge."""
    rows = np.float32(image.shape[0] / height)
    columns = np.float32(image.shape[1] / width)
    return tw.compute(
        (height, width, 3),
        lambda y, x, c: read_bilinear(
            image, rows * (y + 0.5) - np.float32(0.5), columns * (x + 0.5) - np.float32(0.5), c
        ),
    )


def resize_640(image):
    """Bilinear resize to a width of 640."""
    return resize(image, image.shape[0] * 640 // image.shape[1], 640)


def resize_224(image):
    """Bilinear resize to 224x224."""
    return resize(image, 224, 224)


def resize_numpy(image, height, width, dtype=np.float32):
    """Two interpolations of whole rows and columns, with weights that are computed once."""

    def taps(extent, count):
        position = np.arange(count, dtype=dtype)
        position += 0.5
        position *= dtype(extent / count)
        position -= 0.5
        first = np.floor(position)
        index = first.astype(np.intp)
        second = np.minimum(index + 1, extent - 1)
        return np.maximum(index, 0), second, position - first

    top, bottom, fy = taps(image.shape[0], height)
    left, right, fx = taps(image.shape[1], width)
    fx = fx[:, np.newaxis]

    def interpolated_row(rows):
        picked = image.take(rows, axis=0)
        out = picked.take(left, axis=1).astype(dtype)
        step = picked.take(right, axis=1).astype(dtype)
        step -= out
        step *= fx
        out += step
        return out

    out, lower = interpolated_row(top), interpolated_row(bottom)
    lower -= out
    lower *= fy[:, np.newaxis, np.newaxis]
    out += lower
    return out


def resize_640_numpy(image, dtype=np.float32):
    return resize_numpy(image, image.shape[0] * 640 // image.shape[1], 640, dtype)


def resize_224_numpy(image, dtype=np.float32):
    return resize_numpy(image, 224, 224, dtype)


def letterbox(image):
    """Resized into a 640x640 square with gray bars, scaled to 0..1, channels first."""
    height, width, _ = image.shape
    longer = max(height, width)
    inner_height, inner_width = height * LETTERBOX // longer, width * LETTERBOX // longer
    top, left = (LETTERBOX - inner_height) // 2, (LETTERBOX - inner_width) // 2
    rows, columns = np.float32(height / inner_height), np.float32(width / inner_width)

    def pixel(c, y, x):
        sy = rows * (y - top + 0.5) - np.float32(0.5)
        sx = columns * (x - left + 0.5) - np.float32(0.5)
        inside = (y >= top) & (y < top + inner_height) & (x >= left) & (x < left + inner_width)
        return np.where(inside, read_bilinear(image, sy, sx, c) / 255, PAD_GRAY)

    return tw.compute((3, LETTERBOX, LETTERBOX), pixel)


def letterbox_numpy(image, dtype=np.float32):
    height, width, _ = image.shape
    longer = max(height, width)
    inner_height, inner_width = height * LETTERBOX // longer, width * LETTERBOX // longer
    top, left = (LETTERBOX - inner_height) // 2, (LETTERBOX - inner_width) // 2
    out = np.full((3, LETTERBOX, LETTERBOX), PAD_GRAY, dtype)
    inner = resize_numpy(image, inner_height, inner_width, dtype)
    target = out[:, top : top + inner_height, left : left + inner_width]
    np.multiply(inner.transpose(2, 0, 1), dtype(1 / 255), out=target)
    return out


def affine_crop(image, matrix):
    """A rotated and scaled 224x224 crop; `matrix` maps its pixels to the image's."""

    def pixel(y, x, c):
        sy = matrix[0, 0] * y + matrix[0, 1] * x + matrix[0, 2]
        sx = matrix[1, 0] * y + matrix[1, 1] * x + matrix[1, 2]
        return read_bilinear(image, sy, sx, c)

    return tw.compute((CROP, CROP, 3), pixel)


def affine_crop_numpy(image, matrix, dtype=np.float32):
    height, width, _ = image.shape
    matrix = matrix.astype(dtype)
    along = np.arange(CROP, dtype=dtype)
    sy = np.add.outer(matrix[0, 0] * along, matrix[0, 1] * along)
    sx = np.add.outer(matrix[1, 0] * along, matrix[1, 1] * along)
    sy += matrix[0, 2]
    sx += matrix[1, 2]
    top, left = np.floor(sy), np.floor(sx)
    sy -= top
    sx -= left
    row, column = top.astype(np.intp), left.astype(np.intp)
    first_row, last_row = (np.clip(row + i, 0, height - 1) * width for i in (0, 1))
    first_column, last_column = (np.clip(column + i, 0, width - 1) for i in (0, 1))
    pixels = image.reshape(-1, 3)

    def interpolated_row(rows):
        out = pixels.take(rows + first_column, axis=0).astype(dtype)
        step = pixels.take(rows + last_column, axis=0).astype(dtype)
        step -= out
        step *= sx[..., np.newaxis]
        out += step
        return out

    out, lower = interpolated_row(first_row), interpolated_row(last_row)
    lower -= out
    lower *= sy[..., np.newaxis]
    out += lower
    return out


def rgb_to_gray(image):
    """Luma by 8-bit weights, rounded."""
    wide = image.astype(np.uint16)
    luma = 77 * wide[..., 0] + 150 * wide[..., 1] + 29 * wide[..., 2]
    return ((luma + 128) >> 8).astype(np.uint8)


def rgb_to_gray_numpy(image):
    luma = np.multiply(image[..., 0], 77, dtype=np.uint16)
    term = np.multiply(image[..., 1], 150, dtype=np.uint16)
    luma += term
    luma += np.multiply(image[..., 2], 29, out=term, dtype=np.uint16)
    luma += 128
    luma >>= 8
    return luma.astype(np.uint8)


def rgb_to_yuv(image):
    """BT.601 luma and chroma as floats."""
    return image.astype(np.float32) @ TO_YUV / 255


def rgb_to_yuv_numpy(image, dtype=np.float32):
    flat = image.reshape(-1, 3).astype(dtype)
    return (flat @ (TO_YUV.astype(dtype) / 255)).reshape(image.shape)


def rgb_to_hsv(image):
    """Hue, saturation and value, each from 0 to 1."""
    rgb = image.astype(np.float32)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    value = rgb.max(axis=-1)
    spread = value - rgb.min(axis=-1)
    divisor = np.where(spread == 0, 1, spread)
    sector = np.where(
        value == r,
        (g - b) / divisor % 6,
        np.where(value == g, (b - r) / divisor + 2, (r - g) / divisor + 4),
    )
    saturation = spread / np.where(value == 0, 1, value)
    return np.stack([sector / 6, saturation, value / 255], axis=-1)


def rgb_to_hsv_numpy(image, dtype=np.float32):
    r, g, b = (image[..., c].astype(dtype) for c in range(3))
    value = np.maximum(np.maximum(r, g), b)
    spread = value - np.minimum(np.minimum(r, g), b)
    out = np.empty(image.shape, dtype)
    np.multiply(value, dtype(1 / 255), out=out[..., 2])
    np.divide(spread, np.maximum(value, 1), out=out[..., 1])
    is_red, is_green = value == r, value == g
    np.maximum(spread, 1, out=spread)
    hue = r - g
    hue /= spread
    hue += 4
    b -= r  # b - r, in place; g - b is made from it below
    np.divide(b, spread, out=hue, where=is_green)
    np.add(hue, 2, out=hue, where=is_green)
    b += r
    g -= b
    g /= spread
    np.add(g, 6, out=g, where=g < 0)
    np.copyto(hue, g, where=is_red)
    np.multiply(hue, dtype(1 / 6), out=out[..., 0])
    return out


def gamma_table(image, table):
    """A correction of all bytes by a table of 256."""
    return table[image]


def nv12_to_rgb(luma, chroma):
    """A camera's NV12 (BT.601, limited range) to RGB, in integers."""
    height, width = luma.shape

    def upsampled(plane):
        return tw.compute(
            (height, width), lambda y, x: chroma[y // 2, x // 2, plane].astype(np.int32) - 128
        )

    u, v = upsampled(0), upsampled(1)
    c = 298 * (luma.astype(np.int32) - 16) + 128
    rgb = np.stack([c + 409 * v, c - 100 * u - 208 * v, c + 516 * u], axis=-1)
    return np.clip(rgb >> 8, 0, 255).astype(np.uint8)


def nv12_to_rgb_numpy(luma, chroma):
    height, width = luma.shape
    # The chroma terms are computed once per 2x2 block, and added to four views of the luma.
    u, v = (chroma[..., plane].astype(np.int32) - 128 for plane in (0, 1))
    terms = (409 * v, -100 * u - 208 * v, 516 * u)
    c = luma.astype(np.int32)
    c -= 16
    c *= 298
    c += 128
    blocks = c.reshape(height // 2, 2, width // 2, 2)
    out = np.empty((height, width, 3), np.uint8)
    for channel, term in enumerate(terms):
        level = blocks + term[:, np.newaxis, :, np.newaxis]
        level >>= 8
        np.clip(level, 0, 255, out=level)
        out[..., channel] = level.reshape(height, width)
    return out


def make_photograph(_: np.random.Generator) -> tuple[Array, ...]:
    return (photograph(),)


def make_affine(_: np.random.Generator) -> tuple[Array, ...]:
    # 1.8 image pixels per crop pixel, rotated by 0.3 rad, the middle of the crop on a face-sized
    # part of the picture.
    image = photograph()
    cosine, sine = 1.8 * np.cos(0.3), 1.8 * np.sin(0.3)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    offset = np.array([520.0, 900.0]) - linear @ np.array([CROP / 2, CROP / 2])
    return image, np.column_stack([linear, offset]).astype(np.float32)


def make_gamma(_: np.random.Generator) -> tuple[Array, ...]:
    return photograph(), np.rint(255 * (np.arange(256) / 255) ** (1 / 2.2)).astype(np.uint8)


def make_nv12(_: np.random.Generator) -> tuple[Array, ...]:
    image = photograph()
    return np.ascontiguousarray(image[..., 1]), np.ascontiguousarray(image[::2, ::2, ::2])


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs = make_photograph,
    tolerance: str = "elementwise",
) -> Entry:
    exact = tolerance == "exact"
    reference = baseline if exact else functools.partial(baseline, dtype=np.float64)
    name = kernel.__name__
    return Entry(name, "preprocessing", kernel, baseline, make_inputs, reference, tolerance)


ENTRIES = (
    _entry(normalise_chw, normalise_chw_numpy),
    _entry(resize_640, resize_640_numpy, tolerance="resampled"),
    _entry(resize_224, resize_224_numpy, tolerance="resampled"),
    _entry(letterbox, letterbox_numpy, tolerance="resampled"),
    _entry(affine_crop, affine_crop_numpy, make_affine, "resampled"),
    _entry(rgb_to_gray, rgb_to_gray_numpy, tolerance="exact"),
    _entry(rgb_to_yuv, rgb_to_yuv_numpy),
    _entry(rgb_to_hsv, rgb_to_hsv_numpy),
    _entry(gamma_table, gamma_table, make_gamma, "exact"),
    _entry(nv12_to_rgb, nv12_to_rgb_numpy, make_nv12, "exact"),
)
