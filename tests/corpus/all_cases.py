"""All functions of the corpus. Importing their modules enters them, in this order and in no other:
the modules draw the arrays of their cases from one generator.
"""

from __future__ import annotations

from collections import Counter

from tests.corpus import (  # noqa: F401
    algorithms,
    idioms,
    images,
    layers,
    learning,
    networks,
    numerics,
    physics,
    puzzles,
    series,
    signals,
    simulations,
    vision,
)
from tests.corpus.cases import CASES, Case


def by_name() -> dict[str, Case]:
    """All cases; the second one of a name, or of a function, is `name.2`, and so on."""
    seen: Counter[str] = Counter()
    named: dict[str, Case] = {}
    for case in CASES:
        seen[case.name] += 1
        number = seen[case.name]
        named[case.name if number == 1 else f"{case.name}.{number}"] = case
    return named


__all__ = ["CASES", "Case", "by_name"]
