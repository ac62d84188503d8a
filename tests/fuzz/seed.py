"""One seed: its program run, what it held, and the smallest program for each disagreement."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.fuzz.compare import Finding, Outcome, run_program
from tests.fuzz.generate import generate
from tests.fuzz.modes import run_mode
from tests.fuzz.passes import PassCounter
from tests.fuzz.program import FuzzProgram, shrink
from tilewright.compiler.targets import GPU_TARGETS

Run = Callable[[FuzzProgram, str], Outcome]


@dataclass
class SeedResult:
    """What one program held and did; `findings` are pairs of a key to group by and a text."""

    ops: list[str]
    dtypes: list[str]
    compared: list[str]
    unsupported: list[str]
    modes: list[str]
    passes: list[str]
    elements: dict[str, int]
    findings: list[tuple[str, str]] = field(default_factory=list)


def run_seed(seed: int, targets: Sequence[str], passes: PassCounter) -> SeedResult:
    """The program of a seed on all targets, in the mode of the seed too."""
    program = generate(seed)
    passes.clear()
    outcome = run_program(program, targets)
    run_mode(program, outcome, targets)
    made = SeedResult(
        [s.op for s in program.statements],
        [getattr(a, "dtype", type(a).__name__).__str__() for a in program.arguments.values()],
        outcome.compared,
        outcome.unsupported,
        outcome.modes,
        sorted(passes.changed),
        dict(outcome.elements),
    )
    for finding in outcome.findings[:2]:
        made.findings.append(_described(program, finding))
    return made


def _described(program: FuzzProgram, wanted: Finding) -> tuple[str, str]:
    """The smallest program that shows the same, and a key of what is in it."""
    small, same = program, wanted
    for again in (_plainly, _in_its_mode):
        if _find(program, wanted, again):
            small = shrink(program, partial(_shows, wanted, again))
            same = _find(small, wanted, again) or wanted
            break
    op = ",".join(s.op for s in small.statements)
    if " in " in wanted.kind:  # an exception: grouped by what it says
        op = re.sub(r"\d+", "", _last_lines(same.detail))
    text = f"seed {program.seed}\n{same.detail}\n{small.reproducer()}"
    return f"{wanted.target}: {wanted.kind}: {op}", text


def _shows(wanted: Finding, run: Run, program: FuzzProgram) -> bool:
    return _find(program, wanted, run) is not None


def _plainly(program: FuzzProgram, target: str) -> Outcome:
    return run_program(program, [target])


def _in_its_mode(program: FuzzProgram, target: str) -> Outcome:
    outcome = Outcome()
    run_mode(program, outcome, [target] if target in GPU_TARGETS else ())
    return outcome


def _find(program: FuzzProgram, wanted: Finding, run: Run) -> Finding | None:
    found = run(program, wanted.target).findings
    return next((f for f in found if (f.target, f.kind) == (wanted.target, wanted.kind)), None)


def _last_lines(text: str) -> str:
    """What an exception says, without the frames above."""
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    return " ".join(lines[-3:])[:100]
