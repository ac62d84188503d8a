"""Objects of the user's classes under tracing: their attributes and methods are translated.

In: an object's class and where its attributes come from. Out: an object of a subclass that reads
through to that source; its methods are rebuilt over shadow globals like any other function. It
cannot be written to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CodeType, MemberDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tilewright.compiler.argument_trees import attributes_of, is_object, is_users
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.rebind import python_function
from tilewright.ir.errors import TraceError

if TYPE_CHECKING:
    from tilewright.compiler.trace.rebind import Rebinder

# Called when objects are made, copied or printed, or by our own class: not by the kernel's code.
_KEPT: Final = frozenset(
    (
        *("__new__", "__init__", "__post_init__", "__init_subclass__", "__class_getitem__"),
        *("__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__del__"),
        *("__repr__", "__str__", "__format__", "__hash__", "__reduce__", "__reduce_ex__"),
    )
)
_SOURCE: Final = "__tilewright_source__"

Read = Callable[[str], Any]


def traced_object(rebinder: Rebinder, kind: type, attributes: Mapping[str, Any], read: Read) -> Any:
    """An object of `kind` whose attributes are `attributes`, each passed through `read(name)`.

    A name that is not among them, but in the class, goes to `read` too, so that it is remembered.
    """
    made: Any = object.__new__(_traced_class(rebinder, kind))
    object.__setattr__(made, _SOURCE, (rebinder, kind, attributes, read))
    return made


def class_constants(kind: type) -> Iterator[tuple[type, str, Any]]:
    """The data that a class of the user's holds, and which of its bases holds it."""
    if not is_users(kind) or hasattr(kind, "__members__"):
        return
    for base in kind.__mro__[:-1]:
        for name, member in list(vars(base).items()):
            if not name.startswith("__") and not hasattr(member, "__get__"):
                yield base, name, member


def held_by_class(
    kind: type, home: Callable[[type], Mapping[str, Any]], package: str
) -> Iterator[tuple[str, str, Mapping[str, Any], Any]]:
    """What code may read through a class: where it is, its name, what holds it, and the value.

    That is the class's data, the same of classes and objects in it, and the data among the globals
    of its functions. Classes of other packages than `package` count by their own data only.
    """
    seen: set[int] = set()
    waiting: list[Any] = [kind]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        found: list[tuple[str, str, Mapping[str, Any], Any]]
        if isinstance(item, type):
            where = f"class {item.__name__}"
            found = [(where, n, home(b), v) for b, n, v in class_constants(item)]
            if item.__module__.partition(".")[0] == package:
                found += _globals_of_functions(item)
        else:
            where = f"object of class {type(item).__name__}"
            home_of_item = attributes_of(item)
            found = [(where, name, home_of_item, value) for name, value in home_of_item.items()]
        yield from found
        waiting += [v for *_, v in found if isinstance(v, type) or is_object(v)]


def _globals_of_functions(kind: type) -> list[tuple[str, str, Mapping[str, Any], Any]]:
    """The data that functions of a class read from the globals of their module."""
    found: list[tuple[str, str, Mapping[str, Any], Any]] = []
    for member in vars(kind).values():
        function = python_function(getattr(member, "__func__", getattr(member, "fget", member)))
        if function is not None:
            home = function.__globals__
            where = f"global of {home.get('__name__', '')}"
            names = [n for n in _names(function.__code__) if n in home]
            found += [(where, n, home, home[n]) for n in names if _is_data(home[n])]
    return found


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_data(value: Any) -> bool:
    return not callable(value) and not isinstance(value, ModuleType)


def _traced_class(rebinder: Rebinder, kind: type) -> type:
    if kind not in rebinder.classes:
        operators = {
            name: _late(rebinder, member)
            for base in reversed(kind.__mro__[:-1])
            for name, member in vars(base).items()
            if name.startswith("__") and name not in _KEPT and python_function(member)
        }
        namespace = {
            **operators,
            "__getattribute__": _get,
            "__setattr__": _refuse,
            "__delattr__": _refuse,
            _SOURCE: None,
        }
        rebinder.classes[kind] = type(kind.__name__, (kind,), namespace)
    return rebinder.classes[kind]


def _late(rebinder: Rebinder, function: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: rebinder.translate(function)(*args, **kwargs)


def _get(self: Any, name: str) -> Any:
    rebinder, kind, attributes, read = object.__getattribute__(self, _SOURCE)
    if name == "__class__":
        return kind
    if name == "__dict__":
        return {n: read(n) for n in attributes}
    base, member = _member(kind, name)
    if isinstance(member, property):
        return rebinder.translate(member.fget)(self)
    if name in attributes:
        return read(name)
    if base not in (None, object) and not name.startswith("__"):
        read(name)
    if isinstance(member, MemberDescriptorType):
        return object.__getattribute__(self, name)  # an empty slot
    if python_function(member) is not None:
        return MethodType(rebinder.translate(member), self)
    if isinstance(member, staticmethod):
        return rebinder.translate(member.__func__, name)
    if isinstance(member, classmethod):
        return MethodType(rebinder.translate(member.__func__), kind)
    if base in (None, object):
        return object.__getattribute__(self, name)
    if not name.startswith("__"):
        where = f"class {kind.__name__}"
        rebinder.dependencies.add(where, name, rebinder.class_home(base), member)
    return rebinder.translate(member, f"{kind.__name__}.{name}")


def _member(kind: type, name: str) -> tuple[type | None, Any]:
    """What the class says about an attribute, and which of its bases says so."""
    for base in kind.__mro__:
        if name in vars(base):
            return base, vars(base)[name]
    return None, None


def _refuse(self: Any, name: str, *_: Any) -> NoReturn:
    raise failure(
        TraceError,
        f"the kernel changes the attribute {name!r} of an object that lives outside of it",
        help="a compiled kernel runs without Python objects: return the value instead",
    )
