"""Whether accesses stay inside of what they access, as far as extents tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.intervals import Interval
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Source, Var, post_order
from tilewright.ir.kernel import For, Kernel, Stmt, Store, expressions, statements
from tilewright.ir.printer import print_access
from tilewright.ir.verify.expressions import broken

Verdict = Literal["proven", "unknown", "disproved"]
Access = tuple[Source, tuple[Expr, ...]]


def judge(index: Expr, size: Size, memo: dict[Expr, Interval]) -> Verdict:
    """Whether ``0 <= index < size`` at every point. Disproved: some point of the loops around it
    (which all run at least once) is outside."""
    low, high = interval(index, memo)
    if not isinstance(size, int):
        return _judge_open(index, size)
    if low is not None and low >= 0 and high is not None and high < size:
        return "proven"
    exact = _exact(index)
    if exact is not None:
        return "proven" if exact[0] >= 0 and exact[1] < size else "disproved"
    outside = (high is not None and high < 0) or (low is not None and low >= size)
    return "disproved" if outside else "unknown"


def _judge_open(index: Expr, size: Size) -> Verdict:
    """An axis that runs over just this size is inside of it."""
    if index is size:
        return "disproved"
    return "proven" if isinstance(index, Var) and index.extent is size else "unknown"


def _exact(index: Expr) -> tuple[int, int] | None:
    """The extremes that `index` reaches, if it is a sum of variables with fixed extents."""
    form = linear(index)
    low = high = form.constant
    for atom, factor in form.terms.items():
        if not (isinstance(atom, Var) and isinstance(atom.extent, int) and atom.extent > 0):
            return None
        reach = factor * (atom.extent - 1)
        low, high = low + min(0, reach), high + max(0, reach)
    return low, high


def check_static_bounds(roots: Sequence[Expr]) -> None:
    """Raise where a load below `roots` is certain to be out of bounds."""
    memo: dict[Expr, Interval] = {}
    for access in _loads(roots):
        _check(access, "read", memo)


def check_store_bounds(target: Source, indices: Sequence[Expr]) -> None:
    """Raise where a store that every point makes is certain to be out of bounds."""
    _check((target, tuple(indices)), "written", {})


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
            broken(
                f"{print_access(source, indices)} is {what}, outside of size {size} on axis {axis}"
            )


def unguarded(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """The statements that are certain to run: not below a condition or a loop that may be empty."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, For) and isinstance(stmt.extent, int) and stmt.extent > 0:
            yield from unguarded(stmt.body)


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
                    found[f"{print_access(source, indices)} on axis {axis}"] = None
    return tuple(found)


def _loads(roots: Sequence[Expr]) -> Iterator[Access]:
    for node in post_order(roots):
        if isinstance(node, (Load, LaneReduce)):
            yield node.source, node.indices
