"""What GLSL code is compiled for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tilewright.codegen_glsl.texture import DEFAULT_WIDTH

Float64Mode = Literal["error", "f32"]


class GlslOptions(Struct, frozen=True):
    """`f64` says what becomes of float64: an error, or float32. `fast`: operations in their
    fast forms, built-in functions among them. Textures have at most `max_texture_size` texels in
    one direction, and at most `texture_width` where that suffices.
    """

    f64: Float64Mode = "error"
    fast: bool = False
    max_texture_size: int = DEFAULT_WIDTH * 8
    texture_width: int = DEFAULT_WIDTH
