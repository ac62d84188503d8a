"""What a device can do, measured: limits that it states, and arithmetic that it is seen to do.

Extensions and version numbers do not say whether a driver computes with 32 bits: some that offer
float textures store 16. So a device is tried with values that any loss of bits would change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from tilewright.codegen_glsl.texture import layout_for
from tilewright.ir.artifact import BufferSpec, GpuProgram, ShaderLaunch
from tilewright.ir.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.codegen_glsl.context import GlContext
    from tilewright.ir.artifact import Role


class GlFacts(Struct, frozen=True):
    """One device as found."""

    renderer: str
    version: str
    max_texture_size: int
    max_draw_buffers: int
    max_texture_units: int
    keeps_subnormals: bool
    keeps_nan: bool
    half_float: bool = False

    @property
    def is_software(self) -> bool:
        """Whether a processor plays the GPU, as far as the name tells."""
        return is_software(self.renderer)


# MRT to two formats, texelFetch from two, one float product, one large integer.
_SHADER = """#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
uniform highp sampler2D t0;
uniform highp isampler2D t1;
layout(location=0) out vec4 o0;
layout(location=1) out ivec4 o1;
void main() {
  vec4 x = texelFetch(t0, ivec2(0, 0), 0);
  ivec4 n = texelFetch(t1, ivec2(0, 0), 0);
  o0 = vec4(x.x * x.x, x.y, x.z * x.w, x.w);
  o1 = ivec4(n.x, n.y + 1, floatBitsToInt(texelFetch(t0, ivec2(1, 0), 0).xy));
}
"""
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "swrast", "basic render")
_SUBNORMAL = np.float32(1e-40)
_FLOATS = np.array([1.1, 1e-8, _SUBNORMAL, 1.0, np.nan, -0.0, 0.0, 0.0], np.float32)
_INTS = np.array([16777217, -2147483648, 0, 0], np.int32)
_MINUS_ZERO_BITS = -2147483648


def is_software(renderer: str) -> bool:
    """Whether a renderer of this name is a processor, as far as that tells."""
    return any(name in renderer.lower() for name in _SOFTWARE)


def probe(context: GlContext, half_float: bool = False) -> GlFacts:
    """The facts about the device of `context`; `DeviceError` if it cannot run our programs.

    `half_float` says that it keeps floats in 16 bits.
    """
    info = context.gl.info
    return GlFacts(
        renderer=info["GL_RENDERER"],
        version=info["GL_VERSION"],
        max_texture_size=info["GL_MAX_TEXTURE_SIZE"],
        max_draw_buffers=info["GL_MAX_DRAW_BUFFERS"],
        max_texture_units=info["GL_MAX_TEXTURE_IMAGE_UNITS"],
        **judge(*_run_shader(context), half_float),
    )


def self_test() -> tuple[GpuProgram, list[NDArray[np.generic]]]:
    """The self-test as a program and its inputs, for devices that run programs as a whole."""
    specs = (
        _spec("input", _FLOATS),
        _spec("input", _INTS),
        _spec("output", _FLOATS[:4]),
        _spec("output", _INTS),
    )
    launch = ShaderLaunch("self-test", _SHADER, "main", (0, 1), (2, 3), (1, 1, 1))
    return GpuProgram("glsl", specs, (0, 1), (2, 3), (launch,)), [_FLOATS, _INTS]


def judge(
    floats: NDArray[np.generic], ints: NDArray[np.generic], half_float: bool = False
) -> dict[str, bool]:
    """What the results of the self-test say; `DeviceError` if it was failed."""
    if half_float:
        _check_half(floats[0])
    else:
        _check("float32 product 1.1 * 1.1", floats[0], np.float32(1.1) * np.float32(1.1))
        _check("float32 value 1e-8", floats[1], np.float32(1e-8))
    _check("int32 value 16777217", ints[0], np.int32(16777217))
    _check("int32 sum -2147483648 + 1", ints[1], np.int32(-2147483647))
    return {
        "keeps_subnormals": bool(floats[2] == _SUBNORMAL),
        "half_float": half_float,
        "keeps_nan": bool(np.isnan(ints[2].view("f4")) and int(ints[3]) == _MINUS_ZERO_BITS),
    }


def _spec(role: Role, values: NDArray[np.generic]) -> BufferSpec:
    name = values.dtype.name
    layout = layout_for(values.size, name)
    return BufferSpec(role, name, name, values.shape, values.size, texture=layout)


def _run_shader(context: GlContext) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    arena = context.arena
    float_input = arena.acquire(layout_for(_FLOATS.size, "float32"))
    int_input = arena.acquire(layout_for(_INTS.size, "int32"))
    float_output = arena.acquire(layout_for(4, "float32"))
    int_output = arena.acquire(layout_for(4, "int32"))
    context.upload(float_input, _FLOATS)
    context.upload(int_input, _INTS)
    shader = context.shader("self-test", _SHADER)
    context.draw(shader, (float_input, int_input), (float_output, int_output))
    results = context.download(float_output, 4), context.download(int_output, 4)
    context.check()
    return results


def _check_half(product: np.generic) -> None:
    """1.1 times 1.1, each rounded to 16 bits: drivers may round the result up or down."""
    exact = float(np.float16(1.1)) ** 2
    if abs(float(product) - exact) > np.spacing(np.float16(exact)):
        _check("float16 product 1.1 * 1.1", product, np.float32(np.float16(exact)))


def _check(what: str, found: np.generic, expected: np.generic) -> None:
    if found != expected:
        raise DeviceError(
            f"the device failed its self-test: {what} came back as {found!r} instead of "
            f"{expected!r}",
            help="run this kernel on target 'cpu', or use another driver",
        )
