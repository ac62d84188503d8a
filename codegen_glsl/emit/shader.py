"""A legal kernel and the texture layouts of its buffers -> one fragment shader.

The kernel is a single fragment loop; what it stores to its one output becomes ``o0``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.codegen_glsl.emit.block import Value
from tilewright.codegen_glsl.emit.fold import render
from tilewright.codegen_glsl.emit.operations import HELPERS
from tilewright.codegen_glsl.emit.statements import StatementEmitter
from tilewright.codegen_glsl.emit.textures import STORED, Samplers, number_of_fragment
from tilewright.codegen_glsl.emit.types import sampler_prefix
from tilewright.codegen_glsl.emit.values import LANES
from tilewright.ir.affine import linear
from tilewright.ir.artifact import TextureLayout
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Expr, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store

HEADER = """\
#version 300 es
precision highp float;
precision highp int;
"""


@dataclass(frozen=True, slots=True)
class Shader:
    """The text of a shader, and the buffers (roots) behind its samplers and its output.

    `counter` is the variable whose value the shader takes from ``u[0]``.
    """

    source: str
    inputs: tuple[Buffer, ...]
    output: Buffer
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
        self.output: Buffer | None = None
        self.texel: Var | None = None

    def shader(self) -> Shader:
        (loop,) = self.kernel.body
        if not isinstance(loop, For) or loop.kind != "fragment":
            raise IRError(f"{self.kernel.name} is not a loop over fragments")
        (target,) = self.kernel.written
        counter = self._bind_counter()
        self._bind_texel(loop, self.layouts[target])
        self.block(loop.body)
        if self.output is not target:
            raise IRError(f"{self.kernel.name} does not store to {target.name}")
        samplers = self.samplers.all()
        source = "\n".join((*self._declarations(target, counter), *self._main(), ""))
        return Shader(HEADER + source, tuple(s.buffer for s in samplers), target, counter)

    def _bind_counter(self) -> Var | None:
        symbols = self.kernel.symbols
        if len(symbols) > 1:
            names = ", ".join(s.name for s in symbols)
            raise UnsupportedError(f"{self.kernel.name} needs several values at run time: {names}")
        if not symbols:
            return None
        self.bindings[symbols[0]] = Value("u[0]", 1, 0)
        return symbols[0]

    def _bind_texel(self, loop: For, layout: TextureLayout) -> None:
        number = number_of_fragment(layout)
        extent = loop.extent
        assert isinstance(extent, int)
        if extent < layout.width * layout.height:
            number = f"min({number}, {extent - 1})"  # fragments past the end repeat the last one
        self.texel = loop.var
        self.function.write("int texel", number)
        self.bindings[loop.var] = Value("texel", 1, 0)

    def store_output(self, stmt: Store) -> None:
        (index,) = stmt.indices
        form = linear(index)
        whole = {LANES, 1} == set(form.terms.values()) and form.constant == 0
        if not whole or self.texel is None or form.coefficient(self.texel) != LANES:
            raise IRError(f"{self.kernel.name} stores elsewhere than to its own texel")
        self.output = stmt.buffer.root
        value: Expr = stmt.value
        self.function.write("o0", self.evaluate_lanes(value))

    def _declarations(self, target: Buffer, counter: Var | None) -> list[str]:
        prefix = sampler_prefix(STORED[self.layouts[target].format])
        lines = [sampler.declaration() for sampler in self.samplers.all()]
        if counter is not None:
            lines.append("uniform int u[1];")
        lines.append(f"layout(location=0) out {prefix}vec4 o0;")
        for op, helper in HELPERS.items():
            if op in self.helpers:
                lines += helper.splitlines()
        for sampler in self.samplers.all():
            lines += sampler.functions()
        return lines

    def _main(self) -> list[str]:
        (block,) = self.function.blocks
        return ["void main() {", *(f"  {line}" for line in render(block.lines)), "}"]
