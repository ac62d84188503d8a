"""A graph as text: one line per node, nested graphs indented."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Var
from tilewright.ir.graph import (
    Check,
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
)
from tilewright.ir.text.expressions import (
    axes_text,
    block,
    shape_text,
    size_text,
    source_text,
)
from tilewright.ir.text.lines import Lines, about
from tilewright.ir.text.literals import array_text
from tilewright.ir.text.names import Names
from tilewright.ir.text.style import READABLE, Style, legal_name


class GraphPrinter:
    """Writes graphs to `lines`; names of symbols reach into nested graphs, tensors do not."""

    def __init__(self, lines: Lines, style: Style) -> None:
        self.lines = lines
        self.style = style
        self.symbols = Names(style)
        self.tensors = Names(style)

    def graph(self, graph: Graph, head: str = "graph") -> None:
        with self.symbols.scope():
            symbols = declare_symbols(graph.symbols, self.symbols)
            self.tensors = Names(self.style)
            inputs = [self._input(tensor) for tensor in graph.inputs]
            name = legal_graph_name(graph.name, self.style)
            with self.lines.braces(f"{head} {name}{symbols}({', '.join(inputs)})"):
                number = 0
                for node in graph.nodes():
                    if node not in self.tensors:
                        self.tensors.number(node, number)
                        number += 1
                        self.node(node)
                self._end(graph)

    def _end(self, graph: Graph) -> None:
        for check in graph.checks:
            extremes = f"{self._name(check.least)}, {self._name(check.most)}"
            self.lines.line(f"check {extremes} {check_text(check, self.symbols, self.style)}")
        outputs = ", ".join(map(self._name, graph.outputs))
        self.lines.line(f"return {outputs}".rstrip())

    def _input(self, tensor: Input) -> str:
        name = self.tensors.declare(tensor, tensor.name, "a")
        shape = shape_text(tensor.shape, self.symbols)
        tail = about("", tensor.loc, self.style)
        return f"%{name}: {tensor.dtype.short}{shape}{tail}"

    def _name(self, tensor: Tensor) -> str:
        return source_text(tensor, self.tensors)

    def node(self, node: Tensor) -> None:
        """The line (or lines) of one node that is not an input of this graph."""
        head = self._name(node)
        if not isinstance(node, (Loop, While)):
            head += f": {node.dtype.short}{shape_text(node.shape, self.symbols)}"
        tail = about(node.label, node.loc, self.style)
        names = JointNames(self.symbols, self.tensors)
        with self.symbols.scope():
            match node:
                case Compute():
                    inside = f"({', '.join(self._axis(a) for a in node.axes)})"
                    body = block((node.body,), names)
                    head = f"{head} = compute {inside}"
                    self.lines.statement(head, body.lets, body.roots[0], tail)
                case Reduction():
                    inside = f"({', '.join(self._axis(a) for a in node.axes)})"
                    over = axes_text(node.reduce_axes, self.symbols)
                    body = block((node.body,), names)
                    head = f"{head} = reduce {node.combiner} {inside} over {over}"
                    self.lines.statement(head, body.lets, body.roots[0], tail)
                case Scatter():
                    self._scatter(head, node, names, tail)
                case Loop() | While():
                    self._loop(head, node, tail)
                case _:
                    self.lines.line(f"{head} = {self._simple(node)}{tail}")

    def _axis(self, axis: Var) -> str:
        return self.symbols.declare(axis, axis.name, "v")

    def _simple(self, node: Tensor) -> str:
        match node:
            case Constant():
                return f"constant {array_text(node.array, node.dtype)}"
            case Reshape():
                return f"reshape {self._name(node.operand)}"
            case Scan():
                return f"scan {node.combiner} {self._name(node.operand)} axis {node.axis}"
            case Sort():
                kind = "argsort" if node.positions else "sort"
                return f"{kind} {self._name(node.operand)} axis {node.axis}"
            case Result():
                return f"result {node.position} of {self._name(node.loop)}"
        return f"?{type(node).__name__}"

    def _scatter(self, head: str, node: Scatter, names: Names, tail: str) -> None:
        axes = axes_text(node.axes, self.symbols)
        body = block((*node.indices, node.value), names)
        *indices, value = body.roots
        combiner = f" {node.combiner}" if node.combiner else ""
        head = f"{head} = scatter{combiner} into {self._name(node.base)} {axes}"
        self.lines.statement(head, body.lets, f"put [{', '.join(indices)}] = {value}", tail)

    def _loop(self, head: str, node: Loop | While, tail: str) -> None:
        state = ", ".join(map(self._name, node.initial))
        captured = ", ".join(map(self._name, node.captured))
        kind = "while"
        if isinstance(node, Loop):
            kind = f"loop {size_text(node.count, self.symbols)}"
        tensors = self.tensors
        with self.lines.braces(
            f"{head} = {kind} from ({state}) captures ({captured})", f"}}{tail}"
        ):
            if isinstance(node, While):
                self.graph(node.condition, "test")
            self.graph(node.body, "body")
        self.tensors = tensors


class JointNames(Names):
    """Variables are looked up in one set of names, tensors in another."""

    def __init__(self, variables: Names, tensors: Names) -> None:
        self._variables = variables
        self._tensors = tensors

    def of(self, item: object, wanted: str) -> str:
        names = self._tensors if isinstance(item, Tensor) else self._variables
        return names.of(item, wanted)


def declare_symbols(symbols: Sequence[Var], names: Names) -> str:
    """``<N >= 1, M>``; a symbol that is known already is only named."""
    shown = []
    for symbol in symbols:
        known = symbol in names
        name = names.of(symbol, "") if known else names.declare(symbol, symbol.name, "n")
        shown.append(name if known else name + _symbol_facts(symbol, names))
    return f"<{', '.join(shown)}>" if shown else ""


def _symbol_facts(symbol: Var, names: Names) -> str:
    text = "" if symbol.dtype is INDEX else f": {symbol.dtype.short}"
    if symbol.extent is not None:
        return f"{text} < {size_text(symbol.extent, names)}"
    return text if symbol.least is None else f"{text} >= {symbol.least}"


def check_text(check: Check, names: Names, style: Style) -> str:
    """What a check says of its two extremes."""
    wraps = " wraps" if check.wraps else ""
    kind = "" if check.kind == "index" else f" {check.kind}"
    size = size_text(check.size, names)
    return f"within {size} axis {check.axis}{wraps}{kind}{about('', check.loc, style)}"


def legal_graph_name(name: str, style: Style) -> str:
    """What a graph, kernel, program or nest is called."""
    return legal_name(name) if style.names else "f"


def print_graph(graph: Graph, style: Style = READABLE) -> str:
    """The text of a graph."""
    lines = Lines()
    GraphPrinter(lines, style).graph(graph)
    return lines.text()
