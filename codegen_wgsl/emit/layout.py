"""How a kernel's buffers are declared: which are arrays of ``vec4``, and which are written.

A buffer is wide if some vector loop reads or writes four elements of it that lie in one ``vec4``.
All its other accesses then take components.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.ir.emit.environment import Environment, buffer_of
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store, children, expressions

WIDTH = 4


def accesses(stmt: Stmt) -> Iterator[tuple[Buffer, tuple[Expr, ...]]]:
    """The elements that `stmt` itself reads and writes."""
    if isinstance(stmt, Store):
        yield stmt.buffer, stmt.indices
    for node in post_order(expressions(stmt)):
        if isinstance(node, Load):
            yield buffer_of(node), node.indices


def wide_buffers(kernel: Kernel, environment: Environment) -> frozenset[Buffer]:
    """The roots in memory that are declared as arrays of ``vec4``."""
    found: set[Buffer] = set()
    _search(kernel.body, None, environment, found)
    return frozenset(found)


def _search(
    body: Sequence[Stmt], lane: Var | None, environment: Environment, found: set[Buffer]
) -> None:
    for stmt in body:
        inside = lane
        if isinstance(stmt, For) and stmt.kind == "vector":
            inside = stmt.var if stmt.width == WIDTH else None
        if inside is not None:
            for buffer, indices in accesses(stmt):
                if buffer.space != "register" and _fits(buffer, indices, inside, environment):
                    found.add(buffer.root)
        _search(children(stmt), inside, environment, found)


def _fits(buffer: Buffer, indices: tuple[Expr, ...], lane: Var, environment: Environment) -> bool:
    """Whether the lanes of one vector always are one aligned ``vec4``."""
    form = environment.offset(buffer, indices)
    if form.coefficient(lane) != 1 or form.constant % WIDTH:
        return False
    rest = {atom: c for atom, c in form.terms.items() if atom is not lane}
    return all(
        factor % WIDTH == 0 and lane not in environment.facts(atom).variables
        for atom, factor in rest.items()
    )


def register_widths(kernel: Kernel, environment: Environment) -> dict[Buffer, int]:
    """The lanes of the register buffers that vector loops run over; others are scalars."""
    found: dict[Buffer, int] = {}

    def search(body: Sequence[Stmt], lanes: dict[Var, int]) -> None:
        for stmt in body:
            for buffer, indices in accesses(stmt):
                if buffer.space == "register" and indices:
                    used = environment.facts(indices[-1]).variables
                    width = max((lanes[v] for v in used if v in lanes), default=1)
                    found[buffer] = max(found.get(buffer, 1), width)
            inside = lanes
            if isinstance(stmt, For) and stmt.kind == "vector":
                inside = {**lanes, stmt.var: stmt.width or 1}
            search(children(stmt), inside)

    search(kernel.body, {})
    return found
