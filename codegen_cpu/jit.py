"""LLVM IR text -> object code, which `loader` makes callable.

The two steps are separate so that object code can be kept on disk: `compile_object` takes 12-100 ms
for a kernel, `load_object` 0.2 ms. No pass pipeline runs: the emitter's IR is already vectorised,
and O2 would cost 2.5 times the compile time for nothing (measured on matrix products).
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import llvmlite.binding as llvm

from tilewright.codegen_cpu.interrupts import interrupts_deferred
from tilewright.codegen_cpu.target import CpuTarget, host_target, target_machine
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class InvalidModuleError(IRError):
    """LLVM refused a module that we emitted. `ir_text` is the whole module."""

    def __init__(self, problem: str, ir_text: str) -> None:
        super().__init__(
            f"LLVM refused the emitted module: {problem.strip()}",
            notes=[(line, None) for line in _excerpt(problem, ir_text)],
        )
        self.ir_text = ir_text


def compile_object(ir_text: str, target: CpuTarget) -> bytes:
    """The object file (ELF, Mach-O, COFF or wasm) of a module for `target`."""
    return _with_module(ir_text, target, lambda machine, module: bytes(machine.emit_object(module)))


def assembly(ir_text: str, target: CpuTarget | None = None) -> str:
    """The assembly text of a module, for people to read."""

    def emit(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> str:
        return str(machine.emit_assembly(module))

    return _with_module(ir_text, target or host_target(), emit)


def verbose_assembly(ir_text: str, target: CpuTarget) -> str:
    """`assembly` with LLVM's comments on loops and spilled registers."""

    def emit(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> str:
        machine.set_asm_verbosity(True)
        try:
            return str(machine.emit_assembly(module))
        finally:
            machine.set_asm_verbosity(False)  # machines are shared

    return _with_module(ir_text, target, emit)


def _with_module(
    ir_text: str, target: CpuTarget, emit: Callable[[llvm.TargetMachine, llvm.ModuleRef], T]
) -> T:
    """Parse, verify, emit. Each module has a context of its own (LLVM's global one never forgets
    a type or a constant) and must be closed before it, or LLVM crashes."""
    machine = target_machine(target)
    with interrupts_deferred(), closing(llvm.create_context()) as context:
        try:
            module = llvm.parse_assembly(ir_text, context)
        except RuntimeError as error:
            raise InvalidModuleError(str(error), ir_text) from None
        with closing(module):
            try:
                module.verify()
            except RuntimeError as error:
                raise InvalidModuleError(str(error), ir_text) from None
            module.triple = target.triple
            module.data_layout = str(machine.target_data)
            return emit(machine, module)


def _excerpt(problem: str, ir_text: str, around: int = 2) -> list[str]:
    """The lines of IR near the place that LLVM names as ``<string>:LINE:COLUMN``, numbered."""
    match = re.search(r"<string>:(\d+):\d+", problem)
    if match is None:
        return []
    lines = ir_text.splitlines()
    row = int(match[1]) - 1
    window = range(max(0, row - around), min(len(lines), row + around + 1))
    return [f"{number + 1:5d} | {lines[number]}" for number in window]
