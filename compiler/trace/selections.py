"""``x[mask]`` for a mask that is data: how many elements it has is not known while tracing.

A `Selection` keeps the whole array beside its mask. Element by element work is done on the whole
array; reductions leave out what the mask does not choose; assignment through the same mask takes
the elements in their places. So the usual forms compile (``x[m] += 1``, ``x[m] = f(x[m])``,
``x[m].mean()``), and no array of unknown size is ever made. All else is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.tracing_state import current
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, I64
from tilewright.ir.errors import DTypeError, ShapeError, TraceError
from tilewright.ir.graph import Graph

if TYPE_CHECKING:
    from tilewright.ir.location import Location

_ELEMENTWISE: Final = frozenset(
    (np.where, np.clip, np.round, np.around, np.nan_to_num, np.select, np.real, np.fix, np.isclose)
)
_REDUCTIONS: Final = frozenset(
    (np.sum, np.prod, np.mean, np.std, np.var, np.any, np.all, np.max, np.min, np.count_nonzero)
)
_EXTREMES: Final = {np.max: np.minimum, np.min: np.maximum}
COUNTERS: Final[dict[Any, Callable[..., Any]]] = {}
"""What counts elements of selections; `numpy_histograms` fills it, which `dispatch` imports for
the functions in question before it comes here."""

_NAMED: Final[dict[str, Callable[..., Any]]] = {
    **{f.__name__: f for f in (np.sum, np.prod, np.mean, np.std, np.var, np.any, np.all)},
    **{"max": np.max, "min": np.min, "clip": np.clip, "round": np.round, "dot": np.dot},
}


class Selection:
    """The elements of `whole` where `mask`, which lies along its axes from `axis` on, is True."""

    __slots__ = ("axis", "loc", "mask", "whole")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 2e6

    def __init__(self, whole: Any, mask: Any, axis: int, loc: Location | None) -> None:
        self.whole = whole
        self.mask = mask
        self.axis = axis
        self.loc = loc

    @property
    def dtype(self) -> np.dtype:
        return self.whole.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.whole.rank - self.mask.rank + 1  # type: ignore[no-any-return]

    @property
    def shape(self) -> tuple[Any, ...]:
        whole = self.whole.shape
        return (*whole[: self.axis], self.count(), *whole[self.axis + self.mask.rank :])

    @property
    def size(self) -> Any:
        total = self.count()
        for extent in (*self.whole.shape[: self.axis], *self._trailing):
            total = total * extent
        return total

    @property
    def _trailing(self) -> tuple[Any, ...]:
        return self.whole.shape[self.axis + self.mask.rank :]  # type: ignore[no-any-return]

    def count(self) -> Any:
        """How many elements the mask chooses, as the Python int that NumPy would give."""
        tracer = current()
        assert tracer is not None
        number = _dispatch(np.count_nonzero, self.mask)
        return tracer.weak(build.cast(number.element(()), I64))

    def with_whole(self, whole: Any) -> Selection:
        """The same choice from another array."""
        return Selection(whole, self.mask, self.axis, self.loc)

    def astype(self, dtype: Any, **keywords: Any) -> Selection:
        return self.with_whole(self.whole.astype(dtype, **keywords))

    def copy(self) -> Selection:
        return self

    def ravel(self) -> Selection:
        if self.ndim != 1:
            raise refusal(self, "flattening it")
        return self

    flatten = ravel

    def __getattr__(self, name: str) -> Any:
        if name in _NAMED:
            return lambda *args, **kwargs: call(_NAMED[name], (self, *args), kwargs)
        if name.startswith("__"):
            raise AttributeError(name)
        raise refusal(self, f"its {name}")

    def __getitem__(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        if self.axis or not items or not isinstance(items[0], slice) or items[0] != slice(None):
            raise refusal(self, "indexing it")
        return self.with_whole(self.whole[(slice(None),) * self.mask.rank + items[1:]])

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise refusal(self, "assigning to a part of it")

    def __len__(self) -> NoReturn:
        raise refusal(self, "a Python loop over it")

    def __iter__(self) -> NoReturn:
        raise refusal(self, "a Python loop over it")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call(function, args, kwargs)

    def __repr__(self) -> str:
        return f"<elements chosen from {self.whole!r}>"


class MaskPositions(Selection):
    """The positions of the True elements along axis `number` of the mask: ``np.nonzero``'s."""

    __slots__ = ("number",)

    def __init__(self, whole: Any, mask: Any, number: int, loc: Location | None) -> None:
        super().__init__(whole, mask, 0, loc)
        self.number = number


def _in_place(ufunc: np.ufunc) -> Callable[[Selection, Any], Any]:
    """``x[mask] += value``: the elements keep their dtype, by NumPy's same-kind rule."""

    def run(self: Selection, other: Any) -> Any:
        made = call(ufunc, (self, other), {})
        found, own = made.dtype, self.dtype
        if not np.can_cast(found, own, "same_kind"):
            raise failure(
                DTypeError,
                f"np.{ufunc.__name__} in place makes {found}, which does not go into {own}",
                help=f"convert the array first: x = x.astype(np.{found})",
            )
        return made.astype(own)

    return run


def _operator(ufunc: np.ufunc, reflected: bool) -> Callable[[Selection, Any], Any]:
    if reflected:
        return lambda self, other: call(ufunc, (other, self), {})
    return lambda self, other: call(ufunc, (self, other), {})


_BINARY: Final[dict[str, Any]] = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide},
    **{"floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power},
    **{"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor},
    **{"lshift": np.left_shift, "rshift": np.right_shift, "matmul": np.dot},
}
_COMPARISONS: Final[dict[str, Any]] = {
    **{"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal},
    **{"eq": np.equal, "ne": np.not_equal},
}
_UNARY: Final[dict[str, Any]] = {"neg": np.negative, "abs": np.absolute, "invert": np.invert}


def _add_operators() -> None:
    """Python's operators, as their ufuncs."""
    for name, ufunc in _BINARY.items():
        setattr(Selection, f"__{name}__", _operator(ufunc, False))
        setattr(Selection, f"__r{name}__", _operator(ufunc, True))
        if name != "matmul":
            setattr(Selection, f"__i{name}__", _in_place(ufunc))
    for name, ufunc in _COMPARISONS.items():
        setattr(Selection, f"__{name}__", _operator(ufunc, False))
    for name, ufunc in _UNARY.items():
        setattr(Selection, f"__{name}__", lambda self, f=ufunc: call(f, (self,), {}))


_add_operators()


def selected(values: Sequence[Any]) -> Selection | None:
    """The first selection among `values`, or in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Selection):
            return value
        if type(value) in (list, tuple):
            inner = selected(value)
            if inner is not None:
                return inner
    return None


def refusal(selection: Selection, use: str) -> TraceError:
    """The error for what would need an array of unknown size."""
    if isinstance(selection, MaskPositions):
        what = "how many positions np.nonzero or np.where(condition) finds depends on data"
        way = "keep all positions with np.where(condition, a, b), or count with np.count_nonzero"
    else:
        what = "the size of x[mask] depends on data"
        way = "keep the shape: np.where(mask, x, 0), or reduce with np.sum(x, where=mask)"
    error = failure(TraceError, f"{what}, so {use} cannot be compiled", help=way)
    if error.loc is None:
        error.loc = selection.loc
    return error


def call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """NumPy's `function` where some arguments are selections."""
    first = selected((*args, *kwargs.values()))
    assert first is not None
    if isinstance(function, np.ufunc) or function in _ELEMENTWISE:
        return _elementwise(first, function, args, kwargs)
    if function in _REDUCTIONS and isinstance(args[0], Selection) and not selected(args[1:]):
        return _reduced(args[0], function, *args[1:], **kwargs)
    if function is np.dot and len(args) == 2:
        product = _elementwise(first, np.multiply, args, {})
        if product.ndim == 1:
            return _reduced(product, np.sum)
    if function in COUNTERS:
        return COUNTERS[function](*args, **kwargs)
    if function is np.size:
        return first.size
    if function is np.copy:
        return first
    name = getattr(function, "__name__", "this")
    raise refusal(first, f"np.{name} of it")


def _elementwise(
    first: Selection, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    def whole(value: Any) -> Any:
        if isinstance(value, Selection):
            if not same_choice(first, value) or value.ndim != first.ndim:
                raise refusal(first, "combining it with elements chosen by another mask")
            return value.whole
        if type(value) in (list, tuple):
            return type(value)(whole(v) for v in value)
        rank = value.rank if isinstance(value, Handle) else np.ndim(value)
        if rank >= first.ndim - first.axis:
            raise refusal(first, "combining it with an array of as many axes")
        return value

    if kwargs.get("out") is not None:
        raise refusal(first, "out=")
    made = _dispatch(function, *map(whole, args), **{k: whole(v) for k, v in kwargs.items()})
    return tuple(map(first.with_whole, made)) if isinstance(made, tuple) else first.with_whole(made)


def _reduced(
    selection: Selection, function: Any, axis: Any = None, *rest: Any, **keywords: Any
) -> Any:
    if rest or keywords.get("keepdims") or keywords.get("where") is not None:
        raise refusal(selection, f"np.{function.__name__} with these arguments")
    axes = _whole_axes(selection, axis)
    rank = selection.mask.rank
    if axes is not None and not set(axes) & set(range(selection.axis, selection.axis + rank)):
        return selection.with_whole(_dispatch(function, selection.whole, axis=axes, **keywords))
    mask = _spread(selection)
    if function is np.count_nonzero:
        chosen = _dispatch(np.logical_and, selection.whole != 0, mask)
        return _dispatch(np.count_nonzero, chosen, axis=axes)
    if function in _EXTREMES and "initial" not in keywords:
        keywords["initial"] = _neutral(selection.whole.element_type, function)
        _require_some(selection)
    return _dispatch(function, selection.whole, axis=axes, where=mask, **keywords)


def _whole_axes(selection: Selection, axis: Any) -> tuple[int, ...] | None:
    """The axes of the whole array for one or several of the selection's; None for all."""
    if axis is None:
        return None
    rank, first = selection.mask.rank, selection.axis
    found: list[int] = []
    for given in axis if isinstance(axis, (tuple, list)) else (axis,):
        if not -selection.ndim <= given < selection.ndim:
            raise failure(ShapeError, f"axis {given} is out of bounds for rank {selection.ndim}")
        own = given % selection.ndim
        if own == first:
            found.extend(range(first, first + rank))
        else:
            found.append(own if own < first else own + rank - 1)
    return tuple(found)


def _spread(selection: Selection) -> Any:
    """The mask with the shape of the whole array."""
    missing = (None,) * (selection.whole.rank - selection.axis - selection.mask.rank)
    mask = selection.mask[(..., *missing)] if missing else selection.mask
    return _dispatch(np.broadcast_to, mask, selection.whole.shape)


def _neutral(dtype: Any, function: Any) -> Any:
    if dtype is BOOL:
        return function is np.min
    limits = np.finfo if dtype.is_float else np.iinfo
    if dtype.is_float:
        return dtype.numpy.type(-np.inf if function is np.max else np.inf)
    found = limits(dtype.numpy)
    return dtype.numpy.type(found.min if function is np.max else found.max)


def _require_some(selection: Selection) -> None:
    """Have calls fail, as NumPy does, where the mask chooses nothing of which to take the best."""
    tracer = current()
    assert tracer is not None
    last = tracer.tensor(_dispatch(np.subtract, _dispatch(np.count_nonzero, selection.mask), 1))
    tracer.check(last, last, build.product(selection.mask.sizes), selection.axis, wraps=False)


def same_choice(a: Selection, b: Selection) -> bool:
    """Whether two selections are by equal masks along the same axes."""
    return a.axis == b.axis and same_mask(a.mask, b.mask)


def same_mask(a: Handle, b: Handle) -> bool:
    """Whether two masks are equal whatever the data is: one value, or computed in the same way."""
    if a is b:
        return True
    if len(a.sizes) != len(b.sizes):
        return False
    tracer = current()
    assert tracer is not None
    pair = (tracer.tensor(a), tracer.tensor(b))
    if pair[0] is pair[1]:
        return True
    from tilewright.ir.passes.eliminate_common_subexpressions import (
        eliminate_common_subexpressions,
    )

    one, other = eliminate_common_subexpressions(Graph("masks", (), pair)).outputs
    return one is other


def _dispatch(function: Any, *args: Any, **kwargs: Any) -> Any:
    from tilewright.compiler.trace.array import call_numpy

    return call_numpy(function, args, kwargs)
