"""IR of every level as text, readable and exact: `ir/parser.py` reads it back.

What is printed, and how, is in docs/ir.md. Printing never fails on IR that breaks the rules (that
is when it is needed most): names that nothing declares come out with a question mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.ir.expr import Expr, Source
from tilewright.ir.graph import Constant, Graph, Loop, Tensor, While
from tilewright.ir.kernel import Stmt
from tilewright.ir.program import Program
from tilewright.ir.schedule import Schedule
from tilewright.ir.text.expressions import access_text, block
from tilewright.ir.text.lines import Lines
from tilewright.ir.text.literals import INLINE_ELEMENTS, digest
from tilewright.ir.text.names import GivenNames
from tilewright.ir.text.print_graph import GraphPrinter, print_graph
from tilewright.ir.text.print_kernel import KernelPrinter, print_kernel
from tilewright.ir.text.print_program import ProgramPrinter
from tilewright.ir.text.style import CANONICAL, FULL, READABLE, Style


def print_program(program: Program, style: Style = READABLE) -> str:
    """The text of a program."""
    lines = Lines()
    ProgramPrinter(lines, style).program(program)
    return lines.text()


def print_schedule(schedule: Schedule) -> str:
    """What differs from the default, as a Python expression: ``Schedule(width=8)``."""
    given = ((name, getattr(schedule, name)) for name in schedule.__struct_fields__)
    plain = Schedule()
    shown = [f"{name}={value!r}" for name, value in given if value != getattr(plain, name)]
    return f"Schedule({', '.join(shown)})"


def print_node(node: Tensor) -> str:
    """One node of a graph on its own, for messages: all names are its own."""
    lines = Lines()
    printer = GraphPrinter(lines, READABLE)
    printer.symbols = printer.tensors = GivenNames(READABLE)
    printer.node(node)
    return lines.text().rstrip("\n")


def print_statement(stmt: Stmt) -> str:
    """The first line (and the lets before it) of a statement on its own, for messages."""
    lines = Lines()
    KernelPrinter(lines, READABLE, GivenNames(READABLE)).statement(stmt)
    return lines.head()


def print_access(source: Source, indices: Sequence[Expr]) -> str:
    """``x[i, j + 1]``, for messages."""
    names = GivenNames(READABLE)
    texts = block(indices, names)
    return "; ".join([*texts.lets, access_text(source, texts.roots, names)])


def large_arrays(ir: Graph | Program) -> dict[str, np.ndarray]:
    """The arrays that a text only names, by digest: what a parser needs besides the text."""
    arrays = _graph_arrays(ir) if isinstance(ir, Graph) else (a for _, a in ir.constants)
    return {digest(array): array for array in arrays if array.size > INLINE_ELEMENTS}


def _graph_arrays(graph: Graph) -> Iterator[np.ndarray]:
    for node in graph.nodes():
        match node:
            case Constant():
                yield node.array
            case Loop():
                yield from _graph_arrays(node.body)
            case While():
                yield from _graph_arrays(node.condition)
                yield from _graph_arrays(node.body)
            case _:
                pass


__all__ = [
    "CANONICAL",
    "FULL",
    "READABLE",
    "Style",
    "large_arrays",
    "print_access",
    "print_graph",
    "print_kernel",
    "print_node",
    "print_program",
    "print_schedule",
    "print_statement",
]
