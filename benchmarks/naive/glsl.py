"""Naive GLSL ES 3.00: see `benchmarks.naive`.

One element per texel and one texel per fragment: R32F textures as wide as a row of the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct

from benchmarks.naive import NaivePrograms, NaiveRun, Shape
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.shader import VERTEX_SHADER
from tilewright.compiler.runtime import runtime

if TYPE_CHECKING:
    from tilewright.codegen_glsl.context import GlContext

_HEAD: Final = """#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D a;
uniform highp sampler2D b;
out vec4 o;
void main() {{
  int x = int(gl_FragCoord.x);
  int y = int(gl_FragCoord.y);
{body}}}
"""
_PRODUCT: Final = """
  float total = 0.0;
  for (int k = 0; k < {k}; k++) {{
    total += texelFetch(a, ivec2(k, y), 0).r * texelFetch(b, ivec2(x, k), 0).r;
  }}
  o = vec4(total);
"""
_CONVOLUTION: Final = """
  int filter_ = x % {f};
  int column = x / {f};
  float total = 0.0;
  for (int i = 0; i < {kh}; i++) {{
    for (int j = 0; j < {kw}; j++) {{
      for (int c = 0; c < {c}; c++) {{
        float pixel = texelFetch(a, ivec2((column + j) * {c} + c, y + i), 0).r;
        total += pixel * texelFetch(b, ivec2(filter_, (i * {kw} + j) * {c} + c), 0).r;
      }}
    }}
  }}
  o = vec4(total);
"""
_ROW_MAX: Final = """
  float most = texelFetch(a, ivec2(0, y), 0).r;
  for (int k = 1; k < {n}; k++) {{
    most = max(most, texelFetch(a, ivec2(k, y), 0).r);
  }}
  o = vec4(most);
"""
_EXP: Final = """
  o = vec4(exp(texelFetch(a, ivec2(x, y), 0).r - texelFetch(b, ivec2(0, y), 0).r));
"""
_ROW_SUM: Final = """
  float total = 0.0;
  for (int k = 0; k < {n}; k++) {{
    total += texelFetch(a, ivec2(k, y), 0).r;
  }}
  o = vec4(total);
"""
_DIVIDE: Final = """
  o = vec4(texelFetch(a, ivec2(x, y), 0).r / texelFetch(b, ivec2(0, y), 0).r);
"""

Size = tuple[int, int]


class _Pass(Struct, frozen=True):
    """A shader, the numbers of the textures that it reads, and of the one that it writes."""

    body: str
    reads: tuple[int, ...]
    writes: int


class _Program:
    """Textures of the sizes (width, height), drawn to pass by pass; the last one is the result."""

    def __init__(
        self, sizes: Sequence[Size], inputs: int, passes: Sequence[_Pass], shape: Shape
    ) -> None:
        self.sizes, self.passes, self.shape = sizes, passes, shape
        device = runtime().webgl
        assert isinstance(device, GlDevice), "it draws through moderngl"
        self.device = device
        self.inputs = inputs
        self.device.run(self._make)

    def _make(self, context: GlContext) -> None:
        gl = context.gl
        self.textures = [gl.texture(size, 1, dtype="f4") for size in self.sizes]
        for texture in self.textures:
            texture.filter = (gl.NEAREST, gl.NEAREST)
        self.targets = [gl.framebuffer([self.textures[p.writes]]) for p in self.passes]
        self.shaders = []
        for made in self.passes:
            text = _HEAD.format(body=made.body)
            program = gl.program(vertex_shader=VERTEX_SHADER, fragment_shader=text)
            for unit, name in enumerate("ab"[: len(made.reads)]):
                program[name] = unit
            self.shaders.append(gl.vertex_array(program, []))

    def __call__(
        self, arrays: Sequence[Any], outputs: None = None, *, on_device: bool = False
    ) -> list[np.ndarray]:
        """`arrays` are uploaded and the result read back, unless what is there is used again."""
        if on_device:
            self.device.run(self._draw)
            return []
        return self.device.run(lambda context: self._whole(context, arrays))

    def _whole(self, context: GlContext, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        for texture, array in zip(self.textures[: self.inputs], arrays, strict=True):
            texture.write(np.ascontiguousarray(array))
        self._draw(context)
        words = np.empty(self.shape, np.float32)
        self.targets[-1].read_into(words, components=1, dtype="f4")
        return [words]

    def _draw(self, context: GlContext) -> None:
        for made, target, shader in zip(self.passes, self.targets, self.shaders, strict=True):
            target.use()
            for unit, number in enumerate(made.reads):
                self.textures[number].use(unit)
            shader.render(context.gl.TRIANGLES, 3)


def _product(a: Shape, b: Shape) -> NaiveRun:
    (m, k), n = a, b[1]
    draw = _Pass(_PRODUCT.format(k=k), (0, 1), 2)
    return _Program([(k, m), (n, k), (n, m)], 2, [draw], (m, n))


def _convolution(x: Shape, w: Shape) -> NaiveRun:
    (height, width, channels), (kh, kw, _, filters) = x, w
    out = (height - kh + 1, width - kw + 1, filters)
    body = _CONVOLUTION.format(f=filters, c=channels, kh=kh, kw=kw)
    sizes = [(width * channels, height), (filters, prod(w[:3])), (out[1] * filters, out[0])]
    return _Program(sizes, 2, [_Pass(body, (0, 1), 2)], out)


def _softmax(x: Shape) -> NaiveRun:
    rows, n = x
    passes = [
        _Pass(_ROW_MAX.format(n=n), (0,), 1),
        _Pass(_EXP, (0, 1), 2),
        _Pass(_ROW_SUM.format(n=n), (2,), 3),
        _Pass(_DIVIDE, (2, 3), 4),
    ]
    return _Program([(n, rows), (1, rows), (n, rows), (1, rows), (n, rows)], 1, passes, x)


PROGRAMS: Final[NaivePrograms] = {
    "product": _product,
    "convolution": _convolution,
    "softmax": _softmax,
}
