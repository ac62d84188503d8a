"""The expressions that random kernels are made of, with how often each is tried."""

from __future__ import annotations

from tests.fuzz.builder import Rule
from tests.fuzz.rules import contractions, elementwise, index_form, moves, reductions

RULES: dict[Rule, int] = {
    **elementwise.RULES,
    **moves.RULES,
    **reductions.RULES,
    **contractions.RULES,
    **index_form.RULES,
}
