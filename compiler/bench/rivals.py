"""Other compilers that can take a NumPy function as it is."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Final

Function = Callable[..., Any]

RIVALS: Final = {"numba": "numba", "numexpr": "numexpr"}
"""Who may be compared with, and the module that it takes."""


def is_installed(library: str) -> bool:
    """Whether `library` can be imported."""
    return importlib.util.find_spec(library) is not None


def by_numba(function: Function, arguments: tuple[Any, ...]) -> Function | None:
    """`function` compiled by numba for these arguments, or None where numba refuses it."""
    import numba
    from numba.core.errors import NumbaError

    compiled = numba.njit(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiled(*arguments)
        except (NumbaError, NotImplementedError, TypeError, ValueError, AttributeError, KeyError):
            return None  # numba's own failures come in all of these
    result: Function = compiled
    return result
