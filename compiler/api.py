"""The decorator, and kernels as users hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from types import MethodType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tilewright.codegen_cpu.fast_callable import FastCallable
from tilewright.compiler import collections_paused
from tilewright.compiler.arguments import LEAF_TYPES, Binder, contiguous, describe, device_target
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import (
    NUMERICS,
    BuildOptions,
    check_target,
    has_open_dimensions,
    shown_mode,
)
from tilewright.ir.signature import ArgumentSpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    from tilewright.compiler.compiled import Compiled
    from tilewright.compiler.declared_arguments import DeclaredArguments
    from tilewright.compiler.specialization import Specialization
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.schedule import Schedule
    from tilewright.ir.signature import ArraySpec

_MANY_SPECIALIZATIONS = 32

Key = tuple[object, ...]


class Kernel(FastCallable):
    """A function that is compiled at its first call with arguments of new dtypes or shapes.

    Calling it takes and returns NumPy arrays. `python` is the undecorated function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        target: str = "cpu",
        options: BuildOptions | None = None,
        declared: Mapping[str, Any] | None = None,
        bound: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(function, Kernel):
            from tilewright.ir.errors import TraceError

            raise TraceError(f"{function.__name__!r} is decorated twice", help="decorate it once")
        if not callable(function) or not hasattr(function, "__code__"):
            from tilewright.compiler.trace.inspect_code import no_function

            raise no_function(function)
        self.python = function
        self.target = check_target(target)
        self.options = options or BuildOptions()
        self.bound = dict(bound or {})
        self.__name__: str = function.__name__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function
        self._binder = Binder(function, self.bound)
        self.__signature__ = self._binder.signature
        self._declared_given = dict(declared or {})
        self._declared = self._checked(self._declared_given)
        self._compiled: dict[Key, Specialization] = {}
        self._needed_scalars: dict[Key, tuple[str, ...]] = {}
        self._others: dict[str, Kernel] = {}
        self._called_again: set[Key] = set()

    def _checked(self, declared: Mapping[str, Any]) -> DeclaredArguments | None:
        """What the decorator was told about the arguments, if anything."""
        if not declared:
            return None
        from tilewright.compiler.declared_arguments import DeclaredArguments

        return DeclaredArguments(declared, self._binder.all_names)

    # Calling.

    def __call__(self, /, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Run on NumPy arrays; `out` receives the result (a tuple of arrays for several).

        Where the function itself has a parameter `out` without a default, it means that one.
        """
        if self._binder.takes_out and out is not None:
            kwargs["out"], out = out, None
        values, specs = self._describe(args, kwargs)
        compiled = self._specialization(values, specs)
        interface = compiled.interface
        inputs = [contiguous(values[n], interface.specs[n], n) for n in interface.input_names]
        if any(device_target(i) for i in inputs):
            from tilewright.compiler.device_arrays import call_on_device

            return call_on_device(self, compiled, inputs, out)
        if out is None:
            return compiled.result(compiled.run(inputs))
        from tilewright.compiler.results import place_outputs

        return place_outputs(compiled, inputs, out)

    def _describe(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, ArgumentSpec]]:
        values: dict[str, Any] = {}
        specs: dict[str, ArgumentSpec] = {n: StaticSpec(v) for n, v in self.bound.items()}
        for argument, given in self._binder.bind(args, kwargs).items():
            for name, found, value in _described(given, argument):
                values[name] = value
                specs[name] = self._declared.apply(name, found) if self._declared else found
        if self._declared and not has_open_dimensions(self.target):
            specs = self._declared.closed(specs, values)
        return values, specs

    def _specialization(
        self, values: Mapping[str, Any], specs: Mapping[str, ArgumentSpec]
    ) -> Specialization:
        types = _key(specs)
        needed = self._needed_scalars.get(types, ())
        key = (types, *(_value_key(values[n]) for n in needed))
        found = self._compiled.get(key)
        if found is not None and not found.is_stale():
            if key not in self._called_again:
                self._prepare_fast_calls(key, found, needed)
            return found
        with runtime().lock:
            found = self._compiled.get(key)
            if found is not None and not found.is_stale():
                return found
            return self._compile(types, values, specs)

    def _prepare_fast_calls(
        self, key: Key, compiled: Specialization, needed: tuple[str, ...]
    ) -> None:
        """From the second call on calls are worth a path in machine code."""
        self._called_again.add(key)
        if self._binder.by_position and not needed:
            with runtime().lock:
                from tilewright.compiler.fast_path import install

                install(self, compiled, self._binder.names, runtime())

    def _compile(
        self, types: Key, values: Mapping[str, Any], specs: Mapping[str, ArgumentSpec]
    ) -> Specialization:
        begin = perf_counter()
        compiled = self._load_or_compile(values, specs)
        compiled.seconds = perf_counter() - begin
        needed = tuple(n for n in specs if n in compiled.interface.specialized)
        self._needed_scalars[types] = needed
        key = (types, *(_value_key(values[n]) for n in needed))
        self._compiled[key] = compiled
        self._called_again.discard(key)
        if len(self._compiled) == _MANY_SPECIALIZATIONS:
            from tilewright.compiler.respecialization import warn_of_many

            warn_of_many(self)
        return compiled

    def _load_or_compile(
        self, values: Mapping[str, Any], specs: Mapping[str, ArgumentSpec]
    ) -> Specialization:
        """From the disk cache without tracing, or else by tracing; only then it is imported."""
        scalars = scalars_of(values, specs)

        def traced() -> Traced:
            from tilewright.compiler.driver import trace_for

            return trace_for(self.python, specs, scalars, self.target, runtime())

        with collections_paused():
            from tilewright.compiler.cache.entries import Request, front_key, load_front

            stamp = runtime().tuning_stamp() if self.options.schedules is None else (0, 0)
            request = Request(self.python, specs, scalars, self.target, self.options, stamp)
            key = front_key(request, runtime().cache)
            found = load_front(request, key, runtime(), traced) if key else None
            if found is not None:
                _ = found.executable  # which the call needs next
        if found is not None:
            return found
        from tilewright.compiler.driver import compile_traced

        compiled = compile_traced(traced(), self.target, self.options, runtime())
        if key:
            from tilewright.compiler.cache.store_entry import store_front

            store_front(request, key, compiled, runtime())
        return compiled

    # Other forms of the same kernel.

    def on(self, target: str) -> Kernel:
        """The same kernel on another target: "cpu", "wgsl", "glsl" or "wasm"."""
        if target == self.target:
            return self
        if target not in self._others:
            self._others[target] = self._variant(target=check_target(target))
        return self._others[target]

    def bind(self, /, **values: Any) -> Kernel:
        """The kernel with some arguments fixed; their arrays are copied and become constants."""
        for name in values:
            if name not in self._binder.all_names:
                from tilewright.ir.errors import TraceError

                known = ", ".join(self._binder.all_names)
                raise TraceError(f"the kernel has no argument {name!r}", help=f"they are {known}")
        frozen = {n: _frozen(v) for n, v in values.items()}
        return self._variant(bound={**self.bound, **frozen})

    def _variant(self, **changes: Any) -> Kernel:
        given: dict[str, Any] = {
            "target": self.target,
            "options": self.options,
            "declared": self._declared_given,
            "bound": self.bound,
        }
        return Kernel(self.python, **{**given, **changes})

    def compile(self, /, *specs: Any, target: str | None = None, **named: Any) -> Compiled:
        """Compile ahead of time for arguments of these specs; needs no device.

        Arguments that the decorator declares may be left out.
        """
        from tilewright.compiler.compiled import compile_ahead

        return compile_ahead(self, specs, named, target or self.target)

    @property
    def declared(self) -> Mapping[str, ArraySpec]:
        """The specs that the decorator declares, by argument."""
        return self._declared.specs if self._declared else {}

    @property
    def on_other_targets(self) -> tuple[Kernel, ...]:
        """The kernels that `on` has made from this one."""
        return tuple(self._others.values())

    @property
    def specializations(self) -> tuple[Specialization, ...]:
        """What has been compiled so far."""
        return tuple(self._compiled.values())

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As a method: the object is the first argument, and its attributes are taken apart."""
        return self if instance is None else MethodType(self, instance)

    # Kernels are copied and pickled as functions are.

    def __reduce__(self) -> str | tuple[Any, ...]:
        from tilewright.compiler.saved.pickled import reduce_kernel

        return reduce_kernel(self)

    def __copy__(self) -> Kernel:
        return self

    def __deepcopy__(self, memo: object) -> Kernel:
        return self

    def _repr_html_(self) -> str:
        from tilewright.compiler.display import kernel_html

        return kernel_html(self)

    def __repr__(self) -> str:
        name, mode = self.__name__, shown_mode(self.options)
        return f"<tilewright kernel {name}{self._binder.signature} on {self.target}{mode}>"


def _described(value: Any, name: str) -> Iterable[tuple[str, ArgumentSpec, Any]]:
    """Name, spec and value of an argument, and of the leaves of a container."""
    if type(value) in LEAF_TYPES:
        return ((name, *describe(value, name)),)
    from tilewright.compiler.argument_trees import described

    return described(value, name)


def _key(specs: Mapping[str, ArgumentSpec]) -> Key:
    return tuple(
        (n, type(s.value), _value_key(s.value)) if isinstance(s, StaticSpec) else (n, s)
        for n, s in specs.items()
    )


def _value_key(value: Any) -> object:
    """Static values by value where they can be told apart so, else by identity."""
    if isinstance(value, np.ndarray) and not value.shape:
        value = value[()]
    if isinstance(value, (tuple, str, bytes, bool, int, float, np.generic, type(None))):
        return repr(value)
    from tilewright.compiler.argument_trees import Tree

    return value if isinstance(value, Tree) else id(value)


def scalars_of(values: Mapping[str, Any], specs: Mapping[str, ArgumentSpec]) -> dict[str, Any]:
    """The arguments that are numbers, for whose values tracing may ask."""
    return {n: _number(v) for n, v in values.items() if _is_number(v, specs[n])}


def _is_number(value: object, spec: ArgumentSpec) -> bool:
    """Whether tracing may ask for the value of an argument."""
    if isinstance(spec, ScalarSpec):
        return True
    return isinstance(value, np.ndarray) and not value.shape and value.dtype.kind in "iub"


def _number(value: Any) -> Any:
    """A number, also where NumPy holds it in an array of rank 0."""
    return value[()] if isinstance(value, np.ndarray) else value


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
    return value


@overload
def kernel(function: Callable[..., Any], /) -> Kernel: ...


@overload
def kernel(
    *,
    target: str = ...,
    numerics: str = ...,
    f64: str = ...,
    schedule: Any = ...,
    **declared: Any,
) -> Callable[[Callable[..., Any]], Kernel]: ...


def kernel(
    function: Callable[..., Any] | None = None,
    /,
    *,
    target: str = "cpu",
    numerics: str = "accurate",
    f64: str = "error",
    schedule: Any = None,
    **declared: Any,
) -> Any:
    """Make a function a kernel: ``@tw.kernel`` or ``@tw.kernel(target=…, x=tw.f32[N, 3])``.

    `numerics` is ``"accurate"``, ``"reproducible"`` or ``"fast"`` (docs/numerics.md). `f64="f32"`
    lets targets without float64 compute such values in float32. Keyword arguments named as
    parameters declare their dtype and shape; dimensions made by `tw.dim` stay open.
    """
    for value, allowed, name in (
        (numerics, NUMERICS, "numerics"),
        (f64, ("error", "f32"), "f64"),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}; it may be {', '.join(map(repr, allowed))}")
    options = BuildOptions(numerics, f64, _checked_schedules(schedule))

    def decorate(plain: Callable[..., Any]) -> Kernel:
        return Kernel(plain, target=target, options=options, declared=declared)

    return decorate if function is None else decorate(function)


def _checked_schedules(given: Any) -> Mapping[str, Schedule] | None:
    if given is None:
        return None
    from tilewright.ir.schedule import Schedule

    fits = isinstance(given, Mapping) and all(
        isinstance(name, str) and isinstance(schedule, Schedule) for name, schedule in given.items()
    )
    if not fits:
        raise ValueError(
            f"schedule is {given!r}; it maps names of nests to schedules, as the attribute"
            " schedule of a compiled kernel does"
        )
    return dict(given)


__all__ = ["Kernel", "kernel"]
