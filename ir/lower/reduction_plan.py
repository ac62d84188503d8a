"""How a reduction is cut into runs, so that rounding errors stay inside the promised bound.

In: the extents of the reduced axes. Out: the sizes of the runs at every level of the tree.

A run of n additions has height n - 1. `docs/numerics.md` promises height 24 + log2(n) for sums, and
runs of at most 512 for products of matrices; so long axes are cut into blocks whose partial results
are combined by the level above, in shorter runs. Of the plans in `_plans` the first is taken that
keeps the promise: long runs are fast, and only awkward shapes need shorter ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SUM_RUN = 16
PRODUCT_RUN = 512
_SUM_HEIGHT = 24
_UNKNOWN = 1 << 24
_UPPER_RUNS = ((8, 4, 4), (4, 4), (4,), ())
"""Partial results combined in one run, level by level above the first; 2 above those.

A run of 8 is 4 higher than a balanced tree of 8, one of 4 is 1 higher.
"""

Levels = list[tuple[int, ...]]


def plan_levels(extents: Sequence[int | None], run: int, lanes: int = 1) -> Levels:
    """Block sizes for each axis (outermost axis first), innermost level first in each tuple.

    `extents` are the iterations per lane (None: open). An empty tuple leaves the axis whole; ``(16,
    8)`` means blocks of 16, of which 8 are combined at a time, and then the rest.
    """
    sizes = [_UNKNOWN if e is None else e for e in extents]
    # Lanes that are not full get one more addition, and make n less than lanes * iterations.
    most = promised_height(sizes, run) - (2 if lanes > 1 else 0)
    levels: Levels = []
    for levels in _plans(sizes, run):
        if tree_height(levels, sizes) <= most:
            return levels
    return levels


def promised_height(extents: Sequence[int], run: int) -> int:
    """The most additions on any way through a tree of as many terms as the extents say."""
    terms = 1
    for extent in extents:
        terms *= max(1, extent)
    if run > SUM_RUN:
        runs = -(-terms // PRODUCT_RUN)
        return PRODUCT_RUN + (runs - 1).bit_length() + 1  # and the product itself rounds too
    return _SUM_HEIGHT + (terms - 1).bit_length()


def height(extents: Sequence[int], run: int, lanes: int = 1) -> int:
    """The height of the tree that `plan_levels` makes, lanes combined last by halving."""
    tree = tree_height(plan_levels(extents, run, lanes), extents)
    return tree + (max(1, lanes) - 1).bit_length()


def tree_height(levels: Levels, extents: Sequence[int]) -> int:
    """Additions on the longest way through one lane's tree.

    Each run starts from the identity, so that its first addition is exact and does not count.
    """
    total = 0
    for extent, blocks in zip(extents, levels, strict=True):
        remaining = extent
        for block in blocks:
            total += min(block, remaining) - 1
            remaining = -(-remaining // block)
        total += max(0, remaining - 1)
    return total


def _plans(extents: Sequence[int], run: int) -> Iterator[Levels]:
    """Plans of falling height: shorter upper runs first, then shorter runs; last, binary trees."""
    while run > 1:
        for upper in _UPPER_RUNS:
            yield _cut(extents, run, upper)
        run //= 2


def _cut(extents: Sequence[int], run: int, upper: Sequence[int]) -> Levels:
    """Innermost axis first; what its tree leaves of a run is spent on the next one outwards."""

    def upper_run(level: int) -> int:
        return upper[level] if level < len(upper) else 2

    levels: Levels = []
    budget, level = run, 0
    for size in reversed(extents):
        if size <= budget:
            levels.append(())
            budget //= max(1, size)
            continue
        sizes = [budget] if budget > 1 else []
        remaining = -(-size // budget)
        while remaining > upper_run(level):
            sizes.append(upper_run(level))
            remaining = -(-remaining // sizes[-1])
            level += 1
        levels.append(tuple(sizes))
        budget = upper_run(level) // remaining
    return levels[::-1]
