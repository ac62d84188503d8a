"""How many tasks a loop is cut into: its operations and the lanes that do them -> a number.

The unit is an operation on one vector: some 0.15 to 0.5 ns on the machines that this was measured
on. Threads that are awake take a task within half a microsecond; those that sleep are left alone
by short loops (`pool_ir`), so that such a loop loses next to nothing by being cut.
"""

from __future__ import annotations

from typing import Final

_LEAST_PARALLEL_STEPS: Final = 1 << 13
_STEPS_PER_TASK: Final = 1 << 13
_FEWEST_TASKS: Final = 4
"""Two threads seldom begin at the same time: of four tasks the first one takes three."""
_MOST_TASKS: Final = 64


def tasks_for(operations: int, lanes: int) -> int:
    """Tasks for a loop that does so many operations, on elements that lie in `lanes`."""
    steps = operations // lanes
    if steps < _LEAST_PARALLEL_STEPS:
        return 1
    return min(_MOST_TASKS, max(_FEWEST_TASKS, steps // _STEPS_PER_TASK))
