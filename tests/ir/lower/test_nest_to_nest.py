"""Collapsing axes and packing operands change how a nest looks, never what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.pack_operands import contraction, pack_operands
from tilewright.ir.program import Nest, Program, map_steps, nests

CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...], int]] = {
    # function, arguments, outer axes of the last nest once it has been collapsed
    "elementwise": (lambda a: a + 1, (numbers(4, 5, 6),), 1),
    "transposed": (lambda a: a.T + 1, (numbers(4, 5),), 2),
    "inner pair": (lambda a: np.transpose(a, (1, 0, 2, 3)) * 2, (numbers(2, 3, 4, 5),), 3),
    "row added": (lambda a, b: a + b, (numbers(4, 5, 6), numbers(6)), 2),
    "column added": (lambda a, b: a + b, (numbers(4, 5, 6), numbers(4, 1, 1)), 2),
    "sum of two axes": (lambda a: a.sum(axis=(1, 2)), (numbers(3, 4, 5),), 1),
    "sum of outer axes": (lambda a: a.sum(axis=(0, 1)), (numbers(3, 4, 5),), 1),
    "position is data": (lambda a: a + np.arange(6), (numbers(4, 6),), 2),
    "reversed": (lambda a: a[:, ::-1] + 1, (numbers(4, 6),), 2),
    "softmax": (lambda a: np.exp(a - a.max(-1, keepdims=True)), (numbers(3, 4, 5),), 1),
    "window": (lambda a: a[:, 1:] + a[:, :-1], (numbers(4, 6),), 2),
}


def through(program: Program, change: Callable[[Nest], list[Nest]], extra: Any = ()) -> Program:
    def step(old: Any) -> list[Any]:
        return list(change(old)) if isinstance(old, Nest) else [old]

    made = replace(program, steps=map_steps(program.steps, step))
    return replace(made, temporaries=(*program.temporaries, *extra))


def same_results(before: Program, after: Program, arrays: tuple[np.ndarray, ...]) -> None:
    old, new = interpret_program(before, arrays), interpret_program(after, arrays)
    for one, other in zip(old, new, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CASES)
def test_collapsed_axes(name: str) -> None:
    function, arrays, outer = CASES[name]
    program = program_of(function, arrays)
    collapsed = through(program, lambda nest: [collapse_axes(nest)])
    assert len(nests(collapsed.steps)[-1].outer) == outer
    same_results(program, collapsed, arrays)


CONTRACTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...], tuple[int, int]]] = {
    # function, arguments, copies where columns lie across lanes, and where the reduced axis does
    "a @ b.T": (lambda a, b: a @ b.T, (numbers(32, 40), numbers(48, 40)), (1, 0)),
    "a @ b": (lambda a, b: a @ b, (numbers(32, 40), numbers(40, 48)), (0, 1)),
    "a.T @ b": (lambda a, b: a.T @ b, (numbers(40, 32), numbers(40, 48)), (0, 2)),
    "too small": (lambda a, b: a @ b.T, (numbers(4, 8), numbers(4, 8)), (0, 0)),
    "few rows": (lambda a, b: a @ b.T, (numbers(2, 256), numbers(128, 256)), (0, 0)),
    "with bias": (
        lambda a, b, c: a @ b.T + c,
        (numbers(32, 40), numbers(48, 40), numbers(48)),
        (1, 0),
    ),
}


@pytest.mark.parametrize("along", [1, 2], ids=["columns", "dots"])
@pytest.mark.parametrize("name", CONTRACTIONS)
def test_packed_operands(name: str, along: int) -> None:
    function, arrays, wanted = CONTRACTIONS[name]
    program = program_of(function, arrays)
    buffers: list[Any] = []

    def pack(nest: Nest) -> list[Nest]:
        stage = contraction(nest)
        assert stage is not None
        changed, copies, made = pack_operands(nest, (*nest.outer, *stage.reduce_axes)[along])
        buffers.extend(made)
        return [*copies, changed]

    packed = through(program, pack)
    assert len(buffers) == wanted[along - 1]
    same_results(program, replace(packed, temporaries=(*packed.temporaries, *buffers)), arrays)
