"""Many Python numbers at once: the value of an index variable over a whole grid.

An index function is written for one element, where its index is a Python int. Evaluated over a grid
in one go, the index must keep a Python int's manners: it is weak in NumPy's promotion, so that
`x[i] * i` stays float32 when x is, and arithmetic between indices stays weak. As with Python
numbers, a NumPy function of weak operands alone gives a strong result: `np.sqrt(i)` is float64.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.ir.errors import DTypeError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def _arithmetic(function: Callable[[Any, Any], Any], reflected: bool = False) -> Any:
    """A binary operator: weak between weak operands and Python numbers, else NumPy's."""

    def method(self: WeakArray, other: Any) -> Any:
        if not _is_weak(other):
            left, right = (other, self) if reflected else (self, other)
            return _UFUNCS[function](left, right)
        operand = _values(other)
        left, right = (operand, self.values) if reflected else (self.values, operand)
        return WeakArray(function(left, right))

    return method


def _comparison(function: Callable[[Any, Any], Any]) -> Any:
    """A comparison: a plain array of bools, the lowest of all dtypes, whether weak or not."""

    def method(self: WeakArray, other: Any) -> Any:
        if not _is_weak(other):
            return _UFUNCS[function](self, other)
        return function(self.values, _values(other))

    return method


_UFUNCS: dict[Any, np.ufunc] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.lshift: np.left_shift,
    operator.rshift: np.right_shift,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}


class WeakArray:
    """Python ints (int64 inside) or Python floats (float64 inside), one per point of a grid."""

    __slots__ = ("values",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    @property
    def python_type(self) -> type[int] | type[float]:
        """The Python type whose promotion rules these values follow."""
        return float if self.values.dtype.kind == "f" else int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the grid, broadcastable."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """The rank of the grid."""
        return self.values.ndim

    def __repr__(self) -> str:
        return f"WeakArray({self.values!r})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        raise TraceError(
            "an index has one truth value per element, so Python's if, and, or, not, min and max "
            "cannot use it",
            help="use np.where, np.minimum, np.maximum, & and |",
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        operands = _strong_operands(ufunc, inputs) if method == "__call__" else map(_strong, inputs)
        return getattr(ufunc, method)(*operands, **keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, keywords: Any
    ) -> Any:
        if function is np.where and len(args) == 3:
            condition, *choices = args
            dtype = np.result_type(*(_promotion_key(choice) for choice in choices))
            args = (_strong(condition), *(_cast(choice, dtype) for choice in choices))
        return function(*map(_strong, args), **{k: _strong(v) for k, v in keywords.items()})

    def __neg__(self) -> WeakArray:
        return WeakArray(-self.values)

    def __pos__(self) -> WeakArray:
        return self

    def __abs__(self) -> WeakArray:
        return WeakArray(abs(self.values))

    def __invert__(self) -> WeakArray:
        return WeakArray(~self.values)

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    __add__ = _arithmetic(operator.add)
    __radd__ = _arithmetic(operator.add, reflected=True)
    __sub__ = _arithmetic(operator.sub)
    __rsub__ = _arithmetic(operator.sub, reflected=True)
    __mul__ = _arithmetic(operator.mul)
    __rmul__ = _arithmetic(operator.mul, reflected=True)
    __truediv__ = _arithmetic(operator.truediv)
    __rtruediv__ = _arithmetic(operator.truediv, reflected=True)
    __floordiv__ = _arithmetic(operator.floordiv)
    __rfloordiv__ = _arithmetic(operator.floordiv, reflected=True)
    __mod__ = _arithmetic(operator.mod)
    __rmod__ = _arithmetic(operator.mod, reflected=True)
    __pow__ = _arithmetic(operator.pow)
    __rpow__ = _arithmetic(operator.pow, reflected=True)
    __and__ = _arithmetic(operator.and_)
    __rand__ = _arithmetic(operator.and_, reflected=True)
    __or__ = _arithmetic(operator.or_)
    __ror__ = _arithmetic(operator.or_, reflected=True)
    __xor__ = _arithmetic(operator.xor)
    __rxor__ = _arithmetic(operator.xor, reflected=True)
    __lshift__ = _arithmetic(operator.lshift)
    __rlshift__ = _arithmetic(operator.lshift, reflected=True)
    __rshift__ = _arithmetic(operator.rshift)
    __rrshift__ = _arithmetic(operator.rshift, reflected=True)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)
    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)


def _is_weak(operand: Any) -> bool:
    """Whether `operand` is a Python number; np.float64 is a Python float too, but is strong."""
    if isinstance(operand, WeakArray):
        return True
    return isinstance(operand, (int, float)) and not isinstance(operand, np.generic)


def _values(operand: Any) -> Any:
    return operand.values if isinstance(operand, WeakArray) else operand


def _strong(operand: Any) -> Any:
    """`operand` as NumPy sees a Python number that has no array to adapt to."""
    if isinstance(operand, (list, tuple)):
        return type(operand)(map(_strong, operand))
    return _values(operand)


def _promotion_key(operand: Any) -> Any:
    """What stands for `operand` in `np.result_type`: a Python number is weak there as well."""
    if isinstance(operand, WeakArray):
        return operand.python_type(0)
    return operand if _is_weak(operand) else np.asarray(operand).dtype


def _strong_operands(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> list[Any]:
    """The operands of a ufunc, the weak ones cast to what its promotion rule makes of them."""
    kinds = [
        operand.python_type
        if isinstance(operand, WeakArray)
        else type(operand)
        if _is_weak(operand)
        else np.asarray(operand).dtype
        for operand in inputs
    ]
    kinds = [int if kind is bool else kind for kind in kinds]
    dtypes = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
    if dtypes[-1] == np.bool_ and all(dtype.kind in "iu" for dtype in dtypes[:-1]):
        # NumPy compares an integer with a Python int by value, whatever its dtype can hold.
        return [_values(operand) for operand in inputs]
    return [
        _cast(operand, dtype) for operand, dtype in zip(inputs, dtypes[: ufunc.nin], strict=True)
    ]


def _cast(operand: Any, dtype: np.dtype[Any]) -> Any:
    """A weak operand in `dtype`; like NumPy, refuse an int that an integer dtype cannot hold."""
    if not isinstance(operand, WeakArray):
        return operand
    values = operand.values
    if dtype.kind in "iu" and values.size:
        info = np.iinfo(dtype)
        worst = values.min() if values.min() < info.min else values.max()
        if not info.min <= worst <= info.max:
            raise DTypeError(
                f"an index of value {worst} does not fit {dtype}, the dtype that it is combined "
                f"with",
                help="cast the array to a wider dtype with .astype",
            )
    return values.astype(dtype)
