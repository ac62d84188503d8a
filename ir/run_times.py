"""Where the time of a program's call goes, measured on a device, and how to tell without its clock.

In: functions that run a program some times and wait. Out: seconds of one run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

_SLOPES: Final = 3


class RunTimes(Struct, frozen=True):
    """Seconds of one call: what goes up to the device, what it computes, what is read back.

    `launches` are the device's seconds of each launch on its own, in the order of
    `artifact.launches`, all rounds of a repeat together. They need not add up to `device`: launches
    may overlap, and there may be gaps between them. Empty where they cannot be told apart.
    `clock` is the device's own, or the host's around runs of different number.
    """

    upload: float
    device: float
    read_back: float
    launches: tuple[float, ...]
    clock: Literal["device", "host"]


def slope(timed: Callable[[int], float], runs: int) -> float:
    """Seconds of one run, from the time of `runs` and of twice as many: what starting and waiting
    cost once is in both, and falls out.

    Where noise hides the difference, what one of the larger number took, which is no less.
    """
    differences: list[float] = []
    least = float("inf")
    for _ in range(_SLOPES):
        once, twice = timed(runs), timed(2 * runs)
        differences.append((twice - once) / runs)
        least = min(least, twice / (2 * runs))
    found = statistics.median(differences)
    return min(found, least) if found > 0 else least
