"""Several outer axes as one, where what is stored lies in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.lower.traced_programs import program_of
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.flatten_axes import can_flatten, flatten_axes
from tilewright.ir.program import Nest, Program, nests


def traced(function: Callable[..., Any], x: np.ndarray) -> tuple[Program, Nest]:
    program = program_of(function, [x], WORKGROUP)
    (nest,) = nests(program.steps)
    return program, nest


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[1:, 1:],
        lambda x: x[:, ::-1],
        lambda x: np.concatenate([x, x[:, :1]], axis=1),
        lambda x: (x[1:, :-1] > 9, x[1:, 1:].astype(np.float32)),
        lambda x: x[1:, 1:, None] + np.arange(3, dtype=np.uint8),
        lambda x: x[:, :3, None].max(axis=2) + x[:, 1:4],
    ],
)
def test_the_same_is_computed(function: Callable[..., Any]) -> None:
    x = np.arange(35, dtype=np.uint8).reshape(5, 7)
    program, nest = traced(function, x)
    merged = collapse_axes(nest)
    assert can_flatten(merged)
    flat = flatten_axes(merged)
    assert len(flat.outer) == 1
    made = Program(
        program.name, (), program.inputs, program.outputs, program.constants, (), (flat,)
    )
    wanted = function(x)
    found = interpret_program(made, [x])
    for w, f in zip(wanted if isinstance(wanted, tuple) else (wanted,), found, strict=True):
        np.testing.assert_array_equal(f, w)


def test_rows_keep_their_axes() -> None:
    _, nest = traced(lambda x: x / x.max(axis=1, keepdims=True), np.ones((5, 7), np.float32))
    assert not can_flatten(nest)


def test_what_fills_a_part_of_an_array_keeps_its_axes() -> None:
    program = program_of(_halves, [np.ones((5, 7), np.uint8)], WORKGROUP)
    assert not any(can_flatten(nest) for nest in nests(program.steps) if len(nest.outer) > 1)


def _halves(x: Any) -> Any:
    made = np.zeros((5, 7), np.uint8)
    made[:, :3] = x[:, 2:5].max(axis=0)
    for _ in range(2):
        made[1:3, 1:4] += x[1:3, :3]
    return made
