"""Image filters and other stencils: each result reads a small neighbourhood."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tilewright as tw
from benchmarks.gallery.entry import Array, Entry, Function, MakeInputs, in_float64, uniform
from benchmarks.gallery.photograph import gray_photograph

GAUSSIAN = np.array([1, 4, 6, 4, 1], np.float32) / np.float32(16)
SPATIAL = np.exp(-(np.hypot(*np.mgrid[-2:3, -2:3]) ** 2) / 8).astype(np.float32)
RANGE_SHARPNESS = 1 / (2 * 0.1**2)
HARRIS_K = 0.04


def box_blur(image):
    """The mean of each 3x3 neighbourhood."""
    height, width = image.shape
    return tw.compute(
        (height - 2, width - 2),
        lambda y, x: tw.sum(lambda i, j: image[y + i, x + j], (3, 3)) * (1 / 9),
    )


def box_blur_numpy(image):
    rows = image[:-2] + image[1:-1]
    rows += image[2:]
    out = rows[:, :-2] + rows[:, 1:-1]
    out += rows[:, 2:]
    out *= 1 / 9
    return out


def gaussian_blur(image):
    """A separable 5x5 Gaussian, mirrored at the borders."""
    across = tw.compute(
        image.shape,
        lambda y, x: tw.sum(
            lambda k: tw.at(image, (y, x + k - 2), boundary="reflect") * GAUSSIAN[k], 5
        ),
    )
    return tw.compute(
        image.shape,
        lambda y, x: tw.sum(
            lambda k: tw.at(across, (y + k - 2, x), boundary="reflect") * GAUSSIAN[k], 5
        ),
    )


def gaussian_blur_numpy(image):
    def blur_rows(padded):
        out = padded[:-4] + padded[4:]
        out *= 0.0625
        term = padded[1:-3] + padded[3:-1]
        term *= 0.25
        out += term
        np.multiply(padded[2:-2], 0.375, out=term)
        out += term
        return out

    down = blur_rows(np.pad(image, ((2, 2), (0, 0)), mode="reflect"))
    return blur_rows(np.pad(down, ((0, 0), (2, 2)), mode="reflect").T).T


def sobel_gradients(image):
    """The Sobel derivatives along x and y, without borders."""
    gx = (image[:-2, 2:] + 2 * image[1:-1, 2:] + image[2:, 2:]) - (
        image[:-2, :-2] + 2 * image[1:-1, :-2] + image[2:, :-2]
    )
    gy = (image[2:, :-2] + 2 * image[2:, 1:-1] + image[2:, 2:]) - (
        image[:-2, :-2] + 2 * image[:-2, 1:-1] + image[:-2, 2:]
    )
    return gx, gy


def sobel_gradients_numpy(image):
    def smooth(rows):
        out = rows[1:-1] * 2
        out += rows[:-2]
        out += rows[2:]
        return out

    gx, gy = smooth(image), smooth(image.T).T
    return gx[:, 2:] - gx[:, :-2], gy[2:] - gy[:-2]


def sobel_magnitude(image):
    """The strength of edges after Sobel."""
    gx, gy = sobel_gradients(image)
    return np.sqrt(gx * gx + gy * gy)


def sobel_magnitude_numpy(image):
    gx, gy = sobel_gradients_numpy(image)
    gx *= gx
    gy *= gy
    gx += gy
    return np.sqrt(gx, out=gx)


def laplacian(image):
    """The five-point Laplacian, without borders."""
    return (
        image[:-2, 1:-1]
        + image[2:, 1:-1]
        + image[1:-1, :-2]
        + image[1:-1, 2:]
        - 4 * image[1:-1, 1:-1]
    )


def laplacian_numpy(image):
    out = image[1:-1, 1:-1] * -4
    out += image[:-2, 1:-1]
    out += image[2:, 1:-1]
    out += image[1:-1, :-2]
    out += image[1:-1, 2:]
    return out


def unsharp_mask(image):
    """Sharpening: the difference to a 3x3 blur, added once more."""
    padded = np.pad(image, 1, mode="edge")
    blurred = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    blurred = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) / 4
    return np.clip(2 * image - blurred, 0, 1)


def unsharp_mask_numpy(image):
    padded = np.pad(image, 1, mode="edge")
    rows = padded[1:-1] * 2
    rows += padded[:-2]
    rows += padded[2:]
    out = rows[:, 1:-1] * 2
    out += rows[:, :-2]
    out += rows[:, 2:]
    out *= -1 / 16
    out += image
    out += image
    return np.clip(out, 0, 1, out=out)


def median3x3(image):
    """The median of each 3x3 neighbourhood, by a network of comparisons."""
    low = np.minimum
    high = np.maximum

    def sorted3(a, b, c):
        a, b = low(a, b), high(a, b)
        b, c = low(b, c), high(b, c)
        return low(a, b), high(a, b), c

    columns = sorted3(image[:-2], image[1:-1], image[2:])
    lows, middles, highs = ((c[:, :-2], c[:, 1:-1], c[:, 2:]) for c in columns)
    largest_low = high(high(lows[0], lows[1]), lows[2])
    median_middle = sorted3(*middles)[1]
    smallest_high = low(low(highs[0], highs[1]), highs[2])
    return sorted3(largest_low, median_middle, smallest_high)[1]


def median3x3_numpy(image):
    def exchange(a, b, scratch):
        """The smaller of each pair into `a`, the larger into `b`."""
        np.minimum(a, b, out=scratch)
        np.maximum(a, b, out=b)
        a[...] = scratch

    top, middle, bottom = image[:-2].copy(), image[1:-1].copy(), image[2:].copy()
    scratch = np.empty_like(top)
    exchange(top, middle, scratch)
    exchange(middle, bottom, scratch)
    exchange(top, middle, scratch)
    lows = np.maximum(top[:, :-2], top[:, 1:-1])
    np.maximum(lows, top[:, 2:], out=lows)
    highs = np.minimum(bottom[:, :-2], bottom[:, 1:-1])
    np.minimum(highs, bottom[:, 2:], out=highs)
    small = np.minimum(middle[:, :-2], middle[:, 1:-1])
    large = np.maximum(middle[:, :-2], middle[:, 1:-1])
    np.minimum(large, middle[:, 2:], out=large)
    np.maximum(small, large, out=small)
    np.minimum(lows, highs, out=large)
    np.maximum(lows, highs, out=highs)
    np.minimum(highs, small, out=highs)
    return np.maximum(large, highs, out=highs)


def median3x3_reference(image):
    windows = sliding_window_view(image, (3, 3)).reshape(-1, 9)
    return np.partition(windows, 4, axis=1)[:, 4].reshape(image.shape[0] - 2, -1)


def erode(image):
    """The smallest of each 3x3 neighbourhood, edges repeated."""
    return tw.compute(
        image.shape,
        lambda y, x: tw.min(
            lambda i, j: tw.at(image, (y + i - 1, x + j - 1), boundary="clamp"), (3, 3)
        ),
    )


def erode_numpy(image):
    rows = image.copy()
    np.minimum(rows[1:], image[:-1], out=rows[1:])
    np.minimum(rows[:-1], image[1:], out=rows[:-1])
    out = rows.copy()
    np.minimum(out[:, 1:], rows[:, :-1], out=out[:, 1:])
    np.minimum(out[:, :-1], rows[:, 1:], out=out[:, :-1])
    return out


def morphological_gradient(image):
    """The range of each 3x3 neighbourhood."""
    windows = sliding_window_view(image, (3, 3))
    return windows.max(axis=(2, 3)) - windows.min(axis=(2, 3))


def morphological_gradient_numpy(image):
    def fold(combine):
        rows = combine(image[:-2], image[1:-1])
        combine(rows, image[2:], out=rows)
        out = combine(rows[:, :-2], rows[:, 1:-1])
        return combine(out, rows[:, 2:], out=out)

    out = fold(np.maximum)
    out -= fold(np.minimum)
    return out


def bilateral_filter(image):
    """A 5x5 bilateral filter: a blur that keeps edges."""

    def weights(y, x, i, j):
        difference = tw.at(image, (y + i - 2, x + j - 2), boundary="clamp") - image[y, x]
        return SPATIAL[i, j] * np.exp(-difference * difference * RANGE_SHARPNESS)

    def smoothed(y, x):
        total = tw.sum(lambda i, j: weights(y, x, i, j), (5, 5))
        weighted = tw.sum(
            lambda i, j: (
                weights(y, x, i, j) * tw.at(image, (y + i - 2, x + j - 2), boundary="clamp")
            ),
            (5, 5),
        )
        return weighted / total

    return tw.compute(image.shape, smoothed)


def bilateral_filter_numpy(image):
    height, width = image.shape
    padded = np.pad(image, 2, mode="edge")
    total, weighted = np.zeros_like(image), np.zeros_like(image)
    weight = np.empty_like(image)
    for i in range(5):
        for j in range(5):
            shifted = padded[i : i + height, j : j + width]
            np.subtract(shifted, image, out=weight)
            weight *= weight
            weight *= -RANGE_SHARPNESS
            np.exp(weight, out=weight)
            weight *= SPATIAL[i, j]
            total += weight
            weight *= shifted
            weighted += weight
    weighted /= total
    return weighted


def harris_corners(image):
    """Harris' corner response with a 3x3 window."""
    gx, gy = sobel_gradients(image)
    height, width = gx.shape

    def windowed(product):
        return tw.compute(
            (height - 2, width - 2),
            lambda y, x: tw.sum(lambda i, j: product[y + i, x + j], (3, 3)),
        )

    xx, yy, xy = windowed(gx * gx), windowed(gy * gy), windowed(gx * gy)
    trace = xx + yy
    return xx * yy - xy * xy - HARRIS_K * trace * trace


def harris_corners_numpy(image):
    def windowed(product):
        rows = product[:-2] + product[1:-1]
        rows += product[2:]
        out = rows[:, :-2] + rows[:, 1:-1]
        out += rows[:, 2:]
        return out

    gx, gy = sobel_gradients_numpy(image)
    xy = windowed(gx * gy)
    gx *= gx
    gy *= gy
    xx, yy = windowed(gx), windowed(gy)
    trace = xx + yy
    xx *= yy
    xy *= xy
    xx -= xy
    trace *= trace
    trace *= HARRIS_K
    xx -= trace
    return xx


def game_of_life(cells):
    """One generation of Conway's Game of Life on a torus."""
    vertical = np.roll(cells, 1, 0) + cells + np.roll(cells, -1, 0)
    block = np.roll(vertical, 1, 1) + vertical + np.roll(vertical, -1, 1)
    return ((block == 3) | ((block == 4) & (cells == 1))).astype(np.uint8)


def game_of_life_numpy(cells):
    padded = np.pad(cells, 1, mode="wrap")
    rows = padded[:-2] + padded[1:-1]
    rows += padded[2:]
    block = rows[:, :-2] + rows[:, 1:-1]
    block += rows[:, 2:]
    alive = block == 4
    alive &= cells.view(np.bool_)
    alive |= block == 3
    return alive.view(np.uint8)


def heat_diffusion(heat):
    """Ten steps of heat flowing over a plate with insulated edges."""

    def step(_, plate):
        def neighbour(y, x):
            return tw.at(plate, (y, x), boundary="clamp")

        return tw.compute(
            plate.shape,
            lambda y, x: (
                0.25
                * (
                    neighbour(y - 1, x)
                    + neighbour(y + 1, x)
                    + neighbour(y, x - 1)
                    + neighbour(y, x + 1)
                )
            ),
        )

    return tw.loop(10, step, heat)[0]


def heat_diffusion_numpy(heat):
    padded = np.pad(heat, 1, mode="edge")
    plate = padded[1:-1, 1:-1]
    total = np.empty_like(heat)
    for _ in range(10):
        np.add(padded[:-2, 1:-1], padded[2:, 1:-1], out=total)
        total += padded[1:-1, :-2]
        total += padded[1:-1, 2:]
        np.multiply(total, 0.25, out=plate)
        padded[0], padded[-1] = padded[1], padded[-2]
        padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    return plate.copy()


def make_gray(_: np.random.Generator) -> tuple[Array, ...]:
    return (gray_photograph().astype(np.float32) / np.float32(255),)


def make_half_size_gray(_: np.random.Generator) -> tuple[Array, ...]:
    return (gray_photograph(540, 960).astype(np.float32) / np.float32(255),)


def make_gray_bytes(_: np.random.Generator) -> tuple[Array, ...]:
    return (gray_photograph(),)


def make_cells(rng: np.random.Generator) -> tuple[Array, ...]:
    return ((rng.random((1024, 1024)) < 0.3).astype(np.uint8),)


def _entry(
    kernel: Function,
    baseline: Function,
    make_inputs: MakeInputs = make_gray,
    reference: Function | None = None,
    tolerance: str = "reduction",
) -> Entry:
    reference = reference or in_float64(baseline)
    name = kernel.__name__
    return Entry(name, "stencils", kernel, baseline, make_inputs, reference, tolerance)


ENTRIES = (
    _entry(box_blur, box_blur_numpy),
    _entry(gaussian_blur, gaussian_blur_numpy),
    _entry(sobel_magnitude, sobel_magnitude_numpy),
    _entry(laplacian, laplacian_numpy),
    _entry(unsharp_mask, unsharp_mask_numpy),
    _entry(median3x3, median3x3_numpy, make_gray_bytes, median3x3_reference, "exact"),
    _entry(erode, erode_numpy, make_gray_bytes, tolerance="exact"),
    _entry(
        morphological_gradient, morphological_gradient_numpy, make_gray_bytes, tolerance="exact"
    ),
    _entry(bilateral_filter, bilateral_filter_numpy, make_half_size_gray),
    _entry(harris_corners, harris_corners_numpy),
    _entry(game_of_life, game_of_life_numpy, make_cells, tolerance="exact"),
    _entry(heat_diffusion, heat_diffusion_numpy, uniform((512, 512))),
)
