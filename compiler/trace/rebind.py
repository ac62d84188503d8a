"""Running a user's function so that every name in it means its traced version.

The function is rebuilt with `types.FunctionType` over a shadow of its globals and of its closure.
Names are translated when they are first read: NumPy and `math` become namespaces of traced
functions, arrays become constants, Python helpers and other kernels are rebuilt in the same way.
Nothing of the user's is changed.
"""

from __future__ import annotations

import builtins
import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.argument_trees import attributes_of, is_object
from tilewright.compiler.cache.dependencies import MISSING, Dependencies
from tilewright.compiler.converted_arguments import other_meaning
from tilewright.compiler.trace.dispatch import IMPLEMENTATIONS
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.inner_kernels import InnerKernel
from tilewright.compiler.trace.inspect_code import check_code
from tilewright.compiler.trace.locations import ShadowGlobals, change_location
from tilewright.compiler.trace.namespaces import (
    IndexTrick,
    Namespace,
    NumpyFunction,
    NumpyUfunc,
    type_stand_in,
)
from tilewright.compiler.trace.outside import outside
from tilewright.compiler.trace.python_builtins import BUILTINS, REFUSED, TYPES
from tilewright.compiler.trace.registry import home_of
from tilewright.ir.errors import TraceError

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Tracer

_INDEX_TRICKS = (np.mgrid, np.ogrid, np.r_, np.c_, np.s_, np.index_exp)
_CONTAINER_LIMIT = 10_000


class Rebinder:
    """Rebuilds functions for one trace, each once."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.dependencies = Dependencies()
        self._functions: dict[FunctionType, FunctionType] = {}
        self._globals: dict[int, ShadowGlobals] = {}
        self._translated: dict[int, tuple[object, object]] = {}
        self._containers: list[tuple[str, Any, Any]] = []
        self.classes: dict[type, type] = {}
        self._class_homes: dict[type, Mapping[str, Any]] = {}
        self._package = ""

    def function(self, original: FunctionType) -> FunctionType:
        """`original` rebuilt over shadow globals and cells."""
        if original in self._functions:
            return self._functions[original]
        code = original.__code__
        check_code(code)
        self._package = self._package or (original.__module__ or "").partition(".")[0]
        self.dependencies.add_function(original)
        cells = tuple(CellType() for _ in original.__closure__ or ())
        rebuilt = FunctionType(
            code, self._shadow(original), original.__name__, original.__defaults__, cells
        )
        for name, value in vars(original).items():
            if not name.startswith("__"):  # such as __wrapped__
                where = f"function {original.__name__}"
                self.dependencies.add(where, name, vars(original), value)
                vars(rebuilt)[name] = self.translate(value, name)
        self._functions[original] = rebuilt  # before the cells: a function may be in its own
        where = f"closure of {original.__name__}"
        for name, old, new in zip(code.co_freevars, original.__closure__ or (), cells, strict=True):
            try:
                value = old.cell_contents
            except ValueError:
                continue  # assigned later, in the enclosing function
            self.dependencies.add(where, name, old, value)
            new.cell_contents = self.translate(value, name)
        if original.__defaults__:
            rebuilt.__defaults__ = tuple(
                self.translate(v, "a default") for v in original.__defaults__
            )
        if original.__kwdefaults__:
            rebuilt.__kwdefaults__ = {
                k: self.translate(v, k) for k, v in original.__kwdefaults__.items()
            }
        return rebuilt

    def _shadow(self, original: FunctionType) -> ShadowGlobals:
        real = original.__globals__
        if id(real) not in self._globals:
            shadow = ShadowGlobals()
            shadow.resolve = lambda name: self._resolve(real, name)
            shadow["__builtins__"] = {
                "__import__": functools.partial(self._import, real),
                "__build_class__": builtins.__build_class__,
            }
            shadow["__name__"] = real.get("__name__", "")
            self._globals[id(real)] = shadow
        return self._globals[id(real)]

    def _resolve(self, real: dict[str, Any], name: str) -> object:
        """What a global or built-in name means under tracing."""
        if name in real:
            module = real.get("__name__", "")
            self.dependencies.add(f"global of {module}", name, real, real[name])
            return self.translate(real[name], name)
        if name in REFUSED:
            raise failure(TraceError, f"{name}() cannot be compiled", help=REFUSED[name])
        if name in BUILTINS:
            return BUILTINS[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        from difflib import get_close_matches

        close = get_close_matches(name, [*real, *vars(builtins)], 1)
        raise failure(
            TraceError,
            f"name {name!r} is not defined",
            help=f"did you mean {close[0]!r}?" if close else None,
        )

    def _import(self, real: dict[str, Any], name: str, *rest: Any) -> object:
        """An ``import`` statement inside the function."""
        fromlist = rest[2] if len(rest) > 2 else ()
        level = rest[3] if len(rest) > 3 else 0
        module = builtins.__import__(name, real, None, fromlist or (), level)
        return self.translate(module, name)

    def translate(self, value: Any, name: str = "") -> Any:
        """What a value from outside means under tracing."""
        seen = self._translated.get(id(value))
        if seen is not None and seen[0] is value:
            return seen[1]
        result = self._translate(value, name)
        if result is not value:
            self._translated[id(value)] = (value, result)
        return result

    def _translate(self, value: Any, name: str) -> Any:
        if isinstance(value, ModuleType):
            return self._module(value)
        if type(value) is SimpleNamespace:
            return self._namespace(value)
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if type(value) in (list, tuple, dict):
            return self._container(value, name)
        refused = outside(value)
        if refused is not None:
            return refused
        if isinstance(value, type):
            return self._type(value)
        if isinstance(value, np.ufunc):
            return _of_scipy(value) or NumpyUfunc(value)
        if any(value is trick for trick in _INDEX_TRICKS):
            return IndexTrick(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.translate(v, name) for v in value))
        if is_object(value) and python_function(value) is None:
            return self._object(value)
        if isinstance(value, functools.partial):
            return functools.partial(
                self.translate(value.func),
                *map(self.translate, value.args),
                **{k: self.translate(v) for k, v in value.keywords.items()},
            )
        return self._callable(value)

    def _callable(self, value: Any) -> Any:
        if not callable(value):
            return value
        module = getattr(value, "__module__", None) or ""
        function = python_function(value)
        if function is not None and function is not value:
            return self._kernel(value, function)
        if home_of(value) or value in IMPLEMENTATIONS or module.split(".")[0] == "numpy":
            return NumpyFunction(value)
        if module == "math":
            from tilewright.compiler.trace.python_math import MATH

            return MATH.get(value.__name__, value)
        if module.startswith("scipy"):
            return _of_scipy(value) or value
        if isinstance(value, BuiltinFunctionType) and module == "builtins":
            return BUILTINS.get(value.__name__, value)
        if module.split(".")[0] == "tilewright":
            return value
        if function is not None:
            return self.function(function)
        if isinstance(value, MethodType):
            called = self.translate(value.__func__)
            if called is not value.__func__:
                return MethodType(called, self.translate(value.__self__, "self"))
        return value

    def _kernel(self, value: Any, function: FunctionType) -> InnerKernel:
        bound = getattr(value, "bound", None) or {}
        given = {name: self.translate(v, f"{name}, which is bound") for name, v in bound.items()}
        return InnerKernel(self.function(function), given)

    def _type(self, value: type) -> Any:
        if value in TYPES:
            return TYPES[value]
        if issubclass(value, np.generic) or value.__module__.split(".")[0] == "numpy":
            return type_stand_in(value)
        from tilewright.compiler.trace.objects import held_by_class

        for held in held_by_class(value, self.class_home, self._package):
            self.dependencies.add(*held)
        return value

    def _module(self, module: ModuleType) -> Any:
        root = module.__name__.split(".")[0]
        if root == "tilewright" or module in (sys, warnings):
            return module

        def read(name: str) -> Any:
            value = getattr(module, name)
            if root not in ("numpy", "math", "scipy"):
                self.dependencies.add(f"module {module.__name__}", name, vars(module), value)
            return self.translate(value, f"{module.__name__}.{name}")

        return Namespace(module, read)

    def _namespace(self, value: SimpleNamespace) -> Any:
        def read(name: str) -> Any:
            held = getattr(value, name)
            self.dependencies.add("namespace", name, vars(value), held)
            return self.translate(held, name)

        return Namespace(value, read)

    def _array(self, value: np.ndarray, name: str) -> Any:
        from tilewright.compiler.trace.operands import as_array

        if value.dtype.kind not in "biuf" or other_meaning(value) is not None:
            return value  # object, str, masked: an error where it meets a traced array
        handle = as_array(np.array(value))
        handle.cell.owner = f"captured array {name!r}"
        return handle

    def _container(self, value: Any, name: str) -> Any:
        if len(value) > _CONTAINER_LIMIT:
            return value
        if isinstance(value, dict):
            result: Any = {k: self.translate(v, f"{name}[{k!r}]") for k, v in value.items()}
        else:
            result = type(value)(self.translate(v, f"{name}[{i}]") for i, v in enumerate(value))
        if not isinstance(value, tuple):
            self.watch(name, result)
        return result

    def _object(self, value: Any) -> Any:
        from tilewright.compiler.trace.objects import traced_object

        attributes = attributes_of(value)
        where = f"object of class {type(value).__name__}"

        def read(name: str) -> Any:
            held = attributes.get(name, MISSING)
            self.dependencies.add(where, name, attributes, held)
            return self.translate(held, name)

        return traced_object(self, type(value), attributes, read)

    def made_object(self, kind: type, attributes: Mapping[str, Any]) -> Any:
        """An object of `kind` that holds values which are traced already."""
        from tilewright.compiler.trace.objects import traced_object

        return traced_object(self, kind, attributes, attributes.get)

    def class_home(self, kind: type) -> Mapping[str, Any]:
        """The attributes of a class, always the same mapping."""
        return self._class_homes.setdefault(kind, vars(kind))

    def watch(self, name: str, container: Any) -> None:
        """Have `check_unchanged` compare a list or dict with what it holds now."""
        self._containers.append((name, container, _snapshot(container)))

    def check_unchanged(self, code: CodeType, loc: Any) -> None:
        """Raise if the function of `code`, at `loc`, has changed a list or dict from outside."""
        for name, container, before in self._containers:
            after = _snapshot(container)
            if len(after) != len(before) or any(
                a is not b for a, b in zip(after, before, strict=True)
            ):
                raise TraceError(
                    f"the kernel changes {name!r}, which lives outside of it",
                    loc=change_location(code, name.partition("[")[0]) or loc,
                    help="a compiled kernel runs without Python: return the value instead",
                )


def _of_scipy(value: Any) -> Any:
    """The traced version of a function of scipy.special, or None."""
    if "scipy.special" not in sys.modules:
        return None
    from tilewright.compiler.trace.special import scipy_function

    return scipy_function(value)


def python_function(value: Any) -> FunctionType | None:
    """The function that calls of `value` run: itself, or that of another kernel."""
    if isinstance(value, FunctionType):
        return value
    inner = getattr(value, "python", None)
    if isinstance(value, MethodType) or not callable(value):  # methods show their function's
        return None
    return inner if isinstance(inner, FunctionType) else None


def _snapshot(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [part for item in container.items() for part in item]
    return list(container)


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether `function` is a Python function that can be rebuilt."""
    return isinstance(function, FunctionType) and isinstance(function.__code__, CodeType)
