"""A kernel and the arguments of a call -> its graph, and what tells it from other kernels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.api import scalars_of
from tilewright.compiler.cache.store import new_digest
from tilewright.compiler.driver import trace_for
from tilewright.compiler.runtime import runtime
from tilewright.ir.sizes import bind_symbols
from tilewright.ir.text.print_graph import print_graph
from tilewright.ir.text.style import CANONICAL

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.targets import BuildOptions
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.graph import Graph

_NUMBER = re.compile(r"\d+")


def traced_call(kernel: Kernel, named: Mapping[str, Any]) -> tuple[Traced, dict[str, Any]]:
    """The function traced as a call traces it, and the values of its arguments by name."""
    values, specs = kernel._describe((), named)
    scalars = scalars_of(values, specs)
    return trace_for(kernel.python, specs, scalars, kernel.target, runtime()), values


def open_sizes(traced: Traced, values: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of open dimensions in a call, by their names."""
    shapes = [t.shape for t in traced.graph.inputs]
    names = traced.input_names
    found = bind_symbols(shapes, [np.shape(values[n]) for n in names], names)
    return {symbol.name: size for symbol, size in found.items()}


def graph_digest(graph: Graph, target: str, options: BuildOptions) -> str:
    """Of all that is computed: operations, shapes, dtypes, and in which mode."""
    return _digest(f"{target} {options.numerics} {options.f64}\n{print_graph(graph, CANONICAL)}")


def family_digest(graph: Graph, target: str, options: BuildOptions) -> str:
    """As `graph_digest`, whatever the sizes."""
    text = _NUMBER.sub("#", print_graph(graph, CANONICAL))
    return _digest(f"{target} {options.numerics} {options.f64}\n{text}")


def _digest(text: str) -> str:
    digest = new_digest()
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
