"""Whether accesses stay inside of what they access, as far as extents tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from tilewright.ir.affine import linear
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Source, Var, post_order
from tilewright.ir.kernel import Kernel, Stmt, Store, children, expressions, statements
from tilewright.ir.ranges import Interval, interval
from tilewright.ir.verify.expressions import broken

Verdict = Literal["proven", "unknown", "disproved"]
Access = tuple[Source, tuple[Expr, ...]]


def judge(index: Expr, size: Size, memo: dict[Expr, Interval]) -> Verdict:
    """Whether ``0 <= index < size`` at every point. Disproved: some point of the loops around it
    (which all run at least once) is outside."""
    low, high = interval(index, memo)
    limit = size if isinstance(size, int) else None
    if limit is None:
        return _judge_open(index, size, low)
    if low is not None and low >= 0 and high is not None and high < limit:
        return "proven"
    if (high is not None and high < 0) or (low is not None and low >= limit):
        return "disproved"
    return "disproved" if _extremes_are_reached(index) else "unknown"


def _judge_open(index: Expr, size: Size, low: int | None) -> Verdict:
    """An axis of open extent that runs over just this size is inside of it."""
    if index is size:
        return "disproved"
    if isinstance(index, Var) and index.extent is size:
        return "proven"
    return "unknown"


def _extremes_are_reached(index: Expr) -> bool:
    """Whether the interval of `index` is exact: a sum of variables with fixed extents."""
    terms = linear(index).terms
    return all(isinstance(a, Var) and isinstance(a.extent, int) and a.extent > 0 for a in terms)


def check_static_bounds(roots: Sequence[Expr]) -> None:
    """Raise where a load below `roots` is certain to be out of bounds."""
    memo: dict[Expr, Interval] = {}
    for access in _loads(roots):
        _check(access, "read", memo)


def check_kernel_bounds(body: Sequence[Stmt]) -> None:
    """Raise where an access that no condition guards is certain to be out of bounds."""
    memo: dict[Expr, Interval] = {}
    for stmt in unguarded(body):
        if isinstance(stmt, Store):
            _check((stmt.buffer, stmt.indices), "written", memo)
        for access in _loads(expressions(stmt)):
            _check(access, "read", memo)


def _check(access: Access, what: str, memo: dict[Expr, Interval]) -> None:
    source, indices = access
    for axis, (index, size) in enumerate(zip(indices, source.shape, strict=False)):
        if judge(index, size, memo) == "disproved":
            low, high = interval(index, memo)
            broken(f"{source.name} is {what} at {low} … {high} on axis {axis} of size {size}")


def unguarded(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """The statements that are certain to run if their loops do: not below a condition or a loop
    that may be empty."""
    for stmt in body:
        yield stmt
        if isinstance(getattr(stmt, "extent", 0), int) and not hasattr(stmt, "condition"):
            yield from unguarded(children(stmt))


def unproven_accesses(kernel: Kernel) -> tuple[str, ...]:
    """The accesses that are not proven to be inside: a report, since gathers never are."""
    memo: dict[Expr, Interval] = {}
    found: dict[str, None] = {}
    for stmt in statements(kernel.body):
        accesses = list(_loads(expressions(stmt)))
        if isinstance(stmt, Store):
            accesses.append((stmt.buffer, stmt.indices))
        for source, indices in accesses:
            for axis, (index, size) in enumerate(zip(indices, source.shape, strict=False)):
                if judge(index, size, memo) != "proven":
                    found[f"{source.name}[{', '.join(map(repr, indices))}] on axis {axis}"] = None
    return tuple(found)


def _loads(roots: Sequence[Expr]) -> Iterator[Access]:
    for node in post_order(roots):
        if isinstance(node, (Load, LaneReduce)):
            yield node.source, node.indices
