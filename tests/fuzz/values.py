"""Random shapes and arrays: mostly ordinary numbers, and those at which compilers go wrong."""

from __future__ import annotations

import numpy as np

DIMS = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64)
_DIM_WEIGHTS = np.array([1, 4, 5, 6, 6, 5, 3, 3, 3, 3, 3, 3]) / 45
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *INTEGERS, *FLOATS)
NARROW = tuple(d for d in DTYPES if not d.endswith("64"))
LARGEST = 4096
"""The most elements of one array, so that a program takes milliseconds."""

Shape = tuple[int, ...]


def random_shape(rng: np.random.Generator, rank: int | None = None) -> Shape:
    """Rank 0 to 4, of at most `LARGEST` elements."""
    rank = int(rng.choice(5, p=[0.08, 0.3, 0.37, 0.17, 0.08])) if rank is None else rank
    while True:
        shape = tuple(int(n) for n in rng.choice(DIMS, rank, p=_DIM_WEIGHTS))
        if np.prod(shape, dtype=np.int64) <= LARGEST:
            return shape


def random_array(rng: np.random.Generator, dtype: str, shape: Shape) -> np.ndarray:
    """40% ordinary values, 20% boundaries, 20% special ones, 20% small integers; one array may
    also hold one kind only, so that its results are not all NaN."""
    kinds = rng.choice(4, size=shape, p=[0.4, 0.2, 0.2, 0.2])
    if rng.random() < 0.6:
        kinds = np.full(shape, rng.choice([0, 0, 3]))
    with np.errstate(all="ignore"):
        made = [np.asarray(make(rng, dtype, shape)) for make in (_ordinary, _boundary, _special)]
        small = rng.integers(-3 if dtype[0] in "if" else 0, 2 if dtype == "bool" else 9, shape)
        return np.choose(kinds, [m.astype(dtype) for m in (*made, small)]).astype(dtype)


def _ordinary(rng: np.random.Generator, dtype: str, shape: Shape) -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype in FLOATS:
        return np.asarray(rng.standard_normal(shape) * rng.choice([0.3, 1, 10]))
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -1000), min(info.max, 1000), shape)


def _boundary(rng: np.random.Generator, dtype: str, shape: Shape) -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.1
    if dtype in FLOATS:
        info = np.finfo(dtype)
        edge = [info.max, info.tiny, 1 + info.eps, 1 - info.epsneg, 2.0**15, 0.5, 1.5, 2.5]
        return rng.choice(np.array([*edge, *(-np.array(edge))]), shape)
    whole = np.iinfo(dtype)
    near = [whole.max, whole.max - 1, whole.min, whole.min + 1, 0, 1, whole.bits, whole.bits - 1]
    return np.array(near, dtype)[rng.integers(0, len(near), shape)]


def _special(rng: np.random.Generator, dtype: str, shape: Shape) -> np.ndarray:
    if dtype not in FLOATS:
        return _boundary(rng, dtype, shape)
    tiny = float(np.finfo(dtype).smallest_subnormal)
    return rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, tiny * 5, -tiny]), shape)


def random_argument(rng: np.random.Generator, dtype: str, shape: Shape) -> np.ndarray:
    """An array as callers have them: a third is not contiguous, or not writable."""
    array = random_array(rng, dtype, shape)
    kind = rng.choice(8, p=[0.66, 0.07, 0.07, 0.06, 0.05, 0.03, 0.03, 0.03])
    if kind == 0 or not shape:
        return array
    if kind == 1:
        return np.asfortranarray(array)
    if kind == 2:  # backwards along some axes
        turned = tuple(slice(None, None, int(rng.choice([-1, 1]))) for _ in shape)
        return array[turned].copy()[turned]
    if kind == 3:  # every other element of something larger
        room = np.full([2 * n + 1 for n in shape], 77).astype(dtype)
        part = room[tuple(slice(1, None, 2) for _ in shape)]
        part[...] = array
        return part
    if kind == 4:
        return np.broadcast_to(array[:1], shape)
    if kind == 5:
        array.flags.writeable = False
        return array
    if kind == 6:  # a column of records
        records = np.zeros(shape, [("before", np.int8), ("value", dtype)])
        records["value"] = array
        return records["value"]
    return np.frombuffer(b"\0" + array.tobytes(), dtype, offset=1).reshape(shape)  # not aligned


def strided(array: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The same values with other strides: how reproducers give an argument its layout."""
    reach = [(n - 1) * s for n, s in zip(array.shape, strides, strict=True)]
    start = -sum(r for r in reach if r < 0)
    memory = np.zeros(start + sum(r for r in reach if r > 0) + array.itemsize, np.uint8)
    made = np.ndarray(array.shape, array.dtype, memory, start, strides)
    made[...] = array
    return made
