"""Rules that a GLSL program must keep before a device may run it.

OpenGL answers most of these mistakes with undefined results and not with an error (a texture that
is read and drawn to, a float sampler on an integer texture), so they are found here. Breaking a
rule is our bug (`IRError`); needing more than the device has is a `LimitError`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tilewright.codegen_glsl.shader import VERSION_LINE
from tilewright.codegen_glsl.texture import FORMATS, capacity, texture_of
from tilewright.ir.artifact import CopyBuffer, Repeat, ShaderLaunch
from tilewright.ir.errors import IRError, LimitError
from tilewright.ir.transfer import word_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tilewright.codegen_glsl.probe import GlFacts
    from tilewright.ir.artifact import GpuProgram, Step, TextureLayout

_SAMPLER = re.compile(r"uniform highp ([iu]?)sampler2D t(\d+);")
_OUTPUT = re.compile(r"layout\(location *= *(\d+)\) out (?:highp )?([iu]?)vec4 o\d+;")
_UNIFORMS = re.compile(r"uniform (?:highp )?int u\[(\d+)\];")
_FORMAT_OF_PREFIX = {"": "rgba32f", "i": "rgba32i", "u": "rgba32ui"}


def check_program(program: GpuProgram, facts: GlFacts) -> None:
    """Raise if `program` cannot run as it is on the device that `facts` describe."""
    if program.target != "glsl":
        raise IRError(f"a program for target {program.target!r} was given to a 'glsl' device")
    for index in range(len(program.buffers)):
        _check_buffer(program, index, facts)
    written = {i for i, b in enumerate(program.buffers) if b.role in ("input", "constant")}
    if set(program.inputs) != {i for i, b in enumerate(program.buffers) if b.role == "input"}:
        raise IRError(f"inputs {program.inputs} are not the buffers with role 'input'")
    _check_steps(program, program.steps, written, facts)
    missing = set(program.outputs) - written
    if missing:
        raise IRError(f"outputs {sorted(missing)} are never written")


def _check_buffer(program: GpuProgram, index: int, facts: GlFacts) -> None:
    spec = program.buffers[index]
    layout = texture_of(spec)
    if FORMATS.get(spec.storage) != layout.format:
        raise IRError(f"buffer {index} stores {spec.storage} in a texture of {layout.format}")
    if capacity(layout) < word_count(spec):
        raise IRError(
            f"buffer {index} holds {word_count(spec)} words and its texture "
            f"{layout.width} x {layout.height} has room for {capacity(layout)}"
        )
    if max(layout.width, layout.height) > facts.max_texture_size:
        raise LimitError(
            f"an array of shape {spec.shape} needs a texture of {layout.width} x {layout.height} "
            f"texels, and {facts.renderer} allows {facts.max_texture_size} in one direction"
        )


def _check_steps(
    program: GpuProgram, steps: Iterable[Step], written: set[int], facts: GlFacts
) -> None:
    """Check `steps` in order; `written` grows by what they write."""
    for step in steps:
        match step:
            case ShaderLaunch():
                _check_launch(program, step, written, facts)
                written.update(step.outputs)
            case CopyBuffer():
                _check_copy(program, step, written)
                written.add(step.destination)
            case Repeat():
                if step.count < 0:
                    raise IRError(f"a repeat has the negative count {step.count}")
                # What a repeat of no iterations "writes" is still undefined after it.
                inside = written if step.count else set(written)
                _check_steps(program, step.steps, inside, facts)


def _check_launch(
    program: GpuProgram, launch: ShaderLaunch, written: set[int], facts: GlFacts
) -> None:
    who = f"shader {launch.name!r}"
    both = set(launch.bindings) & set(launch.outputs)
    if both:
        raise IRError(f"{who} reads and writes buffer {min(both)} in one launch")
    _check_destinations(program, launch.outputs, who)
    _check_reads(launch.bindings, written, who)
    if not 1 <= len(launch.outputs) <= facts.max_draw_buffers:
        raise LimitError(
            f"{who} writes {len(launch.outputs)} arrays at once, and {facts.renderer} allows 1 to "
            f"{facts.max_draw_buffers}"
        )
    if len(launch.bindings) > facts.max_texture_units:
        raise LimitError(
            f"{who} reads {len(launch.bindings)} arrays, and {facts.renderer} allows "
            f"{facts.max_texture_units}"
        )
    _check_grid(launch, [texture_of(program.buffers[i]) for i in launch.outputs], who)
    _check_declarations(program, launch, who)


def _check_copy(program: GpuProgram, step: CopyBuffer, written: set[int]) -> None:
    _check_destinations(program, (step.destination,), "a copy")
    _check_reads((step.source,), written, "a copy")
    source, destination = program.buffers[step.source], program.buffers[step.destination]
    if step.source == step.destination or source.texture != destination.texture:
        raise IRError(
            f"a copy of buffer {step.source} ({source.texture}) to buffer {step.destination} "
            f"({destination.texture}) is not between two textures of one layout"
        )


def _check_destinations(program: GpuProgram, outputs: tuple[int, ...], who: str) -> None:
    if len(set(outputs)) != len(outputs):
        raise IRError(f"{who} writes a buffer twice: {outputs}")
    for index in outputs:
        role = program.buffers[index].role
        if role in ("input", "constant"):
            raise IRError(f"{who} writes buffer {index}, which has role {role!r}")


def _check_reads(bindings: tuple[int, ...], written: set[int], who: str) -> None:
    unwritten = set(bindings) - written
    if unwritten:
        raise IRError(f"{who} reads buffer {min(unwritten)} before anything is written to it")


def _check_grid(launch: ShaderLaunch, targets: list[TextureLayout], who: str) -> None:
    for layout in targets:
        if (layout.width, layout.height, 1) != launch.grid:
            raise IRError(
                f"{who} has grid {launch.grid} and draws to a texture of "
                f"{layout.width} x {layout.height} texels"
            )


def _check_declarations(program: GpuProgram, launch: ShaderLaunch, who: str) -> None:
    """What the source declares fits the textures that it will meet."""
    if not launch.source.startswith(VERSION_LINE):
        raise IRError(f"{who} does not begin with {VERSION_LINE!r}")
    samplers = {int(m[2]): _FORMAT_OF_PREFIX[m[1]] for m in _SAMPLER.finditer(launch.source)}
    outputs = {int(m[1]): _FORMAT_OF_PREFIX[m[2]] for m in _OUTPUT.finditer(launch.source)}
    for kind, declared, indexes in (
        ("samplers", samplers, launch.bindings),
        ("outputs", outputs, launch.outputs),
    ):
        found = dict(enumerate(texture_of(program.buffers[i]).format for i in indexes))
        if declared != found:
            raise IRError(f"{who} declares the {kind} {declared}; its textures are {found}")
    uniforms = _UNIFORMS.search(launch.source)
    declared_count = int(uniforms[1]) if uniforms else 0
    if declared_count != len(launch.uniforms):
        raise IRError(f"{who} declares {declared_count} uniforms and gets {len(launch.uniforms)}")
    for value in launch.uniforms:
        if not -(2**31) <= value < 2**31:
            raise IRError(f"{who} has the uniform {value}, which is not an int of 32 bits")
