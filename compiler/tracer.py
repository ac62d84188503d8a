"""The tracer: turns what a running kernel does into graph nodes.

In: expressions over axes, made by the traced NumPy functions (`compiler/trace/numpy_*.py`). Out:
handles on graph tensors. One tracer serves one run of one function. It also keeps what nests: the
index functions that are running (`tw.compute`), whose index variables may stand in expressions
without being axes of a node, and the loop bodies (`tw.loop`), which are graphs of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tilewright.compiler.interface import SizeCheck
from tilewright.compiler.trace import views
from tilewright.compiler.trace.array import TracedArray
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Cell, Formula, Handle, Value, load
from tilewright.compiler.trace.locations import Locator
from tilewright.ir import build, dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import LimitError, TraceError, UnsupportedError
from tilewright.ir.expr import Expr, Load, Size, Var, post_order
from tilewright.ir.graph import (
    Check,
    CheckKind,
    Compute,
    Constant,
    Input,
    Reduction,
    Reshape,
    Scan,
    Scatter,
    Sort,
    Tensor,
)
from tilewright.ir.traverse import replace_sources, substitute

if TYPE_CHECKING:
    from tilewright.ir.location import Location

N = TypeVar("N", bound=Tensor)
NODE_LIMIT = 50_000
_AXIS_NAMES = tuple(f"i{n}" for n in range(64))


class Frame:
    """The graph that is being built: the kernel's, or that of a loop body inside of it.

    `imported` are the inputs that stand for tensors of the enclosing graph.
    """

    def __init__(self, parent: Frame | None) -> None:
        self.parent = parent
        self.owned: set[Tensor] = set()
        self.imported: dict[Tensor, Input] = {}
        self.checks: list[Check] = []


class Tracer:
    """Makes graph nodes, and knows where in the user's code they come from."""

    def __init__(self) -> None:
        self._locator = Locator()
        self._count = 0
        self.frame = self._root = Frame(None)
        self.looped = False
        self.scopes: list[tuple[Var, ...]] = []
        self.scoped = False
        self.finished = False
        self.counters: dict[Var, Expr] = {}
        self.fits: dict[str, dict[DType, None]] = {}
        self.sizes: list[SizeCheck] = []
        self.refusals: list[BaseException] = []

    # Where and how deep we are.

    def here(self) -> Location | None:
        """The user's expression that is being evaluated."""
        return self._locator.here()

    @property
    def depth(self) -> int:
        """How many index functions and loop bodies are running inside of each other."""
        depth = len(self.scopes)
        frame = self.frame.parent
        while frame is not None:
            depth += 1
            frame = frame.parent
        return depth

    @contextmanager
    def scope(self, axes: tuple[Var, ...]) -> Iterator[None]:
        """Index variables that expressions may use while the body runs."""
        self.scopes.append(axes)
        self.scoped = True
        try:
            yield
        finally:
            self.scopes.pop()

    # Making handles.

    def axes(self, sizes: Sequence[Size]) -> tuple[Var, ...]:
        """Fresh axes of these extents."""
        if len(sizes) > len(_AXIS_NAMES):
            raise failure(
                LimitError,
                f"{len(sizes)} dimensions are more than the limit of {len(_AXIS_NAMES)}",
            )
        return tuple(Var(name, size) for name, size in zip(_AXIS_NAMES, sizes, strict=False))

    def wrap(self, value: Value, sizes: Sequence[Size], dtype: DType) -> TracedArray:
        """A new array that holds `value`."""
        return TracedArray(Cell(self, tuple(sizes), dtype, value=value))

    def weak(self, expr: Expr) -> TracedArray:
        """A Python number that is known at run time only."""
        return TracedArray(Cell(self, (), expr.dtype, value=Formula((), expr)), weak=True)

    def known(self, array: np.ndarray, owner: str = "") -> TracedArray:
        """An array whose elements are known while tracing. It must not be written elsewhere."""
        dtype = dtypes.from_numpy(array.dtype)
        if dtype is None:
            raise failure(UnsupportedError, f"arrays of dtype {array.dtype} are not supported")
        return TracedArray(Cell(self, array.shape, dtype, array=array, owner=owner))

    def input(self, name: str, sizes: Sequence[Size], dtype: DType) -> Input:
        """A new input of the present graph."""
        node = Input(name, sizes, dtype, name, self.here())
        self.frame.owned.add(node)
        return node

    def compute(self, *arguments: Any) -> Any:
        """``tw.compute`` (shape, function)."""
        from tilewright.compiler.trace import index_form

        return index_form.compute(self, *arguments)

    def value(
        self, axes: tuple[Var, ...], body: Expr, label: str, sizes: Sequence[Size] | None = None
    ) -> TracedArray:
        """The array ``[axes] -> body``: a node, or a formula where index variables are in it."""
        if sizes is None:
            sizes = tuple(axis.extent for axis in axes if axis.extent is not None)
        return self.wrap(self.finish(axes, body, label), sizes, body.dtype)

    def finish(self, axes: tuple[Var, ...], body: Expr, label: str) -> Value:
        """`body` over `axes` as a value."""
        if self.scoped and self.index_variables((body,)):
            return Formula(axes, body)
        return self._node(Compute, axes, self._import_loads(body), label=label)

    def index_variables(self, bodies: Sequence[Expr]) -> tuple[Var, ...]:
        """The variables of running index functions that `bodies` use, outermost first."""
        if not self.scoped:
            return ()
        used = {n for n in post_order(bodies) if isinstance(n, Var)}
        return tuple(axis for scope in self.scopes for axis in scope if axis in used)

    def reduction(
        self,
        axes: tuple[Var, ...],
        reduce_axes: tuple[Var, ...],
        combiner: str,
        body: Expr,
        label: str,
    ) -> TracedArray:
        """`body` combined over `reduce_axes`, for every point of `axes`."""
        outer = self.index_variables((body,))
        if outer:
            fresh = tuple(Var(v.name, v.extent) for v in outer)
            body = substitute(body, dict(zip(outer, fresh, strict=True)))
            node = self._node(
                Reduction,
                (*fresh, *axes),
                reduce_axes,
                combiner,
                self._import_loads(body),
                label=label,
            )
            formula = Formula(axes, build.load(node, *outer, *axes))
            return self.wrap(formula, node.shape[len(outer) :], node.dtype)
        node = self._node(
            Reduction, axes, reduce_axes, combiner, self._import_loads(body), label=label
        )
        return self.wrap(node, node.shape, node.dtype)

    # Whole-tensor nodes.

    def tensor(self, handle: Handle) -> Tensor:
        """The elements of `handle` as a graph tensor of its shape."""
        value = handle.cell.read()
        if isinstance(value, Tensor) and handle.window is None:
            return self.imported(value)
        axes = self.axes(handle.sizes)
        return self.as_tensor(self.finish(axes, handle.element(axes), "copy"))

    def as_tensor(self, value: Value) -> Tensor:
        """`value`, which must not depend on index variables, as a graph tensor."""
        if isinstance(value, Tensor):
            return self.imported(value)
        if self.index_variables((value.body,)):
            raise failure(
                UnsupportedError,
                "this function cannot take values that depend on an index variable",
                help="apply it to whole arrays before or after the index function",
            )
        node = self._node(Compute, value.axes, self._import_loads(value.body), label="copy")
        return node

    def copied(self, tensor: Tensor) -> Tensor:
        """A new tensor with the elements of `tensor`."""
        axes = self.axes(tensor.shape)
        node: Tensor = self._node(Compute, axes, build.load(tensor, *axes), label="copy")
        return node

    def reshaped(self, handle: Handle, sizes: tuple[Size, ...]) -> Tensor:
        """The elements of `handle` in row-major order under another shape."""
        return self._node(Reshape, self.tensor(handle), sizes, label="reshape")

    def reshaped_value(
        self, value: Value, dtype: DType, old: tuple[Size, ...], new: tuple[Size, ...]
    ) -> Value:
        """`value` of shape `old` under the shape `new`."""
        return self.reshaped(self.wrap(value, old, dtype), new)

    def scan(self, handle: Handle, axis: int, combiner: str, label: str) -> TracedArray:
        """The running combination along `axis`."""
        node = self._node(Scan, self.tensor(handle), axis, combiner, label=label)
        return self.wrap(node, node.shape, node.dtype)

    def sort(self, handle: Handle, axis: int, *, positions: bool, label: str) -> TracedArray:
        """The stable ascending sort along `axis`, or its permutation."""
        node = self._node(Sort, self.tensor(handle), axis, positions, label=label)
        return self.wrap(node, node.shape, node.dtype)

    def scatter(
        self,
        base: Handle,
        axes: tuple[Var, ...],
        indices: Sequence[Expr],
        value: Expr,
        combiner: str | None,
        label: str,
    ) -> Tensor:
        """A copy of `base` with ``[indices] = value`` at every point of `axes`."""
        if self.index_variables((*indices, value)):
            raise failure(
                UnsupportedError, "an index function cannot write through an array of indices"
            )
        where = [self._import_loads(i) for i in indices]
        return self._node(
            Scatter,
            self.tensor(base),
            axes,
            where,
            self._import_loads(value),
            combiner,
            label=label,
        )

    def lift(self, array: np.ndarray) -> Tensor:
        """A known array as a graph tensor: a fill where all elements are one, else a constant."""
        dtype = dtypes.from_numpy(array.dtype)
        assert dtype is not None
        flat = np.ascontiguousarray(array).reshape(-1)
        if flat.size and _one_value(flat):
            body = build.const(flat[0].item(), dtype)
            node = self._node(Compute, self.axes(array.shape), body, label="full")
            self._root.owned.add(node)  # it reads nothing, and outlives a loop body
            return node
        frozen = np.ascontiguousarray(array).reshape(array.shape).copy()
        frozen.flags.writeable = False
        return self._node(Constant, frozen, dtype, label="constant")

    def overwrite(self, handle: Handle, value: Value) -> None:
        """Replace the elements that `handle` views by those of `value`."""
        cell = handle.cell
        self.refuse_unwritable(handle)
        if any(size == 0 for size in handle.sizes):
            return
        if handle.window is None:
            cell.write(value)
            return
        axes = self.axes(cell.sizes)
        inverse = views.invert(handle.window, handle.sizes, cell.sizes, axes)
        if inverse is None:
            raise failure(
                TraceError,
                "this view shows some elements more than once, so it is read-only",
                help="copy it first: x = x.copy()",
            )
        new = load(value, inverse.indices)
        body = build.select(inverse.inside, new, load(cell.read(), axes))
        cell.write(self.finish(axes, body, "assignment"))

    def refuse_unwritable(self, handle: Handle) -> None:
        """Raise unless the elements that `handle` views may be written here."""
        cell = handle.cell
        if handle.frozen:
            raise failure(
                TraceError,
                "a view that was made by broadcasting is read-only",
                help="copy it first: x = x.copy()",
            )
        if cell.owner:
            name = cell.owner.rpartition("'")[0].rpartition("'")[2] or "x"
            raise failure(
                TraceError,
                f"a kernel cannot write into its {cell.owner}",
                help=f"work on a copy: {name} = {name}.copy(), and return it",
            )
        if cell.depth != self.depth:
            raise failure(
                TraceError,
                "an index function or loop body cannot write into an array from outside of it",
                help="return the new value; a loop body takes the array as part of its state",
            )

    def check(
        self,
        least: Tensor,
        most: Tensor,
        size: Size,
        axis: int,
        *,
        wraps: bool,
        kind: CheckKind = "index",
    ) -> None:
        """Have the host test after the run that an index (or another integer) was in range."""
        self.frame.checks.append(Check(least, most, size, axis, wraps, self.here(), kind))

    def must_fit(self, name: str, dtype: DType) -> None:
        """Have the host test before each run that the int argument `name` fits `dtype`."""
        self.fits.setdefault(name, {})[dtype] = None

    def must_not_be_empty(self, sizes: Iterable[Size], message: str) -> None:
        """Have the host test before each run that none of the open sizes is 0."""
        open_sizes = [size for size in sizes if not isinstance(size, int)]
        if not open_sizes:
            return
        from tilewright.ir.analysis.size_proofs import at_most

        for size in open_sizes:
            if not at_most(1, size):
                self.sizes.append(SizeCheck(size, message, self.here()))

    # Functions that the public modules ask for by name.

    def call(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """The public function `name` (``"sigmoid"``) on traced arguments."""
        from tilewright.compiler.trace.special import FUNCTIONS

        return FUNCTIONS[name](*arguments, **keywords)

    def sum(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("sum", fn, extents)

    def prod(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("prod", fn, extents)

    def max(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("max", fn, extents)

    def min(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("min", fn, extents)

    def argmax(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("argmax", fn, extents)

    def argmin(self, fn: Callable[..., Any], extents: Any) -> Any:
        return self.reduce("argmin", fn, extents)

    def reduce(self, kind: str, fn: Callable[..., Any], extents: Any) -> Any:
        """``tw.sum`` and the like of an index function."""
        from tilewright.compiler.trace import index_form

        return index_form.reduce(self, kind, fn, extents)

    def at(self, array: Any, indices: Any, boundary: str = "proven", fill: Any = 0) -> Any:
        """``tw.at``."""
        from tilewright.compiler.trace import index_form

        return index_form.at(self, array, indices, boundary, fill)

    def loop(self, count: Any, fn: Callable[..., Any], *state: Any) -> tuple[Any, ...]:
        """``tw.loop``."""
        from tilewright.compiler.trace import loops

        return loops.loop(self, count, fn, state)

    def while_loop(
        self, condition: Callable[..., Any], body: Callable[..., Any], *state: Any
    ) -> tuple[Any, ...]:
        """``tw.while_loop``."""
        from tilewright.compiler.trace import loops

        return loops.while_loop(self, condition, body, state)

    # Nodes and frames.

    @contextmanager
    def body(self) -> Iterator[Frame]:
        """A loop body: nodes go to a new graph until the end of the block."""
        self.looped = True
        self.frame = frame = Frame(self.frame)
        try:
            yield frame
        finally:
            assert frame.parent is not None
            self.frame = frame.parent

    def _node(self, kind: Callable[..., N], *parts: Any, label: str) -> N:
        if self.finished:
            raise TraceError(
                "a traced array was used after its kernel had been traced",
                help="return values from the kernel instead of storing them outside of it",
            )
        self._count += 1
        if self._count > NODE_LIMIT:
            raise failure(
                LimitError,
                f"the kernel has more than {NODE_LIMIT} operations",
                help="a Python loop is unrolled while tracing; use tw.loop for long ones",
            )
        node = kind(f"t{self._count}", *parts, label=label, loc=self.here())
        self.frame.owned.add(node)
        return node

    def loop_node(self, kind: Callable[..., N], *parts: Any, label: str) -> N:
        """A `Loop`, `While` or `Result`."""
        return self._node(kind, *parts, label=label)

    def imported(self, tensor: Tensor) -> Tensor:
        """`tensor` as the present graph sees it: an input if it belongs to an enclosing one."""
        if not self.looped:
            return tensor
        return self._import(self.frame, tensor)

    def _import(self, frame: Frame, tensor: Tensor) -> Tensor:
        if tensor in frame.owned or isinstance(tensor, Constant):
            return tensor
        if frame.parent is None:
            raise failure(
                TraceError,
                "a value from inside of a loop body is used outside of it",
                help="return it from the body as part of the state",
            )
        if tensor not in frame.imported:
            outer = self._import(frame.parent, tensor)
            stand_in = Input(tensor.name, outer.shape, outer.dtype, outer.label, outer.loc)
            frame.imported[tensor] = stand_in
            frame.owned.add(stand_in)
        return frame.imported[tensor]

    def _import_loads(self, body: Expr) -> Expr:
        """`body` as the present graph can hold it: step counters and outer tensors as inputs."""
        if not self.looped:
            return body
        body = substitute(body, self.counters)
        mapping = {}
        for node in post_order((body,)):
            if isinstance(node, Load) and isinstance(node.source, Tensor):
                inner = self.imported(node.source)
                if inner is not node.source:
                    mapping[node.source] = inner
        return replace_sources(body, mapping) if mapping else body  # type: ignore[arg-type]


def _one_value(flat: np.ndarray) -> bool:
    """Whether all elements are the same bits (0.0 and -0.0 are not)."""
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    return bool((raw == raw[0]).all())
