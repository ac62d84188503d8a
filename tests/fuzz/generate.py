"""Random kernels: a seed in, a `FuzzProgram` out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.fuzz.builder import Builder, Rule
from tests.fuzz.program import FuzzProgram
from tests.fuzz.rules import RULES, large

WIDTHS = ("all", "none", "that fit", "none")
"""By the last two bits of a seed: which 64-bit values a program holds."""
LENGTHS = (0.3, 0.32, 0.2, 0.1, 0.05, 0.03)
"""How likely programs of 1, 2, … statements are."""
LARGE_SEEDS = 1_000_000
ATTEMPTS = 40


def generate(seed: int) -> FuzzProgram:
    """The program of a seed; only those of every fourth hold 64-bit values that GPUs cannot.

    From `LARGE_SEEDS` on, programs start with something large.
    """
    width = WIDTHS[seed % len(WIDTHS)]
    rng = np.random.default_rng(seed)
    if seed >= LARGE_SEEDS:
        builder = Builder(rng, width, large.LARGEST)
        _grow(builder, large.RULES, 1)
        if builder.chance(0.5):
            _grow(builder, RULES, 2)
    else:
        builder = Builder(rng, width)
        count = 1 + int(rng.choice(len(LENGTHS), p=LENGTHS))
        builder.argument("biuf")
        _grow(builder, RULES, count)
    return _program(seed, builder)


def _grow(builder: Builder, rules: Mapping[Rule, int], count: int) -> None:
    """Add statements until there are `count`, or chance has failed too often."""
    choices, weights = list(rules), np.array(list(rules.values()), np.float64)
    weights /= weights.sum()
    for _ in range(ATTEMPTS):
        if len(builder.statements) >= count:
            break
        builder.grow(choices[int(builder.rng.choice(len(choices), p=weights))])


def _program(seed: int, builder: Builder) -> FuzzProgram:
    """What nothing else uses is returned, and some of the rest."""
    used = set().union(*(s.used - {s.target} for s in builder.statements))
    last = [s.target for s in builder.statements if s.target not in used]
    other = [s.target for s in builder.statements if s.target in used and builder.chance(0.25)]
    returned = tuple(last + other) or tuple(builder.arguments)
    statements = tuple(builder.statements)
    wide = builder.width == "all"
    return FuzzProgram(seed, builder.arguments, statements, returned, wide=wide).pruned()


__all__ = ["LARGE_SEEDS", "WIDTHS", "generate"]
