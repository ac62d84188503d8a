"""Handwritten GLSL programs, in the conventions that the emitter follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.codegen_glsl.texture import layout_for, storage_for
from tilewright.ir.artifact import BufferSpec, GpuProgram, ShaderLaunch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.ir.artifact import Role, Step

HEADER = """#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
precision highp usampler2D;
"""
_PREFIX = {"float32": "", "int32": "i", "uint32": "u"}


def buffer(
    role: Role, shape: tuple[int, ...], dtype: str = "float32", *, width: int = 2048
) -> BufferSpec:
    size = 1
    for extent in shape:
        size *= extent
    storage = storage_for(dtype)
    return BufferSpec(
        role, dtype, storage, shape, size, texture=layout_for(size, storage, width=width)
    )


def launch(
    buffers: Sequence[BufferSpec],
    bindings: tuple[int, ...],
    outputs: tuple[int, ...],
    body: str,
    *,
    uniforms: tuple[int, ...] = (),
    name: str = "test",
) -> ShaderLaunch:
    """A shader whose `body` sees its own ``texel``, and ``at<k>(texel)``, its place in ``t<k>``."""
    layout = buffers[outputs[0]].texture
    assert layout is not None
    lines = [HEADER]
    for k, index in enumerate(bindings):
        lines.append(f"uniform highp {_PREFIX[buffers[index].storage]}sampler2D t{k};")
    for k, index in enumerate(outputs):
        lines.append(f"layout(location={k}) out {_PREFIX[buffers[index].storage]}vec4 o{k};")
    if uniforms:
        lines.append(f"uniform int u[{len(uniforms)}];")
    for k, index in enumerate(bindings):
        texture = buffers[index].texture
        assert texture is not None
        w = texture.width
        lines.append(f"ivec2 at{k}(int texel) {{ return ivec2(texel % {w}, texel / {w}); }}")
    lines += [
        "void main() {",
        f"  int texel = int(gl_FragCoord.y) * {layout.width} + int(gl_FragCoord.x);",
        body,
        "}",
    ]
    grid = (layout.width, layout.height, 1)
    return ShaderLaunch(name, "\n".join(lines), "main", bindings, outputs, grid, uniforms)


def program(buffers: Sequence[BufferSpec], *steps: Step) -> GpuProgram:
    """Inputs and outputs in buffer order."""
    return GpuProgram(
        "glsl",
        tuple(buffers),
        tuple(i for i, spec in enumerate(buffers) if spec.role == "input"),
        tuple(i for i, spec in enumerate(buffers) if spec.role == "output"),
        steps,
    )


def elementwise(body: str, shape: tuple[int, ...], *dtypes: str) -> GpuProgram:
    """``o0 = body`` for inputs ``a``, ``b``, … of `dtypes`; the last one is the output's."""
    buffers = [buffer("input", shape, dtype) for dtype in dtypes[:-1]]
    buffers.append(buffer("output", shape, dtypes[-1]))
    inputs = range(len(buffers) - 1)
    fetches = "\n".join(
        f"  {_PREFIX[buffers[k].storage]}vec4 {'abcd'[k]} = texelFetch(t{k}, at{k}(texel), 0);"
        for k in inputs
    )
    step = launch(buffers, tuple(inputs), (len(buffers) - 1,), f"{fetches}\n  o0 = {body};")
    return program(buffers, step)
