"""How a reduction is cut into runs, so that rounding errors stay inside the promised bound.

A run of n additions has height n. `docs/numerics.md` promises height 24 + log2(n) for sums, and
runs of at most 512 for products of matrices; so long axes are cut into blocks whose partial results
are combined by the level above, in shorter runs.
"""

from __future__ import annotations

from collections.abc import Sequence

SUM_RUN = 16
PRODUCT_RUN = 512
_UPPER_RUN = 8
_UNKNOWN = 1 << 24


def plan_levels(extents: Sequence[int | None], run: int) -> list[tuple[int, ...]]:
    """Block sizes for each axis (outermost axis first), innermost level first in each tuple.

    `extents` are the iterations per lane (None: open). An empty tuple leaves the axis whole; ``(16,
    8)`` means blocks of 16, of which 8 are combined at a time, and then the rest.
    """
    levels: list[tuple[int, ...]] = []
    budget = run
    for extent in reversed(extents):
        size = _UNKNOWN if extent is None else extent
        if size <= budget:
            levels.append(())
            budget = max(1, budget // max(1, size))
            continue
        sizes = [budget]
        remaining = -(-size // budget)
        while remaining > _UPPER_RUN:
            sizes.append(_UPPER_RUN)
            remaining = -(-remaining // _UPPER_RUN)
        levels.append(tuple(sizes))
        budget = max(1, _UPPER_RUN // remaining)
    return levels[::-1]


def height(extents: Sequence[int], run: int, lanes: int = 1) -> int:
    """The height of the tree that `plan_levels` makes, lanes combined last by halving."""
    total = (max(1, lanes) - 1).bit_length()
    for extent, blocks in zip(extents, plan_levels(extents, run), strict=True):
        remaining = extent
        for block in blocks:
            total += min(block, remaining) if block > 1 else 1
            remaining = -(-remaining // block)
        total += remaining
    return total
