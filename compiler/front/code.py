"""What a code object reads by name, and what it is, apart from the names' values."""

from __future__ import annotations

import dis
from types import CodeType

from msgspec import Struct

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"})
_REFUSED = frozenset({"IMPORT_NAME", "IMPORT_STAR", "LOAD_BUILD_CLASS", "STORE_GLOBAL"})


class DoubtError(Exception):
    """Something that a fingerprint cannot sum up, so that the function has none."""


class Names(Struct, frozen=True):
    """Names in the order of their first use, those of nested functions included."""

    read: tuple[str, ...]
    attributes: tuple[str, ...]


def names_of(code: CodeType) -> Names:
    """The global names and the attribute names that `code` may read."""
    read: dict[str, None] = {}
    attributes: dict[str, None] = {}
    todo = [code]
    while todo:
        part = todo.pop()
        for instruction in dis.get_instructions(part):
            if instruction.opname in _GLOBAL:
                read[instruction.argval] = None
            elif instruction.opname in _ATTRIBUTE:
                attributes[instruction.argval] = None
            elif instruction.opname in _REFUSED:
                raise DoubtError(instruction.opname)
        todo += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    return Names(tuple(read), tuple(attributes))


def facts_of(code: CodeType) -> tuple[object, ...]:
    """Everything about `code` but its constants. Lines too: error messages name them."""
    return (
        code.co_name,
        code.co_filename,
        code.co_firstlineno,
        code.co_linetable,
        getattr(code, "co_exceptiontable", b""),
        code.co_code,
        code.co_flags,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
    )
