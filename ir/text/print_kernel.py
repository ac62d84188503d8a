"""A kernel as text: buffers, then statements, one per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Expr, post_order
from tilewright.ir.kernel import (
    Barrier,
    Buffer,
    Exchange,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    WhileLoop,
    expressions,
    statements,
)
from tilewright.ir.subgroups import Subgroups
from tilewright.ir.text.expressions import access_text, block, shape_text, size_text, source_text
from tilewright.ir.text.lines import Lines
from tilewright.ir.text.names import Names
from tilewright.ir.text.print_graph import declare_symbols, legal_graph_name
from tilewright.ir.text.style import READABLE, Style


class KernelPrinter:
    """Writes kernels to `lines` under the names declared already (none, or a program's)."""

    def __init__(self, lines: Lines, style: Style, names: Names) -> None:
        self.lines = lines
        self.style = style
        self.names = names

    def kernel(self, kernel: Kernel, head: str = "kernel") -> None:
        with self.names.scope():
            symbols = declare_symbols(kernel.symbols, self.names)
            parameters = ", ".join(self._parameter(p) for p in kernel.parameters)
            name = legal_graph_name(kernel.name, self.style)
            with self.lines.braces(f"{head} {name}{symbols}({parameters})"):
                for buffer in kernel.locals:
                    self.lines.line(declare_buffer(buffer, self.names))
                declare_views(_buffers(kernel.body), self.names, self.lines)
                self.body(kernel.body)

    def _parameter(self, buffer: Buffer) -> str:
        if buffer in self.names:
            return self.names.of(buffer, buffer.name)
        return declare_buffer(buffer, self.names)

    def body(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        match stmt:
            case Store():
                texts = block((*stmt.indices, stmt.value), self.names)
                self.lines.lines(texts.lets)
                *indices, value = texts.roots
                self.lines.line(f"{access_text(stmt.buffer, indices, self.names)} = {value}")
            case Exchange():
                texts = block((stmt.value, stmt.round), self.names)
                self.lines.lines(texts.lets)
                value, number = texts.roots
                target = access_text(stmt.buffer, (), self.names)
                self.lines.line(f"{target} = exchange {value} over {number}")
            case For():
                self._for(stmt)
            case If():
                self._if(stmt)
            case WhileLoop():
                condition = self._condition(stmt.condition)
                with self.lines.braces(f"while {condition}"):
                    self.body(stmt.body)
            case Barrier():
                self.lines.line("barrier")
            case _:
                self.lines.line(f"?{type(stmt).__name__}")

    def _for(self, stmt: For) -> None:
        extent = size_text(stmt.extent, self.names)
        width = "" if stmt.width is None else f"({stmt.width})"
        with self.names.scope():
            name = self.names.declare(stmt.var, stmt.var.name, "v")
            dtype = "" if stmt.var.dtype is INDEX else f": {stmt.var.dtype.short}"
            facts = self._subgroups(stmt.subgroups)
            with self.lines.braces(f"for {stmt.kind}{width} {name}{dtype} < {extent}{facts}"):
                self.body(stmt.body)

    def _subgroups(self, subgroups: Subgroups | None) -> str:
        if subgroups is None:
            return ""
        named = (self.names.declare(v, v.name, "v") for v in subgroups.variables)
        return f" subgroups of {subgroups.least} ({', '.join(named)})"

    def _if(self, stmt: If) -> None:
        condition = self._condition(stmt.condition)
        with self.lines.braces(f"if {condition}"):
            self.body(stmt.body)
        if stmt.otherwise:
            with self.lines.braces("else"):
                self.body(stmt.otherwise)

    def _condition(self, condition: Expr) -> str:
        return block((condition,), self.names).inline()


def declare_buffer(buffer: Buffer, names: Names) -> str:
    """``acc: register f32[4, 8]``, ``v: f32[6] of x``."""
    facts = "" if buffer.space == "global" else f"{buffer.space} "
    facts += f"{buffer.dtype.short}{shape_text(buffer.shape, names)}"
    if buffer.strides is not None:
        facts += f" strides ({', '.join(size_text(s, names) for s in buffer.strides)})"
    if buffer.base is not None:
        facts += f" of {source_text(buffer.base, names)}"
    return f"{names.declare(buffer, buffer.name, 'b')}: {facts}"


def declare_views(buffers: Iterable[Buffer], names: Names, lines: Lines) -> None:
    """A line for every view among `buffers` whose storage is declared; bases before views."""
    for buffer in buffers:
        chain: list[Buffer] = []
        while buffer not in names and buffer.base is not None:
            chain.append(buffer)
            buffer = buffer.base
        if buffer in names:
            for view in reversed(chain):
                lines.line(f"view {declare_buffer(view, names)}")


def _buffers(body: Sequence[Stmt]) -> Iterator[Buffer]:
    for stmt in statements(body):
        if isinstance(stmt, (Store, Exchange)):
            yield stmt.buffer
        yield from read_buffers(expressions(stmt))


def read_buffers(roots: Sequence[Expr]) -> Iterator[Buffer]:
    """The buffers that expressions load from, as often as they do."""
    for node in post_order(roots):
        source = getattr(node, "source", None)
        if isinstance(source, Buffer):
            yield source


def print_kernel(kernel: Kernel, style: Style = READABLE) -> str:
    """The text of a kernel that stands alone."""
    lines = Lines()
    KernelPrinter(lines, style, Names(style)).kernel(kernel)
    return lines.text()
