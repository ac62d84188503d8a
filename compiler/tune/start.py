"""Where a search begins: with what was best for the same kernel at the sizes most like these."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tilewright.compiler.tune.database import TuningDatabase, TuningRecord

if TYPE_CHECKING:
    from tilewright.compiler.tune.session import TunableNest
    from tilewright.ir.schedule_space import Point

_SIZE: Final = re.compile(r"(?<=[\[ ])\d+(?=[,\]])")
_MOST: Final = 3


def starting_points(
    database: TuningDatabase, like: TuningRecord, nests: Sequence[TunableNest]
) -> dict[str, list[Point]]:
    """By the names of nests: points near the schedules of the records of a family, the most alike
    first. `like` is a record of what is to be tuned."""
    found = [record for record in database.records() if _is_akin(record, like)]
    found.sort(key=lambda record: _distance(record, like))
    return {
        nest.name: [
            nest.space.near(record.schedules[nest.name])
            for record in found[:_MOST]
            if nest.name in record.schedules
        ]
        for nest in nests
    }


def _is_akin(record: TuningRecord, like: TuningRecord) -> bool:
    return all(getattr(record, f) == getattr(like, f) for f in ("family", "device", "compiler"))


def _distance(record: TuningRecord, like: TuningRecord) -> float:
    """How far the sizes are apart, as factors."""
    ours, theirs = _sizes(like), _sizes(record)
    if len(ours) != len(theirs):
        return math.inf
    return sum(abs(math.log2((a + 1) / (b + 1))) for a, b in zip(ours, theirs, strict=True))


def _sizes(record: TuningRecord) -> list[int]:
    fixed = [int(size) for text in record.arguments for size in _SIZE.findall(text)]
    return [*fixed, *(size for _, size in sorted(record.sizes.items()))]
