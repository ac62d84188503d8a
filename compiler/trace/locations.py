"""Which expression of the user's is running: found by walking out of our own frames.

Every function of the user's runs with a `ShadowGlobals` dict as its globals, so one type test per
frame tells the user's frames from ours and from NumPy's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType

from tilewright.ir.location import Location


class ShadowGlobals(dict[str, object]):
    """The globals of a function under tracing; `compiler/trace/rebind.py` fills it on demand."""

    __slots__ = ("resolve",)
    resolve: Callable[[str], object]

    def __missing__(self, name: str) -> object:
        value = self.resolve(name)
        self[name] = value
        return value


class Locator:
    """Finds the user's current expression; remembers the spans of each code object."""

    def __init__(self) -> None:
        self._found: dict[tuple[CodeType, int], Location] = {}

    def here(self) -> Location | None:
        """The span of the innermost expression of the user's that is being evaluated."""
        frame = user_frame()
        if frame is None:
            return None
        key = (frame.f_code, frame.f_lasti)
        location = self._found.get(key)
        if location is None:
            self._found[key] = location = _span(frame)
        return location


def user_frame() -> FrameType | None:
    """The innermost frame that runs the user's code under tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and type(frame.f_globals) is not ShadowGlobals:
        frame = frame.f_back
    return frame


def _span(frame: FrameType) -> Location:
    return code_location(frame.f_code, frame.f_lasti, frame.f_lineno)


def code_location(code: CodeType, offset: int, line: int | None = None) -> Location:
    """The span of the instruction at byte `offset` of `code`."""
    spans = list(code.co_positions())
    start, end, column, end_column = spans[offset // 2] if offset // 2 < len(spans) else (None,) * 4
    return Location(
        code.co_filename,
        start or line or code.co_firstlineno,
        -1 if column is None else column,
        -1 if end is None else end,
        -1 if end_column is None else end_column,
        code.co_name,
    )
