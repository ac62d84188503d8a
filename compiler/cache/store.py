"""A directory of checksummed entries: a key and bytes in, the same bytes or None out.

One file per entry, in 256 folders named by the first two digits of the key. A file appears under
its name complete or not at all (written aside, then renamed), and whatever is found damaged, of
another version, under a wrong name or not ours is a miss. Trouble with the file system is one
`CacheWarning`, never an exception. No operation needs a lock: writers of one key write the same
bytes, the last rename wins; removing is idempotent; a reader of a removed file reads on.

`most_bytes` bounds the size without any shared counter. A write of n bytes looks through the
directory with probability n / (`most_bytes` / 32), and removes what was used least recently once
there is too much. The keys are the dice: they are evenly distributed, and the same on each run.

A file is

    magic    8 bytes   ends in CR LF and LF, which a transfer in text mode would change
    version  4 bytes   little-endian, `VERSION`
    key     32 bytes   SHA-256 of everything that decides the payload
    length   8 bytes   little-endian, of the payload
    digest  32 bytes   SHA-256 of all of the above and of the payload
    payload

The key is in it so that an entry under another's name is noticed, the length so that it ends where
it should.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import warnings
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tilewright.compiler.cache.files import RefusedFileError, SystemFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tilewright.compiler.cache.file_calls import Files
    from tilewright.compiler.cache.upkeep import StoredFile

MOST_BYTES: Final = 1 << 30
PATIENCE_SECONDS: Final = 30.0

_BLOCK: Final = 4096
KEY_DIGITS: Final = 64
HEX: Final = frozenset("0123456789abcdef")
DAMAGED: Final = ".bad"
UNFINISHED: Final = ".tmp"
HOUR: Final = 3600.0
VERSION: Final = 1
MAGIC: Final = b"\x89TWC\x00\r\n\n"
_FACTS: Final = struct.Struct("<8sI32sQ")
HEADER_BYTES: Final = _FACTS.size + hashlib.sha256().digest_size


def pack(key: str, payload: bytes) -> bytes:
    """The file that holds `payload` under `key` (64 hexadecimal digits)."""
    facts = _FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    return b"".join((facts, _digest(facts, payload), payload))


def unpack(key: str, data: bytes) -> bytes | None:
    """The payload of the file `data`, or None unless it is intact and belongs to `key`."""
    payload = data[HEADER_BYTES:]
    facts = _FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    intact = data[:HEADER_BYTES] == facts + _digest(facts, payload)
    return payload if intact else None


def _digest(facts: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(facts)
    digest.update(payload)
    return digest.digest()


class Store:
    """Entries below `directory`, which is made at the first write.

    May be used by many threads and processes at once. An entry takes up at most a quarter of
    `most_bytes`; what is larger is not kept.
    """

    def __init__(
        self, directory: Path, most_bytes: int = MOST_BYTES, files: Files | None = None
    ) -> None:
        self.directory = str(directory)
        self.most_bytes = most_bytes
        self.problem: str | None = None
        self.files = files or SystemFiles()
        self._trusted: bool | None = None
        self._held = threading.local()

    def get(self, key: str) -> bytes | None:
        """The bytes that were put under `key`, if they are all there."""
        path = self._path(key)
        if not self.usable():
            return None
        try:
            data, modified = self.files.read(path, self.most_bytes)
        except FileNotFoundError:
            return None
        except RefusedFileError:
            self._put_aside(path)
            return None
        except OSError as error:
            self.complain(f"cannot read from it ({error.strerror or error})")
            return None
        payload = unpack(key, data)
        if payload is None:
            self._put_aside(path)
        elif abs(self.files.now() - modified) > HOUR:
            with suppress(OSError):  # on a read-only medium nothing is evicted either
                self.files.touch(path)
        return payload

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`; what was there is replaced."""
        path = self._path(key)
        size = size_on_disk(len(data) + HEADER_BYTES)
        if size > self.most_bytes // 4 or not self.usable(make=True):
            return
        try:
            self._write(path, pack(key, data))
        except FileNotFoundError:
            return  # a peer has just cleared the directory
        except OSError as error:
            # Windows refuses to replace a file while a peer reads it: then it is there already.
            if not isinstance(error, PermissionError) or self.get(key) is None:
                self.complain(f"cannot write to it ({error.strerror or error})")
            return
        if int(key[-8:], 16) * (self.most_bytes // 32) < size << 32:
            self.evict()

    def discard(self, key: str) -> None:
        """Put the entry of `key` aside: its bytes are those that were put, but make no sense."""
        self._put_aside(self._path(key))

    def evict(self) -> None:
        """Remove leftovers of crashes; if there is too much, also what was used least recently."""
        from tilewright.compiler.cache.upkeep import evict

        evict(self)

    def clear(self) -> int:
        """Remove every file of the store, and no other; how many entries these were."""
        from tilewright.compiler.cache.upkeep import clear

        return clear(self)

    def scan(self) -> Iterator[StoredFile]:
        """The files of the store; none where its directory must not be used."""
        from tilewright.compiler.cache.upkeep import scan

        return scan(self)

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Hold the lock of `key` while its entry is made, so that other processes wait for the
        entry instead of making it too.

        Only work is saved: where no lock can be had, or its holder takes too long, we go on. A
        thread holds at most one, so that no two processes wait for each other.
        """
        with ExitStack() as stack:
            if not getattr(self._held, "any", False) and self.usable(make=True):
                stack.enter_context(self._lock(key))
            yield

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        from tilewright.compiler.cache.file_lock import locked  # not for what the cache holds

        folder = f"{self.directory}/locks"
        with suppress(OSError):
            self.files.make_directory(folder)
        with locked(f"{folder}/{key[:2]}", PATIENCE_SECONDS):
            self._held.any = True
            try:
                yield
            finally:
                self._held.any = False

    def _path(self, key: str) -> str:
        if len(key) != KEY_DIGITS or not HEX.issuperset(key):
            raise ValueError(f"a key is {KEY_DIGITS} hexadecimal digits, not {key!r}")
        return f"{self.directory}/{key[:2]}/{key}"

    def _write(self, path: str, data: bytes) -> None:
        """Write aside, rename. Until the rename nothing can be seen, afterwards all of it.

        Nothing waits for the medium, which takes up to 20 ms per entry: what a power cut leaves
        of one is noticed by its checksum, and made again.
        """
        folder = os.path.dirname(path)
        temporary = f"{path}.{self.files.unique()}{UNFINISHED}"
        try:
            handle = self.files.create(temporary)
        except FileNotFoundError:
            self.files.make_directory(self.directory)
            self.files.make_directory(folder)
            handle = self.files.create(temporary)
        try:
            try:
                self._write_all(handle, data)
            finally:
                self.files.close(handle)
            self.files.rename(temporary, path)
        except BaseException:  # Ctrl-C leaves nothing behind either
            with suppress(OSError):
                self.files.remove(temporary)
            raise

    def _write_all(self, handle: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.files.write(handle, rest) :]

    def _put_aside(self, path: str) -> None:
        """Keep a bad file for inspection, where it is never read; it is the first to be evicted.

        If a peer has replaced it by a good one since, that one is lost: a miss, no more.
        """
        with suppress(OSError):
            self.files.rename(path, path + DAMAGED)

    def usable(self, make: bool = False) -> bool:
        """Whether the directory exists and may be trusted. Asked of it once; it stays so, because
        every file is asked again."""
        if self._trusted is None:
            self._trusted = self._examine(make)
        return self._trusted is True

    def _examine(self, make: bool) -> bool | None:
        try:
            if make:
                self.files.make_directory(self.directory)
            reason = self.files.objection(self.directory)
        except FileExistsError:
            reason = "it is not a directory"
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not make:
                return None
            reason = error.strerror or str(error)
        if reason is None:
            return True
        self.complain(f"it is not used: {reason}")
        return False

    def complain(self, problem: str) -> None:
        """Warn, once: the work goes on without the cache."""
        if self.problem is None:
            from tilewright.ir.errors import CacheWarning

            self.problem = problem
            warnings.warn(f"the cache {self.directory!r}: {problem}", CacheWarning, stacklevel=2)


def size_on_disk(size: int) -> int:
    """What a file takes up: file systems hand out whole blocks, so that a million tiny entries take
    up four gigabytes."""
    return -(-size // _BLOCK) * _BLOCK
