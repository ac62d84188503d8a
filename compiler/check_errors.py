"""The errors of data checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.ir.errors import (
    POWER_HELP,
    BoundsError,
    IntegerRangeError,
    KernelError,
    NegativePowerError,
)

if TYPE_CHECKING:
    from tilewright.compiler.interface import DataCheck


def failed_check(check: DataCheck, found: int, size: int) -> KernelError:
    """The error of a check that has met `found`, where `size` is the limit."""
    if check.kind == "power":
        return NegativePowerError(
            f"integers to negative integer powers are not allowed, and an exponent is {found}",
            loc=check.loc,
            help=POWER_HELP,
        )
    if check.kind == "fits":
        held = f"from {-size if check.wraps else 0} to {size - 1}"
        return IntegerRangeError(
            f"Python integer {found} is out of bounds for the dtype that it meets, which holds"
            f" integers {held}",
            loc=check.loc,
            help="convert the array to a wider dtype first: x.astype(np.int64)",
        )
    return BoundsError(
        f"index {found} is out of bounds for axis {check.axis} with size {size}", loc=check.loc
    )
