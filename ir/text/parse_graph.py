"""Text of a graph -> `Graph`."""

from __future__ import annotations

from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Expr, Size, Source, Var
from tilewright.ir.graph import (
    Check,
    CheckKind,
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
from tilewright.ir.text.parse_expressions import ExpressionParser

Type = tuple[DType, tuple[Size, ...]]


class GraphParser(ExpressionParser):
    """Reads graphs."""

    def graph(self, head: str = "graph") -> Graph:
        self.expect(head)
        name = self.name()
        with self.scope.without_tensors():
            symbols = self.symbols()
            self.expect("(")
            inputs = tuple(self.listed(self._input, ")"))
            self.expect("{")
            while self.token[:1] == "%":
                self._node()
            checks = []
            while self.accept("check"):
                least = self._operand()
                self.expect(",")
                checks.append(self.check(least, self._operand()))
            self.expect("return")
            outputs = tuple(self.listed(self._operand, "}"))
        return Graph(name, inputs, outputs, symbols, tuple(checks))

    def check(self, least: Tensor, most: Tensor) -> Check:
        """What follows the two extremes."""
        self.expect("within")
        size = self.size()
        self.expect("axis")
        axis = self.integer()
        wraps = self.accept("wraps")
        kind: CheckKind = "index"
        if self.accept("fits"):
            kind = "fits"
        elif self.accept("power"):
            kind = "power"
        return Check(least, most, size, axis, wraps, self.location(), kind)

    def _input(self) -> Input:
        name = self.tensor()
        self.expect(":")
        dtype, shape = self._type()
        made = Input(name, shape, dtype, loc=self.location())
        self.declare(f"%{name}", made)
        return made

    def _type(self) -> Type:
        return self.dtype(), self.shape()

    def _operand(self) -> Tensor:
        source: Source = self.source()
        assert isinstance(source, Tensor)  # names with % mean nothing else
        return source

    def _operands(self) -> tuple[Tensor, ...]:
        self.expect("(")
        return tuple(self.listed(self._operand, ")"))

    def _node(self) -> None:
        name = self.tensor()
        kind = self._type() if self.accept(":") else None
        self.expect("=")
        start = self.position
        with self.scope.inner():
            node = self._typed(f"t{name}", kind) if kind else self._loop(f"t{name}")
        if kind and (node.dtype is not kind[0] or not _same_shape(node.shape, kind[1])):
            self.position = start
            self.fail(f"%{name} is declared {kind[0].short}{list(kind[1])}, which this is not")
        self.declare(f"%{name}", node)

    def _typed(self, name: str, kind: Type) -> Tensor:
        dtype, shape = kind
        word = self.one_of(_NODES)
        match word:
            case "constant":
                array = self.array(shape, dtype)
                return Constant(name, array, dtype, **self.about())
            case "compute":
                axes = self._own_axes(shape)
                return Compute(name, axes, self.body(), **self.about())
            case "reduce":
                combiner = self.name()
                axes = self._own_axes(shape)
                self.expect("over")
                over = self.axes()
                return Reduction(name, axes, over, combiner, self.body(), **self.about())
            case "reshape":
                return Reshape(name, self._operand(), shape, **self.about())
            case "scan":
                combiner, operand = self.name(), self._operand()
                return Scan(name, operand, self._axis_number(), combiner, **self.about())
            case "sort" | "argsort":
                operand, axis = self._operand(), self._axis_number()
                return Sort(name, operand, axis, word == "argsort", **self.about())
            case "result":
                return self._result(name)
            case _:
                return self._scatter(name)

    def _own_axes(self, shape: tuple[Size, ...]) -> list[Var]:
        """``(i, j)``: the extents are the shape."""
        self.expect("(")
        names = self.listed(self.name, ")")
        if len(names) != len(shape):
            self.fail(f"{len(names)} axes for rank {len(shape)}")
        axes = [Var(name, size) for name, size in zip(names, shape, strict=True)]
        for axis in axes:
            self.declare(axis.name, axis)
        return axes

    def _axis_number(self) -> int:
        self.expect("axis")
        return self.integer()

    def _result(self, name: str) -> Result:
        position = self.integer()
        self.expect("of")
        loop = self._operand()
        if not isinstance(loop, (Loop, While)) or not 0 <= position < len(loop.initial):
            self.fail(f"result {position} of what has no such result")
        return Result(name, loop, position, **self.about())

    def _scatter(self, name: str) -> Scatter:
        combiner = None if self.token == "into" else self.name()
        self.expect("into")
        base = self._operand()
        axes = self.axes()
        self.expect("{")
        self.lets()
        self.expect("put")
        indices = self.indices()
        self.expect("=")
        value: Expr = self.expression()
        self.expect("}")
        return Scatter(name, base, axes, indices, value, combiner, **self.about())

    def _loop(self, name: str) -> Loop | While:
        counted = self.one_of(("loop", "while")) == "loop"
        count = self.size() if counted else 0
        self.expect("from")
        state = self._operands()
        self.expect("captures")
        captured = self._operands()
        self.expect("{")
        condition = None if counted else self.graph("test")
        body = self.graph("body")
        self.expect("}")
        if condition is None:
            return Loop(name, count, state, captured, body, **self.about())
        return While(name, state, captured, condition, body, **self.about())


_NODES = (
    "constant",
    "compute",
    "reduce",
    "reshape",
    "scan",
    "sort",
    "argsort",
    "result",
    "scatter",
)


def _same_shape(a: tuple[Size, ...], b: tuple[Size, ...]) -> bool:
    """Equal where both are static."""
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(
        x == y for x, y in pairs if isinstance(x, int) and isinstance(y, int)
    )
