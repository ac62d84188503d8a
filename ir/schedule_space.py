"""The schedules of a nest among which a tuner searches: a few knobs with a few values each.

A target makes the space of a nest from the nest, the default schedule and the device's limits. What
does not fit together has no schedule; two points may have the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from msgspec import Struct

from tilewright.ir.schedule import Schedule

Point = tuple[int, ...]
"""For each knob the number of its value."""


class Knob(Struct, frozen=True):
    """One choice. `values` are in an order in which neighbours are alike, if `is_ordered`."""

    name: str
    values: tuple[Any, ...]
    is_ordered: bool = True


class ScheduleSpace(Struct, frozen=True):
    """All combinations of the values of `knobs`; `make` gives the schedule of one, or None where
    the values do not fit together. `default` is the point of the schedule without tuning."""

    knobs: tuple[Knob, ...]
    make: Callable[[Mapping[str, Any]], Schedule | None]
    default: Point

    def schedule(self, point: Point) -> Schedule | None:
        """The schedule of a point, or None."""
        chosen = {k.name: k.values[n] for k, n in zip(self.knobs, point, strict=True)}
        return self.make(chosen)

    @property
    def size(self) -> int:
        """How many points there are."""
        return prod(len(knob.values) for knob in self.knobs)

    def points(self) -> Iterator[Point]:
        """All points, those without a schedule too."""
        yield from product(*(range(len(knob.values)) for knob in self.knobs))
