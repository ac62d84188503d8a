"""Fetching elements of linear arrays from textures: declarations and functions of a shader.

In: which buffers the shader reads, and how. Out: sampler uniforms ``t0 …`` and for each of them the
functions that are used: ``texel0(i)`` is four elements from ``4 i``, ``element0(i)`` is one, and
``span0(i)`` is four that begin anywhere.
"""

from __future__ import annotations

from msgspec import Struct, field

from tilewright.codegen_glsl.emit.types import sampler_prefix
from tilewright.ir.artifact import TextureLayout
from tilewright.ir.dtypes import F32, I32, U32, DType
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.kernel import Buffer

MOST_SAMPLERS = 16
FETCHES = {"texel": 1, "element": 1, "span": 2}
"""The functions that read a texture, and how many texels each fetches."""
STORED = {"rgba32f": F32, "rgba32i": I32, "rgba32ui": U32}


class Sampler(Struct):
    """One texture that the shader reads, and the functions over it that it needs."""

    number: int
    buffer: Buffer
    layout: TextureLayout
    used: set[str] = field(default_factory=set)

    @property
    def dtype(self) -> DType:
        return STORED[self.layout.format]

    @property
    def last_texel(self) -> int:
        return self.layout.width * self.layout.height - 1

    def call(self, function: str, argument: str) -> str:
        """A call of one of the functions, which is then declared."""
        self.used.add(function)
        return f"{function}{self.number}({argument})"

    def declaration(self) -> str:
        return f"uniform highp {sampler_prefix(self.dtype)}sampler2D t{self.number};"

    def functions(self) -> list[str]:
        """The definitions, those that others call first."""
        if not self.used:
            return []
        number = self.number
        prefix = sampler_prefix(self.dtype)
        vector, scalar = f"{prefix}vec4", {"": "float", "i": "int", "u": "uint"}[prefix]
        place = place_of_texel(self.layout)
        lines = [f"{vector} texel{number}(int i) {{ return texelFetch(t{number}, {place}, 0); }}"]
        if "element" in self.used:
            lines.append(
                f"{scalar} element{number}(int i) {{ return texel{number}(i >> 2)[i & 3]; }}"
            )
        if "span" in self.used:
            lines += [
                f"{vector} span{number}(int i) {{",
                f"  int skip = i & 3, next = min((i + 3) >> 2, {self.last_texel});",
                f"  {vector} a = texel{number}(i >> 2), b = texel{number}(next);",
                f"  return skip == 0 ? a : skip == 1 ? {vector}(a.yzw, b.x)",
                f"    : skip == 2 ? {vector}(a.zw, b.xy) : {vector}(a.w, b.xyz);",
                "}",
            ]
        return lines


def place_of_texel(layout: TextureLayout) -> str:
    """Column and row of texel ``i``; widths are powers of two."""
    width = layout.width
    if layout.height == 1:
        return "ivec2(i, 0)"
    if width == 1:
        return "ivec2(0, i)"
    return f"ivec2(i & {width - 1}, i >> {width.bit_length() - 1})"


def number_of_fragment(layout: TextureLayout) -> str:
    """The texel that a fragment makes."""
    if layout.height == 1:
        return "int(gl_FragCoord.x)"
    if layout.width == 1:
        return "int(gl_FragCoord.y)"
    shift = layout.width.bit_length() - 1
    return f"int(gl_FragCoord.y) << {shift} | int(gl_FragCoord.x)"


class Samplers:
    """The samplers of one shader, numbered in order of first use."""

    def __init__(self, layouts: dict[Buffer, TextureLayout], name: str) -> None:
        self._layouts = layouts
        self._name = name
        self._samplers: dict[Buffer, Sampler] = {}

    def of(self, buffer: Buffer) -> Sampler:
        """The sampler of a buffer's storage."""
        root = buffer.root
        found = self._samplers.get(root)
        if found is None:
            number = len(self._samplers)
            if number == MOST_SAMPLERS:
                raise UnsupportedError(
                    f"{self._name} reads more than {MOST_SAMPLERS} arrays, and a fragment shader "
                    "may not",
                    help="split the computation into several kernels",
                )
            found = self._samplers[root] = Sampler(number, root, self._layouts[root])
        return found

    def all(self) -> tuple[Sampler, ...]:
        return tuple(self._samplers.values())
