"""One kernel -> LLVM functions: the kernel itself, and one more for each parallel loop (its task).

A kernel takes the runtime, a pointer for each parameter and an integer for each symbol. It names no
buffer of the program, so that equal kernels are one function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.statements import StatementEmitter
from tilewright.codegen_cpu.emit.types import Types
from tilewright.ir.emit.environment import Value
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Var, post_order
from tilewright.ir.kernel import (
    Buffer,
    For,
    Kernel,
    Stmt,
    Store,
    children,
    expressions,
    statements,
)

NAME = "@KERNEL"
"""Stands for the kernel's name in the text, which does not know it."""

_SCRATCH_ALIGNMENT = 64


class KernelEmitter(StatementEmitter):
    """Emits one kernel; `functions` holds the finished texts."""

    def __init__(self, kernel: Kernel, types: Types, spelling: Spelling, threads: bool) -> None:
        self.kernel = kernel
        self.threads = threads
        self.functions: list[str] = []
        pointers = {p: f"%b{k}" for k, p in enumerate(kernel.parameters)}
        shown = ["ptr %runtime"]
        shown += [f"ptr noalias nonnull %b{k}" for k in range(len(kernel.parameters))]
        shown += [f"{types.index} %s{k}" for k in range(len(kernel.symbols))]
        header = f"define internal void {NAME}({', '.join(shown)}) nounwind"
        super().__init__(FunctionText(header), types, spelling, pointers)
        for k, symbol in enumerate(kernel.symbols):
            self.environment.bindings[symbol] = Value(f"%s{k}", 1, 0)

    def emit(self) -> list[str]:
        """The texts of the kernel's functions."""
        self.scratch(self.kernel.body)
        self.region(self.kernel.body)
        self.function.current.terminator = "ret void"
        self.functions.append(self.function.text())
        return self.functions

    def scratch(self, body: Sequence[Stmt]) -> None:
        """Stack space for the scratch buffers of `body`; those of tasks lie in their functions."""
        used = set(self._stored_here(body))
        for buffer in self.kernel.locals:
            if buffer.space != "scratch" or buffer not in used:  # views are not: roots are
                continue
            size = 1
            for extent in buffer.shape:
                if not isinstance(extent, int):
                    raise IRError(f"scratch buffer {buffer.name} has no static size")
                size *= extent
            kind = f"[{max(size, 1)} x {self.types.memory(buffer.dtype)}]"
            right = f"alloca {kind}, align {_SCRATCH_ALIGNMENT}"
            self.pointers[buffer] = self.function.assign(right, 0)

    def _stored_here(self, body: Sequence[Stmt]) -> Iterator[Buffer]:
        """The storage that this function writes itself, not by tasks."""
        for stmt in body:
            if isinstance(stmt, Store):
                yield stmt.buffer.root
            elif not (self.threads and isinstance(stmt, For) and stmt.kind == "parallel"):
                yield from self._stored_here(children(stmt))

    def parallel(self, stmt: For) -> None:
        if not self.threads:
            self.serial(stmt)
            return
        outer = self._outer_variables(stmt)
        name = f"{NAME}.task{len(self.functions)}"
        task = _Task(self, outer, name)
        self.functions.append(task.emit_task(stmt))
        self._dispatch(stmt, outer, name)

    def _outer_variables(self, stmt: For) -> list[tuple[Var, Value]]:
        """What the loop reads of the variables outside of it. Others may be those of loops that
        have ended: their values do not reach here."""
        roots = [e for s in statements(stmt.body) for e in expressions(s)]
        used = {n for n in post_order(roots) if isinstance(n, Var)}
        bindings = self.environment.bindings.items()
        return [(v, b) for v, b in bindings if isinstance(b, Value) and v in used]

    def _dispatch(self, stmt: For, outer: list[tuple[Var, Value]], task: str) -> None:
        """Fill the context and hand the task to the pool; without a runtime, run it in order."""
        function, index = self.function, self.types.index
        extent = (
            str(stmt.extent) if isinstance(stmt.extent, int) else self.evaluate(stmt.extent).text
        )
        count = len(self.kernel.parameters) + len(outer) + 1
        context = function.assign(f"alloca [{count} x i64], align 16", 0)
        values = [f"ptr {self.pointers[p]}" for p in self.kernel.parameters]
        values += [f"{index} {v.text}" for _, v in outer]
        values.append("ptr %runtime")
        for k, value in enumerate(values):
            slot = function.assign(f"getelementptr i64, ptr {context}, i64 {k}")
            function.line(f"store {value}, ptr {slot}, align 8")
        function.line(
            f"call void @tw_dispatch(ptr %runtime, ptr {task}, ptr {context}, i64 {extent})"
        )
        for root in self.kernel.written:
            self.environment.stored(root.root)


class _Task(KernelEmitter):
    """The function of one parallel loop: ``void task(ptr context, i64 iteration)``."""

    def __init__(self, parent: KernelEmitter, outer: list[tuple[Var, Value]], name: str) -> None:
        super().__init__(parent.kernel, parent.types, parent.spelling, parent.threads)
        header = f"define internal void {name}(ptr %context, i64 %iteration) nounwind"
        self.function.header = header
        self.outer = outer
        # Loops of one iteration are literals: the task repeats them, its context need not.
        bindings = parent.environment.bindings.items()
        self.known = [(v, b) for v, b in bindings if isinstance(b, int)]

    def emit_task(self, stmt: For) -> str:
        self._unpack()
        self.scratch(stmt.body)
        for variable, binding in self.known:
            self.environment.bindings[variable] = binding
        self.environment.bindings[stmt.var] = Value("%iteration", 1, 0)
        self.region(stmt.body)
        self.function.current.terminator = "ret void"
        return self.function.text()

    def _unpack(self) -> None:
        function, index = self.function, self.types.index
        slots = iter(range(len(self.kernel.parameters) + len(self.outer) + 1))
        for parameter in self.kernel.parameters:
            slot = function.assign(f"getelementptr i64, ptr %context, i64 {next(slots)}")
            self.pointers[parameter] = function.assign(f"load ptr, ptr {slot}, align 8")
        for variable, _ in self.outer:
            slot = function.assign(f"getelementptr i64, ptr %context, i64 {next(slots)}")
            loaded = function.assign(f"load {index}, ptr {slot}, align 8")
            self.environment.bindings[variable] = Value(loaded, 1, 0)
        slot = function.assign(f"getelementptr i64, ptr %context, i64 {next(slots)}")
        function.line(f"%runtime = load ptr, ptr {slot}, align 8")


def emit_kernel(kernel: Kernel, types: Types, spelling: Spelling, threads: bool) -> list[str]:
    """The texts of the functions of `kernel`, which call themselves `NAME`."""
    return KernelEmitter(kernel, types, spelling, threads).emit()
