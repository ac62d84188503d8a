"""Random kernels: a seed in, a `FuzzProgram` out."""

from __future__ import annotations

import numpy as np

from tests.fuzz.builder import Builder
from tests.fuzz.program import FuzzProgram
from tests.fuzz.rules import RULES

WIDTHS = ("all", "none", "that fit", "none")
"""By the last two bits of a seed: which 64-bit values a program holds."""
LENGTHS = (0.3, 0.32, 0.2, 0.1, 0.05, 0.03)
"""How likely programs of 1, 2, … statements are."""
ATTEMPTS = 40


def generate(seed: int) -> FuzzProgram:
    """The program of a seed; only those of every fourth hold 64-bit values that GPUs cannot."""
    width = WIDTHS[seed % len(WIDTHS)]
    builder = Builder(np.random.default_rng(seed), width)
    rules = list(RULES)
    weights = np.array(list(RULES.values()), np.float64)
    weights /= weights.sum()
    count = 1 + int(builder.rng.choice(len(LENGTHS), p=LENGTHS))
    builder.argument("biuf")
    for _ in range(ATTEMPTS):
        if len(builder.statements) >= count:
            break
        builder.grow(rules[int(builder.rng.choice(len(rules), p=weights))])
    used = set().union(*(s.used - {s.target} for s in builder.statements))
    last = [s.target for s in builder.statements if s.target not in used]
    other = [s.target for s in builder.statements if s.target in used and builder.chance(0.25)]
    returned = tuple(last + other) or tuple(builder.arguments)
    made = FuzzProgram(
        seed, builder.arguments, tuple(builder.statements), returned, wide=width == "all"
    )
    return made.pruned()


__all__ = ["generate"]
