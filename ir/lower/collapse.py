"""Merging neighbouring axes that every access walks as one.

``out[i, j] = x[i, j]`` over (1000, 3) becomes ``out[c] = x[c]`` over 3000: one long loop without
tails, for elementwise work as for reductions over several axes.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import accesses, flat, free_positions
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute


def collapse_axes(nest: Nest, kept: Var | None = None) -> Nest:
    """The nest with as few axes as its accesses allow; `kept` stays an axis of its own."""
    while True:
        pair = _first_mergeable(nest, kept)
        if pair is None:
            return nest
        nest = _merge(nest, *pair)


def _groups(nest: Nest) -> list[tuple[Var, ...]]:
    groups = [nest.outer]
    for stage in nest.stages:
        if not stage.scans:
            groups.append(stage.axes)
        groups.append(stage.reduce_axes)
    return [g for g in groups if len(g) > 1]


def _first_mergeable(nest: Nest, kept: Var | None) -> tuple[Var, Var] | None:
    groups = _groups(nest)
    if not groups:
        return None
    found = [*(a.form for a in accesses(nest)), *free_positions(nest)]
    local = _local_axes(nest) | ({kept} if kept is not None else set())
    for group in groups:
        for a, b in pairwise(group):
            if a in local or b in local:
                continue
            if not isinstance(b.extent, int) or not _independent(nest, a, b):
                continue
            if all(_walks_as_one(form, a, b) for form in found):
                return a, b
    return None


def _walks_as_one(form: Linear, a: Var, b: Var) -> bool:
    """Whether a place moves along `a` as it would along a longer `b`. One that was loaded
    (``table[image[a, b]]``) moves as the load of it does, which is an access of its own."""
    assert isinstance(b.extent, int)
    for atom in form.terms:
        if not isinstance(atom, Var) and {a, b} & _outside_loads(atom):
            return False
    return form.coefficient(a) == form.coefficient(b) * b.extent


def _outside_loads(root: Expr) -> set[Var]:
    """The variables of an expression, those in the indices of loads left out."""
    found: set[Var] = set()
    stack, seen = [root], set[Expr]()
    while stack:
        node = stack.pop()
        if node in seen or isinstance(node, Load):
            continue
        seen.add(node)
        if isinstance(node, Var):
            found.add(node)
        stack.extend(node.operands)
    return found


def _local_axes(nest: Nest) -> set[Var]:
    """Axes that index a local: locals keep their shape."""
    found: set[Var] = set()
    for stage in nest.stages:
        roots = [*stage.indices] if stage.target in nest.locals else []
        for node in post_order((stage.value,)):
            if isinstance(node, Load) and node.source in nest.locals:
                roots += node.indices
        found.update(n for n in post_order(roots) if isinstance(n, Var))
    return found


def _independent(nest: Nest, a: Var, b: Var) -> bool:
    """No extent depends on the axes."""
    for stage in nest.stages:
        for axis in (*stage.axes, *stage.reduce_axes):
            if isinstance(axis.extent, Expr):
                return False
    return not isinstance(a.extent, Expr) or a in nest.outer


def _merge(nest: Nest, a: Var, b: Var) -> Nest:
    assert a.extent is not None
    assert isinstance(b.extent, int)
    merged = Var(a.name, build.size_mul(a.extent, b.extent))
    bindings: dict[Var, Expr] = {a: build.index(0), b: merged}
    views: dict[Buffer, Buffer] = {}

    def view(buffer: Buffer) -> Buffer:
        if buffer not in views:
            size = build.product(buffer.shape)
            views[buffer] = Buffer(buffer.name, (size,), buffer.dtype, buffer.space, base=buffer)
        return views[buffer]

    def place(buffer: Buffer, indices: tuple[Expr, ...]) -> Expr:
        return substitute(flat(buffer, indices).expression(), bindings)

    def load(node: Load) -> Expr | None:
        if not isinstance(node.source, Buffer) or node.source in nest.locals:
            return None
        return Load(view(node.source), (linear_place(node),))

    def linear_place(node: Load) -> Expr:
        assert isinstance(node.source, Buffer)
        return flat(node.source, node.indices).expression()

    def axes(old: tuple[Var, ...]) -> tuple[Var, ...]:
        return tuple(merged if x is b else x for x in old if x is not a)

    def stage(old: Stage) -> Stage:
        value = substitute(old.value, {}, load)
        value = substitute(value, bindings)
        changed = replace(old, axes=axes(old.axes), reduce_axes=axes(old.reduce_axes), value=value)
        if old.target in nest.locals:
            return changed
        return replace(changed, target=view(old.target), indices=(place(old.target, old.indices),))

    return Nest(nest.name, axes(nest.outer), tuple(stage(s) for s in nest.stages), nest.locals)
