"""What a report must say about where it was made."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from tilewright import __version__

_PACKAGES = ("numpy", "llvmlite", "wgpu", "moderngl", "wasmtime", "playwright", "websockets")


def environment() -> dict[str, str]:
    """Versions of everything that takes part, by name; packages that are absent are left out."""
    found = {"tilewright": __version__, "Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    return found
