"""Filters in index form: what NumPy cannot say without copies.

    python examples/index_form_filters.py

Each is checked against the same function in plain NumPy, which the index form also runs in.
"""

from __future__ import annotations

import timeit

import numpy as np

import tilewright as tw


@tw.kernel
def bilateral(image, spread):
    """Smooths where neighbours are alike, and keeps edges."""

    def pixel(y, x):
        def weight(i, j):
            step = tw.at(image, (y + i - 2, x + j - 2), boundary="clamp") - image[y, x]
            return np.exp(-(step * step) / (2 * spread * spread))

        def value(i, j):
            return weight(i, j) * tw.at(image, (y + i - 2, x + j - 2), boundary="clamp")

        return tw.sum(value, (5, 5)) / tw.sum(weight, (5, 5))

    return tw.compute(image.shape, pixel)


@tw.kernel
def dilated(image):
    """The largest of the eight neighbours and the pixel itself."""
    return tw.compute(
        image.shape,
        lambda y, x: tw.max(
            lambda i, j: tw.at(image, (y + i - 1, x + j - 1), boundary="clamp"), (3, 3)
        ),
    )


if __name__ == "__main__":
    image = np.random.default_rng(0).random((60, 80), np.float32)
    for kernel, arguments in ((bilateral, (image, 0.1)), (dilated, (image,))):
        result = kernel(*arguments)
        np.testing.assert_allclose(result, kernel.python(*arguments), rtol=1e-5)
        seconds = min(timeit.repeat(lambda: kernel(*arguments), number=1, repeat=20))
        print(f"{kernel.__name__}: as NumPy, {1e6 * seconds:.0f} µs")
