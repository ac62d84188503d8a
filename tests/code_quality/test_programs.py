"""A network is few shaders: each distinct one is compiled, which browsers take their time for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tilewright as tw
from tests.code_quality.models import (
    encoder,
    encoder_arguments,
    separable_arguments,
    separable_network,
)
from tilewright.ir.artifact import Repeat, ShaderLaunch, Step

MOST_PROGRAMS = 40


def programs(function: Callable[..., Any], arguments: Sequence[Any], target: str) -> int:
    """The distinct shaders of a function."""
    made = tw.kernel(function).compile(*arguments, target=target)
    return len(_sources(made.specialization.artifact.program.steps))


def _sources(steps: Sequence[Step]) -> set[str]:
    found: set[str] = set()
    for step in steps:
        if isinstance(step, ShaderLaunch):
            found.add(step.source)
        elif isinstance(step, Repeat):
            found |= _sources(step.steps)
    return found


def test_a_network_of_28_convolutions_is_few_programs() -> None:
    assert programs(separable_network, separable_arguments(), "glsl") <= MOST_PROGRAMS


def test_layers_share_their_programs() -> None:
    """Those of six layers are those of twelve."""
    six = programs(encoder, encoder_arguments(6), "glsl")
    assert six <= MOST_PROGRAMS
    assert programs(encoder, encoder_arguments(12), "glsl") == six
