"""A search begins near what was best for the same kernel at other sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.compiler.tune.test_database import RECORD
from tests.compiler.tune.test_spaces import nests, product
from tilewright.compiler.cache.artifacts import versions
from tilewright.compiler.targets import NAMES, BuildOptions
from tilewright.compiler.tune.database import TuningDatabase, TuningRecord
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.start import starting_points
from tilewright.compiler.tune.subject import traced_call
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

OURS = replace(RECORD, compiler=versions(), family="f", device="d")
NEST = nests("product", "cpu")[0]


def record(name: str, *sizes: int, **more: object) -> TuningRecord:
    shown = f"x: f32[{', '.join(map(str, sizes))}]"
    chosen = Schedule(tile=(sizes[0] % 16 + 1, 16), vector=1, width=16, order=(0, 1))
    fields = {"graph": name, "arguments": (shown,), "schedules": {NEST.name: chosen}, **more}
    return replace(OURS, **fields)


def test_the_most_alike_come_first(tmp_path: Path) -> None:
    database = TuningDatabase(tmp_path / "records")
    database.add(
        [
            record("far", 1024, 1024),
            record("nearest", 65, 100),
            record("near", 66, 90),
            record("farther", 8000, 8000),
            record("of another rank", 64, 96, 2),
            record("of another kernel", 64, 96, family="g"),
            record("of another device", 64, 96, device="e"),
            record("of another compiler", 64, 96, compiler="old"),
        ]
    )
    found = starting_points(database, record("ours", 64, 96), [NEST])
    tiles = [NEST.space.schedule(p).tile[0] for p in found[NEST.name]]  # type: ignore[union-attr]
    assert tiles[:2] == [2, 3]  # of sizes 65 and 66
    assert len(tiles) == 3


def test_sizes_of_open_dimensions_count(tmp_path: Path) -> None:
    database = TuningDatabase(tmp_path / "records")
    records = [replace(record(name, n, 8), sizes={"N": n}) for name, n in (("a", 99), ("b", 9))]
    open_ones = [replace(r, arguments=("x: f32[N, 8]",)) for r in records]
    database.add(open_ones)
    found = starting_points(database, replace(open_ones[1], sizes={"N": 12}), [NEST])
    tiles = [NEST.space.schedule(p).tile[0] for p in found[NEST.name]]  # type: ignore[union-attr]
    assert tiles[0] > tiles[1]  # of size 9, then of size 99


def test_without_records_there_is_nothing_to_start_from(tmp_path: Path) -> None:
    database = TuningDatabase(tmp_path / "records")
    assert starting_points(database, OURS, [NEST]) == {NEST.name: []}


SPACE = ScheduleSpace(
    (
        Knob("width", (1, 4, 16)),
        Knob("order", ((0, 1), (1, 0)), is_ordered=False),
        Knob("vector", (0, "inner"), is_ordered=False),
    ),
    lambda _: Schedule(),
    lambda s: {"width": s.width, "order": s.order, "vector": s.vector},
    (1, 0, 0),
)


@pytest.mark.parametrize(
    ("schedule", "point"),
    [
        (Schedule(width=16, order=(1, 0), vector="inner"), (2, 1, 1)),
        (Schedule(width=64, order=(0, 1), vector=0), (2, 0, 0)),
        (Schedule(width=2, order=(0, 1), vector=0), (0, 0, 0)),
        (Schedule(width=4, order=(2, 0, 1), vector=7), (1, 0, 0)),  # as by default
    ],
)
def test_the_nearest_point(schedule: Schedule, point: tuple[int, ...]) -> None:
    assert SPACE.near(schedule) == point


@pytest.mark.parametrize("target", NAMES)
def test_a_schedule_of_a_space_is_found_in_that_of_other_sizes(target: str) -> None:
    arrays = {"a": np.zeros((64, 96), np.float32), "b": np.zeros((96, 128), np.float32)}
    traced, _ = traced_call(tw.kernel(target=target)(product), arrays)
    (other,) = tunable_nests(traced, target, BuildOptions())
    (ours,) = nests("product", target)
    point = tuple(len(knob.values) - 1 for knob in ours.space.knobs)
    for start in (ours.space.default, point):
        schedule = ours.space.make(
            {k.name: k.values[n] for k, n in zip(ours.space.knobs, start, strict=True)}
        )
        if schedule is not None:
            near = other.space.schedule(other.space.near(schedule))
            assert near is None or len(near.tile) == len(schedule.tile)
            assert ours.space.schedule(ours.space.near(schedule)) == schedule
