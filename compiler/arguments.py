"""What a call's arguments are: values in, specs and contiguous arrays out.

Here are arrays as kernels take them, numbers and plain static values, which is what most calls
pass; `converted_arguments` has the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from tilewright.compiler.interface import Interface
    from tilewright.compiler.trace.run import Traced


class Binder:
    """Maps a call's arguments to parameter names, as Python would; `bound` ones are not passed."""

    def __init__(self, function: Any, bound: Collection[str] = ()) -> None:
        signature = inspect.signature(function)
        names = tuple(signature.parameters)
        if bound:
            free = [p for p in signature.parameters.values() if p.name not in bound]
            signature = signature.replace(parameters=free)
        self._prepare(signature, names, function)

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
        return array_spec(value, name), value
    if kind is float:
        return ScalarSpec("float"), value
    if kind is int and -(1 << 63) <= value < 1 << 63:
        return ScalarSpec("int"), value
    if kind is bool or value is None or isinstance(value, (str, bytes)) or callable(value):
        return StaticSpec(value), value
    from tilewright.compiler.converted_arguments import describe_other

    return describe_other(value, name)


def device_target(value: object) -> str | None:
    """The target on whose device an array lies; None for anything that is not on a device."""
    if type(value) is np.ndarray:
        return None
    target = getattr(type(value), "target", None)
    return target if isinstance(target, str) and hasattr(value, "numpy") else None


def array_spec(value: Any, name: str) -> ArraySpec:
    """The spec of an array, if kernels can hold its dtype."""
    return ArraySpec(checked_dtype(value, name), value.shape)


def checked_dtype(value: Any, name: str) -> DType:
    """The dtype of an array, if kernels can hold it."""
    dtype = dtypes.from_numpy(value.dtype)
    if dtype is not None:
        return dtype
    from tilewright.compiler.converted_arguments import native_dtype

    return native_dtype(value, name)


def contiguous_inputs(called: Traced | Interface, values: Mapping[str, Any]) -> list[np.ndarray]:
    """What a function's program is run on, from the arguments of a call by name."""
    return [contiguous(values[n], called.specs[n], n) for n in called.input_names]


def contiguous(value: Any, spec: ArgumentSpec, name: str) -> np.ndarray:
    """A run-time argument as a C-contiguous, aligned, native array of the spec's dtype."""
    assert isinstance(spec, (ArraySpec, ScalarSpec))
    if type(value) is np.ndarray:
        flags = value.flags
        if flags.c_contiguous and flags.aligned and value.dtype == spec.dtype.numpy:
            return value
    from tilewright.compiler.converted_arguments import converted

    return converted(value, spec, name)
