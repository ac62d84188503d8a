"""What NumPy functions take: anything the user may pass, as handles, dtypes, sizes and axes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.converted_arguments import other_meaning
from tilewright.compiler.trace.failures import failure, values_needed
from tilewright.compiler.trace.handles import Handle, describe, show_sizes
from tilewright.compiler.trace.selections import Selection, refusal
from tilewright.compiler.tracing_state import current
from tilewright.ir import build, dtypes
from tilewright.ir.dtypes import INDEX, DType
from tilewright.ir.errors import (
    BoundsError,
    DTypeError,
    IntegerRangeError,
    KernelError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Var, post_order
from tilewright.ir.graph import Input, Tensor

if TYPE_CHECKING:
    from tilewright.compiler.trace.array import TracedArray
    from tilewright.compiler.tracer import Tracer
    from tilewright.ir.location import Location

Number = bool | int | float


def active() -> Tracer:
    """The tracer at work; an error if a traced array outlived its kernel."""
    tracer = current()
    if tracer is None:
        raise TraceError(
            "a traced array was used outside of the kernel that it belongs to",
            help="return values from the kernel instead of storing them outside of it",
        )
    return tracer


# Arrays.


def is_number(value: object) -> bool:
    """Whether `value` is a Python number (np.float64 is a Python float too, but not weak)."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def as_array(value: Any) -> TracedArray:
    """`value` as an array: handles as they are, numbers with NumPy's default dtype."""
    if isinstance(value, Handle):
        return strong(value)
    tracer = active()
    value = getattr(value, "__tilewright_stands_for__", value)
    if isinstance(value, (list, tuple)):
        return _stacked(value)
    if isinstance(value, (np.ndarray, np.generic, bool, int, float)):
        return tracer.known(_native(np.asanyarray(value)))
    if isinstance(value, complex):
        raise failure(UnsupportedError, "complex numbers are not supported")
    if isinstance(value, range):
        return tracer.known(np.array(value))
    if isinstance(value, Selection):
        raise refusal(value, "using it here")
    raise failure(DTypeError, f"an array or a number is needed, not {_article(value)}")


def _article(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"


def _native(array: np.ndarray) -> np.ndarray:
    meant_otherwise = other_meaning(array)
    if meant_otherwise is not None:
        raise failure(
            DTypeError,
            f"a kernel cannot compute with {meant_otherwise[0]}",
            help=meant_otherwise[1],
        )
    array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if dtypes.from_numpy(array.dtype) is None:
        raise failure(DTypeError, f"arrays of dtype {array.dtype} are not supported")
    return array


def _stacked(values: Sequence[Any]) -> TracedArray:
    """A list of numbers and arrays as one array, as ``np.array`` makes it."""
    from tilewright.compiler.trace.dispatch import bare, has_traced

    if not has_traced(values):
        try:
            return active().known(_native(np.array(bare(list(values)))))
        except ValueError as error:
            raise failure(ShapeError, str(error)) from error
    from tilewright.compiler.trace.joining import stack_values

    stacked: TracedArray = stack_values([as_array_or_number(v) for v in values])
    return stacked


def as_array_or_number(value: Any) -> Any:
    """Numbers (weak handles too) as they are, all else as an array."""
    if is_number(value) or (isinstance(value, Handle) and value.weak):
        return value
    return as_array(value)


def strong(handle: Handle) -> TracedArray:
    """A Python number as NumPy's scalar of it: int64 or float64."""
    if not handle.weak:
        return handle  # type: ignore[return-value]
    expr = handle.element(())
    target = dtypes.F64 if expr.dtype.is_float else dtypes.I64
    return active().value((), build.cast(expr, target), "scalar")


def number_kind(value: Any) -> type:
    """int or float: the Python type of a number or a weak handle."""
    if isinstance(value, Handle):
        return float if value.element_type.is_float else int
    return float if isinstance(value, float) else int


# dtypes.


def as_dtype(value: Any) -> DType:
    """A dtype as users name it: ``np.float32``, ``"f4"``, ``float``, ``x.dtype``."""
    value = getattr(value, "__tilewright_stands_for__", value)
    if isinstance(value, DType):
        return value
    try:
        numpy_dtype = np.dtype(value)
    except TypeError as error:
        raise failure(DTypeError, f"{value!r} is not a dtype") from error
    if not numpy_dtype.isnative:
        numpy_dtype = numpy_dtype.newbyteorder("=")
    dtype = dtypes.from_numpy(numpy_dtype)
    if dtype is None:
        kind = UnsupportedError if numpy_dtype.kind == "c" else DTypeError
        raise failure(kind, f"dtype {numpy_dtype} is not supported")
    return dtype


def promotion_key(value: Any) -> Any:
    """What stands for `value` in NumPy's promotion: a dtype, or ``int`` or ``float`` if weak."""
    if isinstance(value, Handle):
        if not value.weak:
            return value.element_type.numpy
        return number_kind(value)
    if isinstance(value, (bool, np.bool_)):
        return np.dtype(np.bool_)
    if is_number(value):
        return type(value) if type(value) in (int, float) else number_kind(value)
    return as_array(value).element_type.numpy


_ON_BOOLS: dict[np.ufunc, str] = {
    np.negative: "for the opposite of a bool use ~x; for a number, x.astype(int)",
    np.subtract: "for where two bools differ use a ^ b; for numbers, a.astype(int) - b",
}


@lru_cache(maxsize=4096)
def _resolved(
    ufunc: np.ufunc, keys: tuple[Any, ...], wanted: DType | None, casting: Any
) -> tuple[DType | None, ...]:
    results = (None if wanted is None else wanted.numpy,) * ufunc.nout
    signature: Any = (*(None,) * ufunc.nin, *results)
    unknown = (None,) * ufunc.nout
    found = ufunc.resolve_dtypes((*keys, *unknown), signature=signature, casting=casting)
    return tuple(map(dtypes.from_numpy, found))


def resolve_ufunc(
    ufunc: np.ufunc,
    keys: tuple[Any, ...],
    wanted: DType | None = None,
    casting: str = "same_kind",
) -> tuple[DType, ...]:
    """The dtypes in which NumPy runs `ufunc` on operands of these dtypes, outputs last, if the
    results are to be `wanted`."""
    try:
        found = _resolved(ufunc, keys, wanted, casting)
    except TypeError as error:
        names = ", ".join(map(_key_name, keys))
        asked = "" if wanted is None else f" with dtype={wanted}"
        asked += "" if casting == "same_kind" else f" with casting={casting!r}"
        raise failure(
            DTypeError,
            f"np.{ufunc.__name__} is not defined on {names}{asked}",
            help=_ON_BOOLS.get(ufunc) if np.dtype(bool) in keys else None,
        ) from error
    if None in found:
        names = ", ".join(map(_key_name, keys))
        raise failure(
            UnsupportedError,
            f"np.{ufunc.__name__} of {names} needs a dtype that is not supported",
        )
    return found  # type: ignore[return-value]


def _key_name(key: Any) -> str:
    """The name of a dtype or of a Python type."""
    return str(getattr(key, "name", getattr(key, "__name__", key)))


_EXAMPLES = {int: 0, float: 0.0}


@lru_cache(maxsize=4096)
def _result(keys: tuple[Any, ...]) -> DType:
    result = np.result_type(*(_EXAMPLES.get(k, k) for k in keys))
    found = dtypes.from_numpy(result)
    if found is None:
        raise TypeError(f"dtype {result} is not supported")
    return found


def result_dtype(values: Sequence[Any]) -> DType:
    """NumPy's ``result_type`` of arrays and numbers."""
    try:
        return _result(tuple(promotion_key(v) for v in values))
    except TypeError as error:
        if isinstance(error, KernelError):
            raise
        raise failure(DTypeError, str(error)) from error


def literal(value: Any, dtype: DType) -> Expr:
    """A Python number as an element of `dtype`; an int that does not fit is an error."""
    if dtype.kind in "iu" and isinstance(value, int) and not dtype.min <= value <= dtype.max:
        raise failure(
            IntegerRangeError,
            f"Python integer {value} out of bounds for {dtype}",
            help=f"convert the array first: x.astype(np.int64), or the number: "
            f"np.{dtype}({value} % {1 << dtype.bits})",
        )
    return build.const(value, dtype)


# Ints that must be known, and sizes.


def as_int(value: Any, what: str) -> int:
    """An int that must be known while tracing; asks for a specialisation if it is an argument."""
    if isinstance(value, Handle):
        known = value.known()
        if known is None:
            raise_needed(value, what)
        elif not known.ndim and known.dtype.kind in "iu":
            return int(known)
        else:
            raise failure(DTypeError, f"{what} must be an integer, not {describe(value)}")
    try:
        return operator.index(value)
    except TypeError as error:
        raise failure(DTypeError, f"{what} must be an integer, not {_article(value)}") from error


def raise_needed(handle: Handle, what: str) -> None:
    """Ask for the scalar arguments that `handle` is made of to become static, or say why not."""
    names = scalar_arguments(handle)
    if names:
        raise values_needed(names)
    if handle.rank == 0 and is_symbolic(handle):
        raise failure(
            TraceError,
            f"{what} must be known when the kernel is compiled, but it is the open dimension "
            f"{show_sizes((handle.element(()),))[1:-2]}",
            help="loop with tw.loop, or compile the kernel for a fixed size",
        )
    raise failure(
        TraceError,
        f"{what} must be known when the kernel is compiled, but it depends on data "
        f"({describe(handle)})",
        help="take it from a shape, a static argument or a constant",
    )


def scalar_arguments(handle: Handle) -> frozenset[str]:
    """The int and float arguments that a value is computed from, if from no other data."""
    expr = handle.element(active().axes(handle.sizes))
    waiting: list[Any] = [n.source for n in post_order((expr,)) if isinstance(n, Load)]
    names, seen = set(), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Input):
            if node.label not in ("int argument", "float argument"):
                return frozenset()
            names.add(node.name)
        elif node not in seen:
            seen.add(node)
            waiting.extend(node.sources)
    return frozenset(names)


def is_symbolic(handle: Handle) -> bool:
    """Whether `handle` is a weak int made of open dimensions only."""
    if not handle.weak or handle.element_type is not INDEX:
        return False
    return all(
        isinstance(n, (Const, Apply)) or (isinstance(n, Var) and n.extent is None)
        for n in post_order((handle.element(()),))
    )


def as_size(value: Any, what: str = "a dimension") -> Size:
    """A dimension or index that must not depend on data: an int or an expression."""
    if isinstance(value, Handle) and is_symbolic(value):
        return value.element(())
    return as_int(value, what)


def as_shape(value: Any) -> tuple[Size, ...]:
    """A shape as NumPy takes it: an int or a sequence of ints."""
    if isinstance(value, Handle) and value.rank == 1:
        known = value.known()
        if known is None:
            raise_needed(value, "a shape")
        value = () if known is None else known.tolist()
    items = value if isinstance(value, (list, tuple)) else (value,)
    sizes = tuple(as_size(item) for item in items)
    for size in sizes:
        if isinstance(size, int) and size < 0:
            raise failure(ShapeError, f"negative dimensions are not allowed: {show_sizes(sizes)}")
    check_limits(sizes)
    return sizes


MAX_RANK = 32
MAX_ELEMENTS = (1 << 63) - 1


def check_limits(sizes: Sequence[Size]) -> None:
    """Refuse shapes that no target can hold."""
    from tilewright.ir.errors import LimitError

    if len(sizes) > MAX_RANK:
        raise failure(LimitError, f"{len(sizes)} dimensions are more than the limit of {MAX_RANK}")
    total = 1
    for size in sizes:
        total *= size if isinstance(size, int) else 1
    if total > MAX_ELEMENTS:
        raise failure(
            LimitError, f"shape {show_sizes(sizes)} has more elements than fit in 64 bits"
        )


def as_number(size: Size) -> Any:
    """A size as the user sees it: an int, or an open dimension that one can calculate with."""
    known = build.known(size)
    if known is not None:
        return known
    assert isinstance(size, Expr)
    return active().weak(size)


# Axes.


def as_axis(axis: Any, rank: int) -> int:
    """One axis, counted from the front."""
    number = as_int(axis, "an axis")
    if not -rank <= number < rank:
        raise failure(
            BoundsError if rank else ShapeError,
            f"axis {number} is out of bounds for an array of {rank} dimensions",
        )
    return number % rank


def as_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """An axis argument: None is all of them; several are sorted and must differ."""
    if axis is None:
        return tuple(range(rank))
    items = axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = sorted(as_axis(a, rank) for a in items)
    if len(set(axes)) != len(axes):
        raise failure(ShapeError, f"an axis is given twice in {tuple(items)}")
    return tuple(axes)


# Broadcasting.


def broadcast_sizes(
    operands: Sequence[Handle], action: str = "broadcast together"
) -> tuple[Size, ...]:
    """The shape to which the operands broadcast."""
    first = operands[0].sizes if operands else ()
    if all(o.sizes == first for o in operands):
        return first
    rank = max(len(o.sizes) for o in operands)
    result: list[Size] = [1] * rank
    for operand in operands:
        skipped = rank - len(operand.sizes)
        for axis, size in enumerate(operand.sizes, skipped):
            merged = _merged(result[axis], size)
            if merged is None:
                raise _cannot_broadcast(operands, axis - rank, action)
            result[axis] = merged
    return tuple(result)


def _merged(a: Size, b: Size) -> Size | None:
    if a == 1:
        return b
    if b is a or b == 1:
        return a
    if isinstance(a, int) and isinstance(b, int):
        return a if a == b else None
    from tilewright.ir.analysis.size_proofs import same_size

    return a if same_size(a, b) else None


def _cannot_broadcast(operands: Sequence[Handle], axis: int, action: str) -> ShapeError:
    shapes = list(dict.fromkeys(show_sizes(o.sizes) for o in operands if o.sizes))
    listed = " and ".join(shapes) if len(shapes) < 3 else ", ".join(shapes)
    open_sizes = any(not isinstance(o.sizes[axis], int) for o in operands if len(o.sizes) >= -axis)
    help = f"axis {axis} must be equal or 1"
    if open_sizes:
        help += "; an open dimension equals only itself"
    notes = [note for o in operands if o.sizes if (note := origin(o))]
    return failure(
        ShapeError, f"cannot {action} shapes {listed}", help=help, notes=list(dict.fromkeys(notes))
    )


def origin(handle: Handle) -> tuple[str, Location | None] | None:
    """Where a handle's value came from, as a note: ``'b' has shape (2, 3)``."""
    value = handle.cell.value
    if isinstance(value, Input):
        return f"{value.name!r} has shape {show_sizes(handle.sizes)}", None
    if isinstance(value, Tensor) and value.loc is not None:
        return f"a value has had shape {show_sizes(handle.sizes)}", value.loc
    return None


def origins(*handles: Handle) -> list[tuple[str, Location | None]]:
    """The notes of those handles that have one."""
    return [note for handle in handles if (note := origin(handle))]


Rule = Callable[..., Expr]


def elementwise(
    label: str, rule: Rule, operands: Sequence[Handle], action: str = "broadcast together"
) -> TracedArray:
    """``rule(*elements)`` at every point of the operands' broadcast shape."""
    tracer = active()
    sizes = broadcast_sizes(operands, action)
    axes = tracer.axes(sizes)
    body = rule(*(o.broadcast_element(axes) for o in operands))
    return tracer.value(axes, body, label, sizes)


def cast_to(handle: Handle, dtype: DType) -> TracedArray:
    """`handle` in `dtype`, as ``astype`` converts."""
    if handle.element_type is dtype and not handle.weak:
        return handle  # type: ignore[return-value]
    known = handle.known()
    if known is not None:
        with np.errstate(all="ignore"):
            return active().known(known.astype(dtype.numpy))
    return elementwise("astype", lambda e: convert(e, dtype), (handle,))


def convert(value: Expr, dtype: DType) -> Expr:
    """An element in another dtype; anything but zero is True."""
    if dtype is dtypes.BOOL and value.dtype is not dtypes.BOOL:
        return truth(value)
    return build.cast(value, dtype)


def truth(value: Expr) -> Expr:
    """Whether an element counts as true."""
    from tilewright.ir import ops

    if value.dtype is dtypes.BOOL:
        return value
    return build.apply(ops.NE, value, build.zero(value.dtype))
