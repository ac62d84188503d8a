"""What is measured: a kernel, its arguments, and who else computes the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel

Function = Callable[..., Any]


class Subject(Struct, frozen=True):
    """One kernel.

    `arguments` makes what it is called with. `baseline` is NumPy; `rivals` are other
    implementations by the name of their library, which return None where the library cannot do it.
    `reference` computes the same in float64; `excess` says how far a result is from it in units of
    what is allowed, where that has been decided.
    """

    name: str
    kernel: Kernel
    arguments: Callable[[], tuple[Any, ...]]
    baseline: Function
    reference: Function | None = None
    excess: Callable[[tuple[Any, ...], Any], float] | None = None
    family: str = ""
    rivals: Mapping[str, Callable[[], Function | None]] = field(default_factory=dict)


def in_float64(function: Function) -> Function:
    """`function`, run on float64 copies of its float arrays."""

    @functools.wraps(function)
    def reference(*arguments: Any) -> Any:
        return function(*map(_widened, arguments))

    return reference


def _widened(value: Any) -> Any:
    is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(np.float64) if is_float else value


def largest_error(result: Any, exact: Any) -> float:
    """The largest difference of an element, in parts of the largest element of its array."""
    pairs = zip(as_arrays(result), as_arrays(exact), strict=True)
    return max((_array_error(got, want) for got, want in pairs), default=0.0)


def as_arrays(result: Any) -> list[np.ndarray]:
    """The arrays in what a kernel returned, in a fixed order."""
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in as_arrays(item)]
    if isinstance(result, dict):
        return [array for item in result.values() for array in as_arrays(item)]
    return [np.asarray(result)]


def _array_error(got: np.ndarray, want: np.ndarray) -> float:
    if got.shape != want.shape:
        return np.inf
    a, b = got.astype(np.float64), want.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    size = np.max(np.abs(b), where=np.isfinite(b), initial=0.0)
    with np.errstate(all="ignore"):
        error = np.where(same, 0.0, np.abs(a - b) / size)
    return float(np.max(np.nan_to_num(error, nan=np.inf, posinf=np.inf)))
