"""The end of an axis that vectors do not divide: shorter vectors, or one that begins earlier.

Fifteen elements are four vectors of 8, 4, 2 and 1 lanes. Where the axis is long enough, one whole
vector that ends with it stores a few elements twice, the same values both times.
"""

from __future__ import annotations

from tilewright.ir.expr import Load, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest


def tail_blocks(length: int, rest: int, width: int) -> list[tuple[int, int]]:
    """Origins and sizes of blocks over the last `rest` of `length` elements, in whole vectors of
    `width` as far as that takes fewer of them."""
    left = rest % width
    exact = [(length - rest, rest)]
    if left.bit_count() < 2:
        return exact
    rounded = rest - left + width
    if length >= rounded:
        return [(length - rounded, rounded)]
    return [(length - rest, rest - left), (length - width, width)] if rest > left else exact


def may_repeat(nest: Nest) -> bool:
    """Whether points may be computed twice: nothing that is stored to is read from outside."""
    stored = {s.target.root for s in nest.stages if s.target not in nest.locals}
    loads = post_order(e for s in nest.stages for e in (s.value, *s.indices))
    read = {n.source.root for n in loads if isinstance(n, Load) and isinstance(n.source, Buffer)}
    return not stored & read
