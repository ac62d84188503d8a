"""How many texels a shader fetches, counted without running it.

In: a legal kernel. Out: the `texelFetch`es of all its fragments together. The kernel is emitted
once more, by an emitter that also counts what it writes down.
"""

from __future__ import annotations

import re
from math import prod
from typing import Final

from tilewright.codegen_glsl.emit.function import Block, FunctionText
from tilewright.codegen_glsl.emit.shader import ShaderEmitter
from tilewright.codegen_glsl.emit.textures import FETCHES
from tilewright.codegen_glsl.machine_types import stored_dtype
from tilewright.codegen_glsl.texture import layout_for
from tilewright.ir.analysis.rounds import Rounds
from tilewright.ir.artifact import TextureLayout
from tilewright.ir.emit.environment import Value
from tilewright.ir.kernel import Buffer, For, Kernel

_CALL: Final = re.compile(rf"\b({'|'.join(FETCHES)})\d+\(")


def count_fetches(kernel: Kernel) -> int:
    """By all fragments that the kernel's outputs need."""
    layouts = {b.root: _layout(b.root) for b in kernel.parameters}
    emitter = _CountingEmitter(kernel, layouts)
    emitter.shader()
    return round(emitter.text.fetches * emitter.fragments)


def _layout(buffer: Buffer) -> TextureLayout:
    size = prod(n for n in buffer.shape if isinstance(n, int))
    return layout_for(size, stored_dtype(buffer.dtype).name)


class _CountingText(FunctionText):
    """The text of a function, and the fetches of one fragment in it.

    `times` are how often the open blocks run; `rounds` is that of the next one that opens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fetches = 0.0
        self.times = [1.0]
        self.rounds = 1.0

    def enter(self, scope: Block) -> None:
        self.times.append(self.times[-1] * self.rounds)
        self.rounds = 1.0
        super().enter(scope)

    def leave(self) -> Block:
        self.times.pop()
        return super().leave()

    def assign(self, kind: str, right: str, depth: int) -> str:
        before = len(self.stack[depth].lines)
        name = super().assign(kind, right, depth)
        if len(self.stack[depth].lines) > before:
            fetched = sum(FETCHES[function] for function in _CALL.findall(right))
            self.fetches += fetched * self.times[depth]
        return name


class _CountingEmitter(ShaderEmitter):
    def __init__(self, kernel: Kernel, layouts: dict[Buffer, TextureLayout]) -> None:
        super().__init__(kernel, layouts)
        self.text = self.function = _CountingText()
        self._rounds = Rounds(self.environment, dict.fromkeys(kernel.symbols, 0))
        first = layouts[self.outputs[0]]
        self.fragments = first.width * first.height

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        known = extent.known
        self.text.rounds = self._rounds.mean(stmt.extent) if known is None else known
        super().counted(stmt, extent, stored)
