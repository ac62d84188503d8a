"""The signature given to the decorator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tilewright.ir.element_types import ElementType
from tilewright.ir.errors import DTypeError, ShapeError, TraceError
from tilewright.ir.signature import ArgumentSpec, ArraySpec, ScalarSpec
from tilewright.ir.sizes import bind_symbols


class DeclaredArguments:
    """Argument name -> array spec, its dimensions maybe open."""

    def __init__(self, declared: Mapping[str, Any], names: tuple[str, ...]) -> None:
        self.specs: dict[str, ArraySpec] = {}
        for name, spec in declared.items():
            if name not in names:
                raise TraceError(
                    f"the kernel has no argument {name!r}",
                    help=f"its arguments are {', '.join(names)}; "
                    "the options of tw.kernel are target, numerics, f64 and schedule",
                )
            if isinstance(spec, ElementType):
                spec = ArraySpec(spec.dtype)
            if not isinstance(spec, ArraySpec):
                raise TraceError(
                    f"argument {name!r} is declared as {spec!r}",
                    help="declare arrays as tw.f32[64, N] with N = tw.dim('N')",
                )
            self.specs[name] = spec

    def apply(self, name: str, found: ArgumentSpec) -> ArgumentSpec:
        """The declared spec of an argument, if the given one fits it; else the given one."""
        declared = self.specs.get(name)
        if declared is None:
            return found
        if isinstance(found, ScalarSpec) and not declared.shape:
            return declared
        if not isinstance(found, ArraySpec) or found.dtype is not declared.dtype:
            raise DTypeError(f"argument {name!r} is {found}, but was declared as {declared}")
        if len(found.shape) != len(declared.shape):
            raise ShapeError(f"argument {name!r} is {found}, but was declared as {declared}")
        for given, size in zip(found.shape, declared.shape, strict=True):
            if isinstance(size, int) and given != size:
                raise ShapeError(f"argument {name!r} is {found}, but was declared as {declared}")
        return declared

    def closed(
        self, specs: Mapping[str, ArgumentSpec], values: Mapping[str, Any]
    ) -> dict[str, ArgumentSpec]:
        """The specs of a call with its sizes in place of open dimensions."""
        arrays = {n: s for n, s in specs.items() if n in self.specs and isinstance(s, ArraySpec)}
        actual = [np.shape(values[n]) for n in arrays]
        bind_symbols([s.shape for s in arrays.values()], actual, list(map(repr, arrays)))
        sizes = zip(arrays.items(), actual, strict=True)
        return {**specs, **{n: ArraySpec(s.dtype, shape) for (n, s), shape in sizes}}
