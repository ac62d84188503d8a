"""`FastCallable`: the base class of objects whose calls may go to the dispatcher.

A subclass defines ``__call__`` as any Python class does; that is the slow path, and all there is
until a record is installed. From then on CPython calls the address that lies in the object itself
(PEP 590), past ``__call__``: 40 ns less than calling a method, and 300 ns less than a ``__call__``
written in Python.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tilewright.codegen_cpu.fast_record import Record

OBJECT_HEADER_BYTES: Final = 16
VECTORCALL_OFFSET: Final = OBJECT_HEADER_BYTES
CALL_OFFSET: Final = VECTORCALL_OFFSET + 8
CALLABLE_BYTES: Final = CALL_OFFSET + 8
"""A callable object is Python's header, the dispatcher's address and a `CallStruct`'s address."""

_TYPE_VECTORCALL_OFFSET: Final = 56
_TYPE_FLAGS: Final = 168
_HAVE_VECTORCALL: Final = 1 << 11
_BASETYPE: Final = 1 << 10
_TP_CALL: Final = 50
_TP_MEMBERS: Final = 72
_T_PYSSIZET: Final = 19
_READONLY: Final = 1


def unusual_python() -> str | None:
    """Why objects of this Python do not lie in memory as the call path expects, or None."""
    python, bits = sys.implementation.name, 8 * ctypes.sizeof(ctypes.c_void_p)
    if python != "cpython" or bits != 64:
        return f"{python} {bits} bit"
    if object.__basicsize__ != OBJECT_HEADER_BYTES or hasattr(sys, "gettotalrefcount"):
        return "a free-threaded or a debug build of Python"
    return "a big-endian machine" if sys.byteorder != "little" else None


_Words = ctypes.c_size_t * 10
"""Structs of C's as words, for an int member has one of its own, or shares it with a zero: to
declare them to ctypes would take longer than all else here. Zeros end lists of structs."""


def _native_base() -> type:
    """A type whose instances hold a vectorcall address and a `CallStruct` address, both null."""
    member_name = ctypes.c_char_p(b"__vectorcalloffset__")
    type_name = ctypes.c_char_p(b"tilewright.codegen_cpu.fast_callable.NativeCallable")
    #                 name                   type         offset             flags
    members = _Words(_address(member_name), _T_PYSSIZET, VECTORCALL_OFFSET, _READONLY)
    call = _address(ctypes.pythonapi.PyVectorcall_Call)
    slots = _Words(_TP_CALL, call, _TP_MEMBERS, ctypes.addressof(members))
    flags = _BASETYPE | _HAVE_VECTORCALL
    #             name                 sizes           flags  slots
    spec = _Words(_address(type_name), CALLABLE_BYTES, flags, ctypes.addressof(slots))
    make = ctypes.pythonapi["PyType_FromSpec"]  # a function object that nobody else uses
    make.argtypes, make.restype = (ctypes.c_void_p,), ctypes.py_object
    made: type = make(ctypes.addressof(spec))
    return made


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


if TYPE_CHECKING:
    _Base = object
else:
    _Base = object if unusual_python() else _native_base()


class FastCallable(_Base):
    """Base class; see the module's docstring. `install` and `clear` are the dispatcher's."""

    __slots__ = ("_kept",)

    _kept: tuple[object, ...]

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Python classes lose the vectorcall flag, since their ``__call__`` could be anything.
        Here it is the slow path of the same call, so the flag may be set again."""
        super().__init_subclass__(**arguments)
        if _Base is not object and _is_laid_out_as_expected(cls):
            flags = ctypes.c_ulong.from_address(id(cls) + _TYPE_FLAGS)
            flags.value |= _HAVE_VECTORCALL

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The slow path."""
        raise NotImplementedError


def accepts_records(target: FastCallable) -> bool:
    """Whether calls of `target` can reach the dispatcher at all."""
    return bool(type(target).__flags__ & _HAVE_VECTORCALL)


def point_to(
    target: FastCallable, dispatcher: int, records: tuple[Record, ...], keep: object
) -> None:
    """Make calls of `target` run the vectorcall function at `dispatcher` over `records`; `keep` is
    what keeps that function in memory."""
    from tilewright.codegen_cpu.fastcall_ir import MAX_RECORDS, CallStruct  # not for one call

    names = records[0].names if records else ()
    words_of_names = (ctypes.c_void_p * len(names))(*map(id, names))
    slow = target.__call__
    addresses = (ctypes.c_void_p * MAX_RECORDS)(*(record.address for record in records))
    call = CallStruct(
        id(slow), len(records), addresses, ctypes.addressof(words_of_names), len(names)
    )
    words = (ctypes.c_size_t * 2).from_address(id(target) + VECTORCALL_OFFSET)
    kept = (records, call, slow, keep, names, words_of_names)
    words[(CALL_OFFSET - VECTORCALL_OFFSET) // 8] = ctypes.addressof(call)
    words[0] = dispatcher
    target._kept = kept  # after the swap: this frees what the object pointed to before


def records_of(target: FastCallable) -> tuple[Record, ...]:
    """What the last `point_to` installed."""
    kept = getattr(target, "_kept", None)
    return kept[0] if kept else ()


def _is_laid_out_as_expected(cls: type) -> bool:
    flags = ctypes.c_ulong.from_address(id(cls) + _TYPE_FLAGS).value
    offset = ctypes.c_ssize_t.from_address(id(cls) + _TYPE_VECTORCALL_OFFSET).value
    return flags == cls.__flags__ and offset == VECTORCALL_OFFSET
