"""What the emitter knows about expressions: variables, storage read, offsets, numbers of uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewright.ir.affine import Linear, linear, offset, row_major_strides
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer, For, Stmt, Store, children, expressions


@dataclass(frozen=True, slots=True)
class Value:
    """An expression's text, its lanes and the depth of the outermost scope that knows it.

    `known` is its integer value if it is a literal. `pending` marks text that is to be used once,
    inside of another expression; other texts are names or literals.
    """

    text: str
    lanes: int
    depth: int
    known: int | None = None
    pending: bool = False
    nesting: int = 0


@dataclass(frozen=True, slots=True)
class Lanes:
    """Binding of a vector loop's variable: `count` consecutive iterations from `start`."""

    start: int
    count: int


Binding = Value | Lanes | int


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression depends on; `volatile` if on registers."""

    variables: tuple[Var, ...]
    roots: tuple[Buffer, ...]
    volatile: bool


class Environment:
    """Bindings of variables, versions of storage, and facts about expressions."""

    def __init__(self, body: Sequence[Stmt]) -> None:
        self.bindings: dict[Var, Binding] = {}
        self.versions: dict[Buffer, int] = {}
        self._facts: dict[Expr, Facts] = {}
        self._offsets: dict[tuple[Buffer, tuple[Expr, ...]], Linear] = {}
        self.expanded: frozenset[Var] = frozenset(_expanded(body))
        self.uses: dict[Expr, int] = {}
        self._counted: set[Expr] = set()
        self._count_uses(body, frozenset())

    def stored(self, root: Buffer) -> None:
        """Remember that `root` has changed."""
        self.versions[root] = self.versions.get(root, 0) + 1

    def facts(self, node: Expr) -> Facts:
        found = self._facts.get(node)
        if found is None:
            for inner in post_order((node,)):
                if inner not in self._facts:
                    self._facts[inner] = self._combine(inner)
            found = self._facts[node]
        return found

    def _combine(self, node: Expr) -> Facts:
        if isinstance(node, Var):
            return Facts((node,), (), False)
        parts = [self._facts[o] for o in node.operands]
        variables = tuple(dict.fromkeys(v for p in parts for v in p.variables))
        roots = tuple(dict.fromkeys(r for p in parts for r in p.roots))
        volatile = any(p.volatile for p in parts)
        if isinstance(node, Load):
            root = buffer_of(node).root
            if root.space == "register":
                volatile = True
            elif root not in roots:
                roots = (*roots, root)
        return Facts(variables, roots, volatile)

    def offset(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Linear:
        """The element offset of an access, as a linear form."""
        key = (buffer, indices)
        found = self._offsets.get(key)
        if found is None:
            strides = buffer.strides or row_major_strides(buffer.shape)
            found = self._offsets[key] = linear(offset(indices, strides))
        return found

    # Uses: an expression that is used once is written where it is used.

    def _count_uses(self, body: Sequence[Stmt], around: frozenset[Var]) -> None:
        for stmt in body:
            for root in expressions(stmt):
                self._use(root, around)
                self._count_operands(root)
            inside = around
            if isinstance(stmt, For) and stmt.kind in ("unroll", "vector"):
                inside = around | {stmt.var}
            self._count_uses(children(stmt), inside)

    def _count_operands(self, root: Expr) -> None:
        for node in post_order((root,)):
            if node in self._counted:
                continue
            self._counted.add(node)
            expanded = self.expanded.intersection(self.facts(node).variables)
            for operand in node.operands:
                self._use(operand, expanded)

    def _use(self, node: Expr, expanded: frozenset[Var]) -> None:
        """Used where the loops over `expanded` are unrolled: more than once if it does not vary."""
        once = expanded <= set(self.facts(node).variables)
        self.uses[node] = self.uses.get(node, 0) + (1 if once else 2)


def _expanded(body: Sequence[Stmt]) -> list[Var]:
    found: list[Var] = []
    for stmt in body:
        if isinstance(stmt, For) and stmt.kind in ("unroll", "vector"):
            found.append(stmt.var)
        found += _expanded(children(stmt))
    return found


def buffer_of(node: Load) -> Buffer:
    """The buffer that a load of a kernel reads."""
    if not isinstance(node.source, Buffer):
        raise IRError(f"{node.source.name} is read in a kernel but is not a buffer")
    return node.source


def stored_roots(body: Sequence[Stmt]) -> tuple[Buffer, ...]:
    """The storage in memory that the statements write."""
    found: dict[Buffer, None] = {}
    for stmt in body:
        if isinstance(stmt, Store) and stmt.buffer.space != "register":
            found[stmt.buffer.root] = None
        found.update(dict.fromkeys(stored_roots(children(stmt))))
    return tuple(found)
