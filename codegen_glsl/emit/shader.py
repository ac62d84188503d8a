"""A legal kernel and the texture layouts of its buffers -> one fragment shader.

The kernel is a single fragment loop; what it stores to its outputs becomes ``o0``, ``o1`` …
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.codegen_glsl.emit.fold import render
from tilewright.codegen_glsl.emit.operations import HELPERS
from tilewright.codegen_glsl.emit.statements import StatementEmitter
from tilewright.codegen_glsl.emit.textures import STORED, Samplers, number_of_fragment
from tilewright.codegen_glsl.emit.types import sampler_prefix
from tilewright.codegen_glsl.emit.values import LANES
from tilewright.ir.analysis.affine import linear
from tilewright.ir.artifact import TextureLayout
from tilewright.ir.emit.environment import Value
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store

HEADER = """\
#version 300 es
precision highp float;
precision highp int;
"""


class Shader(Struct, frozen=True):
    """The text of a shader, and the buffers (roots) behind its samplers and its outputs.

    `counter` is the variable whose value the shader takes from ``u[0]``.
    """

    source: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    counter: Var | None


def emit_shader(kernel: Kernel, layouts: dict[Buffer, TextureLayout]) -> Shader:
    """`layouts` has the layout of every parameter of the kernel."""
    return ShaderEmitter(kernel, layouts).shader()


class ShaderEmitter(StatementEmitter):
    """Builds one shader."""

    def __init__(self, kernel: Kernel, layouts: dict[Buffer, TextureLayout]) -> None:
        super().__init__(Samplers(layouts, kernel.name))
        self.kernel = kernel
        self.layouts = layouts
        self.outputs = kernel.written
        self.texel: Var | None = None

    def shader(self) -> Shader:
        (loop,) = self.kernel.body
        if not isinstance(loop, For) or loop.kind != "fragment":
            raise IRError(f"{self.kernel.name} is not a loop over fragments")
        layouts = {(self.layouts[o].width, self.layouts[o].height) for o in self.outputs}
        if len(layouts) != 1:
            raise IRError(f"the outputs of {self.kernel.name} are not textures of one size")
        counter = self._bind_counter()
        self._bind_texel(loop, self.layouts[self.outputs[0]])
        self.block(loop.body)
        samplers = self.samplers.all()
        source = "\n".join((*self._declarations(counter), *self._main(), ""))
        return Shader(HEADER + source, tuple(s.buffer for s in samplers), self.outputs, counter)

    def _bind_counter(self) -> Var | None:
        symbols = self.kernel.symbols
        if len(symbols) > 1:
            names = ", ".join(s.name for s in symbols)
            raise UnsupportedError(f"{self.kernel.name} needs several values at run time: {names}")
        if not symbols:
            return None
        self.environment.bindings[symbols[0]] = Value("u[0]", 1, 0)
        return symbols[0]

    def _bind_texel(self, loop: For, layout: TextureLayout) -> None:
        number = number_of_fragment(layout)
        extent = loop.extent
        assert isinstance(extent, int)
        if extent < layout.width * layout.height:
            number = f"min({number}, {extent - 1})"  # fragments past the end repeat the last one
        self.texel = loop.var
        self.function.write("int texel", number)
        self.environment.bindings[loop.var] = Value("texel", 1, 0)

    def store_output(self, stmt: Store) -> None:
        (index,) = stmt.indices
        form = linear(index)
        whole = {LANES, 1} == set(form.terms.values()) and form.constant == 0
        if not whole or self.texel is None or form.coefficient(self.texel) != LANES:
            raise IRError(f"{self.kernel.name} stores elsewhere than to its own texel")
        number = self.outputs.index(stmt.buffer.root)
        self.function.write(f"o{number}", self.evaluate_lanes(stmt.value))

    def _declarations(self, counter: Var | None) -> list[str]:
        lines = [sampler.declaration() for sampler in self.samplers.all()]
        if counter is not None:
            lines.append("uniform int u[1];")
        for number, output in enumerate(self.outputs):
            prefix = sampler_prefix(STORED[self.layouts[output].format])
            lines.append(f"layout(location={number}) out {prefix}vec4 o{number};")
            # Compilers then keep to the arithmetic as it is written. Mesa makes `fmax` of
            # ``a > b ? a : b`` otherwise, and 0 of ``a - a``, which NaN shows.
            lines.append(f"invariant o{number};")
        for op, helper in HELPERS.items():
            if op in self.helpers:
                lines += helper.splitlines()
        for sampler in self.samplers.all():
            lines += sampler.functions()
        return lines

    def _main(self) -> list[str]:
        (block,) = self.function.stack
        return ["void main() {", *(f"  {line}" for line in render(block.lines)), "}"]
