"""The interface of `files`: apart, since a protocol takes long to make and only type checkers need
it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class FileFacts(Struct, frozen=True):
    """One file of a directory. `modified` is in seconds since 1970."""

    name: str
    size: int
    modified: float


class Files(Protocol):
    """What the cache needs of a file system. Every call may raise `OSError`."""

    def now(self) -> float:
        """The time in seconds since 1970."""

    def unique(self) -> str:
        """A part of a name that nobody else uses."""

    def objection(self, directory: str) -> str | None:
        """Why the files of `directory` cannot be trusted; None where they can."""

    def make_directory(self, path: str) -> None:
        """Make a directory that nobody else may enter, unless it exists."""

    def scan(self, directory: str) -> list[FileFacts]:
        """The plain files of a directory; none where it does not exist."""

    def read(self, path: str, most: int) -> tuple[bytes, float]:
        """Contents and time of change of a file of ours of at most `most` bytes."""

    def create(self, path: str) -> int:
        """A handle on a new empty file, which nobody else may read."""

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Append some of `data`; how many bytes."""

    def close(self, handle: int) -> None:
        """Give the handle back."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in one step; a file of that name is replaced."""

    def touch(self, path: str) -> None:
        """Set the time of change to now."""

    def remove(self, path: str) -> None:
        """Remove a file. A process that reads it goes on reading."""
