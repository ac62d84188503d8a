"""Steps that read constants alone run once: which ones do, and that results stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.parser import parse_program
from tilewright.ir.passes.hoist_constant_steps import hoist_constant_steps
from tilewright.ir.program import Program
from tilewright.ir.verify import verify_program

HEAD = """
program p(x: f32[4]) -> (y: f32[4]) {
  constant c: f32[4] = [1.0, 2.0, 3.0, 4.0]
  temporary s: f32[4]
  temporary t: f32[4]
"""
X = np.array([5, -1, 0.5, 2], np.float32)


def launch(name: str, target: str, value: str) -> str:
    buffers = [b for b in "cxst" if f"{b}[" in value or b == target]
    given = ", ".join([*buffers, "y"] if target == "y" else buffers)
    return f"  launch {name}({given}) {{ for serial i < 4 {{ {target}[i] = {value} }} }}\n"


def program_of(*steps: tuple[str, str]) -> Program:
    text = "".join(launch(f"k{n}", target, value) for n, (target, value) in enumerate(steps))
    program = parse_program(f"{HEAD}{text}}}\n")
    verify_program(program)
    return program


@pytest.mark.parametrize(
    ("steps", "once", "packed"),
    [
        ([("t", "c[i] * 2.0:f32"), ("y", "t[i] + x[i]")], "k0", "t"),
        # What is made of what is hoisted follows it.
        ([("s", "c[i] * 2.0:f32"), ("t", "s[i] + c[i]"), ("y", "t[i] + x[i]")], "k0 k1", "s t"),
        ([("s", "x[i]"), ("t", "c[3 - i]"), ("y", "t[i] + s[i]")], "k1", "t"),
        # An input, through another buffer too.
        ([("t", "c[i] + x[i]"), ("y", "t[i]")], "", ""),
        ([("s", "x[i]"), ("t", "s[i] + c[i]"), ("y", "t[i]")], "", ""),
        # Outputs are written at each call.
        ([("y", "c[i]")], "", ""),
        # Written again later: the first step has to run again, too.
        ([("t", "c[i]"), ("s", "t[i]"), ("t", "x[i]"), ("y", "t[i] + s[i]")], "", ""),
    ],
)
def test_what_depends_on_constants_alone(
    steps: list[tuple[str, str]], once: str, packed: str
) -> None:
    before = program_of(*steps)
    after = hoist_constant_steps(before)
    verify_program(after)
    assert [step.kernel.name for step in after.init] == once.split()  # type: ignore[union-attr]
    assert [b.name for b in after.packed] == packed.split()
    assert len(after.init) + len(after.steps) == len(steps)
    assert not {b.name for b in after.temporaries} & set(packed.split())
    for one, other in zip(
        interpret_program(before, [X]), interpret_program(after, [X]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_repeat_that_writes_a_buffer_keeps_it() -> None:
    again = launch("k1", "t", "t[i] + x[i]")
    text = launch("k0", "t", "c[i]") + f"  repeat n < 3 {{ {again} }}\n"
    program = parse_program(f"{HEAD}{text}{launch('k2', 'y', 't[i]')}}}\n")
    after = hoist_constant_steps(program)
    assert after.init == ()
    assert after.steps == program.steps
