"""Writing a file so that nobody ever sees a part of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from tilewright.ir.errors import OutputError


def check_writable(path: str) -> None:
    """Raise what `write_atomically` would, as far as that can be told before there is data."""
    final = Path(os.path.realpath(path))
    if final.exists() and not (final.is_file() and os.access(final, os.W_OK)):
        raise OutputError(f"cannot write {path!r}: it is not a file that may be written")
    if not final.parent.is_dir():
        raise OutputError(f"cannot write {path!r}: No such file or directory")
    if not os.access(final.parent, os.W_OK):
        raise OutputError(f"cannot write {path!r}: the folder may not be written to")


def write_atomically(path: str, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was. A link stays one: its target is written."""
    final = Path(os.path.realpath(path))
    temporary = None
    try:
        check_writable(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{final.name}.", dir=final.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(final))
        os.replace(temporary, final)
        temporary = None
    except OSError as error:
        raise OutputError(f"cannot write {path!r}: {error.strerror}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _mode(final: Path) -> int:
    """What `open` would have given: the old file's permissions, or a new one's."""
    if final.exists():
        return final.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
