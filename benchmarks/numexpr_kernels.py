"""Kernels of the gallery as expressions for numexpr, by name.

Constants are float32 arrays of rank 0: a float in the text would make everything float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gallery.elementwise import EARTH_RADIUS_KM, TANH_GELU


def _expression(text: str, names: str, **constants: float) -> Callable[..., Any]:
    """A function of the arguments called `names` that evaluates `text`."""
    fixed = {name: np.float32(value) for name, value in constants.items()}

    def evaluate(*arguments: Any) -> Any:
        import numexpr

        values = dict(zip(names.split(), arguments, strict=True))
        return numexpr.evaluate(text, {**values, **fixed})

    return evaluate


NUMEXPR: dict[str, Callable[..., Any]] = {
    "scale_bias_relu": _expression(
        "where(x * scale + bias > 0, x * scale + bias, 0)", "x scale bias"
    ),
    "silu": _expression("x / (1 + exp(-x))", "x"),
    "gelu_tanh": _expression(
        "half * x * (1 + tanh(factor * (x + cubic * x * x * x)))",
        "x",
        half=0.5,
        factor=TANH_GELU,
        cubic=0.044715,
    ),
    "softplus": _expression("where(x > 0, x, 0) + log1p(exp(-abs(x)))", "x"),
    "mish": _expression("x * tanh(log1p(exp(-abs(x))) + where(x > 0, x, 0))", "x"),
    "haversine": _expression(
        "diameter * arcsin(sqrt(sin((lat2 - lat1) * half) ** 2"
        " + cos(lat1) * cos(lat2) * sin((lon2 - lon1) * half) ** 2))",
        "lat1 lon1 lat2 lon2",
        half=0.5,
        diameter=2 * EARTH_RADIUS_KM,
    ),
    "srgb_to_linear": _expression(
        "where(x <= knee, x * slope, ((x + offset) * scale) ** power)",
        "x",
        knee=0.04045,
        slope=1 / 12.92,
        offset=0.055,
        scale=1 / 1.055,
        power=2.4,
    ),
}
