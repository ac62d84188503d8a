"""The gallery as subjects of `tilewright bench`."""

from __future__ import annotations

from functools import partial

import tilewright as tw
from benchmarks.gallery import Entry, entries
from benchmarks.numexpr_kernels import NUMEXPR
from tilewright.compiler.bench.rivals import by_numba
from tilewright.compiler.bench.subject import Subject


def subjects() -> list[Subject]:
    """All of them, family by family."""
    return [subject(entry) for entry in entries()]


def subject(entry: Entry) -> Subject:
    """One entry. Numba gets the kernel itself: plain loops and whole-array code are what it is
    made for, while the baseline's ``out=`` arguments are not."""
    rivals = {"numba": lambda: by_numba(entry.kernel, entry.inputs())}
    if entry.name in NUMEXPR:
        rivals["numexpr"] = partial(NUMEXPR.__getitem__, entry.name)
    return Subject(
        name=entry.name,
        kernel=tw.kernel(entry.kernel),
        arguments=entry.inputs,
        baseline=entry.baseline,
        reference=entry.reference,
        excess=entry.excess_on,
        family=entry.family,
        rivals=rivals,
    )
