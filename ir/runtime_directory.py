"""The private directory that graphics drivers look for while a device is opened."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_VARIABLE: Final = "XDG_RUNTIME_DIR"


@contextmanager
def runtime_directory() -> Iterator[None]:
    """Drivers look for sockets of displays in XDG_RUNTIME_DIR and complain where it is not set.

    Where it is not set, as in containers and services, they get an empty private directory for as
    long as opening takes.
    """
    if os.environ.get(_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tilewright-") as directory:
        os.environ[_VARIABLE] = directory
        try:
            yield
        finally:
            os.environ.pop(_VARIABLE, None)
