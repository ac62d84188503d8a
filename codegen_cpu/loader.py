"""Object code -> addresses that can be called.

By `elf_image` where it can, which needs no LLVM; else by LLVM's linker (`orc`).
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from tilewright.codegen_cpu.elf_image import load_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tilewright.codegen_cpu.elf_image import Image
    from tilewright.codegen_cpu.orc import OrcLoader, OrcObject

ENTRY_POINT: Final = "tw_main"
_NO_IMPORTS: Final[Mapping[str, int]] = {}


class LoadedObject:
    """Object code in executable memory, which is given back when the last reference goes."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Image | OrcObject) -> None:
        self._memory = memory

    def address(self, symbol: str = ENTRY_POINT) -> int:
        """The address of an exported symbol; it is valid for as long as this object lives."""
        found = self._memory.address(symbol)
        if found is None:
            from tilewright.ir.errors import IRError

            raise IRError(f"symbol {symbol!r} was not exported by the loaded object")
        return found


class ObjectLoader:
    """Loads object code for this process; through LLVM alone if `only_llvm`."""

    def __init__(self, only_llvm: bool = False) -> None:
        self._only_llvm = only_llvm

    @cached_property
    def _orc(self) -> OrcLoader:
        from tilewright.codegen_cpu.orc import OrcLoader  # 25 ms

        return OrcLoader()

    def load(
        self,
        code: bytes,
        exports: Iterable[str] = (ENTRY_POINT,),
        imports: Mapping[str, int] = _NO_IMPORTS,
    ) -> LoadedObject:
        """Load `code`. A symbol that it does not define is taken from `imports`, else from the
        process (LLVM itself calls ``memset`` and ``memcpy``)."""
        image = None if self._only_llvm else load_image(code, imports)
        return LoadedObject(image or self._orc.load(code, exports, imports))


@lru_cache(maxsize=1)
def object_loader() -> ObjectLoader:
    """This process's loader, which never refers to what it loaded."""
    return ObjectLoader()


def compile_for_host(ir_text: str) -> bytes:
    """Object code for this processor; who has a cache asks that first."""
    from tilewright.codegen_cpu.jit import compile_object  # LLVM: not for what a cache holds
    from tilewright.codegen_cpu.target import host_target

    return compile_object(ir_text, host_target())


def load_object(
    code: bytes,
    exports: Iterable[str] = (ENTRY_POINT,),
    imports: Mapping[str, int] = _NO_IMPORTS,
) -> LoadedObject:
    """`ObjectLoader.load` of this process's loader."""
    return object_loader().load(code, exports, imports)
