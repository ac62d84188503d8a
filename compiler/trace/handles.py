"""Storage cells and handles on them: what a NumPy array is while a kernel is traced.

A `Cell` is the storage of one array: an SSA value that each write replaces. A `Handle` is an array
as the user holds it: a view of a cell. Views of one cell see each other's writes, as in NumPy.

A cell's value is a graph tensor, or a `Formula` where it depends on the index variables of an
index function that is being traced (``tw.compute(shape, lambda y, x: …)``), or it is known while
tracing (`Cell.array`): such arrays are computed with by NumPy itself, and enter the graph as
constants when they meet a traced one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from tilewright.compiler.trace import views
from tilewright.compiler.trace.views import View
from tilewright.ir import build
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.graph import Tensor
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Tracer


class Formula:
    """``lambda axes: body`` that is not a node of its own; `body` may use index variables."""

    __slots__ = ("axes", "body")

    def __init__(self, axes: tuple[Var, ...], body: Expr) -> None:
        self.axes = axes
        self.body = body


Value = Tensor | Formula


def load(value: Value, indices: Sequence[Expr]) -> Expr:
    """The element of `value` at `indices`."""
    if isinstance(value, Tensor):
        return build.load(value, *indices)
    if not value.axes:
        return value.body
    return substitute(value.body, dict(zip(value.axes, indices, strict=True)))


class Cell:
    """The storage of one array.

    `owner` says why it may not be written (``"argument 'x'"``); `depth` is the nesting of index
    functions and loop bodies in which it was made, the only one in which it may be written.
    """

    __slots__ = ("array", "depth", "dtype", "owner", "sizes", "tracer", "value", "version")

    def __init__(
        self,
        tracer: Tracer,
        sizes: tuple[Size, ...],
        dtype: DType,
        *,
        value: Value | None = None,
        array: np.ndarray | None = None,
        owner: str = "",
    ) -> None:
        self.tracer = tracer
        self.sizes = sizes
        self.dtype = dtype
        self.value = value
        self.array = array
        self.owner = owner
        self.depth = tracer.depth
        self.version = 0

    def read(self) -> Value:
        """The present value as the graph sees it."""
        if self.value is None:
            assert self.array is not None
            self.value = self.tracer.lift(self.array)
        return self.value

    def stamp(self) -> int:
        """A number that changes with every write."""
        return self.version

    def write(self, value: Value) -> None:
        """Replace the whole value."""
        self.value = value
        self.array = None
        self.version += 1

    def write_known(self, array: np.ndarray) -> None:
        """Replace the whole value by one that is known while tracing."""
        self.value = None
        self.array = array
        self.version += 1


class ReshapedCell(Cell):
    """Another shape for the elements of `parent`: reads and writes go through to it."""

    __slots__ = ("parent", "seen")

    def __init__(self, parent: Handle, sizes: tuple[Size, ...]) -> None:
        super().__init__(parent.cell.tracer, sizes, parent.element_type, owner=parent.cell.owner)
        self.parent = parent
        self.seen: tuple[int, object] | None = None
        self.depth = parent.cell.depth

    def read(self) -> Value:
        now = (self.parent.cell.stamp(), self.tracer.frame)
        if self.value is None or self.seen != now:
            self.value = self.tracer.reshaped(self.parent, self.sizes)
            self.seen = now
        return self.value

    def stamp(self) -> int:
        return self.parent.cell.stamp()

    @property
    def array(self) -> np.ndarray | None:
        """The elements, known where the parent's are."""
        known = self.parent.known()
        return None if known is None else known.reshape(_ints(self.sizes))

    @array.setter
    def array(self, array: np.ndarray | None) -> None:
        """Called for a new cell; this one has no elements of its own."""

    def write_known(self, array: np.ndarray) -> None:
        from tilewright.compiler.trace.indexing import store

        store(self.parent, ..., self.tracer.known(array.reshape(_ints(self.parent.sizes))))

    def write(self, value: Value) -> None:
        shaped = self.tracer.reshaped_value(value, self.dtype, self.sizes, self.parent.sizes)
        self.parent.overwrite(shaped)
        self.value = None


def _ints(sizes: Sequence[Size]) -> tuple[int, ...]:
    return tuple(s for s in sizes if isinstance(s, int))


class Handle:
    """An array as the user holds it: the elements of `cell` seen through `window`, or all of them.

    `weak` marks what is a Python number in the undecorated function (a scalar argument, an index
    variable, a size): such values do not take part in promotion. A `frozen` view is read-only
    (NumPy makes those by broadcasting). A `boxed` one is an array even at rank 0, where most of
    NumPy's functions return scalars; a `plain` one is a bool of Python's.
    """

    __slots__ = ("boxed", "cell", "frozen", "plain", "sizes", "weak", "window")

    def __init__(
        self,
        cell: Cell,
        sizes: tuple[Size, ...] | None = None,
        view: View | None = None,
        weak: bool = False,
        frozen: bool = False,
        boxed: bool = False,
    ) -> None:
        self.cell = cell
        self.sizes = cell.sizes if sizes is None else sizes
        self.window = view
        self.weak = weak
        self.frozen = frozen
        self.boxed = boxed
        self.plain = False

    @property
    def element_type(self) -> DType:
        return self.cell.dtype

    @property
    def rank(self) -> int:
        return len(self.sizes)

    def element(self, indices: Sequence[Expr]) -> Expr:
        """The element at `indices` as an expression."""
        if self.window is not None:
            indices = views.locate(self.window, indices)
        return load(self.cell.read(), indices)

    def broadcast_element(self, axes: Sequence[Var]) -> Expr:
        """The element that broadcasting puts at the point `axes` of a larger shape."""
        if not self.sizes:
            return self.element(())
        skipped = len(axes) - len(self.sizes)
        zero = build.index(0)
        return self.element(
            [
                zero if size == 1 and isinstance(size, int) else axis
                for size, axis in zip(self.sizes, axes[skipped:], strict=True)
            ]
        )

    @property
    def is_array(self) -> bool:
        """Whether this is an array in NumPy, and no scalar."""
        return bool(self.sizes) or self.boxed

    def as_boxed(self) -> Self:
        """The same elements, as an array at any rank."""
        if self.is_array:
            return self
        return type(self)(self.cell, self.sizes, self.window, frozen=self.frozen, boxed=True)

    def as_plain(self) -> Self:
        """The same bool, as Python's."""
        made = type(self)(self.cell, self.sizes, self.window)
        made.plain = True
        return made

    def viewed(self, inner: View, sizes: tuple[Size, ...]) -> Self:
        """A view of this view: `inner` maps this one's axes from the axes of the new one."""
        outer = views.identity(self.rank) if self.window is None else self.window
        view: View | None = views.compose(outer, inner)
        if view == views.identity(len(sizes)) and len(sizes) == len(self.cell.sizes):
            view = None if sizes == self.cell.sizes else view
        return type(self)(self.cell, sizes, view, frozen=self.frozen, boxed=self.is_array)

    def known(self) -> np.ndarray | None:
        """The elements, where they are known while tracing."""
        array = self.cell.array
        return None if array is None else seen_through(array, self.window, self.sizes)

    @property
    def is_known(self) -> bool:
        """Whether `known` gives the elements: those at a run-time position it cannot."""
        if self.cell.array is None:
            return False
        return self.window is None or _is_static(self.window, self.sizes)

    def overwrite(self, value: Value) -> None:
        """Replace every element of this view."""
        self.cell.tracer.overwrite(self, value)

    def __repr__(self) -> str:
        return f"<traced {describe(self)}>"


def _is_static(view: View, sizes: Sequence[Size]) -> bool:
    """Whether where a view lies, and how large it is, is known while tracing."""
    return all(isinstance(size, int) for size in sizes) and all(
        isinstance(axis.start, int) and all(isinstance(step, int) for _, step in axis.terms)
        for axis in view
    )


def seen_through(array: np.ndarray, view: View | None, sizes: Sequence[Size]) -> np.ndarray | None:
    """The elements of `array` in a view of it; None where the view depends on run-time values."""
    if view is None:
        return array
    if not _is_static(view, sizes):
        return None
    shape = _ints(sizes)
    indices = []
    for axis in view:
        assert isinstance(axis.start, int)
        where: np.ndarray | int = axis.start
        for view_axis, step in axis.terms:
            assert isinstance(step, int)
            line = [-1 if a == view_axis else 1 for a in range(len(shape))]
            where = where + np.arange(shape[view_axis]).reshape(line) * step
        indices.append(where)
    return np.array(np.broadcast_to(array[tuple(indices)], shape))


def describe(handle: Handle) -> str:
    """``float32 (3, N)``, for messages."""
    return f"{handle.element_type.name} {show_sizes(handle.sizes)}"


def show_sizes(sizes: Sequence[Size]) -> str:
    """A shape as NumPy prints it, open dimensions by name."""
    inner = ", ".join(show_size(s) for s in sizes)
    return f"({inner},)" if len(sizes) == 1 else f"({inner})"


_INFIX = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%"}


def show_size(size: Size) -> str:
    """A size in infix notation."""
    value = build.known(size)
    if value is not None:
        return str(value)
    operands = size.operands if isinstance(size, Expr) else ()
    name = getattr(getattr(size, "op", None), "name", "")
    if name in _INFIX:
        left, right = operands
        literal = build.known(right)
        if name == "add" and literal is not None and literal < 0:
            return f"{show_size(left)} - {-literal}"
        return f"{_grouped(left)} {_INFIX[name]} {_grouped(right)}"
    if name:
        return f"{name}({', '.join(show_size(o) for o in operands)})"
    return repr(size)


def _grouped(size: Expr) -> str:
    text = show_size(size)
    return f"({text})" if " " in text else text
