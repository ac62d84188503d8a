"""What a specialisation serves, as plain data: arguments, outputs, where its code is.

The compiler makes a `FastSpec` for each specialisation whose calls are simple enough to be checked
by machine code: NumPy arrays of one dtype and shape, Python scalars, fixed objects. All else is
left to the callable's ``__call__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from msgspec import Struct

from tilewright.codegen_cpu.fastcall_ir import MAX_OUTPUTS
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CellType, FunctionType

_FLOATS: Final = (np.dtype(np.float32), np.dtype(np.float64))


class Open(Struct, frozen=True):
    """The size of an open axis: symbol number `symbol` takes its value where it occurs first."""

    symbol: int


class Linear(Struct, frozen=True):
    """A size of an output: ``base + factor * symbol``."""

    base: int
    factor: int
    symbol: int


class ArrayArgument(Struct, frozen=True):
    """An ndarray (no subclass) of this dtype and shape. It is copied where it is not aligned and
    C-contiguous; where `strides` are given, they must be equal."""

    dtype: np.dtype
    shape: tuple[int | Open, ...]
    strides: tuple[int, ...] | None = None


class ScalarArgument(Struct, frozen=True):
    """A Python float (float32, float64) or a Python int (integers, if it fits), passed by address
    as one element of `dtype`. An int must lie within `limits`, where they are given."""

    dtype: np.dtype
    limits: tuple[int, int] | None = None


class StaticArgument(Struct, frozen=True):
    """This very object, or an int of this value. The code does not receive it."""

    value: object


Argument = ArrayArgument | ScalarArgument | StaticArgument


class Output(Struct, frozen=True):
    """An array to make; `as_scalar` returns NumPy's scalar in place of an array without axes."""

    dtype: np.dtype
    shape: tuple[int | Linear, ...]
    as_scalar: bool = False


class GlobalGuard(Struct, frozen=True):
    """The specialisation holds only while ``namespace[name] is value``."""

    namespace: dict[str, Any]
    name: str
    value: object


class CellGuard(Struct, frozen=True):
    """The specialisation holds only while the closure cell holds `value`."""

    cell: CellType
    value: object


class FunctionGuard(Struct, frozen=True):
    """The specialisation holds only while ``function.field is value`` (`python_abi`'s fields)."""

    function: FunctionType
    field: str
    value: object


class ArrayGuard(Struct, frozen=True, eq=False):
    """The specialisation holds only while ``namespace[name]``, or the closure cell where there is
    no name, is an array as `array` says that holds `elements`, a contiguous copy."""

    home: dict[str, Any] | CellType
    name: str | None
    array: ArrayArgument
    elements: np.ndarray


Guard = GlobalGuard | CellGuard | FunctionGuard | ArrayGuard


class FastSpec(Struct, frozen=True, eq=False):
    """One specialisation of a kernel.

    The code at `entry` finds in `args` the addresses of the array and scalar arguments in order, of
    the outputs, and of `constants`. `keep` is whatever must live as long as these addresses.
    Symbol number k must be at least ``least[k]``, where that is given.
    `names` are those of the parameters, if arguments may be given by name.
    `on_error(status, *arguments)` is called where the code returns another status than 0: it
    raises, or its result is the call's. `on_result(outputs)` makes the call's result of a tuple of
    outputs, or raises. `long_running` (some 50 us or more) releases the GIL.
    """

    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]
    entry: int
    on_error: Callable[..., object]
    constants: tuple[int, ...] = ()
    guards: tuple[Guard, ...] = ()
    runtime: int = 0
    workspace_bytes: int = 0
    result: Literal["single", "tuple"] = "single"
    long_running: bool = False
    keep: tuple[object, ...] = ()
    names: tuple[str, ...] = ()
    least: tuple[int, ...] = ()
    on_result: Callable[[tuple[Any, ...]], object] | None = None

    def __post_init__(self) -> None:
        """Refuse what a record cannot express, and what would read memory that nothing wrote."""
        if len(self.outputs) > MAX_OUTPUTS:
            raise IRError(f"a record has at most {MAX_OUTPUTS} outputs, not {len(self.outputs)}")
        if self.result == "single" and len(self.outputs) != 1:
            raise IRError(f"a single result cannot be made of {len(self.outputs)} outputs")
        if self.on_result is not None and self.result != "tuple":
            raise IRError("a result is made of a tuple of outputs")
        for output in self.outputs:
            _check_output(output, self.symbols)
        for argument in self.arguments:
            if isinstance(argument, ScalarArgument) and not is_scalar_dtype(argument.dtype):
                raise IRError(f"a Python scalar cannot be passed as {argument.dtype}")

    @property
    def arrays(self) -> tuple[ArrayArgument, ...]:
        """The arguments that are arrays."""
        return tuple(given for given in self.arguments if isinstance(given, ArrayArgument))

    @property
    def symbols(self) -> frozenset[int]:
        """The symbols that the shapes of arguments bind."""
        sizes = (size for array in self.arrays for size in array.shape)
        return frozenset(size.symbol for size in sizes if isinstance(size, Open))


def is_scalar_dtype(dtype: np.dtype) -> bool:
    """Whether a `ScalarArgument` may have this dtype."""
    return dtype in _FLOATS or dtype.kind in "iu"


def _check_output(output: Output, bound: frozenset[int]) -> None:
    for size in output.shape:
        if isinstance(size, Linear) and size.symbol not in bound:
            raise IRError(f"an output's size refers to symbol {size.symbol}, which no axis binds")
    if output.as_scalar and output.shape:
        raise IRError(f"an output of shape {output.shape} cannot be returned as a scalar")
