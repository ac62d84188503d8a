"""What is done with a store as a whole: listing, evicting, clearing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from tilewright.compiler.cache.store import (
    DAMAGED,
    HEX,
    HOUR,
    KEY_DIGITS,
    UNFINISHED,
)

if TYPE_CHECKING:
    from tilewright.compiler.cache.store import Store

_BLOCK: Final = 4096
_FOLDERS: Final = tuple(f"{number:02x}" for number in range(256))


class StoredFile(Struct, frozen=True):
    """A file of a store: an entry, or what a crash or a fault left behind."""

    path: str
    size: int
    modified: float

    @property
    def is_entry(self) -> bool:
        return not self.path.endswith((DAMAGED, UNFINISHED))


def scan(store: Store) -> Iterator[StoredFile]:
    """The files of the store; none where its directory must not be used."""
    if not store.usable():
        return
    for name in _FOLDERS:
        folder = f"{store.directory}/{name}"
        try:
            files = store.files.scan(folder)
        except OSError as error:
            store.complain(f"cannot list it ({error.strerror or error})")
            return
        for file in files:
            if _is_ours(file.name, name):
                yield StoredFile(f"{folder}/{file.name}", file.size, file.modified)


def evict(store: Store) -> None:
    """Remove leftovers of crashes; if there is too much, also what was used least recently."""
    found = sorted(scan(store), key=lambda file: (file.is_entry, file.modified))
    used = sum(size_on_disk(file.size) for file in found)
    goal = used if used <= store.most_bytes else store.most_bytes // 4 * 3
    now = store.files.now()
    for file in found:
        unfinished = file.path.endswith(UNFINISHED)
        if abs(now - file.modified) > HOUR if unfinished else used > goal:
            _remove(store, file)
            used -= size_on_disk(file.size)


def clear(store: Store) -> int:
    """Remove every file of the store, and no other; how many entries these were."""
    found = list(scan(store))
    return sum(_remove(store, file) and file.is_entry for file in found)


def size_on_disk(size: int) -> int:
    """What a file takes up: file systems hand out whole blocks, so that a million tiny entries take
    up four gigabytes."""
    return -(-size // _BLOCK) * _BLOCK


def _remove(store: Store, file: StoredFile) -> bool:
    try:
        store.files.remove(file.path)
    except OSError:  # a peer was quicker; on Windows, a peer reads it
        return False
    return True


def _is_ours(name: str, folder: str) -> bool:
    """Whether a store may have made this file; nothing else is ever removed."""
    key, dot, rest = name.partition(".")
    return (
        len(key) == KEY_DIGITS
        and HEX.issuperset(key)
        and key.startswith(folder)
        and (not dot or f".{rest}".endswith((DAMAGED, UNFINISHED)))
    )
