"""Rules of graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.ir.dtypes import BOOL, I64
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.graph import (
    COMBINERS,
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
)
from tilewright.ir.printer import print_node
from tilewright.ir.verify.bounds import check_static_bounds
from tilewright.ir.verify.expressions import (
    broken,
    check_axes,
    check_combiner,
    check_expressions,
    check_indices,
    check_shape,
    check_size,
    only_tensors,
)


def verify_graph(graph: Graph, *, strict: bool = False) -> None:
    """Raise `IRError` if `graph` breaks a rule. `strict`: also where an access is certain to be
    out of bounds."""
    GraphVerifier(graph, frozenset(), strict).verify()


class GraphVerifier:
    """Checks one graph; `outer` are the symbols of the graphs around it."""

    def __init__(self, graph: Graph, outer: frozenset[Var], strict: bool) -> None:
        self.graph = graph
        self.symbols = set(outer) | set(graph.symbols)
        self.strict = strict
        self.defined: set[int] = set()

    def verify(self) -> None:
        graph = self.graph
        if len(set(graph.inputs)) != len(graph.inputs):
            broken(f"graph {graph.name} has one tensor as two inputs")
        for node in graph.nodes():
            try:
                self._node(node)
            except IRError as error:
                raise _located(error, node, graph.name) from None
            self.defined.add(id(node))
        for check in graph.checks:
            check_size(check.size, self.symbols, "the size that a check names")
            for extreme in (check.least, check.most):
                if extreme.dtype is not I64 or extreme.shape:
                    broken(f"a check tests {extreme.name}, which is no int64 of rank 0")

    def _node(self, node: Tensor) -> None:
        for source in node.sources:
            if id(source) not in self.defined:
                broken(f"{source.name} is used before it is computed")
        if not isinstance(node, (Compute, Reduction)):  # theirs are the extents of the axes
            check_shape(node.shape, self.symbols, node.name)
        rule = _RULES.get(type(node))
        if rule is None:
            broken(f"{type(node).__name__} is no node of a graph")
        rule(self, node)

    def body(self, axes: Sequence[Var], roots: Sequence[Expr]) -> None:
        """Expressions at every point of `axes`."""
        known = check_axes(axes, self.symbols)
        check_expressions(roots, known, only_tensors)
        if self.strict and all(isinstance(a.extent, int) and a.extent > 0 for a in axes):
            check_static_bounds(roots)


def _located(error: IRError, node: Tensor, graph: str) -> IRError:
    notes = [*error.notes, (f"in {print_node(node)}", None), (f"in graph {graph}", None)]
    return IRError(error.message, loc=error.loc or node.loc, notes=notes)


def _input(verifier: GraphVerifier, node: Input) -> None:
    if node not in verifier.graph.inputs:
        broken(f"{node.name} is an input that the graph does not list")


def _constant(verifier: GraphVerifier, node: Constant) -> None:
    if node.array.dtype != node.dtype.numpy or node.array.shape != node.shape:
        found = f"{node.array.dtype}{list(node.array.shape)}"
        broken(f"a constant of {node.dtype}{list(node.shape)} holds {found}")


def _compute(verifier: GraphVerifier, node: Compute) -> None:
    verifier.body(node.axes, (node.body,))
    _same_shape(node.shape, [a.extent for a in node.axes], "the extents of the axes")
    if node.dtype is not node.body.dtype:
        broken(f"a node of {node.dtype} has a body of {node.body.dtype}")


def _reduction(verifier: GraphVerifier, node: Reduction) -> None:
    verifier.body((*node.axes, *node.reduce_axes), (node.body,))
    _same_shape(node.shape, [a.extent for a in node.axes], "the extents of the axes")
    check_combiner(node.combiner, node.body)


def _reshape(verifier: GraphVerifier, node: Reshape) -> None:
    before, after = _count(node.operand.shape), _count(node.shape)
    if before is not None and after is not None and before != after:
        broken(f"{before} elements are reshaped to {after}")
    if node.dtype is not node.operand.dtype:
        broken(f"a reshape changes {node.operand.dtype} to {node.dtype}")


def _scan(verifier: GraphVerifier, node: Scan) -> None:
    _axis(node.axis, node.operand)
    combiner = COMBINERS.get(node.combiner)
    if combiner is None or combiner.op is None:
        broken(f"{node.combiner} cannot run along an axis")
    if node.dtype.kind not in combiner.op.domain:
        broken(f"combiner {node.combiner} is not defined on {node.dtype}")


def _sort(verifier: GraphVerifier, node: Sort) -> None:
    _axis(node.axis, node.operand)


def _scatter(verifier: GraphVerifier, node: Scatter) -> None:
    verifier.body(node.axes, (*node.indices, node.value))
    check_indices(node.indices, node.base.name)
    if len(node.indices) != len(node.base.shape):
        broken(f"{len(node.indices)} indices write a tensor of rank {len(node.base.shape)}")
    if node.value.dtype is not node.base.dtype:
        broken(f"{node.value.dtype} is scattered into {node.base.dtype}")
    if node.combiner is not None:
        check_combiner(node.combiner, node.value)
        if COMBINERS[node.combiner].op is None:
            broken(f"{node.combiner} cannot combine what is scattered")


def _result(verifier: GraphVerifier, node: Result) -> None:
    if not isinstance(node.loop, (Loop, While)):
        broken(f"a result of {node.loop.name}, which is no loop")
    if not 0 <= node.position < len(node.loop.initial):
        broken(f"result {node.position} of a loop with {len(node.loop.initial)} states")


def _loop(verifier: GraphVerifier, node: Loop) -> None:
    check_size(node.count, verifier.symbols, "the number of steps")
    body = node.body
    if not body.inputs or body.inputs[0].dtype is not I64 or body.inputs[0].shape:
        broken("the first input of a loop's body is not the step number (an int64 of rank 0)")
    _matches("inputs", body.inputs[1:], (*node.initial, *node.captured))
    _nested_body(verifier, node, body)


def _while(verifier: GraphVerifier, node: While) -> None:
    state = (*node.initial, *node.captured)
    _matches("inputs", node.condition.inputs, state)
    _matches("inputs", node.body.inputs, state)
    outputs = node.condition.outputs
    if len(outputs) != 1 or outputs[0].dtype is not BOOL or outputs[0].shape:
        broken("the condition of a while loop is not one bool of rank 0")
    GraphVerifier(node.condition, frozenset(verifier.symbols), verifier.strict).verify()
    _nested_body(verifier, node, node.body)


def _nested_body(verifier: GraphVerifier, node: Loop | While, body: Graph) -> None:
    _matches("outputs", body.outputs, node.initial)
    GraphVerifier(body, frozenset(verifier.symbols), verifier.strict).verify()


def _matches(what: str, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    if len(found) != len(wanted):
        broken(f"a loop's body has {len(found)} {what} for {len(wanted)} tensors")
    for inner, outer in zip(found, wanted, strict=True):
        if inner.dtype is not outer.dtype:
            broken(f"{what} of a loop's body: {inner.name} is {inner.dtype}, not {outer.dtype}")
        _same_shape(inner.shape, outer.shape, f"that of {outer.name}")


def _axis(axis: int, operand: Tensor) -> None:
    if not 0 <= axis < len(operand.shape):
        broken(f"axis {axis} of a tensor of rank {len(operand.shape)}")


def _same_shape(found: Sequence[Size], wanted: Sequence[Size | None], what: str) -> None:
    pairs = zip(found, wanted, strict=False)
    differ = (isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    if len(found) != len(wanted) or any(differ):
        broken(f"the shape {list(found)} is not {list(wanted)}, {what}")


def _count(shape: Sequence[Size]) -> int | None:
    total = 1
    for size in shape:
        if not isinstance(size, int):
            return None
        total *= size
    return total


_RULES: dict[type, Callable[..., None]] = {
    Input: _input,
    Constant: _constant,
    Compute: _compute,
    Reduction: _reduction,
    Reshape: _reshape,
    Scan: _scan,
    Sort: _sort,
    Scatter: _scatter,
    Result: _result,
    Loop: _loop,
    While: _while,
}
