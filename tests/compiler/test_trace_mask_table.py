"""What can be done with elements that a mask chooses, whose number is data: as NumPy, or refused.

`tests/golden/trace/masks.txt` has a line for each way of choosing and a column for each use: ``=``
where the result is that of NumPy, ``!`` where both raise an error, else the error of the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import run, same, traced
from tests.conftest import Golden
from tilewright.ir.errors import KernelError

A = np.random.default_rng(3).integers(-4, 5, (3, 4)).astype(np.float64)
CHOICES: dict[str, Callable[[Any], Any]] = {
    "elements": lambda a: a[a > 0],
    "rows": lambda a: a[a[:, 1] > 0],
    "all rows": lambda a: a[a[:, 0] > -9],
    "columns": lambda a: a[:, a[0] > 0],
    "of a row": lambda a: a[0, a[0] > 0],
    "of some rows": lambda a: a[1:, a[0] > 0],
    "of a column": lambda a: a[a[:, 0] > 0, 1],
    "of columns": lambda a: a[a[:, 0] > 0, 1:],
    "with an array": lambda a: a[a[:, 0] > 0, [0]],
    "with a new axis": lambda a: a[None, a[:, 0] > 0],
    "ellipsis": lambda a: a[..., a[0] > 0],
    "none": lambda a: a[a > 99],
    "computed": lambda a: (a * 2)[a < 1] * 2 + 1,
    "compress": lambda a: np.compress(a[:, 0] > 0, a, axis=0),
    "extract": lambda a: np.extract(a > 0, a),
    "nonzero": lambda a: a[np.nonzero(a)],
    "places": lambda a: np.flatnonzero(a > 0),
    "argwhere": lambda a: np.argwhere(a > 0),
}
USES: dict[str, Callable[[Any], Any]] = {
    "sum": lambda s: s.sum(),
    "sum(0)": lambda s: s.sum(0),
    "sum(1)": lambda s: s.sum(1),
    "keep": lambda s: s.sum(keepdims=True),
    "prod": lambda s: np.prod(s),
    "max": lambda s: s.max(),
    "min": lambda s: np.min(s),
    "mean": lambda s: s.mean(),
    "mean(0)": lambda s: s.mean(axis=0),
    "std": lambda s: s.std(),
    "var": lambda s: np.var(s, ddof=1),
    "any": lambda s: (s > 1).any(),
    "all": lambda s: np.all(s > -9),
    "count": lambda s: np.count_nonzero(s > 0),
    "len": lambda s: np.float64(len(s)),
    "size": lambda s: np.float64(s.size),
    "shape": lambda s: np.float64(s.shape[-1]),
    "ndim": lambda s: np.float64(s.ndim),
    "dot": lambda s: s @ s,
    "where": lambda s: np.where(s > 1, s, 0).sum(),
    "squares": lambda s: (s * s).mean(),
    "centred": lambda s: (s - s.mean()).sum(),
    "ravel": lambda s: s.ravel().sum(),
    "nan": lambda s: np.isnan(s).any(),
    "cast": lambda s: s.astype(np.int32).sum(),
    "itself": lambda s: s,
    "sort": lambda s: np.sort(s),
    "first": lambda s: s[0],
    "loop": lambda s: list(s),
}


def outcome(function: Callable[..., Any]) -> str:
    expected: Any = None
    try:
        with np.errstate(all="ignore"):
            expected = function(A)
    except (ValueError, IndexError) as error:
        expected = error
    try:
        found = run(traced(function, A), function, (A,))
    except KernelError as error:
        refused = type(error).__name__.removesuffix("Error").lower()
        return "!" if isinstance(expected, Exception) else refused[:7]
    assert not isinstance(expected, Exception), f"there is no error: {expected}"
    same(found, expected, 1e-12)
    return "="


@pytest.mark.filterwarnings("ignore")
def test_choices_and_uses(golden: Golden) -> None:
    lines = [" " * 16 + "".join(f"{use:>9}" for use in USES)]
    for name, choose in CHOICES.items():
        cells = []
        for use, function in USES.items():
            try:
                cells.append(outcome(lambda a, c=choose, f=function: f(c(a))))
            except Exception as error:
                error.add_note(f"{use} of {name}")
                raise
        lines.append(f"{name:16}" + "".join(f"{cell:>9}" for cell in cells))
    golden("trace/masks", "\n".join(lines))
