"""A file system in memory that fails, crashes and has peers, all by one seed.

It follows the rules of POSIX and no better: data that are not on the medium yet may be lost, cut or
replaced by zeros in a crash; names that are not there yet may be old or new, each by itself.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

from tilewright.compiler.cache.file_calls import FileFacts


class CrashError(BaseException):
    """The machine stopped here."""


class _Node:
    """A file. `safe` is what a crash cannot take away."""

    def __init__(self, now: float) -> None:
        self.data = b""
        self.safe: bytes | None = None
        self.modified = now


class SimulatedFiles:
    """`Files` with a fault before any call, by the given probabilities.

    `peer` is called now and then between two calls: what it does, another process did.
    """

    def __init__(self, seed: int, fault: float = 0.0, crash: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.fault, self.crash = fault, crash
        self.peer: Callable[[], None] | None = None
        self.clock = 1e9
        self.crashed = False
        self.calls = 0
        self._names: dict[str, _Node] = {}
        self._safe_names: dict[str, _Node] = {}
        self._open: dict[int, _Node] = {}
        self._directories: set[str] = set()

    # What the test does

    def settle(self) -> None:
        """Let time pass, until everything is on the medium."""
        for node in self._names.values():
            node.safe = node.data
        self._safe_names = dict(self._names)

    def restart(self) -> None:
        """Lose what a crash may lose."""
        names = {*self._names, *self._safe_names}
        survivors = [self._names, self._safe_names]
        kept = {name: self.random.choice(survivors).get(name) for name in sorted(names)}
        self._names = {name: node for name, node in kept.items() if node is not None}
        for node in self._names.values():
            node.data = self._after_crash(node)
            node.safe = node.data
        self._safe_names = dict(self._names)
        self._open.clear()
        self.crashed = False

    def damage(self, path: str) -> None:
        """Flip a bit, cut, or empty a file."""
        node = self._names[path]
        data = bytearray(node.data)
        match self.random.randrange(3):
            case 0 if data:
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            case 1:
                del data[self.random.randrange(len(data) + 1) :]
                data += b"\0" * (not data)
            case _:
                data.clear()
        node.data = bytes(data)

    @property
    def names(self) -> list[str]:
        return sorted(self._names)

    # What the store does

    def now(self) -> float:
        self.clock += self.random.choice((0.001, 1.0, 5000.0, -5000.0))
        return self.clock

    def unique(self) -> str:
        self.calls += 1
        return str(self.calls)

    def objection(self, directory: str) -> str | None:
        self._step()
        if directory not in self._directories:
            raise FileNotFoundError(errno.ENOENT, "no such directory")
        return None

    def make_directory(self, path: str) -> None:
        self._step()
        self._directories.add(path)

    def scan(self, directory: str) -> list[FileFacts]:
        prefix = f"{directory}/"
        return [
            FileFacts(name.removeprefix(prefix), len(node.data), node.modified)
            for name, node in self._names.items()
            if name.startswith(prefix)
        ]

    def read(self, path: str, most: int) -> tuple[bytes, float]:
        self._step()
        node = self._node(path)
        return node.data, node.modified

    def create(self, path: str) -> int:
        self._step()
        if path.rpartition("/")[0] not in self._directories:
            raise FileNotFoundError(errno.ENOENT, "no such directory")
        if path in self._names:
            raise FileExistsError(errno.EEXIST, "the file exists")
        self.calls += 1
        self._names[path] = self._open[self.calls] = _Node(self.clock)
        return self.calls

    def write(self, handle: int, data: bytes | memoryview) -> int:
        self._step()
        written = self.random.randint(1, len(data))  # short, more often than not
        self._open[handle].data += bytes(data[:written])
        return written

    def close(self, handle: int) -> None:
        self._step()
        del self._open[handle]

    def rename(self, old: str, new: str) -> None:
        self._step()
        self._names[new] = self._node(old)
        del self._names[old]

    def touch(self, path: str) -> None:
        self._step()
        self._node(path).modified = self.clock

    def remove(self, path: str) -> None:
        self._step()
        self._node(path)
        del self._names[path]

    def _node(self, path: str) -> _Node:
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return self._names[path]

    def _step(self) -> None:
        """What may happen before a call."""
        if self.peer is not None and not self.crashed and self.random.random() < 0.2:
            peer, self.peer = self.peer, None  # a peer of the peer would be one too many
            peer()
            self.peer = peer
        if self.crashed or self.random.random() < self.crash:
            self.crashed = True  # what the program does while the exception rises has no effect
            raise CrashError
        if self.random.random() < self.fault:
            number = self.random.choice((errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE))
            raise OSError(number, "simulated fault")

    def _after_crash(self, node: _Node) -> bytes:
        if node.safe == node.data:
            return node.data
        cut = self.random.randint(0, len(node.data))
        lost = b"\0" * self.random.choice((0, len(node.data) - cut))
        return self.random.choice((node.safe or b"", node.data, node.data[:cut] + lost))
