"""Results of GPU programs in the caller's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def deliver(results: Sequence[Any], outputs: Sequence[np.ndarray | None] | None) -> list[Any]:
    """The results, copied into those of `outputs` that are arrays."""
    if outputs is None:
        return list(results)
    delivered: list[Any] = []
    for result, given in zip(results, outputs, strict=True):
        if given is None:
            delivered.append(result)
        else:
            np.copyto(given, result)
            delivered.append(given)
    return delivered
