"""What went wrong -> a message on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from types import TracebackType

import click

from tilewright.compiler.cli.environment import environment
from tilewright.ir.errors import DeviceError, IRError, TilewrightError, UnsupportedError


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BAD_FILE = 3
    UNSUPPORTED = 4
    NO_DEVICE = 5
    BUG = 70
    INTERRUPTED = 130


class BadFileError(TilewrightError):
    """An input file cannot be used."""


# The first class that fits decides.
_CODES: tuple[tuple[type[TilewrightError], ExitCode], ...] = (
    (IRError, ExitCode.BUG),
    (BadFileError, ExitCode.BAD_FILE),
    (UnsupportedError, ExitCode.UNSUPPORTED),
    (DeviceError, ExitCode.NO_DEVICE),
    (TilewrightError, ExitCode.FAILED),
)

_PACKAGE = Path(__file__).absolute().parents[2]
_INSTALLED = tuple({sysconfig.get_path(p) for p in ("stdlib", "platstdlib", "purelib", "platlib")})


def report(error: BaseException, command: Sequence[str] = ()) -> int:
    """Tell the user what `error` means for the command line that raised it."""
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else ExitCode.FAILED
        case KeyboardInterrupt() | click.Abort():
            _say("interrupted")
            return ExitCode.INTERRUPTED
        case click.UsageError():
            error.show(sys.stderr)
            return ExitCode.USAGE
        case BrokenPipeError():
            _silence_stdout()  # the reader of our output has gone: nobody to tell
            return ExitCode.FAILED
        case TilewrightError():
            return _report_ours(error, command)
        case click.ClickException():
            _say(f"error: {error.format_message()}")
            return ExitCode.FAILED
        case OSError() if error.filename is not None:
            _say(f"error: {error.strerror}: {os.fspath(error.filename)!r}")
            return ExitCode.FAILED
    return _report_unexpected(error, command)


def code_of(error: Exception) -> ExitCode:
    """The exit code of an error that compiling or running a kernel raised."""
    found = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    return found or (ExitCode.FAILED if _is_users(error) else ExitCode.BUG)


def _report_ours(error: TilewrightError, command: Sequence[str]) -> int:
    code = code_of(error)
    if code is ExitCode.BUG:
        _ask_for_report(error, command)
    else:
        _say(str(error) if error.loc is not None else f"error: {error}")
    return code


def _report_unexpected(error: BaseException, command: Sequence[str]) -> int:
    if _is_users(error):
        shown = "".join(_users_part(error).format()).rstrip()
        _say(f"{shown}\nerror: the file's own code raised {type(error).__name__}")
        return ExitCode.FAILED
    _ask_for_report(error, command)
    return ExitCode.BUG


def _is_users(error: BaseException) -> bool:
    """Whether the user's code raised `error`: by whose code is nearest to where it was raised."""
    for frame in reversed(_frames(error.__traceback__)):
        if _is_ours(frame):
            return False
        if not (frame.startswith("<frozen") or os.path.abspath(frame).startswith(_INSTALLED)):
            return True
    return False


def _is_ours(file: str) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(_PACKAGE)


def _users_part(error: BaseException) -> traceback.TracebackException:
    """The traceback without what lies between the command line and the user's code."""
    whole = traceback.TracebackException.from_exception(error)
    parts = [whole]
    for part in parts:
        frames = [frame for frame in part.stack if not _is_ours(frame.filename)]
        while frames and _leads_there(frames[0]):
            frames.pop(0)
        part.stack = traceback.StackSummary.from_list(frames)
        parts += [p for p in (part.__cause__, part.__context__) if p is not None]
    return whole


def _leads_there(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(("<frozen", *_INSTALLED))


def _frames(trail: TracebackType | None) -> list[str]:
    return [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trail)]


def _ask_for_report(error: BaseException, command: Sequence[str]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    trail = "".join(traceback.format_exception(error)).rstrip()
    _say(
        f"{trail}\n\n"
        f"error: a bug in Tilewright: {type(error).__name__}: {_first_line(error)}\n"
        "Please report it with the lines above, the kernel, and this:\n"
        f"  command: tilewright {' '.join(command)}\n"
        f"  {versions}"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["(no message)"])[0]


def _silence_stdout() -> None:
    """Keep Python from failing once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    click.echo(text, err=True)
