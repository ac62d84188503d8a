"""A program while it grows: its statements so far, their values, and choices among them.

Types and shapes come from running each statement on NumPy as it is made: what NumPy refuses is
not kept, so everything that is kept must compile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tilewright as tw
from tests.fuzz.program import Statement
from tests.fuzz.values import DTYPES, LARGEST, NARROW, random_argument, random_shape

MOST_ARGUMENTS = 6
MOST_AXES = 6

Made = tuple[str, str] | None
"""An expression and the name that counts it; or None if nothing fits."""
Rule = Callable[["Builder"], Made]


class Builder:
    """What rules add expressions to.

    `width` says which 64-bit values there may be: "all", "none", or integers "that fit" into 32
    bits, which is how GPU targets carry them.
    """

    def __init__(self, rng: np.random.Generator, width: str, largest: int = LARGEST) -> None:
        self.rng = rng
        self.width = width
        self.largest = largest
        self.dtypes = DTYPES if width == "all" else NARROW
        self.arguments: dict[str, Any] = {}
        self.values: dict[str, np.ndarray] = {}
        self.statements: list[Statement] = []

    # Choices.

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def axis(self, name: str) -> int:
        return self.integer(-self.values[name].ndim, self.values[name].ndim - 1)

    def slice_of(self, size: int) -> str:
        """A slice of an axis, empty ones and ends beyond the axis included."""
        step = self.one_of(1, 1, 2, 3, -1, -1, -2)
        start = self.one_of("", self.integer(-size - 1, size + 1))
        stop = self.one_of("", "", self.integer(-size - 1, size + 1))
        return f"{start}:{stop}:{step}"

    # Values.

    def pick(self, kinds: str = "biuf", least_rank: int = 0) -> str | None:
        """A name of these kinds of dtype; recent ones are likelier."""
        names = [
            n for n, v in self.values.items() if v.dtype.kind in kinds and v.ndim >= least_rank
        ]
        if not names or self.chance(0.15):
            room = len(self.arguments) < MOST_ARGUMENTS - 1
            return self.argument(kinds, least_rank) if room else None
        return str(names[-1 - min(int(self.rng.geometric(0.5)) - 1, len(names) - 1)])

    def argument(self, kinds: str, least_rank: int = 0) -> str:
        shape = random_shape(self.rng)
        while len(shape) < least_rank:
            shape = random_shape(self.rng, least_rank)
        return self.array(self.dtype_of(kinds), shape)

    def dtype_of(self, kinds: str) -> str:
        return str(self.one_of(*(d for d in self.dtypes if np.dtype(d).kind in kinds)))

    def array(self, dtype: str, shape: tuple[int, ...]) -> str:
        """A new argument."""
        return self.add_argument(random_argument(self.rng, dtype, shape))

    def add_argument(self, value: Any) -> str:
        name = f"a{len(self.arguments)}"
        self.arguments[name] = value
        if type(value) not in (int, float):  # those are for one statement only
            self.values[name] = np.asarray(value)
        return name

    def partner(self, name: str, kinds: str) -> str:
        """A value that broadcasts with `name`; of its dtype most of the time."""
        like = self.values[name]
        fitting = [
            n
            for n, v in self.values.items()
            if v.dtype.kind in kinds
            and _broadcasts(v.shape, like.shape)
            and (v.dtype == like.dtype or self.chance(0.3))
        ]
        if fitting and (self.chance(0.7) or len(self.arguments) >= MOST_ARGUMENTS):
            return str(self.one_of(*fitting))
        shape = tuple(n if self.chance(0.75) else 1 for n in like.shape)
        shape = shape[self.integer(0, len(shape)) if self.chance(0.3) else 0 :]
        same = like.dtype.name
        options = [d for d in self.dtypes if np.dtype(d).kind in kinds]
        dtype = same if same in options and self.chance(0.75) else self.one_of(*options)
        return self.array(dtype, shape)

    def index_into(self, size: int) -> str | None:
        """An expression for an integer array of indices into an axis, negative ones at times."""
        index = self.pick("iu")
        if index is None or not size:
            return None
        small = min(size, 100)
        if self.chance(0.3) and self.values[index].dtype.kind == "i":
            return f"({index} % {small} - {self.integer(0, small)})"
        return f"({index} % {small})"

    # Growth.

    def grow(self, rule: Rule) -> None:
        """Add the statement that a rule makes, if it makes one that NumPy and the targets take."""
        made = rule(self)
        if made is None:
            return
        text, op = made
        target = f"v{len(self.statements)}"
        text = text.replace("{t}", target) if "{t}" in text else f"{target} = {text}"
        value = self._run(text, target)
        if value is not None and self._fits(value):
            self.values[target] = np.asarray(value)
            self.statements.append(Statement(target, text, op))

    def _run(self, text: str, target: str) -> Any:
        scope: dict[str, Any] = {"np": np, "tw": tw, **self.arguments, **self.values}
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(text, scope)
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            return None
        except (tw.TilewrightError, np.exceptions.AxisError):
            return None
        return scope[target]

    def _fits(self, value: Any) -> bool:
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.name not in DTYPES:
            return False
        if value.size > self.largest or value.ndim > MOST_AXES:
            return False
        if self.width == "all" or value.dtype.itemsize < 8:
            return True
        if self.width == "none" or value.dtype.kind == "f":
            return False
        held = np.iinfo("int32" if value.dtype.kind == "i" else "uint32")
        return not value.size or bool(held.min <= value.min() and value.max() <= held.max)


def _broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return len(np.broadcast_shapes(one, other)) <= 4
    except ValueError:
        return False
