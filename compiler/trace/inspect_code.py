"""What can be refused from a function's bytecode alone, with the line of the construct."""

from __future__ import annotations

import dis
import functools
import inspect
from types import CodeType, FunctionType
from typing import Any

from tilewright.compiler.cache.fingerprint import instructions_of
from tilewright.compiler.trace.locations import code_location
from tilewright.ir.errors import TraceError
from tilewright.ir.location import Location

_REFUSED = {
    "STORE_GLOBAL": ("assigns to the global {name!r}", "return the value instead"),
    "DELETE_GLOBAL": ("deletes the global {name!r}", "return values instead"),
    "STORE_ATTR": (
        "assigns to the attribute {name!r}",
        "a compiled kernel runs without Python objects: return the value instead",
    ),
    "DELETE_ATTR": ("deletes the attribute {name!r}", "return values instead"),
}
_OPCODES = {dis.opmap[name]: parts for name, parts in _REFUSED.items()}
_STORE_DEREF = dis.opmap["STORE_DEREF"]


def check_kernel(function: Any) -> FunctionType:
    """The Python function behind `function`, if it is one that can be compiled."""
    if not isinstance(function, FunctionType):
        kind = type(function).__name__
        if inspect.ismethod(function):
            raise TraceError(
                f"a bound method ({function.__qualname__}) cannot be a kernel",
                help=f"decorate it in its class, @tw.kernel above def {function.__name__}, or "
                "write a function",
            )
        raise TraceError(
            f"a kernel must be a Python function, not a {kind}",
            help="decorate a function that is defined with def or lambda",
        )
    code = function.__code__
    loc = Location(code.co_filename, code.co_firstlineno, function=code.co_name)
    flags = (
        (inspect.CO_ASYNC_GENERATOR, "is an async generator"),
        (inspect.CO_COROUTINE, "is an async function"),
        (inspect.CO_GENERATOR, "is a generator (it uses yield)"),
        (inspect.CO_VARARGS, "takes *args"),
        (inspect.CO_VARKEYWORDS, "takes **kwargs"),
    )
    for flag, what in flags:
        if code.co_flags & flag:
            raise TraceError(f"kernel {function.__name__!r} {what}", loc=loc, help=_help(function))
    return function


def no_function(given: object) -> TraceError:
    """The error of something that is given as a kernel's function and has no code of its own."""
    return TraceError(
        f"a kernel is made from a plain function, not from {type(given).__name__}",
        help=_instead_of(given),
    )


def _instead_of(given: object) -> str:
    if isinstance(given, str):
        return f"name the option: @tw.kernel(target={given!r})"
    if isinstance(given, functools.partial):
        name = getattr(given.func, "__name__", "f")
        return f"fix arguments of the kernel: tw.kernel({name}).bind(name=value)"
    if isinstance(given, (staticmethod, classmethod)):
        return f"put @{type(given).__name__} above @tw.kernel"
    if callable(given) and not isinstance(given, type):
        return "write a function that calls it: tw.kernel(lambda x: …)"
    return "put @tw.kernel directly above def"


def _help(function: FunctionType) -> str:
    if hasattr(function, "__wrapped__"):
        return "it is wrapped by another decorator: put that one above @tw.kernel"
    return "a kernel is a plain function that names its parameters and returns arrays"


def check_code(code: CodeType, own: frozenset[str] = frozenset()) -> None:
    """Raise for constructs that change something outside of the function.

    `own` are the variables of enclosing functions that are being traced too: nested functions
    may assign to those.
    """
    for offset, opcode, argument in instructions_of(code):
        if opcode in _OPCODES:
            _refuse(code, offset, _OPCODES[opcode], code.co_names[argument])
        elif opcode == _STORE_DEREF:
            name = _free_variable(code, argument)
            if name is not None and name not in own:
                parts = ("assigns to the outer variable {name!r}", "return the value instead")
                _refuse(code, offset, parts, name)
    inner = own | set(code.co_cellvars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not _is_class_body(constant):
            check_code(constant, inner | (set(code.co_freevars) & own))


def _is_class_body(code: CodeType) -> bool:
    return "__module__" in code.co_names and "__qualname__" in code.co_names


def _free_variable(code: CodeType, slot: int) -> str | None:
    """The name of the free variable in a slot of the frame, or None for the function's own."""
    locals_and_cells = [*code.co_varnames]
    locals_and_cells += [c for c in code.co_cellvars if c not in code.co_varnames]
    position = slot - len(locals_and_cells)
    return code.co_freevars[position] if 0 <= position < len(code.co_freevars) else None


def _refuse(code: CodeType, offset: int, parts: tuple[str, str], name: str) -> None:
    what, help = parts
    raise TraceError(
        f"{code.co_name!r} {what.format(name=name)}",
        loc=code_location(code, offset),
        help=help,
    )
