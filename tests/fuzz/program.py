"""A random kernel as text: arguments, statements and what is returned.

`value = expression` statements, one per line, are all there is: so that a program shrinks by
making the value of a statement an argument, or by dropping what nothing uses.
"""

from __future__ import annotations

import linecache
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import tilewright as tw

_NAME = re.compile(r"\b[av]\d+\b")


@dataclass(frozen=True)
class Statement:
    """`text` may be several lines; `op` names what it tests, for the statistics."""

    target: str
    text: str
    op: str

    @property
    def used(self) -> set[str]:
        return set(_NAME.findall(self.text))


@dataclass(frozen=True)
class FuzzProgram:
    seed: int
    arguments: Mapping[str, Any]
    statements: tuple[Statement, ...]
    returned: tuple[str, ...]
    wide: bool = False
    """Whether it may hold 64-bit values that GPU targets cannot."""

    @property
    def undefined(self) -> bool:
        """Whether NumPy leaves some of its results to the processor."""
        return any(s.op.startswith("raw cast") for s in self.statements)

    @property
    def source(self) -> str:
        lines = [line for s in self.statements for line in s.text.splitlines()]
        result = ", ".join(self.returned)
        body = "\n".join(f"    {line}" for line in lines)
        return f"def kernel({', '.join(self.arguments)}):\n{body}\n    return ({result},)\n"

    def function(self) -> Callable[..., Any]:
        """The program as a Python function, with source lines for error messages."""
        name = f"<fuzz {self.seed} {abs(hash(self.source))}>"
        scope: dict[str, Any] = {"np": np, "tw": tw}
        text = self.source
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), scope)
        function: Callable[..., Any] = scope["kernel"]
        return function

    def pruned(self) -> FuzzProgram:
        """Without statements and arguments that no result needs."""
        needed = set(self.returned)
        kept = []
        for statement in reversed(self.statements):
            if statement.target in needed:
                kept.append(statement)
                needed |= statement.used
        arguments = {n: a for n, a in self.arguments.items() if n in needed}
        return replace(self, arguments=arguments, statements=tuple(reversed(kept)))

    def values(self) -> dict[str, Any]:
        """What NumPy computes for every name."""
        scope: dict[str, Any] = {"np": np, "tw": tw, **copies(self.arguments)}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for statement in self.statements:
                exec(statement.text, scope)
        return {s.target: scope[s.target] for s in self.statements}

    def reproducer(self) -> str:
        """A script that runs the program on its own."""
        arrays = "\n".join(f"{n} = {_literal(a)}" for n, a in self.arguments.items())
        head = "import numpy as np\nimport tilewright as tw\nfrom numpy import inf, nan\n"
        if "strided(" in arrays:
            head += "from tests.fuzz.values import strided\n"
        return f"{head}\n{self.source}\n{arrays}\n"


def copies(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays copied; Python numbers stay what they are."""
    return {n: a.copy() if isinstance(a, np.ndarray) else a for n, a in values.items()}


def _literal(array: Any) -> str:
    if isinstance(array, (int, float)):
        return repr(array)
    made = f"np.array({array.tolist()}, np.{np.dtype(array.dtype).name})"
    made = made.replace("np.bool)", "np.bool_)")
    if array.size == 0:
        return f"{made}.reshape({array.shape})"
    return made if array.flags.c_contiguous else f"strided({made}, {array.strides})"


def shrink(program: FuzzProgram, fails: Callable[[FuzzProgram], bool]) -> FuzzProgram:
    """The smallest program found that still fails: one result, values instead of statements."""
    for name in program.returned:
        one = replace(program, returned=(name,)).pruned()
        if len(program.returned) > 1 and fails(one):
            program = one
            break
    progress = True
    while progress:
        progress = False
        for candidate in (*_fewer_statements(program), *_fewer_elements(program)):
            if _fails(candidate, fails):
                program, progress = candidate, True
                break
    return program


def _fails(candidate: FuzzProgram, fails: Callable[[FuzzProgram], bool]) -> bool:
    try:
        candidate.values()
    except Exception:  # what NumPy refuses too
        return False
    return fails(candidate)


def _fewer_statements(program: FuzzProgram) -> list[FuzzProgram]:
    """One statement less each: its value, as NumPy computes it, becomes an argument."""
    found = []
    values = program.values()
    for place, statement in enumerate(program.statements):
        if statement.target in program.returned:
            continue
        rest = program.statements[:place] + program.statements[place + 1 :]
        given = {**program.arguments, statement.target: np.asarray(values[statement.target])}
        found.append(replace(program, arguments=given, statements=rest).pruned())
    return found


def _fewer_elements(program: FuzzProgram) -> Iterator[FuzzProgram]:
    """Half of every axis of one size, at either end."""
    arrays = [a for a in program.arguments.values() if isinstance(a, np.ndarray)]
    for size in sorted({n for a in arrays for n in a.shape if n > 1}, reverse=True):
        for part in (slice(0, size // 2), slice(size - size // 2, size), slice(0, size - 1)):
            yield replace(program, arguments=_cut(program.arguments, size, part))


def _cut(arguments: Mapping[str, Any], size: int, part: slice) -> dict[str, Any]:
    cut = dict(arguments)
    for name, array in arguments.items():
        if isinstance(array, np.ndarray):
            cut[name] = array[tuple(part if n == size else slice(None) for n in array.shape)]
    return cut
