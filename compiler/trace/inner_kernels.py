"""A kernel that another kernel uses: it becomes a part of that one."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any, NoReturn

from tilewright.compiler.trace.failures import failure
from tilewright.ir.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType


class InnerKernel:
    """Calls `python`, which is the kernel's function as the trace rebuilt it, with the arguments
    that are bound and those of the call."""

    def __init__(self, python: FunctionType, bound: Mapping[str, Any]) -> None:
        self.python = python
        self.bound = bound
        self.__name__ = python.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.bound:
            return self.python(*args, **kwargs)
        whole = inspect.signature(self.python)
        free = [p for p in whole.parameters.values() if p.name not in self.bound]
        try:
            given = whole.replace(parameters=free).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.__name__}() {error}") from None
        given.arguments.update(self.bound)
        together = inspect.BoundArguments(whole, given.arguments)
        together.apply_defaults()
        return self.python(*together.args, **together.kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def bind(self, /, **values: Any) -> InnerKernel:
        """The kernel with some arguments fixed, as `Kernel.bind`."""
        return InnerKernel(self.python, {**self.bound, **values})

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise failure(
            TraceError,
            f"{self.__name__}.{name} cannot be used inside of a kernel",
            help="a kernel that another one calls becomes a part of it and runs where that does: "
            f"call {self.__name__}(…)",
        )
