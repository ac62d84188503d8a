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
    key     32 bytes   BLAKE2 digest of everything that decides the payload
    length   8 bytes   little-endian, of the payload
    digest  32 bytes   BLAKE2 digest of all of the above and of the payload
    payload

The key is in it so that an entry under another's name is noticed, the length so that it ends where
it should.
"""

from __future__ import annotations

import struct
import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tilewright.compiler.cache.files import RefusedFileError, SystemFiles

try:
    from _blake2 import blake2b  # hashlib has it from there, and loads OpenSSL, which takes 4 ms
except ImportError:  # another Python than CPython
    from hashlib import blake2b

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tilewright.compiler.cache.file_calls import Files
    from tilewright.compiler.cache.upkeep import StoredFile

MOST_BYTES: Final = 1 << 30
KEY_DIGITS: Final = 64
HEX: Final = frozenset("0123456789abcdef")
DAMAGED: Final = ".bad"
UNFINISHED: Final = ".tmp"
HOUR: Final = 3600.0
VERSION: Final = 2
MAGIC: Final = b"\x89TWC\x00\r\n\n"
FACTS: Final = struct.Struct("<8sI32sQ")
_DIGEST_BYTES: Final = 32
HEADER_BYTES: Final = FACTS.size + _DIGEST_BYTES


def unpack(key: str, data: bytes) -> bytes | None:
    """The payload of the file `data`, or None unless it is intact and belongs to `key`."""
    payload = data[HEADER_BYTES:]
    facts = FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    intact = data[:HEADER_BYTES] == facts + digest_of(facts, payload)
    return payload if intact else None


def new_digest() -> blake2b:
    """A digest of 32 bytes that is to be fed."""
    return blake2b(digest_size=_DIGEST_BYTES)


def digest_of(facts: bytes, payload: bytes) -> bytes:
    """The checksum of an entry."""
    digest = new_digest()
    digest.update(facts)
    digest.update(payload)
    return digest.digest()


class Store:
    """Entries below `directory`, which is made at the first write.

    May be used by many threads and processes at once. An entry takes up at most a quarter of
    `most_bytes`; what is larger is not kept.
    """

    def __init__(
        self, directory: str | Path, most_bytes: int = MOST_BYTES, files: Files | None = None
    ) -> None:
        self.directory = str(directory)
        self.most_bytes = most_bytes
        self.problem: str | None = None
        self.files = files or SystemFiles()
        self._trusted: bool | None = None
        self.held = threading.local()

    def get(self, key: str) -> bytes | None:
        """The bytes that were put under `key`, if they are all there."""
        path = self.path(key)
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
        from tilewright.compiler.cache.writing import put

        put(self, key, data)

    def discard(self, key: str) -> None:
        """Put the entry of `key` aside: its bytes are those that were put, but make no sense."""
        self._put_aside(self.path(key))

    def making(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of `key` while its entry is made, so that other processes wait for the
        entry instead of making it too."""
        from tilewright.compiler.cache.writing import making

        return making(self, key)

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

    def path(self, key: str) -> str:
        """The file of `key`."""
        if len(key) != KEY_DIGITS or not HEX.issuperset(key):
            raise ValueError(f"a key is {KEY_DIGITS} hexadecimal digits, not {key!r}")
        return f"{self.directory}/{key[:2]}/{key}"

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
