"""Random indexing, writing and broadcasting, interpreted, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check


def random_slice(rng: np.random.Generator, size: int) -> slice:
    bounds: list[Any] = [None, *range(-size - 2, size + 3)]
    step = int(rng.choice([1, 1, 1, 2, 3, -1, -2]))
    return slice(bounds[rng.integers(len(bounds))], bounds[rng.integers(len(bounds))], step)


def random_index(rng: np.random.Generator, shape: tuple[int, ...], arrays: bool) -> tuple[Any, ...]:
    """A valid index: ints, slices, new axes, an ellipsis, and with `arrays` arrays of ints."""
    index: list[Any] = []
    mesh = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 3)))
    for size in shape[: rng.integers(0, len(shape) + 1)]:
        match rng.integers(6 if arrays else 3):
            case 0:
                index.append(int(rng.integers(-size, size)))
            case 1 | 2:
                index.append(random_slice(rng, size))
            case _:
                small = tuple(n if rng.integers(3) else 1 for n in mesh)
                index.append(rng.integers(-size, size, small))
        if rng.integers(6) == 0:
            index.append(None)
    if rng.integers(3) == 0:
        index.append(...)
    return tuple(index)


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 4)))


@pytest.mark.parametrize("seed", range(150))
def test_random_reads(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(random_shape(rng))
    first = random_index(rng, x.shape, arrays=False)
    second = random_index(rng, x[first].shape, arrays=True) if x[first].size else ()
    check(lambda x: (x[first][second] if np.ndim(x[first]) else x[first]) + 0, x)


@pytest.mark.parametrize("seed", range(150))
def test_random_writes(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    x = rng.standard_normal(random_shape(rng))
    steps = [random_index(rng, x.shape, arrays=bool(n % 2)) for n in range(4)]
    view = random_index(rng, x.shape, arrays=False)

    def function(x: Any) -> Any:
        y = x.copy()
        seen = y[view] if np.ndim(y[view]) else y
        for number, index in enumerate(steps):
            y[index] = y[index][..., ::-1] * 2 + number if np.ndim(y[index]) else number
            seen += 1
            y[index] += 0.5
        return y, seen

    check(function, x)


@pytest.mark.parametrize("seed", range(60))
def test_random_broadcasts_and_reductions(seed: int) -> None:
    rng = np.random.default_rng(2000 + seed)
    shape = random_shape(rng)
    other = tuple(n if rng.integers(2) else 1 for n in shape)[rng.integers(len(shape)) :]
    dtypes = ["i4", "u1", "f4", "f8", "bool"]
    x = (rng.standard_normal(shape) * 5).astype(dtypes[rng.integers(5)])
    y = (rng.standard_normal(other) * 5).astype(dtypes[rng.integers(5)])
    axis = None if rng.integers(3) == 0 else int(rng.integers(len(shape)))
    keep = bool(rng.integers(2))

    def function(x: Any, y: Any) -> Any:
        z = np.where(x > y, x, y) + x * y
        return (
            np.sum(z, axis=axis, keepdims=keep),
            np.max(z, axis=axis, keepdims=keep),
            np.argmin(z, axis=axis, keepdims=keep),
            np.moveaxis(z, axis or 0, -1) - y[..., :1].min(),
        )

    if x.dtype == y.dtype == np.bool_:
        y = y.astype("i8")
    check(function, x, y, tolerance=1e-5)
