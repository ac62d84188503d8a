"""Expressions as text: operators where the op table has a symbol, calls otherwise.

An expression that is used twice, and one that would nest too deeply, becomes a ``let``; so a text
is as long as the expression has nodes, and a parser need not nest deeply either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Source, Var, post_order
from tilewright.ir.graph import Tensor
from tilewright.ir.text.literals import literal_text
from tilewright.ir.text.names import Names

# Beyond these an expression gets a line of its own.
MAX_HEIGHT = 8
MAX_WIDTH = 72

# Higher binds tighter, as in Python. Comparisons do not chain.
COMPARISON, ATOM = 1, 9
PRECEDENCE = {
    **{op.symbol: COMPARISON for op in ops.COMPARISONS},
    "|": 2,
    "^": 3,
    "&": 4,
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    "//": 7,
    "%": 7,
}


class _Text(Struct, frozen=True):
    text: str
    level: int
    height: int


class Block(Struct, frozen=True):
    """Lines of ``let``, and the texts of the roots that may use them."""

    lets: list[str]
    roots: list[str]

    def inline(self) -> str:
        """The first root as one expression."""
        return f"{{ {'; '.join([*self.lets, self.roots[0]])} }}" if self.lets else self.roots[0]


def block(roots: Sequence[Expr], names: Names) -> Block:
    """The texts of `roots`, which share their ``let`` lines."""
    uses = Counter(id(root) for root in roots)
    order = list(post_order(roots))
    tops = set(roots)
    for node in order:
        uses.update(id(o) for o in node.operands)
    lets: list[str] = []
    done: dict[Expr, _Text] = {}
    for node in order:
        text = _render(node, done, names)
        shared = uses[id(node)] > 1 and not isinstance(node, (Const, Var))
        if shared or text.height > MAX_HEIGHT or (len(text.text) > MAX_WIDTH and node not in tops):
            name = f"e{len(lets)}"
            lets.append(f"let {name} = {text.text}")
            text = _Text(name, ATOM, 0)
        done[node] = text
    return Block(lets, [done[root].text for root in roots])


def size_text(size: Size, names: Names) -> str:
    """A dimension or an extent."""
    return str(size) if isinstance(size, int) else block((size,), names).inline()


def shape_text(shape: Sequence[Size], names: Names) -> str:
    return f"[{', '.join(size_text(s, names) for s in shape)}]"


def axes_text(axes: Sequence[Var], names: Names) -> str:
    """``(i: 64, j: N)``; declares the axes."""
    shown = []
    for axis in axes:
        extent = "?" if axis.extent is None else size_text(axis.extent, names)
        shown.append(f"{names.declare(axis, axis.name, 'v')}: {extent}")
    return f"({', '.join(shown)})"


def source_text(source: Source, names: Names) -> str:
    name = names.of(source, source.name)
    return f"%{name}" if isinstance(source, Tensor) else name


def access_text(source: Source, indices: Sequence[str], names: Names) -> str:
    return f"{source_text(source, names)}[{', '.join(indices)}]"


def _render(node: Expr, done: dict[Expr, _Text], names: Names) -> _Text:
    match node:
        case Const():
            return _Text(literal_text(node), ATOM, 0)
        case Var():
            return _Text(names.of(node, node.name), ATOM, 0)
    parts = [done[o] for o in node.operands]
    height = 1 + max((p.height for p in parts), default=0)
    shown = [p.text for p in parts]
    match node:
        case Load():
            return _Text(access_text(node.source, shown, names), ATOM, height)
        case LaneReduce():
            row = access_text(node.source, shown, names)
            return _Text(f"lanes.{node.op.name}({row})", ATOM, height)
        case Apply(op=ops.CAST):
            return _Text(f"{node.dtype.short}({shown[0]})", ATOM, height)
        case Apply(op=ops.BITCAST):
            return _Text(f"bits.{node.dtype.short}({shown[0]})", ATOM, height)
        case Apply() if node.op.symbol:
            level = PRECEDENCE[node.op.symbol]
            left = _inside(parts[0], level + (level == COMPARISON))
            right = _inside(parts[1], level + 1)
            return _Text(f"{left} {node.op.symbol} {right}", level, height)
        case Apply():
            return _Text(f"{node.op.name}({', '.join(shown)})", ATOM, height)
    return _Text(f"?{type(node).__name__}({', '.join(shown)})", ATOM, height)


def _inside(part: _Text, least: int) -> str:
    return part.text if part.level >= least else f"({part.text})"
