"""``FILE.py:KERNEL`` -> the kernels of that file, or a `BadFileError` that says what is wrong."""

from __future__ import annotations

import difflib
import linecache
import os
import sys
import traceback
from types import ModuleType
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.compiler.cli.failures import BadFileError
from tilewright.ir.errors import TilewrightError

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel

STDIN = "-"
_MODULE = "__tilewright_file__"
_MOST_BYTES = 1 << 24


class KernelPath(Struct, frozen=True):
    """A file, or ``-`` for standard input, and maybe the name of a kernel in it."""

    file: str
    kernel: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.kernel}" if self.kernel else self.file


def split_path(text: str) -> KernelPath:
    """The parts of ``FILE.py:KERNEL``; whether the file exists is looked at later.

    A colon belongs to the file's name unless an identifier follows.
    """
    file, colon, kernel = text.rpartition(":")
    if colon and file and kernel.isidentifier() and not os.path.exists(text):
        return KernelPath(file, kernel)
    return KernelPath(text)


def load_kernel(path: KernelPath) -> Kernel:
    """The kernel that `path` names, or the only one of its file."""
    kernels = load_kernels(path)
    if len(kernels) > 1:
        names = ", ".join(kernels)
        first = next(iter(kernels))
        raise BadFileError(
            f"{path.file!r} has {len(kernels)} kernels: {names}",
            help=f"name one: {path.file}:{first}",
        )
    return next(iter(kernels.values()))


def load_kernels(path: KernelPath) -> dict[str, Kernel]:
    """The kernel that `path` names, or else all of its file, by name and in their order there."""
    from tilewright.compiler.api import Kernel

    names = vars(_run(path.file))
    kernels: dict[str, Kernel] = {}
    for name, value in names.items():
        if isinstance(value, Kernel) and value not in kernels.values():
            kernels[name] = value
    if path.kernel is None:
        if not kernels:
            raise BadFileError(
                f"{path.file!r} has no kernel", help="put @tw.kernel above a function of it"
            )
        return kernels
    chosen = names.get(path.kernel)
    if not isinstance(chosen, Kernel):
        raise _no_such_kernel(path, chosen, list(kernels))
    return {path.kernel: chosen}


def _no_such_kernel(path: KernelPath, found: object, kernels: list[str]) -> BadFileError:
    if callable(found):
        return BadFileError(
            f"{path.kernel!r} in {path.file!r} is not a kernel", help="put @tw.kernel above it"
        )
    known = ", ".join(kernels) or "none"
    close = difflib.get_close_matches(path.kernel or "", kernels, n=1)
    return BadFileError(
        f"{path.file!r} has no kernel {path.kernel!r}",
        help=f"did you mean {close[0]!r}?" if close else f"its kernels: {known}",
    )


def _run(file: str) -> ModuleType:
    """The file as a module, run."""
    source = _read(file)
    name = "<stdin>" if file == STDIN else os.path.abspath(file)
    try:
        code = compile(source, name, "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, on Python before 3.12
        raise BadFileError(f"{file!r} is not Python: {_where(error)}") from error
    if file == STDIN:  # so that messages can quote its lines
        text = source.decode(errors="replace")
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = ModuleType(_MODULE)
    module.__file__ = name
    sys.modules[_MODULE] = module  # dataclasses and pickles look their module up
    sys.path.insert(0, os.path.dirname(name))  # its neighbours can be imported, as in a script
    try:
        exec(code, vars(module))
    except TilewrightError:
        raise
    except (Exception, SystemExit) as error:
        raise BadFileError(f"{file!r} failed while it was imported: {_where(error)}") from error
    return module


def _read(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        with open(file, "rb") as opened:
            source = opened.read(_MOST_BYTES + 1)  # it may be a device without end
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadFileError(f"cannot read {file!r}: {reason}", help=_other_spelling(file)) from error
    if len(source) > _MOST_BYTES:
        raise BadFileError(f"{file!r} is no Python file: it is longer than {_MOST_BYTES} bytes")
    return source


def _other_spelling(file: str) -> str | None:
    if os.path.isdir(file):
        return "name a Python file in that folder"
    folder = os.path.dirname(file) or "."
    present = os.listdir(folder) if os.path.isdir(folder) else []
    close = difflib.get_close_matches(os.path.basename(file), present, n=1)
    return f"did you mean {os.path.join(os.path.dirname(file), close[0])!r}?" if close else None


def _where(error: BaseException) -> str:
    """The error, with the line of the file that it comes from."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"line {lines[0]}: {text}" if lines else text
