"""How entries get into a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tilewright.compiler.cache.file_lock import locked
from tilewright.compiler.cache.store import (
    FACTS,
    HEADER_BYTES,
    MAGIC,
    UNFINISHED,
    VERSION,
    digest_of,
)
from tilewright.compiler.cache.upkeep import size_on_disk

if TYPE_CHECKING:
    from tilewright.compiler.cache.store import Store

PATIENCE_SECONDS: Final = 30.0


def pack(key: str, payload: bytes) -> bytes:
    """The file that holds `payload` under `key` (64 hexadecimal digits)."""
    facts = FACTS.pack(MAGIC, VERSION, bytes.fromhex(key), len(payload))
    return b"".join((facts, digest_of(facts, payload), payload))


def put(store: Store, key: str, data: bytes) -> None:
    """Keep `data` under `key`; what was there is replaced."""
    path = store.path(key)
    size = size_on_disk(len(data) + HEADER_BYTES)
    if size > store.most_bytes // 4 or not store.usable(make=True):
        return
    try:
        _write(store, path, pack(key, data))
    except FileNotFoundError:
        return  # a peer has just cleared the directory
    except OSError as error:
        # Windows refuses to replace a file while a peer reads it: then it is there already.
        if not isinstance(error, PermissionError) or store.get(key) is None:
            store.complain(f"cannot write to it ({error.strerror or error})")
        return
    if int(key[-8:], 16) * (store.most_bytes // 32) < size << 32:
        store.evict()


@contextmanager
def making(store: Store, key: str) -> Iterator[None]:
    """Hold the lock of `key` while its entry is made, so that other processes wait for the
    entry instead of making it too.

    Only work is saved: where no lock can be had, or its holder takes too long, we go on. A
    thread holds at most one, so that no two processes wait for each other.
    """
    with ExitStack() as stack:
        if not getattr(store.held, "any", False) and store.usable(make=True):
            stack.enter_context(_lock(store, key))
        yield


@contextmanager
def _lock(store: Store, key: str) -> Iterator[None]:
    folder = f"{store.directory}/locks"
    with suppress(OSError):
        store.files.make_directory(folder)
    with locked(f"{folder}/{key[:2]}", PATIENCE_SECONDS):
        store.held.any = True
        try:
            yield
        finally:
            store.held.any = False


def _write(store: Store, path: str, data: bytes) -> None:
    """Write aside, rename. Until the rename nothing can be seen, afterwards all of it.

    Nothing waits for the medium, which takes up to 20 ms per entry: what a power cut leaves
    of one is noticed by its checksum, and made again.
    """
    folder = os.path.dirname(path)
    temporary = f"{path}.{store.files.unique()}{UNFINISHED}"
    try:
        handle = store.files.create(temporary)
    except FileNotFoundError:
        store.files.make_directory(store.directory)
        store.files.make_directory(folder)
        handle = store.files.create(temporary)
    try:
        try:
            _write_all(store, handle, data)
        finally:
            store.files.close(handle)
        store.files.rename(temporary, path)
    except BaseException:  # Ctrl-C leaves nothing behind either
        with suppress(OSError):
            store.files.remove(temporary)
        raise


def _write_all(store: Store, handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[store.files.write(handle, rest) :]
