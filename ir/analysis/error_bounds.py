"""A graph's outputs in float64 with a bound per element: the oracle for what targets compute.

In: a graph, its inputs, a class of targets. Out: per output the reference values and how far a
target that keeps the promises of numerics.md may be from them. Where a comparison, a rounding or an
overflow is decided by errors that are allowed, the bound is inf: any value is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tilewright.ir import ops
from tilewright.ir.analysis.error_rules import (
    Array,
    Bounded,
    TargetClass,
    apply_operation,
    carried,
    computed,
    exact,
    finish,
    read_float,
    uncertain,
    unordered,
)
from tilewright.ir.analysis.folds import HEADS, WHOLE, Whole
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Source, Var, post_order
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
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
from tilewright.ir.interpret.graph import evaluate as evaluate_size
from tilewright.ir.interpret.values import UFUNCS

TREE_HEIGHT = 24
CONTRACTION_RUN = 512
Tensors = dict[Source, Bounded]
_EXACT = UFUNCS.keys() - {"add", "mul"}


def bound_graph(
    graph: Graph,
    inputs: Sequence[np.ndarray],
    target: TargetClass,
    symbols: Mapping[Var, int] | None = None,
) -> list[Bounded]:
    """Reference and allowed error of each output; both arrays of the output's shape."""
    state = [_given(t.dtype, a, target) for t, a in zip(graph.inputs, inputs, strict=True)]
    with np.errstate(all="ignore"):
        return _Evaluation(target, symbols or {}).run(graph, state)


def _given(dtype: DType, array: np.ndarray, target: TargetClass) -> Bounded:
    seen = read_float(array, dtype, target) if dtype.is_float else exact(np.asarray(array))
    return _full(seen, np.shape(array))


def _full(bounded: Bounded, shape: tuple[int, ...]) -> Bounded:
    return Bounded(
        np.array(np.broadcast_to(bounded.value, shape)),
        np.array(np.broadcast_to(bounded.bound, shape), np.float64),
        np.broadcast_to(bounded.unsigned, shape),
        np.broadcast_to(bounded.fusible, shape),
        np.broadcast_to(bounded.tanh, shape),
    )


def _reshaped(bounded: Bounded, shape: tuple[int, ...]) -> Bounded:
    return Bounded(
        bounded.value.reshape(shape),
        bounded.bound.reshape(shape),
        bounded.unsigned.reshape(shape),
        bounded.fusible.reshape(shape),
        bounded.tanh.reshape(shape),
    )


class _Evaluation:
    """One run, with the open dimensions bound."""

    def __init__(self, target: TargetClass, symbols: Mapping[Var, int]) -> None:
        self._target = target
        self._symbols = {v: np.asarray(n, np.int64) for v, n in symbols.items()}

    def run(self, graph: Graph, inputs: Sequence[Bounded]) -> list[Bounded]:
        tensors: Tensors = dict(zip(graph.inputs, inputs, strict=True))
        results: dict[Tensor, list[Bounded]] = {}
        for node in graph.nodes():
            if node in tensors:
                continue
            if isinstance(node, (Loop, While)):
                results[node] = self._repeat(node, tensors)
            elif isinstance(node, Result):
                tensors[node] = results[node.loop][node.position]
            else:
                made = carried(self._node(node, tensors), node.dtype, self._target)
                tensors[node] = _full(made, self._shape(node.shape))
        return [tensors[o] for o in graph.outputs]

    def _size(self, size: Size | None) -> int:
        if size is None:
            return 0
        return size if isinstance(size, int) else int(evaluate_size(size, self._symbols, {}))

    def _shape(self, sizes: Sequence[Size | None]) -> tuple[int, ...]:
        return tuple(self._size(s) for s in sizes)

    def _node(self, node: Tensor, tensors: Tensors) -> Bounded:
        match node:
            case Constant():
                return _given(node.dtype, node.array, self._target)
            case Compute():
                return self._over(node.body, node.axes, tensors)
            case Reduction():
                return self._reduction(node, tensors)
            case Reshape():
                return _reshaped(tensors[node.operand], self._shape(node.shape))
            case Scan():
                return self._scan(node, tensors[node.operand])
            case Sort():
                return _sorted(node, tensors[node.operand], self._target)
            case Scatter():
                return self._scatter(node, tensors)
        raise IRError(f"a graph cannot hold {type(node).__name__}")

    def _over(self, body: Expr, axes: Sequence[Var], tensors: Tensors) -> Bounded:
        """`body` at every point of `axes`."""
        shape = self._shape([a.extent for a in axes])
        if 0 in shape:
            return _full(exact(np.zeros(shape, _held(body.dtype))), shape)
        values: dict[Expr, Bounded] = {}
        grid = np.ix_(*(np.arange(n, dtype=np.int64) for n in shape))
        variables = {**self._symbols, **dict(zip(axes, grid, strict=True))}
        for node in post_order((body,)):
            match node:
                case Const():
                    values[node] = _given(
                        node.dtype, np.asarray(node.value, node.dtype.numpy), self._target
                    )
                case Var():
                    values[node] = exact(variables[node])
                case Load():
                    values[node] = _load(node, [values[i] for i in node.indices], tensors)
                case Apply():
                    operands = [values[o] for o in node.operands]
                    values[node] = apply_operation(node, operands, self._target)
                case _:
                    raise IRError(f"a graph cannot hold {type(node).__name__}")
        return _full(values[body], shape)

    def _reduction(self, node: Reduction, tensors: Tensors) -> Bounded:
        rows = self._over(node.body, (*node.axes, *node.reduce_axes), tensors)
        outer = self._shape([a.extent for a in node.axes])
        count = math.prod(self._shape([a.extent for a in node.reduce_axes]))
        if count == 0:
            neutral = identity(node.combiner, node.dtype)
            value = neutral.value if isinstance(neutral, Const) else 0
            return exact(np.full(outer, value, _held(node.dtype)))
        rows = _reshaped(rows, (*outer, count))
        if node.combiner in ("argmin", "argmax"):
            return _position(node.combiner, rows)
        if not node.dtype.is_float or node.combiner in _EXACT:
            return _combine_exactly(node.combiner, rows, node.dtype, self._target)
        return self._tree(node.combiner, rows, _roundings(node, count), node.dtype)

    def _tree(
        self, combiner: str, rows: Bounded, height: Array, dtype: DType, fold: Whole = WHOLE
    ) -> Bounded:
        """Sums of at most `height` roundings per element, and products of `height` in all."""
        value, bound, count = rows.value, rows.bound, fold.counts(rows.value)
        dtype = computed(dtype, self._target)
        tiny, largest = float(np.finfo(dtype.numpy).tiny), float(np.finfo(dtype.numpy).max)
        u = float(np.finfo(dtype.numpy).eps) * (0.5 if self._target.ieee else 1.0)
        if combiner == "add":
            total, size = fold.total(value), fold(np.add, np.abs(value) + bound)
            passed = fold(np.add, bound) + height * u * size
            overflow = size
        else:
            total = fold(np.multiply, value)
            most = fold(np.multiply, np.abs(value) + bound) * (1 + u) ** height
            overflow = fold(np.multiply, np.maximum(np.abs(value) + bound, 1.0))
            passed = most - np.abs(total) + 1e-12 * most
            passed = np.where(height > 0, passed + count * tiny * overflow, passed)
        finite = fold(np.logical_and, np.isfinite(value))
        near = (overflow > largest / 2) & finite
        passed = np.where(near & (height > 0), np.inf, np.where(finite, passed, 0.0))
        moves = fold(np.logical_or, np.isinf(bound) | rows.fusible)
        if combiner == "mul":
            moves |= fold(np.logical_or, (np.abs(value) <= bound) & (bound > 0)) & ~finite
            within = np.where(np.isfinite(value), np.minimum(np.abs(value), 1), 1)
            moves |= ~finite & (fold(np.multiply, within) < tiny)
        else:
            big = fold(np.add, np.where(np.isfinite(value), np.abs(value), 0))
            moves |= ~finite & (big > largest / 2)
        if not self._target.ieee:  # a * x + a * y may be a * (x + y), which is not inf - inf
            moves |= np.isnan(total) & ~fold(np.logical_or, np.isnan(value))
        passed = np.where(moves, np.inf, passed)
        if not self._target.ieee and combiner == "add":
            passed = np.where(size < 1e-30, passed + tiny * count, passed)
        made = finish(total, passed, 0.0, dtype, self._target)
        # A run starts from +0, and which zeros meet first depends on the tree.
        return Bounded(made.value, made.bound, np.broadcast_to(True, total.shape))

    def _scan(self, node: Scan, source: Bounded) -> Bounded:
        if source.value.shape[node.axis] == 0:
            return source
        rows = Bounded(
            np.moveaxis(source.value, node.axis, -1),
            np.moveaxis(source.bound, node.axis, -1),
            fusible=np.moveaxis(source.fusible, node.axis, -1),
        )
        if not node.dtype.is_float or node.combiner in _EXACT:
            made = _combine_exactly(node.combiner, rows, node.dtype, self._target, HEADS)
        else:
            ends = HEADS.counts(rows.value)
            height = np.where(ends == 1, 0, ends)
            if node.combiner == "add":
                height = np.minimum(height, 2 * TREE_HEIGHT + np.frexp(ends)[1])
            made = self._tree(node.combiner, rows, height, node.dtype, HEADS)
        value, bound = (np.moveaxis(a, -1, node.axis) for a in (made.value, made.bound))
        return Bounded(value, bound, value == 0)

    def _scatter(self, node: Scatter, tensors: Tensors) -> Bounded:
        base = tensors[node.base]
        value, bound = base.value.copy(), base.bound.copy()
        shape = self._shape([a.extent for a in node.axes])
        if 0 in shape or value.size == 0:
            return base
        places = [self._over(i, node.axes, tensors) for i in node.indices]
        new = self._over(node.value, node.axes, tensors)
        if any((p.bound != 0).any() for p in places):
            return Bounded(value, np.full(value.shape, np.inf))
        where = tuple(p.value.reshape(-1) for p in places)
        if node.combiner is None:
            unsigned = base.unsigned.copy()
            value[where], bound[where] = new.value.reshape(-1), new.bound.reshape(-1)
            unsigned[where] = new.unsigned.reshape(-1)
            return Bounded(value, bound, unsigned)
        return self._accumulate(node, Bounded(value, bound), where, new)

    def _accumulate(
        self, node: Scatter, base: Bounded, where: tuple[Array, ...], new: Bounded
    ) -> Bounded:
        """Element by element: the contributions to each place, as a reduction over them."""
        cells: dict[tuple[int, ...], list[int]] = {}
        for number, place in enumerate(zip(*(w.tolist() for w in where), strict=True)):
            cells.setdefault(place, []).append(number)
        values, bounds = new.value.reshape(-1), new.bound.reshape(-1)
        combiner = node.combiner or "add"
        for place, numbers in cells.items():
            row = Bounded(
                np.append(values[numbers], base.value[place]),
                np.append(bounds[numbers], base.bound[place]),
            )
            if not node.dtype.is_float or combiner in _EXACT:
                one = _combine_exactly(combiner, row, node.dtype, self._target)
            else:
                one = self._tree(combiner, row, len(row.value), node.dtype)
            base.value[place], base.bound[place] = one.value, one.bound
        return Bounded(base.value, base.bound, base.value == 0)

    def _repeat(self, node: Loop | While, tensors: Tensors) -> list[Bounded]:
        state = [tensors[t] for t in node.initial]
        captured = [tensors[t] for t in node.captured]
        if isinstance(node, Loop):
            for step in range(self._size(node.count)):
                number = _full(exact(np.asarray(step, np.int64)), ())
                state = self.run(node.body, [number, *state, *captured])
            return state
        while True:
            (more,) = self.run(node.condition, [*state, *captured])
            if np.any(more.bound != 0):  # nobody promises how often it runs
                unknown = uncertain(np.asarray(False))
                return [_full(Bounded(s.value, unknown), s.value.shape) for s in state]
            if not more.value:
                return state
            state = self.run(node.body, [*state, *captured])


def _roundings(node: Reduction, count: int) -> int:
    """How many roundings an element of a sum takes part in at most, or a product of `count`.

    A rounding in a sum touches the terms below it in the tree. One in a product is relative, so
    it changes the whole product: whatever the tree, all ``count - 1`` of them add up.
    """
    if count == 1 or node.combiner == "mul":
        return count - 1
    height = TREE_HEIGHT + math.ceil(math.log2(count)) + 1
    if isinstance(node.body, Apply) and node.body.op is ops.MUL:
        runs = math.ceil(math.log2(max(1.0, count / CONTRACTION_RUN)))
        height = max(height, CONTRACTION_RUN + runs + 2)
    return min(height, 2 * count)  # n - 1 sums, and n products


def _held(dtype: DType) -> np.dtype:
    return np.dtype(np.float64) if dtype.is_float else dtype.numpy


def _load(node: Load, indices: Sequence[Bounded], tensors: Tensors) -> Bounded:
    """Elements at certain indices; at uncertain ones anything."""
    source = tensors[node.source]
    places = tuple(i.value for i in indices)
    if source.value.size == 0:  # where nothing is, only an alternative that is not taken reads
        nothing = np.zeros(np.broadcast_shapes(*(np.shape(p) for p in places)), source.value.dtype)
        return _full(Bounded(nothing, uncertain(np.asarray(False))), nothing.shape)
    known: Array = np.asarray(True)
    for index in indices:
        known = known & (index.bound == 0)
    bound = np.where(known, source.bound[places], np.inf)
    return Bounded(
        source.value[places],
        bound,
        source.unsigned[places],
        source.fusible[places],
        source.tanh[places],
    )


def _combine_exactly(
    combiner: str, rows: Bounded, dtype: DType, target: TargetClass, fold: Whole = WHOLE
) -> Bounded:
    """Integers, and the smallest or largest float, which moves by no more than its candidates."""
    value = fold(UFUNCS[combiner], rows.value)
    if value.dtype.kind != "f":
        return Bounded(value, uncertain(fold(np.logical_and, rows.bound == 0)))
    far: Array = np.zeros(())
    for sign in (-1, 1):
        end = fold(UFUNCS[combiner], rows.value + sign * rows.bound)
        far = np.maximum(far, np.where(end == value, 0.0, np.abs(end - value)))
    far = np.where(fold(np.logical_or, np.isinf(rows.bound)), np.inf, far * (1 + 1e-12))
    far = unordered(value, far, fold(np.logical_or, rows.bound > 0), dtype, target)
    surely_nan = np.isnan(rows.value) & np.isfinite(rows.bound)
    decides = np.logical_and if combiner in ("fmin", "fmax") else np.logical_or
    far = np.where(fold(decides, surely_nan), 0.0, far)
    if target.fast:
        far = np.where(fold(np.logical_or, np.isnan(rows.value)), np.inf, far)
    return Bounded(value, far, value == 0)


def _position(combiner: str, rows: Bounded) -> Bounded:
    """Certain where everything is exact, or the best is further away than the bounds reach."""
    find = np.argmax if combiner == "argmax" else np.argmin
    best = np.asarray(find(rows.value, axis=-1)).astype(np.int64)
    at = best[..., None]
    value = np.take_along_axis(rows.value, at, -1)
    bound = np.take_along_axis(rows.bound, at, -1)
    if rows.value.dtype.kind == "f":
        near = ~(np.abs(rows.value - value) > rows.bound + bound)
        alone = (near.sum(-1) == 1) | np.isnan(value[..., 0])  # the first NaN is the best
        known = (rows.bound == 0).all(-1) | (alone & np.isfinite(rows.bound).all(-1))
    else:
        known = (rows.bound == 0).all(-1)
    return Bounded(best, uncertain(known))


def _sorted(node: Sort, source: Bounded, target: TargetClass) -> Bounded:
    if source.value.size == 0:
        return exact(np.zeros(source.value.shape, _held(node.dtype)))
    reach = source.bound.max(node.axis, keepdims=True)
    ordered = np.sort(source.value, axis=node.axis, kind="stable")
    if not node.positions:
        unsigned = np.broadcast_to(source.unsigned, ordered.shape).any(node.axis, keepdims=True)
        bound = unordered(ordered, reach, reach > 0, node.dtype, target)
        return Bounded(ordered, np.broadcast_to(bound, ordered.shape), unsigned)
    gaps = np.diff(ordered, axis=node.axis)
    apart = (np.abs(gaps) > 2 * reach).all(node.axis, keepdims=True)
    known = (reach == 0) | (apart & np.isfinite(reach))
    places = np.argsort(source.value, axis=node.axis, kind="stable").astype(np.int64)
    return Bounded(places, np.broadcast_to(uncertain(known), places.shape))


__all__ = ["Bounded", "bound_graph"]
