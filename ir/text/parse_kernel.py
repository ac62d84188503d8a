"""Text of a kernel -> `Kernel`."""

from __future__ import annotations

from typing import cast

from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.kernel import (
    Barrier,
    Buffer,
    Exchange,
    For,
    If,
    Kernel,
    LoopKind,
    Space,
    Stmt,
    Store,
    WhileLoop,
)
from tilewright.ir.subgroups import Subgroups
from tilewright.ir.text.parse_graph import GraphParser

_KINDS = ("serial", "parallel", "unroll", "vector", "group", "local", "fragment")
_SPACES = ("scratch", "workgroup", "register", "global")


class KernelParser(GraphParser):
    """Reads kernels. (Programs hold kernels and the checks of graphs: one line of classes.)"""

    def kernel(self, head: str = "kernel") -> Kernel:
        self.expect(head)
        name = self.name()
        with self.scope.inner():
            symbols = self.symbols()
            self.expect("(")
            parameters = tuple(self.listed(self.buffer, ")"))
            self.expect("{")
            locals_ = []
            while self._declares():
                if self.accept("view"):
                    self.buffer()
                else:
                    locals_.append(self.buffer())
            body = self._statements()
        return Kernel(name, parameters, symbols, tuple(locals_), body)

    def _declares(self) -> bool:
        return self.token == "view" or self.following == ":"

    def buffer(self) -> Buffer:
        """The declaration of a buffer, or the name of one that is declared."""
        name = self.name()
        if self.token != ":":
            found = self.scope.get(name)
            if not isinstance(found, Buffer):
                self.position -= 1
                self.fail(f"{name} is no buffer here")
            return found
        self.take()
        space = cast("Space", self.take() if self.token in _SPACES else "global")
        dtype, shape = self.dtype(), self.shape()
        strides: list[Size] | None = None
        if self.accept("strides"):
            self.expect("(")
            strides = self.listed(self.size, ")")
        base = self._base() if self.accept("of") else None
        made = Buffer(name, shape, dtype, space, strides, base)
        self.declare(name, made)
        return made

    def _base(self) -> Buffer:
        base = self.source()
        if not isinstance(base, Buffer):
            self.fail(f"{base.name} is no buffer")
        return base

    def _statements(self) -> tuple[Stmt, ...]:
        """Statements up to and including a closing brace."""
        body: list[Stmt] = []
        while not self.accept("}"):
            body.append(self._statement())
        return tuple(body)

    def _block(self) -> tuple[Stmt, ...]:
        self.expect("{")
        return self._statements()

    def _statement(self) -> Stmt:
        try:
            return self._one_statement()
        except IRError as error:
            if error.message.startswith("line "):
                raise
            self.fail(error.message)

    def _one_statement(self) -> Stmt:
        if self.accept("for"):
            return self._for()
        if self.accept("if"):
            condition, body = self.expression(), self._block()
            return If(condition, body, self._block() if self.accept("else") else ())
        if self.accept("while"):
            return WhileLoop(self.expression(), self._block())
        if self.accept("barrier"):
            return Barrier()
        return self._assignment()

    def _assignment(self) -> Stmt:
        """A store, or an exchange: ``lets buffer[] = exchange value over round``."""
        with self.scope.inner():
            self.lets()
            target = self._base()
            indices = self.indices()
            self.expect("=")
            if not self.accept("exchange"):
                return Store(target, indices, self.expression())
            if indices:
                self.fail(f"values are exchanged into an element of {target.name}")
            value = self.expression()
            self.expect("over")
            return Exchange(target, value, self.expression())

    def store(self) -> tuple[Buffer, tuple[Expr, ...], Expr]:
        """``lets buffer[indices] = value``."""
        with self.scope.inner():
            self.lets()
            target = self._base()
            indices = self.indices()
            self.expect("=")
            return target, indices, self.expression()

    def _for(self) -> For:
        kind = cast("LoopKind", self.one_of(_KINDS))
        width = None
        if self.accept("("):
            width = self.integer()
            self.expect(")")
        name = self.name()
        dtype = self.dtype() if self.accept(":") else INDEX
        self.expect("<")
        var = Var(name, self.size(), dtype)
        with self.scope.inner():
            self.declare(name, var)
            subgroups = self._subgroups(var) if self.accept("subgroups") else None
            body = self._block()
        return For(var, kind, body, width, subgroups=subgroups)

    def _subgroups(self, threads: Var) -> Subgroups:
        """``of least (names)``: what a loop over `threads` binds beside its variable."""
        self.expect("of")
        least = self.integer()
        if not isinstance(threads.extent, int):
            self.fail(f"a number of invocations that is not static: {threads.name}")
        made = Subgroups(threads.extent, least)
        self.expect("(")
        names = self.listed(self.name, ")")
        if len(names) != len(made.variables):
            self.fail(f"{len(names)} names for {len(made.variables)} facts about subgroups")
        for name, variable in zip(names, made.variables, strict=True):
            variable.name = name
            self.declare(name, variable)
        return made
