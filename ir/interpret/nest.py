"""NumPy evaluation of one nest, a block of outer points at a time.

Every array here has the dimensions (points of the block, own axes…, reduced axes…), of length one
where nothing varies. An axis whose extent differs from point to point is as long as its longest
run; `Domain.valid` tells which points exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.ir.errors import IRError
from tilewright.ir.expr import LaneReduce, Load, Size, Source, Var, post_order
from tilewright.ir.graph import identity
from tilewright.ir.interpret.kernel import poison
from tilewright.ir.interpret.values import (
    UFUNCS,
    evaluate,
    reads_nothing,
    shape_value,
    size_value,
)
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Stage

BLOCK_ELEMENTS = 1 << 20


class NestRun:
    """One execution of a nest. `array` gives the storage of the program's buffers."""

    def __init__(
        self, nest: Nest, variables: Mapping[Var, Any], array: Callable[[Buffer], np.ndarray]
    ) -> None:
        self.nest = nest
        self.variables = variables
        self.array = array
        self.locals: dict[Buffer, np.ndarray] = {}

    def run(self) -> None:
        points = outer_points(self.nest.outer, self.variables)
        count = len(points[0]) if points else 1
        block = max(1, BLOCK_ELEMENTS // max(1, self._elements_per_point()))
        for start in range(0, count, block):
            chunk = [p[start : start + block] for p in points]
            self._block(chunk, min(block, count - start))

    def _elements_per_point(self) -> int:
        """An estimate, for the memory of a block only: axes of varying length count as one."""
        most = 1
        for stage in self.nest.stages:
            elements = 1
            for axis in (*stage.axes, *stage.reduce_axes):
                extent = axis.extent
                if isinstance(extent, int) or (extent is not None and is_uniform((axis,))):
                    elements *= size_value(extent, self.variables)
            most = max(most, elements)
        return most

    def _block(self, points: Sequence[np.ndarray], count: int) -> None:
        bound = dict(self.variables)
        bound.update(zip(self.nest.outer, points, strict=True))
        for buffer in self.nest.locals:
            shape = (count, *shape_value(buffer.shape, self.variables))
            self.locals[buffer] = np.full(shape, poison(buffer.dtype), buffer.dtype.numpy)
        for stage in self.nest.stages:
            self._stage(stage, Domain(stage, bound, self.nest.outer, count))

    def _stage(self, stage: Stage, domain: Domain) -> None:
        def read(node: Load | LaneReduce, indices: tuple[Any, ...]) -> Any:
            if not isinstance(node, Load):
                raise IRError("a nest reads lanes of a register")
            array, places = self._place(node.source, indices, domain)
            return array[domain.clamped(node.source, array.shape, places)]

        value = evaluate((stage.value,), domain.variables, read)[0]
        value = domain.full(value)
        if stage.combiner is None:
            result, valid = value, domain.valid
        elif stage.scans:
            result, valid = accumulate(stage.combiner[5:], value, len(stage.axes)), domain.valid
        else:
            result, valid = reduce_stage(stage, value, domain), domain.own_valid
        own = domain.without_reduced()
        indices = evaluate(stage.indices, own, read) if stage.indices else []
        self._store(stage, tuple(indices), result, valid, domain)

    def _place(
        self, source: Source, indices: tuple[Any, ...], domain: Domain
    ) -> tuple[np.ndarray, tuple[Any, ...]]:
        """The array of a source and the place in it: locals have a first dimension of points."""
        assert isinstance(source, Buffer), "a program reads buffers"
        root = source.root
        if root not in self.locals:
            return self.array(source), indices
        array = self.locals[root]
        if source is not root:
            shape = shape_value(source.shape, self.variables)
            array = array.reshape((array.shape[0], *shape))
        return array, (domain.point, *indices)

    def _store(
        self,
        stage: Stage,
        indices: tuple[Any, ...],
        value: np.ndarray,
        valid: np.ndarray | None,
        domain: Domain,
    ) -> None:
        array, places = self._place(stage.target, indices, domain)
        shape = value.shape
        reduced = len(domain.shape) - len(shape)
        aligned = [_drop_reduced(p, reduced) for p in places]
        grids = [np.broadcast_to(p, shape) for p in aligned]
        if valid is not None:
            mask = np.broadcast_to(valid, shape)
            grids = [g[mask] for g in grids]
            value = value[mask]
        check_bounds(stage.target, array.shape, grids)
        if grids:
            array[tuple(grids)] = value
        elif value.size:
            array[()] = value.reshape(-1)[-1]


def _drop_reduced(place: Any, reduced: int) -> np.ndarray:
    """An index without the last dimensions, those of the reduced axes: it does not vary there."""
    array = np.asarray(place)
    return array.reshape(array.shape[: max(0, array.ndim - reduced)])


class Domain:
    """The points at which one stage is evaluated, for a block of outer points."""

    def __init__(
        self, stage: Stage, bound: Mapping[Var, Any], outer: Sequence[Var], count: int
    ) -> None:
        self.own_rank = 1 + len(stage.axes)
        rank = self.own_rank + len(stage.reduce_axes)
        self.variables: dict[Var, Any] = dict(bound)
        for axis in outer:
            self.variables[axis] = np.asarray(bound[axis]).reshape(-1, *(1,) * (rank - 1))
        self.point = np.arange(count).reshape(-1, *(1,) * (rank - 1))
        self.valid: np.ndarray | None = None
        self.own_valid: np.ndarray | None = None
        self.reduced = frozenset(stage.reduce_axes)
        shape = [count]
        for axis in (*stage.axes, *stage.reduce_axes):
            shape.append(self._axis(axis, len(shape), rank))
            if len(shape) == self.own_rank and self.valid is not None:
                self.own_valid = self.valid.reshape(self.valid.shape[: self.own_rank])
        self.shape = tuple(shape)

    def _axis(self, axis: Var, position: int, rank: int) -> int:
        """Bind the axis to its range along dimension `position`; returns the range's length."""
        assert axis.extent is not None, "an axis has an extent"
        extent = extent_values(axis.extent, self.variables)
        longest = max(0, int(np.max(extent, initial=0)))
        values = np.arange(longest).reshape(-1, *(1,) * (rank - position - 1))
        if np.any(extent != longest) and longest:
            exists = values < extent
            self.valid = exists if self.valid is None else self.valid & exists
            # What does not exist reads what the last point reads.
            values = np.minimum(values, np.maximum(extent, 1) - 1)
        self.variables[axis] = values
        return longest

    def without_reduced(self) -> dict[Var, Any]:
        return {v: x for v, x in self.variables.items() if v not in self.reduced}

    def full(self, value: Any) -> np.ndarray:
        return np.broadcast_to(value, self.shape)

    def clamped(
        self, source: Source, shape: tuple[int, ...], places: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """`places`, in bounds wherever the domain has points."""
        if self.valid is None:
            check_bounds(source, shape, places if 0 not in self.shape else ())
            return places
        limits = [max(0, size - 1) for size in shape]
        for place, size in zip(places, shape, strict=True):
            outside = (np.asarray(place) < 0) | (np.asarray(place) >= size)
            if np.any(outside & self.valid):
                check_bounds(source, shape, places)
        return tuple(np.clip(p, 0, most) for p, most in zip(places, limits, strict=True))


def check_bounds(source: Source, shape: tuple[int, ...], places: Sequence[Any]) -> None:
    """Raise `IRError` where an index lies outside: NumPy would wrap negative ones."""
    for axis, (place, size) in enumerate(zip(places, shape, strict=False)):
        values = np.asarray(place)
        if values.size and (values.min() < 0 or values.max() >= size):
            raise IRError(
                f"{source.name} of shape {shape} is accessed at "
                f"{values.min()} … {values.max()} on axis {axis}"
            )


def outer_points(axes: Sequence[Var], variables: Mapping[Var, Any]) -> list[np.ndarray]:
    """The coordinates of all points of nested axes in row-major order, one array per axis."""
    points: list[np.ndarray] = []
    count = 1
    for k, axis in enumerate(axes):
        assert axis.extent is not None, "an axis has an extent"
        bound = {**variables, **dict(zip(axes[:k], points, strict=True))}
        extents = _per_point(axis.extent, bound, count)
        owner = np.repeat(np.arange(count), extents)
        starts = np.cumsum(extents) - extents
        points = [p[owner] for p in points]
        points.append(np.arange(len(owner)) - starts[owner])
        count = len(owner)
    return points


def _per_point(extent: Size, bound: Mapping[Var, Any], count: int) -> np.ndarray:
    values = np.broadcast_to(extent_values(extent, bound), (count,))
    return np.asarray(np.maximum(0, values))


def extent_values(extent: Size, bound: Mapping[Var, Any]) -> Any:
    """An extent, at every point where it may differ."""
    if isinstance(extent, int):
        return extent
    return evaluate((extent,), bound, reads_nothing)[0]


def is_uniform(axes: Sequence[Var]) -> bool:
    """Whether no axis has an extent that depends on another axis or counter."""
    return not any(
        isinstance(node, Var) and node.extent is not None
        for axis in axes
        if axis.extent is not None and not isinstance(axis.extent, int)
        for node in post_order((axis.extent,))
    )


# Reductions.


def reduce_stage(stage: Stage, value: np.ndarray, domain: Domain) -> np.ndarray:
    """The values combined over the reduced axes."""
    combiner = stage.combined_by
    own = value.shape[: domain.own_rank]
    if domain.valid is not None:
        neutral = identity(combiner, stage.value.dtype).value  # type: ignore[attr-defined]
        valid = np.broadcast_to(domain.valid, domain.shape)
        value = np.where(valid, value, value.dtype.type(neutral))
    rows = value.reshape(*own, int(np.prod(value.shape[domain.own_rank :], dtype=np.int64)))
    return combine_rows(combiner, rows, stage)


def combine_rows(combiner: str, rows: np.ndarray, stage: Stage) -> np.ndarray:
    """The last axis of `rows` combined; floats are summed in float64 and rounded once."""
    with np.errstate(all="ignore"):
        match combiner:
            case "add" | "mul":
                wide = rows.astype(np.float64) if rows.dtype.kind == "f" else rows
                wide = np.ascontiguousarray(wide)
                reduced = UFUNCS[combiner].reduce(wide, axis=-1, dtype=wide.dtype)
                return np.asarray(reduced).astype(rows.dtype)
            case "argmin" | "argmax":
                if rows.shape[-1] == 0 and 0 not in rows.shape[:-1]:
                    raise IRError(f"{combiner} of nothing")
                position = rows.argmin(-1) if combiner == "argmin" else rows.argmax(-1)
                return np.asarray(position).astype(np.int64)
            case _:
                first = identity(combiner, stage.value.dtype).value  # type: ignore[attr-defined]
                start = rows.dtype.type(first)
                reduced = UFUNCS[combiner].reduce(rows, axis=-1, initial=start)
                return np.asarray(reduced, dtype=rows.dtype)


def accumulate(combiner: str, value: np.ndarray, axis: int) -> np.ndarray:
    """Running combination along one axis; floats in float64, each result rounded once."""
    wide = value.astype(np.float64) if value.dtype.kind == "f" else value
    with np.errstate(all="ignore"):
        running = UFUNCS[combiner].accumulate(wide, axis=axis, dtype=wide.dtype)
        return np.asarray(running).astype(value.dtype)
