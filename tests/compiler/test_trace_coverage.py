"""Every public callable of NumPy: usable on traced arrays, or an error that names it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.trace_oracle import traced
from tilewright.compiler.trace.coverage import numpy_coverage
from tilewright.ir.errors import TilewrightError, TraceError, UnsupportedError

REQUIRED = [
    "where",
    "clip",
    "minimum",
    "maximum",
    "fmin",
    "fmax",
    "sign",
    "floor",
    "ceil",
    "rint",
    "trunc",
    "round",
    "isnan",
    "isinf",
    "isfinite",
    "sum",
    "mean",
    "prod",
    "min",
    "max",
    "argmin",
    "argmax",
    "any",
    "all",
    "var",
    "std",
    "cumsum",
    "cumprod",
    "count_nonzero",
    "matmul",
    "dot",
    "vdot",
    "inner",
    "outer",
    "einsum",
    "tensordot",
    "reshape",
    "transpose",
    "moveaxis",
    "swapaxes",
    "expand_dims",
    "squeeze",
    "broadcast_to",
    "concatenate",
    "stack",
    "hstack",
    "vstack",
    "split",
    "flip",
    "roll",
    "rot90",
    "pad",
    "tile",
    "repeat",
    "tril",
    "triu",
    "diagonal",
    "take",
    "take_along_axis",
    "select",
    "interp",
    "searchsorted",
    "sort",
    "argsort",
    "zeros",
    "empty",
    "full",
    "arange",
    "eye",
    "linspace",
    "indices",
    "meshgrid",
    "zeros_like",
    "array",
    "asarray",
]
ENTRIES = {entry.name: entry for entry in numpy_coverage()}
KNOWN = [n for n, e in ENTRIES.items() if e.status == "known" and e.name.count(".") == 1]


@pytest.mark.parametrize("name", REQUIRED)
def test_required_functions_are_traced(name: str) -> None:
    assert ENTRIES[f"np.{name}"].status == "traced"


@pytest.mark.parametrize("name", KNOWN)
def test_others_are_errors_with_advice(name: str) -> None:
    function = getattr(np, name.removeprefix("np."))
    assert ENTRIES[name].advice
    with pytest.raises(UnsupportedError, match="is not supported on traced arrays") as info:
        traced(lambda x: function(x), np.zeros(3))
    assert info.value.help == ENTRIES[name].advice


@pytest.mark.parametrize("name", [n for n, e in ENTRIES.items() if e.status == "refused"])
def test_effects_are_refused(name: str) -> None:
    parts = name.split(".")[1:]
    function = np
    for part in parts:
        function = getattr(function, part)
    if parts[-1] in ("BitGenerator", "SeedSequence") or isinstance(function, type):
        pytest.skip("a class: constructing it has no effect on a kernel")
    with pytest.raises((TraceError, TilewrightError)):
        traced(lambda x: x + function(), np.zeros(3))  # type: ignore[operator]


def test_known_values_are_numpys_own() -> None:
    result = traced(lambda x: x * np.hanning(8) + np.linalg.inv(np.eye(8))[0], np.zeros(8))
    assert [n.label for n in result.graph.nodes()].count("constant") == 2
