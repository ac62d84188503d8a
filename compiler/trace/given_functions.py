"""Calling the functions that a user gives to `tw.loop`, `tw.compute` and their like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tilewright.compiler.trace.failures import failure
from tilewright.ir.errors import DTypeError


def call_given(function: Callable[..., Any], arguments: Sequence[Any], form: str) -> Any:
    """``function(*arguments)``; `form` says what it must look like, if it cannot take them."""
    if not callable(function):
        raise failure(
            DTypeError, f"a function is needed here, not {function!r}", help=f"give {form}"
        )
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise failure(
            DTypeError,
            f"the given function is called with {len(arguments)} arguments: {error}",
            help=f"give {form}",
        ) from error
    except ValueError:  # a built-in, which has no signature
        pass
    return function(*arguments)
