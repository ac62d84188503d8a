"""Tuning records on disk: one JSON object per line, which people can read, diff, merge and edit.

    {"format":1,"kernel":"softmax","graph":"3f…","arguments":["f32[64, 1000]"],"target":"cpu", …}

Lines are appended, each in one write under a lock, so tuners that share a file lose nothing, and
one that is killed leaves at most a line without an end, which the next one closes. Of several
records of one key that with the largest gain over the default counts: it was measured in turns,
while times of different hours do not compare. A line that is damaged, or of a format that we do not
know, is left alone and not used.
"""

from __future__ import annotations

import errno
import os
import stat
import warnings
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tilewright.compiler.cache.file_lock import locked
from tilewright.compiler.cache.files import file_stamp
from tilewright.compiler.output_file import write_atomically
from tilewright.compiler.tune.as_code import schedule_code
from tilewright.ir.errors import CacheWarning, OutputError
from tilewright.ir.schedule import Schedule

FORMAT: Final = 1
_PATIENCE_SECONDS: Final = 10.0
_MOST_BYTES: Final = 256 << 20

_BUCKETS: Final = (1 << 8, 1 << 14)
"""Sizes at which other things begin to count: long loops; caches and threads."""

Key = tuple[str, str, str, str, int]


class Failure(Struct, frozen=True):
    """A schedule of a nest that did not compile, run or end, or gave wrong results."""

    nest: str
    schedule: Schedule
    error: str

    def __str__(self) -> str:
        return f"{self.nest}: {schedule_code(self.schedule)}: {self.error}"


class TuningRecord(Struct, frozen=True):
    """What was best for one kernel at one set of shapes, on one device.

    `graph` is the digest of what is computed, shapes, dtypes and numerics included, `family` that
    of the same with other sizes. `schedules` are by the names of nests. `seconds` is a call with
    them, `default_seconds` one without, both measured in turns; `software` says that the device is
    a processor that plays a GPU. `trials` and `seed` repeat the search; `failures` are not tried
    again.
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
    failures: tuple[Failure, ...] = ()
    sizes: dict[str, int] = {}
    format: int = FORMAT

    @property
    def key(self) -> Key:
        """Records of the same key compete."""
        return self.graph, self.target, self.device, self.compiler, self.bucket

    @property
    def bucket(self) -> int:
        """How large open dimensions were: 0, 1 or 2; 0 without any."""
        points = 1 if self.sizes else 0
        for size in self.sizes.values():
            points = min(points * size, _BUCKETS[-1])  # a file may hold numbers of any length
        return bisect_right(_BUCKETS, points)

    @property
    def tuned_for(self) -> str:
        """The arguments, and the sizes of open dimensions."""
        return ", ".join([*self.arguments, *(f"{n} = {size}" for n, size in self.sizes.items())])

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
        self._failures: dict[Key, list[Failure]] = {}

    def stamp(self) -> tuple[int, int]:
        """Changes with the file: its size and time of change; zeros where there is none."""
        return file_stamp(str(self.path))

    def best(self, graph: str, target: str, device: str, compiler: str) -> TuningRecord | None:
        """The record that counts, of the largest sizes for which there are any."""
        self._refresh()
        for bucket in range(len(_BUCKETS), -1, -1):
            record = self._best.get((graph, target, device, compiler, bucket))
            if record is not None:
                return record
        return None

    def failures(self, key: Key) -> Sequence[Failure]:
        """Of all records of a key."""
        self._refresh()
        return self._failures.get(key, ())

    def records(self) -> list[TuningRecord]:
        """The record that counts of every key, in the order of the file."""
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
        """Append those of the other's records that gain more than ours, or are new; how many."""
        ours = {record.key: record for record in self.records()}
        return self.add(
            record
            for record in other.records()
            if record.key not in ours or record.gain > ours[record.key].gain
        )

    def remove(self, kernel: str) -> int:
        """Forget the records of a kernel, slower ones too; how many. Other lines stay as they are.

        An `OutputError` where the file cannot be written.
        """
        with self._locked() as is_alone:
            if not is_alone:
                raise OutputError(f"cannot write {str(self.path)!r}: others are writing to it")
            lines = _contents(self.path).split(b"\n")
            kept = [line for line in lines if getattr(_record(line), "kernel", None) != kernel]
            if len(kept) < len(lines):
                write_atomically(str(self.path), b"\n".join(kept))
        return len(lines) - len(kept)

    def _locked(self) -> AbstractContextManager[bool]:
        return locked(f"{self.path}.lock", _PATIENCE_SECONDS)

    def _append(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked() as is_alone:
            handle = _opened(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            before = os.fstat(handle).st_size
            try:
                if not _ends_a_line(handle):
                    data = b"\n" + data
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            except OSError:
                if is_alone:  # half a record on a full disk is none
                    os.ftruncate(handle, before)
                raise
            finally:
                os.close(handle)

    def _refresh(self) -> None:
        stamp = self.stamp()
        if stamp == self._read_at:
            return
        best: dict[Key, TuningRecord] = {}
        failures: defaultdict[Key, list[Failure]] = defaultdict(list)
        for record in self._read():
            failures[record.key] += record.failures
            known = best.get(record.key)
            if known is None or record.gain > known.gain:
                best[record.key] = record
        self._best, self._failures, self._read_at = best, failures, stamp

    def _read(self) -> Iterator[TuningRecord]:
        try:
            data = _contents(self.path)
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


def _opened(path: Path, flags: int) -> int:
    """The file, open: a plain one, or a link to one. A pipe in its place must not block us."""
    for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a file")
    return handle


def _contents(path: Path) -> bytes:
    if path == Path(os.devnull):
        return b""
    handle = _opened(path, os.O_RDONLY)
    with FileIO(handle) as file:
        if os.fstat(handle).st_size > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"it holds more than {_MOST_BYTES >> 20} MiB")
        return file.readall()


def _ends_a_line(handle: int) -> bool:
    if os.fstat(handle).st_size == 0:
        return True
    os.lseek(handle, -1, os.SEEK_END)
    return os.read(handle, 1) == b"\n"


def _complain(path: Path, problem: str) -> None:
    warnings.warn(f"the tuning database {str(path)!r} {problem}", CacheWarning, stacklevel=4)
