"""Scalar expressions: the one language of graph bodies and kernel statements.

Nodes are immutable and compare by identity; a node used twice is evaluated once. Local rules are
checked where nodes are made (`ir/build.py` holds the functions that make them); whole-graph and
whole-kernel rules are in `ir/verify.py`. Plain classes with slots, not dataclasses: nodes are made
by the hundred thousand, and a frozen dataclass costs four times as much to make.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING

from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from tilewright.ir.ops import Op

Value = bool | int | float


class Expr:
    """A scalar value of one dtype. Subclasses: Const, Var, Apply, Load, LaneReduce."""

    __slots__ = ("dtype",)
    dtype: DType

    @property
    def operands(self) -> tuple[Expr, ...]:
        """The expressions that this one reads."""
        return ()


class Const(Expr):
    """A literal. Floats are kept exactly as the dtype rounds them."""

    __slots__ = ("value",)

    def __init__(self, value: Value, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"{self.value}:{self.dtype.short}"


class Var(Expr):
    """A loop or index variable, an open dimension, or a scalar argument.

    Where `extent` is given the variable runs over ``0 … extent - 1``; `least` is the smallest
    value otherwise known (1 for open dimensions that may not be empty).
    """

    __slots__ = ("extent", "least", "name")

    def __init__(
        self,
        name: str,
        extent: Size | None = None,
        dtype: DType = INDEX,
        least: int | None = None,
    ) -> None:
        self.name = name
        self.extent = extent
        self.dtype = dtype
        self.least = 0 if extent is not None else least

    def __repr__(self) -> str:
        return self.name


class Apply(Expr):
    """An operation of `ir/ops.py` on operands."""

    __slots__ = ("_operands", "op")

    def __init__(self, op: Op, operands: tuple[Expr, ...], dtype: DType | None = None) -> None:
        self.op = op
        self._operands = operands
        self.dtype = _result_dtype(op, operands, dtype)

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self._operands

    def __repr__(self) -> str:
        return f"{self.op.name}({', '.join(map(repr, self._operands))})"


class Load(Expr):
    """One element of `source`: a graph tensor (before lowering) or a buffer (in kernels)."""

    __slots__ = ("indices", "source")

    def __init__(self, source: Source, indices: tuple[Expr, ...]) -> None:
        if len(indices) != len(source.shape):
            raise IRError(f"{len(indices)} indices read {source.name} of rank {len(source.shape)}")
        self.source = source
        self.indices = indices
        self.dtype = source.dtype

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.indices

    def __repr__(self) -> str:
        return f"{self.source.name}[{', '.join(map(repr, self.indices))}]"


class LaneReduce(Expr):
    """All elements of one row of a register buffer combined by halving: a tree of fixed shape.

    `indices` select the row: all dimensions but the last. `op` is a combining operation (add, mul,
    min, max, and, or). Each step, element ``l`` takes ``l + ceil(n / 2)`` where that exists, until
    one is left.
    """

    __slots__ = ("indices", "op", "source")

    def __init__(self, op: Op, source: Source, indices: tuple[Expr, ...] = ()) -> None:
        if len(indices) != len(source.shape) - 1:
            raise IRError(f"{len(indices)} indices select a row of rank {len(source.shape)}")
        self.op = op
        self.source = source
        self.indices = indices
        self.dtype = source.dtype

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self.indices


class Source:
    """What a `Load` may read: anything with a name, a shape and a dtype."""

    __slots__ = ("dtype", "name", "shape")
    name: str
    shape: tuple[Size, ...]
    dtype: DType


Size = int | Expr


def _result_dtype(op: Op, operands: tuple[Expr, ...], given: DType | None) -> DType:
    if len(operands) != op.arity:
        raise IRError(f"{op.name} takes {op.arity} operands, not {len(operands)}")
    if op.result == "given":
        if given is None:
            raise IRError(f"{op.name} needs a result dtype")
        return given
    values = operands[1:] if op.result in ("select", "pick") else operands
    first = values[0].dtype
    for operand in values:
        if operand.dtype is not first:
            raise IRError(f"{op.name}: operand dtypes {first} and {operand.dtype} differ")
    if op.result == "select" and operands[0].dtype is not BOOL:
        raise IRError(f"select: the condition is {operands[0].dtype}, not bool")
    if op.result == "pick" and not operands[0].dtype.is_integer:
        raise IRError(f"pick: the number of the entry is {operands[0].dtype}")
    if first.kind not in op.domain:
        raise IRError(f"{op.name} is not defined on {first}")
    return BOOL if op.result == "bool" else first


def post_order(roots: Iterable[Expr]) -> Iterator[Expr]:
    """Every expression below `roots` once, operands before users. Iterative: chains are deep."""
    seen: set[Expr] = set()
    for root in roots:
        stack: list[Expr | None] = [root]
        while stack:
            node = stack.pop()
            if node is None:  # the operands of the next one have been visited
                done = stack.pop()
                assert done is not None
                yield done
                continue
            if node in seen:
                continue
            seen.add(node)
            operands = node.operands
            if not operands:
                yield node
                continue
            stack += (node, None)
            stack += [o for o in reversed(operands) if o not in seen]


def unfinished(root: Expr, done: Container[Expr]) -> Iterator[Expr]:
    """What stands below `root` and is not in `done`, operands before users. Whoever takes a node
    puts it into `done` before the next one; what is in it already is not walked through again."""
    stack = [root]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        waiting = [o for o in reversed(node.operands) if o not in done]
        if waiting:
            stack += waiting
        else:
            yield node


def rebuild(node: Expr, operands: tuple[Expr, ...]) -> Expr:
    """`node` with other operands, or `node` itself if they are the same objects."""
    old = node.operands
    if all(a is b for a, b in zip(old, operands, strict=True)):
        return node
    match node:
        case Apply():
            return Apply(node.op, operands, node.dtype if node.op.result == "given" else None)
        case Load():
            return Load(node.source, operands)
        case LaneReduce():
            return LaneReduce(node.op, node.source, operands)
        case _:
            raise IRError(f"{type(node).__name__} has no operands to replace")
