"""Which expression of the user's is running: found by walking out of our own frames.

Every function of the user's runs with a `ShadowGlobals` dict as its globals, so one type test per
frame tells the user's frames from ours and from NumPy's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType

from tilewright.ir.location import Location

Span = tuple[int | None, int | None, int | None, int | None]


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
        # By identity: hashing a code object reads all of it. The code is kept so that its id is.
        self._spans: dict[int, tuple[CodeType, list[Span]]] = {}
        self._found: dict[tuple[int, int], Location] = {}

    def here(self) -> Location | None:
        """The span of the innermost expression of the user's that is being evaluated."""
        frame = user_frame()
        if frame is None:
            return None
        code = frame.f_code
        key = (id(code), frame.f_lasti)
        location = self._found.get(key)
        if location is None:
            if id(code) not in self._spans:
                self._spans[id(code)] = code, list(code.co_positions())
            spans = self._spans[id(code)][1]
            self._found[key] = location = _location(code, spans, frame.f_lasti, frame.f_lineno)
        return location


def user_frame() -> FrameType | None:
    """The innermost frame that runs the user's code under tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and type(frame.f_globals) is not ShadowGlobals:
        frame = frame.f_back
    return frame


def is_called_by_user() -> bool:
    """Whether the caller of the function that asks is the user's code under tracing."""
    return type(sys._getframe(2).f_globals) is ShadowGlobals


def code_location(code: CodeType, offset: int, line: int | None = None) -> Location:
    """The span of the instruction at byte `offset` of `code`."""
    return _location(code, list(code.co_positions()), offset, line)


_CHANGING_METHODS = frozenset(
    ("append", "extend", "insert", "pop", "popitem", "remove", "clear", "sort", "reverse", "update")
)
_CHANGING_INSTRUCTIONS = frozenset(("STORE_SUBSCR", "DELETE_SUBSCR"))
_NEAR = 4


def change_location(code: CodeType, name: str) -> Location | None:
    """Where `code`, or a function inside of it, most likely changes the container `name`."""
    import dis  # only for an error

    instructions = list(dis.get_instructions(code))
    for at, loading in enumerate(instructions):
        if not loading.opname.startswith("LOAD_") or loading.argval != name:
            continue
        for near in instructions[at + 1 : at + 1 + _NEAR]:
            method = near.opname.startswith("LOAD_") and near.argval in _CHANGING_METHODS
            if method or near.opname in _CHANGING_INSTRUCTIONS:
                return code_location(code, near.offset)
    inner = (change_location(c, name) for c in code.co_consts if isinstance(c, CodeType))
    return next((found for found in inner if found is not None), None)


def _location(code: CodeType, spans: list[Span], offset: int, line: int | None) -> Location:
    unknown: Span = (None, None, None, None)
    start, end, column, end_column = spans[offset // 2] if offset // 2 < len(spans) else unknown
    return Location(
        code.co_filename,
        start or line or code.co_firstlineno,
        -1 if column is None else column,
        -1 if end is None else end,
        -1 if end_column is None else end_column,
        code.co_name,
    )
