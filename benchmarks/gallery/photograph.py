"""A real photograph at a camera's size: the portrait that matplotlib carries as sample data.

It is in the public domain (US Navy, 1984) and 512 x 600 pixels; the part around the face is
enlarged, and the grain that enlarging takes away is put back.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

HEIGHT, WIDTH = 1080, 1920
SEED = 1080
_FROM_TOP = 0.1  # of what is cut off, this much is above
_GRAIN = 3.0  # standard deviation, in levels


def photograph(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """The RGB picture, `height` x `width` x 3: always the same one of each size."""
    return _taken(height, width).copy()


def gray_photograph(height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """Its green channel."""
    return np.ascontiguousarray(_taken(height, width)[..., 1])


@functools.lru_cache(maxsize=4)
def _taken(height: int, width: int) -> Picture:
    original = _sample()
    rows = min(original.height, round(original.width * height / width))
    top = round(_FROM_TOP * (original.height - rows))
    cut = original.resize((width, height), box=(0, top, original.width, top + rows))
    grain = np.random.default_rng(SEED).normal(0, _GRAIN, (height, width, 1))
    return np.clip(np.rint(np.asarray(cut) + grain), 0, 255).astype(np.uint8)


def _sample() -> Any:
    try:
        from PIL import Image

        file = resources.files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    except ImportError as missing:
        raise click.ClickException(
            f"the gallery's photograph needs {missing.name}: pip install 'tilewright[bench]'"
        ) from missing
    with file.open("rb") as stream:
        return Image.open(stream).convert("RGB")
