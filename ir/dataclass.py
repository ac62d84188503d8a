"""`dataclass`, `field` and `replace` as in the standard library, made in a twentieth of the time.

The standard decorator writes and compiles the source of up to nine methods per class: 0.3 ms, for
150 classes more than all else that happens until a small kernel has been called for the first
time. Here `__init__` is compiled when the first object is made, and the other methods are shared.
Type checkers see the standard names. So does whoever asks for `dataclasses.fields` or `asdict`:
the standard library describes a class when it is first asked to.

What our classes do not use is not there: ordering, keyword-only fields, `InitVar`, `ClassVar`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import get_annotations
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

T = TypeVar("T")
Type = type[Any]
Values = Callable[[Any], tuple[Any, ...]]

_MISSING: Final = object()


class _Field:
    """What `field` says about one: a default, or a function that makes it; whether it is shown."""

    __slots__ = ("default", "factory", "repr")

    def __init__(
        self,
        *,
        default: object = _MISSING,
        default_factory: Callable[[], object] | None = None,
        repr: bool = True,
    ) -> None:
        self.default = default
        self.factory = default_factory
        self.repr = repr


class _Init:
    """In the place of a class's `__init__`, until somebody looks at it."""

    __slots__ = ("frozen", "owner")

    def __init__(self, owner: Type, frozen: bool) -> None:
        self.owner = owner
        self.frozen = frozen

    def __get__(self, instance: object, owner: Type) -> Callable[..., None]:
        made = _make_init(self.owner, self.frozen)
        type.__setattr__(self.owner, "__init__", made)
        return made if instance is None else made.__get__(instance)  # type: ignore[no-any-return]


class _StandardFields:
    """In the place of a class's `__dataclass_fields__`, until somebody looks at it."""

    __slots__ = ("owner",)

    def __init__(self, owner: Type) -> None:
        self.owner = owner

    def __get__(self, instance: object, owner: Type) -> Mapping[str, Any]:
        import dataclasses

        rows: list[tuple[str, Any, Any]] = []
        for name, facts in self.owner.__tw_fields__.items():
            given: dict[str, Any] = {"repr": facts.repr}
            if facts.factory:
                given["default_factory"] = facts.factory
            elif facts.default is not _MISSING:
                given["default"] = facts.default
            rows.append((name, Any, dataclasses.field(**given)))
        standard: Any = dataclasses.make_dataclass(self.owner.__name__, rows)
        found: Mapping[str, Any] = standard.__dataclass_fields__
        type.__setattr__(self.owner, "__dataclass_fields__", found)
        return found


def _dataclass(
    cls: Any = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True
) -> Any:
    """See `dataclasses.dataclass`."""
    if cls is None:
        return lambda cls: _dataclass(cls, frozen=frozen, slots=slots, eq=eq)
    own = {name: _field_of(cls, name) for name in get_annotations(cls)}
    inherited: dict[str, _Field] = getattr(cls, "__tw_fields__", {})
    fields = {**inherited, **own}
    for name, facts in own.items():
        if slots or facts.default is _MISSING:
            if name in cls.__dict__:
                delattr(cls, name)
        else:
            setattr(cls, name, facts.default)
    if slots:
        cls = _with_slots(cls, [name for name in own if name not in inherited])
    given = set(cls.__dict__)
    methods = _methods(tuple(fields), [n for n, f in fields.items() if f.repr], frozen, eq)
    for name, method in methods.items():
        if name not in given or (name == "__hash__" and cls.__dict__[name] is None):
            setattr(cls, name, method)
    cls.__tw_fields__ = fields
    cls.__match_args__ = tuple(fields)  # type: ignore[misc]
    cls.__dataclass_fields__ = _StandardFields(cls)
    if "__init__" not in given:
        cls.__init__ = _Init(cls, frozen)
    return cls


def _replace(instance: T, /, **changes: Any) -> T:
    """See `dataclasses.replace`."""
    cls: Any = type(instance)
    for name in cls.__match_args__:
        if name not in changes:
            changes[name] = getattr(instance, name)
    made: T = cls(**changes)
    return made


def _field_of(cls: Type, name: str) -> _Field:
    given = cls.__dict__.get(name, _MISSING)
    return given if isinstance(given, _Field) else _Field(default=given)


def _with_slots(cls: Any, names: list[str]) -> Any:
    """The same class again, as slots are laid out when a class is made."""
    content = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
    made = type(cls)(cls.__name__, cls.__bases__, {**content, "__slots__": tuple(names)})
    made.__qualname__ = cls.__qualname__
    return made


def _methods(names: tuple[str, ...], shown: list[str], frozen: bool, eq: bool) -> dict[str, Any]:
    values = _values_of(names)

    def __repr__(self: Any) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({parts})"

    def __eq__(self: Any, other: object) -> Any:
        return (
            values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented
        )

    def __hash__(self: Any) -> int:
        return hash(values(self))

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return type(self), values(self)

    methods: dict[str, Any] = {"__repr__": __repr__}
    if eq:
        methods |= {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse, "__reduce__": __reduce__}
    return methods


def _values_of(names: tuple[str, ...]) -> Values:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _refuse(self: object, name: str, value: object = None) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to or delete field {name!r}")


def _make_init(cls: Any, frozen: bool) -> Any:
    """A function that sets each field, and then calls `__post_init__` where there is one."""
    scope: dict[str, Any] = {"missing": _MISSING, "set_any": object.__setattr__}
    parameters = ["self"]
    lines = []
    for name, facts in cls.__tw_fields__.items():
        value = name
        if facts.factory:
            scope[f"factory_{name}"] = facts.factory
            parameters.append(f"{name}=missing")
            value = f"factory_{name}() if {name} is missing else {name}"
        elif facts.default is not _MISSING:
            scope[f"default_{name}"] = facts.default
            parameters.append(f"{name}=default_{name}")
        else:
            parameters.append(name)
        lines.append(f"set_any(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n ".join(lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n {body}", scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass, field, replace = _dataclass, _Field, _replace
