"""Graph level: whole tensors in SSA form.

Every NumPy function becomes a few of these nodes. Anything that computes each element on its own
(arithmetic, broadcasting, slicing, transposing, padding, gathering) is a `Compute`: a scalar
expression over the node's axes that reads other tensors at index expressions. A `Load` in a body
must be inside its tensor's bounds for every value of the axes: whoever makes a data-dependent
index clamps it and adds a `Check`.

Sizes are ints, or index expressions over open dimensions (`Var`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I64, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Size, Source, Var, post_order

if TYPE_CHECKING:
    import numpy as np

    from tilewright.ir.location import Location
    from tilewright.ir.ops import Op


class Tensor(Source):
    """A value of the graph. `label` is what the user wrote (``np.add``), `loc` where."""

    __slots__ = ("label", "loc")

    def __init__(
        self,
        name: str,
        shape: Sequence[Size],
        dtype: DType,
        label: str = "",
        loc: Location | None = None,
    ) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.dtype = dtype
        self.label = label
        self.loc = loc

    def __repr__(self) -> str:
        return self.name

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """The tensors that this node reads, each once, in order of first use."""
        return ()


class Input(Tensor):
    """An argument, or the carried state of a loop body."""

    __slots__ = ()


class Constant(Tensor):
    """An array known at trace time: a hidden parameter, or folded when small."""

    __slots__ = ("array",)

    def __init__(self, name: str, array: np.ndarray, dtype: DType, **info: object) -> None:
        super().__init__(name, array.shape, dtype, **info)  # type: ignore[arg-type]
        self.array = array


class Compute(Tensor):
    """``out[axes] = body``. The axes' extents are the shape."""

    __slots__ = ("axes", "body")

    def __init__(self, name: str, axes: Sequence[Var], body: Expr, **info: object) -> None:
        super().__init__(name, _extents(axes), body.dtype, **info)  # type: ignore[arg-type]
        self.axes = tuple(axes)
        self.body = body

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return _loaded((self.body,))


class Reduction(Tensor):
    """``out[axes] = combine over reduce_axes of body``, in a tree whose order is not promised.

    `combiner` is one of `COMBINERS`. For argmin and argmax the body is the key and the result is
    the row-major position (int64) in the reduced axes of the first extreme element, NaN winning.
    """

    __slots__ = ("axes", "body", "combiner", "reduce_axes")

    def __init__(
        self,
        name: str,
        axes: Sequence[Var],
        reduce_axes: Sequence[Var],
        combiner: str,
        body: Expr,
        **info: object,
    ) -> None:
        if combiner not in COMBINERS:
            raise IRError(f"unknown combiner {combiner!r}")
        dtype = I64 if combiner in ("argmin", "argmax") else body.dtype
        super().__init__(name, _extents(axes), dtype, **info)  # type: ignore[arg-type]
        self.axes = tuple(axes)
        self.reduce_axes = tuple(reduce_axes)
        self.combiner = combiner
        self.body = body

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return _loaded((self.body,))


class Reshape(Tensor):
    """The same elements in row-major order under another shape."""

    __slots__ = ("operand",)

    def __init__(self, name: str, operand: Tensor, shape: Sequence[Size], **info: object) -> None:
        super().__init__(name, shape, operand.dtype, **info)  # type: ignore[arg-type]
        self.operand = operand

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return (self.operand,)


class Scan(Tensor):
    """Running combination along one axis: element i combines elements 0 … i."""

    __slots__ = ("axis", "combiner", "operand")

    def __init__(
        self, name: str, operand: Tensor, axis: int, combiner: str, **info: object
    ) -> None:
        super().__init__(name, operand.shape, operand.dtype, **info)  # type: ignore[arg-type]
        self.operand = operand
        self.axis = axis
        self.combiner = combiner

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return (self.operand,)


class Sort(Tensor):
    """Stable ascending sort along one axis, NaN last; with `positions` the argsort (int64)."""

    __slots__ = ("axis", "operand", "positions")

    def __init__(
        self, name: str, operand: Tensor, axis: int, positions: bool, **info: object
    ) -> None:
        dtype = I64 if positions else operand.dtype
        super().__init__(name, operand.shape, dtype, **info)  # type: ignore[arg-type]
        self.operand = operand
        self.axis = axis
        self.positions = positions

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return (self.operand,)


class Scatter(Tensor):
    """A copy of `base` with ``out[indices] = value`` for every point of `axes`, in row-major order.

    With a `combiner` the old element is combined with the value, otherwise the last write wins.
    The indices must be in bounds.
    """

    __slots__ = ("axes", "base", "combiner", "indices", "value")

    def __init__(
        self,
        name: str,
        base: Tensor,
        axes: Sequence[Var],
        indices: Sequence[Expr],
        value: Expr,
        combiner: str | None,
        **info: object,
    ) -> None:
        super().__init__(name, base.shape, base.dtype, **info)  # type: ignore[arg-type]
        self.base = base
        self.axes = tuple(axes)
        self.indices = tuple(indices)
        self.value = value
        self.combiner = combiner

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return _unique((self.base, *_loaded((*self.indices, self.value))))


class Loop(Tensor):
    """``count`` steps of a body graph over carried tensors; read the results through `Result`.

    The body's inputs are the step number (an int64 of rank 0), the state, and the captured
    tensors, in this order; its outputs are the next state, of the same shapes and dtypes.
    """

    __slots__ = ("body", "captured", "count", "initial")

    def __init__(
        self,
        name: str,
        count: Size,
        initial: Sequence[Tensor],
        captured: Sequence[Tensor],
        body: Graph,
        **info: object,
    ) -> None:
        super().__init__(name, (), I64, **info)  # type: ignore[arg-type]
        self.count = count
        self.initial = tuple(initial)
        self.captured = tuple(captured)
        self.body = body

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return _unique((*self.initial, *self.captured))


class While(Tensor):
    """Steps of `body` while `condition` (a graph with one bool of rank 0) holds.

    Both graphs' inputs are the state followed by the captured tensors.
    """

    __slots__ = ("body", "captured", "condition", "initial")

    def __init__(
        self,
        name: str,
        initial: Sequence[Tensor],
        captured: Sequence[Tensor],
        condition: Graph,
        body: Graph,
        **info: object,
    ) -> None:
        super().__init__(name, (), I64, **info)  # type: ignore[arg-type]
        self.initial = tuple(initial)
        self.captured = tuple(captured)
        self.condition = condition
        self.body = body

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return _unique((*self.initial, *self.captured))


class Result(Tensor):
    """Carried tensor number `position` after a `Loop` or `While` has ended."""

    __slots__ = ("loop", "position")

    def __init__(self, name: str, loop: Loop | While, position: int, **info: object) -> None:
        state = loop.initial[position]
        super().__init__(name, state.shape, state.dtype, **info)  # type: ignore[arg-type]
        self.loop = loop
        self.position = position

    @property
    def sources(self) -> tuple[Tensor, ...]:
        return (self.loop,)


class Combiner(Struct, frozen=True):
    """How two partial results meet. `op` is None for argmin and argmax."""

    name: str
    op: Op | None


COMBINERS = {
    "add": Combiner("add", ops.ADD),
    "mul": Combiner("mul", ops.MUL),
    "min": Combiner("min", ops.MIN),
    "max": Combiner("max", ops.MAX),
    "fmin": Combiner("fmin", ops.FMIN),
    "fmax": Combiner("fmax", ops.FMAX),
    "and": Combiner("and", ops.AND),
    "or": Combiner("or", ops.OR),
    "xor": Combiner("xor", ops.XOR),
    "argmin": Combiner("argmin", None),
    "argmax": Combiner("argmax", None),
}


def identity(combiner: str, dtype: DType) -> Expr:
    """The value that changes nothing when combined."""
    match combiner:
        case "add" | "or" | "xor":
            return build.zero(dtype)
        case "mul":
            return build.const(1, dtype)
        case "and":
            return build.const(-1, dtype)
        case "min" | "argmin":
            return build.const(float("inf") if dtype.is_float else dtype.max, dtype)
        case "max" | "argmax":
            return build.const(float("-inf") if dtype.is_float else dtype.min, dtype)
        case "fmin" | "fmax":
            return build.const(float("nan"), dtype)
    raise IRError(f"{combiner} has no identity")


CheckKind = Literal["index", "fits", "power"]


class Check(Struct, frozen=True):
    """A condition on data that the host tests after the run, raising an error if it fails.

    `least` and `most` are int64 tensors of rank 0: the extremes of what was used; valid are
    ``-size … size - 1`` (``0 … size - 1`` when not `wraps`). `kind` says what they are: indices on
    an axis of `size` elements, Python ints that must fit a dtype, or the exponents of integers.
    """

    least: Tensor
    most: Tensor
    size: Size
    axis: int
    wraps: bool
    loc: Location | None
    kind: CheckKind = "index"


class Graph(Struct, frozen=True):
    """A function over tensors. Nodes are reached from the outputs and the checks."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Tensor, ...]
    symbols: tuple[Var, ...] = ()
    checks: tuple[Check, ...] = ()

    def __str__(self) -> str:
        from tilewright.ir.printer import print_graph

        return print_graph(self)

    @property
    def roots(self) -> tuple[Tensor, ...]:
        """What must be computed: outputs, then the checks' extremes."""
        return (*self.outputs, *(t for check in self.checks for t in (check.least, check.most)))

    def nodes(self) -> list[Tensor]:
        """Every node once, producers before consumers; all inputs first."""
        order: list[Tensor] = list(self.inputs)
        seen = {id(t) for t in order}
        for root in self.roots:
            stack: list[tuple[Tensor, bool]] = [(root, False)]
            while stack:
                node, expanded = stack.pop()
                if expanded:
                    order.append(node)
                    continue
                if id(node) in seen:
                    continue
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((s, False) for s in reversed(node.sources) if id(s) not in seen)
        return order


def _extents(axes: Sequence[Var]) -> tuple[Size, ...]:
    sizes = []
    for axis in axes:
        if axis.extent is None:
            raise IRError(f"axis {axis.name} has no extent")
        sizes.append(axis.extent)
    return tuple(sizes)


def _loaded(bodies: Sequence[Expr]) -> tuple[Tensor, ...]:
    return _unique(
        n.source for n in post_order(bodies) if isinstance(n, Load) and isinstance(n.source, Tensor)
    )


def _unique(tensors: Sequence[Tensor] | Iterator[Tensor]) -> tuple[Tensor, ...]:
    return tuple({id(t): t for t in tensors}.values())
