"""A compiled fragment shader: from GLSL ES 3.00 source to something that can be drawn.

The vertex shader is the same for every kernel: one triangle that covers the viewport, made from the
vertex number, so that no vertex buffer exists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, cast

from tilewright.ir.errors import DeviceError, IRError
from tilewright.ir.text.numbered import numbered

if TYPE_CHECKING:
    from collections import deque

    import moderngl

VERSION_LINE = "#version 300 es"

# (-1, -1), (3, -1), (-1, 3): one triangle, not two, so that no fragment lies on an inner edge.
VERTEX_SHADER = f"""{VERSION_LINE}
void main() {{
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  gl_Position = vec4(corner * 4.0 - 1.0, 0.0, 1.0);
}}
"""


class Releasable(Protocol):
    """An object of the driver's that is freed by hand, on the context's thread."""

    def release(self) -> None: ...


_SAMPLER = re.compile(r"t(\d+)")
_UNIFORMS = "u"


class Shader:
    """One program object with its samplers bound to the texture units of their numbers."""

    def __init__(
        self, context: moderngl.Context, name: str, source: str, garbage: deque[Releasable]
    ) -> None:
        self.name = name
        self._garbage = garbage
        self._program = _compile(context, name, source)
        self._vertices = context.vertex_array(self._program, [])
        self._mode = context.TRIANGLES
        self._uniforms: moderngl.Uniform | None = None
        self._uniform_bytes = b""
        for member in self._program:
            self._set_up_uniform(member)

    def draw(self, uniforms: bytes) -> None:
        """Cover the current viewport; `uniforms` are the 32-bit values of ``u``."""
        if self._uniforms is not None and uniforms != self._uniform_bytes:
            # The driver may have dropped the last elements of `u` if the shader reads none of them.
            self._uniforms.write(uniforms[: 4 * self._uniforms.array_length])
            self._uniform_bytes = uniforms
        self._vertices.render(self._mode, 3)

    def __del__(self) -> None:
        # May run on any thread: the context releases the objects before its next job. A shader
        # that did not compile has nothing to release.
        if hasattr(self, "_vertices"):
            self._garbage.append(self._vertices)
            self._garbage.append(self._program)

    def _set_up_uniform(self, member: str) -> None:
        uniform = cast("moderngl.Uniform", self._program[member])
        sampler = _SAMPLER.fullmatch(member)
        if sampler:
            uniform.value = int(sampler[1])
        elif member == _UNIFORMS:
            self._uniforms = uniform
        elif not member.startswith("gl_"):
            raise IRError(f"shader {self.name!r} declares uniform {member!r}, which is never set")


def _compile(context: moderngl.Context, name: str, source: str) -> moderngl.Program:
    try:
        return context.program(vertex_shader=VERTEX_SHADER, fragment_shader=source)
    except Exception as error:  # moderngl.Error, which derives from nothing narrower
        raise DeviceError(
            f"shader {name!r} of target 'glsl' was refused by {context.info['GL_RENDERER']}\n"
            f"{compiler_log(str(error))}\n{numbered(source)}"
        ) from None


def compiler_log(text: str) -> str:
    """The driver's own lines of moderngl's message."""
    kept = [line for line in text.splitlines() if line.strip() and set(line.strip()) != {"="}]
    return "\n".join(kept)
