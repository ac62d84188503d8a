"""Writing results into arrays that the caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.ir.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from tilewright.compiler.driver import Specialization


def place_outputs(compiled: Specialization, inputs: Sequence[np.ndarray], out: Any) -> Any:
    """Run with the results in `out`: one array, or a tuple with an array or None for each.

    Nothing is written before everything has been checked. Memory shared with an argument is
    allowed: the result is as if the arguments had been copied first.
    """
    count = len(compiled.traced.outputs)
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    if len(given) != count:
        raise ShapeError(f"out has {len(given)} arrays for {count} results")
    for number, array in enumerate(given):
        if array is not None:
            _check(array, f"out[{number}]" if count > 1 else "out")
    direct = [a if a is not None and _is_plain(a, inputs) else None for a in given]
    _check_overlap(given)
    expected = compiled.traced.outputs
    for array, info in zip(given, expected, strict=True):
        if array is not None and array.dtype != info.dtype:
            raise DTypeError(f"out has dtype {array.dtype}, the result has {info.dtype}")
    usable = [
        a if a is not None and _fits(compiled, k, a, inputs) else None for k, a in enumerate(direct)
    ]
    results = compiled.run(inputs, usable)
    for array, result in zip(given, results, strict=True):
        if array is not None and array.shape != result.shape:
            raise ShapeError(f"out has shape {array.shape}, the result has {result.shape}")
    final = []
    for array, result in zip(given, results, strict=True):
        if array is not None and array is not result:
            np.copyto(array, result)
        final.append(result if array is None else array)
    return final[0] if count == 1 else tuple(final)


def _check(array: Any, name: str) -> None:
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{name} is a {type(array).__name__}, not a NumPy array")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only")
    repeated = [s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)]
    if any(repeated):
        raise ValueError(f"{name} has elements that share memory (a stride of 0)")


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
                raise ValueError("two arrays in out share memory")


def _fits(
    compiled: Specialization, number: int, array: np.ndarray, inputs: Sequence[np.ndarray]
) -> bool:
    from tilewright.ir.sizes import bind_symbols, evaluate

    graph = compiled.traced.graph
    names = compiled.traced.input_names
    symbols = bind_symbols([t.shape for t in graph.inputs], [i.shape for i in inputs], names)
    shape = tuple(evaluate(s, symbols) for s in graph.outputs[number].shape)
    if array.shape != shape:
        raise ShapeError(f"out has shape {array.shape}, the result has {shape}")
    return True
