"""Object code -> addresses that can be called, through LLVM's ORC.

This is all of LLVM that a process needs which finds its code on disk.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final

import llvmlite.binding as llvm

from tilewright.codegen_cpu.interrupts import interrupts_deferred
from tilewright.ir.errors import IRError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENTRY_POINT: Final = "tw_main"
_NO_IMPORTS: Final[Mapping[str, int]] = {}


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
        # LLVM wants a target machine to know the layout of data. One without the processor's
        # features will do, and takes half the time: nothing is compiled here.
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
        # JITLink lays all sections of an object out in one block, so that code reaches its
        # constants with 32-bit offsets; its COFF support is young, hence not on Windows.
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
