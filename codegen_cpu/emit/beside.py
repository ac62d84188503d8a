"""Elements that a statement reads beside each other, at places that are computed.

The taps of an interpolation, ``image[clamp(i)]`` and ``image[clamp(i + 1)]``, are mostly
neighbours, and 64 bits hold both of them with all channels. Which loads may be neighbours is seen
in their indices; whether they are is found out when they are read (at an edge both are the same
element, or they lie at both ends of a line that wraps).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from tilewright.codegen_cpu.emit.gathers import WORD
from tilewright.ir import ops
from tilewright.ir.emit.environment import Environment, buffer_of
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order


class Group(Struct, frozen=True):
    """Loads that 64 bits from the first of them on may hold, each with how many elements it
    lies behind the first."""

    members: tuple[tuple[Load, int], ...]


def groups_of_neighbours(value: Expr, environment: Environment) -> dict[Load, Group]:
    """The loads below `value` that have neighbours, and these."""
    families: dict[object, list[tuple[int, Load]]] = {}
    for node in post_order((value,)):
        if isinstance(node, Load) and buffer_of(node).space != "register":
            for family, place in _families(node, environment):
                families.setdefault(family, []).append((place, node))
    found: dict[Load, Group] = {}
    for members in families.values():
        for group in _groups(sorted(members, key=lambda member: member[0])):
            for load, _ in group.members:
                found.setdefault(load, group)
    return found


def _groups(members: Sequence[tuple[int, Load]]) -> list[Group]:
    """Runs of which every member lies at most a word behind the first."""
    groups: list[list[tuple[Load, int]]] = []
    start = 0
    for place, load in members:
        if groups and 0 < place - start <= WORD // buffer_of(load).dtype.bits:
            groups[-1].append((load, place - start))
        elif not groups or place != start:
            groups.append([(load, 0)])
            start = place
    return [Group(tuple(group)) for group in groups if group[1:]]


def _families(node: Load, environment: Environment) -> Iterator[tuple[object, int]]:
    """For each part of the place what it is a step away from, and how many elements that is."""
    buffer = buffer_of(node)
    form = environment.offset(buffer, node.indices)
    terms = form.terms.items()
    if all(isinstance(atom, Var) for atom in form.terms):
        return  # lanes a fixed step apart
    for atom, factor in terms:
        if not 0 < factor * buffer.dtype.bits <= WORD:
            continue
        others = frozenset(term for term in terms if term[0] is not atom)
        for inner, step in _steps(atom):
            yield (buffer.root, others, factor, inner), form.constant + step * factor


def _steps(atom: Expr) -> Iterator[tuple[object, int]]:
    """The forms of which a part of a place may be a step away, and how far.

    ``max(min(i + 1, 9), 0)`` is ``max(min(_, 9), 0)`` of ``i``, and 1; of ``i + 1``, and 0.
    """
    wrappers: list[object] = []
    node = atom
    while True:
        yield (tuple(wrappers), node), 0
        variable = [o for o in node.operands if not isinstance(o, Const)]
        if not isinstance(node, Apply) or len(variable) != 1:
            return
        shown = [o.value if isinstance(o, Const) else None for o in node.operands]
        if node.op is ops.ADD:
            literal = next(o.value for o in node.operands if isinstance(o, Const))
            if literal == int(literal):
                yield (tuple(wrappers), variable[0]), int(literal)
            return
        wrappers.append((node.op, node.dtype, *shown))
        (node,) = variable
