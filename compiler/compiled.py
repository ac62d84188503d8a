"""Kernels compiled ahead of time: for given specs and a target, without arguments or a device."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tilewright.compiler.argument_trees import described
from tilewright.compiler.arguments import Binder, contiguous, describe
from tilewright.compiler.results import place_outputs
from tilewright.compiler.targets import check_target, shown_mode
from tilewright.ir.element_types import ElementType
from tilewright.ir.errors import DTypeError, ShapeError
from tilewright.ir.expr import Var
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec, StaticSpec

if TYPE_CHECKING:
    import os

    from tilewright.compiler.api import Kernel
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.schedule import Schedule


_LOOKS_LIKE_SPEC = re.compile(r"(bool|[iuf]\d+)\[.*\]$")


class Compiled:
    """One kernel for one set of argument types on one target.

    Calling it takes arrays of exactly these dtypes and shapes (open dimensions aside).
    """

    def __init__(self, name: str, specialization: Specialization, binder: Binder) -> None:
        self.__name__ = name
        self.specialization = specialization
        self._binder = binder

    def __call__(self, /, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Run on NumPy arrays; `out` receives the result."""
        if self._binder.takes_out and out is not None:
            kwargs["out"], out = out, None
        interface = self.specialization.interface
        values: dict[str, Any] = {}
        for argument, given in self._binder.bind(args, kwargs).items():
            for name, found, value in described(given, argument):
                _check_fits(name, found, interface.specs.get(name))
                values[name] = value
        inputs = [contiguous(values[n], interface.specs[n], n) for n in interface.input_names]
        if out is not None:
            return place_outputs(self.specialization, inputs, out)
        return self.specialization.result(self.specialization.run(inputs))

    @property
    def target(self) -> str:
        """The target's name."""
        return self.specialization.target.name

    @property
    def numerics(self) -> str:
        """The mode that it was compiled in, which a saved file keeps."""
        return self.specialization.options.numerics

    @property
    def source(self) -> str:
        """The generated code as text: assembly, WGSL, GLSL or WAT."""
        return self.specialization.source

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `tw.load` makes this object from, without the compiler.

        A file that is already there is replaced at once or, if writing fails, left as it was.
        Code for the CPU is for this processor; the other targets' runs anywhere.
        """
        from tilewright.compiler.saved.save_kernel import save

        save(self.__name__, self.specialization, self._binder, path)

    def stage(self, name: str) -> object:
        """The IR at a stage ("graph", "program", "kernel", …); its `str` is the printed form."""
        return self.specialization.stage(name)

    @property
    def schedule(self) -> Mapping[str, Schedule]:
        """The schedule of each launch, by the name of its nest."""
        found: Sequence[tuple[str, Schedule]] = self.specialization.stage("schedule")  # type: ignore[assignment]
        return dict(found)

    def __reduce__(self) -> tuple[Any, ...]:
        from tilewright.compiler.saved.pickled import reduce_compiled

        return reduce_compiled(self)

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: object) -> Compiled:
        return self

    def _repr_html_(self) -> str:
        from tilewright.compiler.display import compiled_html

        return compiled_html(self)

    def __repr__(self) -> str:
        specs = self.specialization.interface.specs
        shown = ", ".join(f"{n}: {s}" for n, s in specs.items())
        mode = shown_mode(self.specialization.options)
        return f"<compiled {self.__name__}({shown}) for {self.target}{mode}>"


def compile_ahead(
    kernel: Kernel, specs: Sequence[Any], named: Mapping[str, Any], target: str
) -> Compiled:
    """Compile `kernel` for arguments of these specs: ``tw.f32[64, N]``, or example values.

    Arguments that are not given are as the decorator declares them.
    """
    from tilewright.compiler.driver import compile_traced
    from tilewright.compiler.runtime import runtime
    from tilewright.compiler.trace.run import trace

    check_target(target)
    binder = Binder(kernel.python, kernel.bound)
    given: dict[str, ArgumentSpec] = {n: StaticSpec(v) for n, v in kernel.bound.items()}
    scalars: dict[str, int | float] = {}
    missing = binder.names[len(specs) :]
    declared = {n: s for n, s in kernel.declared.items() if n in missing}
    for argument, example in binder.bind(tuple(specs), {**declared, **named}).items():
        for name, spec, value in described(example, argument, _spec_of):
            given[name] = spec
            if isinstance(spec, ScalarSpec) and isinstance(value, (int, float)):
                scalars[name] = value
    begin = perf_counter()
    traced = trace(kernel.python, given, values=scalars)
    made = compile_traced(traced, target, replace(kernel.options, portable=True), runtime())
    made.seconds = perf_counter() - begin
    return Compiled(kernel.__name__, made, binder)


def _spec_of(value: Any, name: str) -> tuple[ArgumentSpec, Any]:
    if isinstance(value, (ArraySpec, ScalarSpec, StaticSpec)):
        return value, None
    if isinstance(value, ElementType):
        return ArraySpec(value.dtype), None
    if value is float or value is int:
        return ScalarSpec(value.__name__), None
    if isinstance(value, str) and _LOOKS_LIKE_SPEC.match(value):
        raise DTypeError(
            f"argument {name!r} is the string {value!r}, which does not say what array it is",
            help=f"give tw.{value} without quotes",
        )
    return describe(value, name)


def _check_fits(name: str, found: ArgumentSpec, expected: ArgumentSpec | None) -> None:
    if expected is None:
        raise DTypeError(f"argument {name!r} is not among those that were compiled")
    if isinstance(expected, StaticSpec):
        if isinstance(found, StaticSpec) and found.value != expected.value:
            raise DTypeError(f"argument {name!r} is {found}, compiled was {expected}")
        return
    if isinstance(expected, ArraySpec) and isinstance(found, ArraySpec):
        if found.dtype is not expected.dtype:
            raise DTypeError(f"argument {name!r} is {found}, compiled was {expected}")
        same_rank = len(found.shape) == len(expected.shape)
        if not same_rank or any(
            not isinstance(e, Var) and f != e
            for f, e in zip(found.shape, expected.shape, strict=True)
        ):
            raise ShapeError(f"argument {name!r} is {found}, compiled was {expected}")
        return
    scalar = isinstance(found, ScalarSpec) or (isinstance(found, ArraySpec) and not found.shape)
    if not (scalar and (isinstance(expected, ScalarSpec) or not expected.shape)):
        raise DTypeError(f"argument {name!r} is {found}, compiled was {expected}")
