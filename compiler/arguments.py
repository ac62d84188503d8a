"""What a call's arguments are: values in, specs and contiguous arrays out.

Accepted are NumPy arrays of any layout, NumPy scalars, Python numbers, and whatever converts
itself to an array (lists, buffers, what has `__array__` or, as pictures of Pillow,
`__array_interface__`). Bools, strings, None and tuples specialise the kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import (
    DTypeError,
    IntegerRangeError,
    OutOfMemoryError,
    ShapeError,
    TraceError,
)
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ElementType, ScalarSpec, StaticSpec
from tilewright.ir.sizes import bind_symbols


class Binder:
    """Maps a call's arguments to parameter names, as Python would; `bound` ones are not passed."""

    def __init__(self, function: Any, bound: Collection[str] = ()) -> None:
        whole = inspect.signature(function)
        free = [p for p in whole.parameters.values() if p.name not in bound]
        self._prepare(whole.replace(parameters=free), tuple(whole.parameters), function)

    @classmethod
    def of_signature(cls, signature: inspect.Signature) -> Binder:
        """That of a function of which no more is known."""
        binder = cls.__new__(cls)
        binder._prepare(signature, tuple(signature.parameters), None)
        return binder

    def _prepare(self, signature: inspect.Signature, all_names: Any, function: Any) -> None:
        free = list(signature.parameters.values())
        self.all_names: tuple[str, ...] = all_names
        self.signature = signature
        self.names = tuple(p.name for p in free)
        self.by_position = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in free)
        out = signature.parameters.get("out")
        self.takes_out = out is not None and out.default is out.empty
        self.is_variadic = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in free)
        self.function = function

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The given arguments by name; raises TypeError as a call of the function would."""
        if not kwargs and len(args) == len(self.names) and self.by_position:
            return dict(zip(self.names, args, strict=True))
        if self.is_variadic:
            from tilewright.compiler.trace.inspect_code import check_kernel

            check_kernel(self.function)  # says at which line the kernel takes *args or **kwargs
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            name = getattr(self.function, "__name__", "the kernel")
            raise TypeError(f"{name}() {error}; its arguments are {self.signature}") from None


LEAF_TYPES: Final = (np.ndarray, float, int, bool)
"""Of arguments that are surely no containers: `described` of `argument_trees` need not look."""


def describe(value: Any, name: str) -> tuple[ArgumentSpec, Any]:
    """The spec of one argument, and the value in the form in which it is passed on."""
    kind = type(value)
    if kind is np.ndarray:
        return _array(value, name)
    if kind is bool or value is None or isinstance(value, (str, bytes)) or callable(value):
        return StaticSpec(value), value
    if kind is float:
        return ScalarSpec("float"), value
    if kind is int:
        _check_int(value, name)
        return ScalarSpec("int"), value
    if _is_static(value):
        return StaticSpec(value), value
    if device_target(value) is not None:
        return _array(value, name)
    meant_otherwise = other_meaning(value)
    if meant_otherwise is not None:
        raise DTypeError(f"argument {name!r} is {meant_otherwise[0]}", help=meant_otherwise[1])
    return _array(_converted(value, name), name)


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


def _check_int(value: int, name: str) -> None:
    if not -(1 << 63) <= value < 1 << 63:
        raise IntegerRangeError(
            f"argument {name!r}: {value} does not fit into int64",
            help="pass it as a float, or as np.uint64",
        )


def _converted(value: Any, name: str) -> np.ndarray:
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


def device_target(value: object) -> str | None:
    """The target on whose device an array lies; None for anything that is not on a device."""
    if type(value) is np.ndarray:
        return None
    target = getattr(type(value), "target", None)
    return target if isinstance(target, str) and hasattr(value, "numpy") else None


def checked_dtype(value: Any, name: str) -> DType:
    """The dtype of an array, if kernels can hold it."""
    dtype = dtypes.from_numpy(value.dtype)
    if dtype is None and value.dtype.kind in "biuf":
        dtype = dtypes.from_numpy(value.dtype.newbyteorder("="))
    if dtype is None:
        raise DTypeError(
            f"argument {name!r} has dtype {value.dtype}, which kernels cannot hold",
            help="convert it to a bool, integer or float dtype",
        )
    return dtype


def _array(value: Any, name: str) -> tuple[ArgumentSpec, Any]:
    return ArraySpec(checked_dtype(value, name), value.shape), value


def contiguous(value: Any, spec: ArgumentSpec, name: str) -> np.ndarray:
    """A run-time argument as a C-contiguous, aligned, native array of the spec's dtype."""
    assert isinstance(spec, (ArraySpec, ScalarSpec))
    if type(value) is np.ndarray and _is_as_expected(value, spec):
        return value
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


def _is_as_expected(array: np.ndarray, spec: ArraySpec | ScalarSpec) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype == spec.dtype.numpy


def _check_fits(value: int, spec: ScalarSpec, name: str) -> None:
    """A Python int must fit the dtype of the arrays that it meets, as NumPy has it."""
    for dtype in spec.fits:
        if not dtype.min <= value <= dtype.max:
            raise IntegerRangeError(
                f"argument {name!r}: Python integer {value} out of bounds for {dtype}",
                help=f"convert the array that {name!r} meets first: x.astype(np.int64)",
            )


class DeclaredArguments:
    """The signature given to the decorator: argument name -> array spec, dimensions maybe open."""

    def __init__(self, declared: Mapping[str, Any], names: tuple[str, ...]) -> None:
        self.specs: dict[str, ArraySpec] = {}
        for name, spec in declared.items():
            if name not in names:
                raise TraceError(
                    f"the kernel has no argument {name!r}",
                    help=f"its arguments are {', '.join(names)}; "
                    "the options of tw.kernel are target, numerics, f64 and schedule",
                )
            if isinstance(spec, ElementType):
                spec = ArraySpec(spec.dtype)
            if not isinstance(spec, ArraySpec):
                raise TraceError(
                    f"argument {name!r} is declared as {spec!r}",
                    help="declare arrays as tw.f32[64, N] with N = tw.dim('N')",
                )
            self.specs[name] = spec

    def apply(self, name: str, found: ArgumentSpec) -> ArgumentSpec:
        """The declared spec of an argument, if the given one fits it; else the given one."""
        if not self.specs:
            return found
        declared = self.specs.get(name)
        if declared is None:
            return found
        if isinstance(found, ScalarSpec) and not declared.shape:
            return declared
        if not isinstance(found, ArraySpec) or found.dtype is not declared.dtype:
            raise DTypeError(f"argument {name!r} is {found}, but was declared as {declared}")
        if len(found.shape) != len(declared.shape):
            raise ShapeError(f"argument {name!r} is {found}, but was declared as {declared}")
        for given, size in zip(found.shape, declared.shape, strict=True):
            if isinstance(size, int) and given != size:
                raise ShapeError(f"argument {name!r} is {found}, but was declared as {declared}")
        return declared

    def closed(
        self, specs: Mapping[str, ArgumentSpec], values: Mapping[str, Any]
    ) -> dict[str, ArgumentSpec]:
        """The specs of a call with its sizes in place of open dimensions."""
        arrays = {n: s for n, s in specs.items() if n in self.specs and isinstance(s, ArraySpec)}
        actual = [np.shape(values[n]) for n in arrays]
        bind_symbols([s.shape for s in arrays.values()], actual, list(map(repr, arrays)))
        sizes = zip(arrays.items(), actual, strict=True)
        return {**specs, **{n: ArraySpec(s.dtype, shape) for (n, s), shape in sizes}}
