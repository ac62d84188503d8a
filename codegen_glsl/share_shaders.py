"""Launches whose shaders differ in whole numbers only share one, which reads those from uniforms.

In: a program. Out: the same program, with fewer distinct shaders if it had many. Sizes stand in
shaders as literals, which makes the best code, and each distinct shader takes a browser some
milliseconds to compile: the layers of a network have other sizes each, and what lies between its
products (texels put in order, paddings) is cheap. Shaders with loops are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir.artifact import GpuProgram, Repeat, ShaderLaunch, Step, launches

MANY = 24
"""A program of up to so many distinct shaders stays as it is."""
_MOST_UNIFORMS = 32
# Not: parts of names, of floats, of hexadecimal and of unsigned numbers.
_WHOLE = re.compile(r"(?<![\w.])\d+(?![\w.])")
_HEAD_END = "precision highp int;\n"


class _Shared(Struct, frozen=True):
    source: str
    uniforms: tuple[int, ...]


def share_shaders(program: GpuProgram) -> GpuProgram:
    """The program with as few shaders as this makes of them."""
    sources = list(dict.fromkeys(launch.source for launch in launches(program.steps)))
    if len(sources) <= MANY:
        return program
    shared = _shared(s for s in sources if "for (" not in s and "uniform int u[" not in s)
    return replace(program, steps=_replaced(program.steps, shared))


def _replaced(steps: Sequence[Step], shared: Mapping[str, _Shared]) -> tuple[Step, ...]:
    made: list[Step] = []
    for step in steps:
        if isinstance(step, Repeat):
            made.append(replace(step, steps=_replaced(step.steps, shared)))
        elif isinstance(step, ShaderLaunch) and step.source in shared:
            new = shared[step.source]
            made.append(replace(step, source=new.source, uniforms=new.uniforms))
        else:
            made.append(step)
    return tuple(made)


def _shared(sources: Iterable[str]) -> dict[str, _Shared]:
    """What becomes of the sources that are like others."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for source in sources:
        alike.setdefault(tuple(_WHOLE.split(source)), []).append(source)
    found: dict[str, _Shared] = {}
    for parts, group in alike.items():
        if len(group) > 1:
            found.update(_as_one(parts, group))
    return found


def _as_one(parts: Sequence[str], group: Sequence[str]) -> dict[str, _Shared]:
    """One source for all of a group, and the uniforms of each."""
    numbers = [_WHOLE.findall(source) for source in group]
    slots: dict[tuple[str, ...], int] = {}
    text = [parts[0]]
    for column, part in zip(zip(*numbers, strict=True), parts[1:], strict=True):
        if len(set(column)) == 1:
            text += (column[0], part)
        else:
            # Number 0 is what a repeat writes its counter to.
            text += (f"u[{slots.setdefault(column, len(slots) + 1)}]", part)
    if len(slots) > _MOST_UNIFORMS:
        return {}
    declared = f"{_HEAD_END}uniform int u[{len(slots) + 1}];\n"
    source = "".join(text).replace(_HEAD_END, declared, 1)
    return {
        old: _Shared(source, (0, *(int(column[k]) for column in slots)))
        for k, old in enumerate(group)
    }
