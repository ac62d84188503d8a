"""LLVM IR text -> object code -> addresses that can be called.

The two steps are separate so that object code can be kept on disk: `compile_object` takes 12-100 ms
for a kernel, `load_object` 0.2 ms. No pass pipeline runs: the emitter's IR is already vectorised,
and O2 would cost 2.5 times the compile time for nothing (measured on matrix products).
"""

from __future__ import annotations

import re
import sys
from contextlib import closing
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

import llvmlite.binding as llvm

from tilewright.codegen_cpu.target import CpuTarget, host_target, target_machine
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

ENTRY_POINT: Final = "tw_main"
_NO_IMPORTS: Final[Mapping[str, int]] = {}


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


class LoadedObject:
    """Object code in executable memory, which is given back when the last reference goes."""

    __slots__ = ("_tracker",)

    def __init__(self, tracker: llvm.ResourceTracker) -> None:
        self._tracker = tracker

    def address(self, symbol: str = ENTRY_POINT) -> int:
        """The address of an exported symbol; it is valid for as long as this object lives."""
        try:
            return int(self._tracker[symbol])
        except KeyError:
            raise IRError(f"symbol {symbol!r} was not exported by the loaded object") from None


class ObjectLoader:
    """Loads object code for this process through LLVM's ORC."""

    def __init__(self) -> None:
        # JITLink lays all sections of an object out in one block, so that code reaches its
        # constants with 32-bit offsets; its COFF support is young, hence not on Windows.
        machine = target_machine(host_target())
        self._jit = llvm.create_lljit_compiler(machine, use_jit_link=sys.platform != "win32")
        self._names = count()

    def load(
        self,
        code: bytes,
        exports: Iterable[str] = (ENTRY_POINT,),
        imports: Mapping[str, int] = _NO_IMPORTS,
    ) -> LoadedObject:
        """Load `code`. A symbol that it does not define is taken from `imports`, else from the
        process (LLVM itself calls ``memset`` and ``memcpy``)."""
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        try:
            tracker = builder.link(self._jit, f"tilewright.{next(self._names)}")
        except RuntimeError as error:
            raise IRError(f"object code cannot be loaded: {str(error).strip()}") from error
        return LoadedObject(tracker)


@lru_cache(maxsize=1)
def object_loader() -> ObjectLoader:
    """This process's loader; making one takes 0.6 ms, and it never refers to what it loaded."""
    return ObjectLoader()


def load_object(
    code: bytes,
    exports: Iterable[str] = (ENTRY_POINT,),
    imports: Mapping[str, int] = _NO_IMPORTS,
) -> LoadedObject:
    """`ObjectLoader.load` of this process's loader."""
    return object_loader().load(code, exports, imports)


def _with_module(
    ir_text: str, target: CpuTarget, emit: Callable[[llvm.TargetMachine, llvm.ModuleRef], T]
) -> T:
    """Parse, verify, emit. Each module has a context of its own (LLVM's global one never forgets
    a type or a constant) and must be closed before it, or LLVM crashes."""
    machine = target_machine(target)
    with closing(llvm.create_context()) as context:
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
