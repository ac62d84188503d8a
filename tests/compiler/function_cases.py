"""Cases of NumPy functions: the arrays that they take, and how they are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.compiler.trace_oracle import check

RNG = np.random.default_rng(3)
F = RNG.standard_normal((3, 4, 5)).astype(np.float32)
M = RNG.standard_normal((4, 5)).astype(np.float32)
S = RNG.standard_normal((5, 5))
V = RNG.standard_normal(6).astype(np.float32)
W = RNG.standard_normal(4).astype(np.float32)
INTS = RNG.integers(-50, 50, (3, 4)).astype(np.int32)
U = RNG.integers(0, 255, (4, 6)).astype(np.uint8)
B = RNG.integers(0, 2, (3, 4)).astype(bool)
H = RNG.standard_normal((8, 16)).astype(np.float16)
NANS = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [-2.0, 0.0, np.inf]], np.float32)
E = np.zeros((0, 5), np.float32)
P = np.array([2, 0, 1, 2, -1])
T = np.arange(10.0)

_LOOSE = {"cov": 1e-13, "geomspace corrcoef": 1e-12, "matrix_power": 1e-12, "var stable": 1e-5}


class Cases(dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]):
    """Functions and their arguments, by name."""

    def add(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        assert name not in self
        self[name] = (function, args)

    def check(self, name: str) -> None:
        """The traced function, interpreted, gives what NumPy gives."""
        function, args = self[name]
        dtypes = {getattr(a, "dtype", None) for a in args}
        tolerance = _LOOSE.get(name, 5e-6 if np.dtype(np.float32) in dtypes else None)
        check(function, *args, tolerance=4e-3 if np.dtype(np.float16) in dtypes else tolerance)
