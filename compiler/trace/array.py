"""The array that a kernel sees while it is traced: looks like `np.ndarray`, records what is done.

Operators and attributes only: what they mean is in `ufuncs.py`, `indexing.py` and the registry.
What an elementwise kernel does without is imported where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.trace import dispatch, ufuncs
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.locations import is_called_by_user
from tilewright.compiler.trace.operands import as_int, as_number, raise_needed, scalar_arguments
from tilewright.compiler.trace.selections import Selection
from tilewright.compiler.trace.selections import call as call_selected
from tilewright.ir.build import product
from tilewright.ir.errors import DTypeError, MissingAttributeError, TraceError, UnsupportedError

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Tracer


def _binary(ufunc: np.ufunc) -> Any:
    return lambda self, other: _operate(ufunc, self, other)


def _reflected(ufunc: np.ufunc) -> Any:
    return lambda self, other: _operate(ufunc, other, self)


def _unary(ufunc: np.ufunc) -> Any:
    return lambda self: ufuncs.operate(ufunc, self)


def _operate(ufunc: np.ufunc, left: Any, right: Any) -> Any:
    if isinstance(left, Selection) or isinstance(right, Selection):
        return call_selected(ufunc, (left, right), {})
    for operand in (left, right):
        if operand is None or isinstance(operand, (str, bytes, dict, set)):
            raise failure(
                DTypeError, f"np.{ufunc.__name__} takes arrays and numbers, not {operand!r}"
            )
    return ufuncs.operate(ufunc, left, right)


def _in_place(ufunc: np.ufunc, symbol: str) -> Any:
    def method(self: TracedArray, other: Any) -> Any:
        result = _operate(ufunc, self, other)
        if not self.is_array:  # numbers and NumPy's scalars are immutable
            return result
        return dispatch.write_out(result, self, f"the result of an operation in place ({symbol})")

    return method


class TracedArray(Handle):
    """An array, or a number that is known at run time only (`weak`), under tracing."""

    __slots__ = ()
    __array_priority__ = 1e6

    @property
    def __tilewright_tracer__(self) -> Tracer:
        return self.cell.tracer

    # Attributes.

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(as_number(s) for s in self.sizes)

    @property
    def dtype(self) -> np.dtype:
        return self.element_type.numpy

    @property
    def ndim(self) -> int:
        return len(self.sizes)

    @property
    def size(self) -> Any:
        return as_number(product(self.sizes))

    @property
    def itemsize(self) -> int:
        return self.element_type.itemsize

    @property
    def nbytes(self) -> Any:
        return self.size * self.itemsize

    @property
    def T(self) -> TracedArray:
        from tilewright.compiler.trace.indexing import transposed

        return transposed(self, range(self.rank)[::-1])  # type: ignore[no-any-return]

    @property
    def mT(self) -> Any:
        return dispatch.dispatch(np.matrix_transpose, (self,), {})

    @property
    def real(self) -> TracedArray:
        return self

    @property
    def imag(self) -> Any:
        return dispatch.dispatch(np.imag, (self,), {})

    @property
    def flat(self) -> Any:
        return dispatch.dispatch(np.reshape, (self, -1), {})

    @property
    def strides(self) -> tuple[int, ...]:
        from tilewright.compiler.trace.numpy_strides import strides_of

        return strides_of(self)

    def __getattr__(self, name: str) -> Any:
        from tilewright.compiler.trace.methods import METHODS

        method = METHODS.get(name)
        if method is not None:
            return lambda *args, **kwargs: method(self, *args, **kwargs)
        if name.startswith("__"):
            raise AttributeError(name)
        from difflib import get_close_matches

        close = get_close_matches(name, [*METHODS, "shape", "dtype", "ndim", "size"], 1)
        raise failure(
            TraceError if hasattr(np.ndarray, name) else MissingAttributeError,
            f"arrays have no attribute {name!r} that can be traced",
            help=f"did you mean {close[0]!r}?" if close else None,
        )

    # Indexing and iteration.

    def __getitem__(self, index: Any) -> Any:
        from tilewright.compiler.trace.indexing import fetch

        self._refuse_number("indexed")
        return fetch(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        from tilewright.compiler.trace.indexing import store

        self._refuse_number("assigned to")
        store(self, index, value)

    def _refuse_number(self, action: str) -> None:
        if self.weak:
            raise failure(DTypeError, f"a Python number cannot be {action}")

    def __len__(self) -> int:
        if not self.sizes:
            raise failure(DTypeError, "len() of an array of rank 0")
        size = as_number(self.sizes[0])
        return as_int(size, "the length that Python asks for")

    def __iter__(self) -> Iterator[Any]:
        if not self.sizes:
            raise failure(DTypeError, "iteration over an array of rank 0")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(dispatch.dispatch(np.any, (self == value,), {}))

    # Conversions that Python or NumPy ask for, which would need the data.

    def __bool__(self) -> bool:
        known = self.known()
        if known is not None:
            return bool(known)
        raise_if_argument(self)
        from tilewright.compiler.trace.branches import branch_failure

        raise branch_failure(self)

    def __index__(self) -> int:
        return as_int(self, "an int that Python asks for")

    def __int__(self) -> int:
        known = self.known()
        if known is not None:
            return int(known)
        return as_int(self, "an int that Python asks for")

    def __float__(self) -> float:
        known = self.known()
        if known is not None:
            return float(known)
        raise_if_argument(self)
        raise failure(
            TraceError,
            f"a Python float is needed here, but {self!r} is known at run time only",
            help="use NumPy's function instead of Python's, or pass the number as a static value",
        )

    def __hash__(self) -> int:
        if self.sizes:
            raise failure(DTypeError, "an array cannot be a key of a dict or a member of a set")
        return hash(self._scalar("a key of a dict or a member of a set"))

    def __str__(self) -> str:
        return str(self._scalar("text")) if is_called_by_user() else repr(self)

    def __format__(self, spec: str) -> str:
        return format(self._scalar("text"), spec) if is_called_by_user() else repr(self)

    def _scalar(self, use: str) -> Any:
        """The value for a use that needs it while tracing."""
        known = self.known()
        if known is not None:
            return known if self.sizes else known.item() if self.weak else known[()]
        raise_if_argument(self)
        raise failure(
            TraceError,
            f"{self!r} is known at run time only, so it cannot be {use}",
            help="pass it as a static argument, or do this outside of the kernel",
        )

    def __complex__(self) -> complex:
        raise failure(UnsupportedError, "complex numbers are not supported")

    def __round__(self, digits: int | None = None) -> Any:
        if self.sizes:
            raise failure(
                DTypeError,
                f"round() takes a number, not an array of shape {self.shape}",
                help="use np.round",
            )
        rounded = dispatch.dispatch(np.round, (self, digits or 0), {})
        if digits is not None:
            return rounded
        from tilewright.compiler.trace.weak import to_int

        return to_int(rounded)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        known = self.known()
        if known is not None:
            return np.array(known, dtype=dtype)
        raise failure(
            TraceError,
            "a function that is not traced asks for the data of a traced array",
            help="call NumPy's function by name inside the kernel; arrays that are written to "
            "must be made inside the kernel (np.zeros) or copied (a.copy())",
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return call_numpy(function, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch.dispatch(function, args, kwargs)

    # Operators.

    __add__ = _binary(np.add)
    __radd__ = _reflected(np.add)
    __iadd__ = _in_place(np.add, "+=")
    __sub__ = _binary(np.subtract)
    __rsub__ = _reflected(np.subtract)
    __isub__ = _in_place(np.subtract, "-=")
    __mul__ = _binary(np.multiply)
    __rmul__ = _reflected(np.multiply)
    __imul__ = _in_place(np.multiply, "*=")
    __truediv__ = _binary(np.true_divide)
    __rtruediv__ = _reflected(np.true_divide)
    __itruediv__ = _in_place(np.true_divide, "/=")
    __floordiv__ = _binary(np.floor_divide)
    __rfloordiv__ = _reflected(np.floor_divide)
    __ifloordiv__ = _in_place(np.floor_divide, "//=")
    __mod__ = _binary(np.remainder)
    __rmod__ = _reflected(np.remainder)
    __imod__ = _in_place(np.remainder, "%=")
    __pow__ = _binary(np.power)
    __rpow__ = _reflected(np.power)
    __ipow__ = _in_place(np.power, "**=")
    __and__ = _binary(np.bitwise_and)
    __rand__ = _reflected(np.bitwise_and)
    __iand__ = _in_place(np.bitwise_and, "&=")
    __or__ = _binary(np.bitwise_or)
    __ror__ = _reflected(np.bitwise_or)
    __ior__ = _in_place(np.bitwise_or, "|=")
    __xor__ = _binary(np.bitwise_xor)
    __rxor__ = _reflected(np.bitwise_xor)
    __ixor__ = _in_place(np.bitwise_xor, "^=")
    __lshift__ = _binary(np.left_shift)
    __rlshift__ = _reflected(np.left_shift)
    __ilshift__ = _in_place(np.left_shift, "<<=")
    __rshift__ = _binary(np.right_shift)
    __rrshift__ = _reflected(np.right_shift)
    __irshift__ = _in_place(np.right_shift, ">>=")
    __lt__ = _binary(np.less)
    __le__ = _binary(np.less_equal)
    __gt__ = _binary(np.greater)
    __ge__ = _binary(np.greater_equal)
    __eq__ = _binary(np.equal)
    __ne__ = _binary(np.not_equal)
    __neg__ = _unary(np.negative)
    __pos__ = _unary(np.positive)
    __abs__ = _unary(np.absolute)
    __invert__ = _unary(np.invert)

    def __divmod__(self, other: Any) -> Any:
        return _operate(np.floor_divide, self, other), _operate(np.remainder, self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return _operate(np.floor_divide, other, self), _operate(np.remainder, other, self)

    def __matmul__(self, other: Any) -> Any:
        return dispatch.dispatch(np.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return dispatch.dispatch(np.matmul, (other, self), {})

    def __imatmul__(self, other: Any) -> Any:
        return dispatch.write_out(dispatch.dispatch(np.matmul, (self, other), {}), self)


def raise_if_argument(array: Handle) -> None:
    """Have scalar arguments become static when Python asks for their truth or value."""
    if scalar_arguments(array):
        raise_needed(array, "the value")


def call_numpy(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a NumPy function, a ufunc or a method of one on values of the kernel."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        from tilewright.compiler.trace.ufunc_methods import call_method

        return call_method(owner, function.__name__, args, kwargs)
    return dispatch.dispatch(function, args, kwargs)
