"""Saying where a target's 32-bit integers may be too few.

In: a program for a target without 64-bit integers. Out: a `NarrowingWarning` at each line of the
user's whose 64-bit integers are not proven to fit into 32 bits.
"""

from __future__ import annotations

import warnings

from tilewright.ir.errors import NarrowingWarning
from tilewright.ir.program import Program
from tilewright.ir.wide_integers import wrapping_integers


def warn_of_narrowing(program: Program, target: str) -> None:
    """One warning for each operation, shown at its line of the source."""
    for label, where in wrapping_integers(program):
        text = (
            f"{label} makes 64-bit integers, which target {target!r} carries in 32 bits: larger"
            " ones wrap; say dtype=np.int32 (or astype) if they fit, or use target 'cpu'"
        )
        if where is None:
            warnings.warn(text, NarrowingWarning, stacklevel=2)
        else:
            warnings.warn_explicit(text, NarrowingWarning, where.file, where.line)
