"""Which passes change a program: the function that each pass file is named after is wrapped.

One pass per file, file name = function name: so the modules below `ir/passes`, `ir/fuse`,
`ir/lower` and `ir/legal`, and the `legalize` of each back end, name their own entry points.
"""

from __future__ import annotations

import functools
import pkgutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from tilewright.ir.graph import Graph
from tilewright.ir.printer import print_graph
from tilewright.ir.text.style import CANONICAL

_FOLDERS = ("tilewright.ir.passes", "tilewright.ir.fuse", "tilewright.ir.lower")
_LEGALIZERS = tuple(
    f"tilewright.codegen_{back_end}.legalize" for back_end in ("cpu", "wgsl", "glsl")
)


class PassCounter:
    """`changed` holds the passes that did something since `clear`."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        for module in _modules():
            name = module.__name__.rsplit(".", 1)[1]
            for candidate in (name, f"lower_{name}", f"{name}_axes"):
                function = vars(module).get(candidate)
                if callable(function) and function.__module__ == module.__name__:
                    self._replace(function, self._counted(module.__name__, function))

    def clear(self) -> None:
        self.changed.clear()

    def _counted(self, module: str, function: Callable[..., Any]) -> Callable[..., Any]:
        short = module.removeprefix("tilewright.").replace(".", "/")

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            if short not in self.changed and _differs(args, made):
                self.changed.add(short)
            return made

        return counted

    def _replace(self, function: Callable[..., Any], counted: Callable[..., Any]) -> None:
        """Wherever the function is known by name, tuples of passes included."""
        for name, module in list(sys.modules.items()):
            if not name.startswith("tilewright."):
                continue
            for key, value in list(vars(module).items()):
                if value is function:
                    setattr(module, key, counted)
        passes: Any = import_module("tilewright.ir.passes")
        passes.GRAPH_PASSES = tuple(counted if p is function else p for p in passes.GRAPH_PASSES)
        passes.run_passes.__defaults__ = (passes.GRAPH_PASSES, None)


def _modules() -> Iterator[ModuleType]:
    for folder in _FOLDERS:
        package = import_module(folder)
        for found in pkgutil.walk_packages(package.__path__, f"{folder}."):
            yield import_module(found.name)
    for name in _LEGALIZERS:
        yield import_module(name)


def _differs(args: tuple[Any, ...], made: Any) -> bool:
    first = args[0] if args else None
    result = made[0] if isinstance(made, tuple) and made and not isinstance(first, tuple) else made
    if isinstance(first, Graph) and isinstance(result, Graph):
        return print_graph(first, CANONICAL) != print_graph(result, CANONICAL)
    return result is not first and result is not None and result is not False
