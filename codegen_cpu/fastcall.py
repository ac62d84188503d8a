"""The call path of a compiled kernel: calls that take some 100 ns, the checks of all arguments and
the allocation of the output included.

A `FastSpec` says which arguments a specialisation serves, a `Record` is the same as tables that the
machine code of `fastcall_ir` walks, and `Dispatcher.install` puts it in front of a `FastCallable`.
Whatever no record fits (other dtypes, defaults, overlapping memory) reaches the callable's
``__call__``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from tilewright.codegen_cpu import fastcall_ir as ir
from tilewright.codegen_cpu import python_abi
from tilewright.codegen_cpu.fast_callable import accepts_records, point_to, records_of
from tilewright.codegen_cpu.loader import compile_for_host, load_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilewright.codegen_cpu.fast_callable import FastCallable
    from tilewright.codegen_cpu.fast_record import Record

_OUT: Final = sys.intern("out")


class Calls(Protocol):
    """What the rest of the back end knows of a dispatcher."""

    @property
    def description(self) -> str:
        """One line for ``tilewright targets``; it names a fallback as one."""

    def install(self, target: FastCallable, record: Record) -> None:
        """Let `record` be the first that calls of `target` try."""

    def clear(self, target: FastCallable) -> None:
        """Send all calls of `target` to its ``__call__``."""


class OrdinaryCalls:
    """The fallback: every call goes through ``__call__``."""

    def __init__(self, reason: str) -> None:
        self.description = f"calls through Python (fallback: not made for {reason})"

    def install(self, target: FastCallable, record: Record) -> None:
        """Nothing to install: ``__call__`` serves everything."""

    def clear(self, target: FastCallable) -> None:
        """Nothing to clear."""


class Dispatcher:
    """The machine code of `fastcall_ir`, loaded. `compile` may come from a disk cache."""

    description = "calls through machine code"

    def __init__(self, compile: Callable[[str], bytes] = compile_for_host) -> None:
        code = compile(ir.dispatcher_module())
        imports = python_abi.api_addresses() | {"out_name": id(_OUT)}
        self._code = load_object(code, ("tw_dispatch", "tw_epoch"), imports)
        self._address = self._code.address("tw_dispatch")
        self._epoch = ctypes.c_int64.from_address(self._code.address("tw_epoch"))
        _count_forks(self)

    def install(self, target: FastCallable, record: Record) -> None:
        """Let `record` be the first that calls of `target` try; the oldest of more than
        `MAX_RECORDS` is dropped."""
        if accepts_records(target):
            others = (known for known in records_of(target) if known is not record)
            self._point(target, (record, *others)[: ir.MAX_RECORDS])

    def clear(self, target: FastCallable) -> None:
        """Send all calls of `target` to its ``__call__``."""
        if records_of(target):
            self._point(target, ())

    def _point(self, target: FastCallable, records: tuple[Record, ...]) -> None:
        point_to(target, self._address, records, keep=self._code)


def make_dispatcher(compile: Callable[[str], bytes] = compile_for_host) -> Calls:
    """The fastest call path that this Python allows."""
    reason = python_abi.unusable()
    return Dispatcher(compile) if reason is None else OrdinaryCalls(reason)


def _count_forks(dispatcher: Dispatcher) -> None:
    """In a forked child no record is busy: the threads that used them are not there."""
    reference = weakref.ref(dispatcher)

    def count() -> None:
        alive = reference()
        if alive is not None:
            alive._epoch.value += 1

    os.register_at_fork(after_in_child=count)
