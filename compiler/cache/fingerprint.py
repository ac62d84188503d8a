"""A function and the types of its arguments -> a digest of all that tracing them would read.

Two processes that find the same digest would trace the same graph. So the digest covers bytecode,
constants, defaults and captured values, and the same of every Python function that can be reached
by name; arrays with all their elements. NumPy, `math` and our own functions stand for themselves,
by name: their versions are parts of the key. Whatever else is met, or might be reached in a way
that names do not tell (`getattr`, imports, objects of the user's classes), is a `DoubtError`: such
a function is traced in each process.
"""

from __future__ import annotations

import builtins
import functools
import sys
from opcode import EXTENDED_ARG, opmap, opname
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tilewright.compiler.cache.dependencies import Dependencies
from tilewright.compiler.cache.store import new_digest
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tilewright.ir.expr import Var


class DoubtError(Exception):
    """Something that a fingerprint cannot sum up, so that the function has none."""


_SINCE_3_12: Final = int(sys.version_info >= (3, 12))
# Instructions whose argument is the number of a name, and by how many bits flags have shifted it.
_GLOBALS: Final = {"LOAD_GLOBAL": 1, "LOAD_NAME": 0}
_ATTRIBUTES: Final = {
    **{"LOAD_ATTR": _SINCE_3_12, "LOAD_METHOD": _SINCE_3_12},
    **{"LOAD_SUPER_ATTR": 2, "IMPORT_FROM": 0},
}
_REFUSED: Final = ("IMPORT_NAME", "IMPORT_STAR", "LOAD_BUILD_CLASS", "STORE_GLOBAL")


def _numbered(shifts: dict[str, int]) -> dict[int, int]:
    return {opmap[name]: shift for name, shift in shifts.items() if name in opmap}


_GLOBAL_CODES: Final = _numbered(_GLOBALS)
_ATTRIBUTE_CODES: Final = _numbered(_ATTRIBUTES)
_REFUSED_CODES: Final = frozenset(_numbered(dict.fromkeys(_REFUSED, 0)))


def instructions_of(code: CodeType) -> Iterator[tuple[int, int, int]]:
    """Offset, operation and argument of each instruction; `dis` takes 5 us for one."""
    data = code.co_code
    argument = 0
    for offset in range(0, len(data), 2):
        argument = argument << 8 | data[offset + 1]
        if data[offset] != EXTENDED_ARG:
            yield offset, data[offset], argument
            argument = 0


def names_of(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The global names and the attribute names that `code` may read, in the order of their first
    use, those of nested functions included."""
    read: dict[str, None] = {}
    attributes: dict[str, None] = {}
    todo = [code]
    while todo:
        part = todo.pop()
        names = part.co_names
        for _, operation, argument in instructions_of(part):
            if operation in _GLOBAL_CODES:
                read[names[argument >> _GLOBAL_CODES[operation]]] = None
            elif operation in _ATTRIBUTE_CODES:
                attributes[names[argument >> _ATTRIBUTE_CODES[operation]]] = None
            elif operation in _REFUSED_CODES:
                raise DoubtError(opname[operation])
        todo += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    return tuple(read), tuple(attributes)


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


_TRUSTED: Final = frozenset({"numpy", "scipy", "math", "tilewright", "itertools"})
# What reads files, clocks or a generator's state; tracing may or may not refuse it.
_UNTRUSTED_NAMES: Final = frozenset(
    ("random", "load", "loadtxt", "fromfile", "genfromtxt", "memmap", "fromregex", "lib")
)
_BUILTINS: Final = frozenset(
    (
        *("abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "filter", "float"),
        *("int", "isinstance", "len", "list", "map", "max", "min", "pow", "range", "reversed"),
        *("round", "slice", "sorted", "str", "sum", "tuple", "zip", "ValueError", "TypeError"),
        *("AssertionError", "IndexError", "KeyError", "NotImplementedError", "RuntimeError"),
    )
)
_INDEX_TRICKS: Final = (np.mgrid, np.ogrid, np.r_, np.c_, np.s_, np.index_exp)
_MOST_ITEMS: Final = 10_000
_MOST_BYTES: Final = 64 << 20


class Fingerprint:
    """The digest, and the values from outside that went into it."""

    def __init__(self) -> None:
        self.dependencies = Dependencies()
        self._digest = new_digest()
        self._functions: dict[FunctionType, int] = {}
        self._symbols: dict[Var, int] = {}
        self._modules: set[tuple[str, tuple[str, ...]]] = set()
        self._within: set[int] = set()

    def hexdigest(self) -> str:
        """The digest of what was added so far."""
        return self._digest.hexdigest()

    def add_specs(self, specs: Mapping[str, ArgumentSpec]) -> None:
        """The types of a call's arguments; open dimensions are told apart by their numbers."""
        for name, spec in specs.items():
            if isinstance(spec, ArraySpec):
                self._write("array", f"{name}:{spec.dtype.short}:{len(spec.shape)}")
                for size in spec.shape:
                    self._size(size)
            elif isinstance(spec, ScalarSpec):
                self._write("scalar", f"{name}:{spec.kind}")
            else:
                self._write("static", name)
                self.add(spec.value)

    def _size(self, size: int | Var) -> None:
        if isinstance(size, int):
            self._write("size", str(size))
            return
        number = self._symbols.setdefault(size, len(self._symbols))
        self._write("open", f"{number}:{size.least}:{size.name}")

    def add(self, value: object) -> None:
        """Any value that a traced function may read."""
        kind = type(value)
        if value is None or value is Ellipsis or kind in (bool, int, str, bytes):
            self._write(kind.__name__, repr(value))
        elif kind in (float, complex):
            self._bytes(kind.__name__, np.array(value).tobytes())
        elif isinstance(value, FunctionType):
            if not _is_trusted(value):
                self.add_function(value)
            else:
                self._write("name", f"{value.__module__}.{value.__name__}")
                self.add(sys.modules[value.__module__])
        elif isinstance(value, ModuleType):
            self._write("module", f"{value.__name__} {_version(value)}")  # the rest by name
        elif kind in (list, tuple, dict, frozenset, slice):
            self._container(value)
        else:
            self._other(value)

    def add_function(self, function: FunctionType) -> None:
        """A function of the user's: its code, and what its code reads."""
        if function in self._functions:
            self._write("function", str(self._functions[function]))
            return
        self._functions[function] = len(self._functions)
        if any(not name.startswith("__") for name in vars(function)):
            raise DoubtError("a function with attributes of its own")
        code = function.__code__
        self._code(code)
        self.dependencies.add_function(function)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        names, attributes = names_of(code)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                raise DoubtError(f"{name} is not assigned yet") from None
            self._named(name, value, attributes)
            self.dependencies.add(f"closure of {function.__name__}", name, cell, value)
        home = function.__globals__
        for name in names:
            if name in home:
                value = home[name]
                self._named(name, value, attributes)
                where = f"global of {home.get('__name__', '')}"
                self.dependencies.add(where, name, home, value)
            elif name in _BUILTINS:
                self._write("builtin", name)
            else:
                raise DoubtError(f"the name {name}")

    def _named(self, name: str, value: object, attributes: tuple[str, ...]) -> None:
        self._write("named", name)
        self.add(value)
        if isinstance(value, ModuleType):
            self._module(value, attributes)

    def _module(self, module: ModuleType, attributes: tuple[str, ...]) -> None:
        """What code with these attribute names may read from a module."""
        key = (module.__name__, attributes)
        if key in self._modules:
            return
        self._modules.add(key)
        trusted = _root(module.__name__) in _TRUSTED
        content = vars(module)
        if not trusted and "__getattr__" in content:
            raise DoubtError(f"module {module.__name__} makes its names")
        for name in attributes:
            if trusted and name in _UNTRUSTED_NAMES:
                raise DoubtError(f"{module.__name__}.{name}")
            if name not in content:
                continue
            value = content[name]
            if trusted and (_is_trusted(value) or _is_element_type(value)):
                continue  # whether our lazy names are there already must not matter
            if not trusted or not isinstance(value, ModuleType):
                self._named(name, value, attributes)
            else:
                self._module(value, attributes)
            if not trusted:
                self.dependencies.add(f"module {module.__name__}", name, content, value)

    def _code(self, code: CodeType) -> None:
        self._write("code", repr(facts_of(code)))  # plain data: what differs is written differently
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant)
            else:
                self.add(constant)

    def _container(self, value: Any) -> None:
        if id(value) in self._within:
            raise DoubtError("a container that holds itself")
        if isinstance(value, slice):
            items: list[Any] = [value.start, value.stop, value.step]
        elif isinstance(value, dict):
            items = [part for pair in value.items() for part in pair]
        else:
            items = sorted(value, key=repr) if isinstance(value, frozenset) else list(value)
        if len(items) > _MOST_ITEMS:
            raise DoubtError("a large container")
        self._write(type(value).__name__, str(len(items)))
        self._within.add(id(value))
        for item in items:
            if isinstance(item, ModuleType):
                raise DoubtError("a module in a container")
            self.add(item)
        self._within.discard(id(value))

    def _other(self, value: Any) -> None:
        kind = type(value)
        if kind is np.ndarray or isinstance(value, np.generic):
            self._array(value)
        elif isinstance(value, np.dtype):
            if value.hasobject:
                raise DoubtError("a dtype of objects")
            self._write("dtype", value.str)
        elif kind is functools.partial:
            self._write("partial", "")
            self.add(value.func)
            self.add(value.args)
            self.add(value.keywords)
        elif kind.__module__ == "tilewright.compiler.api":
            self.add(value.python)  # another kernel: its function becomes part of this one
        elif _is_trusted(value):
            home = _home(value)
            self._write("name", f"{home}.{value.__name__}")
            if home and home in sys.modules:
                self.add(sys.modules[home])
        elif any(value is trick for trick in _INDEX_TRICKS):
            self._write("trick", str([value is trick for trick in _INDEX_TRICKS]))
        elif _is_element_type(value):
            self._write("element", value.dtype.short)
        else:
            self._tree(value)

    def _tree(self, value: Any) -> None:
        from tilewright.compiler.argument_trees import Tree  # only where containers are arguments

        if not isinstance(value, Tree) or value.kind not in (dict, list, tuple):
            raise DoubtError(f"a {type(value).__name__}")
        self._write("tree", value.kind.__name__)
        self.add(value.keys)
        self.add(value.leaves)

    def _array(self, array: Any) -> None:
        if array.dtype.hasobject or array.nbytes > _MOST_BYTES:
            raise DoubtError(f"an array of {array.dtype}")
        self._write(type(array).__name__, f"{array.dtype.str}:{array.shape}")
        self._bytes("elements", array.tobytes())

    def _write(self, kind: str, text: str) -> None:
        self._bytes(kind, text.encode("utf-8", "surrogatepass"))

    def _bytes(self, kind: str, data: bytes) -> None:
        """Kind and length go in too, so that parts cannot be mistaken for others."""
        self._digest.update(f"{kind} {len(data)}:".encode())
        self._digest.update(data)


def _is_element_type(value: Any) -> bool:
    return type(value).__module__ == "tilewright.ir.element_types"


def _version(module: ModuleType) -> str:
    return str(getattr(sys.modules.get(_root(module.__name__)), "__version__", ""))


def _root(name: str) -> str:
    return name.partition(".")[0]


def _home(value: Any) -> str:
    """The module in which a function or class says that it was defined."""
    if isinstance(value, np.ufunc):
        special = sys.modules.get("scipy.special")
        known = special is not None and getattr(special, value.__name__, None) is value
        return "scipy.special" if known else "numpy"
    return str(getattr(value, "__module__", None) or "")


def _is_trusted(value: Any) -> bool:
    """Whether `value` is what its name says, in a module whose version is a part of the key."""
    if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType):
        return False
    name = getattr(value, "__name__", None)
    if not isinstance(name, str) or name in _UNTRUSTED_NAMES:
        return False
    home = _home(value)
    if home == "builtins":
        return name in _BUILTINS and getattr(builtins, name) is value
    if home in ("functools", "_functools"):
        return value is functools.reduce or value is functools.partial
    if _root(home) not in _TRUSTED:
        return False
    return getattr(sys.modules.get(home), name, None) is value
