"""The same functions and options where the size of the first axis is open: right, or refused.

`tests/golden/trace/open_dimensions.txt` has how many combinations of options each function takes,
and how many it refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.options_oracle import Entry, combinations, kernel_of
from tests.compiler.test_trace_options import ENTRIES as FUNCTIONS
from tests.compiler.test_trace_reduction_options import ENTRIES as REDUCTIONS
from tests.compiler.trace_oracle import run, same, traced
from tests.conftest import Golden
from tilewright.ir import dtypes
from tilewright.ir.errors import KernelError
from tilewright.ir.expr import Var
from tilewright.ir.signature import ArraySpec

ENTRIES = [entry for entry in (*FUNCTIONS, *REDUCTIONS) if entry[2][0].ndim]
# An open axis stays where it happens to have one element; windows may turn out to have no place.
DIFFERENT = ("squeeze", ".squeeze", "windows")


def open_specs(arrays: tuple[np.ndarray, ...], size: Var) -> dict[str, ArraySpec]:
    """The arrays' types, all first axes of the first one's size being open."""
    specs = {}
    for name, array in zip("ab", arrays, strict=False):
        shape: list[Any] = list(array.shape)
        if shape and shape[0] == arrays[0].shape[0]:
            shape[0] = size
        dtype = dtypes.from_numpy(array.dtype)
        assert dtype is not None
        specs[name] = ArraySpec(dtype, tuple(shape))
    return specs


def is_right(entry: Entry, given: dict[str, Any]) -> bool:
    """Whether the result is NumPy's; False where the trace refuses."""
    _, function, arrays, _ = entry
    kernel, size = kernel_of(function, given, len(arrays)), tw.dim("N")
    try:
        found = traced(kernel, *arrays, **open_specs(arrays, size))
    except KernelError:
        return False
    try:
        with np.errstate(all="ignore"):
            expected = kernel(*(a.copy() for a in arrays))
    except (ValueError, IndexError):  # which a size tells at run time
        with pytest.raises(KernelError):
            run(found, kernel, arrays, {size: arrays[0].shape[0]})
        return True
    same(run(found, kernel, arrays, {size: arrays[0].shape[0]}), expected, 1e-11)
    return True


@pytest.mark.filterwarnings("ignore")
def test_open_first_axes(golden: Golden) -> None:
    lines = []
    for entry in (e for e in ENTRIES if e[0] not in DIFFERENT):
        right = refused = 0
        for given in combinations(entry):
            try:
                taken = is_right(entry, given)
            except Exception as error:
                error.add_note(f"{entry[0]} with {given}")
                raise
            right, refused = right + taken, refused + (not taken)
        lines.append(f"{entry[0]:28}{right:>5}{refused:>5}")
    golden("trace/open_dimensions", "\n".join(lines))
