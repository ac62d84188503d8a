"""What an entry of the gallery holds, how far its results may err, and how inputs are made."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Any]
MakeInputs = Callable[[np.random.Generator], tuple[Array, ...]]


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from the reference.

    `relative` counts in each element's own magnitude, `scaled` in the largest magnitude of the
    whole result, which is what sums with cancellation can be held to; `absolute` counts in units.
    """

    relative: float = 0.0
    scaled: float = 0.0
    absolute: float = 0.0

    def excess(self, result: Array, reference: Array) -> float:
        """The largest error in units of what is allowed: at most 1 where the result is right."""
        if result.shape != reference.shape:
            return np.inf
        exact, got = reference.astype(np.float64), result.astype(np.float64)
        same = (exact == got) | (np.isnan(exact) & np.isnan(got))
        if same.all():
            return 0.0
        size = np.abs(exact)
        largest = np.max(size, where=np.isfinite(size), initial=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            allowed = self.relative * size + self.scaled * largest + self.absolute
            ratio = np.where(same, 0.0, np.abs(got - exact) / allowed)
        return float(np.max(np.nan_to_num(ratio, nan=np.inf, posinf=np.inf)))


TOLERANCES = {
    "exact": Tolerance(),
    "elementwise": Tolerance(relative=2e-6, scaled=1e-6),
    "reduction": Tolerance(relative=4e-6, scaled=2e-6),
    "contraction": Tolerance(relative=4e-6, scaled=4e-6),
    # The logarithm of a weak band shows the rounding errors of the strong ones.
    "spectrum": Tolerance(relative=1e-5, scaled=1e-4),
    # Sample positions are float32: a thousandth of a pixel wide of the mark at 2000 pixels.
    "resampled": Tolerance(relative=1e-5, scaled=5e-4),
    "one_level": Tolerance(absolute=1),  # rounded to bytes: a tie may go either way
}


@dataclass(frozen=True)
class Entry:
    """One kernel. Its functions take the arrays of `make_inputs`, and return an array or several.

    `baseline` is the fastest NumPy that an expert would write by hand; `reference` computes the
    same in float64. `tolerance` names one of `TOLERANCES`.
    """

    name: str
    family: str
    kernel: Function
    baseline: Function
    make_inputs: MakeInputs
    reference: Function
    tolerance: str

    @property
    def title(self) -> str:
        """The first line of the kernel's docstring."""
        return (self.kernel.__doc__ or self.name).strip().splitlines()[0]

    def inputs(self) -> tuple[Array, ...]:
        """The frozen inputs: the seed is a checksum of the name."""
        return self.make_inputs(np.random.default_rng(zlib.crc32(self.name.encode())))

    def excess(self, result: Any) -> float:
        """How far `result` is from the reference, in units of the tolerance: right up to 1."""
        return self.excess_on(self.inputs(), result)

    def excess_on(self, inputs: tuple[Array, ...], result: Any) -> float:
        """`excess`, for other inputs than the frozen ones."""
        tolerance = TOLERANCES[self.tolerance]
        got, want = as_tuple(result), as_tuple(self.reference(*inputs))
        if len(got) != len(want):
            return np.inf
        return max(tolerance.excess(g, w) for g, w in zip(got, want, strict=True))


def as_tuple(result: Any) -> tuple[Array, ...]:
    """One or several results, always as a tuple of arrays."""
    return tuple(map(np.asarray, result if isinstance(result, tuple) else (result,)))


def in_float64(function: Function) -> Function:
    """`function`, run on float64 copies of its float arguments."""

    @functools.wraps(function)
    def reference(*arrays: Array) -> Any:
        return function(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays))

    return reference


def normal(*shapes: tuple[int, ...], scale: float = 1.0) -> MakeInputs:
    """Makes one normally distributed float32 array per shape."""

    def make(rng: np.random.Generator) -> tuple[Array, ...]:
        return tuple(scale * rng.standard_normal(shape, np.float32) for shape in shapes)

    return make


def uniform(*shapes: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> MakeInputs:
    """Makes one evenly distributed float32 array per shape."""

    def make(rng: np.random.Generator) -> tuple[Array, ...]:
        return tuple(
            (low + (high - low) * rng.random(shape, np.float32)).astype(np.float32)
            for shape in shapes
        )

    return make
