"""Lanes picked out of a stretch of memory at places that are literals.

The stretch is loaded in whole registers, the last of which ends with it: LLVM loads lengths that
are no power of two in pieces. Registers are shuffled two by two until one has all lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

Assign = Callable[[str], str]


class Part(Struct, frozen=True):
    """A vector, and which places of the stretch its lanes hold."""

    text: str
    lanes: dict[int, int]


def register_starts(span: int, most: int) -> tuple[int, list[int]]:
    """Lanes of the registers that a stretch of `span` is loaded in, and where each begins."""
    size = min(most, 1 << (span.bit_length() - 1))
    return size, [*range(0, span - size, size), span - size]


def wanted_parts(starts: Sequence[int], size: int, places: Sequence[int]) -> list[dict[int, int]]:
    """For each register the lanes that it gives: each place is taken from one of them."""
    left = sorted(set(places))
    parts: list[dict[int, int]] = []
    for start in starts:
        parts.append({p: p - start for p in left if start <= p < start + size})
        left = [p for p in left if p >= start + size]
    return parts


def picked(
    parts: Sequence[Part], kind: str, size: int, places: Sequence[int], assign: Assign
) -> str:
    """A vector of the lanes at `places`; `kind` is the type of the parts, of `size` lanes each."""
    held = [p for p in parts if p.lanes]
    while len(held) > 2:
        pairs = [held[k : k + 2] for k in range(0, len(held), 2)]
        held = [_merged(pair, kind, size, assign) if pair[1:] else pair[0] for pair in pairs]
    return assign(_shuffle(held, kind, size, list(places)))


def _merged(pair: Sequence[Part], kind: str, size: int, assign: Assign) -> Part:
    places = [*pair[0].lanes, *pair[1].lanes]
    filled: list[int | None] = [*places, *[None] * (size - len(places))]
    return Part(
        assign(_shuffle(pair, kind, size, filled)), {p: lane for lane, p in enumerate(places)}
    )


def _shuffle(parts: Sequence[Part], kind: str, size: int, places: Sequence[int | None]) -> str:
    lanes = {p: lane + k * size for k, part in enumerate(parts) for p, lane in part.lanes.items()}
    mask = ", ".join("i32 poison" if p is None else f"i32 {lanes[p]}" for p in places)
    other = parts[1].text if parts[1:] else "poison"
    return f"shufflevector {kind} {parts[0].text}, {kind} {other}, <{len(places)} x i32> <{mask}>"
