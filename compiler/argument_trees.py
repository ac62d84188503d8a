"""Containers as arguments: dicts, lists, tuples and objects that hold arrays.

In: one argument's value. Out: the specs and values of its leaves, each under a name of its own
(``params['W1']``, ``state.h``), and a `Tree` under the argument's name that says how the leaves
make up the container. Below this, a leaf is an argument like any other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MemberDescriptorType
from typing import Any, Final

import numpy as np
from msgspec import Struct

from tilewright.compiler.arguments import describe, device_target
from tilewright.compiler.converted_arguments import is_array_like, is_leaf
from tilewright.ir.element_types import ElementType
from tilewright.ir.errors import DTypeError, LimitError
from tilewright.ir.signature import ArgumentSpec, ArraySpec, StaticSpec

_MOST_LEVELS: Final = 32
_PLAIN: Final = (bool, int, float, str, bytes, type(None))
_OTHERS: Final = frozenset(("builtins", "functools", "numpy", "scipy", "tilewright", "types"))
"""Where classes come from whose objects are not the user's to take apart."""


class Tree(Struct, frozen=True):
    """A container of `kind` that holds the arguments named `leaves` under `keys`.

    `form` is ``"dict"``, ``"sequence"``, ``"named"`` (a named tuple) or ``"object"``.
    """

    form: str
    kind: type
    keys: tuple[Any, ...]
    leaves: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{self.kind.__name__} of {len(self.leaves)}"


def is_tree(value: Any, level: int = 0) -> bool:
    """Whether an argument is taken apart: it is a container, and not one that means an array."""
    kind = type(value)
    if kind in (np.ndarray, int, float, bool, str) or value is None:
        return False
    if isinstance(value, dict):
        return True
    if isinstance(value, (list, tuple)):
        too_deep = level > _MOST_LEVELS
        return too_deep or any(_is_array(v) or is_tree(v, level + 1) for v in value)
    has_fields = hasattr(kind, "__dataclass_fields__") and not isinstance(value, type)
    return is_object(value) or (has_fields and is_users(kind))


def is_object(value: Any) -> bool:
    """Whether `value` is an object of a class that the user wrote, kept by its attributes."""
    kind = type(value)
    if isinstance(value, (type, np.ndarray, np.generic)):
        return False
    if not hasattr(value, "__dict__") and not slots_of(kind):
        return False
    if device_target(value) is not None or is_array_like(value):
        return False
    is_made_plainly: Any = kind.__new__ is object.__new__  # type: ignore[comparison-overlap]
    return is_made_plainly and type(kind) is type and is_users(kind)


def slots_of(kind: type) -> tuple[str, ...]:
    """The names of the attributes that objects of a class written in Python have in slots."""
    return tuple(
        name
        for base in reversed(kind.__mro__)
        if "__slots__" in vars(base)
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType)
    )


class SlotAttributes(Mapping[str, Any]):
    """The attributes that an object has now, some of them in slots."""

    __slots__ = ("_names", "_value")

    def __init__(self, value: Any, slots: tuple[str, ...]) -> None:
        self._value = value
        self._names = slots

    def __getitem__(self, name: str) -> Any:
        if name in self._names and hasattr(self._value, name):
            return getattr(self._value, name)
        return getattr(self._value, "__dict__", {})[name]

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._names if hasattr(self._value, name))
        yield from getattr(self._value, "__dict__", ())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def attributes_of(value: Any) -> Mapping[str, Any]:
    """What an object holds, as it is when it is read."""
    slots = slots_of(type(value))
    return SlotAttributes(value, slots) if slots else vars(value)


def is_users(kind: type) -> bool:
    """Whether a class is the user's, or of a library that is none of ours."""
    return kind.__module__.partition(".")[0] not in _OTHERS


def _is_array(value: Any) -> bool:
    specs = (np.ndarray, ArraySpec, ElementType)
    return isinstance(value, specs) or device_target(value) is not None


def described(
    value: Any, name: str, leaf: Callable[[Any, str], tuple[ArgumentSpec, Any]] = describe
) -> Iterable[tuple[str, ArgumentSpec, Any]]:
    """Name, spec and value of an argument, followed by those of its leaves if it is a container."""
    if is_tree(value):
        return _taken_apart(value, name, (), leaf)
    return ((name, *leaf(value, name)),)


def _taken_apart(
    value: Any,
    name: str,
    within: tuple[int, ...],
    leaf: Callable[[Any, str], tuple[ArgumentSpec, Any]],
) -> Iterator[tuple[str, ArgumentSpec, Any]]:
    if id(value) in within:
        raise DTypeError(f"argument {name!r} holds itself", help="pass the arrays that are needed")
    if len(within) > _MOST_LEVELS:
        raise LimitError(f"argument {name!r} is nested more than {_MOST_LEVELS} levels deep")
    form, items = _parts(value)
    paths = tuple(_path(name, form, key) for key, _ in items)
    tree = Tree(form, type(value), tuple(key for key, _ in items), paths)
    yield name, StaticSpec(tree), tree
    for path, (_, item) in zip(paths, items, strict=True):
        if is_tree(item):
            yield from _taken_apart(item, path, (*within, id(value)), leaf)
        else:
            yield (path, *leaf(item, path))


def _parts(value: Any) -> tuple[str, list[tuple[Any, Any]]]:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, (*_PLAIN, tuple)):
                raise DTypeError(f"a dict with keys of type {type(key).__name__} is no argument")
        return "dict", list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "named", list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return "sequence", list(enumerate(value))
    held = attributes_of(value).items()
    return "object", [(k, v) for k, v in held if is_tree(v) or is_leaf(v)]


def _path(name: str, form: str, key: Any) -> str:
    return f"{name}.{key}" if form in ("named", "object") else f"{name}[{key!r}]"


def assembled(
    tree: Tree, leaf: Callable[[str], Any], made: Callable[[type, Mapping[str, Any]], Any]
) -> Any:
    """The container with `leaf(name)` for each of its leaves; `made` makes objects."""
    values = [leaf(name) for name in tree.leaves]
    if tree.form == "object":
        return made(tree.kind, dict(zip(tree.keys, values, strict=True)))
    if tree.form == "named":
        return tree.kind(*values)
    if tree.form == "dict":
        kind = OrderedDict if issubclass(tree.kind, OrderedDict) else dict
        return kind(zip(tree.keys, values, strict=True))
    return tuple(values) if issubclass(tree.kind, tuple) else values


def leaf_names(specs: Mapping[str, ArgumentSpec], name: str) -> Iterator[str]:
    """The names of all that the argument `name` is made of, its own first."""
    yield name
    spec = specs.get(name)
    if isinstance(spec, StaticSpec) and isinstance(spec.value, Tree):
        for leaf in spec.value.leaves:
            yield from leaf_names(specs, leaf)


def object_parts(value: Any) -> dict[str, Any] | None:
    """The fields of a dataclass's instance; None for other values."""
    fields = getattr(type(value), "__dataclass_fields__", None)
    return None if fields is None else {name: getattr(value, name) for name in fields}
