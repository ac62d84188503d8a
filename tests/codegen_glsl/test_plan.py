"""When textures are needed: from the first step that uses them to the last."""

from __future__ import annotations

from tests.codegen_glsl.programs import buffer, launch, program
from tilewright.codegen_glsl.plan import buffers_of, plan_textures
from tilewright.ir.artifact import CopyBuffer, GpuProgram, Repeat, ShaderLaunch

INPUT, CONSTANT, FIRST, SECOND, OUTPUT, STATE = range(6)
BUFFERS = [
    *(buffer("input", (8,)), buffer("constant", (8,)), buffer("temporary", (8,))),
    *(buffer("temporary", (8,)), buffer("output", (8,)), buffer("output", (8,))),
]


def step(reads: tuple[int, ...], *writes: int) -> ShaderLaunch:
    return launch(BUFFERS, reads, writes, "")


def lifetimes(made: GpuProgram) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    planned = plan_textures(made)
    assert [p.step for p in planned] == list(made.steps)
    return [(p.acquire, p.release) for p in planned]


def test_temporaries_live_between_their_first_and_their_last_use() -> None:
    steps = (
        step((INPUT,), FIRST),
        step((FIRST, CONSTANT), SECOND),
        step((FIRST,), OUTPUT),
        step((SECOND,), STATE),
    )
    assert lifetimes(program(BUFFERS, *steps)) == [
        ((FIRST,), (INPUT,)),
        ((SECOND,), (CONSTANT,)),
        ((OUTPUT,), (FIRST,)),
        ((STATE,), (SECOND,)),
    ]


def test_a_repeat_is_one_step() -> None:
    """What a round writes, the next one may read."""
    rounds = Repeat(3, (step((STATE,), FIRST), CopyBuffer(FIRST, STATE)))
    made = program(BUFFERS, CopyBuffer(INPUT, STATE), rounds, CopyBuffer(STATE, OUTPUT))
    assert lifetimes(made) == [((STATE,), (INPUT,)), ((FIRST,), (FIRST,)), ((OUTPUT,), ())]
    assert list(buffers_of(rounds)) == [STATE, FIRST, FIRST, STATE]


def test_outputs_and_what_is_never_read() -> None:
    """An output that is read again stays; what nobody reads is free behind its step."""
    made = program(BUFFERS, step((INPUT,), OUTPUT), step((OUTPUT,), FIRST), step((INPUT,), STATE))
    assert lifetimes(made) == [((OUTPUT,), ()), ((FIRST,), (FIRST,)), ((STATE,), (INPUT,))]
