"""Text of expressions, sizes, axes and arrays -> IR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tilewright.ir.dtypes import BOOL, INDEX, DType, from_short
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Source, Var
from tilewright.ir.location import Location
from tilewright.ir.ops import BITCAST, CAST, OPS, Op
from tilewright.ir.text.expressions import COMPARISON, PRECEDENCE
from tilewright.ir.text.literals import digest, parse_element, parse_value
from tilewright.ir.text.scope import Scope
from tilewright.ir.text.tokens import Cursor

DEEPEST = 100
_BY_SYMBOL = {op.symbol: op for op in OPS.values() if op.symbol}
_ADDITIVE = PRECEDENCE["+"]


class ExpressionParser(Cursor):
    """The expression language, and what all three levels write around it."""

    def __init__(self, text: str, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(text)
        self.arrays = arrays
        self.scope = Scope()
        self._depth = 0

    # Declaring.

    def declare(self, name: str, meaning: Expr | Source) -> None:
        if not self.scope.add(name, meaning):
            self.position -= 1
            self.fail(f"{name} is declared already")

    def symbols(self) -> tuple[Var, ...]:
        """``<N >= 1, M>``, or nothing."""
        return tuple(self.listed(self._symbol, ">")) if self.accept("<") else ()

    def _symbol(self) -> Var:
        name = self.name()
        known = self.scope.get(name)
        if isinstance(known, Var):
            return known
        dtype = self.dtype() if self.accept(":") else INDEX
        least: int | None = None
        extent: Size | None = None
        if self.accept(">="):
            least = self.integer()
        elif self.accept("<"):
            extent = _as_size(self._binary(_ADDITIVE))
        symbol = Var(name, extent, dtype, least)
        self.declare(name, symbol)
        return symbol

    def axes(self) -> tuple[Var, ...]:
        """``(i: 64, j: N)``; each axis is visible to what follows it."""
        self.expect("(")
        return tuple(self.listed(self._axis, ")"))

    def _axis(self) -> Var:
        name = self.name()
        self.expect(":")
        axis = Var(name, self.size())
        self.declare(name, axis)
        return axis

    def about(self) -> dict[str, object]:
        """The label and the location at the end of a line, if they are there."""
        label = self.string() if self.token[:1] == '"' else ""
        return {"label": label, "loc": self.location()}

    def location(self) -> Location | None:
        if not self.accept("at"):
            return None
        file = self.string()
        self.expect(":")
        line = self.integer()
        column = self.integer() - 1 if self.accept(":") else -1
        return Location(file, line, column)

    # Sizes and arrays.

    def size(self) -> Size:
        return _as_size(self.expression())

    def shape(self) -> tuple[Size, ...]:
        self.expect("[")
        return tuple(self.listed(self.size, "]"))

    def array(self, shape: tuple[Size, ...], dtype: DType) -> np.ndarray:
        """Elements in brackets, or ``data "digest"`` of an array given to the parser."""
        sizes = [s for s in shape if isinstance(s, int)]
        if len(sizes) != len(shape):
            self.fail("a constant of open shape")
        if self.accept("data"):
            name = self.string()
            found = self.arrays.get(name)
            if found is None:
                self.fail(f"no array of digest {name} was given to the parser")
            if found.shape != tuple(sizes) or found.dtype != dtype.numpy or digest(found) != name:
                self.fail(f"the array of digest {name} is not the {dtype.short}{sizes} it names")
            return found
        self.expect("[")
        elements = self.listed(lambda: self._element(dtype), "]")
        if len(elements) != np.prod(sizes, dtype=np.int64):
            self.fail(f"{len(elements)} elements for the shape {sizes}")
        return np.array(elements, dtype.numpy).reshape(sizes)

    def _element(self, dtype: DType) -> Any:
        text = ("-" if self.accept("-") else "") + self.take()
        try:
            return parse_element(text, dtype)
        except (ValueError, KeyError) as error:
            self.fail(f"{text} is no {dtype.short} ({error})")

    # Expressions.

    def lets(self) -> None:
        """``let name = expression`` lines, each visible to what follows in the scope."""
        while self.accept("let"):
            name = self.name()
            self.expect("=")
            self.declare(name, self.expression())
            self.accept(";")

    def body(self) -> Expr:
        """``{ lets expression }``."""
        self.expect("{")
        with self.scope.inner():
            self.lets()
            value = self.expression()
        self.expect("}")
        return value

    def indices(self) -> tuple[Expr, ...]:
        self.expect("[")
        return tuple(self.listed(self.expression, "]"))

    def expression(self) -> Expr:
        self._depth += 1
        if self._depth > DEEPEST:
            self.fail(f"an expression nested more than {DEEPEST} deep: name its parts with let")
        value = self._binary(COMPARISON)
        self._depth -= 1
        return value

    def _binary(self, least: int) -> Expr:
        """Operators that bind at least as tightly as `least`, by precedence climbing."""
        left = self._primary()
        while (level := PRECEDENCE.get(self.token, 0)) >= least:
            op = _BY_SYMBOL[self.take()]
            left = self._apply(op, (left, self._binary(level + 1)))
            if level == COMPARISON and PRECEDENCE.get(self.token) == COMPARISON:
                self.fail("comparisons do not chain: use parentheses")
        return left

    def _apply(self, op: Op, operands: tuple[Expr, ...], dtype: DType | None = None) -> Expr:
        try:
            return Apply(op, operands, dtype)
        except IRError as error:
            self.fail(error.message)

    def _primary(self) -> Expr:
        token = self.token
        if token == "(":
            self.take()
            value = self.expression()
            self.expect(")")
            return value
        if token == "{":
            return self.body()
        if token == "-" or token[:1].isdigit() or token in ("inf", "nan", "true", "false"):
            return self._literal()
        if token[:1] == "%":
            return self._load()
        if self.following == "(" or token in ("lanes", "bits"):
            return self._call()
        if self.following == "[":
            return self._load()
        name = self.name()
        found = self.scope.get(name)
        if not isinstance(found, Expr):
            self.position -= 1
            self.fail(f"{name} is no value here")
        return found

    def _literal(self) -> Const:
        text = ("-" if self.accept("-") else "") + self.take()
        if text in ("true", "false"):
            return Const(text == "true", BOOL)
        dtype = self.dtype() if self.accept(":") else INDEX
        try:
            return Const(parse_value(text, dtype), dtype)
        except (ValueError, KeyError) as error:
            self.fail(f"{text} is no literal of {dtype.short} ({error})")

    def _load(self) -> Load:
        source = self.source()
        indices = self.indices()
        try:
            return Load(source, indices)
        except IRError as error:
            self.fail(error.message)

    def source(self) -> Source:
        """A tensor (``%name``) or a buffer (``name``) that is visible here."""
        name = self.take()
        found = self.scope.get(name)
        if not isinstance(found, Source):
            self.position -= 1
            self.fail(f"{name} is no tensor or buffer here")
        return found

    def _call(self) -> Expr:
        name = self.take()
        if name == "lanes":
            return self._lanes()
        if name == "bits":
            self.expect(".")
            return self._apply(BITCAST, *self._converted(self.dtype()))
        dtype = from_short(name)
        if dtype is not None:
            return self._apply(CAST, *self._converted(dtype))
        if name not in OPS:
            self.position -= 1
            self.fail(f"{name} is no operation")
        self.expect("(")
        return self._apply(OPS[name], tuple(self.listed(self.expression, ")")))

    def _converted(self, dtype: DType) -> tuple[tuple[Expr, ...], DType]:
        self.expect("(")
        return tuple(self.listed(self.expression, ")")), dtype

    def _lanes(self) -> LaneReduce:
        self.expect(".")
        name = self.name()
        if name not in OPS:
            self.fail(f"{name} is no operation")
        self.expect("(")
        source = self.source()
        indices = self.indices()
        self.expect(")")
        try:
            return LaneReduce(OPS[name], source, indices)
        except IRError as error:
            self.fail(error.message)


def _as_size(value: Expr) -> Size:
    return int(value.value) if isinstance(value, Const) and value.dtype is INDEX else value
