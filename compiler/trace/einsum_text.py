"""The subscripts of einsum: a string and the operands' ranks in, one letter per axis out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.operands import as_int
from tilewright.ir.errors import ShapeError

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Term(NamedTuple):
    """The axes of each operand and of the result, as letters."""

    inputs: tuple[str, ...]
    output: str


def parse(text: str, ranks: Sequence[int]) -> Term:
    """Spread the ellipses, and find the result's axes where they are not written."""
    left, arrow, right = text.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        raise _bad(text, f"{len(inputs)} terms for {len(ranks)} operands")
    for term in (*inputs, right):
        plain = term.replace("...", "", 1)
        wrong = [c for c in plain if c not in _LETTERS]
        if wrong:
            raise _bad(text, f"{wrong[0]!r} is not a letter")
    hidden = [rank - len(t.replace("...", "")) for t, rank in zip(inputs, ranks, strict=True)]
    for term, missing, rank in zip(inputs, hidden, ranks, strict=True):
        if missing < 0 or (missing and "..." not in term):
            raise _bad(text, f"{term!r} does not name the axes of an array of rank {rank}")
    free = [c for c in _LETTERS if c not in text]
    longest = max((h for t, h in zip(inputs, hidden, strict=True) if "..." in t), default=0)
    if longest > len(free):
        raise _bad(text, "too many axes")
    spread = "".join(free[:longest])
    full = tuple(
        t.replace("...", spread[longest - h :]) for t, h in zip(inputs, hidden, strict=True)
    )
    if arrow:
        output = right.replace("...", spread)
        if "..." not in right and longest:
            raise _bad(text, "the result lacks the ellipsis of the operands")
    else:
        everything = "".join(full)
        once = sorted(c for c in set(everything) if everything.count(c) == 1 and c not in spread)
        output = spread + "".join(once)
    for letter in output:
        if output.count(letter) > 1:
            raise _bad(text, f"{letter!r} appears twice in the result")
        if not any(letter in t for t in full):
            raise _bad(text, f"{letter!r} of the result is in no operand")
    return Term(full, output)


def from_lists(operands: Sequence[Any]) -> str:
    """The subscripts for ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    lists = operands[1::2]
    terms = [_letters(t) for t in (*lists, operands[-1])] if len(operands) % 2 else None
    if terms is None:
        return ",".join(map(_letters, lists))
    return f"{','.join(terms[:-1])}->{terms[-1]}"


def _letters(axes: Sequence[Any]) -> str:
    return "".join("..." if a is Ellipsis else _letter(as_int(a, "an axis label")) for a in axes)


def _letter(number: int) -> str:
    if not 0 <= number < len(_LETTERS):
        raise failure(ShapeError, f"an axis label of einsum is an int from 0 to 51, not {number}")
    return (_LETTERS[26:] + _LETTERS[:26])[number]


def _bad(text: str, why: str) -> ShapeError:
    return failure(ShapeError, f"einsum subscripts {text!r}: {why}")
