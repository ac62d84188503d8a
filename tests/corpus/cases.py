"""The table of functions that the corpus consists of, and the arrays that they are called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    """A plain NumPy function and what it is called with; `gpu` ones also run on GPU targets."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    gpu: bool

    @property
    def name(self) -> str:
        return self.function.__name__


CASES: list[Case] = []


def case(*args: Any, gpu: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function, with these arguments; it stays what it is."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append(Case(function, args, gpu))
        return function

    return enter


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def doubles(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def array(shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
    """Normal floats, integers around zero (unsigned ones below 200), or bools."""
    kind = np.dtype("?" if dtype == "b" else dtype)
    if kind.kind == "f":
        return RNG.standard_normal(shape).astype(kind)
    low, high = {"b": (0, 2), "u": (0, 200)}.get(kind.kind, (-100, 100))
    return RNG.integers(low, high, shape).astype(kind)


def scattered(a: np.ndarray) -> np.ndarray:
    """The same elements, the first axis lying closest together."""
    return np.asfortranarray(a)


def positive(*shape: int) -> np.ndarray:
    return RNG.random(shape).astype(np.float32) + np.float32(0.1)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def below(limit: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, limit, shape)
