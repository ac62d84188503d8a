"""What combines the elements of the last axis: all of them, or those up to each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Whole:
    """All elements of a row; the last axis is gone."""

    def __call__(self, ufunc: np.ufunc, rows: Array) -> Array:
        """The row combined by `ufunc`, in its dtype."""
        return np.asarray(ufunc.reduce(rows, axis=-1, dtype=rows.dtype))

    def total(self, rows: Array) -> Array:
        """The sum of float64, more exact than one after the other."""
        return np.asarray(rows.sum(-1))

    def counts(self, rows: Array) -> Array:
        """How many elements are combined."""
        return np.asarray(rows.shape[-1])


class Heads(Whole):
    """All elements up to each, at its place."""

    def __call__(self, ufunc: np.ufunc, rows: Array) -> Array:
        return np.asarray(ufunc.accumulate(rows, axis=-1, dtype=rows.dtype))

    def total(self, rows: Array) -> Array:
        """Each sum rounds once; what was lost by then is known exactly, and added at last."""
        sums = np.cumsum(rows, axis=-1)
        before = np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], -1)
        added = sums - before
        lost = (before - (sums - added)) + (rows - added)
        return np.asarray(sums + np.cumsum(np.where(np.isfinite(lost), lost, 0.0), axis=-1))

    def counts(self, rows: Array) -> Array:
        return np.arange(1, rows.shape[-1] + 1)


WHOLE, HEADS = Whole(), Heads()
