"""Conflicts between iterations that may run at the same time.

The check is sound one way: what it reports is a conflict (if both iterations run). Places that it
cannot compare, such as gathered ones, pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import Linear, linear
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, If, Store, expressions, statements
from tilewright.ir.verify.expressions import broken

Place = tuple[Buffer, tuple[Expr, ...]]


def check_loop(loop: For) -> None:
    """No two iterations of a parallel loop touch one element of shared memory, one writing. What
    only one of them does is no conflict."""
    stores: list[Place] = []
    loads: list[Place] = []
    inside: list[Var] = []
    alone = {s for branch in _of_one(loop) for s in statements(branch.body)}
    for stmt in statements(loop.body):
        if isinstance(stmt, Store) and stmt not in alone:
            stores.append((stmt.buffer, stmt.indices))
        if isinstance(stmt, For):
            inside.append(stmt.var)
        loads += loaded_places(expressions(stmt))
    check_places(loop.var, inside, _shared(stores), _shared(loads))


def _of_one(loop: For) -> list[If]:
    """The branches that one iteration takes: those where its number is a certain one."""
    branches = (s for s in statements(loop.body) if isinstance(s, If))
    return [branch for branch in branches if _names_one(branch.condition, loop.var)]


def _names_one(condition: Expr, var: Var) -> bool:
    """Whether it is an equality that holds for one value of `var`: none of a remainder of it."""
    if not isinstance(condition, Apply) or condition.op is not ops.EQ:
        return False
    a, b = condition.operands
    if a.dtype is not INDEX:
        return False
    form = linear(build.sub(a, b))
    others = tuple(atom for atom in form.terms if atom is not var)
    return form.coefficient(var) != 0 and var not in post_order(others)


def check_places(
    axis: Var, inside: Iterable[Var], stores: Sequence[Place], loads: Sequence[Place]
) -> None:
    """Raise if stores (or a load and a store) at two points of `axis` are certain to meet."""
    if isinstance(axis.extent, int) and axis.extent <= 1:
        return
    moving = _moving(axis, inside)
    for buffer, indices in stores:
        if not _varies(indices, moving):
            broken(f"every iteration of {axis.name} writes the same elements of {buffer.name}")
    written = {buffer.root for buffer, _ in stores}
    for load in loads:
        if load[0].root in written:
            for store in stores:
                if store[0] is load[0]:
                    _check_pair(axis, moving, store, load)


def _check_pair(axis: Var, moving: set[Var], store: Place, load: Place) -> None:
    message = f"iterations of {axis.name} write elements of {store[0].name} that others read"
    if not _varies(load[1], moving):
        broken(message)
    for there, here in zip(store[1], load[1], strict=True):
        a, b = linear(there), linear(here)
        if _only(a, axis) and a.terms == b.terms and a.constant != b.constant:
            steps, rest = divmod(b.constant - a.constant, a.coefficient(axis))
            if rest == 0 and isinstance(axis.extent, int) and abs(steps) < axis.extent:
                broken(message)


def _only(form: Linear, axis: Var) -> bool:
    return list(form.terms) == [axis]


def _moving(axis: Var, inside: Iterable[Var]) -> set[Var]:
    """The axis, and the variables inside whose range depends on it."""
    moving = {axis}
    for var in inside:
        if isinstance(var.extent, Expr) and _varies((var.extent,), moving):
            moving.add(var)
    return moving


def _varies(indices: Sequence[Expr], moving: set[Var]) -> bool:
    return any(n in moving or isinstance(n, Load) for n in post_order(indices))


def _shared(places: Iterable[Place]) -> list[Place]:
    return [p for p in places if p[0].root.space == "global"]


def loaded_places(roots: Sequence[Expr]) -> list[Place]:
    """The buffers that expressions read, and where."""
    return [
        (node.source, node.indices)
        for node in post_order(roots)
        if isinstance(node, Load) and isinstance(node.source, Buffer)
    ]
