"""Writing results into arrays that the caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.interface import leaves, rebuild_each
from tilewright.ir.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization


def place_outputs(compiled: Specialization, inputs: Sequence[np.ndarray], out: Any) -> Any:
    """Run with the results in `out`: one array, or a tuple with an array or None for each.

    Nothing is written before everything has been checked. Memory shared with an argument is
    allowed: the result is as if the arguments had been copied first.
    """
    structure = compiled.interface.structure
    places = leaves(structure)
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    _check_all(compiled, inputs, given, places)
    # A data check fails after the run: until it has passed, results stay in memory of our own.
    may_fail = bool(compiled.interface.checks)
    direct: list[np.ndarray | None] = [None] * len(compiled.interface.outputs)
    for array, number in zip(given, places, strict=True):
        if array is not None and not may_fail and _is_plain(array, inputs):
            direct[number] = array
    results = compiled.run(inputs, direct)
    values: list[Any] = []
    for array, number in zip(given, places, strict=True):
        if array is not None and array is not results[number]:
            np.copyto(array, results[number])
        values.append(compiled.value(number, results[number]) if array is None else array)
    return values[0] if len(places) == 1 else rebuild_each(structure, values)


def _check_all(
    compiled: Specialization,
    inputs: Sequence[np.ndarray],
    given: Sequence[Any],
    places: Sequence[int],
) -> None:
    if len(given) != len(places):
        raise ShapeError(
            f"out has {len(given)} arrays for {len(places)} results",
            help="give one array, or a tuple with an array or None for each result",
        )
    shapes = compiled.interface.result_shapes(inputs)
    for position, (array, number) in enumerate(zip(given, places, strict=True)):
        if array is None:
            continue
        info = compiled.interface.outputs[number]
        name = f"out[{position}]" if len(given) > 1 else "out"
        fitting = f"np.empty({shapes[number]}, np.{info.dtype})"
        _check(array, name, fitting)
        if array.dtype != info.dtype:
            raise DTypeError(
                f"{name} has dtype {array.dtype}, the result has {info.dtype}",
                help=f"make it with {fitting}",
            )
        if array.shape != shapes[number]:
            raise ShapeError(
                f"{name} has shape {array.shape}, the result has {shapes[number]}",
                help=f"make it with {fitting}",
            )
    _check_overlap(given)


def _check(array: Any, name: str, fitting: str) -> None:
    if not isinstance(array, np.ndarray):
        raise DTypeError(
            f"{name} is a {type(array).__name__}, not a NumPy array", help=f"make it with {fitting}"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise DTypeError(
            f"{name} is a masked array, whose mask would not be written",
            help=f"give {name}.data, and set the mask yourself",
        )
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only; give an array that may be written")
    if _may_overlap_itself(array):
        raise ValueError(
            f"{name} has elements that share memory (strides {array.strides}); "
            f"make it with {fitting}"
        )


def _may_overlap_itself(array: np.ndarray) -> bool:
    """Whether a step along one axis may end within what the axes of smaller steps cover."""
    if not array.size:
        return False
    covered = array.itemsize
    axes = zip(array.strides, array.shape, strict=True)
    for stride, size in sorted((abs(stride), size) for stride, size in axes if size > 1):
        if stride < covered:
            return True
        covered += stride * (size - 1)
    return False


def _is_plain(array: np.ndarray, inputs: Sequence[np.ndarray]) -> bool:
    """Whether compiled code may write into the array while it reads the inputs."""
    if not (array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative):
        return False
    return not any(np.may_share_memory(array, i) for i in inputs)


def _check_overlap(given: Sequence[np.ndarray | None]) -> None:
    arrays = [a for a in given if a is not None]
    for k, one in enumerate(arrays):
        for other in arrays[k + 1 :]:
            if np.shares_memory(one, other):
                raise ValueError("two arrays in out share memory; give each result its own")
