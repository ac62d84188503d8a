"""Three kernels on a WebGPU device, chained without read-back.

    python examples/webgpu_chain.py

Needs `pip install 'tilewright[wgpu]'` and a Vulkan, Metal or Direct3D driver.
"""

from __future__ import annotations

import numpy as np

import tilewright as tw


@tw.kernel(target="wgsl")
def blurred(image):
    """3x3 binomial blur; edges are reflected."""
    weight = np.array([0.25, 0.5, 0.25], np.float32)
    return tw.compute(
        image.shape,
        lambda y, x: tw.sum(
            lambda i, j: (
                tw.at(image, (y + i - 1, x + j - 1), boundary="reflect") * weight[i] * weight[j]
            ),
            (3, 3),
        ),
    )


@tw.kernel(target="wgsl")
def edges(image):
    dy = image[2:, 1:-1] - image[:-2, 1:-1]
    dx = image[1:-1, 2:] - image[1:-1, :-2]
    return np.sqrt(dx * dx + dy * dy)


@tw.kernel(target="wgsl")
def row_profile(image):
    return image.mean(axis=1), image.max(axis=1)


if __name__ == "__main__":
    y, x = np.mgrid[:256, :320]
    image = (np.hypot(y - 128, x - 160) < 80).astype(np.float32)
    on_device = tw.device_array(image, "wgsl")
    mean, most = row_profile(edges(blurred(on_device)))  # nothing is read back up to here
    print(mean)
    expected, _ = row_profile.python(edges.python(blurred.python(image)))
    print("largest difference from NumPy:", np.abs(mean.numpy() - expected).max())
    print("strongest edge:", most.numpy().max())
