"""Tuning records on disk: nothing is lost, and nothing that is no record does harm."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tilewright.compiler.cache.file_lock import locked
from tilewright.compiler.tune import database as database_module
from tilewright.compiler.tune.database import FORMAT, Failure, TuningDatabase, TuningRecord
from tilewright.ir.errors import CacheWarning, OutputError
from tilewright.ir.schedule import INNER, Schedule

RECORD = TuningRecord(
    kernel="softmax",
    graph="a1",
    family="f1",
    arguments=("x: f32[64, 1000]",),
    target="cpu",
    device="some processor",
    software=False,
    compiler="tilewright 0.1.0, llvmlite 0.50.0",
    schedules={"t5": Schedule(tile=(1,), vector=INNER, width=16, unroll=4, order=(0,))},
    seconds=2e-6,
    default_seconds=3e-6,
    trials=40,
    seed=0,
    date="2026-11-30T12:00:00+00:00",
)


@pytest.fixture
def database(tmp_path: Path) -> TuningDatabase:
    return TuningDatabase(tmp_path / "tuning" / "records.jsonl")


def quietly(database: TuningDatabase) -> list[TuningRecord]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return database.records()


def test_what_was_added_is_read_by_another(database: TuningDatabase) -> None:
    assert quietly(database) == []
    assert database.stamp() == (0, 0)
    assert database.add([RECORD]) == 1
    assert quietly(TuningDatabase(database.path)) == [RECORD]
    assert database.best("a1", "cpu", RECORD.device, RECORD.compiler) == RECORD
    assert database.best("a1", "cpu", "another processor", RECORD.compiler) is None


def test_the_largest_gain_of_a_key_counts(database: TuningDatabase) -> None:
    fast, slow = replace(RECORD, seconds=1e-6), replace(RECORD, seconds=5e-6)
    database.add([RECORD, fast, slow])
    assert quietly(database) == [fast]
    assert fast.gain == pytest.approx(3)


def test_times_of_different_hours_do_not_compare(database: TuningDatabase) -> None:
    """While others used the machine too, 4 us were fast."""
    tuned = replace(RECORD, seconds=4e-6, default_seconds=8e-6)
    default = replace(RECORD, schedules={}, seconds=3e-6, default_seconds=3e-6)
    database.add([tuned, default])
    assert quietly(database) == [tuned]


@pytest.mark.parametrize("part", ["graph", "target", "device", "compiler"])
def test_records_of_other_keys_do_not_compete(database: TuningDatabase, part: str) -> None:
    other = replace(RECORD, seconds=1e-9, **{part: "another"})
    database.add([RECORD, other])
    assert quietly(database) == [RECORD, other]


def test_what_another_process_adds_is_seen(database: TuningDatabase) -> None:
    database.add([RECORD])
    assert quietly(database) == [RECORD]
    other = replace(RECORD, graph="b2")
    TuningDatabase(database.path).add([other])
    assert quietly(database) == [RECORD, other]


def test_merging_takes_what_is_new_or_gains_more(database: TuningDatabase, tmp_path: Path) -> None:
    other = TuningDatabase(tmp_path / "other.jsonl")
    new, faster, slower = (
        replace(RECORD, graph="new"),
        replace(RECORD, seconds=1e-6),
        replace(RECORD, graph="both", seconds=9e-6),
    )
    database.add([RECORD, replace(slower, seconds=1e-6)])
    other.add([new, faster, slower])
    assert database.merge(other) == 2
    assert {r.graph: r.seconds for r in quietly(database)} == {
        "a1": 1e-6,
        "both": 1e-6,
        "new": 2e-6,
    }
    assert database.merge(other) == 0


def test_records_of_before_a_field_existed_count(database: TuningDatabase) -> None:
    without = LINE.replace(b',"subgroups":false', b"")
    assert without != LINE
    database.path.parent.mkdir(parents=True)
    database.path.write_bytes(without + b"\n")
    assert database.records() == [RECORD]
    found = replace(RECORD, graph="c3", schedules={"t5": Schedule(vector=INNER, subgroups=True)})
    database.add([found])
    assert found in database.records()


LINE = msgspec.json.encode(RECORD)
DAMAGED: dict[str, bytes] = {
    "half a line": LINE[:100],
    "garbage": b"\xff\xfe\x00 nothing",
    "a list": b"[1, 2]",
    "deep": b"[" * 100_000,
    "without schedules": LINE.replace(b'"schedules"', b'"plans"'),
    "a schedule with text for numbers": LINE.replace(b'"width":16', b'"width":"16"'),
    "a future format": LINE.replace(b'"format":%d' % FORMAT, b'"format":999'),
    "a time of zero": LINE.replace(b'"seconds":2e-6', b'"seconds":0').replace(
        b'"seconds":0.000002', b'"seconds":0'
    ),
    "a negative time": msgspec.json.encode(replace(RECORD, default_seconds=-1.0)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_lines_are_passed_over_and_kept(database: TuningDatabase, name: str) -> None:
    database.add([RECORD])
    before = database.path.read_bytes() + DAMAGED[name] + b"\n"
    database.path.write_bytes(before)
    with pytest.warns(CacheWarning, match="has 1 lines that are no records"):
        assert database.records() == [RECORD]
    database.add([replace(RECORD, graph="c3")])
    with pytest.warns(CacheWarning):
        assert len(database.records()) == 2
    assert database.path.read_bytes().startswith(before)


def test_a_line_without_an_end_is_closed(database: TuningDatabase) -> None:
    """As a tuner leaves it that was killed while it wrote."""
    database.add([RECORD])
    database.path.write_bytes(database.path.read_bytes() + LINE[:57])
    database.add([replace(RECORD, graph="after")])
    with pytest.warns(CacheWarning):
        assert [r.graph for r in database.records()] == ["a1", "after"]


def test_an_empty_file_and_empty_lines_are_fine(database: TuningDatabase) -> None:
    database.path.parent.mkdir()
    database.path.write_bytes(b"")
    assert quietly(database) == []
    database.path.write_bytes(b"\n\n" + LINE + b"\n\n")
    assert quietly(database) == [RECORD]


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = TuningDatabase(tmp_path / "file" / "records.jsonl")
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert database.add([RECORD]) == 0


def test_a_folder_in_its_place_is_a_warning(tmp_path: Path) -> None:
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert TuningDatabase(tmp_path).records() == []


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    """Every compilation looks into the records."""
    path = tmp_path / "records.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    database = TuningDatabase(path)
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert database.records() == []
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert database.add([RECORD]) == 0


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("records.jsonl")
    link = TuningDatabase(tmp_path / "link.jsonl")
    link.add([RECORD])
    assert quietly(TuningDatabase(tmp_path / "records.jsonl")) == [RECORD]
    assert link.remove("softmax") == 1
    assert link.path.is_symlink()
    assert (tmp_path / "records.jsonl").read_bytes() == b""


def test_a_read_only_folder_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    database = TuningDatabase(tmp_path / "records.jsonl")
    monkeypatch.setattr(os, "open", refused)  # whoever runs the tests may write anywhere
    with pytest.warns(CacheWarning, match="cannot be written .Permission denied"):
        assert database.add([RECORD]) == 0


def test_a_full_disk_leaves_no_half_record(
    database: TuningDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add([RECORD])
    whole, write = database.path.read_bytes(), os.write

    def full(handle: int, data: Any) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return write(handle, data[:40])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.warns(CacheWarning, match="No space left"):
            assert database.add([replace(RECORD, graph="b2")]) == 0
    assert database.path.read_bytes() == whole
    assert database.add([replace(RECORD, graph="b2")]) == 1
    assert len(quietly(database)) == 2


def test_a_kernel_is_forgotten_and_nothing_else(database: TuningDatabase) -> None:
    other = replace(RECORD, kernel="other", graph="b2")
    slower = replace(RECORD, seconds=3e-6)
    database.add([RECORD, other, slower])
    damaged = b"# a comment\r{}\n"
    with database.path.open("ab") as file:
        file.write(damaged)
    assert database.remove("softmax") == 2
    with pytest.warns(CacheWarning, match="has 1 lines"):
        assert database.records() == [other]
    assert database.path.read_bytes() == msgspec.json.encode(other) + b"\n" + damaged
    assert database.remove("softmax") == 0


def test_nothing_is_forgotten_while_others_write(
    database: TuningDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add([RECORD])
    monkeypatch.setattr(database_module, "_PATIENCE_SECONDS", 0.05)
    with locked(f"{database.path}.lock", 1.0) as is_alone:
        assert is_alone
        with pytest.raises(OutputError, match="others are writing"):
            database.remove("softmax")
    assert quietly(database) == [RECORD]


HUGE = 10**400


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b'"width":16', b'"width":%d' % HUGE),
        LINE.replace(b'"seconds":2e-6', b'"seconds":1e999').replace(
            b'"seconds":0.000002', b'"seconds":1e999'
        ),
        LINE.replace(b'"trials":40', b'"trials":%d' % HUGE),
        LINE.replace(b'"tile":[1]', b'"tile":[%s]' % b",".join([b"1"] * 100_000)),
        LINE.replace(b'"softmax"', b'"%s"' % (b"x" * (1 << 20))),
        b'{"kernel":' + b'{"a":' * 50_000,
        b'"' + b"a" * (1 << 24),
        b"\x00" * (1 << 20),
    ],
    ids=["width", "seconds", "trials", "tile", "name", "deep", "long", "zeros"],
)
def test_hostile_lines_do_no_harm(database: TuningDatabase, line: bytes) -> None:
    database.add([replace(RECORD, graph="before")])
    with database.path.open("ab") as file:
        file.write(line + b"\n")
    database.add([replace(RECORD, graph="after")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        found = {record.graph: record for record in database.records()}
    assert {"before", "after"} <= set(found)
    for record in found.values():
        assert record.gain >= 0
        assert record.key


def test_failures_of_all_records_of_a_key_are_known(database: TuningDatabase) -> None:
    hangs = Failure("t5", Schedule(width=64), "no answer after 60 s")
    wrong = Failure("t5", Schedule(width=32), "WrongResultError: output 0")
    other = replace(RECORD, graph="b2", failures=(Failure("t1", Schedule(), "died"),))
    database.add([replace(RECORD, failures=(hangs,)), other])
    database.add([replace(RECORD, seconds=9e-6, failures=(wrong,))])
    assert list(database.failures(RECORD.key)) == [hangs, wrong]
    assert not database.failures(("a1", "cpu", "another processor", RECORD.compiler, 0))
    assert str(hangs) == "t5: Schedule(width=64): no answer after 60 s"


def test_records_of_open_dimensions_compete_with_those_of_like_sizes(
    database: TuningDatabase,
) -> None:
    """A call with few elements takes less time, whatever the schedule."""
    few = replace(RECORD, sizes={"N": 10}, seconds=1e-7)
    many = replace(RECORD, sizes={"N": 1000, "M": 1000}, seconds=1e-2)
    more = replace(RECORD, sizes={"N": 4000, "M": 1000}, seconds=2e-2)
    some = replace(RECORD, sizes={"N": 1000}, seconds=1e-5)
    key = ("a1", "cpu", RECORD.device, RECORD.compiler)
    for records, best in (([few], few), ([some], some), ([more, many], many), ([few, some], many)):
        database.add(records)
        assert database.best(*key) == best
    assert [r.bucket for r in quietly(database)] == [0, 1, 2]
    assert few.tuned_for == "x: f32[64, 1000], N = 10"


@pytest.mark.parametrize("size", [0, -5, HUGE])
def test_any_number_may_be_a_size(size: int) -> None:
    record = replace(RECORD, sizes={str(k): size for k in range(100)})
    assert record.bucket == (2 if size > 0 else 0) or size < 0


def test_nowhere_holds_nothing() -> None:
    nowhere = TuningDatabase(None)
    assert nowhere.add([RECORD]) == 0
    assert quietly(nowhere) == []


WRITER = """
import sys
from msgspec.structs import replace
from tests.compiler.tune.test_database import RECORD, TuningDatabase
database = TuningDatabase(sys.argv[1])
for number in range(50):
    database.add([replace(RECORD, graph=f"{sys.argv[2]} {number}", kernel="k" * 3000)])
"""


def test_four_tuners_on_one_file_lose_nothing(database: TuningDatabase) -> None:
    command = [sys.executable, "-c", WRITER, str(database.path)]
    writers = [subprocess.Popen([*command, str(k)]) for k in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert {r.graph for r in quietly(database)} == {f"{k} {n}" for k in range(4) for n in range(50)}


def fields(record: TuningRecord) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return found


def test_a_record_is_readable() -> None:
    shown = fields(RECORD)
    assert shown["schedules"]["t5"]["vector"] == "inner"
    assert shown["arguments"] == ["x: f32[64, 1000]"]
    assert shown["format"] == FORMAT
