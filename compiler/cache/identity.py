"""What besides its input decides what the compiler makes: the processor, LLVM, and our own code.

Parts of every artifact's key, as text. LLVM could name the processor and its features, but takes
100 ms to import; a process that finds all it needs on disk must not wait for that. So these are
the words with which the operating system describes the processor.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

import llvmlite  # the package without its `binding`, which would load LLVM

from tilewright import __version__

_CPUINFO: Final = "/proc/cpuinfo"
_CPUINFO_FIELDS: Final = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
_SYSCTL_NAMES: Final = (
    *("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features"),
    *("machdep.cpu.extfeatures", "hw.cpufamily"),
)


@lru_cache(maxsize=1)
def host_identity() -> str:
    """This processor, with every feature that the system lets programs use.

    Where the system tells nothing, the machine's network name: then nothing is shared.
    """
    words = _words_of_linux(_CPUINFO) if sys.platform != "darwin" else _words_of_macos()
    words = words or (platform.processor(), platform.node())
    return "\n".join((sys.platform, platform.machine(), sys.byteorder, *words))


@lru_cache(maxsize=1)
def compiler_identity() -> str:
    """Our version and llvmlite's, which pins LLVM's. In a checkout, where code changes under one
    version number, also the state of every source file."""
    versions = f"tilewright {__version__}, llvmlite {llvmlite.__version__}"
    package = Path(__file__).parents[2]  # not resolved: in a checkout our folders are links
    folders = [entry.path for entry in os.scandir(package) if entry.is_symlink()]
    return "\n".join((versions, *_sources(sorted(folders))))


def _words_of_linux(cpuinfo: str) -> tuple[str, ...]:
    """The first processor's lines of `cpuinfo`; all of them would take milliseconds on a server
    with many cores."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace", buffering=4096) as file:
            lines = []
            for line in file:
                if not line.strip():
                    break
                if line.partition(":")[0].strip() in _CPUINFO_FIELDS:
                    lines.append(" ".join(line.split()))
            return tuple(lines)
    except OSError:
        return ()


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
