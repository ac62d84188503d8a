"""Python float arguments as float32: for targets without float64.

Such an argument is a float64 input of rank 0, but weak: in ``x * s`` it is rounded to the dtype of
`x` before anything is computed. In: a graph. Out: one whose inputs of that kind have the dtype to
which all of their uses are rounded, so that the host rounds them when it passes them, which gives
the same bits. Arithmetic among Python floats (``x * (1 - s)``) is float64 arithmetic before that
rounding: `computed_scalars` names its arguments, and a kernel made for their values has it folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.expr import Apply, Expr, Load, Source, post_order
from tilewright.ir.graph import (
    Compute,
    Graph,
    Input,
    Loop,
    Reduction,
    Scatter,
    Tensor,
    While,
)
from tilewright.ir.graph_rewrite import map_expressions, rewrite_graph
from tilewright.ir.traverse import rewrite

_PYTHON_FLOAT = "float argument"
"""The label that tracing gives an argument that is weak in promotion; it has no dimension."""


def narrow_scalars(graph: Graph) -> Graph:
    """`graph` with Python float arguments that are only ever rounded (or unused) narrowed."""
    uses = _Uses(graph)
    narrow: dict[Tensor, Input] = {
        i: Input(i.name, (), dtype, i.label, i.loc) for i, dtype in uses.rounded().items()
    }
    return _narrowed(graph, narrow) if narrow else graph


def computed_scalars(graph: Graph) -> frozenset[str]:
    """The Python float arguments that float64 arithmetic reads, and nothing but literals and other
    such arguments beside them: its result is known as soon as their values are."""
    uses = _Uses(graph)
    return frozenset(i.name for i in uses.scalars if i not in uses.rounded().keys() | uses.mixed)


class _Uses:
    """How the Python float arguments of a graph are used.

    `casts` are the dtypes to which each is rounded, `wide` those that something else reads, and
    `mixed` those that meet array elements as float64, or are passed on as they are.
    """

    def __init__(self, graph: Graph) -> None:
        self.scalars = [i for i in graph.inputs if i.dtype is F64 and i.label == _PYTHON_FLOAT]
        self.casts: dict[Tensor, set[DType]] = {i: set() for i in self.scalars}
        self.wide: set[Tensor] = set()
        self.mixed: set[Tensor] = set()
        if self.scalars:
            self._graph(graph, {i: i for i in self.scalars})

    def rounded(self) -> dict[Input, DType]:
        """The dtype that can stand for each input that is never float64 in a computation."""
        found: dict[Input, DType] = {}
        for scalar in self.scalars:
            casts = self.casts[scalar]
            if scalar not in self.wide | self.mixed and len(casts) <= 1:
                found[scalar] = next(iter(casts), F32)
        return found

    def _graph(self, graph: Graph, given: Mapping[Tensor, Input]) -> None:
        """Look through a graph in which the keys of `given` stand for inputs of the outermost."""
        scope = _Scope(dict(given), {tensor: frozenset((i,)) for tensor, i in given.items()})
        for node in graph.nodes():
            match node:
                case Compute():
                    self._compute(node, scope)
                case Reduction():
                    self.mixed |= self._expression(node.body, scope)
                case Scatter():
                    self._passed_on((node.base,), scope)
                    for part in (*node.indices, node.value):
                        self.mixed |= self._expression(part, scope)
                case Loop() | While():
                    plain = [t for t in node.captured if t not in scope.copies]
                    self._passed_on((*node.initial, *plain), scope)
                    for body in _bodies(node):
                        self._graph(body, _captured(node, body, scope.copies))
                case _:
                    self._passed_on(node.sources, scope)
        self._passed_on(graph.roots, scope)

    def _compute(self, node: Compute, scope: _Scope) -> None:
        copied = _copied(node, scope.copies)
        if copied is not None:
            scope.copies[node] = copied
            scope.computed[node] = frozenset((copied,))
            return
        below = self._expression(node.body, scope)
        reads_data = any(t not in scope.computed for t in node.sources)
        if node.shape or node.dtype is not F64 or reads_data:
            self.mixed |= below
        else:
            scope.computed[node] = below

    def _passed_on(self, tensors: Iterable[Tensor], scope: _Scope) -> None:
        self.mixed = self.mixed.union(*(scope.computed.get(t, ()) for t in tensors))

    def _expression(self, root: Expr, scope: _Scope) -> frozenset[Tensor]:
        """Note how an expression uses the arguments; those of which its value is float64."""
        scalars: dict[Expr, frozenset[Tensor]] = {}
        reads_data: dict[Expr, bool] = {}
        for node in post_order((root,)):
            if isinstance(node, Load) and node.source in scope.computed:
                scalars[node], reads_data[node] = scope.computed[node.source], False
                continue
            below = frozenset[Tensor]().union(*(scalars[o] for o in node.operands))
            reads_data[node] = isinstance(node, Load) or any(reads_data[o] for o in node.operands)
            scalars[node] = below if node.dtype is F64 else frozenset()
            if reads_data[node]:
                self.mixed |= below
            self._direct(node, scope)
        return scalars[root]

    def _direct(self, node: Expr, scope: _Scope) -> None:
        """What an expression does with the arguments that it reads at first hand."""
        for operand in node.operands:
            read = _read(operand, scope.copies)
            if read is not None and _is_rounding(node):
                self.casts[read].add(node.dtype)
            elif read is not None:
                self.wide.add(read)


class _Scope(Struct):
    """What is known in one graph: which tensors are copies of an argument, and of which arguments
    those tensors are computed that read nothing else."""

    copies: dict[Tensor, Input]
    computed: dict[Source, frozenset[Tensor]]


def _copied(node: Tensor, copies: Mapping[Tensor, Input]) -> Input | None:
    return _read(node.body, copies) if isinstance(node, Compute) and not node.shape else None


def _read(node: Expr, copies: Mapping[Tensor, Input]) -> Input | None:
    """The argument of which an expression reads a copy, if it does nothing else."""
    if isinstance(node, Load) and isinstance(node.source, Tensor):
        return copies.get(node.source)
    return None


def _is_rounding(node: Expr) -> bool:
    return isinstance(node, Apply) and node.op is ops.CAST and node.dtype in (F16, F32)


def _bodies(loop: Loop | While) -> tuple[Graph, ...]:
    return (loop.body,) if isinstance(loop, Loop) else (loop.condition, loop.body)


def _captured(
    loop: Loop | While, body: Graph, outer: Mapping[Tensor, Input]
) -> dict[Tensor, Input]:
    """What `outer` says of captured tensors, for the inputs of a body that stand for them."""
    inner = body.inputs[len(body.inputs) - len(loop.captured) :]
    pairs = zip(inner, loop.captured, strict=True)
    return {mine: outer[theirs] for mine, theirs in pairs if theirs in outer}


def _narrowed(graph: Graph, narrow: Mapping[Tensor, Input]) -> Graph:
    """`graph` with every input that is a key of `narrow` replaced, where it is read as well."""
    copies: dict[Tensor, Input] = dict(narrow)
    copies.update({new: new for new in narrow.values()})

    def read_narrow(node: Expr) -> Expr | None:
        found = _read(node.operands[0], copies) if _is_rounding(node) else None
        return None if found is None else build.load(found)

    def node(old: Tensor) -> Tensor | None:
        if isinstance(old, (Loop, While)):
            return _narrowed_loop(old, copies)
        return map_expressions(old, lambda expr: rewrite(expr, read_narrow))

    def rule(old: Tensor) -> Tensor | None:
        if not any(source in copies for source in old.sources):
            return None
        return _copied(old, copies) or node(old)

    made = rewrite_graph(graph, rule)
    return replace(made, inputs=tuple(narrow.get(i, i) for i in graph.inputs))


def _narrowed_loop(loop: Loop | While, copies: Mapping[Tensor, Input]) -> Loop | While:
    captured = tuple(copies.get(t, t) for t in loop.captured)
    bodies = []
    for body in _bodies(loop):
        inner = {
            mine: Input(mine.name, (), new.dtype, mine.label, mine.loc)
            for mine, new in _captured(loop, body, copies).items()
        }
        bodies.append(_narrowed(body, inner))
    about = {"label": loop.label, "loc": loop.loc}
    if isinstance(loop, Loop):
        return Loop(loop.name, loop.count, loop.initial, captured, bodies[0], **about)
    return While(loop.name, loop.initial, captured, bodies[0], bodies[1], **about)
