"""The gallery: kernels as users write them, each with an expert's NumPy and a float64 reference.

The list, the sizes and the inputs are frozen, so that numbers can be compared between versions.
Every kernel is a plain function here; the benchmark and the tests decorate it.
"""

from benchmarks.gallery import (
    audio,
    contractions,
    elementwise,
    postprocessing,
    preprocessing,
    reductions,
    stencils,
)
from benchmarks.gallery.entry import Entry, Tolerance

__all__ = ["Entry", "Tolerance", "entries"]

_FAMILIES = (
    elementwise,
    reductions,
    contractions,
    stencils,
    preprocessing,
    audio,
    postprocessing,
)


def entries() -> tuple[Entry, ...]:
    """All entries, family by family."""
    return tuple(entry for family in _FAMILIES for entry in family.ENTRIES)
