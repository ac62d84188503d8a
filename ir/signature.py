"""What a kernel's arguments are: dtypes and shapes, run-time scalars, compile-time values.

In: what users write (``tw.f32[N, 3]``). Out: one `ArgumentSpec` per argument, which together with
the function determine a specialisation. Specs are immutable, compare by value and hash, except
that an open dimension (`Var`) compares by identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from msgspec import Struct

from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from tilewright.ir.expr import Var

MAX_RANK = 32


class ArraySpec(Struct, frozen=True):
    """An array of `dtype` whose dimensions are fixed (int) or open (`Var`)."""

    dtype: DType
    shape: tuple[int | Var, ...] = ()

    def __str__(self) -> str:
        return f"{self.dtype.short}[{', '.join(map(str, self.shape))}]"


class ScalarSpec(Struct, frozen=True):
    """A Python scalar whose value is known at run time only; it is weak in promotion.

    `kind` is ``"float"`` or ``"int"``. An int meets arrays of the dtypes `fits`, which must be able
    to hold its value.
    """

    kind: str
    fits: tuple[DType, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("float", "int"):
            raise DTypeError(
                f"a run-time scalar is 'float' or 'int', not {self.kind!r}",
                help="pass values of other types as StaticSpec",
            )

    @property
    def dtype(self) -> DType:
        """How the value is carried."""
        return dtypes.F64 if self.kind == "float" else dtypes.I64

    @property
    def limits(self) -> tuple[int, int] | None:
        """The least and the greatest int that all of `fits` hold; None if there are none."""
        if not self.fits:
            return None
        return max(int(d.min) for d in self.fits), min(int(d.max) for d in self.fits)

    def __str__(self) -> str:
        return self.kind


class StaticSpec(Struct, frozen=True):
    """A value that the kernel is specialised for: bool, str, None, tuple, or a needed int."""

    value: object

    def __str__(self) -> str:
        return repr(self.value)


ArgumentSpec = ArraySpec | ScalarSpec | StaticSpec


class ElementType:
    """``tw.f32``: subscripted it is an array's spec, alone that of an array of rank 0."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def __getitem__(self, shape: int | Var | tuple[int | Var, ...]) -> ArraySpec:
        sizes = shape if isinstance(shape, tuple) else (shape,)
        if len(sizes) > MAX_RANK:
            raise ShapeError(f"{len(sizes)} dimensions are more than the limit of {MAX_RANK}")
        for size in sizes:
            if _is_open(size):
                continue
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise ShapeError(
                    f"a dimension is a number from 0 up or an open dimension, not {size!r}",
                    help='make an open dimension with N = tw.dim("N")',
                )
        return ArraySpec(self.dtype, sizes)

    def __repr__(self) -> str:
        return f"tw.{self.dtype.short}{'_' if self.dtype is dtypes.BOOL else ''}"


def _is_open(size: object) -> TypeGuard[Var]:
    from tilewright.ir.expr import Var  # which calls with fixed sizes do without

    return isinstance(size, Var)


def dim(name: str, least: int = 0) -> Var:
    """An open dimension: one compiled kernel serves every size from `least` up."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ShapeError(f"the name of a dimension is an identifier, not {name!r}")
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise ShapeError(f"the least size of {name} is a number from 0 up, not {least!r}")
    from tilewright.ir.expr import Var

    return Var(name, least=least)


bool_ = ElementType(dtypes.BOOL)
i8 = ElementType(dtypes.I8)
i16 = ElementType(dtypes.I16)
i32 = ElementType(dtypes.I32)
i64 = ElementType(dtypes.I64)
u8 = ElementType(dtypes.U8)
u16 = ElementType(dtypes.U16)
u32 = ElementType(dtypes.U32)
u64 = ElementType(dtypes.U64)
f16 = ElementType(dtypes.F16)
f32 = ElementType(dtypes.F32)
f64 = ElementType(dtypes.F64)
