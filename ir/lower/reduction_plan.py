"""How a reduction is cut into runs, so that rounding errors stay inside the promised bound.

A run of n additions has height n. `docs/numerics.md` promises height 24 + log2(n) for sums, and
runs of at most 512 for products of matrices; so long axes are cut into blocks whose partial results
are combined by the level above, in shorter runs.
"""

from __future__ import annotations

from collections.abc import Sequence

SUM_RUN = 16
PRODUCT_RUN = 512
_FOURS = 2
_UNKNOWN = 1 << 24


def plan_levels(extents: Sequence[int | None], run: int) -> list[tuple[int, ...]]:
    """Block sizes for each axis (outermost axis first), innermost level first in each tuple.

    `extents` are the iterations per lane (None: open). An empty tuple leaves the axis whole; ``(16,
    8)`` means blocks of 16, of which 8 are combined at a time, and then the rest.
    """
    levels: list[tuple[int, ...]] = []
    budget = run
    upper = 0
    for extent in reversed(extents):
        size = _UNKNOWN if extent is None else extent
        if size <= budget:
            levels.append(())
            budget = max(1, budget // max(1, size))
            continue
        sizes = [budget] if budget > 1 else []
        remaining = -(-size // budget)
        while remaining > _upper_run(upper):
            sizes.append(_upper_run(upper))
            remaining = -(-remaining // sizes[-1])
            upper += 1
        levels.append(tuple(sizes))
        budget = max(1, _upper_run(upper) // remaining)
    return levels[::-1]


def _upper_run(level: int) -> int:
    """Partial results combined in one run at a level above the first.

    A run of 16 is 11 higher than a balanced tree of 16, one of 8 is 4 higher and one of 4 is 1
    higher. What the 24 leave is for the ends of axes: three axes of any extents stay within them.
    """
    return 8 if level == 0 else 4 if level <= _FOURS else 2


def height(extents: Sequence[int], run: int, lanes: int = 1) -> int:
    """The height of the tree that `plan_levels` makes, lanes combined last by halving.

    Each run starts from the identity, so that its first addition is exact and does not count.
    """
    total = (max(1, lanes) - 1).bit_length()
    for extent, blocks in zip(extents, plan_levels(extents, run), strict=True):
        remaining = extent
        for block in blocks:
            total += min(block, remaining) - 1
            remaining = -(-remaining // block)
        total += remaining - 1
    return total
