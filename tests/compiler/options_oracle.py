"""Functions under every combination of given options: as NumPy where it has an answer, and refused
where NumPy raises an error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tests.compiler.trace_oracle import run, same, traced
from tilewright.ir.errors import KernelError

Options = dict[str, Sequence[Any]]
Entry = tuple[str, Callable[..., Any], tuple[np.ndarray, ...], Options]


def combinations(entry: Entry) -> Iterator[dict[str, Any]]:
    """Every combination of the options of an entry."""
    options = entry[3]
    for values in itertools.product(*options.values()):
        yield dict(zip(options, values, strict=True))


def check_options(entry: Entry) -> None:
    """Trace the function under each combination, and compare."""
    _, function, arrays, _ = entry
    for given in combinations(entry):
        kernel = kernel_of(function, given, len(arrays))
        try:
            with np.errstate(all="ignore"):
                expected = kernel(*(a.copy() for a in arrays))
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            assert _refuses(kernel, arrays), f"there is no error for {given}"
            continue
        try:
            same(run(traced(kernel, *arrays), kernel, arrays), expected, 1e-11)
        except Exception as error:
            error.add_note(f"with {given}")
            raise


def _refuses(kernel: Any, arrays: tuple[np.ndarray, ...]) -> bool:
    try:
        traced(kernel, *arrays)
    except KernelError:
        return True
    return False


def kernel_of(function: Callable[..., Any], given: dict[str, Any], count: int) -> Any:
    """The function of `count` arrays, with these options."""
    if count == 1:
        return lambda a: function(a, **given)
    return lambda a, b: function(a, b, **given)
