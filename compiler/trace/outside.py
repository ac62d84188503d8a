"""What a kernel cannot use because it would happen once, while the kernel is compiled.

In: a value that the function reads from outside of itself. Out: a stand-in that says so where the
function calls it or reads from it, for clocks, random numbers and logs; None for all else.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

from tilewright.compiler.trace.failures import failure
from tilewright.ir.errors import TraceError

_RANDOM: Final = (
    "would give the same numbers at every call of a compiled kernel",
    "make the random numbers outside and pass them as an argument",
)
_CLOCK: Final = (
    "would give the same value at every call of a compiled kernel",
    "read it outside and pass it as an argument, or time the calls of the kernel",
)
_LOG: Final = (
    "cannot be compiled",
    "return the value, or log it while running kernel.python(…)",
)
_MODULES: Final = {
    "random": _RANDOM,
    "secrets": _RANDOM,
    "uuid": _RANDOM,
    "time": _CLOCK,
    "logging": _LOG,
}
_OBJECTS: Final = (
    # What users call an object of a class: functions of np.random and random are methods of one.
    ("numpy.random", "Generator", "np.random.Generator", _RANDOM),
    ("numpy.random", "RandomState", "np.random", _RANDOM),
    ("random", "Random", "random", _RANDOM),
    ("logging", "Logger", "logging.Logger", _LOG),
    ("logging", "LoggerAdapter", "logging.LoggerAdapter", _LOG),
)


class Outside:
    """A function or an object whose use in a kernel is an error."""

    def __init__(self, name: str, why: str, help: str) -> None:
        self.__dict__["_error"] = (name, why, help)

    def __getattr__(self, name: str) -> NoReturn:
        owner, why, help = self.__dict__["_error"]
        raise failure(TraceError, f"{owner}.{name} {why}", help=help)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        name, why, help = self.__dict__["_error"]
        raise failure(TraceError, f"{name} {why}", help=help)

    def __repr__(self) -> str:
        return f"<{self.__dict__['_error'][0]}>"


def outside(value: Any) -> Outside | None:
    """The stand-in for `value`, if it is a function or object that a kernel cannot use."""
    for module, name, shown, parts in _OBJECTS:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(value, kind):
            return Outside(shown, *parts)
        if kind is not None and isinstance(getattr(value, "__self__", None), kind):
            return Outside(f"{shown}.{value.__name__}", *parts)
    home = getattr(value, "__module__", None)
    if callable(value) and isinstance(home, str) and home in _MODULES:
        return Outside(f"{home}.{getattr(value, '__name__', '')}", *_MODULES[home])
    return None
