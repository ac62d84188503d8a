"""What the compiler keeps on disk: the input of a compilation, as a key -> what it made.

A key is the BLAKE2 digest of all that decides the result: the input itself, our version and LLVM's,
the processor. So an entry never becomes wrong, only unused, and nothing has to be invalidated.

LLVM could name the processor and its features, but a process that finds all it needs on disk does
not load it. So the words are those with which the operating system describes the processor.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import warnings
from contextlib import nullcontext
from functools import lru_cache
from os.path import dirname, isabs
from typing import TYPE_CHECKING, Final, TypeVar

import llvmlite  # the package without its `binding`, which would load LLVM

from tilewright import __version__
from tilewright.codegen_cpu.artifact import decode
from tilewright.codegen_cpu.loader import compile_for_host
from tilewright.compiler.cache.store import MOST_BYTES, Store, new_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tilewright.codegen_cpu.artifact import CpuArtifact
    from tilewright.ir.expr import Var

T = TypeVar("T")

_CPUINFO: Final = "/proc/cpuinfo"
_CPUINFO_FIELDS: Final = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
_SYSCTL_NAMES: Final = (
    *("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features"),
    *("machdep.cpu.extfeatures", "hw.cpufamily"),
)


class ArtifactCache:
    """Compiled code in a `Store`; without one, everything is made anew."""

    def __init__(self, store: Store | None) -> None:
        self.store = store
        self.hits = 0
        self.misses = 0

    @classmethod
    def default(cls, directory: Path | None = None, most_bytes: int = MOST_BYTES) -> ArtifactCache:
        """The cache in `directory`, or else where this system keeps a user's caches."""
        place = directory or _user_directory()
        return cls(Store(place, most_bytes) if place else None)

    def key_for(self, *parts: str | bytes) -> str:
        """The key of what this compiler makes of `parts` on this processor."""
        return _digest(compiler_identity(), host_identity(), *parts)

    def compile_for_host(self, ir_text: str) -> bytes:
        """The object code of an LLVM module for this processor."""
        key = self.key_for("object", ir_text)
        return self._load_or_make(
            key,
            load=lambda: self.get(key),
            make=lambda: compile_for_host(ir_text),
            keep=lambda code: self.put(key, code),
        )

    def get(self, key: str) -> bytes | None:
        """What `put` kept under `key`."""
        return self.store.get(key) if self.store else None

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes of any meaning; not counted as hits and misses, which are compilations."""
        if self.store:
            self.store.put(key, data)

    def load_artifact(self, key: str, symbols: Sequence[Var] = ()) -> CpuArtifact | None:
        """The artifact stored under `key`. `symbols` are its open dimensions, in the order in
        which the stored one had its own."""
        return self._counted(self._load(key, symbols))

    def store_artifact(self, key: str, artifact: CpuArtifact) -> None:
        """Keep `artifact` under `key`."""
        from tilewright.codegen_cpu.encode_artifact import encode

        self.put(key, encode(artifact))

    def artifact(
        self, key: str, symbols: Sequence[Var], make: Callable[[], CpuArtifact]
    ) -> CpuArtifact:
        """The artifact of `key`: loaded, else made and stored, by one of several processes that
        need it at the same time."""
        return self._load_or_make(
            key,
            load=lambda: self._load(key, symbols),
            make=make,
            keep=lambda made: self.store_artifact(key, made),
        )

    def clear(self) -> int:
        """Remove everything; how many entries there were."""
        return self.store.clear() if self.store else 0

    def _load(self, key: str, symbols: Sequence[Var]) -> CpuArtifact | None:
        data = self.get(key)
        artifact = None if data is None else decode(data, symbols)
        if data is not None and artifact is None and self.store:
            self.store.discard(key)
        return artifact

    def _load_or_make(
        self,
        key: str,
        load: Callable[[], T | None],
        make: Callable[[], T],
        keep: Callable[[T], None],
    ) -> T:
        """Look; else take the lock, and look again, as its last holder may have made it."""
        found = load()
        if found is None:
            with self.store.making(key) if self.store else nullcontext():
                found = load()
                if found is None:
                    self.misses += 1
                    made = make()
                    keep(made)
                    return made
        self.hits += 1
        return found

    def _counted(self, found: T | None) -> T | None:
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found


def _digest(*parts: str | bytes) -> str:
    """Kind and length go in too: ("ab", "c"), ("a", "bc") and (b"ab", "c") have different keys."""
    digest = new_digest()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%c%d:" % (b"s" if isinstance(part, str) else b"b", len(data)))
        digest.update(data)
    return digest.hexdigest()


def _user_directory() -> str | None:
    """Where this system keeps a user's caches; None for a user without a home."""
    from platformdirs import user_cache_dir  # 3 ms, which a given directory saves

    directory = user_cache_dir("tilewright", appauthor=False)
    if isabs(directory):
        return f"{directory}/artifacts"
    from tilewright.ir.errors import CacheWarning

    warnings.warn(
        "this user has no home directory, so compiled code is not kept; "
        "set XDG_CACHE_HOME, or name a directory with the option for it",
        CacheWarning,
        stacklevel=3,
    )
    return None


@lru_cache(maxsize=1)
def host_identity() -> str:
    """This processor, with every feature that the system lets programs use.

    Where the system tells nothing, the machine's network name: then nothing is shared.
    """
    words = _words_of_linux(_CPUINFO) if sys.platform != "darwin" else _words_of_macos()
    words = words or (platform.processor(), platform.node())
    return "\n".join((sys.platform, platform.machine(), sys.byteorder, *words))


def versions() -> str:
    """Ours and llvmlite's, which pins LLVM's."""
    return f"tilewright {__version__}, llvmlite {llvmlite.__version__}"


@lru_cache(maxsize=1)
def compiler_identity() -> str:
    """The versions. In a checkout, where code changes under one version number, also the state of
    every source file."""
    package = dirname(dirname(dirname(__file__)))  # not resolved: in a checkout folders are links
    folders = [entry.path for entry in os.scandir(package) if entry.is_symlink()]
    return "\n".join((versions(), *_sources(sorted(folders))))


def _words_of_linux(cpuinfo: str) -> tuple[str, ...]:
    """The first processor's lines of `cpuinfo`; all of them would take milliseconds on a server
    with many cores."""
    try:
        with open(cpuinfo, "rb", buffering=0) as file:
            text = b""
            while b"\n\n" not in text and (block := file.read(4096)):
                text += block
    except OSError:
        return ()
    lines = text.partition(b"\n\n")[0].decode("utf-8", "replace").splitlines()
    return tuple(
        " ".join(line.split())
        for line in lines
        if line.partition(":")[0].strip() in _CPUINFO_FIELDS
    )


def _words_of_macos() -> tuple[str, ...]:
    """The kernel's answers, as hexadecimal digits because some are numbers."""
    sysctl = ctypes.CDLL(None).sysctlbyname
    words = []
    for name in _SYSCTL_NAMES:
        answer = ctypes.create_string_buffer(4096)
        size = ctypes.c_size_t(len(answer))
        if sysctl(name.encode(), answer, ctypes.byref(size), None, ctypes.c_size_t(0)) == 0:
            words.append(f"{name} {answer.raw[: size.value].hex()}")
    return tuple(words)


def _sources(folders: list[str]) -> list[str]:
    """Path, size and time of change of every file below `folders` that is not derived."""
    found = []
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir():
                    if entry.name not in ("__pycache__", "node_modules"):
                        found += _sources([entry.path])
                else:
                    facts = entry.stat()
                    found.append(f"{entry.path} {facts.st_size} {facts.st_mtime_ns}")
    return found
