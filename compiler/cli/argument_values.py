"""``x=f32[64,1000]`` -> what the kernel is compiled for, or called with.

Arrays that are given by dtype and shape only are filled with numbers that are the same every time.
"""

from __future__ import annotations

import ast
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from tilewright.compiler.cli.failures import BadFileError
from tilewright.ir import dtypes
from tilewright.ir.element_types import dim
from tilewright.ir.errors import OutOfMemoryError
from tilewright.ir.signature import ArraySpec

if TYPE_CHECKING:
    import numpy as np

    from tilewright.compiler.api import Kernel

_NPY_MAGIC = b"\x93NUMPY"
_ARRAY = re.compile(r"(?P<dtype>[a-z]+\d*)(\[(?P<shape>[^\]]*)\])?")


class Argument(Struct, frozen=True):
    """One ``--arg``: an `ArraySpec` without its open dimensions made yet, or a value.

    `sizes` are numbers and names of open dimensions.
    """

    name: str
    dtype: dtypes.DType | None = None
    sizes: tuple[int | str, ...] = ()
    value: Any = None


def parse_argument(text: str) -> Argument:
    """``NAME=VALUE`` as an argument; a usage error if it describes none."""
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as x=f32[64,1000]")
    try:
        return _parse_value(name, value)
    except ValueError as error:
        raise click.BadParameter(f"{name}={value}: {error}") from None


def _parse_value(name: str, text: str) -> Argument:
    if text.startswith("@"):
        return Argument(name, value=_read_array(text[1:]))
    array = _ARRAY.fullmatch(text)
    dtype = dtypes.from_short(array["dtype"]) if array else None
    if array and dtype in dtypes.ALL:
        return Argument(name, dtype, _sizes(array["shape"] or ""))
    if array and array["shape"] is not None:
        known = ", ".join(d.short for d in dtypes.ALL)
        raise ValueError(f"there is no dtype {array['dtype']!r}; the dtypes are {known}")
    try:
        return Argument(name, value=ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise ValueError(
            "neither an array (f32[64,1000]), nor a file (@data.npy), nor a Python value"
            """ (3, or "text" in quotes that the shell leaves: '"text"')"""
        ) from None


def _sizes(text: str) -> tuple[int | str, ...]:
    parts = [p.strip() for p in text.split(",")] if text.strip() else []
    if parts and not parts[-1]:
        parts.pop()  # f32[3,], as in Python
    for part in parts:
        if not (part.isdecimal() or part.isidentifier()):
            raise ValueError(f"{part!r} is neither a size nor the name of an open dimension")
    return tuple(int(p) if p.isdecimal() else p for p in parts)


def _read_array(file: str) -> np.ndarray:
    import numpy as np

    try:
        with open(file, "rb") as opened:
            if opened.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
                raise BadFileError(f"{file!r} is not a .npy file", help="write one with np.save")
        loaded = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadFileError(f"cannot read {file!r}: {reason}") from error
    assert isinstance(loaded, np.ndarray)
    return loaded


def kernel_specs(kernel: Kernel, given: Sequence[Argument]) -> dict[str, Any]:
    """What ``kernel.compile`` takes for these arguments; equal names of dimensions are one."""
    arguments = _by_name(kernel, given)
    names = {s for a in arguments.values() for s in a.sizes if isinstance(s, str)}
    dims = {name: dim(name) for name in sorted(names)}
    return {
        name: a.value
        if a.dtype is None
        else ArraySpec(a.dtype, tuple(dims[s] if isinstance(s, str) else s for s in a.sizes))
        for name, a in arguments.items()
    }


def kernel_arguments(kernel: Kernel, given: Sequence[Argument]) -> dict[str, Any]:
    """What the kernel is called with."""
    return {name: _filled(a) for name, a in _by_name(kernel, given).items()}


def _by_name(kernel: Kernel, given: Sequence[Argument]) -> Mapping[str, Argument]:
    """The given arguments and the declared ones; a usage error where any is missing or unknown."""
    import inspect

    parameters = inspect.signature(kernel.python).parameters
    arguments = {name: _declared(name, spec) for name, spec in kernel.declared.items()}
    for argument in given:
        if argument.name not in parameters or argument.name in kernel.bound:
            known = ", ".join(p for p in parameters if p not in kernel.bound)
            raise click.UsageError(
                f"kernel {kernel.__name__!r} has no argument {argument.name!r}; it takes {known}"
            )
        if any(other.name == argument.name and other is not argument for other in given):
            raise click.UsageError(f"--arg {argument.name}=… is given twice")
        arguments[argument.name] = argument
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and name not in kernel.bound
        if required and name not in arguments:
            raise click.UsageError(
                f"kernel {kernel.__name__!r} needs {name!r}: add --arg '{name}=f32[…]'"
            )
    return {name: arguments[name] for name in parameters if name in arguments}


def _declared(name: str, spec: ArraySpec) -> Argument:
    return Argument(
        name, spec.dtype, tuple(s if isinstance(s, int) else s.name for s in spec.shape)
    )


def _filled(argument: Argument) -> Any:
    import numpy as np

    if argument.dtype is None:
        return argument.value
    shape: list[int] = []
    for size in argument.sizes:
        if isinstance(size, str):
            raise click.UsageError(
                f"{argument.name!r} has the open dimension {size}: this command runs the kernel,"
                f" so give a size with --arg '{argument.name}={argument.dtype.short}[…]'"
            )
        shape.append(size)
    rng = np.random.default_rng(zlib.crc32(argument.name.encode()))
    try:
        return _numbers(rng, argument.dtype, tuple(shape))
    except (MemoryError, OverflowError, ValueError) as error:  # NumPy counts in 64 bits
        gigabytes = math.prod(shape) * argument.dtype.itemsize / 1e9
        raise OutOfMemoryError(
            f"argument {argument.name!r} of {gigabytes:.3g} GB does not fit in memory",
            help=f"make it smaller: --arg '{argument.name}={argument.dtype.short}[…]'",
        ) from error


def _numbers(rng: np.random.Generator, dtype: dtypes.DType, shape: tuple[int, ...]) -> np.ndarray:
    """Normally distributed floats; integers from 0 to 99, which are often sizes or indices."""
    if dtype.is_float:
        return rng.standard_normal(shape).astype(dtype.numpy)
    top = 2 if dtype.kind == "b" else 100
    return rng.integers(0, top, shape).astype(dtype.numpy)


__all__ = ["Argument", "kernel_arguments", "kernel_specs", "parse_argument"]
