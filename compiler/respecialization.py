"""The warning about a kernel that is compiled again and again."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from tilewright.compiler.targets import has_open_dimensions
from tilewright.ir.errors import RespecializationWarning

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel


def warn_of_many(kernel: Kernel) -> None:
    """Say which argument differs most between the specialisations of `kernel`."""
    seen: dict[str, set[str]] = {}
    for compiled in kernel.specializations:
        for name, spec in compiled.interface.specs.items():
            seen.setdefault(name, set()).add(str(spec))
    name = max(seen, key=lambda n: len(seen[n]))
    help = "declare its dimensions open with tw.dim, or pass the value as an array"
    if not has_open_dimensions(kernel.target):
        help = f"target {kernel.target!r} compiles each shape anew: pad the array to few sizes"
    warnings.warn(
        f"kernel {kernel.__name__!r} was compiled {len(kernel.specializations)} times;"
        f" argument {name!r} keeps changing ({len(seen[name])} forms): {help}",
        RespecializationWarning,
        stacklevel=5,
    )
