"""What the compiler refuses outside of traces: arguments of its calls, results, and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import tilewright as tw
from tilewright.compiler.results import _check_overlap, _may_overlap_itself
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError

V = np.arange(6, dtype=np.float32)


def test_a_spec_in_quotes_is_no_spec() -> None:
    @tw.kernel
    def double(x: Any) -> Any:
        return x * 2

    with pytest.raises(DTypeError, match=r"the string 'f32\[4\]', which does not say") as caught:
        double.compile("f32[4]")
    assert "give tw.f32[4] without quotes" in str(caught.value)


def test_results_that_share_memory() -> None:
    whole = np.zeros(8)
    _check_overlap([whole[:4], None, whole[4:]])
    _check_overlap([whole[::2], whole[1::2]])
    for pair in ([whole[:5], whole[4:]], [whole, None, whole[::-1]]):
        with pytest.raises(ValueError, match="two arrays in out share memory"):
            _check_overlap(pair)


def test_an_index_function_that_leaves_an_axis_out() -> None:
    with pytest.raises(ShapeError, match=r"returned shape \(4,\) for a grid of shape \(3,\)"):
        tw.compute((3,), lambda i: V[:4])


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_targets_without_memory_of_their_own(target: str) -> None:
    with pytest.raises(UnsupportedError, match=f"target '{target}' has no device memory"):
        tw.device_array(V, target)


BOTH = ("wgsl", "glsl")
ON_GPU: list[tuple[Callable[..., Any], Any, tuple[str, ...], str]] = [
    (lambda x: x.view(np.uint64), tw.i64[4], BOTH, "bits of "),
    (lambda x: np.nextafter(x, x + 1), tw.f16[4], BOTH, "nextafter"),
    (lambda x: x * 2**40, tw.i64[4], BOTH, "needs 64-bit integers"),
    (lambda x: x * 2, tw.f64[4], BOTH, "float64"),
    (lambda x: x * np.float64(0.1), tw.f32[4], BOTH, "float64"),
]


@pytest.mark.filterwarnings("ignore::tilewright.NarrowingWarning")
@pytest.mark.parametrize(
    ("function", "spec", "target", "said"),
    [(f, spec, target, said) for f, spec, targets, said in ON_GPU for target in targets],
)
def test_what_gpu_targets_lack(
    function: Callable[..., Any], spec: Any, target: str, said: str
) -> None:
    with pytest.raises(UnsupportedError, match=said):
        tw.kernel(function).compile(spec, target=target)


@pytest.mark.parametrize(
    ("shape", "steps", "overlaps"),
    [
        ((3, 4), (4, 1), False),
        ((3, 4), (3, 1), True),
        ((3, 4), (-4, 1), False),
        ((4, 3), (1, 4), False),
        ((4, 3), (1, 3), True),
        ((2, 3, 4), (12, 4, 1), False),
        ((2, 3, 4), (11, 4, 1), True),
        ((2, 3, 4), (24, 8, 2), False),
        ((2, 3, 4), (22, 8, 2), True),
        ((2, 3, 4), (15, 6, 2), True),
        ((3,), (0,), True),
        ((1, 3), (0, 1), False),
        ((0, 3), (0, 0), False),
        ((), (), False),
    ],
)
def test_results_whose_elements_share_memory(
    shape: tuple[int, ...], steps: tuple[int, ...], overlaps: bool
) -> None:
    memory = np.zeros(64, np.float32)[16:]
    out = as_strided(memory, shape, [4 * s for s in steps])
    assert _may_overlap_itself(out) is overlaps
