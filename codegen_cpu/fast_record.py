"""A `FastSpec` -> the tables that the dispatcher walks, at an address that stays the same."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tilewright.codegen_cpu import fastcall_ir as ir
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_spec import (
    ArrayArgument,
    ArrayGuard,
    CellGuard,
    FastSpec,
    FunctionGuard,
    Guard,
    Linear,
    Open,
    ScalarArgument,
    StaticArgument,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORKSPACE_ALIGNMENT: Final = 64
_INT64_MAX: Final = (1 << 63) - 1
_FLOAT_KINDS: Final = {np.dtype(np.float32): ir.FLOAT32, np.dtype(np.float64): ir.FLOAT64}


class Record:
    """The tables of one `FastSpec`, in memory that the dispatcher reads and this object owns."""

    __slots__ = ("__weakref__", "_kept", "_struct", "spec")

    def __init__(self, spec: FastSpec) -> None:
        self.spec = spec
        self._kept: list[object] = []
        self._struct = self._build()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, as the objects that calls pass; none if there are too many."""
        names = self.spec.names
        return tuple(map(sys.intern, names)) if len(names) <= ir.MAX_NAMES else ()

    @property
    def address(self) -> int:
        """Address of the `RecordStruct`."""
        return ctypes.addressof(self._struct)

    def _build(self) -> ir.RecordStruct:
        spec = self.spec
        passed = sum(not isinstance(a, StaticArgument) for a in spec.arguments)
        symbol_count = max(spec.symbols, default=-1) + 1
        unknown = [0] * (passed + len(spec.outputs))
        pointers = self._int64([*unknown, *spec.constants])
        arguments = self._arguments(pointers)
        outputs = self._outputs(pointers + 8 * passed)
        guards = [self._guard(guard) for guard in spec.guards]
        return ir.RecordStruct(
            busy=0,
            argument_count=len(spec.arguments),
            arguments=arguments,
            guard_count=len(spec.guards),
            guards=self._store((ir.GuardStruct * len(guards))(*guards)),
            output_count=len(spec.outputs),
            outputs=outputs,
            flags=_flags(spec),
            entry=spec.entry,
            runtime=spec.runtime,
            pointers=pointers,
            symbols=self._int64([0] * symbol_count),
            workspace=self._workspace(spec.workspace_bytes),
            owner=id(self),
            on_error=id(spec.on_error),
            least_count=len(spec.least),
            least=self._int64(spec.least),
            on_result=None if spec.on_result is None else id(spec.on_result),
        )

    def _arguments(self, pointer: int) -> int:
        bound: set[int] = set()
        structs = []
        for argument in self.spec.arguments:
            match argument:
                case ArrayArgument():
                    structs.append(self._array_argument(argument, bound, pointer))
                    pointer += 8
                case ScalarArgument():
                    structs.append(self._scalar_argument(argument, pointer))
                    pointer += 8
                case StaticArgument(value):
                    structs.append(self._static_argument(value))
        return self._store((ir.ArgumentStruct * len(structs))(*structs))

    def _array_argument(
        self, argument: ArrayArgument, bound: set[int], pointer: int
    ) -> ir.ArgumentStruct:
        contiguous = argument.strides is None
        return ir.ArgumentStruct(
            kind=ir.ARRAY,
            ndim=len(argument.shape),
            expected=id(_singleton(argument.dtype)),
            shape=self._int64([_encode(size, bound) for size in argument.shape]),
            strides=None if argument.strides is None else self._int64(argument.strides),
            flags=python_abi.ALIGNED | (python_abi.C_CONTIGUOUS if contiguous else 0),
            pointer=pointer,
            itemsize=argument.dtype.itemsize,
        )

    def _scalar_argument(self, argument: ScalarArgument, pointer: int) -> ir.ArgumentStruct:
        """The pointer never changes: it leads to the box that a call fills."""
        dtype = argument.dtype
        box = ctypes.c_size_t.from_address(pointer).value = self._int64([0])
        if dtype in _FLOAT_KINDS:
            return ir.ArgumentStruct(kind=_FLOAT_KINDS[dtype], box=box)
        held = np.iinfo(dtype)
        low, high = argument.limits or (int(held.min), int(held.max))
        low, high = max(low, int(held.min)), min(high, int(held.max), _INT64_MAX)
        return ir.ArgumentStruct(kind=ir.INTEGER, box=box, low=low, high=high)

    def _static_argument(self, value: object) -> ir.ArgumentStruct:
        if type(value) is int and -_INT64_MAX <= value <= _INT64_MAX:
            return ir.ArgumentStruct(kind=ir.INTEGER, low=value, high=value, box=self._int64([0]))
        return ir.ArgumentStruct(kind=ir.STATIC, expected=id(value))

    def _outputs(self, pointer: int) -> int:
        structs = []
        for output in self.spec.outputs:
            formulas = [_formula(size) for size in output.shape]
            structs.append(
                ir.OutputStruct(
                    dtype=id(_singleton(output.dtype)),
                    ndim=len(output.shape),
                    flags=ir.SCALAR_RESULT if output.as_scalar else 0,
                    shape=self._int64([base for base, _, _ in formulas]),
                    formula=self._int64([number for formula in formulas for number in formula]),
                    pointer=pointer,
                    itemsize=output.dtype.itemsize,
                )
            )
            pointer += 8
        return self._store((ir.OutputStruct * len(structs))(*structs))

    def _guard(self, guard: Guard) -> ir.GuardStruct:
        match guard:
            case CellGuard():
                return ir.GuardStruct(id(guard.cell), None, id(guard.value))
            case FunctionGuard(function, field, value):  # read where a cell has its contents
                at = id(function) + python_abi.FUNCTION_FIELDS[field] - python_abi.CELL_CONTENTS
                return ir.GuardStruct(at, None, None if value is None else id(value))
            case ArrayGuard():
                array = self._array_argument(guard.array, set(), 0)
                return ir.GuardStruct(
                    container=id(guard.home),
                    key=None if guard.name is None else id(guard.name),
                    expected=guard.elements.ctypes.data,
                    array=self._store((ir.ArgumentStruct * 1)(array)),
                    size=guard.elements.nbytes,
                )
            case _:
                return ir.GuardStruct(id(guard.namespace), id(guard.name), id(guard.value))

    def _workspace(self, size: int) -> int:
        if not size:
            return 0
        memory = np.empty(size + _WORKSPACE_ALIGNMENT, np.uint8)  # pages come at first touch
        self._kept.append(memory)
        return -(-memory.ctypes.data // _WORKSPACE_ALIGNMENT) * _WORKSPACE_ALIGNMENT

    def _int64(self, values: Sequence[int]) -> int:
        return self._store((ctypes.c_int64 * len(values))(*values))

    def _store(self, memory: ctypes.Array[Any]) -> int:
        self._kept.append(memory)
        return ctypes.addressof(memory)


def _singleton(dtype: np.dtype) -> np.dtype:
    """NumPy's one object for a native dtype: what almost every array refers to."""
    return np.dtype(dtype.type)


def _encode(size: int | Open, bound: set[int]) -> int:
    """A size as `ArgumentStruct` has it; a symbol is bound where it occurs first."""
    if not isinstance(size, Open):
        return size
    if size.symbol in bound:
        return -2 - 2 * size.symbol
    bound.add(size.symbol)
    return -1 - 2 * size.symbol


def _formula(size: int | Linear) -> tuple[int, int, int]:
    return (size.base, size.factor, size.symbol) if isinstance(size, Linear) else (size, 0, 0)


def _flags(spec: FastSpec) -> int:
    contiguous = all(array.strides is None for array in spec.arrays)
    takes_out = spec.result == "single" and contiguous and not spec.outputs[0].as_scalar
    open_outputs = any(isinstance(size, Linear) for out in spec.outputs for size in out.shape)
    return (
        (ir.RELEASES_GIL if spec.long_running else 0)
        | (ir.TAKES_OUT if takes_out else 0)
        | (ir.RETURNS_TUPLE if spec.result == "tuple" else 0)
        | (ir.OPEN_OUTPUTS if open_outputs else 0)
    )
