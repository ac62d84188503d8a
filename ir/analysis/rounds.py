"""How often loops and branches run, on average over the points of a kernel.

In: the extent of a loop or the condition of a branch, in the environment of a walk (`ir/emit`).
Out: its mean over all values of the variables that it depends on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from tilewright.ir.emit.environment import Environment, Lanes
from tilewright.ir.expr import LaneReduce, Load, Size, Var, post_order
from tilewright.ir.interpret.values import evaluate, reads_nothing

_MOST_POINTS: Final = 1 << 14


class Rounds:
    """Means under the bindings of `environment`; `symbols` are the values of open sizes."""

    def __init__(self, environment: Environment, symbols: Mapping[Var, int]) -> None:
        self._environment = environment
        self._symbols = symbols

    def mean(self, size: Size) -> float:
        """The mean of a number of rounds, or the share of points at which a condition holds; 1
        where that is data."""
        if isinstance(size, int):
            return size
        if any(isinstance(node, (Load, LaneReduce)) for node in post_order((size,))):
            return 1
        values = self._values(self._environment.facts(size).variables)
        return float(np.mean(evaluate((size,), values, reads_nothing)[0]))

    def _values(self, variables: Sequence[Var]) -> dict[Var, Any]:
        """Values of the variables that broadcast to all of their combinations, or to some that
        are spread evenly where there are too many."""
        found: dict[Var, Any] = {}
        free: list[tuple[Var, range]] = []
        for var in variables:
            match self._environment.bindings.get(var):
                case int(number):
                    found[var] = np.int64(number)
                case Lanes(start, count):
                    free.append((var, range(start, start + count)))
                case _ if var in self._symbols:
                    found[var] = np.int64(self._symbols[var])
                case _:
                    assert var.extent is not None, var.name
                    free.append((var, range(max(1, round(self.mean(var.extent))))))
        most = _MOST_POINTS
        while prod(min(len(values), most) for _, values in free) > _MOST_POINTS:
            most //= 2
        for axis, (var, values) in enumerate(free):
            chosen = np.linspace(values[0], values[-1], min(len(values), most)).round()
            shape = [1] * len(free)
            shape[axis] = -1
            found[var] = chosen.astype(np.int64).reshape(shape)
        return found
