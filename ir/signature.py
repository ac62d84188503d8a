"""What a kernel's arguments are: dtypes and shapes, run-time scalars, compile-time values.

In: what users write (``tw.f32[N, 3]``). Out: one `ArgumentSpec` per argument, which together with
the function determine a specialisation. Specs are immutable, compare by value and hash, except
that an open dimension (`Var`) compares by identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir import dtypes
from tilewright.ir.dtypes import DType

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
            from tilewright.ir.errors import DTypeError

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
