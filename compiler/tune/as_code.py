"""Schedules as code to paste: the argument of ``@tw.kernel(schedule=…)``.

Names come from files that anybody may have written: they are literals of the code, whatever they
hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tilewright.ir.schedule import Schedule

_PLAIN = Schedule()


def schedule_code(schedule: Schedule) -> str:
    """``Schedule(tile=(8, 32), width=16)``: the fields that differ from those of ``Schedule()``."""
    given = {f: getattr(schedule, f) for f in schedule.__struct_fields__}
    changed = [f"{f}={_literal(v)}" for f, v in given.items() if v != getattr(_PLAIN, f)]
    return f"Schedule({', '.join(changed)})"


def decorator_code(schedules: Mapping[str, Schedule]) -> str:
    """The decorator with these schedules, and what it needs imported."""
    lines = [f"    {_literal(n)}: {schedule_code(s)}," for n, s in sorted(schedules.items())]
    shown = "\n".join(lines)
    return f"from tilewright.ir.schedule import Schedule\n\n@tw.kernel(schedule={{\n{shown}\n}})"


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)
