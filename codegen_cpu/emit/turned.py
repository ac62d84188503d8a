"""Neighbouring elements that lie across lanes far apart: loaded by lane and turned, four at a time.

``scratch[r, lane] = x[21 * lane + r]`` for r = 0 … 3 would take a load and an insertion for each
element. Each lane's four elements are loaded as one vector instead, and squares of four lanes are
turned by shuffles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilewright.codegen_cpu.emit.picks import Assign
from tilewright.ir.emit.environment import Environment, buffer_of
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Stmt, Store

SIDE = 4
Line = tuple[Buffer, frozenset[tuple[Expr, int]]]


def runs_of_loads(body: Sequence[Stmt], environment: Environment) -> dict[Line, tuple[int, ...]]:
    """The places that vector loops side by side copy from the same lines: four at least, in a row.
    A line is an address without its literal part."""
    found: dict[Line, set[int]] = {}
    for stmt in body:
        if isinstance(stmt, For) and stmt.kind == "vector":
            for load in _copied(stmt):
                line, constant = line_of(load, stmt.var, environment)
                found.setdefault(line, set()).add(constant)
    return {
        line: places
        for line, constants in found.items()
        if len(constants) >= SIDE and (places := tuple(sorted(constants)))
        if places[-1] - places[0] == len(places) - 1
    }


def line_of(load: Load, lane: Expr, environment: Environment) -> tuple[Line, int]:
    """Where a load is, lanes and literals apart. Lanes of loops side by side are the same."""
    form = environment.offset(buffer_of(load), load.indices)
    terms = {(_LANE if atom is lane else atom, factor) for atom, factor in form.terms.items()}
    return (buffer_of(load).root, frozenset(terms)), form.constant


def first_of_four(place: int, places: Sequence[int]) -> int:
    """Where the four begin that `place` is loaded with."""
    start = places[0] + (place - places[0]) // SIDE * SIDE
    return min(start, places[-1] + 1 - SIDE)


def turned(columns: Sequence[str], element: str, assign: Assign) -> list[str]:
    """`columns` are vectors of four elements, one for each lane; the four vectors across them."""
    lanes = len(columns)
    kind = f"<{lanes} x {element}>"
    # Every fourth lane's elements end to end: squares of four lanes lie side by side.
    sides = [_joined(columns[k::SIDE], element, assign) for k in range(SIDE)]

    def shuffled(a: str, b: str, order: Iterable[int]) -> str:
        numbers = [
            q + k % SIDE + (lanes if k >= SIDE else 0) for q in range(0, lanes, SIDE) for k in order
        ]
        mask = ", ".join(f"i32 {n}" for n in numbers)
        return assign(f"shufflevector {kind} {a}, {kind} {b}, <{lanes} x i32> <{mask}>")

    low = [shuffled(sides[k], sides[k + 1], _LOW) for k in (0, 2)]
    high = [shuffled(sides[k], sides[k + 1], _HIGH) for k in (0, 2)]
    return [shuffled(a, b, halves) for a, b in (low, high) for halves in (_FIRST, _SECOND)]


def _joined(parts: Sequence[str], element: str, assign: Assign) -> str:
    texts, size = list(parts), SIDE
    while len(texts) > 1:
        kind = f"<{size} x {element}>"
        mask = ", ".join(f"i32 {k}" for k in range(2 * size))
        texts = [
            assign(f"shufflevector {kind} {a}, {kind} {b}, <{2 * size} x i32> <{mask}>")
            for a, b in zip(texts[::2], texts[1::2], strict=True)
        ]
        size *= 2
    return texts[0]


def _copied(stmt: For) -> list[Load]:
    return [
        s.value
        for s in stmt.body
        if isinstance(s, Store)
        and isinstance(s.value, Load)
        and buffer_of(s.value).space == "global"
    ]


_LANE = Var("lane", 1)
_LOW, _HIGH = (0, 4, 1, 5), (2, 6, 3, 7)
_FIRST, _SECOND = (0, 1, 4, 5), (2, 3, 6, 7)
