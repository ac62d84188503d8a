"""What users declare arguments with: ``tw.f32[N, 3]``, where ``N = tw.dim("N")`` is open."""

from __future__ import annotations

from typing import TypeGuard

from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Var
from tilewright.ir.signature import MAX_RANK, ArraySpec


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
    return isinstance(size, Var)


def dim(name: str, least: int = 0) -> Var:
    """An open dimension: one compiled kernel serves every size from `least` up."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ShapeError(f"the name of a dimension is an identifier, not {name!r}")
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise ShapeError(f"the least size of {name} is a number from 0 up, not {least!r}")
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
