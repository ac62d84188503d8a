"""The schedules that an earlier tuning has found for a graph, used without asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tilewright.compiler.cache.artifacts import versions
from tilewright.compiler.tune.device import device_of
from tilewright.compiler.tune.subject import graph_digest

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions
    from tilewright.ir.graph import Graph
    from tilewright.ir.schedule import Schedule


def tuned_schedules(
    graph: Graph, target: str, options: BuildOptions, runtime: Runtime
) -> Mapping[str, Schedule]:
    """By the names of nests; none where nothing was tuned for this device and this compiler.

    A kernel with open dimensions is compiled once for all sizes, and gets what was best for large
    ones. A device is opened only where there is a record of the graph.
    """
    digest = graph_digest(graph, target, options)
    if not any(r.graph == digest and r.schedules for r in runtime.tuning.records()):
        return {}
    record = runtime.tuning.best(digest, target, device_of(target).name, versions())
    return {} if record is None else record.schedules
