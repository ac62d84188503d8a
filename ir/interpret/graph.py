"""NumPy evaluation of graphs: the oracle for the front end and for passes over graphs.

In: a graph, its inputs as arrays, the open dimensions' values. Out: the outputs as arrays of
exactly the graph's dtypes. Every node is evaluated as it is defined, over all of its axes at once;
reductions in pieces, so that memory stays bounded. Reading out of bounds is an `IRError`: a graph
must not do it, whatever its inputs are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tilewright.ir import ops
from tilewright.ir.errors import BoundsError, IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Source, Var, post_order
from tilewright.ir.graph import (
    Check,
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
    identity,
)
from tilewright.ir.interpret.values import UFUNCS

PIECE = 1 << 22
"""The most points of a reduction that are evaluated at once."""

Arrays = dict[Source, np.ndarray]


def run_graph(
    graph: Graph, inputs: Sequence[np.ndarray], symbols: Mapping[Var, int] | None = None
) -> list[np.ndarray]:
    """The values of the graph's outputs; `BoundsError` where a check fails."""
    return _Evaluation(symbols or {}).run(graph, inputs)


def evaluate(
    expr: Expr, bindings: Mapping[Var, np.ndarray], arrays: Mapping[Source, np.ndarray]
) -> np.ndarray:
    """`expr` where variables are (broadcastable) arrays of positions."""
    values: dict[Expr, np.ndarray] = {}
    for node in post_order((expr,)):
        values[node] = _value(node, values, bindings, arrays)
    return values[expr]


def _value(
    node: Expr,
    values: Mapping[Expr, np.ndarray],
    bindings: Mapping[Var, np.ndarray],
    arrays: Mapping[Source, np.ndarray],
) -> np.ndarray:
    dtype = node.dtype.numpy
    match node:
        case Const():
            return np.asarray(node.value, dtype)
        case Var():
            return bindings[node]
        case Load():
            return _read(node, [values[i] for i in node.indices], arrays)
        case Apply(op=ops.CAST):
            return np.asarray(ops.convert(values[node.operands[0]], dtype))
        case Apply(op=ops.BITCAST):
            return np.array(values[node.operands[0]], order="C").view(dtype)
        case Apply():
            result = np.asarray(node.op.reference(*(values[o] for o in node.operands)))
            if result.dtype != dtype:
                raise IRError(f"{node.op.name} gives {result.dtype} instead of {dtype}")
            return result
    raise IRError(f"a graph cannot hold {type(node).__name__}")


def _read(
    node: Load, indices: Sequence[np.ndarray], arrays: Mapping[Source, np.ndarray]
) -> np.ndarray:
    array = arrays[node.source]
    if array.size == 0:  # where nothing is, only an alternative that is not taken reads
        return np.zeros(np.broadcast_shapes(*(i.shape for i in indices)), array.dtype)
    for axis, (index, size) in enumerate(zip(indices, array.shape, strict=True)):
        if index.size and (index.min() < 0 or index.max() >= size):
            raise IRError(
                f"{node.source.name} of shape {array.shape} is read at {int(index.min())} … "
                f"{int(index.max())} on axis {axis}"
            )
    return np.asarray(array[tuple(indices)])


class _Evaluation:
    """One run, with the open dimensions bound."""

    def __init__(self, symbols: Mapping[Var, int]) -> None:
        self._symbols = {v: np.asarray(n, np.int64) for v, n in symbols.items()}

    def run(self, graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(inputs) != len(graph.inputs):
            raise IRError(f"{graph.name} takes {len(graph.inputs)} inputs, not {len(inputs)}")
        arrays: Arrays = {}
        for given, array in zip(graph.inputs, inputs, strict=True):
            arrays[given] = self._checked(given, np.asarray(array))
        results: dict[Tensor, list[np.ndarray]] = {}
        for node in graph.nodes():
            if isinstance(node, Input):
                continue
            if isinstance(node, (Loop, While)):
                results[node] = self._repeat(node, arrays)
            elif isinstance(node, Result):
                arrays[node] = results[node.loop][node.position]
            else:
                with np.errstate(all="ignore"):
                    arrays[node] = self._checked(node, np.asarray(self._node(node, arrays)))
        for check in graph.checks:
            self._test(check, arrays)
        return [arrays[o] for o in graph.outputs]

    def size(self, size: Size) -> int:
        """A size as a number."""
        return size if isinstance(size, int) else int(evaluate(size, self._symbols, {}))

    def _shape(self, tensor: Tensor) -> tuple[int, ...]:
        return tuple(self.size(s) for s in tensor.shape)

    def _checked(self, node: Tensor, array: np.ndarray) -> np.ndarray:
        shape = self._shape(node)
        if array.dtype != node.dtype.numpy or array.shape != shape:
            raise IRError(
                f"{node.name} is {array.dtype}{list(array.shape)}, not {node.dtype}{list(shape)}"
            )
        return array

    def _node(self, node: Tensor, arrays: Arrays) -> np.ndarray:
        match node:
            case Constant():
                return node.array
            case Compute():
                return self._compute(node, arrays)
            case Reduction():
                return self._reduction(node, arrays)
            case Reshape():
                return arrays[node.operand].reshape(self._shape(node))
            case Scan():
                ufunc = UFUNCS[node.combiner]
                return ufunc.accumulate(arrays[node.operand], node.axis, node.dtype.numpy)
            case Sort():
                source = arrays[node.operand]
                if node.positions:
                    return np.argsort(source, node.axis, kind="stable")
                return np.sort(source, node.axis, kind="stable")
            case Scatter():
                return self._scatter(node, arrays)
        raise IRError(f"a graph cannot hold {type(node).__name__}")

    def _compute(self, node: Compute, arrays: Arrays) -> np.ndarray:
        shape = self._shape(node)
        if 0 in shape:
            return np.zeros(shape, node.dtype.numpy)
        bindings = _grid(node.axes, [range(n) for n in shape]) | self._symbols
        return np.array(np.broadcast_to(evaluate(node.body, bindings, arrays), shape))

    def _reduction(self, node: Reduction, arrays: Arrays) -> np.ndarray:
        shape = self._shape(node)
        extents = [self.size(a.extent or 0) for a in node.reduce_axes]
        result = np.empty(shape, node.dtype.numpy)
        if 0 in shape:
            return result
        if 0 in extents:
            neutral = identity(node.combiner, node.dtype)
            result[...] = neutral.value if isinstance(neutral, Const) else 0
            return result
        for piece in _pieces(shape, math.prod(extents)):
            result[tuple(slice(r.start, r.stop) for r in piece)] = self._combined(
                node, piece, extents, arrays
            )
        return result

    def _combined(
        self, node: Reduction, piece: Sequence[range], extents: Sequence[int], arrays: Arrays
    ) -> np.ndarray:
        """The reduction at the points of `piece`."""
        size = math.prod(len(r) for r in piece)
        positional = node.combiner in ("argmin", "argmax")
        total: np.ndarray | None = None
        room = math.prod(extents) if positional else max(1, PIECE // max(1, size))
        for part in _pieces(extents, 1, room):
            axes = (*node.axes, *node.reduce_axes)
            ranges = [*piece, *part]
            bindings = _grid(axes, ranges) | self._symbols
            points = np.broadcast_to(
                evaluate(node.body, bindings, arrays), tuple(len(r) for r in ranges)
            )
            if positional:
                rows = points.reshape(*(len(r) for r in piece), -1)
                best = np.argmax if node.combiner == "argmax" else np.argmin
                return np.asarray(best(rows, axis=-1)).astype(np.int64)
            ufunc = UFUNCS[node.combiner]
            gone = tuple(range(len(piece), len(ranges)))
            some = np.asarray(ufunc.reduce(points, axis=gone, dtype=points.dtype))
            total = some if total is None else np.asarray(ufunc(total, some))
        assert total is not None
        return total

    def _scatter(self, node: Scatter, arrays: Arrays) -> np.ndarray:
        result = arrays[node.base].copy()
        shape = tuple(self.size(a.extent or 0) for a in node.axes)
        if 0 in shape:
            return result
        bindings = _grid(node.axes, [range(n) for n in shape]) | self._symbols
        where = []
        for axis, index in enumerate(node.indices):
            place = np.broadcast_to(evaluate(index, bindings, arrays), shape)
            if place.min() < 0 or place.max() >= result.shape[axis]:
                raise IRError(f"{node.name} writes out of bounds on axis {axis}")
            where.append(place.reshape(-1))
        values = np.broadcast_to(evaluate(node.value, bindings, arrays), shape).reshape(-1)
        flat = np.ravel_multi_index(where, result.shape) if where else np.zeros(len(values), int)
        target = result.reshape(-1)
        if node.combiner is None:
            target[flat] = values  # NumPy assigns in order: the last write wins
        else:
            UFUNCS[node.combiner].at(target, flat, values)
        return target.reshape(result.shape)

    def _repeat(self, node: Loop | While, arrays: Arrays) -> list[np.ndarray]:
        state = [arrays[t] for t in node.initial]
        captured = [arrays[t] for t in node.captured]
        if isinstance(node, Loop):
            for step in range(self.size(node.count)):
                state = self.run(node.body, [np.asarray(step, np.int64), *state, *captured])
            return state
        while self.run(node.condition, [*state, *captured])[0]:
            state = self.run(node.body, [*state, *captured])
        return state

    def _test(self, check: Check, arrays: Arrays) -> None:
        size = self.size(check.size)
        least, most = int(arrays[check.least]), int(arrays[check.most])
        lowest = -size if check.wraps else 0
        if least >= lowest and most < size:
            return
        if least > most:  # the extremes of nothing
            return
        worst = least if least < lowest else most
        raise BoundsError(
            f"index {worst} is out of bounds for axis {check.axis} with size {size}", loc=check.loc
        )


def _grid(axes: Sequence[Var], ranges: Sequence[range]) -> dict[Var, np.ndarray]:
    """One array of positions per axis, broadcastable to the whole grid."""
    found = {}
    for place, (axis, span) in enumerate(zip(axes, ranges, strict=True)):
        shape = [1] * len(axes)
        shape[place] = len(span)
        found[axis] = np.arange(span.start, span.stop, dtype=np.int64).reshape(shape)
    return found


def _pieces(shape: Sequence[int], weight: int, room: int = PIECE) -> Iterator[list[range]]:
    """Boxes that cover `shape`, of at most `room` points of `weight` each (one at the least)."""
    if not shape:
        yield []
        return
    inner = math.prod(shape[1:]) * weight
    step = max(1, room // max(1, inner))
    for start in range(0, shape[0], step):
        here = range(start, min(start + step, shape[0]))
        for rest in _pieces(shape[1:], weight * len(here), room):
            yield [here, *rest]
