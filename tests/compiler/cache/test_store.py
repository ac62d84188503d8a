"""A store on a real file system: bad entries, bad directories, size, order of eviction."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import warnings
from pathlib import Path

import pytest

from tilewright.compiler.cache.file_calls import FileFacts
from tilewright.compiler.cache.files import SystemFiles
from tilewright.compiler.cache.store import HEADER_BYTES, VERSION, Store, unpack
from tilewright.compiler.cache.writing import pack
from tilewright.ir.errors import CacheWarning

needs_owners = pytest.mark.skipif(sys.platform == "win32", reason="files have no owner there")
needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away"
)


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


KEY, OTHER = key_of(0), key_of(1)


def file_of(store: Store, key: str) -> Path:
    return Path(store.directory) / key[:2] / key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store, whose directory does not exist yet."""
    return Store(tmp_path / "a" / "cache")


# --- what is put is got ---


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 1000])
def test_what_was_put_is_returned(store: Store, data: bytes) -> None:
    assert store.get(KEY) is None
    store.put(KEY, data)
    assert store.get(KEY) == data
    assert store.get(OTHER) is None
    assert Store(Path(store.directory)).get(KEY) == data


def test_a_later_put_replaces(store: Store) -> None:
    store.put(KEY, b"first")
    store.put(KEY, b"second")
    assert store.get(KEY) == b"second"
    assert len(list(store.scan())) == 1


@pytest.mark.parametrize(
    "key", ["", "ab", "../" * 21 + "x", KEY.upper(), KEY + "0", KEY[:-1] + "/"]
)
def test_a_key_that_is_none_is_refused(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        store.get(key)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        store.put(key, b"")


def test_reading_creates_nothing(store: Store) -> None:
    store.get(KEY)
    assert not Path(store.directory).parent.exists()


@needs_owners
def test_nobody_else_may_read(store: Store) -> None:
    store.put(KEY, b"x")
    path = file_of(store, KEY)
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent, Path(store.directory))]
    assert modes == [0o600, 0o700, 0o700]


# --- entries that are not what they should be ---


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_noticed() -> None:
    data = pack(KEY, b"some payload")
    assert unpack(KEY, data) == b"some payload"
    assert all(unpack(KEY, flipped(data, bit)) is None for bit in range(8 * len(data)))


def test_every_other_length_is_noticed() -> None:
    data = pack(KEY, b"some payload")
    assert all(unpack(KEY, data[:length]) is None for length in range(len(data)))
    assert unpack(KEY, data + b"\0") is None


GOOD = pack(KEY, b"good")
BAD = {
    "empty": b"",
    "cut in the header": GOOD[: HEADER_BYTES - 1],
    "cut": GOOD[:-1],
    "longer": GOOD + b"\0",
    "other version": GOOD[:8] + (VERSION + 1).to_bytes(4, "little") + GOOD[12:],
    "other key": pack(OTHER, b"good"),
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93",
    "shared object": b"\x7fELF" + bytes(1000),
    "zeros": bytes(len(GOOD)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_entry_is_a_miss_is_put_aside_and_can_be_rebuilt(store: Store, data: bytes) -> None:
    store.put(KEY, b"good")
    path = file_of(store, KEY)
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a bad entry is nothing that a user can do anything about
        assert store.get(KEY) is None
        assert not path.exists()
        assert path.with_suffix(".bad").read_bytes() == data
        store.put(KEY, b"rebuilt")
        assert store.get(KEY) == b"rebuilt"


def test_entries_that_changed_places_are_misses(store: Store) -> None:
    store.put(KEY, b"one")
    store.put(OTHER, b"two")
    one, two = file_of(store, KEY), file_of(store, OTHER)
    contents = one.read_bytes(), two.read_bytes()
    two.write_bytes(contents[0])
    one.write_bytes(contents[1])
    assert store.get(KEY) is None
    assert store.get(OTHER) is None


@needs_owners
@pytest.mark.parametrize("kind", ["link", "directory", "fifo", "huge"])
def test_what_is_no_plain_file_is_a_miss(store: Store, kind: str, tmp_path: Path) -> None:
    store.put(KEY, b"good")
    path = file_of(store, KEY)
    aside = path.rename(tmp_path / "aside")
    match kind:
        case "link":
            path.symlink_to(aside)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "huge":
            with path.open("wb") as file:
                file.truncate(1 << 40)  # sparse; reading it would take all memory
    assert store.get(KEY) is None
    store.put(KEY, b"rebuilt")
    assert store.get(KEY) == b"rebuilt"


@needs_owners
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_to_is_a_miss(store: Store, mode: int) -> None:
    store.put(KEY, b"good")
    file_of(store, KEY).chmod(mode)
    assert store.get(KEY) is None


@needs_root
def test_an_entry_of_another_user_is_a_miss(store: Store) -> None:
    store.put(KEY, b"good")
    os.chown(file_of(store, KEY), 12345, -1)
    assert store.get(KEY) is None


# --- directories that cannot or must not be used ---


def works_without(store: Store, match: str) -> None:
    """Everything goes on as if nothing were ever stored, with one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(5):
            store.put(key_of(number), b"x")
            assert store.get(key_of(number)) is None
        with store.making(KEY):
            pass
        store.evict()
        assert store.clear() == 0
    assert [warning.category for warning in caught] == [CacheWarning]
    assert match in str(caught[0].message)
    assert store.problem


@needs_owners
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_directory_that_others_may_write_to_is_not_used(store: Store, mode: int) -> None:
    store.put(KEY, b"x")
    Path(store.directory).chmod(mode)
    works_without(Store(Path(store.directory)), "other users may write to it")
    assert file_of(store, KEY).exists()


@needs_root
def test_a_directory_of_another_user_is_not_used(store: Store) -> None:
    store.put(KEY, b"x")
    os.chown(store.directory, 12345, -1)
    works_without(Store(Path(store.directory)), "belongs to another user")
    assert file_of(store, KEY).exists()


def test_a_directory_that_is_a_file_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    works_without(Store(tmp_path / "file"), "not a directory")
    works_without(Store(tmp_path / "file" / "below"), "Not a directory")
    assert (tmp_path / "file").read_bytes() == b"precious"


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a directory that root cannot use"
)
def test_a_directory_that_cannot_be_made_is_not_used() -> None:
    works_without(Store(Path("/proc/tilewright/cache")), "No such file")


@pytest.mark.skipif(
    sys.platform != "linux", reason="limits the size of files by a signal-free call"
)
def test_a_full_disk_is_one_warning(store: Store) -> None:
    """RLIMIT_FSIZE cuts a write short first, and fails the next one."""
    import resource
    import signal

    store.put(OTHER, b"from before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for number in range(3, 6):
                store.put(key_of(number), bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert ["cannot write" in str(warning.message) for warning in caught] == [True]
    assert store.get(OTHER) == b"from before"
    assert [file.size for file in store.scan()] == [HEADER_BYTES + len(b"from before")]
    store.put(key_of(3), bytes(100_000))
    assert store.get(key_of(3)) == bytes(100_000)


def test_a_directory_that_vanishes_is_made_again(store: Store) -> None:
    store.put(KEY, b"x")
    os.rename(store.directory, f"{store.directory}.away")
    assert store.get(KEY) is None
    store.put(KEY, b"y")
    assert store.get(KEY) == b"y"


class InterruptedFiles(SystemFiles):
    """Ctrl-C in the middle of a write."""

    def write(self, handle: int, data: bytes | memoryview) -> int:
        super().write(handle, data)
        raise KeyboardInterrupt


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path, files=InterruptedFiles())
    with pytest.raises(KeyboardInterrupt):
        store.put(KEY, b"x")
    assert list(store.scan()) == []


# --- size ---


def test_the_size_is_bounded(tmp_path: Path) -> None:
    most = 64 * 4096
    store = Store(tmp_path, most_bytes=most)
    for number in range(250):
        store.put(key_of(number), bytes(number))
        if number % 10 == 0:
            assert sum(-(-file.size // 4096) * 4096 for file in store.scan()) <= most * 5 // 4
    assert store.get(key_of(249)) == bytes(249)


def test_what_is_used_least_recently_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=1 << 40)
    for number in range(100):
        store.put(key_of(number), b"x")
        long_ago = 1e9 + number
        os.utime(file_of(store, key_of(number)), (long_ago, long_ago))
    store.get(key_of(0))  # read just now
    store.get(key_of(1))
    file_of(store, key_of(99)).write_bytes(b"bad")
    store.get(key_of(99))
    store.most_bytes = 40 * 4096
    store.evict()
    alive = [number for number in range(100) if store.get(key_of(number))]
    assert alive == [0, 1, *range(71, 99)]


def test_an_entry_of_more_than_a_quarter_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=40_960)
    store.put(KEY, bytes(10_240))
    assert store.get(KEY) is None
    store.put(KEY, bytes(4000))
    assert store.get(KEY) == bytes(4000)


def test_an_entry_of_a_quarter_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=4 * 8192)
    whole = 8192 - HEADER_BYTES
    store.put(KEY, bytes(whole + 1))
    assert store.get(KEY) is None
    store.put(KEY, bytes(whole))
    assert store.get(KEY) == bytes(whole)


class EvictingFiles(SystemFiles):
    """A peer removes everything between the opening and the reading of a file."""

    def read(self, path: str, most: int) -> tuple[bytes, float]:
        with open(path, "rb") as file:
            os.unlink(path)
            return file.read(), os.fstat(file.fileno()).st_mtime


@needs_owners
def test_a_reader_of_an_evicted_entry_reads_on(tmp_path: Path) -> None:
    Store(tmp_path).put(KEY, bytes(1_000_000))
    assert Store(tmp_path, files=EvictingFiles()).get(KEY) == bytes(1_000_000)
    assert Store(tmp_path).get(KEY) is None


def test_clearing_removes_only_what_is_ours(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(10):
        store.put(key_of(number), b"x")
    precious = [tmp_path / "thesis.txt", tmp_path / KEY[:2] / "notes", tmp_path / "ab" / "c.tmp"]
    for path in precious:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    assert store.clear() == 10
    assert all(path.exists() for path in precious)
    assert list(store.scan()) == []


def test_a_hundred_thousand_entries_are_bounded_by_blocks() -> None:
    """Tiny entries count as what they take up. The files are made up; a disk is not needed."""

    class ManyFiles(SystemFiles):
        removed = 0

        def objection(self, directory: str) -> None:
            return None

        def scan(self, directory: str) -> list[FileFacts]:
            folder = directory[-2:]
            return [FileFacts(f"{folder}{n:062x}", 100, 1e9 + n) for n in range(400)]

        def remove(self, path: str) -> None:
            self.removed += 1

    files = ManyFiles()
    Store(Path("/none"), most_bytes=1 << 28, files=files).evict()
    kept = 400 * 256 - files.removed
    assert kept == (3 << 26) // 4096


def test_every_byte_of_a_file_is_checked() -> None:
    key = "ab" * 32
    data = pack(key, b"payload")
    assert unpack(key, data) == b"payload"
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert unpack(key, bytes(changed)) is None
    assert unpack("cd" * 32, data) is None
    assert unpack(key, data[:-1]) is None
    assert unpack(key, data + b"x") is None
