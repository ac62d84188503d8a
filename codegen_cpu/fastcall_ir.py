"""The dispatcher: what a call of a kernel runs. Structures -> LLVM IR text, from ``fastcall.ll``.

``tw_dispatch`` is a vectorcall function. It is one function for all kernels, driven by tables, so
that a new specialisation costs no compilation. A callable holds up to `MAX_RECORDS` records; each
says which arguments it serves (exact types, dtype, shape, layout), which outputs to make, and what
to run. The first record that fits is run; if none fits, the call goes to the slow path, a Python
callable, with its arguments untouched. Nothing here raises errors of its own. Arguments may be
given by name, and arrays that fit but for how they lie in memory (views) are copied for the call.

A record's scratch memory (argument pointers, symbols, scalars, workspace) belongs to one call at a
time: `busy`. Where the GIL is released, arguments are being copied, or a long loop lets others run
(`poll`), a record can be found busy; such a call goes the slow way.
`busy` holds an epoch rather than a flag, since a forked child can inherit it from a thread that
does not exist there.
"""

from __future__ import annotations

import ctypes
from typing import Final

from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import CALL_OFFSET

MAX_RECORDS: Final = 4
MAX_OUTPUTS: Final = 16
MAX_NAMES: Final = 32
"""Parameters of a callable that takes arguments by name."""

ARRAY, FLOAT32, FLOAT64, INTEGER, STATIC = range(5)
"""Kinds of argument. FLOAT32 and FLOAT64 take a Python float, INTEGER a Python int within limits,
STATIC one object, by identity."""

RELEASES_GIL: Final = 1
TAKES_OUT: Final = 2
RETURNS_TUPLE: Final = 4
OPEN_OUTPUTS: Final = 8

SCALAR_RESULT: Final = 1
"""An output's flag: return NumPy's scalar in place of an array without axes."""


class ArgumentStruct(ctypes.Structure):
    """One argument. A negative size in `shape` stands for a symbol: ``-1 - 2 k`` binds symbol k,
    ``-2 - 2 k`` must be equal to it."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("expected", ctypes.c_void_p),  # dtype, or the object of a STATIC argument
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),  # null: C-contiguous
        ("flags", ctypes.c_int64),  # which must be set in the array
        ("pointer", ctypes.c_void_p),  # where to store the data pointer
        ("box", ctypes.c_void_p),  # where to store a scalar
        ("low", ctypes.c_int64),
        ("high", ctypes.c_int64),
        ("itemsize", ctypes.c_int64),
    )


class OutputStruct(ctypes.Structure):
    """One output. `formula` has three numbers for each axis: base, factor, symbol."""

    _fields_ = (
        ("dtype", ctypes.c_void_p),
        ("ndim", ctypes.c_int32),
        ("flags", ctypes.c_int32),
        ("shape", ctypes.c_void_p),
        ("formula", ctypes.c_void_p),
        ("pointer", ctypes.c_void_p),
        ("itemsize", ctypes.c_int64),
    )


class GuardStruct(ctypes.Structure):
    """A name that must still mean the same: a dict's key, or a closure cell (no key).

    The same object `expected`; or, where `array` is an `ArgumentStruct`, an array that fits it and
    whose `size` bytes are those at `expected`.
    """

    _fields_ = (
        ("container", ctypes.c_void_p),
        ("key", ctypes.c_void_p),
        ("expected", ctypes.c_void_p),
        ("array", ctypes.c_void_p),
        ("size", ctypes.c_int64),
    )


class RecordStruct(ctypes.Structure):
    """One specialisation."""

    _fields_ = (
        ("busy", ctypes.c_int64),
        ("argument_count", ctypes.c_int64),
        ("arguments", ctypes.c_void_p),
        ("guard_count", ctypes.c_int64),
        ("guards", ctypes.c_void_p),
        ("output_count", ctypes.c_int64),
        ("outputs", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
        ("entry", ctypes.c_void_p),
        ("runtime", ctypes.c_void_p),
        ("pointers", ctypes.c_void_p),
        ("symbols", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("owner", ctypes.c_void_p),  # the Python object that keeps all of this alive
        ("least_count", ctypes.c_int64),
        ("least", ctypes.c_void_p),  # of the first symbols
        ("on_error", ctypes.c_void_p),
        ("on_result", ctypes.c_void_p),  # makes the result of a tuple of outputs; null: it is one
    )


class CallStruct(ctypes.Structure):
    """What a callable object points to."""

    _fields_ = (
        ("slow", ctypes.c_void_p),
        ("record_count", ctypes.c_int64),
        ("records", ctypes.c_void_p * MAX_RECORDS),
        ("names", ctypes.c_void_p),  # of the parameters, as addresses of interned strings
        ("name_count", ctypes.c_int64),
    )


def dispatcher_module() -> str:
    """The module; it exports ``tw_dispatch`` and the counter ``tw_epoch``."""
    numbers: dict[str, int] = {
        "max_outputs": MAX_OUTPUTS,
        "max_names": MAX_NAMES,
        "call_offset": CALL_OFFSET,
        "ARRAY": ARRAY,
        "FLOAT32": FLOAT32,
        "FLOAT64": FLOAT64,
        "INTEGER": INTEGER,
        "STATIC": STATIC,
        "RELEASES_GIL": RELEASES_GIL,
        "TAKES_OUT": TAKES_OUT,
        "RETURNS_TUPLE": RETURNS_TUPLE,
        "OPEN_OUTPUTS": OPEN_OUTPUTS,
        "SCALAR_RESULT": SCALAR_RESULT,
        "OUT_FLAGS": python_abi.C_CONTIGUOUS | python_abi.ALIGNED | python_abi.WRITEABLE,
        **{name: value for name, value in vars(python_abi).items() if name.isupper()},
        **_offsets("arg", ArgumentStruct),
        **_offsets("out", OutputStruct),
        **_offsets("guard", GuardStruct),
        **_offsets("record", RecordStruct),
        **_offsets("call", CallStruct),
    }
    from importlib.resources import files
    from string import Template

    text = (files("tilewright.codegen_cpu") / "fastcall.ll").read_text(encoding="utf-8")
    return Template(text).substitute(numbers)


def _offsets(prefix: str, struct: type[ctypes.Structure]) -> dict[str, int]:
    offsets = {f"{prefix}_{name}": getattr(struct, name).offset for name, *_ in struct._fields_}
    return offsets | {f"{prefix}_bytes": ctypes.sizeof(struct)}
