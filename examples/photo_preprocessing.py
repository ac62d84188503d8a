"""A photograph -> what an image network takes in: resized, normalised, channels first.

    python examples/photo_preprocessing.py [picture.jpg]

Without a picture it draws one. The kernel is one launch: each output element reads four pixels.
"""

from __future__ import annotations

import sys
import timeit

import numpy as np

import tilewright as tw

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
SIZE = 224


@tw.kernel
def preprocess(image):
    """uint8 (H, W, 3) -> float32 (3, SIZE, SIZE), interpolated bilinearly."""
    rows, columns = (np.float32(extent / SIZE) for extent in image.shape[:2])

    def pixel(c, y, x):
        sy, sx = (y + 0.5) * rows - np.float32(0.5), (x + 0.5) * columns - np.float32(0.5)
        top, left = np.floor(sy), np.floor(sx)
        i, j = top.astype(np.int32), left.astype(np.int32)

        def read(di, dj):
            byte = tw.at(image, (i + di, j + dj, c), boundary="clamp")
            return byte.astype(np.float32)

        upper = read(0, 0) + (read(0, 1) - read(0, 0)) * (sx - left)
        lower = read(1, 0) + (read(1, 1) - read(1, 0)) * (sx - left)
        return ((upper + (lower - upper) * (sy - top)) / 255 - MEAN[c]) / STD[c]

    return tw.compute((3, SIZE, SIZE), pixel)


def picture(arguments: list[str]) -> np.ndarray:
    if arguments:
        from PIL import Image

        return np.asarray(Image.open(arguments[0]).convert("RGB"))
    y, x = np.mgrid[:720, :1280]
    return np.stack([x // 5, y // 3, (x ^ y) & 255], axis=-1).astype(np.uint8)


if __name__ == "__main__":
    image = picture(sys.argv[1:])
    tensor = preprocess(image)  # compiles
    seconds = min(timeit.repeat(lambda: preprocess(image), number=1, repeat=20))
    print(f"{image.shape} -> {tensor.shape} in {1e3 * seconds:.2f} ms")
    print("channel means:", tensor.mean(axis=(1, 2)).round(3))
