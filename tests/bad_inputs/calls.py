"""Calling kernels with what users pass by mistake, and looking at what they get.

The tests of this folder go through the list of bad inputs row by row; the number in a test's name
is the row's. Whatever happens, the arrays that were passed stay as they were (`call` checks that),
and an error is one that is documented.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

# Some rows speak of thousands; every run tries hundreds.
HEAVY = os.environ.get("TILEWRIGHT_HEAVY") == "1"

X = np.arange(6, dtype=np.float32)
GRID = np.arange(48, dtype=np.float32).reshape(6, 8)
WIDTHS = (np.int8, np.int16, np.int32, np.int64)


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of the compiled function; no argument may change, error or not."""
    kernel = function if isinstance(function, tw.Kernel) else tw.kernel(function)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    before = [a.tobytes() for a in arrays]
    try:
        with np.errstate(all="ignore"):
            return kernel(*args, **kwargs)
    finally:
        assert [a.tobytes() for a in arrays] == before


def as_numpy(function: Callable[..., Any], *args: Any) -> Any:
    """The kernel's result, which must be NumPy's own, dtype and bits."""
    got = call(function, *args)
    with np.errstate(all="ignore"):
        wanted = function(*args)
    assert np.asarray(got).dtype == np.asarray(wanted).dtype
    np.testing.assert_array_equal(got, wanted)
    if np.asarray(wanted).dtype.kind == "f":
        numbers = ~np.isnan(np.asarray(wanted))
        signs = np.signbit(np.asarray(wanted))
        np.testing.assert_array_equal(np.signbit(np.asarray(got))[numbers], signs[numbers])
    return got


def defined(source: str, **names: Any) -> Any:
    """A function that was made by `exec`: it has no source file."""
    space: dict[str, Any] = {"np": np, "tw": tw, **names}
    exec(textwrap.dedent(source), space)
    return space["f"]


def body(*lines: str) -> Any:
    return defined("def f(a):\n" + "".join(f"    {line}\n" for line in lines))


def refused(function: Any, *args: Any, kind: type[Exception] = tw.TraceError) -> str:
    """The message of the error that a call gives."""
    with pytest.raises(kind) as caught:
        call(function, *args)
    return str(caught.value)
