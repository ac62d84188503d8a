"""NumPy code as people write it, put under the decorator as it is, against itself undecorated."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.corpus.all_cases import CASES, Case

TOLERANCE = {2: 2e-2, 4: 2e-4, 8: 1e-9}
NAMED = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
ON_GPU = pytest.mark.parametrize("case", [c for c in CASES if c.gpu], ids=lambda c: c.name)


@NAMED
def test_on_the_cpu(case: Case) -> None:
    agree(case, "cpu")


@pytest.mark.wasm
@NAMED
def test_on_wasm(case: Case) -> None:
    agree(case, "wasm")


@pytest.mark.filterwarnings("ignore::tilewright.NarrowingWarning")
@pytest.mark.wgsl
@ON_GPU
def test_on_wgsl(case: Case) -> None:
    agree(case, "wgsl")


@pytest.mark.filterwarnings("ignore::tilewright.NarrowingWarning")
@pytest.mark.glsl
@ON_GPU
def test_on_glsl(case: Case) -> None:
    agree(case, "glsl")


def agree(case: Case, target: str) -> None:
    """Call the function plainly and compiled, and compare all that they return."""
    with np.errstate(all="ignore"):
        expected = case.function(*copy.deepcopy(case.args))
    on_gpu = target in ("wgsl", "glsl")  # where float64 is computed in float32
    kernel = tw.kernel(target=target, f64="f32" if on_gpu else "error")
    coarsest = min([4 if on_gpu else 8, *(size for a in case.args for size in float_sizes(a))])
    same(kernel(case.function)(*copy.deepcopy(case.args)), expected, coarsest, case.name)


def float_sizes(argument: Any) -> list[int]:
    """The itemsizes of the floats in an argument: results are no more precise than those."""
    if isinstance(argument, Mapping):
        argument = list(argument.values())
    if isinstance(argument, (tuple, list)):
        return [size for part in argument for size in float_sizes(part)]
    dtype = getattr(argument, "dtype", np.dtype(bool))
    return [dtype.itemsize] if dtype.kind == "f" else []


def same(found: Any, expected: Any, coarsest: int, where: str) -> None:
    assert type(found) is type(expected), where
    if isinstance(expected, Mapping):
        assert list(found) == list(expected), where
        for key in expected:
            same(found[key], expected[key], coarsest, f"{where}[{key!r}]")
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), where
        for number, pair in enumerate(zip(found, expected, strict=True)):
            same(*pair, coarsest, f"{where}[{number}]")
    elif expected is None or isinstance(expected, str):
        assert found == expected, where
    else:
        same_elements(np.asarray(found), np.asarray(expected), coarsest, where)


def same_elements(found: np.ndarray, expected: np.ndarray, coarsest: int, where: str) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, where)
        return
    relative = TOLERANCE[min(coarsest, expected.dtype.itemsize)]
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 0.0
    np.testing.assert_allclose(
        found, expected, relative, relative * max(scale, 1e-3), err_msg=where
    )
