"""What the tests of the elementary functions share: machines, promises, samples, error measure.

The promises are those of `docs/numerics.md`, in units in the last place of the true value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir import ops
from tilewright.ir.elementary import Machine

Array = NDArray[Any]

MACHINES = {
    "avx512": Machine(
        has_fma=True,
        ieee=True,
        has_f64=True,
        scale=True,
        pick=True,
        native=frozenset({ops.NATIVE_RSQRT}),
    ),
    "avx2": Machine(has_fma=True, ieee=True, has_f64=True, scale=False),
    "wasm": Machine(has_fma=False, ieee=True, has_f64=True, scale=False),
    "gpu": Machine(has_fma=False, ieee=False, has_f64=False, scale=False, native=ops.NATIVE),
}

# name: (on cpu and wasm in float32, on shading languages)
PROMISES = {
    "exp": (2, 4),
    "exp2": (2, 4),
    "expm1": (2, 4),
    "sigmoid": (4, 8),
    "log": (2, 4),
    "log2": (2, 4),
    "log10": (2, 4),
    "log1p": (2, 4),
    "sin": (2, 4),
    "cos": (2, 4),
    "tan": (3, 6),
    "asin": (3, 6),
    "acos": (3, 6),
    "atan": (3, 6),
    "atan2": (3, 6),
    "sinh": (2, 5),
    "cosh": (2, 5),
    "tanh": (2, 4),
    "asinh": (3, 6),
    "acosh": (3, 6),
    "atanh": (3, 6),
    "erf": (2, 6),
    "erfc": (3, 16),
    "pow": (2, 16),
    "cbrt": (2, 4),
    "rsqrt": (2, 4),
    "hypot": (2, 4),
}
FLOAT64_PROMISE = 2.0

# Where a function is neither trivial nor NaN: samples are dense there.
RANGES = {
    "exp": (-110.0, 90.0),
    "exp2": (-152.0, 130.0),
    "expm1": (-20.0, 90.0),
    "sigmoid": (-110.0, 20.0),
    "sinh": (-91.0, 91.0),
    "cosh": (-91.0, 91.0),
    "tanh": (-11.0, 11.0),
    "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0),
    "atanh": (-1.0, 1.0),
    "acosh": (1.0, 20.0),
    "erf": (-4.5, 4.5),
    "erfc": (-5.0, 10.5),
}
FLOAT64_RANGES = {
    **RANGES,
    "exp": (-750.0, 712.0),
    "exp2": (-1080.0, 1030.0),
    "expm1": (-40.0, 712.0),
    "sigmoid": (-750.0, 40.0),
    "sinh": (-712.0, 712.0),
    "cosh": (-712.0, 712.0),
    "tanh": (-22.0, 22.0),
    "erf": (-6.5, 6.5),
    "erfc": (-7.0, 27.5),
}

# The finite numbers nearest to a multiple of pi / 2 (J.-M. Muller, "Elementary Functions", 11.3)
NEAREST_TO_HALF_PI = {np.float32: 16367173 * 2.0**72, np.float64: 6381956970095103 * 2.0**797}
SPECIAL = (
    0.0, 1.0, 2.0, 3.0, 0.5, 1.0 / 3.0, 1.5, 8.0, 10.0, 16.0, 27.0, 100.0, 127.0, 128.0, 1e3, 1e10,
    float("inf"), float("nan"),
)  # fmt: skip


def special_values(dtype: type[np.floating]) -> Array:
    """Zeros, infinities, NaN, the ends of the format, and simple numbers; of both signs."""
    info = np.finfo(dtype)
    ends = (info.tiny, info.max, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg)
    odd = 2.0**info.nmant * 2 - 1  # the largest odd number
    positive = np.array([*SPECIAL, *ends, odd, odd + 3], dtype=dtype)
    return np.concatenate([positive, -positive])


def samples(name: str, dtype: type[np.floating], count: int, seed: int = 1) -> Array:
    """About `count` numbers: of all exponents, dense where it matters, and around powers of two."""
    rng = np.random.default_rng(seed)
    bits = np.dtype(dtype).itemsize * 8
    ranges = RANGES if dtype is np.float32 else FLOAT64_RANGES
    unsigned = np.dtype(f"u{bits // 8}")
    anything = rng.integers(0, 2**bits, count // 4, dtype=unsigned).view(dtype)
    dense = rng.uniform(*ranges.get(name, (-20.0, 20.0)), count // 4)
    ordinary = np.exp(rng.uniform(-12, 12, count // 4)) * rng.choice([-1, 1], count // 4)
    near_one = 1 + rng.uniform(-1, 1, count // 8) * 2.0 ** -rng.integers(0, 53, count // 8)
    half_turns = rng.integers(0, 1 << 18, count // 8) * (np.pi / 2)
    exponents = np.arange(1 << (bits - 1 - np.finfo(dtype).nmant), dtype=unsigned)
    powers = (exponents << np.finfo(dtype).nmant).view(dtype)
    with np.errstate(all="ignore"):
        around = [np.nextafter(powers, dtype(-np.inf)), powers, np.nextafter(powers, dtype(np.inf))]
        parts = [anything, dense, ordinary, near_one, half_turns, *around, special_values(dtype)]
        return np.concatenate([np.asarray(part).astype(dtype) for part in parts])


def pairs(name: str, dtype: type[np.floating], count: int) -> tuple[Array, Array]:
    """Two operands: every pair of special values, and pairs whose result is in range."""
    rng = np.random.default_rng(2)
    special = special_values(dtype)
    left, right = (grid.ravel() for grid in np.meshgrid(special, special))
    x = samples(name, dtype, count)
    with np.errstate(all="ignore"):
        if name == "pow":
            x = np.where(rng.random(x.size) < 0.8, np.abs(x), x)
            limit = float(np.finfo(dtype).maxexp) * 1.1
            y = rng.uniform(-limit, limit, x.size) / np.log2(np.abs(x.astype(np.float64)))
            y = np.where(rng.random(x.size) < 0.2, np.rint(y), y)
        else:
            y = x[rng.permutation(x.size)].astype(np.float64)
            near = x.astype(np.float64) * np.exp(rng.uniform(-9, 9, x.size))
            y = np.where(rng.random(x.size) < 0.7, near, y)
        return np.concatenate([left, x]), np.concatenate([right, y.astype(dtype)])


def ulps(got: Array, true: Array) -> Array:
    """The error of `got` in units in the last place of `true`, which is float64 or longdouble.

    Infinity counts as the number after the largest one, and a NaN on one side only as infinite.
    """
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = true.astype(got.dtype)
        exponent = np.clip(np.frexp(true)[1], info.minexp + 1, info.maxexp)
        unit = np.ldexp(np.ones_like(true), exponent - info.nmant - 1)
        beyond = np.ldexp(true.dtype.type(1), info.maxexp)
        error = np.abs(
            np.clip(got.astype(true.dtype), -beyond, beyond) - true.clip(-beyond, beyond)
        )
        error = np.where(np.isnan(got) & np.isnan(rounded), 0.0, error / unit)
    return np.where(np.isnan(error) | (np.isnan(got) != np.isnan(rounded)), np.inf, error)
