"""The public index form: to the tracer while one is at work, else to NumPy."""

from __future__ import annotations

from typing import Any

import pytest

from tilewright.compiler import index_form as tw
from tilewright.compiler.tracing_state import tracing

CALLS: dict[str, tuple[Any, ...]] = {
    "compute": ((2,), abs),
    "sum": (abs, 3),
    "prod": (abs, 3),
    "max": (abs, 3),
    "min": (abs, 3),
    "argmax": (abs, 3),
    "argmin": (abs, 3),
    "at": ([1], 0, "wrap", 5),
    "loop": (3, abs, 1, 2),
    "while_loop": (abs, abs, 1),
}


class Recorder:
    """Stands for a tracer: returns the call that it received."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: (name, args)


@pytest.mark.parametrize("name", CALLS)
def test_calls_go_to_the_current_tracer(name: str) -> None:
    recorder: Any = Recorder()
    with tracing(recorder):
        assert getattr(tw, name)(*CALLS[name]) == (name, CALLS[name])


def test_without_a_tracer_calls_run_in_numpy() -> None:
    assert tw.sum(lambda i: i, 4) == 6
