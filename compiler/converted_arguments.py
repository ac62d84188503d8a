"""Arguments that are no plain arrays or numbers: what they become, and which of them are refused.

Accepted are NumPy arrays of any layout, NumPy scalars, and whatever converts itself to an array
(lists, buffers, what has `__array__` or, as pictures of Pillow, `__array_interface__`). Tuples of
plain data, dtypes, slices and members of enumerations specialise the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.arguments import array_spec, device_target
from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import DTypeError, IntegerRangeError, OutOfMemoryError, ShapeError
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec


def describe_other(value: Any, name: str) -> tuple[ArgumentSpec, Any]:
    """`arguments.describe` of what is no array of NumPy's own class."""
    if type(value) is int:
        raise IntegerRangeError(
            f"argument {name!r}: {value} does not fit into int64",
            help="pass it as a float, or as np.uint64",
        )
    if _is_static(value):
        return StaticSpec(value), value
    if device_target(value) is not None:
        return array_spec(value, name), value
    meant_otherwise = other_meaning(value)
    if meant_otherwise is not None:
        raise DTypeError(f"argument {name!r} is {meant_otherwise[0]}", help=meant_otherwise[1])
    array = _as_array(value, name)
    return array_spec(array, name), array


def other_meaning(value: Any) -> tuple[str, str] | None:
    """What `value` is and what to pass instead, if NumPy computes otherwise with such arrays."""
    if isinstance(value, np.ma.MaskedArray):
        help = "pass the data with missing values filled in, and the mask as an argument"
        return "a masked array", help
    if isinstance(value, np.matrix):
        return "an np.matrix, whose * and ** are not those of arrays", "pass np.asarray(x)"
    return None


def _is_static(value: Any) -> bool:
    """Whether a kernel is specialised for `value`: plain data that is no number or array."""
    if isinstance(value, tuple):
        return all(isinstance(v, (bool, int, float)) or _is_static(v) for v in value)
    if isinstance(value, (str, bytes, np.dtype, slice)) or value is Ellipsis:
        return True
    return value is None or isinstance(value, bool) or hasattr(type(value), "__members__")


def is_leaf(value: Any) -> bool:
    """Whether `describe` knows what to do with a value."""
    if isinstance(value, (int, float, np.ndarray, np.generic, list)) or callable(value):
        return True
    return _is_static(value) or is_array_like(value) or device_target(value) is not None


def is_array_like(value: Any) -> bool:
    """Whether an object that is no NumPy array, list or tuple offers NumPy its elements."""
    if hasattr(value, "__array__") or hasattr(type(value), "__array_interface__"):
        return True
    try:
        memoryview(value).release()
    except (TypeError, BufferError):
        return False
    return True


def _as_array(value: Any, name: str) -> np.ndarray:
    if not isinstance(value, (list, tuple, np.generic, np.ndarray)) and not is_array_like(value):
        raise DTypeError(
            f"argument {name!r} is of type {type(value).__name__}, which is not an array",
            help="pass a NumPy array, a number, or something that NumPy can convert",
        )
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"argument {name!r} cannot be made an array: {error}") from error
    except (TypeError, RuntimeError) as error:  # arrays of other libraries that lie elsewhere
        raise DTypeError(f"argument {name!r} cannot be made an array: {error}") from error


def native_dtype(value: Any, name: str) -> DType:
    """The dtype of an array whose own, as it is, kernels cannot hold: in the native byte order."""
    dtype = None
    if value.dtype.kind in "biuf":
        dtype = dtypes.from_numpy(value.dtype.newbyteorder("="))
    if dtype is None:
        raise DTypeError(
            f"argument {name!r} has dtype {value.dtype}, which kernels cannot hold",
            help="convert it to a bool, integer or float dtype",
        )
    return dtype


def converted(value: Any, spec: ArraySpec | ScalarSpec, name: str) -> np.ndarray:
    """`arguments.contiguous` of what is not as code expects it yet."""
    if device_target(value) is not None:
        return value  # type: ignore[no-any-return]
    if isinstance(spec, ScalarSpec) and spec.fits:
        _check_fits(value, spec, name)
    try:
        array = np.require(value, dtype=spec.dtype.numpy, requirements=("C", "A"))
    except MemoryError as error:  # a broadcast array is small until it is copied
        raise OutOfMemoryError(
            f"argument {name!r} must be copied to lie in one piece: {error}",
            help="broadcast it inside of the kernel, or call the kernel on parts of it",
        ) from error
    return array if type(array) is np.ndarray else np.asarray(array)


def _check_fits(value: int, spec: ScalarSpec, name: str) -> None:
    """A Python int must fit the dtype of the arrays that it meets, as NumPy has it."""
    for dtype in spec.fits:
        if not dtype.min <= value <= dtype.max:
            raise IntegerRangeError(
                f"argument {name!r}: Python integer {value} out of bounds for {dtype}",
                help=f"convert the array that {name!r} meets first: x.astype(np.int64)",
            )
