"""Schedules as code to paste: the argument of ``@tw.kernel(schedule=…)``."""

from __future__ import annotations

from collections.abc import Mapping

from tilewright.ir.schedule import Schedule

_PLAIN = Schedule()


def schedule_code(schedule: Schedule) -> str:
    """``Schedule(tile=(8, 32), width=16)``: the fields that differ from those of ``Schedule()``."""
    given = {f: getattr(schedule, f) for f in schedule.__struct_fields__}
    changed = [f"{f}={v!r}" for f, v in given.items() if v != getattr(_PLAIN, f)]
    return f"Schedule({', '.join(changed)})"


def decorator_code(schedules: Mapping[str, Schedule]) -> str:
    """The decorator with these schedules, and what it needs imported."""
    lines = [f"    {name!r}: {schedule_code(s)}," for name, s in sorted(schedules.items())]
    shown = "\n".join(lines).replace("'", '"')
    return f"from tilewright.ir.schedule import Schedule\n\n@tw.kernel(schedule={{\n{shown}\n}})"
