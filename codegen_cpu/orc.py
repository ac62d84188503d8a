"""Object code -> addresses that can be called, through LLVM's ORC."""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING

import llvmlite.binding as llvm

from tilewright.codegen_cpu.interrupts import interrupts_deferred
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class OrcObject:
    """Object code in executable memory, which is given back when the last reference goes."""

    __slots__ = ("_tracker",)

    def __init__(self, tracker: llvm.ResourceTracker) -> None:
        self._tracker = tracker

    def address(self, symbol: str) -> int | None:
        """The address of an exported symbol."""
        try:
            return int(self._tracker[symbol])
        except KeyError:
            return None


class OrcLoader:
    """Loads any object code for this process."""

    def __init__(self) -> None:
        # LLVM wants a target machine to know the layout of data. One without the processor's
        # features will do, and takes half the time: nothing is compiled here.
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
        # JITLink lays all sections of an object out in one block, so that code reaches its
        # constants with 32-bit offsets; its COFF support is young, hence not on Windows.
        self._jit = llvm.create_lljit_compiler(machine, use_jit_link=sys.platform != "win32")
        self._names = count()

    def load(self, code: bytes, exports: Iterable[str], imports: Mapping[str, int]) -> OrcObject:
        """`code`, with `imports` and the process's symbols for those that it does not define."""
        with interrupts_deferred():
            builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
            for name, address in imports.items():
                builder.import_symbol(name, address)
            for name in exports:
                builder.export_symbol(name)
            try:
                tracker = builder.link(self._jit, f"tilewright.{next(self._names)}")
            except RuntimeError as error:
                raise IRError(f"object code cannot be loaded: {str(error).strip()}") from error
            return OrcObject(tracker)
