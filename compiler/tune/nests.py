"""What there is to tune in a traced function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tilewright.compiler.driver import prepare
from tilewright.compiler.runtime import runtime
from tilewright.compiler.tune.session import TunableNest
from tilewright.ir.lower.accesses import work

if TYPE_CHECKING:
    from tilewright.compiler.targets import BuildOptions
    from tilewright.compiler.trace.run import Traced


def tunable_nests(traced: Traced, target_name: str, options: BuildOptions) -> list[TunableNest]:
    """The nests of the function's program on a target that have more than one schedule."""
    prepared = prepare(traced, target_name, runtime())
    found: dict[str, TunableNest] = {}
    for nest, space in prepared.target.schedule_spaces(prepared.program, options):
        known = found.get(nest.name)  # the two halves of a loop that goes to and fro share a name
        if known is not None:
            found[nest.name] = replace(known, work=known.work + work(nest))
        elif space.size > 1:
            found[nest.name] = TunableNest(nest.name, space, float(work(nest)))
    return list(found.values())
