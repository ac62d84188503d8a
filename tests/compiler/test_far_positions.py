"""`tw.at` at positions that 32 bits do not hold: repeated boundaries count before they narrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw

TABLE = np.arange(7, dtype=np.float32) * 10
FAR: dict[Any, list[int]] = {
    np.int64: [-(2**40) - 3, 2**40 + 5, 2**33, -1, 6, 2**62, -(2**63)],
    np.uint64: [2**63 + 5, 2**64 - 1, 3, 2**33 + 1],
    np.uint32: [2**31 + 5, 2**32 - 1, 3],
    np.int32: [-(2**31), 2**31 - 1, -8],
}
RULES = ("clamp", "constant", "reflect", "wrap")
N = tw.dim("N")


def read(a: Any, index: Any, rule: str) -> Any:
    return tw.compute(index.shape, lambda i: tw.at(a, (index[i],), rule, fill=-1))


@pytest.mark.parametrize(
    "target",
    [
        "cpu",
        pytest.param("wasm", marks=pytest.mark.wasm),
        pytest.param("wgsl", marks=pytest.mark.wgsl),
        pytest.param("glsl", marks=pytest.mark.glsl),
    ],
)
@pytest.mark.parametrize("dtype", FAR, ids=lambda d: d.__name__)
def test_far_positions(dtype: Any, target: str) -> None:
    """Where 64 bits are carried in 32, only what fits is accepted."""
    places = FAR[dtype]
    if target in ("wgsl", "glsl") and dtype in (np.int64, np.uint64):
        places = [2**31 - 1, 5, 2**30 + 3] + [-1] * (dtype is np.int64)
    index = np.array(places, dtype)
    for rule in RULES:
        kernel = tw.kernel(target=target)(lambda a, index, r=rule: read(a, index, r))
        np.testing.assert_array_equal(kernel(TABLE, index), read(TABLE, index, rule))


@pytest.mark.parametrize("target", ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)])
@pytest.mark.parametrize("rule", ["reflect", "wrap"])
def test_far_positions_along_an_open_axis(rule: str, target: str) -> None:
    for dtype in (np.int64, np.uint64):
        index = np.array(FAR[dtype], dtype)
        kernel = tw.kernel(target=target, a=tw.f32[N])(lambda a, index: read(a, index, rule))
        for size in (1, 2, 7):
            wanted = read(TABLE[:size], index, rule)
            np.testing.assert_array_equal(kernel(TABLE[:size], index), wanted)
