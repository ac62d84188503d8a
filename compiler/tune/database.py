"""Tuning records on disk: one JSON object per line, which people can read, diff, merge and edit.

    {"format":1,"kernel":"softmax","graph":"3f…","arguments":["f32[64, 1000]"],"target":"cpu", …}

Lines are appended, each in one write under a lock, so tuners that share a file lose nothing, and
one that is killed leaves at most a line without an end, which the next one closes. Of several
records of one key the fastest counts. A line that is damaged, or of a format that we do not know,
is left alone and not used.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tilewright.compiler.cache.file_lock import locked
from tilewright.compiler.cache.files import file_stamp
from tilewright.ir.errors import CacheWarning
from tilewright.ir.schedule import Schedule

FORMAT: Final = 1
_PATIENCE_SECONDS: Final = 10.0
_MOST_BYTES: Final = 256 << 20

Key = tuple[str, str, str, str]


class TuningRecord(Struct, frozen=True):
    """What was best for one kernel at one set of shapes, on one device.

    `graph` is the digest of what is computed, shapes, dtypes and numerics included, `family` that
    of the same with other sizes. `schedules` are by the names of nests. `seconds` is a call with
    them, `default_seconds` one without, both measured in turns; `software` says that the device is
    a processor that plays a GPU. `trials` and `seed` repeat the search.
    """

    kernel: str
    graph: str
    family: str
    arguments: tuple[str, ...]
    target: str
    device: str
    software: bool
    compiler: str
    schedules: dict[str, Schedule]
    seconds: float
    default_seconds: float
    trials: int
    seed: int
    date: str
    format: int = FORMAT

    @property
    def key(self) -> Key:
        """Records of the same key compete."""
        return self.graph, self.target, self.device, self.compiler

    @property
    def gain(self) -> float:
        """How many times as fast as without tuning."""
        return self.default_seconds / self.seconds if self.seconds > 0 else 0.0


class TuningDatabase:
    """The records in the file `path`, which is made with the first of them; without one there are
    none, and none are kept."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = Path(path or os.devnull)
        self._read_at: tuple[int, int] | None = None
        self._best: dict[Key, TuningRecord] = {}

    def stamp(self) -> tuple[int, int]:
        """Changes with the file: its size and time of change; zeros where there is none."""
        return file_stamp(str(self.path))

    def best(self, key: Key) -> TuningRecord | None:
        """The fastest record of a key."""
        self._refresh()
        return self._best.get(key)

    def records(self) -> list[TuningRecord]:
        """The fastest record of every key, in the order of the file."""
        self._refresh()
        return list(self._best.values())

    def add(self, records: Iterable[TuningRecord]) -> int:
        """Append records; how many were written. Where the file cannot be written: a warning."""
        lines = [msgspec.json.encode(record) + b"\n" for record in records]
        if not lines or self.path == Path(os.devnull):
            return 0
        try:
            self._append(b"".join(lines))
        except OSError as error:
            _complain(self.path, f"cannot be written ({error.strerror or error})")
            return 0
        return len(lines)

    def merge(self, other: TuningDatabase) -> int:
        """Append those of the other's records that are faster than ours, or new; how many."""
        ours = {record.key: record for record in self.records()}
        return self.add(
            record
            for record in other.records()
            if record.key not in ours or record.seconds < ours[record.key].seconds
        )

    def _append(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(f"{self.path}.lock", _PATIENCE_SECONDS):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            handle = os.open(self.path, flags, 0o600)
            try:
                if not _ends_a_line(handle):
                    data = b"\n" + data
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            finally:
                os.close(handle)

    def _refresh(self) -> None:
        stamp = self.stamp()
        if stamp == self._read_at:
            return
        best: dict[Key, TuningRecord] = {}
        for record in self._read():
            known = best.get(record.key)
            if known is None or record.seconds < known.seconds:
                best[record.key] = record
        self._best, self._read_at = best, stamp

    def _read(self) -> Iterator[TuningRecord]:
        try:
            if self.path.stat().st_size > _MOST_BYTES:
                _complain(self.path, f"holds more than {_MOST_BYTES >> 20} MiB and is not read")
                return
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            _complain(self.path, f"cannot be read ({error.strerror or error})")
            return
        damaged = 0
        for line in data.split(b"\n"):
            record = _record(line)
            if record is not None:
                yield record
            elif line.strip():
                damaged += 1
        if damaged:
            _complain(self.path, f"has {damaged} lines that are no records of this version")


def _record(line: bytes) -> TuningRecord | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = msgspec.json.decode(line, type=TuningRecord)
        if record.format == FORMAT and record.seconds > 0 and record.default_seconds > 0:
            return record
    return None


def _ends_a_line(handle: int) -> bool:
    if os.fstat(handle).st_size == 0:
        return True
    os.lseek(handle, -1, os.SEEK_END)
    return os.read(handle, 1) == b"\n"


def _complain(path: Path, problem: str) -> None:
    warnings.warn(f"the tuning database {str(path)!r} {problem}", CacheWarning, stacklevel=4)
