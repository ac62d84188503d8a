"""Places the temporaries of a program in one block of memory, sharing what is not needed at once.

In: a program whose steps are lowered (or not: nests will do). Out: byte offsets of the temporaries
and the size of the block. Sizes that are known are packed greedily, the largest first, each into
the smallest gap that fits: within a few per cent of the optimum on usual graphs. Sizes that depend
on open dimensions follow, one after the other; of these only equal ones share a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from tilewright.ir import build, ops
from tilewright.ir.analysis.lifetimes import Lifetime, lifetimes
from tilewright.ir.expr import Apply, Size
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Program
from tilewright.ir.structure import Keys

ALIGNMENT = 64


class MemoryPlan(Struct, frozen=True):
    """Where each temporary begins, and how many bytes there are in all."""

    offsets: dict[Buffer, Size]
    size: Size


def plan_memory(program: Program) -> MemoryPlan:
    """Offsets, all multiples of `ALIGNMENT`, of the temporaries that the program uses."""
    lives = lifetimes(program)
    sizes = {buffer: _aligned_size(buffer) for buffer in lives}
    known = {b: s for b, s in sizes.items() if isinstance(s, int)}
    offsets: dict[Buffer, Size] = {**_pack(known, lives)}
    end: Size = max((o + known[b] for b, o in offsets.items() if isinstance(o, int)), default=0)
    for slot in _slots([b for b in lives if b not in known], sizes, lives):
        offsets.update(dict.fromkeys(slot.buffers, end))
        end = build.size_add(end, sizes[slot.buffers[0]])
    return MemoryPlan({b: offsets[b] for b in lives}, end)


def _aligned_size(buffer: Buffer) -> Size:
    size = build.size_mul(build.product(buffer.shape), buffer.dtype.itemsize)
    if isinstance(size, int):
        return -(-size // ALIGNMENT) * ALIGNMENT
    # A quotient of sizes is legal on every target as it is: no operand is negative.
    above = build.add(size, build.index(ALIGNMENT - 1))
    return build.mul(Apply(ops.QUO, (above, build.index(ALIGNMENT))), build.index(ALIGNMENT))


def _pack(sizes: Mapping[Buffer, int], lives: Mapping[Buffer, Lifetime]) -> dict[Buffer, int]:
    """Offsets for the known sizes. Placing the largest first leaves the gaps to those that fit."""
    offsets: dict[Buffer, int] = {}
    for buffer in sorted(sizes, key=lambda b: (-sizes[b], lives[b].first)):
        taken = sorted(
            (offset, offset + sizes[other])
            for other, offset in offsets.items()
            if lives[other].overlaps(lives[buffer])
        )
        offsets[buffer] = best_gap(taken, sizes[buffer])
    return offsets


def best_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The start of the smallest gap of at least `size` bytes, else the end of all."""
    end, best, waste = 0, None, 0
    for first, last in taken:
        room = first - end
        if room >= size and (best is None or room - size < waste):
            best, waste = end, room - size
        end = max(end, last)
    return end if best is None else best


class _Slot(Struct):
    """One place for buffers of one size that are never needed at the same time."""

    key: int
    buffers: list[Buffer] = field(default_factory=list)


def _slots(
    buffers: Sequence[Buffer], sizes: Mapping[Buffer, Size], lives: Mapping[Buffer, Lifetime]
) -> list[_Slot]:
    keys = Keys()
    slots: list[_Slot] = []
    for buffer in buffers:
        key = keys.of_size(sizes[buffer])
        for slot in slots:
            free = not any(lives[b].overlaps(lives[buffer]) for b in slot.buffers)
            if slot.key == key and free:
                slot.buffers.append(buffer)
                break
        else:
            slots.append(_Slot(key, [buffer]))
    return slots
