"""In how many parts a long sum is computed, if it has few results (split-K)."""

from __future__ import annotations

from tilewright.ir.lower.split_k import can_split
from tilewright.ir.program import Nest

_MOST_PARTS = 32  # of a sum
LEAST_PART = 64  # products: fewer are sooner computed than their sum is written and read


def parts_of_sum(nest: Nest, depth: int, wanted: int, least: int = LEAST_PART) -> int:
    """Parts of a long sum: at most those that are wanted, and none of them short."""
    parts = 1
    while parts * 2 <= min(wanted, _MOST_PARTS) and depth >= 2 * parts * least:
        if not can_split(nest, parts * 2):
            break
        parts *= 2
    return parts
