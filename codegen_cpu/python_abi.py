"""What the call path assumes about the memory of Python and NumPy objects, and the check of it.

The dispatcher (`fastcall_ir`) reads fields of ndarrays at fixed offsets and calls functions of the
two C APIs by address. The offsets have been the same in every 64-bit NumPy from 1.x to 2.x, but a
free-threaded or a debug build has other object headers; so they are compared with live objects
before anything relies on them, and `unusable` says what differs. Then calls take the ordinary way.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from types import CellType
from typing import Any, Final

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

from tilewright.codegen_cpu.fast_callable import unusual_python

OBJECT_TYPE: Final = 8
TUPLE_SIZE: Final = 16
TUPLE_ITEMS: Final = 24
CELL_CONTENTS: Final = 16
FUNCTION_FIELDS: Final = {"__code__": 48, "__defaults__": 56, "__kwdefaults__": 64}
ARRAY_DATA: Final = 16
ARRAY_NDIM: Final = 24
ARRAY_SHAPE: Final = 32
ARRAY_STRIDES: Final = 40
ARRAY_DTYPE: Final = 56
ARRAY_FLAGS: Final = 64

C_CONTIGUOUS: Final = 0x1
ALIGNED: Final = 0x100
WRITEABLE: Final = 0x400

_NUMPY_API: Final = {"PyArray_Return": 76, "PyArray_NewCopy": 85, "PyArray_NewFromDescr": 94}
_PYTHON_API: Final = (
    "PyObject_Vectorcall",
    "Py_IncRef",
    "Py_DecRef",
    "PyErr_Clear",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyLong_FromLong",
    "PyLong_AsLongLongAndOverflow",
    "PyFloat_AsDouble",
    "PyDict_GetItem",
)


@lru_cache(maxsize=1)
def unusable() -> str | None:
    """Why the native call path cannot be used in this process, or None."""
    if reason := unusual_python():
        return reason
    samples = (np.zeros((3, 6), np.float32), np.zeros((3, 4), np.int64)[:, ::2])
    differing = [name for array in samples for name in _differing_fields(array)]
    if differing:
        return f"the layout of NumPy {np.__version__}'s arrays ({', '.join(differing)})"
    cell = CellType(names := ("a", "b", "c"))
    if _word(names, TUPLE_SIZE) != 3 or _word(names, TUPLE_ITEMS + 8) != id(names[1]):
        return "the layout of tuples"
    if _word(cell, CELL_CONTENTS) != id(names):
        return "the layout of closure cells"
    if any(_word(_probe, at) != id(getattr(_probe, n)) for n, at in FUNCTION_FIELDS.items()):
        return "the layout of functions"
    return None


def _probe(first: str = "a", *, second: str = "b") -> None:
    """A function all fields of which are set."""


@lru_cache(maxsize=1)
def api_addresses() -> dict[str, int]:
    """The functions and types that the dispatcher refers to, by symbol."""
    found = {name: _address(getattr(ctypes.pythonapi, name)) for name in _PYTHON_API}
    table = _numpy_table()
    found |= {name: table[index] for name, index in _NUMPY_API.items()}
    types = {"ndarray_type": np.ndarray, "float_type": float, "int_type": int}
    return found | {symbol: id(python_type) for symbol, python_type in types.items()}


def _numpy_table() -> ctypes.Array[ctypes.c_size_t]:
    """NumPy's C API: an array of addresses in a capsule, in an order that never changes."""
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    get_pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    start = get_pointer(_multiarray_umath._ARRAY_API, None)
    return (ctypes.c_size_t * (max(_NUMPY_API.values()) + 1)).from_address(start)


def _differing_fields(array: np.ndarray) -> list[str]:
    fields = {
        "type": _word(array, OBJECT_TYPE) == id(np.ndarray),
        "data": _word(array, ARRAY_DATA) == array.__array_interface__["data"][0],
        "ndim": _int(array, ARRAY_NDIM) == array.ndim,
        "dtype": _word(array, ARRAY_DTYPE) == id(array.dtype),
        "flags": _int(array, ARRAY_FLAGS) & 0xFFFF == array.flags.num & 0xFFFF,
    }
    differing = [name for name, same in fields.items() if not same]
    # Only now are the words at the next offsets likely to be pointers that may be followed.
    if not differing and array.ndim:
        for name, offset in (("shape", ARRAY_SHAPE), ("strides", ARRAY_STRIDES)):
            stored = (ctypes.c_int64 * array.ndim).from_address(_word(array, offset))
            if tuple(stored) != getattr(array, name):
                differing.append(name)
    return differing


def _word(value: object, offset: int) -> int:
    return ctypes.c_size_t.from_address(id(value) + offset).value


def _int(value: object, offset: int) -> int:
    return ctypes.c_int32.from_address(id(value) + offset).value


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0
