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
    the values do not fit together, and `values_of` those of a schedule of a like nest. `default` is
    the point of the schedule without tuning."""

    knobs: tuple[Knob, ...]
    make: Callable[[Mapping[str, Any]], Schedule | None]
    values_of: Callable[[Schedule], Mapping[str, Any]]
    default: Point

    def schedule(self, point: Point) -> Schedule | None:
        """The schedule of a point, or None."""
        chosen = {k.name: k.values[n] for k, n in zip(self.knobs, point, strict=True)}
        return self.make(chosen)

    def near(self, schedule: Schedule) -> Point:
        """The point that is most like a schedule of a nest of other sizes."""
        values = self.values_of(schedule)
        nearest = zip(self.knobs, self.default, strict=True)
        return tuple(_nearest(knob, values.get(knob.name), n) for knob, n in nearest)

    @property
    def size(self) -> int:
        """How many points there are."""
        return prod(len(knob.values) for knob in self.knobs)

    def points(self) -> Iterator[Point]:
        """All points, those without a schedule too."""
        yield from product(*(range(len(knob.values)) for knob in self.knobs))


def _nearest(knob: Knob, value: Any, default: int) -> int:
    if value in knob.values:
        return knob.values.index(value)
    if not isinstance(value, int) or not all(isinstance(v, int) for v in knob.values):
        return default
    return min(range(len(knob.values)), key=lambda n: abs(knob.values[n] - value))
