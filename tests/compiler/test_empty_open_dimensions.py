"""Open dimensions of size 0: nothing is read that is not there, nothing divided by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

N, M = tw.dim("N"), tw.dim("M")
TARGETS = ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)]
NOTHING, SOME = np.zeros((0, 3), np.float32), np.arange(12, dtype=np.float32).reshape(4, 3)


def read(x: Any, y: Any, boundary: str, shape: Any = (4, 3)) -> Any:
    return tw.compute(shape, lambda i, j: tw.at(x, (i + 1, j), boundary, 2) + y[i, j])


def temporary(x: Any, y: Any) -> Any:
    running = np.cumsum(x, axis=0)
    return running, read(running, y, "constant")


DEFINED: dict[str, Callable[[Any, Any], Any]] = {
    "constant": lambda x, y: read(x, y, "constant"),
    "wrapped along itself": lambda x, y: read(x, x, "wrap", x.shape),
    "reflected along itself": lambda x, y: read(x, x, "reflect", x.shape),
    "clamped to twice itself": lambda x, y: tw.compute(
        (2 * len(x), 3), lambda i, j: tw.at(x, (i, j), "clamp")
    ),
    "a temporary": temporary,
    "joined": lambda x, y: np.concatenate([x, y]),
    "padded": lambda x, y: np.pad(x, ((1, 2), (0, 0))),
    "rolled": lambda x, y: np.roll(x, 5, axis=0),
    "tiled": lambda x, y: np.tile(x, (3, 1)).sum() + y,
    "assigned": lambda x, y: assigned(np.concatenate([x, x])),
}
UNDEFINED = {rule: (lambda x, y, r=rule: read(x, y, r)) for rule in ("clamp", "wrap", "reflect")}


def assigned(z: Any) -> Any:
    z[1:] = 5
    return z


def compiled(function: Any, target: str) -> Any:
    return tw.kernel(target=target, x=tw.f32[N, 3], y=tw.f32[M, 3])(function)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", DEFINED)
def test_results_are_those_of_numpy(name: str, target: str) -> None:
    function = DEFINED[name]
    kernel = compiled(function, target)
    kernel(SOME, SOME)
    for _ in range(3):  # the second call on is served by machine code, if it may be
        got, wanted = kernel(NOTHING, SOME), function(NOTHING, SOME)
        pairs = zip(got, wanted, strict=True) if isinstance(got, tuple) else [(got, wanted)]
        for one, other in pairs:
            assert one.shape == np.shape(other)
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rule", UNDEFINED)
def test_no_element_for_a_rule_to_choose_is_an_error(rule: str, target: str) -> None:
    """It was memory of others, or the end of the process: `wrap` divides by the size."""
    kernel = compiled(UNDEFINED[rule], target)
    kernel(SOME, SOME)
    with pytest.raises(tw.BoundsError, match="index 0 is out of bounds for axis 0 with size 0"):
        kernel(NOTHING, SOME)
    with pytest.raises(tw.BoundsError):
        UNDEFINED[rule](NOTHING, SOME)


def test_kernels_that_read_along_their_own_axis_need_no_test() -> None:
    """Which every call would pay for."""
    for rule in ("clamp", "wrap", "reflect"):
        kernel = tw.kernel(lambda x, r=rule: tw.compute(2 * len(x), lambda i: tw.at(x, (i,), r)))
        assert not kernel.compile(tw.f32[N]).specialization.interface.checks


@pytest.mark.parametrize("target", TARGETS)
def test_interpolation_in_nothing_is_an_error(target: str) -> None:
    kernel = compiled(lambda x, y: np.interp(y[:, 0], x[:, 0], x[:, 1]), target)
    kernel(SOME, SOME)
    with pytest.raises(tw.BoundsError):
        kernel(NOTHING, SOME)


ALL_TARGETS = [
    *TARGETS,
    pytest.param("wgsl", marks=pytest.mark.wgsl),
    pytest.param("glsl", marks=pytest.mark.glsl),
]
EXTREMES: dict[str, Callable[[Any], Any]] = {
    "max": lambda x: x.max(),
    "min along an axis": lambda x: x.min(axis=0),
    "fmax of rows": lambda x: np.fmax.reduce(x, axis=1),
    "argmax": lambda x: np.argmax(x),
    "argmin along an axis": lambda x: x.argmin(axis=0),
    "of all but one": lambda x: x[1:].max(axis=0),
    "of a flat copy": lambda x: x[::2].reshape(-1).min(),
    "with a start": lambda x: x.max(initial=7),
    "index form": lambda x: tw.max(lambda i, j: x[i, j], x.shape),
    "argmin in index form": lambda x: tw.argmin(lambda i, j: x[i, j], x.shape),
}


@pytest.mark.parametrize("target", ALL_TARGETS)
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_of_nothing_are_numpys_error(name: str, target: str) -> None:
    """It was the neutral element: an infinity, or position 0."""
    function = EXTREMES[name]
    kernel = tw.kernel(target=target, x=tw.f32[N, M])(function)
    for rows, columns in ((4, 3), (1, 2), (0, 3), (2, 0), (0, 0)):
        x = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
        for _ in range(2):  # the second call is served by machine code, if it may be
            try:
                wanted = function(x)
            except ValueError:
                with pytest.raises(tw.ShapeError, match=r"zero-size|of an empty|over .*empty"):
                    kernel(x)
            else:
                np.testing.assert_array_equal(kernel(x), wanted)


@pytest.mark.wgsl
def test_extremes_of_nothing_on_a_device() -> None:
    kernel = tw.kernel(target="wgsl", x=tw.f32[N, 3])(lambda x: x.max(axis=0))
    assert kernel(tw.device_array(SOME, "wgsl")).numpy().tolist() == [9, 10, 11]
    with pytest.raises(tw.ShapeError, match="zero-size array"):
        kernel(tw.device_array(NOTHING, "wgsl"))


def test_sizes_that_cannot_be_empty_are_not_tested() -> None:
    """Those of loops' rounds are known to the loop alone; the sum of nothing is 0."""
    functions: list[Callable[[Any], Any]] = [
        lambda x: np.concatenate([x, x[:0], np.zeros(1, np.float32)]).max(),
        lambda x: x.sum() + x.max(initial=0),
        lambda x: x.reshape(-1, 1).max(axis=1),
    ]
    for function in functions:
        assert not tw.kernel(function).compile(tw.f32[N]).specialization.interface.sizes
