"""How many tasks a loop is cut into, at the limits of the rule."""

from __future__ import annotations

import pytest

from tilewright.codegen_cpu.task_count import tasks_for

STEP = 1 << 13
"""Vector operations that a task is worth."""


@pytest.mark.parametrize(
    ("steps", "tasks"),
    [
        (0, 1),
        (STEP - 1, 1),
        (STEP, 4),
        (5 * STEP - 1, 4),
        (5 * STEP, 5),
        (64 * STEP - 1, 63),
        (64 * STEP, 64),
        (65 * STEP, 64),
        (1 << 40, 64),
    ],
)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_a_task_is_worth_waking_a_thread_for(steps: int, tasks: int, lanes: int) -> None:
    assert tasks_for(steps * lanes, lanes) == tasks
    assert tasks_for(steps * lanes + lanes - 1, lanes) == tasks
