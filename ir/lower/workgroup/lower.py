"""A nest and a schedule -> a kernel for targets with workgroups, in the form the schedule asks for.

`stage_tile` asks for a contraction through workgroup memory, ``vector="inner"`` for one workgroup
per outer point, anything else for one invocation per tile of outer points.
"""

from __future__ import annotations

from tilewright.ir.kernel import Kernel
from tilewright.ir.lower.workgroup.contraction import ContractionLowering
from tilewright.ir.lower.workgroup.grid import GridLowering
from tilewright.ir.lower.workgroup.rows import RowLowering
from tilewright.ir.program import Nest
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.subgroups import LEAST_SUBGROUP


def lower_to_workgroups(
    nest: Nest, schedule: Schedule, name: str, least_subgroup: int = LEAST_SUBGROUP
) -> Kernel:
    """The kernel of `nest` under `schedule`, for devices whose subgroups have at least so many
    invocations."""
    if schedule.stage_tile:
        return ContractionLowering(nest, schedule).kernel(name)
    if schedule.vector == INNER:
        return RowLowering(nest, schedule, least_subgroup).kernel(name)
    return GridLowering(nest, schedule).kernel(name)
