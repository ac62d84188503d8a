"""Each rule of `check_program`, broken once; no device."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.codegen_glsl.programs import buffer, launch, program
from tilewright.codegen_glsl.check import check_program
from tilewright.codegen_glsl.probe import GlFacts
from tilewright.ir.artifact import CopyBuffer, GpuProgram, Repeat, TextureLayout
from tilewright.ir.errors import IRError, LimitError

FACTS = GlFacts("a device", "1", 4096, 2, 3, keeps_subnormals=True, keeps_nan=True)
FETCH = "  o0 = texelFetch(t0, at0(texel), 0);"
BUFFERS = [buffer("input", (9,)), buffer("temporary", (9,)), buffer("output", (9,))]
STEP = launch(BUFFERS, (0,), (2,), FETCH)
GOOD = program(BUFFERS, STEP)


def with_step(**changes: object) -> GpuProgram:
    return program(BUFFERS, structs.replace(STEP, **changes))


def with_output(**changes: object) -> GpuProgram:
    spec = structs.replace(BUFFERS[2], **changes)
    return program([*BUFFERS[:2], spec], STEP)


WIDE = TextureLayout(8192, 1, "rgba32f")

BROKEN: dict[str, tuple[GpuProgram, str]] = {
    "target": (structs.replace(GOOD, target="wgsl"), "for target 'wgsl'"),
    "feedback": (with_step(outputs=(0,)), "reads and writes buffer 0 in one launch"),
    "uninitialised": (
        program(BUFFERS, launch(BUFFERS, (1,), (2,), FETCH)),
        "reads buffer 1 before anything is written to it",
    ),
    "uninitialised repeat": (
        program(BUFFERS, Repeat(0, (CopyBuffer(0, 1),)), CopyBuffer(1, 2)),
        "a copy reads buffer 1 before",
    ),
    "unwritten output": (program(BUFFERS), r"outputs \[2\] are never written"),
    "writes an input": (
        program(BUFFERS, launch(BUFFERS, (), (0,), "  o0 = vec4(0.0);"), STEP),
        "writes buffer 0, which has role 'input'",
    ),
    "one output twice": (with_step(outputs=(2, 2)), r"writes a buffer twice: \(2, 2\)"),
    "grid": (with_step(grid=(2, 3, 1)), r"has grid \(2, 3, 1\) and draws to a texture of 2 x 2"),
    "samplers": (with_step(bindings=()), "declares the samplers {0: 'rgba32f'}"),
    "uniforms": (with_step(uniforms=(1,)), "declares 0 uniforms and gets 1"),
    "uniform value": (
        program(BUFFERS, launch(BUFFERS, (0,), (2,), FETCH, uniforms=(2**31,))),
        "uniform 2147483648, which is not an int of 32 bits",
    ),
    "no layout": (with_output(texture=None), r"shape \(9,\) has no texture layout"),
    "format": (with_output(storage="int32"), "stores int32 in a texture of rgba32f"),
    "capacity": (
        with_output(texture=TextureLayout(2, 1, "rgba32f")),
        "holds 9 words and its texture 2 x 1 has room for 8",
    ),
    "copy": (
        program(
            [BUFFERS[0], buffer("output", (9,), "int32")],
            CopyBuffer(0, 1),
        ),
        "is not between two textures of one layout",
    ),
    "inputs": (structs.replace(GOOD, inputs=()), "are not the buffers with role 'input'"),
    "negative repeat": (program(BUFFERS, Repeat(-1, (STEP,))), "negative count -1"),
}

TOO_MUCH: dict[str, tuple[GpuProgram, str]] = {
    "texture size": (with_output(texture=WIDE), "texture of 8192 x 1 texels, and a device allows"),
    "outputs": (
        program(
            [buffer("input", (9,)), *[buffer("output", (9,)) for _ in range(3)]],
            launch([BUFFERS[2]] * 4, (0,), (1, 2, 3), FETCH),
        ),
        "writes 3 arrays at once, and a device allows 1 to 2",
    ),
    "inputs": (
        program(
            [*[buffer("input", (9,)) for _ in range(4)], buffer("output", (9,))],
            launch([BUFFERS[2]] * 5, (0, 1, 2, 3), (4,), FETCH),
        ),
        "reads 4 arrays, and a device allows 3",
    ),
}


def test_the_program_that_the_others_are_made_from_is_right() -> None:
    check_program(GOOD, FACTS)


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_rule(rule: str) -> None:
    broken, message = BROKEN[rule]
    with pytest.raises(IRError, match=message):
        check_program(broken, FACTS)


@pytest.mark.parametrize("limit", TOO_MUCH)
def test_limit_of_the_device(limit: str) -> None:
    too_much, message = TOO_MUCH[limit]
    with pytest.raises(LimitError, match=message):
        check_program(too_much, FACTS)


def test_sampler_of_another_type_than_its_texture() -> None:
    buffers = [buffer("input", (9,), "int32"), buffer("output", (9,))]
    step = launch(BUFFERS, (0,), (2,), FETCH)
    wrong = structs.replace(step, outputs=(1,))
    with pytest.raises(IRError, match=r"{0: 'rgba32f'}; its textures are {0: 'rgba32i'}"):
        check_program(program(buffers, wrong), FACTS)


def test_limits_of_the_device_may_be_reached() -> None:
    needed = {"max_texture_size": 2, "max_draw_buffers": 1, "max_texture_units": 1}
    textures = [spec.texture for spec in BUFFERS]
    assert max(max(t.width, t.height) for t in textures if t) == 2
    check_program(GOOD, structs.replace(FACTS, **needed))
    for limit, value in needed.items():
        with pytest.raises(LimitError):
            check_program(GOOD, structs.replace(FACTS, **{**needed, limit: value - 1}))
