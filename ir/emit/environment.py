"""What an emitter knows at one place: bindings of variables, versions of storage, and facts."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from tilewright.ir import ops
from tilewright.ir.analysis.affine import Linear, linear, offset, rejoined, row_major_strides
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Size, Var
from tilewright.ir.kernel import Buffer


class Value(Struct, frozen=True):
    """A name or a literal, how many lanes it has, and the outermost scope that knows it.

    `known` is the value of an index that is a literal.
    """

    text: str
    lanes: int
    depth: int
    known: int | None = None


class Lanes(Struct, frozen=True):
    """Binding of a vector loop's variable: `count` consecutive iterations from `start`."""

    start: int
    count: int


Binding = Value | Lanes | int
"""A name at run time, the lanes of a vector, or the iteration of a loop that is written out."""


class Facts(Struct, frozen=True):
    """What an expression depends on.

    `volatile`: it reads registers, whose contents change. `pinned`: it holds a branch, so that it
    cannot move to another place than where it is first needed.
    """

    variables: tuple[Var, ...]
    roots: tuple[Buffer, ...]
    volatile: bool
    pinned: bool


class Environment:
    """Bindings of variables, versions of storage, and facts about expressions.

    `legal_size` makes a stride legal for the target: it is a product of sizes of a buffer, which
    stands in no statement, so that the legalisation of statements does not see it.
    """

    def __init__(self, legal_size: Callable[[Size], Size] = lambda size: size) -> None:
        self._legal_size = legal_size
        self.bindings: dict[Expr, Binding] = {}
        self.versions: dict[Buffer, int] = {}
        self._facts: dict[Expr, Facts] = {}
        self._offsets: dict[tuple[Buffer, tuple[Expr, ...]], Linear] = {}

    def stored(self, root: Buffer) -> None:
        """Remember that `root` has changed."""
        self.versions[root] = self.versions.get(root, 0) + 1

    def facts(self, node: Expr) -> Facts:
        """What `node` depends on."""
        known = self._facts
        found = known.get(node)
        if found is not None:
            return found
        stack = [node]
        while stack:
            inner = stack[-1]
            missing = [o for o in inner.operands if o not in known]
            if missing:
                stack += missing
                continue
            stack.pop()
            known[inner] = self._combine(inner)
        return known[node]

    def _combine(self, node: Expr) -> Facts:
        if isinstance(node, Var):
            return Facts((node,), (), False, False)
        parts = [self._facts[o] for o in node.operands]
        variables = tuple(dict.fromkeys(v for p in parts for v in p.variables))
        roots = tuple(dict.fromkeys(r for p in parts for r in p.roots))
        volatile = any(p.volatile for p in parts)
        if isinstance(node, (Load, LaneReduce)):
            root = buffer_of(node).root
            if root.space == "register":
                volatile = True
            elif root not in roots:
                roots = (*roots, root)
        pinned = any(p.pinned for p in parts) or (isinstance(node, Apply) and node.op is ops.LIKELY)
        return Facts(variables, roots, volatile, pinned)

    def offset(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Linear:
        """The element offset of an access, as a linear form."""
        key = (buffer, indices)
        found = self._offsets.get(key)
        if found is None:
            strides = buffer.strides or row_major_strides(buffer.shape)
            legal = [self._legal_size(stride) for stride in strides]
            found = self._offsets[key] = rejoined(linear(offset(indices, legal)))
        return found


def buffer_of(node: Load | LaneReduce) -> Buffer:
    """The buffer that a load of a kernel reads."""
    if not isinstance(node.source, Buffer):
        raise IRError(f"{node.source.name} is read in a kernel but is not a buffer")
    return node.source
