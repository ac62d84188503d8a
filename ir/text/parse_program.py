"""Text of a program -> `Program`."""

from __future__ import annotations

import numpy as np

from tilewright.ir.dtypes import I64
from tilewright.ir.expr import Expr, Var
from tilewright.ir.graph import COMBINERS, Check, Tensor
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
from tilewright.ir.text.parse_kernel import KernelParser


class ProgramParser(KernelParser):
    """Reads programs."""

    def program(self) -> Program:
        self.expect("program")
        name = self.name()
        symbols = self.symbols()
        self.expect("(")
        inputs = tuple(self.listed(self.buffer, ")"))
        self.expect("->")
        self.expect("(")
        outputs = tuple(self.listed(self.buffer, ")"))
        self.expect("{")
        constants: list[tuple[Buffer, np.ndarray]] = []
        declared: dict[str, list[Buffer]] = {"temporary": [], "packed": [], "view": []}
        while self.token == "constant" or self.token in declared:
            kind = self.take()
            buffer = self.buffer()
            if kind == "constant":
                self.expect("=")
                constants.append((buffer, self.array(buffer.shape, buffer.dtype)))
            else:
                declared[kind].append(buffer)
        init = self._braced() if self.accept("init") else ()
        steps = self._steps(("check", "note", "}"))
        checks, notes = self._checks(), self._notes()
        self.expect("}")
        return Program(
            name=name,
            symbols=symbols,
            inputs=inputs,
            outputs=outputs,
            constants=tuple(constants),
            temporaries=tuple(declared["temporary"]),
            steps=steps,
            checks=checks,
            packed=tuple(declared["packed"]),
            init=init,
            notes=notes,
        )

    def _checks(self) -> tuple[Check, ...]:
        """A program's checks are values that the host reads: tensors of no graph stand for them."""
        checks: list[Check] = []
        while self.accept("check"):
            least, most = (Tensor(f"check{len(checks)}_{s}", (), I64) for s in ("least", "most"))
            checks.append(self.check(least, most))
        return tuple(checks)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        while self.accept("note"):
            notes.append(self.string())
        return tuple(notes)

    def _steps(self, ends: tuple[str, ...]) -> tuple[Step, ...]:
        steps: list[Step] = []
        while self.token not in ends:
            with self.scope.inner():
                steps.append(self._step())
        return tuple(steps)

    def _braced(self) -> tuple[Step, ...]:
        self.expect("{")
        steps = self._steps(("}",))
        self.expect("}")
        return steps

    def _step(self) -> Step:
        if self.token == "launch":
            return Launch(self.kernel("launch"))
        word = self.one_of(("nest", "ordered", "sort", "argsort", "copy", "repeat", "while"))
        match word:
            case "nest":
                return self._nest()
            case "ordered":
                return self._ordered()
            case "sort" | "argsort":
                return self._sort(word == "argsort")
            case "copy":
                return Copy(*self._ends())
            case "repeat":
                return self._repeat()
            case _:
                return self._while()

    def _ends(self) -> tuple[Buffer, Buffer]:
        source = self._base()
        self.expect("into")
        return source, self._base()

    def _sort(self, positions: bool) -> SortRows:
        name = self.name()
        source, target = self._ends()
        return SortRows(name, source, target, self._axis_number(), positions)

    def _repeat(self) -> Repeat:
        name = self.name()
        self.expect("<")
        counter = Var(name, self.size())
        self.declare(name, counter)
        return Repeat(counter, self._braced())

    def _while(self) -> RepeatWhile:
        condition = self._base()
        self.expect("{")
        self.expect("test")
        test = self._braced()
        body = self._steps(("}",))
        self.expect("}")
        return RepeatWhile(test, condition, body)

    def _nest(self) -> Nest:
        name = self.name()
        outer = self.axes()
        self.expect("{")
        locals_ = []
        while self.token in ("local", "view"):
            kept = self.take() == "local"
            buffer = self.buffer()
            if kept:
                locals_.append(buffer)
        stages = []
        while self.accept("stage"):
            with self.scope.inner():
                stages.append(self._stage())
        self.expect("}")
        return Nest(name, outer, tuple(stages), tuple(locals_))

    def _stage(self) -> Stage:
        combiner = None
        if self.accept("scan"):
            combiner = f"scan:{self._combiner()}"
        elif self.token not in ("(", "over", "{"):
            combiner = self._combiner()
        axes = self.axes() if self.token == "(" else ()
        over = self.axes() if self.accept("over") else ()
        target, indices, value = self._stored()
        label = self.string() if self.token[:1] == '"' else ""
        return Stage(axes, over, combiner, value, target, indices, label, self.location())

    def _combiner(self) -> str:
        return self.one_of(tuple(COMBINERS))

    def _stored(self) -> tuple[Buffer, tuple[Expr, ...], Expr]:
        self.expect("{")
        found = self.store()
        self.expect("}")
        return found

    def _ordered(self) -> Ordered:
        name = self.name()
        combiner = None if self.token == "(" else self._combiner()
        axes = self.axes()
        target, indices, value = self._stored()
        return Ordered(name, axes, target, indices, value, combiner)
