"""Putting values that are used once where they are used.

In: the lines of a function, with one definition per value. Out: the same function in fewer, longer
lines. Only within one block: a value is never moved into a loop, nor past a change of a register
that it reads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

LONGEST = 96

_VALUE = re.compile(r"\bv\d+\b")
_REGISTER = re.compile(r"\br\d+\b")
_CALL = re.compile(r"\w+\(")
_AFTER_CALL = re.compile(r"(?:\.[xyzw]+)?")
_NAME = re.compile(r"[\w.]+")


class Define(Struct):
    """``kind name = right;``: a value, never assigned again."""

    kind: str
    name: str
    right: str


class Assign(Struct):
    """``left = right;``, where `left` may begin with the type of a new register."""

    left: str
    right: str


class Loop(Struct):
    """``head { lines }``."""

    head: str
    lines: list[Line]


Line = Define | Assign | Loop


def render(lines: Sequence[Line]) -> list[str]:
    """The text, with values that are used once folded into their use."""
    uses: Counter[str] = Counter()
    _count(lines, uses)
    return _render(lines, uses)


def _count(lines: Sequence[Line], uses: Counter[str]) -> None:
    for line in lines:
        uses.update(_VALUE.findall(_text(line)))
        if isinstance(line, Loop):
            _count(line.lines, uses)


def _text(line: Line) -> str:
    return line.head if isinstance(line, Loop) else line.right


def _render(lines: Sequence[Line], uses: Counter[str]) -> list[str]:
    pending: dict[str, Define] = {}
    result: list[str] = []

    def flush(names: list[str]) -> None:
        """Write definitions out, oldest first, with whatever they wait for."""
        for name in [n for n in pending if n in names]:
            line = pending.pop(name)
            result.append(f"{line.kind} {line.name} = {line.right};")

    for line in lines:
        text = _take(_text(line), pending, flush)
        match line:
            case Define(kind, name, _) if uses[name] == 1:
                pending[name] = Define(kind, name, text)
            case Define(kind, name, _):
                result.append(f"{kind} {name} = {text};")
            case Assign(left, _):
                changed = left.split()[-1]
                flush([n for n, d in pending.items() if changed in _REGISTER.findall(d.right)])
                result.append(f"{left} = {text};")
            case Loop():
                flush(list(pending))
                result.append(f"{text} {{")
                result += [f"  {inner}" for inner in _render(line.lines, uses)]
                result.append("}")
    flush(list(pending))
    return result


def _take(text: str, pending: dict[str, Define], flush: Callable[[list[str]], None]) -> str:
    """`text` with pending values in place of their names, as long as it stays short."""
    for name in _VALUE.findall(text):
        if name not in pending:
            continue
        found = re.search(rf"\b{name}\b", text)
        assert found is not None
        before, after = text[: found.start()], text[found.end() :]
        right = pending[name].right
        if not (_is_whole(before, after) or _is_atom(right)):
            right = f"({right})"
        if len(text) + len(right) > LONGEST:
            flush([name])
            continue
        del pending[name]
        text = before + right + after
    return text


def _is_whole(before: str, after: str) -> bool:
    """Whether what stands between is all of the text, or one argument of a call."""
    return (not before or before.endswith(("(", ", "))) and (not after or after[0] in "),")


def _is_atom(text: str) -> bool:
    """Whether the text needs no parentheses: a name, a literal, or a call and its components."""
    if _NAME.fullmatch(text):
        return True
    call = _CALL.match(text)
    if call is None:
        return False
    open_brackets = 1
    for position in range(call.end(), len(text)):
        open_brackets += {"(": 1, ")": -1}.get(text[position], 0)
        if open_brackets == 0:
            return _AFTER_CALL.fullmatch(text, position + 1) is not None
    return False
