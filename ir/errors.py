"""Every error that Tilewright raises on purpose.

A message is lower case, one sentence, no full stop, and holds the values found. An error that a
line of the user's caused carries that line's `Location`; `str(error)` then shows the line with a
caret under the columns, followed by notes (where another value came from) and one help line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.ir.location import Location


class TilewrightError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(
        self,
        message: str,
        *,
        loc: Location | None = None,
        notes: Sequence[tuple[str, Location | None]] = (),
        help: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.loc = loc
        self.notes = tuple(notes)
        self.help = help

    def __str__(self) -> str:
        lines = [self.message if self.loc is None else f"{self.loc}: error: {self.message}"]
        if self.loc is not None:
            lines += self.loc.excerpt()
        for text, where in self.notes:
            lines.append(f"note: {text}" + (f" since {where}" if where else ""))
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


class KernelError(TilewrightError):
    """A kernel, or a call of one, is wrong."""


class TraceError(KernelError):
    """The function does something that cannot be traced into a graph."""


class MissingAttributeError(TraceError, AttributeError):
    """A module lacks a name; an `AttributeError` too, since kernels may ask with `hasattr`."""


class ShapeError(KernelError, ValueError):
    """Shapes do not fit together."""


class DTypeError(KernelError, TypeError):
    """A dtype is not supported here, or dtypes do not fit together."""


class IntegerRangeError(DTypeError, OverflowError):
    """A Python integer does not fit in the dtype that it meets (NumPy's OverflowError)."""


POWER_HELP = "make the base or the exponent a float: x.astype(float) ** n"


class NegativePowerError(KernelError, ValueError):
    """An integer is raised to a negative integer power (NumPy's ValueError)."""


class BoundsError(KernelError, IndexError):
    """An index lies outside of the axis that it indexes."""


class UnsupportedError(KernelError, NotImplementedError):
    """Meaningful, but this target (or this version) cannot do it."""


class LimitError(KernelError, ValueError):
    """Larger than a stated limit of Tilewright or of the device."""


class OutOfMemoryError(LimitError, MemoryError):
    """An array is larger than what is left of the host's memory."""


class OutputError(TilewrightError):
    """An output file cannot be written."""


class ModelError(TilewrightError, ValueError):
    """A model file is malformed."""


class SavedKernelError(TilewrightError, ValueError):
    """A file is not a saved kernel, is damaged, or is of another version."""


class DeviceError(TilewrightError, RuntimeError):
    """A device is missing, refused a program, or failed."""


class DeviceLostError(DeviceError):
    """The device went away; the next call opens it again."""


class IRError(TilewrightError):
    """A bug of ours: IR that breaks the rules. Please report it."""


class CacheWarning(UserWarning):
    """The disk cache or the tuning database could not be used; the work went on without it."""


class NarrowingWarning(UserWarning):
    """64-bit integers are carried in 32 bits on this target, and may not fit."""


class RunnerWarning(UserWarning):
    """A GPU target runs in a browser because its own way to run failed."""


class RespecializationWarning(UserWarning):
    """One kernel is being compiled again and again because an argument keeps changing."""
