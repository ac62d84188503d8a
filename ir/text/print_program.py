"""A program as text: buffers, then steps in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.ir.kernel import Buffer
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
)
from tilewright.ir.text.expressions import access_text, axes_text, block, size_text, source_text
from tilewright.ir.text.lines import Lines, about, quoted
from tilewright.ir.text.literals import array_text
from tilewright.ir.text.names import Names
from tilewright.ir.text.print_graph import check_text, declare_symbols, legal_graph_name
from tilewright.ir.text.print_kernel import (
    KernelPrinter,
    declare_buffer,
    declare_views,
    read_buffers,
)
from tilewright.ir.text.style import Style


class ProgramPrinter:
    """Writes one program to `lines`."""

    def __init__(self, lines: Lines, style: Style) -> None:
        self.lines = lines
        self.style = style
        self.names = Names(style)

    def program(self, program: Program) -> None:
        symbols = declare_symbols(program.symbols, self.names)
        inputs = ", ".join(self._buffer(b) for b in program.inputs)
        outputs = ", ".join(self._buffer(b) for b in program.outputs)
        name = legal_graph_name(program.name, self.style)
        with self.lines.braces(f"program {name}{symbols}({inputs}) -> ({outputs})"):
            self._declarations(program)
            if program.init:
                with self.lines.braces("init"):
                    self.steps(program.init)
            self.steps(program.steps)
            for check in program.checks:
                self.lines.line(f"check {check_text(check, self.names, self.style)}")
            for note in program.notes:
                self.lines.line(f"note {quoted(note)}")

    def _declarations(self, program: Program) -> None:
        for buffer, array in program.constants:
            text = array_text(array, buffer.dtype)
            self.lines.line(f"constant {declare_buffer(buffer, self.names)} = {text}")
        for kind, buffers in (("temporary", program.temporaries), ("packed", program.packed)):
            for buffer in buffers:
                self.lines.line(f"{kind} {self._buffer(buffer)}")
        used = buffers_of((*program.init, *program.steps))
        declare_views(used, self.names, self.lines)

    def _buffer(self, buffer: Buffer) -> str:
        if buffer in self.names:
            return self.names.of(buffer, buffer.name)
        return declare_buffer(buffer, self.names)

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            with self.names.scope():
                self.step(step)

    def step(self, step: Step) -> None:
        match step:
            case Nest():
                self._nest(step)
            case Ordered():
                self._ordered(step)
            case SortRows():
                kind = "argsort" if step.positions else "sort"
                name = legal_graph_name(step.name, self.style)
                ends = f"{self._source(step.source)} into {self._source(step.target)}"
                self.lines.line(f"{kind} {name} {ends} axis {step.axis}")
            case Copy():
                ends = f"{self._source(step.source)} into {self._source(step.target)}"
                self.lines.line(f"copy {ends}")
            case Repeat():
                self._repeat(step)
            case RepeatWhile():
                with self.lines.braces(f"while {self._source(step.condition)}"):
                    with self.lines.braces("test"):
                        self.steps(step.test)
                    self.steps(step.body)
            case Launch():
                KernelPrinter(self.lines, self.style, self.names).kernel(step.kernel, "launch")

    def _source(self, buffer: Buffer) -> str:
        return source_text(buffer, self.names)

    def _repeat(self, step: Repeat) -> None:
        extent = step.counter.extent
        shown = "?" if extent is None else size_text(extent, self.names)
        name = self.names.declare(step.counter, step.counter.name, "v")
        with self.lines.braces(f"repeat {name} < {shown}"):
            self.steps(step.steps)

    def _nest(self, nest: Nest) -> None:
        outer = axes_text(nest.outer, self.names)
        name = legal_graph_name(nest.name, self.style)
        with self.lines.braces(f"nest {name} {outer}"):
            for buffer in nest.locals:
                self.lines.line(f"local {declare_buffer(buffer, self.names)}")
            declare_views(_nest_buffers(nest), self.names, self.lines)
            for stage in nest.stages:
                with self.names.scope():
                    self._stage(stage)

    def _stage(self, stage: Stage) -> None:
        head = "stage"
        if stage.combiner:
            head += f" {stage.combiner.replace(':', ' ')}"
        if stage.axes:
            head += f" {axes_text(stage.axes, self.names)}"
        if stage.reduce_axes:
            head += f" over {axes_text(stage.reduce_axes, self.names)}"
        texts = block((*stage.indices, stage.value), self.names)
        *indices, value = texts.roots
        last = f"{access_text(stage.target, indices, self.names)} = {value}"
        self.lines.statement(head, texts.lets, last, about(stage.label, stage.loc, self.style))

    def _ordered(self, step: Ordered) -> None:
        head = f"ordered {legal_graph_name(step.name, self.style)}"
        if step.combiner:
            head += f" {step.combiner}"
        head += f" {axes_text(step.axes, self.names)}"
        texts = block((*step.indices, step.value), self.names)
        *indices, value = texts.roots
        last = f"{access_text(step.target, indices, self.names)} = {value}"
        self.lines.statement(head, texts.lets, last)


def buffers_of(steps: Sequence[Step]) -> Iterator[Buffer]:
    """The buffers that steps name, kernels' parameters included, as often as they do."""
    for step in steps:
        match step:
            case Nest():
                yield from _nest_buffers(step)
            case Ordered():
                yield step.target
                yield from read_buffers((*step.indices, step.value))
            case SortRows() | Copy():
                yield from (step.source, step.target)
            case Repeat():
                yield from buffers_of(step.steps)
            case RepeatWhile():
                yield from buffers_of(step.test)
                yield step.condition
                yield from buffers_of(step.body)
            case Launch():
                yield from step.kernel.parameters


def _nest_buffers(nest: Nest) -> Iterator[Buffer]:
    for stage in nest.stages:
        yield stage.target
        yield from read_buffers((*stage.indices, stage.value))
