"""The text that `ir/printer.py` writes -> the same IR; docs/ir.md holds the grammar.

Nothing is folded or checked beyond what the nodes' constructors check: `ir/verify` does that.
A text that does not parse raises `IRError` with the line and the column. Arrays that the text only
names by digest are looked up in `arrays` (`large_arrays` of the printer collects them).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from tilewright.ir.errors import IRError
from tilewright.ir.graph import Graph
from tilewright.ir.kernel import Kernel
from tilewright.ir.program import Program
from tilewright.ir.schedule import Schedule
from tilewright.ir.text.parse_kernel import KernelParser
from tilewright.ir.text.parse_program import ProgramParser

NO_ARRAYS: Mapping[str, np.ndarray] = {}


def parse_graph(text: str, arrays: Mapping[str, np.ndarray] = NO_ARRAYS) -> Graph:
    """The graph that was printed as `text`."""
    parser = ProgramParser(text, arrays)
    graph = parser.graph()
    parser.finish()
    return graph


def parse_program(text: str, arrays: Mapping[str, np.ndarray] = NO_ARRAYS) -> Program:
    """The program that was printed as `text`."""
    parser = ProgramParser(text, arrays)
    program = parser.program()
    parser.finish()
    return program


def parse_kernel(text: str) -> Kernel:
    """The kernel that was printed as `text`."""
    parser = KernelParser(text, NO_ARRAYS)
    kernel = parser.kernel()
    parser.finish()
    return kernel


def parse_schedule(text: str) -> Schedule:
    """The schedule that was printed as `text`: literals only, nothing is executed."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args:
            chosen = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
            if call.func.id == "Schedule":
                return Schedule(**chosen)
    except (SyntaxError, ValueError, TypeError) as error:
        raise IRError(f"no schedule: {text!r} ({error})") from error
    raise IRError(f"no schedule: {text!r}")
